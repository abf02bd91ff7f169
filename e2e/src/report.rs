//! What the probe saw, and questions about it.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use serde_json::Value;

use crate::expect::{equal, expect};

/// The probe's report.
pub(crate) struct Report(Value);

impl Report {
    /// From what a container printed. Anything but one line is an error: the app's standard output belongs to the app.
    pub(crate) fn parse(stdout: &str) -> Result<Self, String> {
        expect(stdout.trim_end().lines().count() == 1, || {
            format!("the app's standard output is not its own: {stdout}")
        })?;
        serde_json::from_str(stdout).map(Self).map_err(|error| format!("no report ({error}): {stdout}"))
    }

    /// The variable has exactly this value.
    pub(crate) fn has(&self, name: &str, value: impl AsRef<[u8]>) -> Result<(), String> {
        let seen = self.variable(name).ok_or_else(|| format!("the app has no variable {name}"))?;
        is_content(&format!("variable {name}"), seen, value.as_ref())
    }

    pub(crate) fn has_no(&self, name: &str) -> Result<(), String> {
        expect(self.variable(name).is_none(), || format!("the app has a variable {name}"))
    }

    /// A variable that holds a path.
    pub(crate) fn path(&self, name: &str) -> Result<&str, String> {
        let text = self.variable(name).and_then(|seen| seen.get("text")).and_then(Value::as_str);
        text.ok_or_else(|| format!("the app has no variable {name}"))
    }

    fn variable(&self, name: &str) -> Option<&Value> {
        self.0.get("environment")?.get(name)
    }

    /// Nothing of ours is left: no variable of cryokey's own.
    pub(crate) fn has_nothing_of_ours(&self) -> Result<(), String> {
        let names =
            self.0.get("environment").and_then(Value::as_object).into_iter().flat_map(|all| all.keys());
        let ours: Vec<_> = names.filter(|name| name.starts_with("CRYOKEY_")).collect();
        expect(ours.is_empty(), || format!("the app has {ours:?}"))
    }

    /// The numbers of the open descriptors.
    pub(crate) fn descriptors(&self) -> Vec<u32> {
        let all = self.0.get("descriptors").and_then(Value::as_object);
        let mut numbers: Vec<u32> =
            all.into_iter().flat_map(|all| all.keys()).filter_map(|key| key.parse().ok()).collect();
        numbers.sort_unstable();
        numbers
    }

    /// One of the facts about the process, as text.
    pub(crate) fn process(&self, fact: &str) -> String {
        let value = self.0.get("process").and_then(|process| process.get(fact));
        value
            .map_or_else(String::new, |value| value.as_str().map_or_else(|| value.to_string(), str::to_owned))
    }

    pub(crate) fn arguments(&self) -> Vec<&str> {
        let all = self.0.get("arguments").and_then(Value::as_array);
        all.into_iter().flatten().filter_map(Value::as_str).collect()
    }

    /// A file that the probe was told to report.
    pub(crate) fn file(&self, path: &str) -> Result<File<'_>, String> {
        let seen = self.0.get("files").and_then(|files| files.get(path));
        let seen = seen.ok_or_else(|| format!("{path} was not reported"))?;
        match seen.get("error") {
            Some(error) => Err(format!("{path}: {error}")),
            None => Ok(File { path: path.to_owned(), seen }),
        }
    }

    /// Everything below a folder that the probe was told to report: path and `file 0400 65534:65534`.
    pub(crate) fn tree(&self, folder: &str) -> Result<Vec<(String, String)>, String> {
        let all = self.0.get("folders").and_then(|folders| folders.get(folder)).and_then(Value::as_object);
        let all = all.ok_or_else(|| format!("{folder} was not reported"))?;
        Ok(all
            .iter()
            .map(|(path, state)| (path.clone(), state.as_str().unwrap_or_default().to_owned()))
            .collect())
    }
}

/// A file as the app saw it.
pub(crate) struct File<'a> {
    path: String,
    seen: &'a Value,
}

impl File<'_> {
    pub(crate) fn holds(&self, bytes: impl AsRef<[u8]>) -> Result<&Self, String> {
        is_content(&self.path, self.seen, bytes.as_ref()).map(|()| self)
    }

    /// `file 0400 65534:65534`
    pub(crate) fn is(&self, wanted: &str) -> Result<&Self, String> {
        equal(&self.path, &self.text("state"), &wanted).map(|()| self)
    }

    /// The same about the folder that it is in.
    pub(crate) fn is_in(&self, wanted: &str) -> Result<&Self, String> {
        equal(&format!("the folder of {}", self.path), &self.text("folder"), &wanted).map(|()| self)
    }

    fn text(&self, field: &str) -> &str {
        self.seen.get(field).and_then(Value::as_str).unwrap_or_default()
    }
}

/// Compares by length and fingerprint; the probe tells no values.
fn is_content(what: &str, seen: &Value, wanted: &[u8]) -> Result<(), String> {
    let length = seen.get("length").and_then(Value::as_u64).unwrap_or_default();
    equal(&format!("the length of {what}"), &length, &(wanted.len() as u64))?;
    let same = seen.get("fingerprint").and_then(Value::as_str) == Some(&fingerprint(wanted));
    expect(same, || format!("{what} has the right length and other bytes"))
}

/// As the probe computes it.
fn fingerprint(bytes: &[u8]) -> String {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}
