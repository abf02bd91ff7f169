//! Reading secrets of the KV engine, whose version is found out beside the first read.
//!
//! Each round asks what any path still needs, all at once; `decide` says what that is. Usually there is one.

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

/// One request.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Ask {
    /// The mount that a path is in.
    Mount(String),
    /// A secret, at its place in the API.
    Read(String, Option<u64>),
    /// What is below a place in the API.
    List(String),
}

/// What was answered so far.
type Known = HashMap<Ask, Result<Arc<Reply>, VaultError>>;

/// Who asks, and how.
#[derive(Debug, Clone)]
pub struct Session {
    /// The API.
    pub api: Arc<Api>,
    /// The token.
    pub token: Arc<Secret>,
    /// How many requests there are at once.
    pub width: usize,
    /// When the time is over.
    pub deadline: Deadline,
}

/// Reads secrets; the results have the order of what is wanted.
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

/// Vault denies in the same way whatever the reason; a token that may not even look at itself is not valid.
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

/// What does not answer in time is known to be so: every ask gets an answer, so the rounds come to an end.
fn ask(session: &Session, asks: Vec<Ask>) -> Vec<(Ask, Result<Arc<Reply>, VaultError>)> {
    let Session { api, token, width, deadline } = session.clone();
    let answers = in_parallel(asks.clone(), width, deadline.with_grace(), move |ask: Ask| {
        api.call(Method::Get, &ask.path(), Some(&token), None, deadline)
    });
    let answer =
        |answer: Option<Result<Reply, VaultError>>| answer.unwrap_or(Err(VaultError::TimedOut)).map(Arc::new);
    asks.into_iter().zip(answers.into_iter().map(answer)).collect()
}

/// A string that no text can be, such as half of a surrogate pair.
impl Ask {
    fn path(&self) -> String {
        match self {
            Self::Mount(path) => format!("sys/internal/ui/mounts/{path}"),
            Self::Read(path, None) => path.clone(),
            Self::Read(path, Some(version)) => format!("{path}?version={version}"),
            // Proxies drop the verb LIST.
            Self::List(path) => format!("{path}?list=true"),
        }
    }
}
