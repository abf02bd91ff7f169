//! cryokey's identity at Azure, used to read secrets or to prove the identity to another service.

use super::cloud::Cloud;
use super::credentials::Method;
use crate::provider::http::{self, Client};
use crate::provider::{Cause as _, Deadline, ProviderError};
use crate::secret::Secret;

/// The cloud, connection settings and sign-in method of cryokey's identity.
#[derive(Debug)]
pub struct Identity {
    /// The cloud, which determines the authority.
    pub cloud: Cloud,
    /// The settings of the HTTP client.
    pub http: http::Settings,
    /// The sign-in method, or why none could be chosen.
    pub method: Result<Method, ProviderError>,
}

impl Identity {
    /// Builds a client for the hosts of all Azure clouds.
    pub fn client(&self) -> Result<Client, ProviderError> {
        let domains =
            ["azure.net", "azure.cn", "usgovcloudapi.net", "microsoftonline.com", "microsoftonline.us"];
        let settings =
            http::Settings { absolute_domains: domains.map(str::to_owned).to_vec(), ..self.http.clone() };
        Client::new(settings).map_err(|error| super::error::AzureError::Tls(error).at("Azure"))
    }

    /// Obtains a token for a resource, such as `https://vault.azure.net`.
    pub fn token(
        &self,
        resource: &str,
        client: &Client,
        deadline: Deadline,
    ) -> Result<Secret, ProviderError> {
        let method = self.method.as_ref().map_err(Clone::clone)?;
        method.token(resource, &self.cloud, client, &self.http, deadline)
    }

    /// Which virtual machine this is, if its managed identity signs in: what Vault's `azure` method may ask for.
    pub fn machine(&self, deadline: Deadline) -> Result<Vec<(&'static str, Secret)>, ProviderError> {
        match self.method.as_ref() {
            Ok(Method::Managed(managed)) => managed.machine(&self.http, deadline),
            _ => Ok(Vec::new()),
        }
    }

    /// Whether cryokey certainly signs in to another tenant. Only ids can be compared: the domain of a tenant may stand
    /// for the same tenant.
    #[must_use]
    pub fn is_of_another_tenant(&self, tenant: &str) -> bool {
        let own = self.method.as_ref().ok().and_then(Method::tenant);
        let is_id = |text: &str| text.len() == 36 && !text.contains('.');
        own.is_some_and(|own| is_id(own) && is_id(tenant) && !own.eq_ignore_ascii_case(tenant))
    }

    /// A description of the sign-in method for reports; `None` if none could be chosen.
    #[must_use]
    pub fn label(&self) -> Option<String> {
        self.method.as_ref().ok().map(Method::label)
    }
}
