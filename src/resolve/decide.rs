//! Decides which value each name gets. Pure: the sources have answered, and nothing is read here.

use std::collections::{BTreeMap, BTreeSet};

use super::answers::Answers;
use super::{Assumed, Fate, LeftOut, Resolution, Resolved, Tried, WhyLeftOut};
use crate::manifest::SecretRule;
use crate::name::{EnvName, Variant};
use crate::plan::{Bulk, Candidate, Entry, Plan, Rank, Sought, Spelling, Use};
use crate::provider::{Key, Reading, Source};

pub(super) fn decide(plan: Plan, mut answers: Answers) -> Resolution {
    let assumed = assume(&plan, &answers);
    let mut settle = |entry: Entry| {
        let mut settling = Settling::new(&assumed, entry.candidates.len());
        entry.candidates.into_iter().for_each(|candidate| settling.look(candidate, &mut answers));
        Resolved { name: entry.name, rule: entry.rule, is_declared: true, tried: settling.done() }
    };
    let mut secrets: Vec<Resolved> = plan.entries.into_iter().map(&mut settle).collect();
    let rotation_stamp = plan.rotation_stamp.map(settle);
    let (undeclared, left_out) = undeclared(&plan.bulk, &secrets, &mut answers, &assumed);
    secrets.extend(undeclared);
    Resolution {
        secrets,
        rotation_stamp,
        assumed,
        left_out,
        failures: answers.failures,
        warnings: answers.warnings,
        advice: answers.advice,
        notes: answers.notes,
        states: answers.states,
        visits: answers.visits,
        consumed: answers.consumed,
        sessions: answers.sessions,
    }
}

/// If no environment is selected and declared secrets of exactly one exist, that one is assumed.
fn assume(plan: &Plan, answers: &Answers) -> Assumed {
    let candidates = plan.all().flat_map(|entry| &entry.candidates);
    let guessed = candidates.filter(|it| it.use_of == Use::IfOnlyEnvironment && answers.has(it));
    let environments: BTreeSet<Variant> = guessed.filter_map(|it| it.variant.clone()).collect();
    let mut environments: Vec<Variant> = environments.into_iter().collect();
    match environments.len() {
        0 => Assumed::Nothing,
        1 => environments.pop().map_or(Assumed::Nothing, Assumed::Only),
        _ => Assumed::Ambiguous(environments),
    }
}

/// Goes down the candidates of a name: the first that exists is the value, or the reason that there is none. A lower one
/// never stands in for a higher one that could not be read.
struct Settling<'a> {
    assumed: &'a Assumed,
    /// The rank of what decides.
    decided: Option<Rank>,
    tried: Vec<Tried>,
}

impl<'a> Settling<'a> {
    fn new(assumed: &'a Assumed, count: usize) -> Self {
        Self { assumed, decided: None, tried: Vec::with_capacity(count) }
    }

    /// Looks for a candidate in the answers.
    fn look(&mut self, candidate: Candidate, answers: &mut Answers) {
        let mut found = answers.take(&candidate);
        let Some((key, reading)) = found.next() else {
            drop(found);
            let fate = if answers.is_unavailable(candidate.source) {
                Fate::Unavailable
            } else {
                answers.denial(&candidate).cloned().map_or(Fate::Absent, Fate::Denied)
            };
            return self.nothing(candidate, fate);
        };
        let twins: Vec<_> = found.map(|(key, reading)| (candidate.clone(), key, reading)).collect();
        self.exists(candidate, key, reading);
        for (candidate, key, reading) in twins {
            self.exists(candidate, key, reading);
        }
    }

    fn nothing(&mut self, candidate: Candidate, fate: Fate) {
        let is_used = may_use(&candidate, self.assumed);
        if matches!(fate, Fate::Unavailable) && is_used {
            self.decided.get_or_insert(candidate.rank);
        }
        self.tried.push(Tried { candidate, key: None, is_used, fate });
    }

    fn exists(&mut self, candidate: Candidate, key: Key, reading: Reading) {
        let is_used = may_use(&candidate, self.assumed);
        let fate = if is_used { self.weigh(candidate.rank, reading) } else { Fate::Unselected };
        self.tried.push(Tried { candidate, key: Some(key), is_used, fate });
    }

    fn weigh(&mut self, rank: Rank, reading: Reading) -> Fate {
        match (self.decided.replace(self.decided.unwrap_or(rank)), reading) {
            (Some(higher), _) if higher == rank => Fate::Ambiguous,
            (_, Reading::Failed(error)) => Fate::Failed(error),
            (None, Reading::Value(value)) => Fate::Found(value),
            (_, Reading::Value(_) | Reading::Exists) => Fate::Shadowed,
        }
    }

    fn done(mut self) -> Vec<Tried> {
        share_ambiguity(&mut self.tried);
        self.tried
    }
}

/// Marks the first of two candidates with the same rank as ambiguous too, whether or not it can be read.
fn share_ambiguity(tried: &mut [Tried]) {
    let is_ambiguous = |tried: &&Tried| matches!(tried.fate, Fate::Ambiguous);
    let Some(rank) = tried.iter().find(is_ambiguous).map(|tried| tried.candidate.rank) else { return };
    let exists = |fate: &Fate| matches!(fate, Fate::Found(_) | Fate::Failed(_));
    let twins = tried.iter_mut().filter(|tried| tried.candidate.rank == rank && exists(&tried.fate));
    twins.for_each(|tried| tried.fate = Fate::Ambiguous);
}

fn may_use(candidate: &Candidate, assumed: &Assumed) -> bool {
    match (candidate.use_of, assumed) {
        (Use::Always, _) => true,
        (Use::IfOnlyEnvironment, Assumed::Only(only)) => candidate.variant.as_ref() == Some(only),
        (Use::IfOnlyEnvironment | Use::Never, _) => false,
    }
}

/// Undeclared keys that bulk sources returned, as secrets of their own, and those that are left out. A name of an
/// environment that is not selected is neither.
fn undeclared(
    bulk: &Bulk,
    secrets: &[Resolved],
    answers: &mut Answers,
    assumed: &Assumed,
) -> (Vec<Resolved>, Vec<LeftOut>) {
    if !bulk.sources.iter().any(|source| source.is_remote()) {
        return Default::default();
    }
    let declared: BTreeSet<&EnvName> = secrets.iter().map(|resolved| &resolved.name).collect();
    let no_name = |(source, key)| LeftOut { source, key, why: WhyLeftOut::NoName };
    let mut left_out: Vec<LeftOut> = std::mem::take(&mut answers.unnamed).into_iter().map(no_name).collect();
    let mut by_name: BTreeMap<EnvName, Vec<(Candidate, Key, Reading)>> = BTreeMap::new();
    for (priority, source) in (0..).zip(&bulk.sources).filter(|(_, source)| source.is_remote()) {
        for (full, key, reading) in answers.unclaimed(*source) {
            match name_of(&full, bulk) {
                Ok((name, _)) if declared.contains(&name) => {}
                Ok((name, spelling)) => {
                    let candidate = bulk_candidate(*source, priority, &full, spelling);
                    by_name.entry(name).or_default().push((candidate, key, reading));
                }
                Err(why) => left_out.push(LeftOut { source: *source, key, why }),
            }
        }
    }
    left_out.sort_unstable_by(|left, right| (left.source, &left.key).cmp(&(right.source, &right.key)));
    let resolved = by_name.into_iter().map(|(name, mut found)| {
        found.sort_by_key(|(candidate, ..)| std::cmp::Reverse(candidate.rank));
        let mut settling = Settling::new(assumed, found.len());
        for (candidate, key, reading) in found {
            settling.exists(candidate, key, reading);
        }
        Resolved { name, rule: SecretRule::DEFAULT, is_declared: false, tried: settling.done() }
    });
    (resolved.filter(|resolved| resolved.decisive().is_some()).collect(), left_out)
}

/// The name under which the app gets an undeclared key: without the prefix of a declared environment or color.
fn name_of<'a>(full: &str, bulk: &'a Bulk) -> Result<(EnvName, Option<&'a Spelling>), WhyLeftOut> {
    let behind = |spelling: &'a Spelling| {
        let rest = full.strip_prefix(&spelling.prefix)?;
        EnvName::parse(rest).ok().map(|name| (name, Some(spelling)))
    };
    let found = bulk.variants.iter().find_map(behind);
    let found = found.or_else(|| EnvName::parse(full).ok().map(|name| (name, None)));
    let (name, spelling) = found.ok_or(WhyLeftOut::NoName)?;
    if name.is_dangerous() { Err(WhyLeftOut::Dangerous) } else { Ok((name, spelling)) }
}

fn bulk_candidate(source: Source, priority: u16, full: &str, spelling: Option<&Spelling>) -> Candidate {
    Candidate {
        source,
        sought: Sought::Name(full.into()),
        rank: Rank { specificity: spelling.map_or(0, |spelling| spelling.specificity), priority },
        variant: spelling.and_then(|spelling| spelling.variant.clone()),
        use_of: spelling.map_or(Use::Always, |spelling| spelling.use_of),
    }
}
