//! Proof for Vault of a cloud identity other than AWS. Written from the documentation of `HashiCorp`, and never run against
//! Azure or Google: "Azure auth method (API)" and "Google Cloud auth method", developer.hashicorp.com.

use crate::provider::{Deadline, ProviderError, azure, google};
use crate::secret::Secret;

/// An identity that the environment provides.
#[derive(Debug)]
pub enum CloudIdentity {
    /// An application or a managed identity in Azure, and the resource that Vault expects its token to be for.
    Azure {
        /// The identity.
        identity: Box<azure::identity::Identity>,
        /// The value of `resource` in the configuration of Vault's auth method.
        resource: String,
    },
    /// A service account in Google.
    Google(Box<google::identity::Identity>),
}

/// The body of a login, besides the role.
pub(super) type Members = Vec<(&'static str, Secret)>;

impl CloudIdentity {
    /// A description of the identity for the log.
    pub(super) fn label(&self) -> Option<String> {
        match self {
            Self::Azure { identity, .. } => identity.label(),
            Self::Google(identity) => identity.label(),
        }
    }

    /// The variables that were used to sign in, which the app must not inherit.
    pub(super) fn consumed(&self) -> Vec<String> {
        match self {
            Self::Azure { identity, .. } => {
                identity.method.as_ref().map(azure::credentials::Method::consumed).unwrap_or_default()
            }
            Self::Google(identity) => {
                identity.method.as_ref().map(google::credentials::Method::consumed).unwrap_or_default()
            }
        }
    }

    /// The token that proves the identity to Vault, and for a virtual machine in Azure which one it is.
    pub(super) fn proof(&self, role: &str, deadline: Deadline) -> Result<Members, ProviderError> {
        match self {
            Self::Azure { identity, resource } => {
                let client = identity.client()?;
                let token = identity.token(resource, &client, deadline)?;
                let mut members = vec![("jwt", token)];
                members.extend(identity.machine(deadline)?);
                Ok(members)
            }
            Self::Google(identity) => Ok(vec![("jwt", identity.proof_for_vault(role, deadline)?)]),
        }
    }
}
