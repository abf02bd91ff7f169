//! Plain variables. They satisfy `STRICT_ENV_MODE`, not `STRICT_SECRET_MODE`: `docker inspect` shows them.

use super::{Answer, Deadline, Found, Key, Provider, ProviderError, Request};
use crate::environ::Environ;
use crate::secret::Secret;

/// The process environment as a provider.
#[derive(Debug)]
pub struct Environment<'a>(pub &'a Environ);

impl Provider for Environment<'_> {
    fn read(&self, request: &Request<'_>, _deadline: Deadline) -> Result<Answer, ProviderError> {
        let found = request.keys.iter().filter_map(|key| {
            let value = Secret::new(self.0.value(&key.0)?.to_vec());
            Some(Found { key: Key::clone(key), value, created: None, mode: None, may_be_planted: false })
        });
        let noticed =
            request.notice.iter().filter(|key| self.0.set(&key.0).is_some()).map(|key| Key::clone(key));
        Ok(Answer { found: found.collect(), noticed: noticed.collect(), ..Answer::default() })
    }
}
