//! Asks every provider at once for everything, and decides for each name which value wins.

use std::collections::BTreeSet;
use std::time::SystemTime;

use crate::name::Variant;
use crate::plan::{Candidate, Entry, Plan, Use};
use crate::provider::{Answer, Deadline, Found, Key, Provider, ProviderError, Request, Source};
use crate::secret::Secret;

/// What the providers have of a plan.
#[derive(Debug)]
pub struct Resolution<'a> {
    /// One for each entry of the plan, in its order.
    pub secrets: Vec<Resolved<'a>>,
    /// Places of which nothing could be asked.
    pub failures: Vec<(Source, ProviderError)>,
    /// What stands in for an environment that nobody selected.
    pub assumed: Assumed,
    /// How many entries the secrets folder has, where it could be listed.
    pub population: Option<usize>,
    /// The permission bits of the secrets folder, where it exists.
    pub folder_mode: Option<u32>,
}

/// What stands in for an environment that nobody selected.
#[derive(Debug, PartialEq, Eq)]
pub enum Assumed {
    /// Nothing: one was selected, or there are no secrets of any.
    Nothing,
    /// The only one that has secrets here.
    Only(Variant),
    /// None, since several have secrets here.
    Ambiguous(Vec<Variant>),
}

/// What became of one entry.
#[derive(Debug)]
pub struct Resolved<'a> {
    /// The entry.
    pub entry: &'a Entry,
    /// What became of each of its candidates, in their order.
    pub fates: Vec<Fate>,
    /// The outcome.
    pub outcome: Outcome<'a>,
}

/// What became of one candidate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// It does not exist.
    Absent,
    /// It is the wrong one of two with the same rank in the same place.
    Collides,
    /// It is there but unusable.
    Failed(ProviderError),
    /// A higher one exists.
    Lost,
    /// It exists, but must not be used.
    Noticed,
    /// Its provider could not be asked.
    Unasked,
    /// It is the value.
    Won,
}

/// What a name comes to.
#[derive(Debug)]
pub enum Outcome<'a> {
    /// Every provider that may hold it answered that it does not.
    Absent,
    /// Two keys of one place stand for it.
    Collision(&'a Candidate, &'a Candidate),
    /// The candidate that should win cannot be read.
    Failed(&'a Candidate, ProviderError),
    /// A value.
    Found(Value<'a>),
    /// A provider that may hold it could not be asked.
    Unasked(Source),
}

/// A value and where it came from.
#[derive(Debug)]
pub struct Value<'a> {
    /// Its place.
    pub candidate: &'a Candidate,
    /// The value.
    pub secret: Secret,
    /// When this version of it was made, where the provider knows that.
    pub created: Option<SystemTime>,
    /// The permission bits of its file, where it is one.
    pub mode: Option<u32>,
    /// Whether somebody else may have put it there.
    pub may_be_planted: bool,
}

/// What a provider said of one candidate.
enum Reading {
    Absent,
    Failed(ProviderError),
    Found(Found),
    Noticed,
    Unasked,
}

/// Asks the providers, and decides.
#[must_use]
pub fn resolve<'a>(
    plan: &'a Plan,
    providers: &[(Source, Box<dyn Provider + '_>)],
    deadline: Deadline,
) -> Resolution<'a> {
    let mut readings: Vec<Vec<Reading>> =
        plan.entries.iter().map(|entry| entry.candidates.iter().map(|_| Reading::Absent).collect()).collect();
    let mut failures = Vec::new();
    let (mut population, mut folder_mode) = (None, None);
    for (source, provider) in providers {
        match ask(plan, *source, provider.as_ref(), deadline, &mut readings) {
            Ok(about) => {
                population = population.or(about.population);
                folder_mode = folder_mode.or(about.mode);
            }
            Err(error) => failures.push((*source, error)),
        }
    }
    let assumed = assume(plan, &readings);
    let entries = plan.entries.iter().zip(readings);
    let secrets = entries.map(|(entry, readings)| decide(entry, readings, &assumed)).collect();
    Resolution { secrets, failures, assumed, population, folder_mode }
}

/// What a provider said of itself.
struct About {
    population: Option<usize>,
    mode: Option<u32>,
}

/// Where an entry's candidate is in the plan.
type Place = (usize, usize);

/// Which candidates each key stands for, by key: two secrets may name the same file.
#[derive(Default)]
struct Index<'a> {
    keys: Vec<&'a Key>,
    places: Vec<(&'a Key, Option<Place>)>,
}

impl<'a> Index<'a> {
    fn add(&mut self, key: &'a Key, place: Place) {
        self.keys.push(key);
        self.places.push((key, Some(place)));
    }

    /// Takes one of the places that a key stands for; each answer to it has its own.
    fn take(&mut self, key: &Key) -> Option<Place> {
        let from = self.places.partition_point(|(other, _)| *other < key);
        let mut same = self.places.get_mut(from..)?.iter_mut().take_while(|(other, _)| *other == key);
        same.find_map(|(_, place)| place.take())
    }
}

fn ask(
    plan: &Plan,
    source: Source,
    provider: &dyn Provider,
    deadline: Deadline,
    readings: &mut [Vec<Reading>],
) -> Result<About, ProviderError> {
    let (mut wanted, mut notice) = (Index::default(), Index::default());
    for (index, entry) in plan.entries.iter().enumerate() {
        for (at, candidate) in entry.candidates.iter().enumerate().filter(|(_, it)| it.source == source) {
            let asked = if candidate.use_of == Use::Never { &mut notice } else { &mut wanted };
            asked.add(&candidate.key, (index, at));
        }
    }
    match provider.read(&Request { keys: &wanted.keys, notice: &notice.keys }, deadline) {
        Ok(answer) => Ok(record(answer, wanted, notice, readings)),
        Err(error) => {
            for place in wanted.places.into_iter().chain(notice.places).filter_map(|(_, place)| place) {
                set(readings, place, Reading::Unasked);
            }
            Err(error)
        }
    }
}

fn record(
    answer: Answer,
    mut wanted: Index<'_>,
    mut notice: Index<'_>,
    readings: &mut [Vec<Reading>],
) -> About {
    wanted.places.sort_unstable();
    notice.places.sort_unstable();
    for found in answer.found {
        if let Some(place) = wanted.take(&found.key) {
            set(readings, place, Reading::Found(found));
        }
    }
    for (key, error) in answer.failed {
        if let Some(place) = wanted.take(&key) {
            set(readings, place, Reading::Failed(error));
        }
    }
    for place in answer.noticed.iter().filter_map(|key| notice.take(key)) {
        set(readings, place, Reading::Noticed);
    }
    About { population: answer.population, mode: answer.mode }
}

fn set(readings: &mut [Vec<Reading>], (entry, candidate): (usize, usize), reading: Reading) {
    if let Some(slot) = readings.get_mut(entry).and_then(|candidates| candidates.get_mut(candidate)) {
        *slot = reading;
    }
}

/// Without a selected environment, secrets of exactly one tell which it must be.
fn assume(plan: &Plan, readings: &[Vec<Reading>]) -> Assumed {
    let mut environments = BTreeSet::new();
    for (entry, readings) in plan.entries.iter().zip(readings) {
        for (candidate, reading) in entry.candidates.iter().zip(readings) {
            let exists = matches!(reading, Reading::Found(..) | Reading::Failed(_));
            if candidate.use_of == Use::IfOnlyEnvironment && exists {
                environments.extend(candidate.variant.clone());
            }
        }
    }
    let mut environments: Vec<Variant> = environments.into_iter().collect();
    match environments.len() {
        0 => Assumed::Nothing,
        1 => environments.pop().map_or(Assumed::Nothing, Assumed::Only),
        _ => Assumed::Ambiguous(environments),
    }
}

/// Goes down the candidates: the first that exists is the value, or the reason that there is none. A lower one
/// never stands in for a higher one that could not be read.
fn decide<'a>(entry: &'a Entry, readings: Vec<Reading>, assumed: &Assumed) -> Resolved<'a> {
    let mut outcome = Outcome::Absent;
    let mut fates = Vec::with_capacity(readings.len());
    for (candidate, reading) in entry.candidates.iter().zip(readings) {
        let fate = if may_use(candidate, assumed) {
            weigh(&mut outcome, candidate, reading)
        } else {
            unused(&reading)
        };
        fates.push(fate);
    }
    if matches!(outcome, Outcome::Collision(..)) {
        // The first of the two looked like the winner until the second came.
        fates.iter_mut().filter(|fate| **fate == Fate::Won).for_each(|fate| *fate = Fate::Collides);
    }
    Resolved { entry, fates, outcome }
}

fn weigh<'a>(outcome: &mut Outcome<'a>, candidate: &'a Candidate, reading: Reading) -> Fate {
    let is_open = matches!(outcome, Outcome::Absent);
    match reading {
        Reading::Absent | Reading::Noticed => Fate::Absent,
        Reading::Unasked => {
            if is_open {
                *outcome = Outcome::Unasked(candidate.source);
            }
            Fate::Unasked
        }
        Reading::Failed(error) => {
            match outcome {
                Outcome::Absent => *outcome = Outcome::Failed(candidate, error.clone()),
                // Both are there, and which of them was meant does not depend on which can be read.
                Outcome::Found(value) if value.candidate.rank == candidate.rank => {
                    *outcome = Outcome::Collision(value.candidate, candidate);
                }
                _ => {}
            }
            Fate::Failed(error)
        }
        Reading::Found(Found { value: secret, created, mode, may_be_planted, .. }) if is_open => {
            *outcome = Outcome::Found(Value { candidate, secret, created, mode, may_be_planted });
            Fate::Won
        }
        Reading::Found(..) => match outcome.candidate() {
            Some(other) if other.rank == candidate.rank => {
                *outcome = Outcome::Collision(other, candidate);
                Fate::Collides
            }
            _ => Fate::Lost,
        },
    }
}

fn unused(reading: &Reading) -> Fate {
    match reading {
        Reading::Absent => Fate::Absent,
        Reading::Unasked => Fate::Unasked,
        Reading::Failed(_) | Reading::Found(..) | Reading::Noticed => Fate::Noticed,
    }
}

fn may_use(candidate: &Candidate, assumed: &Assumed) -> bool {
    match (candidate.use_of, assumed) {
        (Use::Always, _) => true,
        (Use::IfOnlyEnvironment, Assumed::Only(only)) => candidate.variant.as_ref() == Some(only),
        (Use::IfOnlyEnvironment | Use::Never, _) => false,
    }
}

impl<'a> Outcome<'a> {
    /// The value, if there is one.
    #[must_use]
    pub fn value(&self) -> Option<&Value<'a>> {
        match self {
            Self::Found(value) => Some(value),
            _ => None,
        }
    }

    fn candidate(&self) -> Option<&'a Candidate> {
        match self {
            Self::Found(value) => Some(value.candidate),
            Self::Failed(candidate, _) => Some(candidate),
            Self::Absent | Self::Collision(..) | Self::Unasked(_) => None,
        }
    }
}

impl Resolution<'_> {
    /// Candidates that exist and must not be used, with the entry that they would be for.
    pub fn noticed(&self) -> impl Iterator<Item = (&Entry, &Candidate)> {
        self.secrets.iter().flat_map(|resolved| {
            let fates = resolved.entry.candidates.iter().zip(&resolved.fates);
            let noticed = fates.filter(|(_, fate)| **fate == Fate::Noticed);
            noticed.map(|(candidate, _)| (resolved.entry, candidate))
        })
    }
}

impl Value<'_> {
    /// Whether the value is nothing, after the newline rule.
    #[must_use]
    pub fn is_empty(&self, entry: &Entry) -> bool {
        self.secret.expose_as(entry.rule.newline).is_empty()
    }
}
