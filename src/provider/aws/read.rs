//! Sends the requests that `lookup` determines, and records the replies.

use std::sync::Arc;
use std::time::SystemTime;

use super::api::{Api, Entry, Stored};
use super::error::{AwsError, Nonsense};
use super::lookup::{Ask, Known, Wanted};
use crate::provider::Deadline;
use crate::provider::http::in_parallel;

/// The maximum number of pages. At 100 secrets each, that is 20,000 secrets.
const MOST_PAGES: usize = 200;

/// The outcome of a request.
enum Reply {
    List(Result<Vec<String>, AwsError>),
    Batch(Result<Vec<Entry>, AwsError>),
    Get(Box<Result<Stored, AwsError>>),
}

/// Sends requests until everything is known. Those without a response in time are recorded as timed out, so that the
/// rounds terminate.
#[must_use]
pub(super) fn read(api: &Arc<Api>, wanted: &Wanted, width: usize, deadline: Deadline) -> Known {
    let mut known = Known::default();
    loop {
        let asks = wanted.asks(&known, SystemTime::now());
        if asks.is_empty() {
            return known;
        }
        let asker = Arc::clone(api);
        let replies = in_parallel(asks.clone(), width, deadline.with_grace(), move |ask| {
            answer(&asker, &ask, deadline)
        });
        for (ask, reply) in asks.into_iter().zip(replies) {
            known.note(ask, reply);
        }
    }
}

fn answer(api: &Api, ask: &Ask, deadline: Deadline) -> Reply {
    match ask {
        Ask::List(prefix) => Reply::List(list(api, prefix, deadline)),
        Ask::Batch(ids) => Reply::Batch(api.batch(ids, deadline)),
        Ask::Get((id, version)) => Reply::Get(Box::new(api.get(id, version.as_deref(), deadline))),
    }
}

fn list(api: &Api, prefix: &str, deadline: Deadline) -> Result<Vec<String>, AwsError> {
    let mut names = Vec::new();
    let mut next: Option<String> = None;
    for _ in 0..MOST_PAGES {
        let page = api.list(prefix, next.as_deref(), deadline)?;
        names.extend(page.names);
        match page.next {
            None => return Ok(names),
            same if same == next => break,
            other => next = other,
        }
    }
    Err(AwsError::Nonsense(Nonsense::Pages))
}

impl Known {
    fn note(&mut self, ask: Ask, reply: Option<Reply>) {
        match (ask, reply) {
            (Ask::List(_), Some(Reply::List(list))) => self.list = Some(list),
            (Ask::List(_), _) => self.list = Some(Err(AwsError::TimedOut)),
            (Ask::Batch(_), Some(Reply::Batch(Err(AwsError::Denied { .. })))) => self.is_batch_denied = true,
            (Ask::Batch(_), Some(Reply::Batch(Ok(entries)))) => {
                self.secrets.extend(entries.into_iter().map(|(id, stored)| ((id, None), stored)));
            }
            (Ask::Batch(ids), Some(Reply::Batch(Err(error)))) => self.failed(ids, &error),
            (Ask::Batch(ids), _) => self.failed(ids, &AwsError::TimedOut),
            (Ask::Get(version), Some(Reply::Get(stored))) => self.note_one(version, *stored),
            (Ask::Get(version), _) => self.note_one(version, Err(AwsError::TimedOut)),
        }
    }

    fn failed(&mut self, ids: Vec<String>, error: &AwsError) {
        self.secrets.extend(ids.into_iter().map(|id| ((id, None), Err(error.clone()))));
    }

    /// Records an individual read. If the second read of a secret fails, the value is kept and its date becomes
    /// unknown.
    fn note_one(&mut self, version: (String, Option<String>), stored: Result<Stored, AwsError>) {
        if version.1.is_none() {
            self.dated.insert(version.0.clone());
        }
        match (self.secrets.get_mut(&version), stored) {
            (Some(Ok(known)), Err(_)) => known.created = None,
            (_, stored) => {
                self.secrets.insert(version, stored);
            }
        }
    }
}
