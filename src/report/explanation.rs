//! The report of `explain`: why a name has its value.

use std::fmt::Write as _;

use serde::Serialize;

use super::remote::Remote;
use crate::plan::Use;
use crate::resolve::{Fate, Resolved, Tried, Visit};
use crate::rules::rotation::Ages;
use crate::secret::Newline;

/// The report of `cryokey explain` about one name.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Explanation {
    /// The name that the app uses.
    pub name: String,
    /// Whether the app must not start without it.
    pub required: bool,
    /// Where its value comes from, or why it has none.
    pub outcome: String,
    /// The version that was read, if the provider has versions.
    pub version: Option<String>,
    /// Its age in whole days, if known.
    pub age_days: Option<u64>,
    /// Every source and name that was looked up, in order of precedence.
    pub places: Vec<Place>,
    /// The remote sources among them that were read.
    pub remote: Vec<Remote>,
    /// What happens to the value before the app gets it.
    pub notes: Vec<String>,
}

/// One source and name that was looked up.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Place {
    /// The source.
    pub source: &'static str,
    /// The secret's name in that source.
    pub key: String,
    /// The environment or color that it is for, if any.
    pub variant: Option<String>,
    /// The result of looking it up.
    pub fate: String,
}

impl Explanation {
    #[must_use]
    pub fn new(resolved: &Resolved, ages: Ages, visits: &[Visit]) -> Self {
        let is_among = |visit: &&Visit| resolved.tried.iter().any(|it| it.candidate.source == visit.source);
        Self {
            name: resolved.name.to_string(),
            required: resolved.rule.required,
            outcome: outcome(resolved),
            version: resolved.version(),
            age_days: ages.in_days(resolved),
            places: resolved.tried.iter().map(Place::new).collect(),
            remote: visits.iter().filter(is_among).map(Remote::new).collect(),
            notes: notes(resolved),
        }
    }

    #[must_use]
    pub fn text(&self) -> String {
        let need = if self.required { "required" } else { "optional" };
        let mut text = format!("{} ({need}): {}\n", self.name, self.outcome);
        if let Some(version) = &self.version {
            let _ = writeln!(text, "  version: {version}");
        }
        if let Some(days) = self.age_days {
            let _ = writeln!(text, "  age: {days} days");
        }
        let width = self.places.iter().map(|place| place.label().chars().count()).max().unwrap_or_default();
        for place in &self.places {
            let _ = writeln!(text, "  {:<width$}  {}", place.label(), place.fate);
        }
        for remote in &self.remote {
            let _ = writeln!(text, "  {}", remote.text());
        }
        for note in &self.notes {
            let _ = writeln!(text, "  {note}");
        }
        text
    }

    /// The schema is `docs/schema/explain.json`.
    #[must_use]
    pub fn json(explanations: &[Self]) -> String {
        // Serialising strings, numbers and booleans cannot fail.
        serde_json::to_string_pretty(explanations).unwrap_or_default() + "\n"
    }
}

impl Place {
    fn new(tried: &Tried) -> Self {
        Self {
            source: tried.candidate.source.text(),
            key: tried.key_text(),
            variant: tried.candidate.variant.as_ref().map(ToString::to_string),
            fate: fate(tried),
        }
    }

    fn label(&self) -> String {
        format!("{} {}", self.source, self.key)
    }
}

fn outcome(resolved: &Resolved) -> String {
    let Some(tried) = resolved.decisive() else { return "not found anywhere".into() };
    match &tried.fate {
        Fate::Ambiguous => {
            let keys: Vec<String> = resolved.ambiguous().iter().map(|tried| tried.label()).collect();
            format!("ambiguous: {}", keys.join(" and "))
        }
        Fate::Failed(_) => format!("{} takes precedence but cannot be read", tried.label()),
        Fate::Unavailable => format!("{} is unavailable", tried.candidate.source.text()),
        Fate::Found(_) | Fate::Absent | Fate::Denied(_) | Fate::Shadowed | Fate::Unselected => {
            format!("from {}", tried.label())
        }
    }
}

fn fate(tried: &Tried) -> String {
    match &tried.fate {
        Fate::Absent => "does not exist".into(),
        Fate::Ambiguous => "exists, and so does another with the same precedence".into(),
        Fate::Denied(error) | Fate::Failed(error) => error.to_string(),
        Fate::Found(_) => "this is the value".into(),
        Fate::Shadowed => "exists, but a more specific name or a later source takes precedence".into(),
        Fate::Unavailable => "unavailable".into(),
        Fate::Unselected if tried.candidate.use_of == Use::Never => {
            "exists, but its color or environment is not selected".into()
        }
        Fate::Unselected => "exists, but no environment is selected and several have secrets".into(),
    }
}

fn notes(resolved: &Resolved) -> Vec<String> {
    let Some((_, value)) = resolved.found() else { return Vec::new() };
    let mut notes = Vec::new();
    if let (Newline::StripOne, Some(end)) = (resolved.rule.newline, value.secret.line_end()) {
        let kind = if end == "\n" { "LF" } else { "CRLF" };
        notes.push(format!("one trailing newline ({kind}) is stripped for the variable; a file keeps it"));
    }
    if resolved.is_emptied() {
        notes.push("it is empty, so it is not set".into());
    }
    notes
}
