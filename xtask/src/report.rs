//! What was exercised, what was not, and why: a line for each part as it ends, and the table of all.

use std::time::{Duration, Instant};

use xshell::Shell;

use crate::run::{NotRun, Result};

/// How one part ended, each with what there is to say about it.
enum Outcome {
    Passed(String),
    Failed(String),
    /// Not possible on this machine.
    NotRun(String),
    /// The same, and a list in the project names the reason.
    Excused(String),
}

struct Row {
    name: String,
    outcome: Outcome,
    took: Duration,
}

/// All parts, in the order in which they ended, and those that need not run.
#[derive(Default)]
pub(crate) struct Report {
    rows: Vec<Row>,
    optional: Vec<(String, String)>,
}

impl Report {
    pub(crate) fn new(optional: Vec<(String, String)>) -> Self {
        Self { rows: Vec::new(), optional }
    }

    /// Runs one part, says how it ended, and goes on whatever that was: one run tells all that is wrong.
    pub(crate) fn step(&mut self, name: &str, work: impl FnOnce() -> Result<String>) {
        let start = Instant::now();
        let result = work();
        self.end(name, result, start.elapsed());
    }

    /// The same, where a silence of minutes could be taken for the end of the world.
    pub(crate) fn long_step(&mut self, name: &str, what: &str, work: impl FnOnce() -> Result<String>) {
        println!("...     {name}: {what}");
        self.step(name, work);
    }

    /// A part that ran elsewhere.
    pub(crate) fn end(&mut self, name: &str, result: Result<String>, took: Duration) {
        let outcome = result.map_or_else(
            |error| match error.downcast::<NotRun>() {
                Ok(reason) => self.not_run(name, reason.0),
                Err(error) => Outcome::Failed(error.to_string()),
            },
            Outcome::Passed,
        );
        let row = Row { name: name.to_owned(), outcome, took };
        println!("{}", row.text());
        self.rows.push(row);
    }

    fn not_run(&self, name: &str, reason: String) -> Outcome {
        match self.optional.iter().find(|(known, _)| known == name) {
            Some((_, why)) => Outcome::Excused(format!("{reason} (.ci/optional: {why})")),
            None => Outcome::NotRun(reason),
        }
    }

    /// A test that wrote down that it did not run.
    pub(crate) fn add_not_run(&mut self, name: &str, reason: &str) {
        let outcome = self.not_run(name, reason.to_owned());
        self.add(name, outcome);
    }

    /// Tests that a list in the project leaves out on purpose.
    pub(crate) fn add_excused(&mut self, name: &str, reason: String) {
        self.add(name, Outcome::Excused(reason));
    }

    fn add(&mut self, name: &str, outcome: Outcome) {
        self.rows.push(Row { name: name.to_owned(), outcome, took: Duration::ZERO });
    }

    /// One line for each part.
    pub(crate) fn lines(&self) -> String {
        self.rows.iter().map(|row| row.text() + "\n").collect()
    }

    /// The parts by how they ended, and at last one line with the counts.
    pub(crate) fn table(&self) -> String {
        let mut text = String::new();
        let sections = [("exercised", "passed"), ("failed", "FAILED"), ("not exercised", "not run")];
        let counts = sections.map(|(title, word)| {
            let rows = self.rows.iter().filter(|row| row.word() == word).collect::<Vec<_>>();
            text.extend((!rows.is_empty()).then(|| format!("{title}\n")));
            text.extend(rows.iter().map(|row| format!("  {}\n", row.text())));
            rows.len()
        });
        let [passed, failed, skipped] = counts;
        text + &format!("\n{passed} passed, {failed} failed, {skipped} skipped\n")
    }

    /// Fails when a part failed, and in CI also when one did not run and no list says that it may.
    pub(crate) fn verdict(&self, is_ci: bool) -> Result {
        let is_wrong = |row: &&Row| match row.outcome {
            Outcome::Failed(_) => true,
            Outcome::NotRun(_) => is_ci,
            Outcome::Passed(_) | Outcome::Excused(_) => false,
        };
        let wrong = self.rows.iter().filter(is_wrong).map(|row| row.name.as_str()).collect::<Vec<_>>();
        if wrong.is_empty() {
            Ok(())
        } else {
            let also = if is_ci { ", or not run though .ci/optional does not allow it" } else { "" };
            Err(format!("failed{also}: {}", wrong.join(", ")).into())
        }
    }
}

impl Row {
    fn word(&self) -> &'static str {
        match self.outcome {
            Outcome::Passed(_) => "passed",
            Outcome::Failed(_) => "FAILED",
            Outcome::NotRun(_) | Outcome::Excused(_) => "not run",
        }
    }

    fn text(&self) -> String {
        let (Outcome::Passed(note) | Outcome::Failed(note) | Outcome::NotRun(note) | Outcome::Excused(note)) =
            &self.outcome;
        let took =
            if self.took.is_zero() { String::new() } else { format!("{:.1} s", self.took.as_secs_f64()) };
        format!("{:<7} {:<34} {took:>8}  {note}", self.word(), self.name).trim_end().to_owned()
    }
}

/// A list in the project: one `name: reason` a line, `#` begins a comment. A test's name may contain `::`, so the
/// reason begins at the first colon with a space behind it.
pub(crate) fn list(shell: &Shell, path: &str) -> Result<Vec<(String, String)>> {
    let text = shell.read_file(path)?;
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| match line.split_once(": ") {
            Some((name, reason)) => Ok((name.to_owned(), reason.trim().to_owned())),
            None => Err(format!("{path}: `{line}` is not `name: reason`").into()),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(optional: &[&str]) -> Report {
        let because = |name: &&str| ((*name).to_owned(), "because".to_owned());
        let mut report = Report::new(optional.iter().map(because).collect());
        report.step("fine", || Ok(String::new()));
        report.step("engine", || Err(NotRun("no engine; to run it: start one".to_owned()).into()));
        report
    }

    #[test]
    fn what_did_not_run_matters_only_in_ci_and_where_no_list_allows_it() {
        assert!(report(&[]).verdict(false).is_ok());
        assert!(report(&[]).verdict(true).unwrap_err().to_string().contains("engine"));
        assert!(report(&["engine"]).verdict(true).is_ok());
    }

    #[test]
    fn a_failure_always_matters() {
        let mut report = report(&["wrong"]);
        report.step("wrong", || Err("no".into()));
        assert!(report.verdict(false).is_err());
    }

    #[test]
    fn the_table_names_the_reason_and_the_line_to_type() {
        let table = report(&["engine"]).table();
        assert!(table.contains("not exercised\n  not run engine"));
        assert!(table.contains("no engine; to run it: start one (.ci/optional: because)"));
        assert!(table.ends_with("\n1 passed, 0 failed, 1 skipped\n"));
    }
}
