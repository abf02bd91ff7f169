//! `cargo xtask faults`: every fault case that the project answers for, what was decided, and the test that proves it.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::path::Path;

use crate::project;

const TABLE: &str = "xtask/faults.tsv";

/// The issues that are done: each of their cases must have a test.
const DONE: [&str; 1] = ["2"];

/// Where tests live. A refusal may also be a file below tests/cmd, named like a test.
const PLACES: [&str; 4] = ["tests", "src", "crates", "e2e"];

/// One line of the table.
struct Case {
    id: String,
    outcome: String,
    issue: String,
}

/// Prints the whole list.
pub(crate) fn faults(check_too: bool) -> Result<(), String> {
    let cases = read()?;
    let tests = tests();
    let line = |case: &Case| format!("{}  {:<64}  {}\n", case.id, case.outcome, proof(case, &tests));
    print_to_the_end_or_not(&cases.iter().map(line).collect::<String>())?;
    if check_too { check().map(|summary| println!("{summary}")) } else { Ok(()) }
}

/// People pipe a list of this length into `head`; that the pipe closes early is no error.
fn print_to_the_end_or_not(text: &str) -> Result<(), String> {
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(format!("standard output: {error}")),
        _ => Ok(()),
    }
}

/// How many cases have a test; fails when one that is due has none.
pub(crate) fn check() -> Result<String, String> {
    let cases = read()?;
    let tests = tests();
    let due = cases.iter().filter(|case| DONE.contains(&case.issue.as_str())).collect::<Vec<_>>();
    let owed = due
        .iter()
        .filter(|case| !tests.contains_key(&case.id))
        .map(|case| case.id.as_str())
        .collect::<Vec<_>>();
    if owed.is_empty() {
        let tested = cases.iter().filter(|case| tests.contains_key(&case.id)).count();
        Ok(format!("{tested} of {} cases have a test, none of the {} due is without", cases.len(), due.len()))
    } else {
        Err(format!("{} of {} cases due have no test: {}", owed.len(), due.len(), owed.join(" ")))
    }
}

fn proof(case: &Case, tests: &BTreeMap<String, Vec<String>>) -> String {
    match (tests.get(&case.id), case.issue.as_str()) {
        (Some(names), _) => names.join(", "),
        (None, "dropped") => "dropped".to_owned(),
        (None, "later") => "not yet (later)".to_owned(),
        (None, issue) => format!("not yet (issue {issue})"),
    }
}

fn read() -> Result<Vec<Case>, String> {
    let path = project::root().join(TABLE);
    let text = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    parse(&text)
}

/// Columns: id, case, decided outcome, issue; the first line names them.
fn parse(text: &str) -> Result<Vec<Case>, String> {
    let case = |line: &str| match line.split('\t').collect::<Vec<_>>().as_slice() {
        [id, _case, outcome, issue] => {
            Ok(Case { id: (*id).to_owned(), outcome: (*outcome).to_owned(), issue: (*issue).to_owned() })
        }
        columns => Err(format!("{TABLE}: {} columns instead of 4: {line}", columns.len())),
    };
    text.lines().skip(1).map(case).collect()
}

/// From each id to the tests whose names carry it.
fn tests() -> BTreeMap<String, Vec<String>> {
    let mut found = BTreeMap::<String, Vec<String>>::new();
    for name in PLACES
        .iter()
        .flat_map(|place| project::files(&project::root().join(place), &["rs", "toml"]))
        .flat_map(|path| names(&path))
    {
        for id in name.split('_').filter(|word| is_id(word)) {
            found.entry(id.to_uppercase()).or_default().push(name.clone());
        }
    }
    found
}

fn names(path: &Path) -> Vec<String> {
    if path.extension().is_some_and(|end| end == "toml") {
        return command_test(path).into_iter().collect();
    }
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines().filter_map(function).map(str::to_owned).collect()
}

fn command_test(path: &Path) -> Option<String> {
    let in_folder = path.parent()?.components().any(|part| part.as_os_str() == "cmd");
    in_folder.then(|| path.file_stem()?.to_str().map(str::to_owned)).flatten()
}

/// The name in a line that begins a function.
fn function(line: &str) -> Option<&str> {
    let before = ["pub ", "pub(crate) ", "pub(super) ", "const ", "async "];
    let line = before.iter().fold(line.trim_start(), |line, word| line.strip_prefix(word).unwrap_or(line));
    line.strip_prefix("fn ")?.split(|char: char| !char.is_alphanumeric() && char != '_').next()
}

/// A letter of the list and two digits: `c04`.
fn is_id(word: &str) -> bool {
    matches!(word.as_bytes(), [b'a'..=b'k', tens, ones] if tens.is_ascii_digit() && ones.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The groups of the list and how many cases each has.
    const GROUPS: [(char, usize); 10] = [
        ('A', 33),
        ('B', 18),
        ('C', 28),
        ('D', 32),
        ('E', 21),
        ('F', 20),
        ('G', 23),
        ('H', 14),
        ('J', 26),
        ('K', 8),
    ];

    #[test]
    fn the_table_holds_every_case_once_and_in_order() {
        let expected =
            GROUPS.iter().flat_map(|(group, count)| (1..=*count).map(move |n| format!("{group}{n:02}")));
        let ids = read().unwrap().into_iter().map(|case| case.id);
        assert!(expected.eq(ids));
    }

    #[test]
    fn every_case_has_an_outcome_and_somebody_who_owns_it() {
        for case in read().unwrap() {
            let known = ["2", "3", "4", "5", "later", "dropped"].contains(&case.issue.as_str());
            assert!(known && !case.outcome.is_empty(), "{}", case.id);
        }
    }

    #[test]
    fn a_test_is_found_by_the_id_in_its_name() {
        assert_eq!(function("    pub(crate) fn c04_a_fifo_is_refused() {"), Some("c04_a_fifo_is_refused"));
        assert_eq!(function("// fn c04"), None);
        assert!(is_id("c04") && is_id("k08") && !is_id("c4") && !is_id("l01") && !is_id("sha256"));
    }
}
