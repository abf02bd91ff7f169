//! The Azure Key Vault provider.

pub mod api;
pub mod challenge;
pub mod cloud;
pub mod credentials;
mod entra;
pub mod error;
pub mod identity;
mod store;

use std::sync::Arc;

use self::api::Api;
use self::cloud::Vault;
use self::error::AzureError;
use self::identity::Identity;
use self::store::{KeyVault, Vaults};
use super::bulk::{self, Known, Scope, Spelling, Version, Wanted, Words};
use super::{Access, Answer, Deadline, Names, Provider, ProviderError, Request};
use crate::error::Problem;
use crate::provider::Cause as _;

/// The settings of the Azure provider.
#[derive(Debug)]
pub struct Settings {
    /// The identity that reads the secrets.
    pub identity: Identity,
    /// The vault that holds the app's secrets; `None` if only references name vaults.
    pub vault: Option<Vault>,
    /// The maximum number of concurrent requests.
    pub width: usize,
    /// Warnings from reading the settings.
    pub warnings: Vec<Problem>,
}

/// The Azure provider. It does nothing until [`Provider::read`] is called.
#[derive(Debug)]
pub struct Azure {
    identity: Arc<Identity>,
    vaults: Vaults,
    width: usize,
    warnings: Vec<Problem>,
}

const WORDS: Words = Words { store: "Azure", prefix: "AZURE_KEYVAULT_NAME", key: "" };

impl Azure {
    /// Creates the provider, without I/O.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        let Settings { identity, vault, width, warnings } = settings;
        let vaults = Vaults { cloud: identity.cloud.clone(), own: vault };
        Self { identity: Arc::new(identity), vaults, width, warnings }
    }

    /// The whole vault, if it is searched for names.
    fn scope(&self, names: &Names) -> Result<Option<Scope>, ProviderError> {
        let has_names = names.wanted().next().is_some();
        match &self.vaults.own {
            None if has_names => Err(AzureError::NoVault.at(WORDS.store)),
            Some(_) if has_names || names.undeclared => Ok(Scope::new("", Spelling::Azure)),
            _ => Ok(None),
        }
    }

    /// The errors of references that cannot name an existing secret, which need no request.
    fn known(&self, wanted: &Wanted) -> Known<AzureError> {
        let refused = |version: &Version| {
            self.vaults.locate(&version.0).err().map(|error| (version.clone(), Err(error)))
        };
        Known { secrets: wanted.versions.iter().filter_map(refused).collect(), ..Known::default() }
    }

    fn session(
        &self,
        wanted: &Wanted,
        deadline: Deadline,
        answer: &mut Answer,
    ) -> Result<Arc<KeyVault>, ProviderError> {
        let referenced = || wanted.versions.iter().find_map(|(secret, _)| self.vaults.locate(secret).ok());
        let vault = self.vaults.own.clone().or_else(|| referenced().map(|(vault, _)| vault));
        let resource = vault.map_or_else(|| self.vaults.cloud.resource(), |vault| vault.resource());
        let api = Api::sign_in(Arc::clone(&self.identity), resource, deadline)?;
        answer.notes.extend(self.identity.label().map(|label| format!("sign-in at Azure: {label}")));
        Ok(Arc::new(KeyVault { api, vaults: self.vaults.clone() }))
    }
}

impl Provider for Azure {
    fn read(&self, request: &Request, deadline: Deadline) -> Result<Answer, ProviderError> {
        let wanted = Wanted::new(request, self.scope(&request.names)?, None);
        let mut answer = Answer { warnings: self.warnings.clone(), ..Answer::default() };
        let mut known = self.known(&wanted);
        if wanted.has_questions(&known) {
            let store = self.session(&wanted, deadline, &mut answer)?;
            known = bulk::read(&store, &wanted, known, self.width, deadline);
        }
        bulk::answer(request, &wanted, &known, WORDS, &mut answer);
        Ok(answer)
    }

    fn consumed(&self) -> Vec<String> {
        self.identity.method.as_ref().map(credentials::Method::consumed).unwrap_or_default()
    }

    fn access(&self) -> Option<Access> {
        let endpoint = self.vaults.own.as_ref().map(Vault::url);
        Some(Access { endpoint, sign_in: self.identity.label() })
    }
}
