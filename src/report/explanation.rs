//! Why one name has the value that it has.

use std::fmt::Write as _;
use std::time::SystemTime;

use serde::Serialize;

use crate::plan::{Candidate, Use};
use crate::resolve::{Fate, Outcome, Resolution, Resolved};
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
    /// Its age in whole days, where it is known.
    pub age_days: Option<u64>,
    /// Every place that was looked at, the highest first.
    pub places: Vec<Place>,
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
    pub fn new(resolved: &Resolved<'_>, resolution: &Resolution<'_>) -> Self {
        let places = resolved.entry.candidates.iter().zip(&resolved.fates);
        Self {
            name: resolved.entry.name.to_string(),
            required: resolved.entry.rule.required,
            outcome: outcome(resolved),
            age_days: Ages::new(resolution, SystemTime::now()).in_days(resolved),
            places: places.map(|(candidate, fate)| Place::new(candidate, fate)).collect(),
            notes: notes(resolved),
        }
    }

    /// For people.
    #[must_use]
    pub fn text(&self) -> String {
        let need = if self.required { "required" } else { "optional" };
        let mut text = format!("{} ({need}): {}\n", self.name, self.outcome);
        if let Some(days) = self.age_days {
            let _ = writeln!(text, "  age: {days} days");
        }
        let width = self.places.iter().map(|place| place.label().chars().count()).max().unwrap_or_default();
        for place in &self.places {
            let _ = writeln!(text, "  {:<width$}  {}", place.label(), place.fate);
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
    fn new(candidate: &Candidate, fate: &Fate) -> Self {
        Self {
            source: candidate.source.text(),
            key: candidate.key.to_string(),
            variant: candidate.variant.as_ref().map(ToString::to_string),
            fate: fate_text(candidate, fate),
        }
    }

    fn label(&self) -> String {
        format!("{} {}", self.source, self.key)
    }
}

fn outcome(resolved: &Resolved<'_>) -> String {
    match &resolved.outcome {
        Outcome::Absent => "no place has it".into(),
        Outcome::Collision(one, other) => format!("{} and {} both stand for it", one.key, other.key),
        Outcome::Failed(candidate, _) => {
            format!("{} {} should win and cannot be used", candidate.source.text(), candidate.key)
        }
        Outcome::Found(value) => format!("from {} {}", value.candidate.source.text(), value.candidate.key),
        Outcome::Unasked(source) => format!("{} could not be asked", source.text()),
    }
}

fn fate_text(candidate: &Candidate, fate: &Fate) -> String {
    match fate {
        Fate::Absent => "not there".into(),
        Fate::Collides => "also there, with the same rank".into(),
        Fate::Failed(error) => error.to_string(),
        Fate::Lost => "there, but a more specific name or a later provider wins".into(),
        Fate::Noticed if candidate.use_of == Use::Never => {
            "there, but its color or environment is not selected".into()
        }
        Fate::Noticed => "there, but no environment is selected and several have secrets".into(),
        Fate::Unasked => "could not be asked".into(),
        Fate::Won => "this is the value".into(),
    }
}

fn notes(resolved: &Resolved<'_>) -> Vec<String> {
    let Some(value) = resolved.outcome.value() else { return Vec::new() };
    let mut notes = Vec::new();
    if let (Newline::StripOne, Some(end)) = (resolved.entry.rule.newline, value.secret.line_end()) {
        let kind = if end == "\n" { "LF" } else { "CR LF" };
        notes.push(format!("one final line end ({kind}) is taken off for the variable; a file keeps it"));
    }
    if value.is_empty(resolved.entry) && !resolved.entry.rule.allow_empty {
        notes.push("it is empty, so it is not set".into());
    }
    notes
}
