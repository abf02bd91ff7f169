//! Why cryokey cannot sign in at AWS.

use crate::provider::{Cause, Kind, ProviderError};

/// Why cryokey cannot sign in at AWS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum IdentityError {
    /// One half of a key is given, and not the other.
    Half,
    /// A profile wants what cryokey does not support yet.
    Elsewhere {
        /// As the profile calls it.
        source: &'static str,
    },
    /// There is nothing to sign in with.
    Nothing,
}

impl IdentityError {
    /// The error of a provider, about a place whose text is escaped already.
    pub(super) fn at(self, place: impl Into<String>) -> ProviderError {
        ProviderError::new(place, self)
    }
}

impl Cause for IdentityError {
    fn kind(&self) -> Kind {
        match self {
            Self::Half | Self::Elsewhere { .. } | Self::Nothing => Kind::Misconfigured,
        }
    }

    fn what(&self, place: &str) -> String {
        match self {
            Self::Half => format!("only one half of the key for AWS is given: {place} is not set"),
            Self::Elsewhere { source } => {
                format!("the AWS profile signs in by {source}, which cryokey does not support yet")
            }
            Self::Nothing => format!("nothing to sign in at AWS with: {place} is not set"),
        }
    }

    fn fix(&self) -> String {
        match self {
            Self::Half => "set it too, as a file in the secrets directory or a variable".into(),
            Self::Elsewhere { .. } => "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY".into(),
            Self::Nothing => "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE".into(),
        }
    }
}
