//! A provider that holds its secrets in memory: what a bulk source is, without a network.

use std::time::SystemTime;

use cryokey::name::EnvName;
use cryokey::provider::{
    Answer, Cause, Deadline, Found, Key, Kind, Provider, ProviderError, Reading, Request, Value, Want,
};

/// One key and its value.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) key: String,
    pub(crate) value: String,
    pub(crate) is_readable: bool,
    pub(crate) created: Option<SystemTime>,
}

impl Held {
    pub(crate) fn new(key: &str, value: &str) -> Self {
        Self { key: key.to_owned(), value: value.to_owned(), is_readable: true, created: None }
    }
}

/// A place that answers in the order of its list.
#[derive(Debug)]
pub(crate) struct Memory {
    held: Vec<Held>,
    prefix: &'static str,
    pub(crate) is_unavailable: bool,
    pub(crate) consumed: Vec<String>,
}

#[derive(Debug)]
struct Broken;

impl Cause for Broken {
    fn kind(&self) -> Kind {
        Kind::Unreachable
    }

    fn what(&self, place: &str) -> String {
        format!("{place} is broken")
    }

    fn fix(&self) -> String {
        "fix it".into()
    }
}

impl Memory {
    pub(crate) fn new(held: Vec<Held>, prefix: &'static str) -> Self {
        Self { held, prefix, is_unavailable: false, consumed: Vec::new() }
    }

    fn mapped(&self, key: &str, request: &Request) -> Option<(String, Want)> {
        ["", self.prefix].into_iter().find_map(|prefix| {
            let name = EnvName::from_key(key, prefix).ok()?;
            request.names.want(name.as_str()).map(|want| (name.as_str().to_owned(), want))
        })
    }
}

impl Held {
    fn found(&self, name: Option<String>, want: Want) -> Found {
        let value = || Value { created: self.created, ..Value::new(self.value.clone().into_bytes()) };
        let reading = match want {
            Want::Existence => Reading::Exists,
            Want::Value if self.is_readable => Reading::Value(Box::new(value())),
            Want::Value => Reading::Failed(ProviderError::new(&self.key, Broken)),
        };
        Found { key: Key::new(self.key.as_str()), name, reading }
    }
}

impl Provider for Memory {
    fn read(&self, request: &Request, _deadline: Deadline) -> Result<Answer, ProviderError> {
        if self.is_unavailable {
            return Err(ProviderError::new("the place", Broken));
        }
        let mut answer = Answer::default();
        for held in &self.held {
            if let Some((_, want)) = request.keys.iter().find(|(key, _)| *key.path == *held.key) {
                answer.found.push(held.found(None, *want));
            }
            match self.mapped(&held.key, request) {
                Some((name, want)) => answer.found.push(held.found(Some(name), want)),
                None if request.names.undeclared && EnvName::from_key(&held.key, "").is_err() => {
                    answer.unnamed.push(Key::new(held.key.as_str()));
                }
                None => {}
            }
        }
        Ok(answer)
    }

    fn consumed(&self) -> Vec<String> {
        self.consumed.clone()
    }
}
