//! Plain variables. They satisfy `STRICT_ENV_MODE`, not `STRICT_SECRET_MODE`: `docker inspect` shows them.

use super::{Answer, Deadline, Found, Key, Provider, ProviderError, Reading, Request, Value, Want};
use crate::environ::Environ;

/// The process environment as a provider.
#[derive(Debug)]
pub struct Environment<'a>(pub &'a Environ);

impl Provider for Environment<'_> {
    fn read(&self, request: &Request, _deadline: Deadline) -> Result<Answer, ProviderError> {
        let found = request.keys.iter().filter_map(|(key, want)| self.read_one(key, *want));
        Ok(Answer { found: found.collect(), ..Answer::default() })
    }
}

impl Environment<'_> {
    fn read_one(&self, key: &Key, want: Want) -> Option<Found> {
        let bytes = self.0.value(&key.path)?;
        let reading = match want {
            Want::Existence => Reading::Exists,
            Want::Value => Reading::Value(Box::new(Value::new(bytes.to_vec()))),
        };
        Some(Found { key: key.clone(), name: None, reading })
    }
}
