//! Why cryokey has no AWS credentials.

use crate::provider::http::{HttpError, HttpFault, Waiting};
use crate::provider::{Cause, Kind};

/// Why cryokey has no AWS credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum IdentityError {
    /// A token file is empty.
    EmptyFile,
    /// Only one of `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY` is set.
    Half,
    /// The EC2 instance metadata service returned no credentials.
    Metadata(MetadataFault),
    /// A web identity token is configured without a role.
    NoRole,
    /// A credentials endpoint did not return JSON.
    NotJson,
    /// No source of credentials is configured.
    Nothing,
    /// The request to the container endpoint failed.
    Service(HttpError),
}

/// Why the instance metadata service returned no credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum MetadataFault {
    /// The request failed.
    Http(HttpError),
    /// The service lacks version 2 of the protocol, whose session tokens protect it from server-side request forgery.
    OnlyVersion1,
    /// No role is attached to the instance.
    NoRole,
}

impl From<HttpError> for MetadataFault {
    fn from(error: HttpError) -> Self {
        Self::Http(error)
    }
}

impl Cause for IdentityError {
    fn kind(&self) -> Kind {
        match self {
            Self::EmptyFile | Self::Half | Self::NoRole | Self::Nothing => Kind::Misconfigured,
            // The service is only asked as the last resort, so its failure means that there are no credentials.
            Self::Metadata(_) => Kind::Denied,
            Self::NotJson => Kind::Nonsense,
            Self::Service(error) => error.kind(),
        }
    }

    fn what(&self, place: &str) -> String {
        match self {
            Self::EmptyFile => format!("{place} is empty, but has to hold a token"),
            Self::Half => format!("only one half of the key for AWS is given: {place} is not set"),
            Self::Metadata(MetadataFault::Http(error)) => {
                format!("nothing is set to sign in at AWS with, and {place} gives no key: {error}")
            }
            Self::Metadata(MetadataFault::OnlyVersion1) => {
                format!("{place} has no sessions: it is version 1, which cryokey does not use")
            }
            Self::Metadata(MetadataFault::NoRole) => {
                format!("nothing is set to sign in at AWS with, and {place} knows no role of this machine")
            }
            Self::NoRole => format!("AWS_WEB_IDENTITY_TOKEN_FILE is set, but {place} is not"),
            Self::NotJson => format!("{place} does not answer with JSON"),
            Self::Nothing => format!("nothing to sign in at AWS with: {place} is not set"),
            Self::Service(error) => error.what(place),
        }
    }

    fn fix(&self) -> String {
        match self {
            Self::EmptyFile => "write the token into it, or name another file".into(),
            Self::Half => "set it too, as a file in the secrets directory or a variable".into(),
            Self::Metadata(MetadataFault::Http(HttpError { fault: HttpFault::Timeout(Waiting::Read), .. })) => {
                "let its answers reach the container: aws ec2 modify-instance-metadata-options \
                 --http-put-response-hop-limit 2; or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
                    .into()
            }
            Self::Metadata(MetadataFault::OnlyVersion1) => {
                "use one that has version 2, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY".into()
            }
            Self::Metadata(_) | Self::Nothing => {
                "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, as files in the secrets directory or variables, or \
                 AWS_PROFILE, or give the container a role"
                    .into()
            }
            Self::NoRole => "set it to the ARN of the role".into(),
            Self::NotJson => "check what AWS_CONTAINER_CREDENTIALS_FULL_URI names".into(),
            Self::Service(HttpError { fault: HttpFault::PlainHttp, .. }) => {
                "use https, or an address that only this machine reaches, such as 169.254.170.23".into()
            }
            Self::Service(error) => error.fix(),
        }
    }
}
