//! Tokens of the account that is signed in to the Azure CLI, for development. Used only if `AZURE_TOKEN_CREDENTIALS`
//! selects it.

use super::error::IdentityError;
use crate::provider::bootstrap::Bootstrapped;
use crate::provider::helper::{Helper, Variables};
use crate::provider::oauth::access_token;
use crate::provider::{Cause as _, Deadline, ProviderError};
use crate::secret::Secret;

const PLACE: &str = "`az`, which AZURE_TOKEN_CREDENTIALS names";

/// The tenant and the environment that `az` is run with.
#[derive(Debug)]
pub struct AzureCli {
    tenant: Option<Bootstrapped>,
    environment: Variables,
}

impl AzureCli {
    pub(super) fn new(tenant: Option<Bootstrapped>, environment: Variables) -> Self {
        Self { tenant, environment }
    }

    pub(super) fn token(&self, resource: &str, deadline: Deadline) -> Result<Secret, ProviderError> {
        let mut words = vec!["az", "account", "get-access-token", "--output", "json", "--resource", resource];
        if let Some(tenant) = &self.tenant {
            words.extend(["--tenant", tenant.text()]);
        }
        let words = words.into_iter().map(str::to_owned).collect();
        let helper = Helper { words, environment: self.environment.clone(), more: Vec::new() };
        let output = helper.run(deadline).map_err(|error| ProviderError::new(PLACE, error))?;
        access_token(&output).ok_or_else(|| IdentityError::NoToken.at(PLACE))
    }
}
