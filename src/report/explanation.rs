//! Why one name has the value that it has.

use std::fmt::Write as _;

use serde::Serialize;

use super::remote::Remote;
use crate::plan::Use;
use crate::resolve::{Fate, Resolved, Tried, Visit};
use crate::rules::rotation::Ages;
use crate::secret::Newline;

/// What `explain` says of one name.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Explanation {
    /// The app's name for it.
    pub name: String,
    /// Whether the app needs it.
    pub required: bool,
    /// What it comes to.
    pub outcome: String,
    /// Which version of it was read, where the provider has versions.
    pub version: Option<String>,
    /// Its age in whole days, where it is known.
    pub age_days: Option<u64>,
    /// Every place that was looked at, the highest first.
    pub places: Vec<Place>,
    /// The remote sources among them that were asked.
    pub remote: Vec<Remote>,
    /// What happens to the value on its way.
    pub notes: Vec<String>,
}

/// One place.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Place {
    /// The provider.
    pub source: &'static str,
    /// The secret's name there.
    pub key: String,
    /// The environment or color that it is for.
    pub variant: Option<String>,
    /// What became of it.
    pub fate: String,
}

impl Explanation {
    /// Explains a name.
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

    /// For people.
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

    /// For machines; the schema is `docs/schema/explain.json`.
    #[must_use]
    pub fn json(explanations: &[Self]) -> String {
        // Texts, numbers and truth values only: serialising them cannot fail.
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
        Fate::Found(_) | Fate::Absent | Fate::Shadowed | Fate::Unselected => {
            format!("from {}", tried.label())
        }
    }
}

fn fate(tried: &Tried) -> String {
    match &tried.fate {
        Fate::Absent => "does not exist".into(),
        Fate::Ambiguous => "exists, and so does another of the same rank".into(),
        Fate::Failed(error) => error.to_string(),
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
        notes.push(format!("one final line end ({kind}) is taken off for the variable; a file keeps it"));
    }
    if resolved.is_emptied() {
        notes.push("it is empty, so it is not set".into());
    }
    notes
}
