//! Decides which value each name gets. Pure: the sources have answered, and nothing is read here.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::{Answers, Assumed, Fate, LeftOut, Resolution, Resolved, Tried, WhyLeftOut};
use crate::manifest::SecretRule;
use crate::name::{EnvName, Variant};
use crate::plan::{Bulk, Candidate, Entry, Plan, Rank, Sought, Spelling, Use};
use crate::provider::{Found, Key, Reading, Source};

#[must_use]
pub fn decide(plan: Plan, mut answers: Answers) -> Resolution {
    let declared: HashSet<EnvName> = plan.entries.iter().map(|entry| entry.name.clone()).collect();
    let mut secrets: Vec<Looked> = plan.entries.into_iter().map(|entry| look(entry, &mut answers)).collect();
    let rotation_stamp = plan.rotation_stamp.map(|entry| look(entry, &mut answers));
    let assumed = assume(secrets.iter().chain(&rotation_stamp));
    let mut left_out = unnamed(&mut answers);
    secrets.extend(undeclared(&plan.bulk, &declared, &mut answers, &mut left_out));
    Resolution {
        secrets: secrets.into_iter().filter_map(|looked| settle(looked, &assumed)).collect(),
        rotation_stamp: rotation_stamp.and_then(|looked| settle(looked, &assumed)),
        assumed,
        left_out,
        failures: answers.failures,
        warnings: answers.warnings,
        advice: answers.advice,
        states: answers.states,
    }
}

/// A name, with the answers for its candidates.
struct Looked {
    name: EnvName,
    rule: SecretRule,
    is_declared: bool,
    looks: Vec<Look>,
}

struct Look {
    candidate: Candidate,
    said: Said,
}

/// The answer of a source for one candidate.
enum Said {
    Absent,
    Exists(Key, Reading),
    Unavailable,
}

fn look(entry: Entry, answers: &mut Answers) -> Looked {
    let mut looks = Vec::with_capacity(entry.candidates.len());
    for candidate in entry.candidates {
        let mut found = answers.take(&candidate);
        let said = match found.pop() {
            None if answers.is_unavailable(candidate.source) => Said::Unavailable,
            None => Said::Absent,
            Some(found) => Said::Exists(found.key, found.reading),
        };
        looks.extend(found.into_iter().map(|found| exists(candidate.clone(), found)));
        looks.push(Look { candidate, said });
    }
    Looked { name: entry.name, rule: entry.rule, is_declared: true, looks }
}

fn exists(candidate: Candidate, found: Found) -> Look {
    Look { candidate, said: Said::Exists(found.key, found.reading) }
}

/// If no environment is selected and declared secrets of exactly one exist, that one is assumed.
fn assume<'a>(looked: impl Iterator<Item = &'a Looked>) -> Assumed {
    let looks = looked.flat_map(|looked| &looked.looks);
    let guessed = looks.filter(|look| {
        look.candidate.use_of == Use::IfOnlyEnvironment && matches!(look.said, Said::Exists(..))
    });
    let environments: BTreeSet<Variant> = guessed.filter_map(|look| look.candidate.variant.clone()).collect();
    let mut environments: Vec<Variant> = environments.into_iter().collect();
    match environments.len() {
        0 => Assumed::Nothing,
        1 => environments.pop().map_or(Assumed::Nothing, Assumed::Only),
        _ => Assumed::Ambiguous(environments),
    }
}

/// The first candidate that exists decides: it is the value, or the reason why none exists. If it cannot be read, a lower
/// one never replaces it. `None`: an undeclared name of another environment.
fn settle(looked: Looked, assumed: &Assumed) -> Option<Resolved> {
    let mut decided = None;
    let tried = looked.looks.into_iter().map(|Look { candidate, said }| {
        let is_used = may_use(&candidate, assumed);
        let (key, fate) = match said {
            Said::Absent => (None, Fate::Absent),
            Said::Unavailable => {
                if is_used {
                    decided.get_or_insert(candidate.rank);
                }
                (None, Fate::Unavailable)
            }
            Said::Exists(key, _) if !is_used => (Some(key), Fate::Unselected),
            Said::Exists(key, reading) => (Some(key), weigh(&mut decided, candidate.rank, reading)),
        };
        Tried { candidate, key, is_used, fate }
    });
    let mut tried: Vec<Tried> = tried.collect();
    share_ambiguity(&mut tried);
    let resolved = Resolved { name: looked.name, rule: looked.rule, is_declared: looked.is_declared, tried };
    (resolved.is_declared || resolved.decisive().is_some()).then_some(resolved)
}

fn weigh(decided: &mut Option<Rank>, rank: Rank, reading: Reading) -> Fate {
    match (decided.replace(decided.unwrap_or(rank)), reading) {
        (Some(higher), _) if higher == rank => Fate::Ambiguous,
        (_, Reading::Failed(error)) => Fate::Failed(error),
        (None, Reading::Value(value)) => Fate::Found(value),
        (_, Reading::Value(_) | Reading::Exists) => Fate::Shadowed,
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

fn unnamed(answers: &mut Answers) -> Vec<LeftOut> {
    let left_out = |(source, key)| LeftOut { source, key, why: WhyLeftOut::NoName };
    std::mem::take(&mut answers.unnamed).into_iter().map(left_out).collect()
}

/// Undeclared keys that bulk sources returned, as secrets of their own.
fn undeclared(
    bulk: &Bulk,
    declared: &HashSet<EnvName>,
    answers: &mut Answers,
    left_out: &mut Vec<LeftOut>,
) -> Vec<Looked> {
    let mut by_name: BTreeMap<EnvName, Vec<Look>> = BTreeMap::new();
    for (priority, source) in bulk.sources.iter().enumerate().filter(|(_, source)| source.is_remote()) {
        for (full, found) in answers.unclaimed(*source) {
            match name_of(&full, bulk) {
                Ok((name, _)) if declared.contains(&name) => {}
                Ok((name, spelling)) => {
                    let candidate = bulk_candidate(*source, priority, full, spelling);
                    let looks = found.into_iter().map(|found| exists(candidate.clone(), found));
                    by_name.entry(name).or_default().extend(looks);
                }
                Err(why) => left_out.extend(found.into_iter().map(|found| LeftOut {
                    source: *source,
                    key: found.key,
                    why,
                })),
            }
        }
    }
    left_out.sort_unstable_by(|left, right| (left.source, &left.key).cmp(&(right.source, &right.key)));
    let looked = |(name, mut looks): (EnvName, Vec<Look>)| {
        looks.sort_by_key(|look| std::cmp::Reverse(look.candidate.rank));
        Looked { name, rule: SecretRule::DEFAULT, is_declared: false, looks }
    };
    by_name.into_iter().map(looked).collect()
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

fn bulk_candidate(source: Source, priority: usize, full: String, spelling: Option<&Spelling>) -> Candidate {
    Candidate {
        source,
        sought: Sought::Name(full),
        rank: Rank { specificity: spelling.map_or(0, |spelling| spelling.specificity), priority },
        variant: spelling.and_then(|spelling| spelling.variant.clone()),
        use_of: spelling.map_or(Use::Always, |spelling| spelling.use_of),
    }
}
