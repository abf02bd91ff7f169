//! Reading secrets of the KV engine. The mount's KV version is determined in parallel with the first read.
//!
//! Reading proceeds in rounds: each one sends, in parallel, every request that some path still needs, as `decide`
//! determines. Usually one round is enough.

mod decide;
mod error;
mod secret;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

pub use decide::Wanted;
pub use error::KvError;
pub use secret::Stored;

use self::decide::{Step, decide};
use super::api::{Api, Reply};
use super::error::VaultError;
use crate::provider::Deadline;
use crate::provider::http::{Method, in_parallel};
use crate::secret::Secret;

/// A request to Vault.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Ask {
    /// Looks up the mount that contains a path.
    Mount(String),
    /// Reads a secret by its API path, in the given version or the latest.
    Read(String, Option<u64>),
    /// Lists the children of an API path.
    List(String),
}

/// The replies so far.
type Known = HashMap<Ask, Result<Arc<Reply>, VaultError>>;

/// An authenticated connection, and the limits for its use.
#[derive(Debug, Clone)]
pub struct Session {
    /// The API client.
    pub api: Arc<Api>,
    /// Sent with every request.
    pub token: Arc<Secret>,
    /// The maximum number of concurrent requests.
    pub width: usize,
    /// When pending requests are abandoned.
    pub deadline: Deadline,
}

/// Reads secrets. The results are in the order of `wanted`.
#[must_use]
pub fn read(session: &Session, wanted: &[Wanted]) -> Vec<Result<Stored, KvError>> {
    let namespace = session.api.namespace();
    let mut known = Known::new();
    loop {
        let steps: Vec<Step> = wanted.iter().map(|it| decide(it, wanted, &known, namespace)).collect();
        let asks: BTreeSet<Ask> = steps.iter().flat_map(Step::needs).cloned().collect();
        if asks.is_empty() {
            return explained(session, steps.into_iter().map(Step::into_result).collect());
        }
        known.extend(ask(session, asks.into_iter().collect()));
    }
}

/// Vault answers 403 both for a missing permission and for an invalid token. The default policy lets a token look
/// itself up, so if that is denied too, the token is taken to be invalid.
fn explained(session: &Session, results: Vec<Result<Stored, KvError>>) -> Vec<Result<Stored, KvError>> {
    let is_denied = |result: &Result<Stored, KvError>| {
        matches!(result, Err(KvError::NoMount { .. } | KvError::Api(VaultError::Refused { status: 403, .. })))
    };
    if !results.iter().any(is_denied) {
        return results;
    }
    let Session { api, token, deadline, .. } = session;
    let looked = api.call(Method::Get, "auth/token/lookup-self", Some(token), None, *deadline);
    if !matches!(looked, Err(VaultError::Refused { status: 403, .. })) {
        return results;
    }
    let explain = |result| if is_denied(&result) { Err(KvError::TokenRefused) } else { result };
    results.into_iter().map(explain).collect()
}

/// Sends the requests in parallel. Those without a response in time are recorded as timed out, so that the rounds
/// terminate.
fn ask(session: &Session, asks: Vec<Ask>) -> Vec<(Ask, Result<Arc<Reply>, VaultError>)> {
    let Session { api, token, width, deadline } = session.clone();
    let answers = in_parallel(asks.clone(), width, deadline.with_grace(), move |ask: Ask| {
        api.call(Method::Get, &ask.path(), Some(&token), None, deadline)
    });
    let answer =
        |answer: Option<Result<Reply, VaultError>>| answer.unwrap_or(Err(VaultError::TimedOut)).map(Arc::new);
    asks.into_iter().zip(answers.into_iter().map(answer)).collect()
}

impl Ask {
    fn path(&self) -> String {
        match self {
            Self::Mount(path) => format!("sys/internal/ui/mounts/{path}"),
            Self::Read(path, None) => path.clone(),
            Self::Read(path, Some(version)) => format!("{path}?version={version}"),
            // Some proxies reject the HTTP method LIST; Vault accepts this query instead.
            Self::List(path) => format!("{path}?list=true"),
        }
    }
}
