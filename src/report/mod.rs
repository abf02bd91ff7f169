//! The reports of `check` and `explain`, as tables and as JSON. They never contain a value.

pub mod explanation;
pub mod remote;

use std::fmt::Write as _;

use serde::Serialize;

use crate::config::Config;
use crate::delivery::Delivery;
use crate::delivery::files::Place;
use crate::error::{Failure, Problem};
use crate::manifest::Deliver;
use crate::manifest::locate::Origin;
use crate::resolve::{Fate, Resolution, Resolved, Tried};
use crate::rules::Findings;
use crate::rules::rotation::Ages;
use crate::run_as::Selected;
use remote::Remote;

/// The report of `cryokey check`.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Report {
    /// The version of cryokey that wrote it.
    pub cryokey: &'static str,
    /// The path of the manifest; `built-in` if none was found.
    pub manifest: String,
    /// The selected environment, if any.
    pub environment: Option<String>,
    /// The selected color, if any.
    pub color: Option<String>,
    /// The user that the manifest selects for the app; null if the app runs as the user that cryokey was started as.
    pub user: Option<User>,
    /// The remote sources that were read.
    pub remote: Vec<Remote>,
    /// The declared secrets, by name.
    pub secrets: Vec<Row>,
    /// The problems that stop startup.
    pub problems: Vec<Finding>,
    /// The problems that do not stop startup.
    pub warnings: Vec<Finding>,
    /// Modes that are wider than needed.
    pub advice: Vec<String>,
    /// The exit code of `run` before the app is started; 0 if it would be started.
    pub exit_code: u8,
}

/// The user that the app runs as.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct User {
    /// Its user id.
    pub uid: u32,
    /// Its group id.
    pub gid: u32,
    /// Its supplementary groups.
    pub groups: Vec<u32>,
    /// HOME of the app.
    pub home: String,
}

/// One secret.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Row {
    /// The name that the app uses.
    pub name: String,
    /// Whether the app must not start without it.
    pub required: bool,
    /// Whether the manifest declares it.
    pub declared: bool,
    /// Whether it was found, and if not, why.
    pub state: State,
    /// The source in which it was found.
    pub source: Option<&'static str>,
    /// Its name in that source.
    pub key: Option<String>,
    /// The version that was read, if the provider has versions.
    pub version: Option<String>,
    /// Its age in whole days, if known.
    pub age_days: Option<u64>,
    /// How the app gets it.
    pub delivery: &'static str,
}

/// Whether a secret was found, and if not, why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// No source has it.
    Absent,
    /// Several keys map to it.
    Ambiguous,
    /// It exists and is empty, so it is not set.
    Empty,
    /// It exists, but cannot be read.
    Failed,
    /// It exists and can be read.
    Found,
    /// The source that may have it is unavailable.
    Unavailable,
}

/// A problem or a warning in a report.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Finding {
    /// The secrets, variables or settings concerned.
    pub names: Vec<String>,
    /// The kind of problem, as one word.
    pub reason: &'static str,
    /// What happened.
    pub what: String,
    /// How to fix it.
    pub fix: String,
    /// The exit code of the problem; a warning has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<u8>,
}

impl Report {
    #[must_use]
    pub fn new(
        resolution: &Resolution,
        findings: &Findings,
        delivery: &Delivery<'_>,
        config: &Config,
        ages: Ages,
        failure: Option<&Failure>,
    ) -> Self {
        let place = delivery.place();
        Self {
            cryokey: env!("CARGO_PKG_VERSION"),
            manifest: match &config.origin {
                Origin::BuiltIn => "built-in".to_owned(),
                Origin::File(path) => path.to_string_lossy().into_owned(),
            },
            environment: config.selection.environment.as_ref().map(ToString::to_string),
            color: config.selection.color.as_ref().map(ToString::to_string),
            user: delivery.run_as().selected().map(User::new),
            remote: resolution.visits.iter().map(Remote::new).collect(),
            secrets: resolution.secrets.iter().map(|resolved| Row::new(resolved, ages, place)).collect(),
            problems: findings.errors.iter().map(Finding::error).collect(),
            warnings: findings.warnings.iter().map(Finding::warning).collect(),
            advice: resolution
                .advice
                .iter()
                .cloned()
                .chain(memory_files(resolution, place, delivery.run_as().uid()))
                .collect(),
            exit_code: failure.map_or(0, |failure| failure.exit().code()),
        }
    }

    /// The schema is `docs/schema/check.json`.
    #[must_use]
    pub fn json(&self) -> String {
        // Serialising strings, numbers and booleans cannot fail.
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }

    /// Colors only repeat what the words say.
    #[must_use]
    pub fn table(&self, in_color: bool) -> String {
        let mut text = self.heading();
        let rows: Vec<[String; 6]> = self.secrets.iter().map(Row::cells).collect();
        let header = ["SECRET", "NEED", "STATE", "FROM", "AGE", "DELIVERED AS"].map(str::to_owned);
        text.push_str(&columns(&header, &rows, in_color));
        for (word, entries) in [("problem", &self.problems), ("warning", &self.warnings)] {
            for finding in entries {
                let _ = write!(text, "\n{word}: {}\n  fix: {}\n", finding.what, finding.fix);
            }
        }
        if !self.advice.is_empty() {
            text.push('\n');
        }
        for advice in &self.advice {
            let _ = writeln!(text, "advice: {advice}");
        }
        let _ = match self.exit_code {
            0 => writeln!(
                text,
                "\nNot tried, and counted as passed: writing files and keys, and the app's own command. The app would \
                 start."
            ),
            code => writeln!(text, "\nThe app would not start: exit code {code}."),
        };
        text
    }

    fn heading(&self) -> String {
        let or_none = |selected: &Option<String>| selected.clone().unwrap_or_else(|| "none".into());
        let remote: String = self.remote.iter().map(|remote| remote.text() + "\n").collect();
        let user: String = self.user.iter().map(|user| user.text() + "\n").collect();
        format!(
            "manifest: {}   environment: {}   color: {}\n{user}{remote}\n",
            crate::escape::escaped(&self.manifest),
            or_none(&self.environment),
            or_none(&self.color)
        )
    }
}

#[must_use]
pub fn is_terminal() -> bool {
    std::io::IsTerminal::is_terminal(&std::io::stdout())
}

impl User {
    fn new(selected: &Selected) -> Self {
        let init::User { uid, gid, groups } = selected.user.clone();
        Self { uid, gid, groups, home: selected.home.to_string_lossy().into_owned() }
    }

    fn text(&self) -> String {
        let groups: Vec<String> = self.groups.iter().map(u32::to_string).collect();
        format!(
            "user: uid {}, gid {}, groups {}, HOME={}",
            self.uid,
            self.gid,
            groups.join(" "),
            crate::escape::escaped(&self.home)
        )
    }
}

impl Row {
    fn new(resolved: &Resolved, ages: Ages, place: &Place) -> Self {
        let found = resolved.found().map(|(tried, _)| tried);
        Self {
            name: resolved.name.to_string(),
            required: resolved.rule.required,
            declared: resolved.is_declared,
            state: State::of(resolved),
            source: found.map(|tried| tried.candidate.source.text()),
            key: found.map(Tried::key_text),
            version: resolved.version(),
            age_days: ages.in_days(resolved),
            delivery: delivery(resolved.rule.deliver, place),
        }
    }

    fn need(&self) -> &'static str {
        match (self.declared, self.required) {
            (false, _) => "undeclared",
            (true, true) => "required",
            (true, false) => "optional",
        }
    }

    fn cells(&self) -> [String; 6] {
        let place = match (self.source, &self.key) {
            (Some(source), Some(key)) => {
                let version = self.version.iter().map(|version| format!(" (version {version})"));
                format!("{source} {key}{}", version.collect::<String>())
            }
            _ => "-".into(),
        };
        [
            self.name.clone(),
            self.need().into(),
            self.state.word().into(),
            place,
            self.age_days.map_or_else(|| "-".into(), |days| format!("{days} d")),
            self.delivery.into(),
        ]
    }
}

impl State {
    fn of(resolved: &Resolved) -> Self {
        match resolved.decisive().map(|tried| &tried.fate) {
            Some(Fate::Ambiguous) => Self::Ambiguous,
            Some(Fate::Failed(_)) => Self::Failed,
            Some(Fate::Found(_)) if resolved.is_emptied() => Self::Empty,
            Some(Fate::Found(_)) => Self::Found,
            Some(Fate::Unavailable) => Self::Unavailable,
            Some(Fate::Absent | Fate::Denied(_) | Fate::Shadowed | Fate::Unselected) | None => Self::Absent,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Absent => "absent",
            Self::Ambiguous => "ambiguous",
            Self::Empty => "empty",
            Self::Failed => "failed",
            Self::Found => "found",
            Self::Unavailable => "unavailable",
        }
    }
}

impl Finding {
    fn error(problem: &Problem) -> Self {
        Self { code: Some(problem.reason.exit().code()), ..Self::warning(problem) }
    }

    fn warning(problem: &Problem) -> Self {
        Self {
            names: problem.names.clone(),
            reason: problem.reason.word(),
            what: problem.what.clone(),
            fix: problem.fix.clone(),
            code: None,
        }
    }
}

fn delivery(deliver: Deliver, place: &Place) -> &'static str {
    let has_directory = *place != Place::Memory;
    match deliver {
        Deliver::Env => "variable",
        Deliver::File if has_directory => "file",
        Deliver::File => "in-memory file (lost if the app closes descriptors or changes its uid)",
        Deliver::Both if has_directory => "variable and file",
        Deliver::Both => {
            "variable and in-memory file (lost if the app closes descriptors or changes its uid)"
        }
        Deliver::Ssh => "SSH key",
    }
}

/// Advice if a secret is delivered as an in-memory file.
fn memory_files(resolution: &Resolution, place: &Place, uid: u32) -> Option<String> {
    let is_file = |resolved: &Resolved| matches!(resolved.rule.deliver, Deliver::File | Deliver::Both);
    let is_needed = *place == Place::Memory && resolution.secrets.iter().any(is_file);
    is_needed.then(|| {
        format!(
            "no tmpfs is writable, so files are delivered in memory, only to processes that inherit their \
             descriptors; mount one: `--tmpfs /run:uid={uid},mode=0700`"
        )
    })
}

/// Aligned columns, two spaces apart.
fn columns(header: &[String; 6], rows: &[[String; 6]], in_color: bool) -> String {
    let width = |at: usize| {
        let cells = rows.iter().chain([header]).filter_map(|row| row.get(at));
        cells.map(|cell| cell.chars().count()).max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..header.len()).map(width).collect();
    let mut text = String::new();
    for row in [header].into_iter().chain(rows) {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            let padded = format!("{cell:<width$}  ");
            line.push_str(&if in_color { colored(&padded) } else { padded });
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// Green or red, by the SGR codes of ECMA-48.
fn colored(cell: &str) -> String {
    match cell.trim_end() {
        "found" => format!("\u{1b}[32m{cell}\u{1b}[0m"),
        "failed" | "ambiguous" | "unavailable" => format!("\u{1b}[31m{cell}\u{1b}[0m"),
        _ => cell.to_owned(),
    }
}
