//! Reads every source, each in one request for everything that is wanted from it.

use std::sync::mpsc::{self, Receiver};
use std::thread;

use init::StopSignals;

use super::answers::Answers;
use super::{Opened, Place};
use crate::plan::{Plan, Sought, Use};
use crate::provider::{Answer, Cause, Deadline, Kind, Names, Provider, ProviderError, Request, Source};

/// The answer of a source, or how it will come.
enum Pending<'a> {
    Answered(Result<Answer, ProviderError>),
    Local(Box<dyn Provider + 'a>),
    Remote(Receiver<Result<Answer, ProviderError>>),
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
        answers.record(source, pending.wait(source, deadline));
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
            Pending::Remote(start_thread(provider, request(plan, source), deadline))
        }
    }
}

/// If no thread can be created, the receiver has no sender, and `wait` returns `NoAnswer`.
fn start_thread(
    provider: Box<dyn Provider>,
    request: Request,
    deadline: Deadline,
) -> Receiver<Result<Answer, ProviderError>> {
    let (sender, receiver) = mpsc::sync_channel(1);
    let work = move || {
        // Signals go to the calling thread, which decides when they wait; this one may outlive the reading.
        let _held = StopSignals::hold();
        // After the deadline, nothing receives it.
        drop(sender.send(provider.read(&request, deadline)));
    };
    drop(thread::Builder::new().spawn(work));
    receiver
}

impl Pending<'_> {
    fn read_local(&mut self, plan: &Plan, source: Source, deadline: Deadline) {
        if let Self::Local(provider) = self {
            *self = Self::Answered(provider.read(&request(plan, source), deadline));
        }
    }

    fn wait(self, source: Source, deadline: Deadline) -> Result<Answer, ProviderError> {
        let no_answer = || ProviderError::new(source.text(), NoAnswer);
        match self {
            Self::Answered(answer) => answer,
            Self::Local(_) => Err(no_answer()),
            Self::Remote(receiver) => {
                // The threads of the provider have a grace period already.
                let patience = deadline.with_grace().with_grace();
                receiver.recv_timeout(patience.remaining()).unwrap_or_else(|_| Err(no_answer()))
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
