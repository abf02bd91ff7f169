//! `NAME_FILE=/path`: the file's content is the value of NAME, as the docker-library images have it.

use super::error::{Cause, Kind};
use super::{Answer, Deadline, Found, Key, Provider, ProviderError, Request};
use crate::bounded;
use crate::environ::Environ;
use crate::escape::escaped;
use crate::secret::Secret;

/// What the name of such a variable ends with.
pub const SUFFIX: &str = "_FILE";

/// The variables that name files. The operator chose the paths, so they may lead anywhere.
#[derive(Debug)]
pub struct FileVariables<'a>(pub &'a Environ);

impl Provider for FileVariables<'_> {
    fn read(&self, request: &Request<'_>, deadline: Deadline) -> Result<Answer, ProviderError> {
        let mut answer = Answer::default();
        for key in request.keys {
            match self.read_one(key, deadline) {
                None => {}
                Some(Ok(found)) => answer.found.push(found),
                Some(Err(error)) => answer.failed.push((Key::clone(key), error)),
            }
        }
        let noticed = request.notice.iter().filter(|key| self.0.set(&key.0).is_some());
        answer.noticed.extend(noticed.map(|key| Key::clone(key)));
        Ok(answer)
    }
}

impl FileVariables<'_> {
    fn read_one(&self, key: &Key, deadline: Deadline) -> Option<Result<Found, ProviderError>> {
        let path = self.0.path(&key.0)?;
        let place = format!("{key}={}", escaped(path.as_os_str().as_encoded_bytes()));
        let name = key.0.strip_suffix(SUFFIX).unwrap_or(&key.0);
        if self.0.set(name).is_some() {
            return Some(Err(ProviderError::new(Kind::Misconfigured, escaped(name), Cause::BothVariables)));
        }
        if deadline.has_passed() {
            return Some(Err(ProviderError::new(Kind::TimedOut, place, Cause::Time)));
        }
        let read = bounded::read_path(&path).map_err(|error| {
            let stat = rustix::fs::stat(&path).ok();
            ProviderError::reading(place, error, stat.as_ref())
        });
        Some(read.map(|(bytes, stat)| {
            let mode = Some(stat.st_mode & 0o7777);
            Found { key: key.clone(), value: Secret::new(bytes), created: None, mode, may_be_planted: false }
        }))
    }
}
