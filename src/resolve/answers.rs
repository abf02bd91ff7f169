//! What the places said, by place and by what was sought.

use super::Visit;
use crate::error::Problem;
use crate::plan::{Candidate, Plan, Sought};
use crate::provider::{Answer, Found, Key, ProviderError, Reading, Session, Source};

/// What the places said.
#[derive(Debug, Default)]
pub(super) struct Answers {
    /// What each place has, in the order of [`Place`].
    slots: Vec<(Source, Vec<Slot>)>,
    /// What several secrets refer to: each gets its own.
    shared: Vec<Candidate>,
    /// Places of which nothing could be asked.
    pub(super) failures: Vec<(Source, ProviderError)>,
    /// Names that places deny, where that can mean that they do not exist.
    denied: Vec<(Source, String, ProviderError)>,
    /// What the places themselves had to say.
    pub(super) warnings: Vec<Problem>,
    /// What could be tighter.
    pub(super) advice: Vec<String>,
    /// What was done at the places.
    pub(super) notes: Vec<String>,
    /// What the places look like.
    pub(super) states: Vec<(Source, String)>,
    /// Keys of bulk sources that map to no legal name.
    pub(super) unnamed: Vec<(Source, Key)>,
    /// The remote sources that were asked.
    pub(super) visits: Vec<Visit>,
    /// Variables that signed cryokey in.
    pub(super) consumed: Vec<String>,
    /// What is to be ended at the places.
    pub(super) sessions: Vec<Session>,
}

/// One key that exists in a place.
#[derive(Debug)]
struct Slot {
    name: Option<String>,
    key: Key,
    /// `None` once it was taken.
    reading: Option<Reading>,
}

/// The name that something stands for, else its key: what answers and candidates are compared by.
type Place<'a> = (Option<&'a str>, Option<&'a Key>);

fn wanted(candidate: &Candidate) -> Place<'_> {
    match &candidate.sought {
        Sought::Key(key) => (None, Some(key)),
        Sought::Name(name) => (Some(name), None),
    }
}

impl Slot {
    fn place(&self) -> Place<'_> {
        match &self.name {
            Some(name) => (Some(name), None),
            None => (None, Some(&self.key)),
        }
    }
}

impl Answers {
    /// No answers yet, to what a plan asks for.
    pub(super) fn new(plan: &Plan) -> Self {
        Self { shared: shared(plan), ..Self::default() }
    }

    pub(super) fn record(&mut self, source: Source, answer: Result<Answer, ProviderError>) {
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => return self.failures.push((source, error)),
        };
        let slot = |Found { key, name, reading }| Slot { name, key, reading: Some(reading) };
        let mut slots: Vec<Slot> = answer.found.into_iter().map(slot).collect();
        slots.sort_by(|left, right| left.place().cmp(&right.place()));
        self.slots.push((source, slots));
        self.failures.extend(answer.failures.into_iter().map(|error| (source, error)));
        self.denied.extend(answer.denied.into_iter().map(|(name, error)| (source, name, error)));
        self.warnings.extend(answer.warnings);
        self.advice.extend(answer.advice);
        self.notes.extend(answer.notes);
        self.sessions.extend(answer.session);
        self.states.extend(answer.state.map(|state| (source, state)));
        self.unnamed.extend(answer.unnamed.into_iter().map(|key| (source, key)));
    }

    /// Whether a place could not be asked.
    pub(super) fn is_unavailable(&self, source: Source) -> bool {
        self.failures.iter().any(|(failed, _)| *failed == source)
    }

    /// Why a candidate that was not found may exist all the same.
    pub(super) fn denial(&self, candidate: &Candidate) -> Option<&ProviderError> {
        let Sought::Name(sought) = &candidate.sought else { return None };
        let is_it = |source: Source, name: &str| source == candidate.source && *name == **sought;
        self.denied.iter().find(|(source, name, _)| is_it(*source, name)).map(|(.., error)| error)
    }

    /// Whether anything was found for a candidate.
    pub(super) fn has(&self, candidate: &Candidate) -> bool {
        let sought = wanted(candidate);
        let place = self.slots.iter().find(|(source, _)| *source == candidate.source);
        place.is_some_and(|(_, slots)| slots.binary_search_by(|slot| slot.place().cmp(&sought)).is_ok())
    }

    /// What was found for a candidate. What several secrets refer to stays for the next one.
    pub(super) fn take(&mut self, candidate: &Candidate) -> impl Iterator<Item = (Key, Reading)> {
        let sought = wanted(candidate);
        let is_twin = |shared: &Candidate| shared.source == candidate.source && wanted(shared) == sought;
        let is_shared = self.shared.iter().any(is_twin);
        let place = self.slots.iter_mut().find(|(source, _)| *source == candidate.source);
        let slots = place.map(|(_, slots)| slots.as_mut_slice()).unwrap_or_default();
        let from = slots.partition_point(|slot| slot.place() < sought);
        let rest = slots.get_mut(from..).unwrap_or_default();
        let same = rest.iter_mut().take_while(move |slot| slot.place() == sought);
        same.filter_map(move |slot| {
            let reading = if is_shared { slot.reading.as_ref().map(duplicate) } else { slot.reading.take() };
            reading.map(|reading| (slot.key.clone(), reading))
        })
    }

    /// What a bulk source brought that no candidate looks for: the name, the key and what reading it gave.
    pub(super) fn unclaimed(&mut self, source: Source) -> impl Iterator<Item = (String, Key, Reading)> {
        let places = self.slots.iter_mut().filter(move |(place, _)| *place == source);
        let slots = places.flat_map(|(_, slots)| slots);
        slots.filter_map(|slot| Some((slot.name.clone()?, slot.key.clone(), slot.reading.take()?)))
    }
}

fn duplicate(reading: &Reading) -> Reading {
    match reading {
        Reading::Exists => Reading::Exists,
        Reading::Failed(error) => Reading::Failed(error.clone()),
        Reading::Value(value) => Reading::Value(Box::new(value.duplicate())),
    }
}

/// What references of several secrets name. Without references every candidate is looked for once.
fn shared(plan: &Plan) -> Vec<Candidate> {
    if plan.entries.iter().all(|entry| entry.rule.from.is_empty()) {
        return Vec::new();
    }
    let mut candidates: Vec<&Candidate> = plan.all().flat_map(|entry| &entry.candidates).collect();
    let order =
        |one: &&Candidate, two: &&Candidate| (one.source, wanted(one)).cmp(&(two.source, wanted(two)));
    candidates.sort_by(order);
    let twins = candidates.windows(2).filter(|pair| matches!(pair, [one, two] if order(one, two).is_eq()));
    twins.filter_map(|pair| pair.first().copied().cloned()).collect()
}
