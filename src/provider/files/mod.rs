//! Files in one directory: Docker's and Compose's `/run/secrets`, a Kubernetes secret volume, `./.secrets`.
//!
//! A file stands for the name that its own name maps to: `db-password`, `Db_Password` and `DB_PASSWORD` are all
//! `DB_PASSWORD`, also behind the name prefix.

mod directory;
pub mod error;
mod listing;
mod walk;

use std::path::PathBuf;

use rustix::fs::Stat;
use rustix::io::Errno;

pub use self::directory::is_open_to_all;
use self::directory::{Directory, GENERATION, Generation, Pin};
use self::error::{FileError, Permission, mode};
use self::listing::Listing;
use super::{Answer, Deadline, Found, Key, Provider, ProviderError, Reading, Request, Value, Want};
use crate::error::{Problem, Reason};
use crate::escape::{escaped, escaped_path};
use crate::provider::Cause as _;
use crate::system::read::{self, ReadError};

/// How often a set is read again because a new generation came while it was read.
const ATTEMPTS: usize = 10;

/// Which directory, and how strict.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The directory.
    pub directory: PathBuf,
    /// What the files' names may begin with.
    pub name_prefix: String,
    /// Whether files with looser modes than 0400 are refused.
    pub strict_permissions: bool,
}

/// A directory of secret files.
#[derive(Debug)]
pub struct Files {
    settings: Settings,
}

impl Files {
    /// A directory; it is opened when it is read.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self { settings }
    }
}

impl Provider for Files {
    fn read(&self, request: &Request, deadline: Deadline) -> Result<Answer, ProviderError> {
        let directory = match Directory::open(&self.settings.directory) {
            Ok(directory) => directory,
            Err(Errno::NOENT) => return Ok(self.nothing()),
            Err(errno) => return Err(self.directory_error(errno)),
        };
        self.check_directory(&directory)?;
        let listing = Listing::new(&directory, &request.names, &self.settings.name_prefix, deadline)
            .map_err(|error| error.at(self.shown()))?;
        for _ in 0..ATTEMPTS {
            let generations = generations(&directory, request);
            match directory.pin() {
                Pin::None => {
                    let answer = self.read_all(&directory, None, &listing, request, deadline);
                    if generations == self::generations(&directory, request) {
                        return Ok(answer);
                    }
                }
                Pin::Lost => {}
                Pin::Held(generation) => {
                    let answer = self.read_all(&directory, Some(&generation), &listing, request, deadline);
                    let has_failed = answer.found.iter().any(|it| matches!(it.reading, Reading::Failed(_)));
                    // What is missing in a generation that is still the current one is a broken link.
                    if !has_failed || directory.is_current(&generation) {
                        return Ok(answer);
                    }
                }
            }
        }
        Err(FileError::Changing.at(self.place(GENERATION)))
    }
}

impl Files {
    fn nothing(&self) -> Answer {
        let state = format!("{} does not exist: no secret is mounted", self.shown());
        Answer { state: Some(state), ..Answer::default() }
    }

    fn read_all(
        &self,
        directory: &Directory,
        generation: Option<&Generation>,
        listing: &Listing,
        request: &Request,
        deadline: Deadline,
    ) -> Answer {
        let mut reader = Reader { files: self, directory, generation, deadline, answer: Answer::default() };
        for (file, name, want) in &listing.matches {
            reader.add(Key::new(file.as_str()), Some(name), *want);
        }
        for (key, want) in &request.keys {
            reader.add(key.clone(), None, *want);
        }
        let mut answer = reader.answer;
        answer.state = Some(listing.state(&self.shown()));
        answer.advice.extend(self.advice(directory));
        answer
    }

    fn advice(&self, directory: &Directory) -> Option<String> {
        let mode = directory.mode();
        is_open_to_all(mode).then(|| FileError::OpenToAll { mode }.at(self.shown()).to_string())
    }

    fn check_directory(&self, directory: &Directory) -> Result<(), ProviderError> {
        let mode = directory.mode();
        if self.settings.strict_permissions && is_open_to_all(mode) {
            return Err(FileError::OpenToAll { mode }.at(self.shown()));
        }
        Ok(())
    }

    fn directory_error(&self, errno: Errno) -> ProviderError {
        let stat = rustix::fs::stat(&self.settings.directory).ok();
        let error = match (errno, &stat) {
            (Errno::NOTDIR, _) => FileError::NotADirectory,
            (Errno::ACCESS, Some(stat)) => FileError::Directory(Permission::new(stat)),
            _ => FileError::from((ReadError::Os(errno), None)),
        };
        error.at(self.shown())
    }

    fn shown(&self) -> String {
        escaped_path(&self.settings.directory)
    }

    fn place(&self, name: &str) -> String {
        escaped_path(&self.settings.directory.join(name))
    }
}

/// The generations of volumes that are mounted below the directory.
fn generations(directory: &Directory, request: &Request) -> Vec<Option<Vec<u8>>> {
    request.keys.iter().flat_map(|(key, _)| directory.generations(&key.path)).collect()
}

/// One reading of the directory.
struct Reader<'a> {
    files: &'a Files,
    directory: &'a Directory,
    generation: Option<&'a Generation>,
    deadline: Deadline,
    answer: Answer,
}

impl Reader<'_> {
    fn add(&mut self, key: Key, name: Option<&str>, want: Want) {
        let reading = match want {
            Want::Existence => self.directory.has(&key.path).then_some(Reading::Exists),
            Want::Value => match self.value(&key.path) {
                Ok(value) => value.map(|value| Reading::Value(Box::new(value))),
                Err(error) => Some(Reading::Failed(error)),
            },
        };
        let name = name.map(str::to_owned);
        self.answer.found.extend(reading.map(|reading| Found { key, name, reading }));
    }

    /// `None`: no such file exists.
    fn value(&mut self, name: &str) -> Result<Option<Value>, ProviderError> {
        if self.deadline.has_passed() && self.directory.has(name) {
            return Err(FileError::Time.at(self.files.place(name)));
        }
        let file = self.directory.open_file(name, self.generation);
        match file.map_err(ReadError::Os).and_then(|file| read::read(&file)) {
            Ok((bytes, stat)) => {
                let value = Value::new(bytes);
                self.check_file(name, &stat)?;
                Ok(Some(value))
            }
            // Also where opening fails for a reason of its own, such as too many open files.
            Err(ReadError::Os(_)) if self.directory.lacks(name) => Ok(None),
            Err(error) => {
                let stat = self.directory.stat(name);
                Err(FileError::from((error, stat.as_ref())).at(self.files.place(name)))
            }
        }
    }

    fn check_file(&mut self, name: &str, stat: &Stat) -> Result<(), ProviderError> {
        let mode = mode(stat);
        let is_strict = self.files.settings.strict_permissions;
        let planted = FileError::Planted { owner: stat.st_uid };
        match (self.directory.may_be_planted(stat), mode & !0o400 != 0) {
            (true, _) if is_strict => Err(planted.at(self.files.place(name))),
            (_, true) if is_strict => Err(FileError::LooseMode { mode }.at(self.files.place(name))),
            (is_planted, is_loose) => {
                if is_planted {
                    self.answer.warnings.push(self.planted(name, planted));
                }
                if is_loose {
                    let name = escaped(name);
                    self.answer
                        .advice
                        .push(format!("{name} has mode {mode:04o}; 0400 with the app's uid is enough"));
                }
                Ok(())
            }
        }
    }

    fn planted(&self, name: &str, error: FileError) -> Problem {
        let error = error.at(self.files.place(name));
        let fix = format!("{}; `strict_permissions` refuses such a file", error.fix());
        Problem::new(Reason::Planted, escaped(name), error.to_string(), fix)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_directory_that_does_not_exist_holds_nothing() {
        let settings = Settings {
            directory: "/nonexistent/secrets".into(),
            name_prefix: String::new(),
            strict_permissions: false,
        };
        let request = Request { keys: vec![(Key::new("A"), Want::Value)], ..Request::default() };
        let answer = Files::new(settings).read(&request, Deadline::after(Duration::from_secs(5))).unwrap();
        assert!(answer.found.is_empty());
    }
}
