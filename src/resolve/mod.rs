//! Resolves a plan: reads all sources, then decides each name.

mod answers;
mod ask;
mod decide;
mod local;

use std::fmt;
use std::time::Duration;

use crate::error::Problem;
use crate::escape::escaped;
use crate::manifest::SecretRule;
use crate::name::{EnvName, Variant};
use crate::plan::{Candidate, Plan};
use crate::provider::{Access, Deadline, Key, Provider, ProviderError, Session, Source, Value};

use ask::ask;
use decide::decide;

/// A source, or why it could not be opened.
pub type Opened<'a> = (Source, Result<Place<'a>, ProviderError>);

/// How a source is read.
pub enum Place<'a> {
    /// On the calling thread.
    Local(Box<dyn Provider + 'a>),
    /// On a thread of its own, which is abandoned at the deadline. So it borrows nothing.
    Remote(Box<dyn Provider>),
}

#[must_use]
pub fn resolve(plan: Plan, places: Vec<Opened<'_>>, deadline: Deadline) -> Resolution {
    let answers = ask(&plan, places, deadline);
    decide(plan, answers)
}

impl Place<'_> {
    fn consumed(&self) -> Vec<String> {
        let (Self::Local(provider) | Self::Remote(provider)) = self;
        provider.consumed()
    }
}

impl fmt::Debug for Place<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Local(_) => "Local",
            Self::Remote(_) => "Remote",
        })
    }
}

/// The result for every name.
#[derive(Debug)]
pub struct Resolution {
    /// The declared secrets in the plan's order, then undeclared ones from bulk sources.
    pub secrets: Vec<Resolved>,
    /// `SECRET_ROTATION_TIMESTAMP`, unless it is a declared secret.
    pub rotation_stamp: Option<Resolved>,
    /// Unavailable sources.
    pub failures: Vec<(Source, ProviderError)>,
    pub assumed: Assumed,
    /// Undeclared keys that the app does not get, sorted by source and key.
    pub left_out: Vec<LeftOut>,
    pub warnings: Vec<Problem>,
    /// About modes that are wider than needed.
    pub advice: Vec<String>,
    /// What was done at the sources, to be logged.
    pub notes: Vec<String>,
    /// For messages about missing secrets, such as `/run/secrets is empty`.
    pub states: Vec<(Source, String)>,
    /// The remote sources that were asked.
    pub visits: Vec<Visit>,
    /// Variables that signed cryokey in at a remote source.
    pub consumed: Vec<String>,
    /// What is to be ended at the sources before the app runs.
    pub sessions: Vec<Session>,
}

/// A remote source that was asked, whatever it answered.
#[derive(Debug)]
pub struct Visit {
    pub source: Source,
    pub access: Access,
    /// How long it took to answer.
    pub took: Duration,
}

/// The environment that is assumed if none is selected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Assumed {
    /// One is selected, or no environment has secrets here.
    Nothing,
    /// The only one that has secrets here.
    Only(Variant),
    /// Several have secrets here, so none is assumed.
    Ambiguous(Vec<Variant>),
}

/// An undeclared key of a bulk source that the app does not get.
#[derive(Debug, PartialEq, Eq)]
pub struct LeftOut {
    pub source: Source,
    pub key: Key,
    pub why: WhyLeftOut,
}

/// Why an undeclared key is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum WhyLeftOut {
    /// See [`EnvName::is_dangerous`].
    Dangerous,
    /// It does not map to a valid name.
    NoName,
}

/// The result for one name.
#[derive(Debug)]
pub struct Resolved {
    pub name: EnvName,
    pub rule: SecretRule,
    pub is_declared: bool,
    /// In the order of their rank; at least one per candidate.
    pub tried: Vec<Tried>,
}

/// The result for one candidate. If two keys of a source map to one name, a candidate has two.
#[derive(Debug)]
pub struct Tried {
    pub candidate: Candidate,
    /// The key in the source, if it was found.
    pub key: Option<Key>,
    /// Whether its environment or color is selected or assumed.
    pub is_used: bool,
    pub fate: Fate,
}

#[derive(Debug)]
pub enum Fate {
    Absent,
    /// It has the same rank as another that exists.
    Ambiguous,
    /// Reading it is denied, in a place that denies what does not exist too.
    Denied(ProviderError),
    /// It exists, but cannot be read.
    Failed(ProviderError),
    /// It is the value.
    Found(Box<Value>),
    /// It exists, but another takes precedence.
    Shadowed,
    /// Its source is unavailable.
    Unavailable,
    /// It exists, but its environment or color is not selected.
    Unselected,
}

impl Resolution {
    /// The secrets and the rotation timestamp.
    pub fn all(&self) -> impl Iterator<Item = &Resolved> {
        self.secrets.iter().chain(&self.rotation_stamp)
    }

    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Resolved> {
        self.secrets.iter().find(|resolved| resolved.name.as_str() == name)
    }

    /// Candidates that exist, but whose environment or color is not selected.
    pub fn unselected(&self) -> impl Iterator<Item = (&Resolved, &Tried)> {
        let all = self.all().flat_map(|resolved| resolved.tried.iter().map(move |it| (resolved, it)));
        all.filter(|(_, tried)| matches!(tried.fate, Fate::Unselected))
    }

    /// The secrets that the app gets; empty ones only if `allow_empty` is set.
    pub fn accepted(&self) -> impl Iterator<Item = Accepted<'_>> {
        self.secrets.iter().filter_map(Resolved::accepted)
    }
}

impl Resolved {
    /// The candidate with the highest rank that exists, or may exist.
    #[must_use]
    pub fn decisive(&self) -> Option<&Tried> {
        let decides =
            |fate: &Fate| !matches!(fate, Fate::Absent | Fate::Denied(_) | Fate::Shadowed | Fate::Unselected);
        self.tried.iter().find(|tried| tried.is_used && decides(&tried.fate))
    }

    /// Why it may exist although it was not found.
    #[must_use]
    pub fn denial(&self) -> Option<&ProviderError> {
        self.tried.iter().filter(|tried| tried.is_used).find_map(|tried| match &tried.fate {
            Fate::Denied(error) => Some(error),
            _ => None,
        })
    }

    /// The value, and the candidate that has it.
    #[must_use]
    pub fn found(&self) -> Option<(&Tried, &Value)> {
        let tried = self.decisive()?;
        match &tried.fate {
            Fate::Found(value) => Some((tried, value)),
            _ => None,
        }
    }

    /// The value as the app gets it; an empty one only if `allow_empty` is set.
    #[must_use]
    pub fn accepted(&self) -> Option<Accepted<'_>> {
        let (tried, value) = self.found()?;
        let bytes = value.secret.expose_as(self.rule.newline);
        (self.rule.allow_empty || !bytes.is_empty()).then_some(Accepted {
            name: &self.name,
            rule: &self.rule,
            tried,
            value,
        })
    }

    /// The version that was read, for reports.
    #[must_use]
    pub fn version(&self) -> Option<String> {
        self.found().and_then(|(_, value)| value.version.as_deref().map(escaped))
    }

    /// Whether a value exists, but is empty after the trailing newline is stripped, and `allow_empty` is not set.
    #[must_use]
    pub fn is_emptied(&self) -> bool {
        self.found().is_some() && self.accepted().is_none()
    }

    /// The keys with the same rank that map to this name.
    #[must_use]
    pub fn ambiguous(&self) -> Vec<&Tried> {
        self.tried.iter().filter(|tried| matches!(tried.fate, Fate::Ambiguous)).collect()
    }
}

impl Tried {
    /// Source and key for a message: `files db_password`.
    #[must_use]
    pub fn label(&self) -> String {
        match &self.key {
            Some(key) => format!("{} {key}", self.candidate.source.text()),
            None => self.candidate.label(),
        }
    }

    /// The key that was found, or else the name that was looked up.
    #[must_use]
    pub fn key_text(&self) -> String {
        self.key.as_ref().map_or_else(|| self.candidate.sought.to_string(), ToString::to_string)
    }
}

/// A secret that the app gets.
#[derive(Debug, Clone, Copy)]
pub struct Accepted<'a> {
    pub name: &'a EnvName,
    pub rule: &'a SecretRule,
    pub tried: &'a Tried,
    pub value: &'a Value,
}

impl<'a> Accepted<'a> {
    /// The bytes of the value as a variable.
    #[must_use]
    pub fn variable_bytes(&self) -> &'a [u8] {
        self.value.secret.expose_as(self.rule.newline)
    }
}
