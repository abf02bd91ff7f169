//! Reads every source, each in one request for everything that is wanted from it.

use std::collections::HashMap;

use super::Opened;
use crate::error::Problem;
use crate::plan::{Candidate, Plan, Sought, Use};
use crate::provider::{Answer, Deadline, Found, Key, ProviderError, Reading, Request, Source};

/// What the sources answered.
#[derive(Debug, Default)]
pub struct Answers {
    places: HashMap<Source, HashMap<Sought, Held>>,
    /// Unavailable sources.
    pub failures: Vec<(Source, ProviderError)>,
    pub warnings: Vec<Problem>,
    /// About modes that are wider than needed.
    pub advice: Vec<String>,
    /// For messages about missing secrets, such as `/run/secrets is empty`.
    pub states: Vec<(Source, String)>,
    /// Keys of bulk sources that do not map to a valid name.
    pub unnamed: Vec<(Source, Key)>,
}

/// What was found for one key or name, and by how many candidates it is wanted.
#[derive(Debug, Default)]
struct Held {
    found: Vec<Found>,
    claims: usize,
}

/// Local sources are read one after the other: threads would gain nothing there.
#[must_use]
pub fn ask(plan: &Plan, providers: Vec<Opened<'_>>, deadline: Deadline) -> Answers {
    let mut answers = Answers::default();
    for candidate in plan.all().flat_map(|entry| &entry.candidates) {
        let place = answers.places.entry(candidate.source).or_default();
        place.entry(candidate.sought.clone()).or_default().claims += 1;
    }
    for (source, provider) in providers {
        let request = request(plan, source);
        let answer = provider.and_then(|provider| provider.read(&request, deadline));
        answers.record(source, answer);
    }
    answers
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
        self.warnings.extend(answer.warnings);
        self.advice.extend(answer.advice);
        self.states.extend(answer.state.map(|state| (source, state)));
        self.unnamed.extend(answer.unnamed.into_iter().map(|key| (source, key)));
    }

    pub(super) fn is_unavailable(&self, source: Source) -> bool {
        self.failures.iter().any(|(failed, _)| *failed == source)
    }

    /// What was found for a candidate. Two secrets may refer to the same key; each gets its own copy.
    pub(super) fn take(&mut self, candidate: &Candidate) -> Vec<Found> {
        let place = self.places.get_mut(&candidate.source);
        let Some(held) = place.and_then(|place| place.get_mut(&candidate.sought)) else { return Vec::new() };
        held.claims = held.claims.saturating_sub(1);
        if held.claims == 0 { std::mem::take(&mut held.found) } else { duplicates(&held.found) }
    }

    /// What a bulk source returned that no candidate wants, by name.
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
