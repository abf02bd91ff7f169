//! Sends the requests that `lookup` decides on, and records the results.

use std::sync::Arc;
use std::time::SystemTime;

use super::lookup::{Ask, Known, Version, Wanted};
use super::{Entry, Listed, Store, StoreError, Stored};
use crate::provider::Deadline;
use crate::provider::http::in_parallel;

/// The result of an [`Ask`].
enum Reply<E> {
    List(Result<Vec<Listed<E>>, E>),
    Batch(Result<Vec<Entry<E>>, E>),
    Get(Box<Result<Stored, E>>),
    Date(Result<Option<SystemTime>, E>),
}

/// Sends requests until everything is known, at most `width` at a time. A request that times out is recorded as a
/// failure, so the rounds come to an end.
pub fn read<S: Store>(
    store: &Arc<S>,
    wanted: &Wanted,
    mut known: Known<S::Error>,
    width: usize,
    deadline: Deadline,
) -> Known<S::Error> {
    loop {
        let asks = wanted.asks(&known, S::BATCH, SystemTime::now());
        if asks.is_empty() {
            return known;
        }
        let asker = Arc::clone(store);
        let replies = in_parallel(asks.clone(), width, deadline.with_grace(), move |ask| {
            reply(&*asker, &ask, deadline)
        });
        for (ask, reply) in asks.into_iter().zip(replies) {
            known.note(ask, reply);
        }
    }
}

fn reply<S: Store>(store: &S, ask: &Ask, deadline: Deadline) -> Reply<S::Error> {
    match ask {
        Ask::List(scope) => Reply::List(store.list(scope, deadline)),
        Ask::Batch(secrets) => Reply::Batch(store.batch(secrets, deadline)),
        Ask::Get((secret, version)) => Reply::Get(Box::new(store.get(secret, version.as_deref(), deadline))),
        Ask::Date((secret, _), version) => Reply::Date(store.date(secret, version.as_deref(), deadline)),
    }
}

impl<E: StoreError> Known<E> {
    fn note(&mut self, ask: Ask, reply: Option<Reply<E>>) {
        match (ask, reply) {
            (Ask::List(_), Some(Reply::List(list))) => self.note_list(list),
            (Ask::List(_), _) => self.note_list(Err(E::timed_out())),
            (Ask::Batch(_), Some(Reply::Batch(Err(error)))) if error.is_denied() => {
                self.is_batch_denied = true;
            }
            (Ask::Batch(_), Some(Reply::Batch(Ok(entries)))) => {
                self.secrets.extend(entries.into_iter().map(|(secret, stored)| ((secret, None), stored)));
            }
            (Ask::Batch(secrets), Some(Reply::Batch(Err(error)))) => self.failed(secrets, &error),
            (Ask::Batch(secrets), _) => self.failed(secrets, &E::timed_out()),
            (Ask::Get(version), Some(Reply::Get(stored))) => self.note_one(version, *stored),
            (Ask::Get(version), _) => self.note_one(version, Err(E::timed_out())),
            (Ask::Date(version, _), Some(Reply::Date(date))) => self.note_date(&version, date),
            (Ask::Date(version, _), _) => self.note_date(&version, Err(E::timed_out())),
        }
    }

    fn failed(&mut self, secrets: Vec<String>, error: &E) {
        self.secrets.extend(secrets.into_iter().map(|secret| ((secret, None), Err(error.clone()))));
    }

    fn note_one(&mut self, version: Version, stored: Result<Stored, E>) {
        self.secrets.insert(version, stored);
    }
}
