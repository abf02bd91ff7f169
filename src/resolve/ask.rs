//! Reads every source, each in one request for everything that is wanted from it.

use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use init::StopSignals;

use super::answers::Answers;
use super::{Opened, Place, Visit};
use crate::plan::{Plan, Sought, Use};
use crate::provider::{
    Access, Answer, Cause, Deadline, Kind, Names, Provider, ProviderError, Request, Source,
};

/// The answer of a source, or how it will come.
enum Pending<'a> {
    Answered(Result<Answer, ProviderError>),
    Local(Box<dyn Provider + 'a>),
    Remote(Remote),
}

/// A remote source that is being read.
struct Remote {
    access: Access,
    since: Instant,
    receiver: Receiver<(Result<Answer, ProviderError>, Duration)>,
}

/// Remote sources are read concurrently; local ones meanwhile, one after the other: threads would gain nothing there.
pub(super) fn ask(plan: &Plan, places: Vec<Opened<'_>>, deadline: Deadline) -> Answers {
    let mut answers = Answers::new(plan);
    let mut pending = Vec::with_capacity(places.len());
    for (source, place) in places {
        answers.consumed.extend(place.iter().flat_map(Place::consumed));
        pending.push((source, start(plan, source, place, deadline)));
    }
    for (source, pending) in &mut pending {
        pending.read_local(plan, *source, deadline);
    }
    for (source, pending) in pending {
        let (answer, visit) = pending.wait(source, deadline);
        answers.visits.extend(visit);
        answers.record(source, answer);
    }
    answers
}

fn start<'a>(
    plan: &Plan,
    source: Source,
    place: Result<Place<'a>, ProviderError>,
    deadline: Deadline,
) -> Pending<'a> {
    match place {
        Err(error) => Pending::Answered(Err(error)),
        Ok(Place::Local(provider)) => Pending::Local(provider),
        Ok(Place::Remote(provider)) => {
            Pending::Remote(Remote::start(provider, request(plan, source), deadline))
        }
    }
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

impl Pending<'_> {
    fn read_local(&mut self, plan: &Plan, source: Source, deadline: Deadline) {
        if let Self::Local(provider) = self {
            *self = Self::Answered(provider.read(&request(plan, source), deadline));
        }
    }

    fn wait(self, source: Source, deadline: Deadline) -> (Result<Answer, ProviderError>, Option<Visit>) {
        match self {
            Self::Answered(answer) => (answer, None),
            Self::Local(_) => (Err(no_answer(source)), None),
            Self::Remote(remote) => {
                let (answer, visit) = remote.wait(source, deadline);
                (answer, Some(visit))
            }
        }
    }
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
