//! cryokey's identity at Google.

use super::credentials::Method;
use super::error::GoogleError;
use crate::provider::http::{self, Client};
use crate::provider::{Cause as _, Deadline, ProviderError};
use crate::secret::Secret;

/// The universe, connection settings and credentials of cryokey's identity.
#[derive(Debug)]
pub struct Identity {
    /// The domain of the API's hosts, usually `googleapis.com`.
    pub universe: String,
    /// The settings of the HTTP client.
    pub http: http::Settings,
    /// The source of credentials, or why none could be chosen.
    pub method: Result<Method, ProviderError>,
}

impl Identity {
    /// Builds a client for the hosts of the universe.
    pub fn client(&self) -> Result<Client, ProviderError> {
        let settings = http::Settings { absolute_domains: vec![self.universe.clone()], ..self.http.clone() };
        Client::new(settings).map_err(|error| GoogleError::Tls(error).at("Google"))
    }

    /// Obtains an access token for Google's APIs.
    pub fn token(&self, client: &Client, deadline: Deadline) -> Result<Secret, ProviderError> {
        let method = self.method.as_ref().map_err(Clone::clone)?;
        method.token(client, &self.http, deadline)
    }

    /// Obtains the token that Vault's `gcp` method expects for a role.
    pub fn proof_for_vault(&self, role: &str, deadline: Deadline) -> Result<Secret, ProviderError> {
        self.method.as_ref().map_err(Clone::clone)?.proof_for_vault(role, &self.http, deadline)
    }

    /// The identity as IAM's bindings write it, with a placeholder for what is unknown.
    #[must_use]
    pub fn member(&self) -> String {
        self.method.as_ref().map_or_else(|_| "MEMBER".to_owned(), Method::member)
    }

    /// The project that requests count for, if the credentials name one.
    #[must_use]
    pub fn quota_project(&self) -> Option<&str> {
        self.method.as_ref().ok().and_then(Method::quota_project)
    }

    /// A description of the credentials for reports; `None` if none could be chosen.
    #[must_use]
    pub fn label(&self) -> Option<String> {
        self.method.as_ref().ok().map(Method::label)
    }
}
