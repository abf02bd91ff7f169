//! `cargo xtask faults`: every fault case that the project answers for, what was decided, and the test that proves it.

use std::collections::BTreeMap;
use std::io::{self, Write};

use xshell::cmd;

use crate::project;
use crate::run::Result;

const TABLE: &str = "xtask/faults.tsv";

/// The issues that are done: each of their cases must have a test.
const DONE: [&str; 3] = ["2", "5", "18"];

/// Where tests live.
const PLACES: [&str; 4] = ["tests", "src", "crates", "e2e"];

/// The name in a line that begins a function.
const FUNCTION: &str = r"^\s*(pub(\(\w+\))? |const |async )*fn \K\w+";

/// One line of the table.
struct Case {
    id: String,
    outcome: String,
    issue: String,
}

/// Prints the whole list.
pub(crate) fn faults(is_check: bool) -> Result {
    let cases = read()?;
    let tests = tests()?;
    let line = |case: &Case| format!("{}  {:<64}  {}\n", case.id, case.outcome, proof(case, &tests));
    match io::stdout().write_all(cases.iter().map(line).collect::<String>().as_bytes()) {
        // People pipe a list of this length into `head`.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => return Err(error.into()),
        _ => {}
    }
    if is_check {
        println!("{}", check()?);
    }
    Ok(())
}

/// How many cases have a test; fails when one that is due has none.
pub(crate) fn check() -> Result<String> {
    let cases = read()?;
    let tests = tests()?;
    let due = cases.iter().filter(|case| DONE.contains(&case.issue.as_str())).count();
    let is_owed = |case: &&Case| DONE.contains(&case.issue.as_str()) && !tests.contains_key(&case.id);
    let owed = cases.iter().filter(is_owed).map(|case| case.id.as_str()).collect::<Vec<_>>();
    if owed.is_empty() {
        let tested = cases.iter().filter(|case| tests.contains_key(&case.id)).count();
        Ok(format!("{tested} of {} cases have a test, none of the {due} due is without", cases.len()))
    } else {
        Err(format!("{} of {due} cases due have no test: {}", owed.len(), owed.join(" ")).into())
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

/// Columns: id, case, decided outcome, issue; the first line names them.
fn read() -> Result<Vec<Case>> {
    let text = project::shell()?.read_file(TABLE)?;
    let case = |line: &str| match line.split('\t').collect::<Vec<_>>().as_slice() {
        [id, _case, outcome, issue] => {
            Ok(Case { id: (*id).to_owned(), outcome: (*outcome).to_owned(), issue: (*issue).to_owned() })
        }
        columns => Err(format!("{TABLE}: {} columns instead of 4: {line}", columns.len()).into()),
    };
    text.lines().skip(1).map(case).collect()
}

/// From each id to the tests whose names carry it.
fn tests() -> Result<BTreeMap<String, Vec<String>>> {
    let shell = project::shell()?;
    let functions = cmd!(shell, "grep -rhoP --include=*.rs --exclude-dir=target {FUNCTION} {PLACES...}");
    let mut found = BTreeMap::<String, Vec<String>>::new();
    for name in functions.quiet().read()?.lines() {
        for id in name.split('_').filter(|word| is_id(word)) {
            found.entry(id.to_uppercase()).or_default().push(name.to_owned());
        }
    }
    Ok(found)
}

/// A letter of the list and two digits: `c04`.
fn is_id(word: &str) -> bool {
    matches!(word.as_bytes(), [b'a'..=b'l', tens, ones] if tens.is_ascii_digit() && ones.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The groups of the list and how many cases each has.
    const GROUPS: [(char, usize); 11] = [
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
        ('L', 11),
    ];

    #[test]
    fn the_table_holds_every_case_once_and_in_order() {
        let expected =
            GROUPS.iter().flat_map(|(group, count)| (1..=*count).map(move |n| format!("{group}{n:02}")));
        let ids = read().unwrap().into_iter().map(|case| case.id);
        assert!(expected.eq(ids));
    }

    #[test]
    fn every_case_has_an_outcome_and_an_owner() {
        for case in read().unwrap() {
            let known = ["2", "3", "4", "5", "13", "18", "later", "dropped"].contains(&case.issue.as_str());
            assert!(known && !case.outcome.is_empty(), "{}", case.id);
        }
    }

    #[test]
    fn a_test_is_found_by_the_id_in_its_name() {
        assert!(tests().unwrap()["C04"].iter().any(|name| name.starts_with("c04_")));
        assert!(is_id("c04") && is_id("k08") && !is_id("c4") && !is_id("m01") && !is_id("sha256"));
    }
}
