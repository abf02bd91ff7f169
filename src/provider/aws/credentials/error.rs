//! Why cryokey cannot sign in at AWS.

use crate::provider::http::{HttpError, HttpFault, Waiting};
use crate::provider::{Cause, Kind, ProviderError};

/// Why cryokey cannot sign in at AWS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum IdentityError {
    /// A file that has to hold a token is empty.
    EmptyFile,
    /// One half of a key is given, and not the other.
    Half,
    /// The metadata service gives no key.
    Metadata(MetadataFault),
    /// A token of another identity provider is given, and no role for it.
    NoRole,
    /// A service that gives keys answers something else.
    NotJson,
    /// There is nothing to sign in with.
    Nothing,
    /// The service that gives containers their keys does not.
    Service(HttpError),
}

/// Why the metadata service gives no key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum MetadataFault {
    /// There is no response, or none of success.
    Http(HttpError),
    /// It does not know sessions, which keep other people's requests out.
    OnlyVersion1,
    /// The machine has no role.
    NoRole,
}

impl IdentityError {
    /// The error of a provider, about a place whose text is escaped already.
    pub(super) fn at(self, place: impl Into<String>) -> ProviderError {
        ProviderError::new(place, self)
    }
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
            // Asked only because nothing else was given, it is the last to say no.
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
