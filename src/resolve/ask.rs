//! Reads every source, each in one request for everything that is wanted from it.

use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use init::StopSignals;

use super::answers::Answers;
use super::local::{self, Local};
use super::{Opened, Place, Visit};
use crate::plan::{Plan, Sought, Use};
use crate::provider::{
    Access, Answer, Cause, Deadline, Kind, Names, Provider, ProviderError, Request, Source,
};

/// A remote source that is being read.
struct Remote {
    access: Access,
    since: Instant,
    receiver: Receiver<(Result<Answer, ProviderError>, Duration)>,
}

/// Remote sources are read concurrently; local ones meanwhile, one after the other: threads would gain nothing there.
pub(super) fn ask(plan: &Plan, places: Vec<Opened<'_>>, deadline: Deadline) -> Answers {
    let mut answers = Answers::new(plan);
    let (mut locals, mut remotes) = (Vec::new(), Vec::new());
    for (source, place) in places {
        answers.consumed.extend(place.iter().flat_map(Place::consumed));
        match place {
            Err(error) => answers.record(source, Err(error)),
            Ok(Place::Local(provider)) => locals.push(Local::new(request(plan, source), source, provider)),
            Ok(Place::Remote(provider)) => {
                remotes.push((source, Remote::start(provider, request(plan, source), deadline)));
            }
        }
    }
    for (source, answer) in local::read(&locals, deadline) {
        answers.record(source, answer);
    }
    for (source, remote) in remotes {
        let (answer, visit) = remote.wait(source, deadline);
        answers.visits.push(visit);
        answers.record(source, answer);
    }
    answers
}

impl Remote {
    /// If no thread can be created, the receiver has no sender, and `wait` returns `NoAnswer`.
    fn start(provider: Box<dyn Provider>, request: Request, deadline: Deadline) -> Self {
        let (sender, receiver) = mpsc::sync_channel(1);
        let (access, since) = (provider.access().unwrap_or_default(), Instant::now());
        let work = move || {
            // Signals go to the calling thread, which decides when they wait; this one may outlive the reading.
            let _held = StopSignals::hold();
            let answer = provider.read(&request, deadline);
            // After the deadline, nothing receives it.
            drop(sender.send((answer, since.elapsed())));
        };
        drop(thread::Builder::new().spawn(work));
        Self { access, since, receiver }
    }

    fn wait(self, source: Source, deadline: Deadline) -> (Result<Answer, ProviderError>, Visit) {
        // The threads of the provider have a grace period already.
        let patience = deadline.with_grace().with_grace();
        let answered = self.receiver.recv_timeout(patience.remaining());
        let (answer, took) = answered.unwrap_or_else(|_| (Err(no_answer(source)), self.since.elapsed()));
        (answer, Visit { source, access: self.access, took })
    }
}

fn no_answer(source: Source) -> ProviderError {
    ProviderError::new(source.text(), NoAnswer)
}

/// A source that did not answer in time.
#[derive(Debug)]
struct NoAnswer;

impl Cause for NoAnswer {
    fn kind(&self) -> Kind {
        Kind::TimedOut
    }

    fn what(&self, place: &str) -> String {
        format!("{place} did not answer before the startup timeout expired")
    }

    fn fix(&self) -> String {
        "check the network, or raise CRYOKEY_START_TIMEOUT".into()
    }
}

fn request(plan: &Plan, source: Source) -> Request {
    let mut request = Request::default();
    let mut names = Vec::new();
    for candidate in plan.all().flat_map(|entry| &entry.candidates).filter(|it| it.source == source) {
        let want = candidate.use_of.want();
        match &candidate.sought {
            Sought::Key(key) => request.keys.push((key.clone(), want)),
            Sought::Name(name) => names.push((name.clone(), want)),
        }
    }
    if plan.entries.iter().any(|entry| !entry.rule.from.is_empty()) {
        request.keys.sort_unstable_by(|left, right| left.0.cmp(&right.0));
        request.keys.dedup_by(|left, right| left.0 == right.0);
    }
    request.names = Names::new(names);
    if source.is_remote() && plan.bulk.sources.contains(&source) {
        request.names.undeclared = plan.bulk.deliver;
        let unused = plan.bulk.variants.iter().filter(|spelling| spelling.use_of == Use::Never);
        request.names.excluded = unused.map(|spelling| spelling.prefix.clone()).collect();
    }
    request
}
