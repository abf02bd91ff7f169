//! `NAME_FILE=/path`: the file's content is the value of NAME, as the docker-library images have it. `NAME__FILE` and
//! `FILE__NAME`, as other images have it, are the same.

use std::path::{Path, PathBuf};

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

/// The variable that names a file for a `NAME_FILE`, and the file: that variable itself, or another spelling that
/// images use.
#[must_use]
pub fn set(environ: &Environ, file_variable: &str) -> Option<(String, PathBuf)> {
    let name = file_variable.strip_suffix(SUFFIX).unwrap_or(file_variable);
    let spellings = [file_variable.to_owned(), format!("{name}__FILE"), format!("FILE__{name}")];
    spellings.into_iter().find_map(|variable| environ.path(&variable).map(|path| (variable, path)))
}

/// The name that a variable gives a file for, in any of these spellings.
#[must_use]
pub fn name_of(variable: &str) -> Option<&str> {
    let name = variable.strip_suffix("__FILE").or_else(|| variable.strip_prefix("FILE__"));
    name.or_else(|| variable.strip_suffix(SUFFIX)).filter(|name| !name.is_empty())
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
        let (variable, path) = set(self.0, &key.path)?;
        let reading = match want {
            Want::Existence => Reading::Exists,
            Want::Value => {
                self.value(key, &variable, &path, deadline).map_or_else(Reading::Failed, Reading::Value)
            }
        };
        Some(Found { key: key.clone(), name: None, reading })
    }

    fn value(
        &self,
        key: &Key,
        variable: &str,
        path: &Path,
        deadline: Deadline,
    ) -> Result<Value, ProviderError> {
        let name = key.path.strip_suffix(SUFFIX).unwrap_or(&key.path);
        if self.0.set(name).is_some() {
            return Err(FileError::BothVariables.at(escaped(name)));
        }
        let place = || format!("{}={}", escaped(variable), escaped_path(path));
        if deadline.has_passed() {
            return Err(FileError::Time.at(place()));
        }
        match read::read_path(path) {
            Ok((bytes, _)) => Ok(Value::new(bytes)),
            Err(error) => Err(FileError::from((error, rustix::fs::stat(path).ok().as_ref())).at(place())),
        }
    }
}
