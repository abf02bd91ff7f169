//! What a start came to, and what is asked of it.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Canaries, Tree};

/// What a start came to.
pub(crate) struct Outcome {
    /// The exit code; 128+n where signal n ended it.
    pub(crate) code: i32,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
    pub(crate) took: Duration,
    pub(super) before: Tree,
    pub(super) after: Tree,
    pub(super) canaries: Canaries,
}

/// The environment that the app saw.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct App {
    pub(crate) entries: Vec<Vec<u8>>,
}

impl Outcome {
    /// It ended before the app ran: with this code, a last line that says so, a message about this name in two
    /// parts, nothing of a value in the output, and nothing left behind.
    #[track_caller]
    pub(crate) fn refused(&self, code: i32, phase: &str, name: &str, reason: &str) -> &Self {
        let log = &self.stderr;
        assert_eq!(self.code, code, "{log}");
        let last = log.lines().last().unwrap_or_default();
        let summary = after_time(last).strip_prefix("error ").unwrap_or_default();
        assert!(summary.starts_with(&format!("exit code={code} phase={phase} names=")), "last line: {last}");
        assert!(names_in(summary, "names=").any(|it| it == name), "{name} in the last line: {last}");
        assert!(names_in(summary, "reason=").any(|it| it == reason), "{reason} in the last line: {last}");
        let about = |line: &&str| line.contains(name) && line.contains("; fix: ");
        assert!(self.errors().any(|line| about(&line)), "no message about {name} says what to do:\n{log}");
        self.nothing_happened()
    }

    /// The app did not run, every error says what to do, and nothing is left behind.
    #[track_caller]
    pub(crate) fn nothing_happened(&self) -> &Self {
        let log = &self.stderr;
        for line in self.errors().filter(|line| !line.contains(" error exit code=")) {
            assert!(line.contains("; fix: "), "what is to be done? {line}");
        }
        assert_eq!(String::from_utf8_lossy(&self.stdout), "", "the app ran:\n{log}");
        assert_eq!(self.before, self.after, "something was left behind or changed:\n{log}");
        self
    }

    /// The log holds this.
    #[track_caller]
    pub(crate) fn says(&self, text: &str) -> &Self {
        assert!(self.stderr.contains(text), "`{text}` is not in:\n{}", self.stderr);
        self
    }

    /// The log does not hold this.
    #[track_caller]
    pub(crate) fn does_not_say(&self, text: &str) -> &Self {
        assert!(!self.stderr.contains(text), "`{text}` is in:\n{}", self.stderr);
        self
    }

    /// One warning holds all of these.
    #[track_caller]
    pub(crate) fn warns(&self, texts: &[&str]) -> &Self {
        let found = self.lines_of("warn").filter(|line| texts.iter().all(|text| line.contains(text))).count();
        assert_eq!(found, 1, "{found} warnings with {texts:?} in:\n{}", self.stderr);
        self
    }

    /// No warning but that the app runs as root.
    #[track_caller]
    pub(crate) fn warns_of_nothing(&self) -> &Self {
        let rest: Vec<&str> = self.lines_of("warn").filter(|line| !line.contains("as root")).collect();
        assert!(rest.is_empty(), "{rest:?}");
        self
    }

    /// The app ran and showed its environment.
    #[track_caller]
    pub(crate) fn app(&self) -> App {
        self.succeeded();
        let entries = self.stdout.split(|byte| *byte == 0).filter(|entry| !entry.is_empty());
        App { entries: entries.map(<[u8]>::to_vec).collect() }
    }

    /// What the app wrote.
    #[track_caller]
    pub(crate) fn text(&self) -> &str {
        self.succeeded();
        std::str::from_utf8(&self.stdout).unwrap()
    }

    #[track_caller]
    pub(crate) fn succeeded(&self) -> &Self {
        assert_eq!(self.code, 0, "{}", self.stderr);
        self
    }

    /// What `check` or `explain` printed with `--format json`.
    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.stdout).unwrap()
    }

    /// Standard output as text, whatever the code.
    pub(crate) fn printed(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Nothing of a value is in something else that cryokey wrote.
    #[track_caller]
    pub(crate) fn leaks_nothing_into(&self, text: &[u8]) -> &Self {
        self.canaries.refuse(text);
        self
    }

    fn errors(&self) -> impl Iterator<Item = &str> {
        self.lines_of("error")
    }

    fn lines_of(&self, level: &str) -> impl Iterator<Item = &str> {
        let level = format!("{level} ");
        self.stderr.lines().filter(move |line| after_time(line).starts_with(&level))
    }
}

impl App {
    /// The value of a variable.
    pub(crate) fn get(&self, name: &str) -> Option<&[u8]> {
        let start = format!("{name}=");
        self.entries.iter().find_map(|entry| entry.strip_prefix(start.as_bytes()))
    }

    #[track_caller]
    pub(crate) fn has(&self, name: &str, value: impl AsRef<[u8]>) -> &Self {
        let shown = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
        assert_eq!(self.get(name).map(shown), Some(shown(value.as_ref())), "{name}");
        assert_eq!(self.get(name), Some(value.as_ref()), "{name}, byte for byte");
        self
    }

    #[track_caller]
    pub(crate) fn has_no(&self, name: &str) -> &Self {
        assert!(self.get(name).is_none(), "the app has {name}");
        self
    }

    pub(crate) fn map(&self) -> BTreeMap<&[u8], &[u8]> {
        self.entries
            .iter()
            .filter_map(|entry| {
                let equals = entry.iter().position(|byte| *byte == b'=')?;
                Some((&entry[..equals], &entry[equals + 1..]))
            })
            .collect()
    }
}

fn after_time(line: &str) -> &str {
    line.split_once("Z ").map_or("", |(_, rest)| rest)
}

fn names_in<'a>(summary: &'a str, part: &str) -> impl Iterator<Item = &'a str> {
    let words = summary.split(' ').find_map(|word| word.strip_prefix(part)).unwrap_or_default();
    words.split(',')
}
