//! Why cryokey cannot sign in to Google.

use std::fmt;

use crate::provider::http::{HttpError, HttpFault, TlsFault};
use crate::provider::oauth::OauthError;
use crate::provider::{Cause, Kind};

/// Why credentials cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CredentialError {
    /// The variable contains JSON, not a path.
    NotAPath,
    /// The content is not a JSON object.
    NotJson,
    /// The file lacks a member, or the member is invalid.
    Member(&'static str),
    /// Credentials of this type are not supported.
    Type {
        /// The type, escaped.
        name: String,
    },
    /// The credentials are for a universe other than the configured one.
    OtherUniverse,
    /// A member contains a URL outside of the universe.
    Host {
        /// The member's name.
        member: &'static str,
    },
    /// The token would come from an external program, which is not supported.
    Executable,
    /// The source of the subject token could not be read.
    Source(HttpError),
    /// The source contains no subject token.
    NoToken,
    /// The private key could not sign a token.
    Signature,
    /// Credentials of this type do not prove anything to Vault.
    NoProof,
    /// The metadata service returned no token.
    Metadata(MetadataFault),
}

/// Why the metadata service returned no token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MetadataFault {
    /// No response was received, or the service reported a failure.
    Http(HttpError),
    /// The connection timed out, so the machine probably has no metadata service.
    NotThere(HttpError),
    /// The machine or pod has no service account.
    NoAccount,
    /// The response lacks the `Metadata-Flavor: Google` header, so it does not come from the metadata service.
    Flavor,
    /// The response contains no token.
    Nonsense,
}

/// Why Google returned no token for the credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum SignInError {
    /// Google rejected a refresh token, or the token of another identity provider.
    Token(OauthError),
    /// The service account could not be impersonated.
    Impersonation(OauthError),
}

impl Cause for CredentialError {
    fn kind(&self) -> Kind {
        match self {
            Self::Source(error) | Self::Metadata(MetadataFault::Http(error)) => error.kind_of_service(),
            Self::NoToken => Kind::Invalid,
            // The metadata service is asked only if nothing else is configured, so its failure means that there are no
            // credentials.
            Self::Metadata(MetadataFault::NotThere(_) | MetadataFault::NoAccount) => Kind::Denied,
            Self::Metadata(MetadataFault::Flavor) => Kind::Untrusted,
            Self::Metadata(MetadataFault::Nonsense) => Kind::Nonsense,
            _ => Kind::Misconfigured,
        }
    }

    fn what(&self, place: &str) -> String {
        match self {
            Self::NotAPath => format!("the variable {place} contains JSON, but has to name a file"),
            Self::NotJson => format!("{place} is not a JSON object"),
            Self::Member(name) => format!("{place} has no valid `{name}`"),
            Self::Type { name } => {
                format!("{place} contains credentials of the type `{name}`, which cryokey does not support")
            }
            Self::OtherUniverse => {
                format!("{place} is for another universe than GOOGLE_CLOUD_UNIVERSE_DOMAIN")
            }
            Self::Host { member } => format!("`{member}` of {place} is not an https address of Google"),
            Self::Executable => {
                format!("{place} obtains its token from a program, which cryokey does not start")
            }
            Self::Source(error) => format!("sign-in at Google with {place}: {error}"),
            Self::NoToken => format!("sign-in at Google: {place} is not a token"),
            Self::Signature => format!("sign-in at Google: {place} cannot sign"),
            Self::NoProof => format!("{place} cannot prove an identity to Vault"),
            Self::Metadata(fault) => format!("sign-in at Google with {place}: {fault}"),
        }
    }

    fn fix(&self) -> String {
        match self {
            Self::NotAPath => {
                "write the JSON to a file GOOGLE_APPLICATION_CREDENTIALS in the secrets directory, and unset the variable".into()
            }
            Self::NotJson | Self::Member(_) | Self::Signature => {
                "create it anew, for example by `gcloud iam service-accounts keys create`".into()
            }
            Self::Type { .. } => {
                "use a service account key, workload identity federation, or an attached service account".into()
            }
            Self::NoProof => "use a service account key, or the service account of the machine".into(),
            Self::OtherUniverse => "correct GOOGLE_CLOUD_UNIVERSE_DOMAIN, or use credentials of that universe".into(),
            Self::Host { member: "token_uri" } => {
                "create it anew, by `gcloud auth application-default login`".into()
            }
            Self::Host { .. } => {
                "create it anew, by `gcloud iam workload-identity-pools create-cred-config`".into()
            }
            Self::Executable => "let the program write its token to a file, and use `--credential-source-file`".into(),
            Self::Source(error)
            | Self::Metadata(MetadataFault::Http(error @ HttpError { fault: HttpFault::PlainHttp, .. })) => {
                error.fix()
            }
            Self::NoToken => "check what writes the token, and the format in the credentials".into(),
            Self::Metadata(MetadataFault::Flavor) => {
                "find out what answers on this address; set GCE_METADATA_HOST if the service is elsewhere".into()
            }
            Self::Metadata(MetadataFault::NoAccount) => "attach a service account to the machine or pod".into(),
            Self::Metadata(_) => {
                "mount a service account key as GOOGLE_APPLICATION_CREDENTIALS in the secrets directory, set that \
                 variable to the path of a credential file, or attach a service account"
                    .into()
            }
        }
    }
}

impl fmt::Display for MetadataFault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http(error) | Self::NotThere(error) => write!(formatter, "{error}"),
            Self::NoAccount => formatter.write_str("no service account is attached"),
            Self::Flavor => {
                formatter.write_str("the answer lacks `Metadata-Flavor: Google`, so it is not Google's")
            }
            Self::Nonsense => formatter.write_str("the response contains no token"),
        }
    }
}

impl Cause for SignInError {
    fn kind(&self) -> Kind {
        let (Self::Token(error) | Self::Impersonation(error)) = self;
        error.kind()
    }

    fn what(&self, place: &str) -> String {
        match self {
            Self::Token(error) => format!("Google: {}", error.what(place)),
            Self::Impersonation(error) => format!("Google, impersonation: {}", error.what(place)),
        }
    }

    fn fix(&self) -> String {
        match self {
            Self::Token(OauthError::Http(error)) | Self::Impersonation(OauthError::Http(error)) => match error {
                HttpError { fault: HttpFault::Tls(TlsFault::UnknownIssuer), .. } => {
                    "set SSL_CERT_FILE to the CA that signed the server's certificate".into()
                }
                error => error.fix(),
            },
            Self::Token(OauthError::Refused { .. }) => {
                "sign in again (`gcloud auth application-default login`), or correct the audience and the attribute \
                 condition of the workload identity pool"
                    .into()
            }
            Self::Impersonation(OauthError::Refused { .. }) => {
                "grant roles/iam.serviceAccountTokenCreator on the service account to this identity, and enable \
                 iamcredentials.googleapis.com"
                    .into()
            }
            Self::Token(error) | Self::Impersonation(error) => error.fix(),
        }
    }
}
