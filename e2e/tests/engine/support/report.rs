//! What the probe saw, and questions about it.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use serde_json::Value;

use super::CONTRACT;

/// The probe's report.
#[derive(Debug)]
pub(crate) struct Report(Value);

impl Report {
    /// From what a container printed. Anything but one line is an error: the app's standard output belongs to the app.
    #[track_caller]
    pub(crate) fn parse(stdout: &str) -> Self {
        assert_eq!(
            stdout.trim_end().lines().count(),
            1,
            "the app's standard output is not its own: {stdout}"
        );
        Self(serde_json::from_str(stdout).unwrap_or_else(|error| panic!("no report ({error}): {stdout}")))
    }

    /// The variable has exactly this value.
    #[track_caller]
    pub(crate) fn has(&self, name: &str, value: impl AsRef<[u8]>) -> &Self {
        assert!(self.variable(name).is_some(), "the app has no variable {name}");
        assert!(self.is(name, value.as_ref()), "the variable {name} has another value");
        self
    }

    pub(crate) fn is(&self, name: &str, value: impl AsRef<[u8]>) -> bool {
        self.variable(name).is_some_and(|seen| is_content(seen, value.as_ref()))
    }

    /// The contract's secrets.
    #[track_caller]
    pub(crate) fn has_contract(&self) -> &Self {
        CONTRACT.iter().fold(self, |report, (name, value)| report.has(name, value))
    }

    #[track_caller]
    pub(crate) fn has_no(&self, name: &str) -> &Self {
        assert!(self.variable(name).is_none(), "the app has a variable {name}");
        self
    }

    /// No variable of cryokey's own is left.
    #[track_caller]
    pub(crate) fn has_nothing_of_ours(&self) -> &Self {
        let names = self.0["environment"].as_object().unwrap().keys();
        let ours: Vec<_> = names.filter(|name| name.starts_with("CRYOKEY_")).collect();
        assert!(ours.is_empty(), "the app has {ours:?}");
        self
    }

    /// A variable that holds a path.
    #[track_caller]
    pub(crate) fn path(&self, name: &str) -> &str {
        self.variable(name).and_then(|seen| seen["text"].as_str()).unwrap()
    }

    fn variable(&self, name: &str) -> Option<&Value> {
        self.0["environment"].get(name)
    }

    /// The numbers of the open descriptors.
    pub(crate) fn descriptors(&self) -> Vec<u32> {
        let all = self.0["descriptors"].as_object().unwrap();
        let mut numbers: Vec<u32> = all.keys().map(|key| key.parse().unwrap()).collect();
        numbers.sort_unstable();
        numbers
    }

    /// One of the facts about the process, as text.
    #[track_caller]
    pub(crate) fn process(&self, fact: &str) -> String {
        let value = self.0["process"].get(fact).unwrap();
        value.as_str().map_or_else(|| value.to_string(), str::to_owned)
    }

    /// All processes of the container: `1 cryokey S 65534`, by number, name, state and uid.
    pub(crate) fn processes(&self) -> Vec<&str> {
        self.0["process"]["all_processes"].as_array().unwrap().iter().filter_map(Value::as_str).collect()
    }

    pub(crate) fn arguments(&self) -> Vec<&str> {
        self.0["arguments"].as_array().unwrap().iter().filter_map(Value::as_str).collect()
    }

    /// A file that the probe is asked to report.
    #[track_caller]
    pub(crate) fn file(&self, path: &str) -> File<'_> {
        let seen = &self.0["files"][path];
        assert!(seen["length"].is_u64(), "{path}: {seen}");
        File(seen)
    }

    /// Everything below a directory that the probe is asked to report: path and `file 0400 65534:65534`.
    #[track_caller]
    pub(crate) fn tree(&self, directory: &str) -> Vec<(&str, &str)> {
        let all = self.0["directories"][directory].as_object().unwrap();
        all.iter().map(|(path, state)| (path.as_str(), state.as_str().unwrap())).collect()
    }
}

/// A file as the app saw it.
pub(crate) struct File<'a>(&'a Value);

impl File<'_> {
    #[track_caller]
    pub(crate) fn holds(&self, bytes: impl AsRef<[u8]>) -> &Self {
        assert!(self.has_content(bytes), "other bytes: {}", self.0);
        self
    }

    pub(crate) fn has_content(&self, bytes: impl AsRef<[u8]>) -> bool {
        is_content(self.0, bytes.as_ref())
    }

    /// `file 0400 65534:65534`
    #[track_caller]
    pub(crate) fn is(&self, wanted: &str) -> &Self {
        assert_eq!(self.0["state"], wanted);
        self
    }

    /// The same about the directory that it is in.
    #[track_caller]
    pub(crate) fn is_in(&self, wanted: &str) -> &Self {
        assert_eq!(self.0["directory"], wanted);
        self
    }
}

/// Compares by length and fingerprint, as the probe computes them; it tells no values.
fn is_content(seen: &Value, wanted: &[u8]) -> bool {
    let mut hasher = DefaultHasher::new();
    wanted.hash(&mut hasher);
    seen["length"] == wanted.len() && seen["fingerprint"] == format!("{:016x}", hasher.finish())
}
