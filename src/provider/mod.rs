//! Places that secrets are read from.

pub mod aws;
pub mod azure;
pub mod bootstrap;
pub mod bulk;
pub mod deadline;
pub mod environment;
mod error;
pub mod file_variables;
pub mod files;
pub mod google;
pub mod helper;
pub mod http;
pub mod json;
pub mod jwt;
pub mod kubernetes;
pub mod oauth;
pub mod reference;
pub mod retry;
pub mod session;
mod source;
pub mod tls;
pub mod vault;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use crate::error::Problem;
use crate::escape::escaped;
use crate::secret::Secret;
pub use deadline::Deadline;
pub use error::{Cause, Kind, ProviderError};
pub use session::Session;
pub use source::{Providers, Source};

/// A place secrets are read from. A key that does not exist is left out of the answer; that is not an error.
pub trait Provider: Send {
    /// Reads what is asked for, in as few steps as the place allows. `Err`: nothing could be asked.
    fn read(&self, request: &Request, deadline: Deadline) -> Result<Answer, ProviderError>;

    /// Where the paths that it reads lead at this moment, all links followed. If one leads elsewhere when all local
    /// sources have been read, what was read is of different generations.
    fn resolved(&self, _request: &Request) -> Vec<Option<PathBuf>> {
        Vec::new()
    }

    /// The variables whose values sign cryokey in there, whether that succeeds or not: the app does not inherit them.
    fn consumed(&self) -> Vec<String> {
        Vec::new()
    }

    /// How a remote source is reached, for reports.
    fn access(&self) -> Option<Access> {
        None
    }
}

/// How a remote source is reached, as far as known, and without anything secret.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Access {
    /// Its address, without user name or password.
    pub endpoint: Option<String>,
    /// What cryokey signs in with, such as `approle at auth/approle`.
    pub sign_in: Option<String>,
}

/// What a provider is asked for. Owned, since a thread that is given up at the deadline cannot borrow.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// Exact keys, and what is wanted of each.
    pub keys: Vec<(Key, Want)>,
    /// Names, however the place spells its keys for them.
    pub names: Names,
}

/// What is wanted of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Want {
    /// Whether it exists; its value is not loaded.
    Existence,
    /// Its value.
    Value,
}

/// Names that are wanted of a place that maps its keys to names by [`crate::name::EnvName::from_key`].
#[derive(Debug, Clone, Default)]
pub struct Names {
    /// The wanted names, in order.
    wanted: Vec<(Arc<str>, Want)>,
    /// Whether the values of all other keys are wanted too.
    pub undeclared: bool,
    /// Beginnings of names that are another environment's or color's: never loaded.
    pub excluded: Vec<String>,
}

impl Names {
    /// These names, and no other.
    #[must_use]
    pub fn new(mut wanted: Vec<(Arc<str>, Want)>) -> Self {
        wanted.sort_unstable();
        Self { wanted, ..Self::default() }
    }

    /// The wanted names, with what is wanted of each.
    pub fn wanted(&self) -> impl Iterator<Item = (&str, Want)> {
        self.wanted.iter().map(|(name, want)| (&**name, *want))
    }

    /// Whether a name is among the wanted ones.
    #[must_use]
    pub fn is_wanted(&self, name: &str) -> bool {
        self.look_up(name).is_some()
    }

    fn look_up(&self, name: &str) -> Option<Want> {
        let at = self.wanted.binary_search_by(|(wanted, _)| (**wanted).cmp(name)).ok()?;
        self.wanted.get(at).map(|(_, want)| *want)
    }

    /// What is wanted of the key that stands for a name.
    #[must_use]
    pub fn want(&self, name: &str) -> Option<Want> {
        let is_excluded = || self.excluded.iter().any(|prefix| name.starts_with(prefix));
        let undeclared = || (self.undeclared && !is_excluded()).then_some(Want::Value);
        self.look_up(name).or_else(undeclared)
    }
}

/// What a provider has of it.
#[derive(Debug, Default)]
pub struct Answer {
    /// What exists of what was asked for.
    pub found: Vec<Found>,
    /// Names that a place denies which may not be listed, and which denies what does not exist too: they count as absent
    /// unless they are required.
    pub denied: Vec<(String, ProviderError)>,
    /// Keys that stand for no legal name.
    pub unnamed: Vec<Key>,
    /// Why names could not be looked for, although exact keys were read: those that are not found may exist.
    pub failures: Vec<ProviderError>,
    /// What is legal but seldom meant.
    pub warnings: Vec<Problem>,
    /// What could be tighter; `check` shows it.
    pub advice: Vec<String>,
    /// What was done there, for the log.
    pub notes: Vec<String>,
    /// What the place looks like, for the message about a secret that it does not have.
    pub state: Option<String>,
    /// What is to be ended there once everything has been read.
    pub session: Option<Session>,
}

/// One key that exists.
#[derive(Debug)]
pub struct Found {
    /// What it is called there.
    pub key: Key,
    /// The name that it stands for, where it was found by name.
    pub name: Option<String>,
    /// What reading it gave.
    pub reading: Reading,
}

/// What reading a key gave.
#[derive(Debug)]
pub enum Reading {
    /// It exists; its value was not wanted.
    Exists,
    /// It exists and could not be read.
    Failed(ProviderError),
    /// Its value.
    Value(Box<Value>),
}

/// A value, and what its provider knows of it.
#[derive(Debug)]
pub struct Value {
    /// The bytes.
    pub secret: Secret,
    /// When this version of it was made, where the provider knows that.
    pub created: Option<SystemTime>,
    /// Which version it is, where the provider has versions.
    pub version: Option<String>,
    /// Before this moment it should not be used, where the provider says so.
    pub starts: Option<SystemTime>,
    /// When it expires, where the provider says so.
    pub expires: Option<SystemTime>,
}

impl Value {
    /// A value of which nothing else is known.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        Self { secret: Secret::new(bytes), created: None, version: None, starts: None, expires: None }
    }

    /// A second one, for a second secret with the same reference.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        let Self { created, starts, expires, .. } = *self;
        Self { secret: self.secret.duplicate(), version: self.version.clone(), created, starts, expires }
    }
}

/// What a secret is called in its place: a file name, a variable, a path and a field.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// The file, the variable, the path.
    pub path: Arc<str>,
    /// One field of what is there.
    pub field: Option<Arc<str>>,
    /// Which version of it, as the place calls its versions; the latest one, if none is named.
    pub version: Option<Arc<str>>,
}

impl Key {
    /// A key without a field.
    pub fn new(path: impl Into<Arc<str>>) -> Self {
        Self { path: path.into(), field: None, version: None }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&escaped(&*self.path))?;
        self.field.iter().try_for_each(|field| write!(formatter, "#{}", escaped(&**field)))?;
        self.version.iter().try_for_each(|version| write!(formatter, "@{}", escaped(&**version)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn undeclared_names_are_wanted_unless_they_are_of_another_environment() {
        let wanted = Names::new(vec![("BLUE_A".into(), Want::Existence)]);
        let names = Names { undeclared: true, excluded: vec!["BLUE_".to_owned()], ..wanted };
        assert_eq!(names.want("BLUE_A"), Some(Want::Existence));
        assert_eq!(names.want("BLUE_B"), None);
        assert_eq!(names.want("B"), Some(Want::Value));
        assert_eq!(Names { undeclared: false, ..names }.want("B"), None);
    }

    #[test]
    fn all_lists_every_source_once_in_order() {
        assert!(Source::ALL.is_sorted_by(|left, right| left < right));
        let next = Source::ALL.last().map(|last| *last as usize + 1);
        assert_eq!(next, Some(Source::ALL.len()));
    }
}
