//! `NAME_FILE=/path`: the file's content is the value of NAME, as the docker-library images have it. `NAME__FILE` and
//! `FILE__NAME`, as other images have it, are the same.

use std::path::{Path, PathBuf};

use super::files::error::{FileError, mode};
use super::{Answer, Deadline, Found, Key, Provider, ProviderError, Reading, Request, Value, Want};
use crate::environ::Environ;
use crate::escape::{escaped, escaped_path};
use crate::provider::Cause as _;
use crate::system::read;

/// What the name of such a variable ends with.
pub const SUFFIX: &str = "_FILE";

/// The `NAME_FILE` variable of a name.
#[must_use]
pub fn of(name: &str) -> String {
    [name, SUFFIX].concat()
}

/// The variable that names a file for a `NAME_FILE`, and the file: that variable itself, or another spelling that
/// images use.
#[must_use]
pub fn set(environ: &Environ, file_variable: &str) -> Option<(String, PathBuf)> {
    let usual = || environ.path(file_variable).map(|path| (file_variable.to_owned(), path));
    usual().or_else(|| {
        let name = file_variable.strip_suffix(SUFFIX)?;
        let spellings = [format!("{name}__FILE"), format!("FILE__{name}")];
        spellings.into_iter().find_map(|variable| environ.path(&variable).map(|path| (variable, path)))
    })
}

/// Whether a variable may name a file in any of these spellings: almost no environment has one, and then there is
/// nothing to look up.
fn may_name_a_file(variable: &[u8]) -> bool {
    variable.ends_with(SUFFIX.as_bytes()) || variable.starts_with(b"FILE__")
}

/// The name that a variable gives a file for, in any of these spellings.
#[must_use]
pub fn name_of(variable: &str) -> Option<&str> {
    let name = variable.strip_suffix("__FILE").or_else(|| variable.strip_prefix("FILE__"));
    name.or_else(|| variable.strip_suffix(SUFFIX)).filter(|name| !name.is_empty())
}

/// The variables that name files. The operator chose the paths, so they may lead anywhere.
#[derive(Debug)]
pub struct FileVariables<'a> {
    /// The variables.
    pub environ: &'a Environ,
    /// Whether files with looser modes than 0400 are refused.
    pub strict_permissions: bool,
}

impl Provider for FileVariables<'_> {
    fn read(&self, request: &Request, deadline: Deadline) -> Result<Answer, ProviderError> {
        let mut answer = Answer::default();
        if !self.environ.entries().any(|entry| may_name_a_file(entry.name())) {
            return Ok(answer);
        }
        for (key, want) in &request.keys {
            let found = self.read_one(key, *want, deadline, &mut answer.advice);
            answer.found.extend(found);
        }
        Ok(answer)
    }

    fn resolved(&self, request: &Request) -> Vec<Option<PathBuf>> {
        if !self.environ.entries().any(|entry| may_name_a_file(entry.name())) {
            return Vec::new();
        }
        let paths = request.keys.iter().filter_map(|(key, _)| set(self.environ, &key.path));
        paths.map(|(_, path)| path.canonicalize().ok()).collect()
    }
}

impl FileVariables<'_> {
    fn read_one(&self, key: &Key, want: Want, deadline: Deadline, advice: &mut Vec<String>) -> Option<Found> {
        let (variable, path) = set(self.environ, &key.path)?;
        let reading = match want {
            Want::Existence => Reading::Exists,
            Want::Value => match self.value(key, &variable, &path, deadline, advice) {
                Ok(value) => Reading::Value(Box::new(value)),
                Err(error) => Reading::Failed(error),
            },
        };
        Some(Found { key: key.clone(), name: None, reading })
    }

    fn value(
        &self,
        key: &Key,
        variable: &str,
        path: &Path,
        deadline: Deadline,
        advice: &mut Vec<String>,
    ) -> Result<Value, ProviderError> {
        let name = key.path.strip_suffix(SUFFIX).unwrap_or(&key.path);
        if self.environ.set(name).is_some() {
            return Err(FileError::BothVariables.at(escaped(name)));
        }
        if deadline.has_passed() {
            return Err(FileError::Time.at(place(variable, path)));
        }
        let (bytes, stat) = read::read_path(path).map_err(|error| {
            FileError::from((error, rustix::fs::stat(path).ok().as_ref())).at(place(variable, path))
        })?;
        let value = Value::new(bytes);
        let mode = mode(&stat);
        match mode & !0o400 {
            0 => {}
            _ if self.strict_permissions => {
                return Err(FileError::LooseMode { mode }.at(place(variable, path)));
            }
            _ => advice.push(format!(
                "{} has mode {mode:04o}; 0400 with the app's uid is enough",
                place(variable, path)
            )),
        }
        Ok(value)
    }
}

/// The variable for a message, with what it is set to, unless that may be the secret itself: people mistake `NAME_FILE`
/// for NAME.
fn place(variable: &str, path: &Path) -> String {
    let is_path = path.is_absolute() || path.starts_with(".") || path.starts_with("..");
    if is_path || rustix::fs::lstat(path).is_ok() {
        return format!("{}={}", escaped(variable), escaped_path(path));
    }
    format!("{} (its value is not shown, since it does not look like a path)", escaped(variable))
}
