//! `NAME_FILE=/path`: the file's content is the value of NAME, as the docker-library images have it.

use std::path::Path;

use super::files::error::{FileError, mode};
use super::{Answer, Deadline, Found, Key, Provider, ProviderError, Reading, Request, Value, Want};
use crate::environ::Environ;
use crate::escape::{escaped, escaped_path};
use crate::system::read;

/// What the name of such a variable ends with.
pub const SUFFIX: &str = "_FILE";

/// The `NAME_FILE` variable of a name.
#[must_use]
pub fn of(name: &str) -> String {
    [name, SUFFIX].concat()
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
        for (key, want) in &request.keys {
            let found = self.read_one(key, *want, deadline, &mut answer.advice);
            answer.found.extend(found);
        }
        Ok(answer)
    }
}

impl FileVariables<'_> {
    fn read_one(&self, key: &Key, want: Want, deadline: Deadline, advice: &mut Vec<String>) -> Option<Found> {
        let path = self.environ.path(&key.path)?;
        let reading = match want {
            Want::Existence => Reading::Exists,
            Want::Value => match self.value(key, &path, deadline, advice) {
                Ok(value) => Reading::Value(Box::new(value)),
                Err(error) => Reading::Failed(error),
            },
        };
        Some(Found { key: key.clone(), name: None, reading })
    }

    fn value(
        &self,
        key: &Key,
        path: &Path,
        deadline: Deadline,
        advice: &mut Vec<String>,
    ) -> Result<Value, ProviderError> {
        let name = key.path.strip_suffix(SUFFIX).unwrap_or(&key.path);
        if self.environ.set(name).is_some() {
            return Err(FileError::BothVariables.at(escaped(name)));
        }
        if deadline.has_passed() {
            return Err(FileError::Time.at(place(key, path)));
        }
        let (bytes, stat) = read::read_path(path).map_err(|error| {
            FileError::from((error, rustix::fs::stat(path).ok().as_ref())).at(place(key, path))
        })?;
        let value = Value::new(bytes);
        let mode = mode(&stat);
        match mode & !0o400 {
            0 => {}
            _ if self.strict_permissions => return Err(FileError::LooseMode { mode }.at(place(key, path))),
            _ => advice
                .push(format!("{} has mode {mode:04o}; 0400 with the app's uid is enough", place(key, path))),
        }
        Ok(value)
    }
}

/// The variable for a message, with what it is set to, unless that may be the secret itself: people mistake `NAME_FILE`
/// for NAME.
fn place(key: &Key, path: &Path) -> String {
    let is_path = path.is_absolute() || path.starts_with(".") || path.starts_with("..");
    if is_path || rustix::fs::lstat(path).is_ok() {
        return format!("{key}={}", escaped_path(path));
    }
    format!("{key} (its value is not shown, since it does not look like a path)")
}
