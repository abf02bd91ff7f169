//! The Security Token Service: assuming roles. Source: the AWS STS API Reference.

use super::endpoint::Service;
use super::error::AwsError;
use super::sigv4::Credentials;
use super::wire::{Call, Wire};
use super::xml;
use crate::escape::escaped;
use crate::provider::http::{FORM, form};
use crate::provider::{Cause, Deadline, Kind, ProviderError};
use crate::secret::Secret;

/// The default session name.
pub const SESSION: &str = "cryokey";

/// A role to assume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Role {
    /// The role's ARN.
    pub arn: String,
    /// The session name, which appears in AWS's logs.
    pub session: String,
    /// The external id that the role's trust policy may require.
    pub external_id: Option<String>,
    /// The duration of the session in seconds; `None` is the service's default.
    pub duration: Option<u32>,
}

/// Assumes a role with existing credentials.
pub fn assume_role(
    role: &Role,
    as_whom: &Credentials,
    wire: &Wire,
    deadline: Deadline,
) -> Result<Credentials, ProviderError> {
    let duration = role.duration.map(|seconds| seconds.to_string());
    let mut parameters = vec![("RoleArn", role.arn.as_str()), ("RoleSessionName", &role.session)];
    parameters.extend(role.external_id.as_deref().map(|id| ("ExternalId", id)));
    parameters.extend(duration.as_deref().map(|seconds| ("DurationSeconds", seconds)));
    let sent = send("AssumeRole", &parameters, &role.arn, Some(as_whom), wire, deadline);
    sent.map_err(|error| StsError::of(error).at(escaped(&role.arn)))
}

/// Assumes a role with a web identity token. The request is not signed.
pub fn assume_role_with_web_identity(
    role: &Role,
    token: &Secret,
    wire: &Wire,
    deadline: Deadline,
) -> Result<Credentials, ProviderError> {
    let place = escaped(&role.arn);
    let Ok(token) = std::str::from_utf8(token.expose()) else { return Err(StsError::Token.at(place)) };
    let parameters =
        [("RoleArn", role.arn.as_str()), ("RoleSessionName", &role.session), ("WebIdentityToken", token)];
    let sent = send("AssumeRoleWithWebIdentity", &parameters, &role.arn, None, wire, deadline);
    sent.map_err(|error| match error {
        AwsError::Denied { .. } | AwsError::Invalid { .. } | AwsError::Refused(_) => {
            StsError::Token.at(place)
        }
        error => StsError::Other(error).at(place),
    })
}

/// Sends an operation that returns temporary credentials.
fn send(
    action: &'static str,
    parameters: &[(&str, &str)],
    resource: &str,
    credentials: Option<&Credentials>,
    wire: &Wire,
    deadline: Deadline,
) -> Result<Credentials, AwsError> {
    let all = [("Action", action), ("Version", "2011-06-15")];
    let body = form(all.iter().chain(parameters).copied());
    let headers = vec![("content-type", FORM.as_bytes())];
    let call = Call { service: Service::Sts, headers, body: &body, action, resource: resource.to_owned() };
    temporary_keys(&wire.send(&call, credentials, deadline)?)
}

fn temporary_keys(reply: &[u8]) -> Result<Credentials, AwsError> {
    let element = |name| {
        let text = xml::element(reply, name).filter(|text| !text.expose().is_empty());
        text.ok_or(AwsError::member(name))
    };
    Ok(Credentials {
        access_key_id: element("AccessKeyId")?,
        secret_access_key: element("SecretAccessKey")?,
        session_token: Some(element("SessionToken")?),
    })
}

/// Why a role could not be assumed.
#[derive(Debug, Clone, PartialEq, Eq)]
enum StsError {
    /// A policy denies it: the identity's own, or the role's trust policy.
    Denied {
        /// The identity's ARN, if the service reported it.
        identity: Option<String>,
        /// The role's ARN.
        role: String,
    },
    /// The service rejected a parameter of the role.
    Refused {
        /// The error code.
        code: String,
    },
    /// AWS rejected the web identity token for this role.
    Token,
    /// The region is not activated for the account.
    NoRegion,
    /// A failure that is not specific to roles.
    Other(AwsError),
}

impl StsError {
    fn of(error: AwsError) -> Self {
        match error {
            AwsError::Denied { identity, resource, .. } => Self::Denied { identity, role: resource },
            AwsError::Invalid { code } if code == "RegionDisabledException" => Self::NoRegion,
            AwsError::Invalid { code } => Self::Refused { code },
            other => Self::Other(other),
        }
    }
}

impl Cause for StsError {
    fn kind(&self) -> Kind {
        match self {
            Self::Denied { .. } | Self::Token => Kind::Denied,
            Self::Refused { .. } | Self::NoRegion => Kind::Misconfigured,
            Self::Other(error) => error.kind(),
        }
    }

    fn what(&self, place: &str) -> String {
        match self {
            Self::Denied { identity, .. } => {
                let identity = identity.as_deref().unwrap_or("the identity that cryokey signs in with");
                format!("{identity} may not assume the role {place}, or the role does not exist")
            }
            Self::Refused { code } => format!("the role {place} cannot be assumed this way ({code})"),
            Self::Token => format!("AWS does not accept the token for the role {place}"),
            Self::NoRegion => format!("the role {place} cannot be assumed in a region that is not activated"),
            Self::Other(error) => error.what(&format!("assuming the role {place}")),
        }
    }

    fn fix(&self) -> String {
        match self {
            Self::Denied { identity, role } => format!(
                "allow `sts:AssumeRole` on {} in the identity's policy, and add to the role's trust policy: {}; its \
                 conditions, such as an external id, must hold too",
                escaped(role),
                trust(identity.as_deref())
            ),
            Self::Refused { .. } => {
                "check `role_arn`, `role_session_name`, `external_id` and `duration_seconds`, \
                                     which is at most 3600 for a role that is assumed by another one"
                    .into()
            }
            Self::Token => {
                "check the role's trust policy: the identity provider, and its conditions on `aud` and `sub`"
                    .into()
            }
            Self::NoRegion => {
                "activate AWS STS in that region (IAM, account settings), or set another one".into()
            }
            Self::Other(error) => error.fix(),
        }
    }
}

/// A statement for the role's trust policy, ready to paste.
fn trust(identity: Option<&str>) -> String {
    let identity = identity.unwrap_or("ARN of the identity");
    format!(r#"{{"Effect": "Allow", "Principal": {{"AWS": "{identity}"}}, "Action": "sts:AssumeRole"}}"#)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROLE: &str = "arn:aws:iam::123456789012:role/app";

    fn text(secret: &crate::secret::Secret) -> String {
        String::from_utf8(secret.expose().to_vec()).unwrap()
    }

    #[test]
    fn keys_are_those_of_the_reply_and_none_may_be_missing() {
        let reply = "<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>ASIA</AccessKeyId>\
                     <SecretAccessKey>a/b</SecretAccessKey><SessionToken>t=</SessionToken></Credentials>\
                     </AssumeRoleResult></AssumeRoleResponse>";
        let keys = temporary_keys(reply.as_bytes()).unwrap();
        assert_eq!(text(&keys.access_key_id), "ASIA");
        assert_eq!(text(&keys.secret_access_key), "a/b");
        assert_eq!(keys.session_token.as_ref().map(text).as_deref(), Some("t="));
        for member in ["AccessKeyId", "SecretAccessKey", "SessionToken"] {
            let error = temporary_keys(reply.replace(member, "Other").as_bytes()).unwrap_err();
            assert_eq!(error, AwsError::member(member));
        }
    }

    #[test]
    fn a_denied_role_is_named_with_the_statement_that_trusts_the_identity() {
        let user = "arn:aws:iam::123456789012:user/ci";
        let message =
            format!("User: {user} is not authorized to perform: sts:AssumeRole on resource: {ROLE}");
        let denied = AwsError::of_code("AccessDenied", 403, &message, "sts:AssumeRole", ROLE);
        let error = StsError::of(denied).at(escaped(ROLE));
        assert_eq!(error.kind(), Kind::Denied);
        assert!(error.to_string().contains(user) && error.to_string().contains(ROLE), "{error}");
        assert!(error.fix().contains(&format!(r#""Principal": {{"AWS": "{user}"}}"#)), "{}", error.fix());
    }

    #[test]
    fn each_refusal_has_its_kind() {
        let kind =
            |code, status| StsError::of(AwsError::of_code(code, status, "", "sts:AssumeRole", ROLE)).kind();
        assert_eq!(kind("ValidationError", 400), Kind::Misconfigured);
        assert_eq!(kind("RegionDisabledException", 403), Kind::Misconfigured);
        assert_eq!(kind("ExpiredToken", 403), Kind::Denied);
        assert_eq!(kind("InternalFailure", 500), Kind::Unreachable);
    }
}
