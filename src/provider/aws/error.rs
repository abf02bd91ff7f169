//! Why a request to AWS failed. Of a response, only its status, error code and ARNs are kept.

use std::fmt;

use crate::provider::bulk::StoreError;
use crate::provider::http::{HttpError, HttpFault, TlsFault};
use crate::provider::retry::{Retryable, Temporary};
use crate::provider::tls::TlsSetupError;
use crate::provider::{Cause, Kind};

/// Why a request to AWS failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AwsError {
    /// No response was received, or an error without an AWS error code.
    Http(HttpError),
    /// The TLS client could not be configured.
    Tls(TlsSetupError),
    /// The request rate is too high. Retried.
    Throttled,
    /// The service reported an internal failure. Retried.
    Unavailable {
        /// The HTTP status.
        status: u16,
    },
    /// The identity lacks a permission.
    Denied {
        /// The action that a policy must allow, such as `secretsmanager:GetSecretValue`.
        action: String,
        /// The resource that the policy must name; `*` if the action has none.
        resource: String,
        /// The ARN of the identity, if the service reported it.
        identity: Option<String>,
    },
    /// The identity may not decrypt with the secret's KMS key.
    Decryption {
        /// The ARN of the secret, as far as it is known.
        resource: String,
    },
    /// AWS rejected the access key, the session token or the signature.
    Refused(Refusal),
    /// The secret or the version does not exist.
    Absent,
    /// The secret is scheduled for deletion.
    Deleted,
    /// The clocks differ by more than the signature allows.
    Clock {
        /// The seconds by which the local clock is behind AWS's; negative if it is ahead.
        offset: i64,
    },
    /// The secret is binary, and not valid Base64.
    NotBase64,
    /// The secret is in another region than the configured one.
    OtherRegion {
        /// That region, escaped.
        region: String,
    },
    /// The service rejected the request as invalid.
    Invalid {
        /// The error code; letters and digits only.
        code: String,
    },
    /// The response does not match AWS's API documentation.
    Nonsense(Nonsense),
    /// The startup timeout expired before a response arrived.
    TimedOut,
}

/// Why AWS rejected the signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The access key does not exist, or the session token does not belong to it.
    UnknownKey,
    /// The session token has expired.
    Expired,
    /// The secret access key does not belong to the access key id.
    WrongKey,
}

/// How a response deviates from the documented API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nonsense {
    /// The body is not JSON.
    NotJson,
    /// This member is missing, has the wrong type, or occurs twice.
    Member(&'static str),
    /// It contains a secret that was not requested.
    OtherSecret,
    /// The pagination does not end.
    Pages,
    /// A status that AWS does not document.
    Status(u16),
}

impl AwsError {
    /// The named member is missing or invalid.
    #[must_use]
    pub const fn member(name: &'static str) -> Self {
        Self::Nonsense(Nonsense::Member(name))
    }

    /// Maps an AWS error code. The code takes precedence over the status: AWS returns 400 for throttling, and
    /// compatible servers return 404 for a missing secret.
    #[must_use]
    pub fn of_code(code: &str, status: u16, message: &str, action: &str, resource: &str) -> Self {
        match code {
            "Throttling"
            | "ThrottlingException"
            | "ThrottledException"
            | "RequestThrottled"
            | "RequestThrottledException"
            | "TooManyRequestsException"
            | "RequestLimitExceeded"
            | "LimitExceededException"
            | "PriorRequestNotComplete"
            | "BandwidthLimitExceeded"
            | "SlowDown" => Self::Throttled,
            "InternalServiceError"
            | "InternalServiceErrorException"
            | "InternalServerError"
            | "InternalFailure"
            | "ServiceUnavailable"
            | "RequestTimeout"
            | "RequestTimeoutException"
            | "IDPCommunicationError" => Self::Unavailable { status },
            "AccessDenied" | "AccessDeniedException" if message.contains("KMS") => {
                Self::Decryption { resource: resource.to_owned() }
            }
            "AccessDenied" | "AccessDeniedException" | "NotAuthorized" => Self::Denied {
                action: action.to_owned(),
                resource: resource.to_owned(),
                identity: identity(message),
            },
            "DecryptionFailure" => Self::Decryption { resource: resource.to_owned() },
            "ResourceNotFoundException" => Self::Absent,
            "InvalidRequestException" if message.contains("delet") => Self::Deleted,
            "ExpiredToken" | "ExpiredTokenException" | "TokenRefreshRequired" => {
                Self::Refused(Refusal::Expired)
            }
            "InvalidClientTokenId"
            | "UnrecognizedClientException"
            | "InvalidAccessKeyId"
            | "IncompleteSignature"
            | "IncompleteSignatureException"
            | "MissingAuthenticationToken"
            | "MissingAuthenticationTokenException"
            | "AuthFailure" => Self::Refused(Refusal::UnknownKey),
            "SignatureDoesNotMatch" | "InvalidSignatureException" => Self::Refused(Refusal::WrongKey),
            _ if status >= 500 => Self::Unavailable { status },
            _ if status == 429 => Self::Throttled,
            _ => Self::Invalid { code: word(code) },
        }
    }
}

/// An error code for a message. Text that does not look like a code is replaced, since it could be anything.
fn word(code: &str) -> String {
    let is_word =
        !code.is_empty() && code.len() <= 64 && code.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if is_word { code.to_owned() } else { "an unknown code".to_owned() }
}

/// The identity in a message such as `User: arn:aws:iam::123456789012:user/x is not authorized to perform: …`.
fn identity(message: &str) -> Option<String> {
    let arn = message.strip_prefix("User: ")?.split(' ').next()?;
    let is_legal = |byte: u8| byte.is_ascii_alphanumeric() || b":/_+=,.@-".contains(&byte);
    let is_arn = arn.starts_with("arn:aws") && arn.len() <= 512 && arn.bytes().all(is_legal);
    is_arn.then(|| arn.to_owned())
}

impl StoreError for AwsError {
    fn timed_out() -> Self {
        Self::TimedOut
    }

    fn is_absent(&self) -> bool {
        *self == Self::Absent
    }

    fn is_denied(&self) -> bool {
        matches!(self, Self::Denied { .. })
    }
}

impl Retryable for AwsError {
    fn temporary(&self) -> Option<Temporary> {
        match self {
            Self::Http(error) => error.temporary(),
            Self::Throttled => Some(Temporary::Throttled { retry_after: None }),
            Self::Unavailable { .. } => Some(Temporary::Failure),
            _ => None,
        }
    }
}

impl Cause for AwsError {
    fn kind(&self) -> Kind {
        match self {
            Self::Http(error) => error.kind(),
            Self::Throttled | Self::Unavailable { .. } => Kind::Unreachable,
            Self::Denied { .. } | Self::Decryption { .. } | Self::Refused(_) | Self::Clock { .. } => {
                Kind::Denied
            }
            Self::Absent | Self::Deleted => Kind::NotFound,
            Self::Tls(_) | Self::Invalid { .. } | Self::OtherRegion { .. } => Kind::Misconfigured,
            Self::NotBase64 => Kind::Invalid,
            Self::Nonsense(_) => Kind::Nonsense,
            Self::TimedOut => Kind::TimedOut,
        }
    }

    fn what(&self, place: &str) -> String {
        match self {
            Self::Http(error) => error.what(place),
            Self::Tls(error) => error.to_string(),
            Self::Throttled => {
                format!("{place}: AWS throttled all requests until the startup timeout expired")
            }
            Self::Unavailable { status } => format!("{place}: the service failed (status {status})"),
            Self::Denied { action, identity, .. } => {
                let identity = identity.as_deref().unwrap_or("the identity that cryokey signs in with");
                format!("{place}: {identity} may not use {action}")
            }
            Self::Decryption { .. } => format!("{place}: the KMS key that encrypts it may not be used"),
            Self::Refused(refusal) => format!("{place}: {refusal}"),
            Self::Absent => format!("{place} does not exist"),
            Self::Deleted => format!("{place} is scheduled for deletion"),
            Self::NotBase64 => format!("{place} is binary, but not in Base64"),
            Self::OtherRegion { region } => {
                format!("{place} is in the region {region}, which is not the one that is read")
            }
            Self::Clock { offset } => {
                let side = if *offset > 0 { "slow" } else { "fast" };
                format!(
                    "{place}: this machine's clock is {} s {side} by the clock of AWS",
                    offset.unsigned_abs()
                )
            }
            Self::Invalid { code } => format!("{place}: the service refused the request ({code})"),
            Self::Nonsense(nonsense) => format!("{place}: {nonsense}"),
            Self::TimedOut => format!("{place}: no answer before the startup timeout expired"),
        }
    }

    fn fix(&self) -> String {
        match self {
            Self::Denied { action, resource, .. } => {
                format!("add to its policy: {}", statement(action, resource))
            }
            Self::Decryption { resource } => format!(
                "allow kms:Decrypt in the policy of the identity and of that key, which `aws secretsmanager \
                 describe-secret --secret-id {resource}` names"
            ),
            Self::Http(HttpError { fault: HttpFault::Tls(TlsFault::UnknownIssuer), .. }) => {
                "set AWS_CA_BUNDLE to the CA that signed the server's certificate".into()
            }
            Self::Http(error) => error.fix(),
            Self::Tls(_) => "correct the file, or the variable that names it".into(),
            Self::Throttled => "raise CRYOKEY_START_TIMEOUT, or start fewer containers at once".into(),
            Self::Unavailable { .. } => "start again later; health.aws.amazon.com shows outages".into(),
            Self::Refused(Refusal::UnknownKey) => {
                "check AWS_ACCESS_KEY_ID, and AWS_SESSION_TOKEN if the key is a temporary one".into()
            }
            Self::Refused(Refusal::Expired) => "sign in again, or use a role that renews its keys".into(),
            Self::Refused(Refusal::WrongKey) => "check AWS_SECRET_ACCESS_KEY".into(),
            Self::Absent => "create the secret, or correct its name and the region".into(),
            Self::Deleted => "restore it (`aws secretsmanager restore-secret`), or create it anew".into(),
            Self::NotBase64 => "write it again by `put-secret-value --secret-binary`".into(),
            Self::OtherRegion { region } => {
                format!("set AWS_REGION={region}, or name a secret of this region")
            }
            Self::Clock { .. } => "set the clock of this machine, for example by NTP".into(),
            Self::Invalid { .. } => "check the name, the version and the region".into(),
            Self::Nonsense(_) => "check that the address is that of AWS, not of something before it".into(),
            Self::TimedOut => "check AWS and the network between, or raise CRYOKEY_START_TIMEOUT".into(),
        }
    }
}

/// The policy statement that grants the permission, ready to paste.
#[must_use]
pub fn statement(action: &str, resource: &str) -> String {
    format!(r#"{{"Effect": "Allow", "Action": "{action}", "Resource": "{resource}"}}"#)
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::UnknownKey => {
                "AWS does not know the access key, or its session token is missing or another one's"
            }
            Self::Expired => "the session token has expired",
            Self::WrongKey => "AWS does not accept the signature: the secret access key is another one's",
        })
    }
}

impl fmt::Display for Nonsense {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotJson => formatter.write_str("the response is not JSON"),
            Self::Member(name) => write!(formatter, "the response has no valid `{name}`"),
            Self::OtherSecret => formatter.write_str("the response is about a secret that was not asked for"),
            Self::Pages => formatter.write_str("the list of secrets does not come to an end"),
            Self::Status(status) => write!(formatter, "status {status} is none of AWS's"),
        }
    }
}
