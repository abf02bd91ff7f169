//! Why signing in failed. Of a response, only its status and the creation path of a wrapping token are kept.

use crate::provider::vault::error::VaultError;
use crate::provider::{Cause, Kind};

/// The causes, with the details that their messages show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum IdentityError {
    /// A file that should hold a token is empty.
    Empty,
    /// One of two values that belong together is missing.
    Half {
        /// The name that is set.
        has: &'static str,
        /// The name that is missing.
        lacks: &'static str,
    },
    /// Unwrapping failed although the preceding lookup of the wrapping token succeeded.
    Lost,
    /// A value that the method requires is missing.
    MissingFor {
        /// The variables that would provide it.
        names: &'static str,
        /// The sign-in method.
        auth: &'static str,
    },
    /// A value that goes into an API path but is not a safe path segment.
    NoPath,
    /// No sign-in method is configured, and no values for one were found.
    Nothing,
    /// Revoking the token that cryokey obtained failed, so it stays valid until it expires.
    NotRevoked(VaultError),
    /// A single-use wrapping token that `check` leaves to `run`.
    NotTried,
    /// Vault refused the login request.
    Rejected {
        /// The HTTP status.
        status: u16,
        /// The sign-in method.
        auth: &'static str,
    },
    /// An agent's sink file with neither a token nor a wrapping token.
    Sink,
    /// A wrapping token whose creation path is not the expected one.
    Substituted {
        /// The creation path that Vault reported; escaped.
        made_by: String,
        /// The creation path that was expected; escaped.
        expected: String,
    },
    /// A wrapping token that is invalid, expired or already used.
    Used,
}

impl Cause for IdentityError {
    fn kind(&self) -> Kind {
        match self {
            Self::Empty
            | Self::Half { .. }
            | Self::MissingFor { .. }
            | Self::NoPath
            | Self::Nothing
            | Self::Sink => Kind::Misconfigured,
            Self::Lost | Self::Rejected { .. } | Self::Substituted { .. } | Self::Used => Kind::Denied,
            Self::NotRevoked(error) => error.kind(),
            // The weakest kind, so that any other problem that `check` finds decides the exit code.
            Self::NotTried => Kind::Unreachable,
        }
    }

    fn what(&self, place: &str) -> String {
        match self {
            Self::Empty => format!("{place} is empty"),
            Self::Half { has, lacks } => format!("{has} is set, but {lacks} is not, and neither is {place}"),
            Self::Lost => format!(
                "the wrapping token in {place} was valid a moment ago and can no longer be unwrapped: the response was \
                 lost, or someone else unwrapped it (possible theft)"
            ),
            Self::MissingFor { names, auth } => format!("signing in at Vault by {auth} needs {names}"),
            Self::NoPath => format!("the value of {place} cannot be part of a path in Vault"),
            Self::Nothing => format!("nothing to sign in at Vault with: {place} is not set"),
            Self::NotRevoked(error) => {
                format!("the token that cryokey signed in with was not revoked: {}", error.what(place))
            }
            Self::NotTried => {
                format!("not tried: {place} can be unwrapped only once, and `check` leaves it to `run`")
            }
            Self::Rejected { status, .. } => {
                format!("{place}: Vault refused to sign cryokey in (status {status})")
            }
            Self::Sink => format!("{place} holds JSON without a wrapping token; it may be encrypted"),
            Self::Substituted { made_by, expected } => format!(
                "the wrapping token in {place} was made by `{made_by}`, not by `{expected}`: it may have been exchanged \
                 (possible theft)"
            ),
            Self::Used => format!(
                "the wrapping token in {place} is not valid: it was unwrapped before (possible theft), or it expired"
            ),
        }
    }

    fn fix(&self) -> String {
        match self {
            Self::Empty => "write the token into it, or name another file".into(),
            Self::Half { lacks, .. } => format!("set {lacks} too, as a file in the secrets directory or a variable"),
            Self::Lost | Self::Substituted { .. } | Self::Used => {
                "if no one of yours unwrapped it, revoke what it held and look for who did; then make a new one for each \
                 start"
                    .into()
            }
            Self::MissingFor { names, .. } => format!("set {names}"),
            Self::NoPath => "write the name alone, without `..`, `?`, `#` or empty parts".into(),
            Self::Nothing => {
                "set VAULT_TOKEN, VAULT_WRAPPED_TOKEN, VAULT_ROLE_ID with VAULT_SECRET_ID, or CRYOKEY_VAULT_AUTH".into()
            }
            Self::NotRevoked(_) => "none needed where tokens are short-lived; it ends by itself".into(),
            Self::NotTried => "none needed for `run`; to check more, give `check` a token".into(),
            Self::Rejected { auth, .. } => rejected(auth).into(),
            Self::Sink => "let the agent write its token unencrypted".into(),
        }
    }
}

/// The usual causes of a rejected login, by method.
fn rejected(auth: &str) -> &'static str {
    match auth {
        "approle" => {
            "check VAULT_ROLE_ID and VAULT_SECRET_ID, which can be expired or used up, and where approle is mounted"
        }
        "kubernetes" => {
            "check VAULT_ROLE, the service accounts, namespaces and audience that it is bound to, and the mount"
        }
        "jwt" => {
            "check VAULT_ROLE, what it is bound to, whether the token has expired, and where jwt is mounted"
        }
        "aws" => {
            "check VAULT_ROLE, the ARN that it is bound to, the value of the header X-Vault-AWS-IAM-Server-ID, and where \
             aws is mounted"
        }
        "azure" => {
            "check VAULT_ROLE, the service principals, groups and resources that it is bound to, whether the method's \
             `resource` is vault_azure_resource, and where azure is mounted"
        }
        "gcp" => {
            "check VAULT_ROLE, its type (iam for a service account key, gce for a machine), what it is bound to, and where \
             gcp is mounted"
        }
        "cert" => "check that a role trusts the certificate's issuer and names, and where cert is mounted",
        _ => "check VAULT_USERNAME and VAULT_PASSWORD, and where userpass is mounted",
    }
}
