//! As whom cryokey is known at Azure: to read secrets there, or to show it to somebody else.

use super::cloud::Cloud;
use super::credentials::Method;
use crate::provider::http::{self, Client};
use crate::provider::{Deadline, ProviderError};
use crate::secret::Secret;

/// Which cloud, how it is reached, and what signs cryokey in there.
#[derive(Debug)]
pub struct Identity {
    /// The cloud.
    pub cloud: Cloud,
    /// How it is reached.
    pub http: http::Settings,
    /// How to sign in, or why there is no way.
    pub method: Result<Method, ProviderError>,
}

impl Identity {
    /// A client for the hosts of Azure.
    pub fn client(&self) -> Result<Client, ProviderError> {
        let domains =
            ["azure.net", "azure.cn", "usgovcloudapi.net", "microsoftonline.com", "microsoftonline.us"];
        let settings =
            http::Settings { absolute_domains: domains.map(str::to_owned).to_vec(), ..self.http.clone() };
        Client::new(settings).map_err(|error| super::error::AzureError::Tls(error).at("Azure"))
    }

    /// A token for a resource.
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

    /// Whether a tenant is surely another one than cryokey signs in at: a tenant's domains cannot be compared with ids.
    #[must_use]
    pub fn is_of_another_tenant(&self, tenant: &str) -> bool {
        let own = self.method.as_ref().ok().and_then(Method::tenant);
        let is_id = |text: &str| text.len() == 36 && !text.contains('.');
        own.is_some_and(|own| is_id(own) && is_id(tenant) && !own.eq_ignore_ascii_case(tenant))
    }

    /// With what cryokey signs in, if there is a way.
    #[must_use]
    pub fn label(&self) -> Option<String> {
        self.method.as_ref().ok().map(Method::label)
    }
}
