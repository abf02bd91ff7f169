//! Places that secrets are read from.

pub mod deadline;
pub mod environment;
pub mod error;
pub mod file_variables;
pub mod files;
pub mod http;
pub mod retry;
pub mod tls;

use std::fmt;
use std::time::SystemTime;

use crate::environ::Environ;
use crate::secret::Secret;
pub use deadline::Deadline;
pub use error::ProviderError;

/// A place secrets are read from. A key that is not there is left out of the answer; that is not an error.
pub trait Provider: Send {
    /// Reads what is asked for, in as few steps as the place allows. `Err`: nothing could be asked.
    fn read(&self, request: &Request<'_>, deadline: Deadline) -> Result<Answer, ProviderError>;
}

/// What a provider is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// Keys whose values are wanted.
    pub keys: &'a [&'a Key],
    /// Keys of which only the existence matters: their values are not loaded.
    pub notice: &'a [&'a Key],
}

/// What a provider has of it.
#[derive(Debug, Default)]
pub struct Answer {
    /// The values, one for each key that exists and could be read.
    pub found: Vec<Found>,
    /// The keys that exist but could not be read.
    pub failed: Vec<(Key, ProviderError)>,
    /// The keys that were only to be noticed, and exist.
    pub noticed: Vec<Key>,
    /// How many secrets of any name the place holds, where it can tell.
    pub population: Option<usize>,
    /// The permission bits of the place, where it is a folder.
    pub mode: Option<u32>,
}

/// One value.
#[derive(Debug)]
pub struct Found {
    /// What it was asked for by.
    pub key: Key,
    /// The value.
    pub value: Secret,
    /// When this version of it was made, where the provider knows that.
    pub created: Option<SystemTime>,
    /// Its permission bits, where it is a file.
    pub mode: Option<u32>,
    /// Whether somebody else may have put it there: a link to another user's file in an open folder.
    pub may_be_planted: bool,
}

/// What a secret is called in its place: a file name, a variable, a path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(pub String);

/// The places, in rising priority.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// Plain variables.
    Environment,
    /// Files that a `NAME_FILE` variable names.
    FileVariables,
    /// Files in the secrets folder.
    Files,
}

impl Source {
    /// Its name in messages and reports.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::Environment => "environment",
            Self::FileVariables => "file variable",
            Self::Files => "files",
        }
    }

    /// Whether it is a place for secrets. Plain variables are not: `docker inspect` shows them.
    #[must_use]
    pub fn is_for_secrets(self) -> bool {
        self != Self::Environment
    }
}

/// What is needed to open each place.
#[derive(Debug)]
pub enum Settings<'a> {
    /// Plain variables.
    Environment(&'a Environ),
    /// Files that variables name.
    FileVariables(&'a Environ),
    /// A folder of files.
    Files(files::Settings),
}

impl<'a> Settings<'a> {
    /// Opens the place.
    #[must_use]
    pub fn open(self) -> (Source, Box<dyn Provider + 'a>) {
        match self {
            Self::Environment(environ) => (Source::Environment, Box::new(environment::Environment(environ))),
            Self::FileVariables(environ) => {
                (Source::FileVariables, Box::new(file_variables::FileVariables(environ)))
            }
            Self::Files(settings) => (Source::Files, Box::new(files::Files::new(settings))),
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&crate::escape::escaped(&self.0))
    }
}
