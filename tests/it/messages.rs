//! Every message as a file that can be reviewed: `tests/cmd/NAME.txt` has what is set up, the command, and exactly what
//! cryokey prints, without the time and with short paths. `CRYOKEY_BLESS=1` writes the output anew.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::thread;

use cryokey::error::Reason;

use crate::support::case::{Case, cases};
use crate::support::{Need, Outcome, Test, is_root, require};

/// What a case cannot cause: a bug, a signal at the right moment, remote sources.
const NOT_HERE: [&str; 5] = ["bug", "nonsense", "stopped", "unreachable", "untrusted"];

/// A warning is logged without its reason.
const WARNINGS: [&str; 4] = ["byte-order-mark", "carriage-return", "planted", "two-homes"];

#[test]
fn every_message_is_as_recorded() {
    let cases = runnable();
    let differences: Vec<String> = thread::scope(|scope| {
        let parts = cases
            .chunks(cases.len().div_ceil(4))
            .map(|part| scope.spawn(|| part.iter().filter_map(difference).collect::<Vec<String>>()));
        let parts: Vec<_> = parts.collect();
        parts.into_iter().flat_map(|part| part.join().unwrap()).collect()
    });
    assert!(differences.is_empty(), "CRYOKEY_BLESS=1 accepts these:\n{}", differences.join("\n"));
}

#[test]
fn every_reason_is_in_a_recorded_message() {
    let recorded: String = cases().iter().map(|case| case.output.clone()).collect();
    let words = recorded.split_whitespace().filter_map(|word| word.strip_prefix("reason="));
    let words: BTreeSet<&str> = words.flat_map(|word| word.split(',')).collect();
    let all = Reason::ALL.iter().map(|reason| reason.word());
    let all = all.filter(|word| !NOT_HERE.contains(word) && !WARNINGS.contains(word));
    let missing: Vec<&str> = all.filter(|word| !words.contains(word)).collect();
    assert!(missing.is_empty(), "no file in tests/cmd has the reasons {missing:?}");
}

#[test]
fn the_documentation_quotes_recorded_lines() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let documents = fs::read_dir(root.join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let documents = documents.filter(|path| path.extension().is_some_and(|it| it == "md"));
    let recorded: String = cases().iter().map(|case| case.output.clone()).collect();
    let is_recorded = |line: &str| recorded.lines().any(|it| it.ends_with(line));
    let mut quotations = 0;
    for path in documents.chain([root.join("README.md")]) {
        let text = fs::read_to_string(&path).unwrap();
        for line in text.lines().filter_map(quotation) {
            assert!(is_recorded(line), "{} quotes what cryokey does not print: {line}", path.display());
            quotations += 1;
        }
    }
    assert!(quotations > 0, "no document quotes a message");
}

/// A log line in a document: an indented line with a time, or with a fix.
fn quotation(line: &str) -> Option<&str> {
    let line = line.strip_prefix("    ")?;
    without_time(line).or_else(|| line.contains("; fix: ").then_some(line))
}

/// The cases that this user can run; the others are reported as not run.
fn runnable() -> Vec<Case> {
    let (all, has_root) = (cases(), is_root());
    let count = all.len();
    let runnable: Vec<Case> = all.into_iter().filter(|case| has_root || !case.needs_root).collect();
    if runnable.len() < count {
        require(Need::Root);
    }
    runnable
}

fn difference(case: &Case) -> Option<String> {
    let test = case.test();
    let printed = printed(&test.command(case.words(&test)), &test);
    if printed == case.output {
        return None;
    }
    if std::env::var_os("CRYOKEY_BLESS").is_some() {
        fs::write(&case.path, format!("{}{printed}", case.input)).unwrap();
        return None;
    }
    Some(format!("{}\nrecorded:\n{}\nprinted:\n{printed}", case.path.display(), case.output))
}

/// Standard output with `> ` before each line, then the log, then the exit code.
fn printed(outcome: &Outcome, test: &Test) -> String {
    let mut text = String::new();
    for line in outcome.printed().lines() {
        text.push_str(format!("> {line}").trim_end());
        text.push('\n');
    }
    for line in outcome.stderr.lines() {
        let line = without_time(line).unwrap_or(line);
        writeln!(text, "{line}").unwrap();
    }
    writeln!(text, "exit {}", outcome.code).unwrap();
    Case::shortened(&text, test)
}

/// A log line without its time; `None` if it does not begin with one.
fn without_time(line: &str) -> Option<&str> {
    let (time, rest) = line.split_once(' ')?;
    let is_time = time.len() == "2026-01-01T00:00:00Z".len() && time.ends_with('Z') && time.starts_with("20");
    is_time.then_some(rest)
}
