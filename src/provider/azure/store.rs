//! Reads a vault: a list in pages of 25, and a request per secret.

use super::api::Api;
use super::cloud::{Cloud, Vault};
use super::error::{AzureError, Nonsense};
use crate::escape::escaped;
use crate::provider::Deadline;
use crate::provider::bulk::{Listed, Scope, Spelling, Store, Stored};

/// The limit for a list: 800 pages of 25 are 20,000 secrets.
const MOST_PAGES: usize = 800;

/// The configured vault, and the vaults that references name.
#[derive(Debug)]
pub(super) struct KeyVault {
    pub(super) api: Api,
    pub(super) vaults: Vaults,
}

/// Finds the vault of a secret.
#[derive(Debug, Clone)]
pub(super) struct Vaults {
    pub(super) cloud: Cloud,
    /// The configured vault, which is searched for names.
    pub(super) own: Option<Vault>,
}

impl Vaults {
    /// The vault and name in `vault/name`. A bare name is in the configured vault.
    pub(super) fn locate<'a>(&self, secret: &'a str) -> Result<(Vault, &'a str), AzureError> {
        let (vault, name) = match secret.split_once('/') {
            Some((vault, name)) => (self.named(vault)?, name),
            None => (self.own.clone().ok_or(AzureError::NoVault)?, secret),
        };
        if Spelling::Azure.is_legal(name) && !name.is_empty() {
            return Ok((vault, name));
        }
        let hyphens = |character: char| if character.is_ascii_alphanumeric() { character } else { '-' };
        let legal: String = name.chars().take(127).map(hyphens).collect();
        Err(AzureError::SecretName { legal: escaped(legal) })
    }

    /// The vault with this name. The configured vault has precedence, because its host may be in a domain of its own.
    fn named(&self, vault: &str) -> Result<Vault, AzureError> {
        let own = self.own.as_ref().filter(|own| own.name().eq_ignore_ascii_case(vault));
        own.map_or_else(|| self.cloud.referenced(vault).map_err(AzureError::Vault), |own| Ok(own.clone()))
    }
}

impl Store for KeyVault {
    type Error = AzureError;

    fn list(&self, _scope: &Scope, deadline: Deadline) -> Result<Vec<Listed<AzureError>>, AzureError> {
        let vault = self.vaults.own.as_ref().ok_or(AzureError::NoVault)?;
        let mut listed = Vec::new();
        let mut next: Option<String> = None;
        for _ in 0..MOST_PAGES {
            let page = self.api.list(vault, next.as_deref(), deadline)?;
            listed.extend(page.listed);
            match page.next {
                None => return Ok(listed),
                same if same == next => break,
                other => next = other,
            }
        }
        Err(AzureError::Nonsense(Nonsense::Pages))
    }

    fn get(&self, secret: &str, version: Option<&str>, deadline: Deadline) -> Result<Stored, AzureError> {
        let (vault, name) = self.vaults.locate(secret)?;
        self.api.get(&vault, name, version, deadline)
    }
}
