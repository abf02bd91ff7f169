//! Stores that hold secrets under names of their own, such as AWS Secrets Manager: which secrets are asked for, in which
//! order, and which of the app's names they stand for. What a store is asked with is its provider's.

mod answer;
pub mod fields;
pub mod lookup;
mod read;
pub mod scope;

use std::time::SystemTime;

use super::{Cause, Deadline};
use crate::secret::Secret;

pub use answer::answer;
pub use lookup::{Known, Version, Wanted};
pub use read::read;
pub use scope::{Scope, ScopeError, Spelling};

/// A store, signed in at. Several threads use it at once, and each request is tried again until its deadline.
pub trait Store: Send + Sync + 'static {
    /// Why it gives no answer.
    type Error: StoreError;

    /// How many secrets one request can ask for.
    const BATCH: usize = 1;

    /// All secrets whose names begin as the scope says. The store's own filter may let others through.
    fn list(&self, scope: &Scope, deadline: Deadline) -> Result<Vec<Listed<Self::Error>>, Self::Error>;

    /// One version of a secret; without a version, the one in force.
    fn get(&self, secret: &str, version: Option<&str>, deadline: Deadline) -> Result<Stored, Self::Error>;

    /// The versions in force of at most [`Self::BATCH`] secrets.
    fn batch(&self, secrets: &[String], deadline: Deadline) -> Result<Vec<Entry<Self::Error>>, Self::Error> {
        Ok(secrets.iter().map(|secret| (secret.clone(), self.get(secret, None, deadline))).collect())
    }

    /// When a version was created. Asked only where its age matters and [`Stored::is_dated`] is false.
    fn date(
        &self,
        secret: &str,
        version: Option<&str>,
        deadline: Deadline,
    ) -> Result<Option<SystemTime>, Self::Error> {
        self.get(secret, version, deadline).map(|stored| stored.created)
    }
}

/// Why a store gives no answer.
pub trait StoreError: Cause + Clone + 'static {
    /// There was no answer before the startup timeout expired.
    fn timed_out() -> Self;

    /// The secret, or this version of it, does not exist.
    fn is_absent(&self) -> bool;

    /// The identity that signs cryokey in may not do this.
    fn is_denied(&self) -> bool;
}

/// What a store answers about one of several secrets.
pub type Entry<E> = (String, Result<Stored, E>);

/// A secret in a list.
#[derive(Debug, Clone)]
pub struct Listed<E> {
    /// Its name.
    pub secret: String,
    /// Why it cannot be read, if the list shows that.
    pub unusable: Option<E>,
}

/// A secret, or a version of it.
#[derive(Debug)]
pub struct Stored {
    /// The value.
    pub value: Secret,
    /// Which version it is.
    pub version: Option<String>,
    /// When that version was created.
    pub created: Option<SystemTime>,
    /// Whether `created` is the version's own date, and final. If not, it is at least not later than that.
    pub is_dated: bool,
    /// Before this moment, the store says, it should not be used.
    pub starts: Option<SystemTime>,
    /// When the store says that it expires.
    pub expires: Option<SystemTime>,
}

/// What a store is called in messages.
#[derive(Debug, Clone, Copy)]
pub struct Words {
    /// `AWS`.
    pub store: &'static str,
    /// The variable that sets the prefix.
    pub prefix: &'static str,
    /// The manifest's key for it.
    pub key: &'static str,
}
