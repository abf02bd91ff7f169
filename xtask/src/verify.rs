//! `cargo xtask verify`: the checks that take too long for every change, and a log that says they were made.

use std::fmt::Write;
use std::fs;
use std::path::PathBuf;

use crate::fuzz;
use crate::harness::Tally;
use crate::line::Line;
use crate::mutants;
use crate::optional::Optional;
use crate::project;
use crate::report::{Outcome, Report};
use crate::tools::CARGO_FUZZ;

const LOGS: &str = "docs/verification";

/// Runs all of them, whatever happens to one, and writes the log before it judges.
pub(crate) fn verify(minutes: u64) -> Result<(), String> {
    CARGO_FUZZ.demand()?;
    let optional = Optional::parse("")?;
    let head = head(minutes)?;
    let details = details_folder()?;
    let mut report = Report::default();
    let tests = long_tests();
    report.step(&tests.to_string(), || run_long_tests(&tests));
    fuzz::fuzz(&mut report, minutes, &details);
    report.step(&mutants::line().to_string(), mutants::mutants);
    let log = write_log(&head, &report)?;
    print!("\n{}", report.table(&optional));
    println!("log: {}", project::relative(&log));
    report.verdict(false, &optional)
}

/// The kill -9 sweep and the 10,000 swaps are ordinary tests; this variable makes them take their long form.
fn long_tests() -> Line {
    Line::cargo(&["test", "--release", "--locked", "--test", "it", "--", "verify_"])
        .env("CRYOKEY_VERIFY", "1")
}

/// A filter that matches nothing passes too, and proves nothing.
fn run_long_tests(line: &Line) -> Outcome {
    let mut tally = Tally::default();
    let end = line.run_watched(|line| tally.read(line));
    match end {
        Ok(()) if tally.is_empty() => Outcome::Failed("no test is named verify_…".to_owned()),
        Ok(()) => Outcome::Passed(tally.summary()),
        Err(problem) => Outcome::Failed(format!("{problem}; {}", tally.summary())),
    }
}

fn head(minutes: u64) -> Result<String, String> {
    let lines = [
        format!("command  cargo xtask verify --minutes {minutes}"),
        format!("date     {}", Line::new("date", &["-u", "+%Y-%m-%dT%H:%M:%SZ"]).output()?),
        format!("commit   {}", project::commit()),
        format!("machine  {}", project::machine()),
        format!("compiler {}", Line::new("rustc", &["--version"]).output()?),
    ];
    Ok(lines.join("\n"))
}

/// What the fuzzers print; too long for the log.
fn details_folder() -> Result<PathBuf, String> {
    let folder = project::root().join("target/verify");
    fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    Ok(folder)
}

fn write_log(head: &str, report: &Report) -> Result<PathBuf, String> {
    let name = format!("{}-{}.log", project::today()?, project::commit());
    let path = project::root().join(LOGS).join(name);
    let mut text = format!("{head}\n\n");
    for row in report.rows() {
        writeln!(text, "{}", row.text()).map_err(|error| error.to_string())?;
    }
    fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(path)
}
