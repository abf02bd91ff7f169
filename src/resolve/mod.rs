//! From what is wanted to what every name comes to: all places are asked, then each name is decided.

mod answers;
mod ask;
mod decide;

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

/// A place to ask, or why it could not even be opened.
pub type Opened<'a> = (Source, Result<Place<'a>, ProviderError>);

/// How a place is asked.
pub enum Place<'a> {
    /// On the calling thread.
    Local(Box<dyn Provider + 'a>),
    /// On a thread of its own, which is abandoned at the deadline. So it borrows nothing.
    Remote(Box<dyn Provider>),
}

/// Asks every place, and decides.
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

/// What every name comes to.
#[derive(Debug)]
pub struct Resolution {
    /// The declared secrets in the plan's order, then the undeclared ones that bulk sources brought.
    pub secrets: Vec<Resolved>,
    /// When the secrets were last rotated, where that is not a declared secret itself.
    pub rotation_stamp: Option<Resolved>,
    /// Places of which nothing could be asked.
    pub failures: Vec<(Source, ProviderError)>,
    /// What stands in for an environment that nobody selected.
    pub assumed: Assumed,
    /// Undeclared keys that the app does not get, by place and key, and why.
    pub left_out: Vec<LeftOut>,
    /// What the places themselves had to say.
    pub warnings: Vec<Problem>,
    /// What could be tighter.
    pub advice: Vec<String>,
    /// What was done at the places, for the log.
    pub notes: Vec<String>,
    /// What the places look like, for messages about what they do not have.
    pub states: Vec<(Source, String)>,
    /// The remote places that were asked.
    pub visits: Vec<Visit>,
    /// Variables that signed cryokey in at a remote source.
    pub consumed: Vec<String>,
    /// What is to be ended at the sources before the app runs.
    pub sessions: Vec<Session>,
}

/// A remote place that was asked, whatever it answered.
#[derive(Debug)]
pub struct Visit {
    /// Which.
    pub source: Source,
    /// How it is reached.
    pub access: Access,
    /// How long it took to answer.
    pub took: Duration,
}

/// What stands in for an environment that nobody selected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Assumed {
    /// Nothing: one was selected, or there are no secrets of any.
    Nothing,
    /// The only one that has secrets here.
    Only(Variant),
    /// None, since several have secrets here.
    Ambiguous(Vec<Variant>),
}

/// An undeclared key of a bulk source that the app does not get.
#[derive(Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// Where.
    pub source: Source,
    /// What it is called there.
    pub key: Key,
    /// Why.
    pub why: WhyLeftOut,
}

/// Why an undeclared key is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum WhyLeftOut {
    /// The name that it maps to could change what a process does before the program looks at it.
    Dangerous,
    /// It maps to no legal name.
    NoName,
}

/// What one name comes to.
#[derive(Debug)]
pub struct Resolved {
    /// The app's name for it.
    pub name: EnvName,
    /// What is asked of it.
    pub rule: SecretRule,
    /// Whether the manifest declares it.
    pub is_declared: bool,
    /// What became of each candidate, in the order of their rank; at least one for each.
    pub tried: Vec<Tried>,
}

/// What became of one candidate; of two, where two keys of a place stand for one name.
#[derive(Debug)]
pub struct Tried {
    /// Where it was looked for.
    pub candidate: Candidate,
    /// What it is called there, where it was found.
    pub key: Option<Key>,
    /// Whether its environment and color are in force.
    pub is_used: bool,
    /// What became of it.
    pub fate: Fate,
}

/// What became of a candidate.
#[derive(Debug)]
pub enum Fate {
    /// It does not exist.
    Absent,
    /// It is one of two with the same rank, and which is meant is not clear.
    Ambiguous,
    /// It exists but cannot be used.
    Failed(ProviderError),
    /// It is the value.
    Found(Box<Value>),
    /// It exists; one with a higher rank decides.
    Shadowed,
    /// Its place could not be asked.
    Unavailable,
    /// It exists; its environment or color is not selected.
    Unselected,
}

impl Resolution {
    /// The secrets, and what is read like one.
    pub fn all(&self) -> impl Iterator<Item = &Resolved> {
        self.secrets.iter().chain(&self.rotation_stamp)
    }

    /// The name, if it was wanted or found.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Resolved> {
        self.secrets.iter().find(|resolved| resolved.name.as_str() == name)
    }

    /// Candidates that exist and whose environment or color is not selected.
    pub fn unselected(&self) -> impl Iterator<Item = (&Resolved, &Tried)> {
        let all = self.all().flat_map(|resolved| resolved.tried.iter().map(move |it| (resolved, it)));
        all.filter(|(_, tried)| matches!(tried.fate, Fate::Unselected))
    }

    /// The secrets that the app gets: those with a value, empty ones only where that is allowed.
    pub fn accepted(&self) -> impl Iterator<Item = Accepted<'_>> {
        self.secrets.iter().filter_map(Resolved::accepted)
    }
}

impl Resolved {
    /// What decides: the candidate of the highest rank that exists, or may exist.
    #[must_use]
    pub fn decisive(&self) -> Option<&Tried> {
        let decides = |fate: &Fate| !matches!(fate, Fate::Absent | Fate::Shadowed | Fate::Unselected);
        self.tried.iter().find(|tried| tried.is_used && decides(&tried.fate))
    }

    /// The value and its place, if the name comes to one.
    #[must_use]
    pub fn found(&self) -> Option<(&Tried, &Value)> {
        let tried = self.decisive()?;
        match &tried.fate {
            Fate::Found(value) => Some((tried, value)),
            _ => None,
        }
    }

    /// The value as the app gets it: an empty one counts only where `allow_empty` says so.
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

    /// Whether a value exists, and is nothing after the newline rule where that is not allowed.
    #[must_use]
    pub fn is_emptied(&self) -> bool {
        self.found().is_some() && self.accepted().is_none()
    }

    /// The keys that stand for the name with the same rank, if which is meant is not clear.
    #[must_use]
    pub fn ambiguous(&self) -> Vec<&Tried> {
        self.tried.iter().filter(|tried| matches!(tried.fate, Fate::Ambiguous)).collect()
    }
}

impl Tried {
    /// The place for a message: `files db_password`.
    #[must_use]
    pub fn label(&self) -> String {
        match &self.key {
            Some(key) => format!("{} {key}", self.candidate.source.text()),
            None => self.candidate.label(),
        }
    }

    /// What it is called in its place: the key that was found, else what was looked for.
    #[must_use]
    pub fn key_text(&self) -> String {
        self.key.as_ref().map_or_else(|| self.candidate.sought.to_string(), ToString::to_string)
    }
}

/// A secret that the app gets.
#[derive(Debug, Clone, Copy)]
pub struct Accepted<'a> {
    /// The app's name for it.
    pub name: &'a EnvName,
    /// What is asked of it.
    pub rule: &'a SecretRule,
    /// Where it came from.
    pub tried: &'a Tried,
    /// Its value.
    pub value: &'a Value,
}

impl<'a> Accepted<'a> {
    /// The bytes as a variable has them.
    #[must_use]
    pub fn variable_bytes(&self) -> &'a [u8] {
        self.value.secret.expose_as(self.rule.newline)
    }
}
