//! Joins problems that differ only in the secret concerned.

use std::collections::{HashMap, HashSet};

use crate::error::Problem;

/// A message names no more secrets to which it also applies.
const MOST_NAMES: usize = 20;

/// Sixteen files with the wrong owner are one problem with sixteen names. Its text is that of the first.
pub(super) fn grouped(problems: Vec<Problem>) -> Vec<Problem> {
    let names: HashSet<String> = problems.iter().flat_map(|problem| problem.names.clone()).collect();
    let mut places: HashMap<(&str, String), usize> = HashMap::new();
    let mut groups: Vec<(Problem, Vec<String>)> = Vec::new();
    for problem in problems {
        let place = *places.entry(pattern(&problem, &names)).or_insert(groups.len());
        match groups.get_mut(place) {
            Some((_, others)) => others.extend(problem.names),
            None => groups.push((problem, Vec::new())),
        }
    }
    groups.into_iter().map(|(first, others)| joined(first, others)).collect()
}

fn joined(mut first: Problem, others: Vec<String>) -> Problem {
    if let Some(named) = others.get(..others.len().min(MOST_NAMES)).filter(|named| !named.is_empty()) {
        let more = others.len() - named.len();
        let more = if more == 0 { String::new() } else { format!(" and {more} more") };
        first.what = format!("{}; the same applies to {}{more}", first.what, named.join(", "));
        first.names.extend(others);
    }
    first
}

/// The problem with a placeholder for every name. Files and variables that map to a name differ from it only in case,
/// separators, prefix and the suffix of `NAME_FILE`.
fn pattern(problem: &Problem, names: &HashSet<String>) -> (&'static str, String) {
    let is_word = |character: char| character.is_alphanumeric() || "_-.".contains(character);
    let text = problem.to_string();
    let mut pattern = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some(first) = rest.chars().next() {
        let end = rest.find(|character| is_word(character) != is_word(first)).unwrap_or(rest.len());
        let (part, after) = rest.split_at(end);
        pattern.push_str(&placeholder(part, names).unwrap_or_else(|| part.to_owned()));
        rest = after;
    }
    (problem.reason.word(), pattern)
}

/// The word with `*` for the name at its end, if there is one.
fn placeholder(word: &str, names: &HashSet<String>) -> Option<String> {
    let word = word.to_ascii_uppercase().replace(['-', '.'], "_");
    let (stem, suffix) = word.strip_suffix("_FILE").map_or((word.as_str(), ""), |stem| (stem, "_FILE"));
    let starts = std::iter::once(0).chain(stem.match_indices('_').map(|(at, _)| at + 1));
    let parts = starts.filter_map(|start| stem.split_at_checked(start));
    let (prefix, _) = parts.into_iter().find(|(_, name)| names.contains(*name))?;
    Some(format!("{prefix}*{suffix}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Reason;

    fn denied(name: &str, file: &str) -> Problem {
        let what = format!("{name}: uid 1 cannot read /run/secrets/{file}: its owner is uid 0");
        Problem::new(Reason::Denied, name, what, "chown it")
    }

    #[test]
    fn problems_that_differ_only_in_the_name_become_one() {
        let problems = vec![denied("A_KEY", "A_KEY"), denied("B", "B"), denied("C", "C")];
        let groups = grouped(problems);
        assert_eq!(groups.len(), 1);
        assert_eq!(groups[0].names, ["A_KEY", "B", "C"]);
        let expected =
            "A_KEY: uid 1 cannot read /run/secrets/A_KEY: its owner is uid 0; the same applies to B, C";
        assert_eq!(groups[0].what, expected);
    }

    #[test]
    fn a_file_is_recognized_by_the_name_that_it_maps_to() {
        let prefixed = vec![denied("A_KEY", "app_a-key"), denied("B", "app_b")];
        assert_eq!(grouped(prefixed).len(), 1);
        let elsewhere = vec![denied("A_KEY", "app_a-key"), denied("B", "B")];
        assert_eq!(grouped(elsewhere).len(), 2);
    }

    #[test]
    fn other_differences_keep_problems_apart() {
        let other = Problem { reason: Reason::Invalid, ..denied("B", "B") };
        assert_eq!(grouped(vec![denied("A", "A"), other]).len(), 2);
        let other = Problem { fix: "remove it".into(), ..denied("B", "B") };
        assert_eq!(grouped(vec![denied("A", "A"), other]).len(), 2);
    }

    #[test]
    fn of_many_names_a_message_has_twenty() {
        let names: Vec<String> = (0..100).map(|number| format!("S{number}")).collect();
        let groups = grouped(names.iter().map(|name| denied(name, name)).collect());
        assert!(groups[0].what.ends_with("S19, S20 and 79 more"), "{}", groups[0].what);
        assert_eq!(groups[0].names, names);
    }
}
