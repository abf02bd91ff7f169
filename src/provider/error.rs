//! Why a provider could not give a value. Made of kinds, names, paths and numbers; a value cannot get in.

use std::fmt;
use std::sync::Arc;

use crate::error::Reason;

/// Why a secret, or a whole place, could not be read.
#[derive(Debug, Clone)]
pub struct ProviderError {
    /// The path, variable or address that it is about, escaped.
    place: String,
    cause: Arc<dyn Cause>,
}

/// What one provider knows of a failure. Each has its own type, of numbers, names and closed sets of words: what a
/// server or a parser said must not get in, since it can quote a value.
pub trait Cause: fmt::Debug + Send + Sync {
    /// What kind of failure it is.
    fn kind(&self) -> Kind;
    /// What happened at a place.
    fn what(&self, place: &str) -> String;
    /// How to fix it.
    fn fix(&self) -> String;

    /// Turns this into a provider's error. `place` must be escaped.
    #[must_use]
    fn at(self, place: impl Into<String>) -> ProviderError
    where
        Self: Sized + 'static,
    {
        ProviderError::new(place, self)
    }
}

/// The kinds of failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Reading it is not allowed.
    Denied,
    /// It exists, but cannot be a secret.
    Invalid,
    /// Reading broke off.
    Io,
    /// Settings are missing, or contradict each other.
    Misconfigured,
    /// A provider answered what it must not.
    Nonsense,
    /// Something that was named does not exist, or no longer.
    NotFound,
    /// The startup timeout expired first.
    TimedOut,
    /// It could not be reached until the startup timeout expired; a restart may help.
    Unreachable,
    /// Its certificate or its address is wrong: it must not be talked to.
    Untrusted,
}

impl Kind {
    /// The one place where a kind of failure becomes a word and an exit code.
    #[must_use]
    pub fn reason(self) -> Reason {
        match self {
            Self::Denied => Reason::Denied,
            Self::Invalid => Reason::Invalid,
            Self::Io => Reason::Io,
            Self::Misconfigured => Reason::Configuration,
            Self::Nonsense => Reason::Nonsense,
            Self::NotFound => Reason::Missing,
            Self::TimedOut => Reason::Timeout,
            Self::Unreachable => Reason::Unreachable,
            Self::Untrusted => Reason::Untrusted,
        }
    }
}

impl ProviderError {
    /// An error about a place, whose text is escaped already.
    #[must_use]
    pub fn new(place: impl Into<String>, cause: impl Cause + 'static) -> Self {
        Self { place: place.into(), cause: Arc::new(cause) }
    }

    /// What kind of failure it was.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.cause.kind()
    }

    /// How to fix it.
    #[must_use]
    pub fn fix(&self) -> String {
        self.cause.fix()
    }
}

impl fmt::Display for ProviderError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.cause.what(&self.place))
    }
}
