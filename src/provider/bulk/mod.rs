//! Reading stores that hold secrets under names of their own, such as AWS Secrets Manager: which requests are sent, in
//! which order, and which of the app's names the secrets map to. The requests themselves belong to each provider.

mod answer;
pub mod fields;
pub mod lookup;
mod read;
pub mod scope;

use std::time::SystemTime;

use super::json::Json;
use super::{Cause, Deadline};
use crate::secret::Secret;

pub use answer::answer;
pub use lookup::{Known, Version, Wanted};
pub use read::read;
pub use scope::{Scope, ScopeError, Spelling};

/// An authenticated client for a store. Threads share it, and each request is retried until its deadline.
pub trait Store: Send + Sync + 'static {
    /// Why a request failed.
    type Error: StoreError;

    /// The maximum number of secrets in one request; 1 if the store cannot return several.
    const BATCH: usize = 1;

    /// Lists the secrets whose names start with the scope's prefix. The result may contain others, because the store's
    /// own filter may be less exact.
    fn list(&self, scope: &Scope, deadline: Deadline) -> Result<Vec<Listed<Self::Error>>, Self::Error>;

    /// Reads a version of a secret; `None` stands for the current one.
    fn get(&self, secret: &str, version: Option<&str>, deadline: Deadline) -> Result<Stored, Self::Error>;

    /// Reads the current versions of at most [`Self::BATCH`] secrets.
    fn batch(&self, secrets: &[String], deadline: Deadline) -> Result<Vec<Entry<Self::Error>>, Self::Error> {
        Ok(secrets.iter().map(|secret| (secret.clone(), self.get(secret, None, deadline))).collect())
    }

    /// Requests a version's creation date. Called only if its age matters and [`Stored::is_dated`] is false.
    fn date(
        &self,
        secret: &str,
        version: Option<&str>,
        deadline: Deadline,
    ) -> Result<Option<SystemTime>, Self::Error> {
        self.get(secret, version, deadline).map(|stored| stored.created)
    }
}

/// Reads the token or URL of a list's next page: `Some(None)` on the last page, `None` if the member is no text, because a
/// list that seems to end early would hide secrets.
#[must_use]
pub fn next(list: Json<'_>, member: &str) -> Option<Option<String>> {
    match list.at(&[member]).filter(|it| !it.is_null()) {
        Some(next) => next.text().map(|next| Some(next).filter(|next| !next.is_empty())),
        None => Some(None),
    }
}

/// Why a request to a store failed.
pub trait StoreError: Cause + Clone + 'static {
    /// The error for a request that received no response before the startup timeout expired.
    fn timed_out() -> Self;

    /// Whether the secret, or the requested version of it, does not exist.
    fn is_absent(&self) -> bool;

    /// Whether cryokey's identity lacks the permission for the request.
    fn is_denied(&self) -> bool;
}

/// The result for one secret of a batch.
pub type Entry<E> = (String, Result<Stored, E>);

/// A secret in a list.
#[derive(Debug, Clone)]
pub struct Listed<E> {
    /// Its name in the store.
    pub secret: String,
    /// Why it cannot be read, if the list shows that.
    pub unusable: Option<E>,
}

/// A version of a secret.
#[derive(Debug)]
pub struct Stored {
    /// The whole value, even if only one of its fields is requested.
    pub value: Secret,
    /// The store's id for the version; `None` if it reports none.
    pub version: Option<String>,
    /// When the version was created; `None` if unknown.
    pub created: Option<SystemTime>,
    /// Whether `created` is the exact date of this version. If not, the version may be newer, but not older.
    pub is_dated: bool,
    /// When the secret becomes valid, according to the store.
    pub starts: Option<SystemTime>,
    /// When the secret expires, according to the store.
    pub expires: Option<SystemTime>,
}

/// How messages refer to a store and its prefix.
#[derive(Debug, Clone, Copy)]
pub struct Words {
    /// The store, such as `AWS`.
    pub store: &'static str,
    /// The variable that sets the prefix.
    pub prefix: &'static str,
    /// The manifest's key that sets the prefix.
    pub key: &'static str,
}
