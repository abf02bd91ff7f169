//! The Google Secret Manager provider.

pub mod api;
pub mod credentials;
pub mod error;
pub mod identity;
pub mod place;
mod store;

use std::sync::Arc;
use std::time::Duration;

use self::api::Api;
use self::error::{GoogleError, PlaceFault};
use self::identity::Identity;
use self::place::{Parent, Place};
use self::store::SecretManager;
use super::bulk::{self, Known, Scope, Spelling, Version, Wanted, Words};
use super::{Access, Answer, Deadline, Provider, ProviderError, Request};
use crate::error::Problem;
use crate::provider::Cause as _;

/// The settings of the Google provider.
#[derive(Debug)]
pub struct Settings {
    /// The identity that reads the secrets.
    pub identity: Identity,
    /// The project and location that hold the app's secrets; `None` if only references name projects.
    pub parent: Option<Parent>,
    /// The prefix of the app's secrets; `None` if it is not set.
    pub prefix: Option<String>,
    /// The maximum number of concurrent requests.
    pub width: usize,
    /// The age from which a rule objects to a secret; `None` if no rule limits it.
    pub fresh_within: Option<Duration>,
    /// Warnings from reading the settings.
    pub warnings: Vec<Problem>,
}

/// The Google provider. It does nothing until [`Provider::read`] is called.
#[derive(Debug)]
pub struct Google {
    identity: Arc<Identity>,
    parent: Option<Parent>,
    prefix: Option<String>,
    width: usize,
    fresh_within: Option<Duration>,
    warnings: Vec<Problem>,
}

const WORDS: Words = Words { store: "Google", prefix: "GCP_SECRET_PREFIX", key: "gcp_prefix" };

impl Google {
    /// Creates the provider, without I/O.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        let Settings { identity, parent, prefix, width, fresh_within, warnings } = settings;
        Self { identity: Arc::new(identity), parent, prefix, width, fresh_within, warnings }
    }

    fn wanted(&self, request: &Request) -> Result<Wanted, ProviderError> {
        let scope = Scope::of(self.prefix.as_deref(), Spelling::Google, &request.names, WORDS)?;
        if scope.is_some() && self.parent.is_none() {
            return Err(GoogleError::Place(PlaceFault::NoProject).at(WORDS.store));
        }
        Ok(Wanted::new(request, scope, self.fresh_within))
    }

    /// The errors of references that cannot name an existing secret, which need no request.
    fn known(&self, wanted: &Wanted) -> Known<GoogleError> {
        let refused = |version: &Version| {
            let fault = Place::parse(&version.0, self.parent.as_ref()).err()?;
            Some((version.clone(), Err(GoogleError::Place(fault))))
        };
        Known { secrets: wanted.versions.iter().filter_map(refused).collect(), ..Known::default() }
    }
}

impl Provider for Google {
    fn read(&self, request: &Request, deadline: Deadline) -> Result<Answer, ProviderError> {
        let wanted = self.wanted(request)?;
        let mut answer = Answer { warnings: self.warnings.clone(), ..Answer::default() };
        let mut known = self.known(&wanted);
        if wanted.has_questions(&known) {
            let api = Api::sign_in(Arc::clone(&self.identity), deadline)?;
            answer.notes.extend(self.identity.label().map(|label| format!("sign-in at Google: {label}")));
            let store = Arc::new(SecretManager { api, own: self.parent.clone() });
            known = bulk::read(&store, &wanted, known, self.width, deadline);
        }
        bulk::answer(request, &wanted, &known, WORDS, &mut answer);
        Ok(answer)
    }

    fn consumed(&self) -> Vec<String> {
        self.identity.method.as_ref().map(credentials::Method::consumed).unwrap_or_default()
    }

    fn access(&self) -> Option<Access> {
        let host = self.parent.as_ref().map(|parent| parent.host(&self.identity.universe));
        Some(Access { endpoint: host.map(|host| format!("https://{host}")), sign_in: self.identity.label() })
    }
}
