//! Asks every place at once for everything that is wanted of it.

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

/// What a place said, or will say.
enum Pending<'a> {
    Answered(Result<Answer, ProviderError>),
    Local(Box<dyn Provider + 'a>),
    Remote(Remote),
}

/// A remote place that is being asked.
struct Remote {
    access: Access,
    since: Instant,
    receiver: Receiver<(Result<Answer, ProviderError>, Duration)>,
}

/// Asks every place. Remote ones are read side by side, local ones meanwhile, one after the other: threads before
/// `execve` buy nothing there.
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
    /// Where the kernel has no thread left, the receiver has no sender: that is no answer.
    fn start(provider: Box<dyn Provider>, request: Request, deadline: Deadline) -> Self {
        let (sender, receiver) = mpsc::sync_channel(1);
        let (access, since) = (provider.access().unwrap_or_default(), Instant::now());
        let work = move || {
            // Signals go to the calling thread, which decides when they wait; this one may outlive the reading.
            let _held = StopSignals::hold();
            let answer = provider.read(&request, deadline);
            // Nobody listens any more where the deadline has passed.
            drop(sender.send((answer, since.elapsed())));
        };
        drop(thread::Builder::new().spawn(work));
        Self { access, since, receiver }
    }

    fn wait(self, source: Source, deadline: Deadline) -> (Result<Answer, ProviderError>, Visit) {
        // Its own threads have a grace already.
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

/// A place that did not answer in time.
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
