//! What was exercised, what was not, and why: the table at the end of `test` and `verify`.

use std::time::{Duration, Instant};

use crate::optional::Optional;

/// A reason may carry the line to type after these words.
const TO_RUN_IT: &str = "; to run it: ";

/// How one part ended.
pub(crate) enum Outcome {
    Passed(String),
    Failed(String),
    NotRun(NotRun),
}

/// A part that this machine cannot run.
pub(crate) struct NotRun {
    pub(crate) reason: String,
    pub(crate) line: Option<String>,
}

impl NotRun {
    pub(crate) fn new(reason: impl Into<String>, line: impl Into<String>) -> Self {
        Self { reason: reason.into(), line: Some(line.into()) }
    }

    /// Tests and e2e say both in one text.
    pub(crate) fn from_text(text: &str) -> Self {
        let (reason, line) =
            text.split_once(TO_RUN_IT).map_or((text, None), |(reason, line)| (reason, Some(line)));
        Self { reason: reason.trim().to_owned(), line: line.map(|line| line.trim().to_owned()) }
    }

    fn text(&self) -> String {
        let line = self.line.iter().flat_map(|line| [TO_RUN_IT, line]);
        [self.reason.as_str()].into_iter().chain(line).collect()
    }
}

impl From<Result<String, String>> for Outcome {
    fn from(result: Result<String, String>) -> Self {
        result.map_or_else(Self::Failed, Self::Passed)
    }
}

impl From<Result<(), String>> for Outcome {
    fn from(result: Result<(), String>) -> Self {
        result.map(|()| String::new()).into()
    }
}

/// One line of the table.
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) outcome: Outcome,
    pub(crate) took: Duration,
}

/// All of them, in the order in which they happened.
#[derive(Default)]
pub(crate) struct Report {
    rows: Vec<Row>,
}

impl Report {
    /// Runs one part, says that it begins and how it ended, and keeps the result.
    pub(crate) fn step<T: Into<Outcome>>(&mut self, name: &str, work: impl FnOnce() -> T) {
        println!("\n== {name}");
        let start = Instant::now();
        let outcome = work().into();
        let row = Row { name: name.to_owned(), outcome, took: start.elapsed() };
        println!("-- {}", row.text());
        self.rows.push(row);
    }

    /// Keeps a result that a step reported about a part of itself.
    pub(crate) fn add(&mut self, name: &str, outcome: Outcome) {
        self.rows.push(Row { name: name.to_owned(), outcome, took: Duration::ZERO });
    }

    pub(crate) fn extend(&mut self, rows: Vec<Row>) {
        self.rows.extend(rows);
    }

    pub(crate) fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// The table, and at last one line with the counts.
    pub(crate) fn table(&self, optional: &Optional) -> String {
        let mut lines = Vec::new();
        lines.extend(self.section("exercised", |row| matches!(row.outcome, Outcome::Passed(_))));
        lines.extend(self.section("failed", |row| matches!(row.outcome, Outcome::Failed(_))));
        lines.extend(self.section("not exercised", |row| matches!(row.outcome, Outcome::NotRun(_))));
        let excused = self.not_run().filter_map(|name| Some((name, optional.reason(name)?)));
        lines.extend(
            excused.map(|(name, reason)| format!("  {name} may be missing (.ci/optional): {reason}")),
        );
        lines.push(self.counts());
        lines.join("\n") + "\n"
    }

    fn section(&self, title: &str, belongs: impl Fn(&Row) -> bool) -> Vec<String> {
        let rows = self.rows.iter().filter(|row| belongs(row)).map(|row| format!("  {}", row.text()));
        let mut lines = rows.collect::<Vec<_>>();
        if !lines.is_empty() {
            lines.insert(0, title.to_owned());
        }
        lines
    }

    fn counts(&self) -> String {
        let not_run = self.not_run().count();
        let failed = self.failed().count();
        let passed = self.rows.len() - not_run - failed;
        format!("\n{passed} passed, {failed} failed, {not_run} skipped")
    }

    /// Whether all is well: nothing failed, and where everything is promised (`strict`), nothing is missing either.
    pub(crate) fn verdict(&self, strict: bool, optional: &Optional) -> Result<(), String> {
        let failed = self.failed().collect::<Vec<_>>();
        let missing =
            self.not_run().filter(|name| strict && optional.reason(name).is_none()).collect::<Vec<_>>();
        match (failed.is_empty(), missing.is_empty()) {
            (true, true) => Ok(()),
            (false, _) => Err(format!("failed: {}", failed.join(", "))),
            (true, false) => {
                Err(format!("not run, though CI promises it (see .ci/optional): {}", missing.join(", ")))
            }
        }
    }

    fn failed(&self) -> impl Iterator<Item = &str> {
        self.names(|outcome| matches!(outcome, Outcome::Failed(_)))
    }

    fn not_run(&self) -> impl Iterator<Item = &str> {
        self.names(|outcome| matches!(outcome, Outcome::NotRun(_)))
    }

    fn names(&self, belongs: impl Fn(&Outcome) -> bool) -> impl Iterator<Item = &str> {
        self.rows.iter().filter(move |row| belongs(&row.outcome)).map(|row| row.name.as_str())
    }
}

impl Row {
    pub(crate) fn text(&self) -> String {
        let (word, note) = match &self.outcome {
            Outcome::Passed(note) => ("passed ", note.clone()),
            Outcome::Failed(reason) => ("FAILED ", reason.clone()),
            Outcome::NotRun(why) => ("not run", why.text()),
        };
        let took =
            if self.took.is_zero() { String::new() } else { format!("{:.1} s", self.took.as_secs_f64()) };
        format!("{word} {:<34} {took:>8}  {note}", self.name).trim_end().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(outcome: Outcome) -> Report {
        let mut report = Report::default();
        report.add("fine", Outcome::Passed(String::new()));
        report.add("other", outcome);
        report
    }

    fn not_run() -> Report {
        report(Outcome::NotRun(NotRun::from_text("no engine; to run it: apt-get install docker.io")))
    }

    #[test]
    fn what_did_not_run_matters_only_where_everything_is_promised() {
        let nothing = Optional::parse("").unwrap();
        assert_eq!(not_run().verdict(false, &nothing), Ok(()));
        assert!(not_run().verdict(true, &nothing).unwrap_err().contains("other"));
        assert_eq!(not_run().verdict(true, &Optional::parse("other: because").unwrap()), Ok(()));
    }

    #[test]
    fn a_failure_always_matters() {
        let optional = Optional::parse("other: because").unwrap();
        assert!(report(Outcome::Failed("no".to_owned())).verdict(false, &optional).is_err());
    }

    #[test]
    fn the_table_names_the_reason_and_the_line_to_type() {
        let table = not_run().table(&Optional::parse("other: nobody needs it").unwrap());
        assert!(table.contains("not exercised\n  not run other"));
        assert!(table.contains("no engine; to run it: apt-get install docker.io"));
        assert!(table.contains("nobody needs it"));
        assert!(table.ends_with("1 passed, 0 failed, 1 skipped\n"));
    }
}
