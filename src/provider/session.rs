//! What is left to do at a provider once everything has been read: to give back what signing in gave.

use std::fmt;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use super::{Cause, Deadline, Kind, ProviderError};

/// The app does not wait longer for sessions to end.
pub const LIMIT: Duration = Duration::from_secs(1);

/// A session that is to be ended: at the latest when it is dropped, so that a startup that fails ends it too.
pub struct Session(Option<End>);

type End = Box<dyn FnOnce(Deadline) -> Result<(), ProviderError> + Send>;

impl Session {
    /// A session, and what ends it.
    #[must_use]
    pub fn new(end: impl FnOnce(Deadline) -> Result<(), ProviderError> + Send + 'static) -> Self {
        Self(Some(Box::new(end)))
    }

    fn end(&mut self, deadline: Deadline) -> Result<(), ProviderError> {
        self.0.take().map_or(Ok(()), |end| end(deadline))
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // Whoever drops it has something worse to tell.
        let _ = self.end(Deadline::after(LIMIT));
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Session")
    }
}

/// Sessions that are being ended on a thread of their own, beside other work.
#[derive(Debug)]
pub struct Ending {
    outcomes: Receiver<Result<(), ProviderError>>,
    open: usize,
    deadline: Deadline,
}

impl Ending {
    /// Begins to end sessions. Without any, no thread is made.
    #[must_use]
    pub fn begin(sessions: Vec<Session>) -> Self {
        let (sender, outcomes) = mpsc::channel();
        let (mut open, deadline) = (sessions.len(), Deadline::after(LIMIT));
        let work = move || {
            for mut session in sessions {
                let _ = sender.send(session.end(deadline));
            }
        };
        if open > 0 && thread::Builder::new().spawn(work).is_err() {
            // The kernel has no thread for this: the sessions ended when `work` was dropped.
            open = 0;
        }
        Self { outcomes, open, deadline }
    }

    /// Waits for the end, unless it is told to stop, and tells what could not be ended.
    #[must_use]
    pub fn wait(mut self, is_stopped: impl Fn() -> bool) -> Vec<ProviderError> {
        self.collect(is_stopped)
    }

    fn collect(&mut self, is_stopped: impl Fn() -> bool) -> Vec<ProviderError> {
        let mut errors = Vec::new();
        for _ in 0..std::mem::take(&mut self.open) {
            match self.next(&is_stopped) {
                Ok(outcome) => errors.extend(outcome.err()),
                Err(_) if is_stopped() => return errors,
                Err(_) => errors.push(ProviderError::new("a session", Unended)),
            }
        }
        errors
    }

    fn next(&self, is_stopped: impl Fn() -> bool) -> Result<Result<(), ProviderError>, RecvTimeoutError> {
        let limit = self.deadline.with_grace();
        loop {
            match self.outcomes.recv_timeout(limit.remaining().min(LOOK)) {
                Err(RecvTimeoutError::Timeout) if !limit.remaining().is_zero() && !is_stopped() => {}
                other => return other,
            }
        }
    }
}

/// How often it is looked whether to stop.
const LOOK: Duration = Duration::from_millis(10);

impl Drop for Ending {
    fn drop(&mut self) {
        self.collect(|| false);
    }
}

/// A session that was not ended in time.
#[derive(Debug)]
struct Unended;

impl Cause for Unended {
    fn kind(&self) -> Kind {
        Kind::TimedOut
    }

    fn what(&self, place: &str) -> String {
        format!("{place} was not ended within {} s", LIMIT.as_secs())
    }

    fn fix(&self) -> String {
        "none needed if tokens are short-lived; it ends by itself".into()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Instant;

    use super::*;

    fn counted(count: &Arc<AtomicUsize>, outcome: Result<(), ProviderError>) -> Session {
        let count = Arc::clone(count);
        Session::new(move |_| {
            count.fetch_add(1, Ordering::SeqCst);
            outcome
        })
    }

    #[test]
    fn a_session_ends_once_whether_it_is_ended_or_dropped() {
        let count = Arc::default();
        drop(counted(&count, Ok(())));
        assert_eq!(count.load(Ordering::SeqCst), 1);
        let failed = Err(ProviderError::new("vault", Unended));
        let errors = Ending::begin(vec![counted(&count, Ok(())), counted(&count, failed)]).wait(|| false);
        assert_eq!((count.load(Ordering::SeqCst), errors.len()), (3, 1));
    }

    #[test]
    fn an_ending_that_is_dropped_is_waited_for() {
        let count = Arc::default();
        drop(Ending::begin(vec![counted(&count, Ok(()))]));
        assert_eq!(count.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn a_session_that_hangs_holds_nothing_up_for_longer_than_the_limit() {
        let started = Instant::now();
        let hangs = Session::new(|_| {
            thread::sleep(Duration::from_mins(1));
            Ok(())
        });
        let errors = Ending::begin(vec![hangs]).wait(|| false);
        assert_eq!(errors.len(), 1);
        assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    }

    #[test]
    fn whoever_is_to_stop_does_not_wait_for_a_session_that_hangs() {
        let started = Instant::now();
        let hangs = Session::new(|_| {
            thread::sleep(Duration::from_secs(5));
            Ok(())
        });
        assert!(Ending::begin(vec![hangs]).wait(|| true).is_empty());
        assert!(started.elapsed() < Duration::from_millis(500), "{:?}", started.elapsed());
    }
}
