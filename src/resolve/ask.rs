//! Asks every place at once for everything that is wanted of it.

use std::collections::HashMap;
use std::sync::mpsc::{self, Receiver};
use std::thread;

use init::StopSignals;

use super::{Opened, Place};
use crate::error::Problem;
use crate::plan::{Candidate, Plan, Sought, Use};
use crate::provider::{
    Answer, Cause, Deadline, Found, Key, Kind, Provider, ProviderError, Reading, Request, Session, Source,
};

/// What the places said.
#[derive(Debug, Default)]
pub struct Answers {
    places: HashMap<Source, HashMap<Sought, Held>>,
    /// Places of which nothing could be asked.
    pub failures: Vec<(Source, ProviderError)>,
    /// What the places themselves had to say.
    pub warnings: Vec<Problem>,
    /// What could be tighter.
    pub advice: Vec<String>,
    /// What was done at the places.
    pub notes: Vec<String>,
    /// What the places look like.
    pub states: Vec<(Source, String)>,
    /// Keys of bulk sources that map to no legal name.
    pub unnamed: Vec<(Source, Key)>,
    /// Variables that signed cryokey in.
    pub consumed: Vec<String>,
    /// What is to be ended at the places.
    pub sessions: Vec<Session>,
}

/// What was found for one key or name, and by how many candidates it is looked for.
#[derive(Debug, Default)]
struct Held {
    found: Vec<Found>,
    claims: usize,
}

/// What a place said, or will say.
enum Pending<'a> {
    Answered(Result<Answer, ProviderError>),
    Local(Box<dyn Provider + 'a>),
    Remote(Receiver<Result<Answer, ProviderError>>),
}

/// Asks every place. Remote ones are read side by side, local ones meanwhile, one after the other: threads before
/// `execve` buy nothing there.
#[must_use]
pub fn ask(plan: &Plan, places: Vec<Opened<'_>>, deadline: Deadline) -> Answers {
    let mut answers = Answers::default();
    for candidate in plan.all().flat_map(|entry| &entry.candidates) {
        let place = answers.places.entry(candidate.source).or_default();
        place.entry(candidate.sought.clone()).or_default().claims += 1;
    }
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

/// Where the kernel has no thread left, the receiver has no sender: that is no answer.
fn start_thread(
    provider: Box<dyn Provider>,
    request: Request,
    deadline: Deadline,
) -> Receiver<Result<Answer, ProviderError>> {
    let (sender, receiver) = mpsc::sync_channel(1);
    let work = move || {
        // Signals go to the calling thread, which decides when they wait; this one may outlive the reading.
        let _held = StopSignals::hold();
        // Nobody listens any more where the deadline has passed.
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
                // Its own threads have a grace already.
                let patience = deadline.with_grace().with_grace();
                receiver.recv_timeout(patience.remaining()).unwrap_or_else(|_| Err(no_answer()))
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
    for candidate in plan.all().flat_map(|entry| &entry.candidates).filter(|it| it.source == source) {
        let want = candidate.use_of.want();
        match &candidate.sought {
            Sought::Key(key) => request.keys.push((key.clone(), want)),
            Sought::Name(name) => {
                request.names.wanted.insert(name.clone(), want);
            }
        }
    }
    request.keys.sort_unstable_by(|left, right| left.0.cmp(&right.0));
    request.keys.dedup_by(|left, right| left.0 == right.0);
    if source.is_remote() && plan.bulk.sources.contains(&source) {
        request.names.undeclared = plan.bulk.deliver;
        let unused = plan.bulk.variants.iter().filter(|spelling| spelling.use_of == Use::Never);
        request.names.excluded = unused.map(|spelling| spelling.prefix.clone()).collect();
    }
    request
}

impl Answers {
    /// Notes what a place said.
    pub fn record(&mut self, source: Source, answer: Result<Answer, ProviderError>) {
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => return self.failures.push((source, error)),
        };
        let place = self.places.entry(source).or_default();
        for found in answer.found {
            let sought = match &found.name {
                Some(name) => Sought::Name(name.clone()),
                None => Sought::Key(found.key.clone()),
            };
            place.entry(sought).or_default().found.push(found);
        }
        self.failures.extend(answer.failures.into_iter().map(|error| (source, error)));
        self.warnings.extend(answer.warnings);
        self.advice.extend(answer.advice);
        self.notes.extend(answer.notes);
        self.states.extend(answer.state.map(|state| (source, state)));
        self.sessions.extend(answer.session);
        self.unnamed.extend(answer.unnamed.into_iter().map(|key| (source, key)));
    }

    /// Whether a place could not be asked.
    pub(super) fn is_unavailable(&self, source: Source) -> bool {
        self.failures.iter().any(|(failed, _)| *failed == source)
    }

    /// What was found for a candidate. Two secrets may name the same key: each gets its own.
    pub(super) fn take(&mut self, candidate: &Candidate) -> Vec<Found> {
        let place = self.places.get_mut(&candidate.source);
        let Some(held) = place.and_then(|place| place.get_mut(&candidate.sought)) else { return Vec::new() };
        held.claims = held.claims.saturating_sub(1);
        if held.claims == 0 { std::mem::take(&mut held.found) } else { duplicates(&held.found) }
    }

    /// What a bulk source brought that no candidate looks for, by name.
    pub(super) fn unclaimed(&mut self, source: Source) -> Vec<(String, Vec<Found>)> {
        let place = self.places.remove(&source).unwrap_or_default();
        let unclaimed = place.into_iter().filter_map(|(sought, held)| match sought {
            Sought::Name(name) if !held.found.is_empty() => Some((name, held.found)),
            _ => None,
        });
        unclaimed.collect()
    }
}

fn duplicates(found: &[Found]) -> Vec<Found> {
    let reading = |reading: &Reading| match reading {
        Reading::Exists => Reading::Exists,
        Reading::Failed(error) => Reading::Failed(error.clone()),
        Reading::Value(value) => Reading::Value(value.duplicate()),
    };
    let duplicate = |found: &Found| Found {
        key: found.key.clone(),
        name: found.name.clone(),
        reading: reading(&found.reading),
    };
    found.iter().map(duplicate).collect()
}
