//! Reads Secret Manager: a list in pages, and a request per secret.

use std::time::SystemTime;

use super::api::Api;
use super::error::{GoogleError, Nonsense, PlaceFault};
use super::place::{Parent, Place};
use crate::provider::Deadline;
use crate::provider::bulk::{Listed, Scope, Store, Stored};

/// The limit for a list. 20,000 secrets fill 4 pages of 5,000, but the service may return smaller pages.
const MOST_PAGES: usize = 200;

/// The client, and the project whose secrets are listed.
#[derive(Debug)]
pub(super) struct SecretManager {
    pub(super) api: Api,
    pub(super) own: Option<Parent>,
}

impl SecretManager {
    fn place(&self, secret: &str) -> Result<Place, GoogleError> {
        Place::parse(secret, self.own.as_ref()).map_err(GoogleError::Place)
    }
}

impl Store for SecretManager {
    type Error = GoogleError;

    fn list(&self, scope: &Scope, deadline: Deadline) -> Result<Vec<Listed<GoogleError>>, GoogleError> {
        let parent = self.own.as_ref().ok_or(GoogleError::Place(PlaceFault::NoProject))?;
        let mut listed = Vec::new();
        let mut next: Option<String> = None;
        for _ in 0..MOST_PAGES {
            let page = self.api.list(parent, scope.prefix(), next.as_deref(), deadline)?;
            listed.extend(page.names.into_iter().map(|secret| Listed { secret, unusable: None }));
            match page.next {
                None => return Ok(listed),
                same if same == next => break,
                other => next = other,
            }
        }
        Err(GoogleError::Nonsense(Nonsense::Pages))
    }

    fn get(&self, secret: &str, version: Option<&str>, deadline: Deadline) -> Result<Stored, GoogleError> {
        self.api.access(&self.place(secret)?, version.unwrap_or("latest"), deadline)
    }

    fn date(
        &self,
        secret: &str,
        version: Option<&str>,
        deadline: Deadline,
    ) -> Result<Option<SystemTime>, GoogleError> {
        self.api.date(&self.place(secret)?, version.unwrap_or("latest"), deadline)
    }
}
