//! `NAME_FILE=/path`: the file's content is the value of NAME, as the docker-library images have it.

use std::path::Path;

use super::files::error::FileError;
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
pub struct FileVariables<'a>(pub &'a Environ);

impl Provider for FileVariables<'_> {
    fn read(&self, request: &Request, deadline: Deadline) -> Result<Answer, ProviderError> {
        let found = request.keys.iter().filter_map(|(key, want)| self.read_one(key, *want, deadline));
        Ok(Answer { found: found.collect(), ..Answer::default() })
    }
}

impl FileVariables<'_> {
    fn read_one(&self, key: &Key, want: Want, deadline: Deadline) -> Option<Found> {
        let path = self.0.path(&key.path)?;
        let reading = match want {
            Want::Existence => Reading::Exists,
            Want::Value => self
                .value(key, &path, deadline)
                .map_or_else(Reading::Failed, |value| Reading::Value(Box::new(value))),
        };
        Some(Found { key: key.clone(), name: None, reading })
    }

    fn value(&self, key: &Key, path: &Path, deadline: Deadline) -> Result<Value, ProviderError> {
        let name = key.path.strip_suffix(SUFFIX).unwrap_or(&key.path);
        if self.0.set(name).is_some() {
            return Err(FileError::BothVariables.at(escaped(name)));
        }
        let place = || format!("{key}={}", escaped_path(path));
        if deadline.has_passed() {
            return Err(FileError::Time.at(place()));
        }
        match read::read_path(path) {
            Ok((bytes, _)) => Ok(Value::new(bytes)),
            Err(error) => Err(FileError::from((error, rustix::fs::stat(path).ok().as_ref())).at(place())),
        }
    }
}
