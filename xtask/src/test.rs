//! `cargo xtask test`: every check that CI makes, in one command, with an account of what it did not do.

use std::fs;
use std::path::PathBuf;

use crate::dist;
use crate::harness::Tally;
use crate::line::Line;
use crate::optional::Optional;
use crate::project;
use crate::report::{NotRun, Outcome, Report};
use crate::tools::{self, CLIPPY, RUSTFMT};
use crate::{deny, e2e, faults, fuzz, guard, side};

const SLOWEST: usize = 10;

/// Runs everything, also after a failure: one run tells all that is wrong.
pub(crate) fn test(install: bool) -> Result<(), String> {
    let optional = Optional::read()?;
    let not_run = NotRunFile::create()?;
    if install || project::in_ci() {
        tools::install_for_test();
    }
    let mut report = Report::default();
    source(&mut report);
    tests(&mut report, &not_run);
    report.step("documentation", documentation);
    report.step("fault table", faults::check);
    deny::deny(&mut report);
    report.step("fuzz corpora", fuzz::replay);
    report.step("static binary", || dist::dist().map(drop));
    e2e::e2e(&mut report, &not_run.path);
    not_run.merge(&mut report)?;
    tools::advise_for_test();
    print!("\n{}", report.table(&optional));
    report.verdict(project::in_ci(), &optional)
}

fn source(report: &mut Report) {
    report.step("formatting", || RUSTFMT.or_not_run(|| side::formatting().into()));
    report.step("notes and ignored tests", guard::guard);
    if CLIPPY.is_there() {
        side::lints(report);
    } else {
        report.add("lints", Outcome::NotRun(CLIPPY.not_run()));
    }
}

/// All tests at once, then the examples in the documentation, which have a harness of their own.
///
/// Only the unstable `--report-time` tells how long a test took. The stable harness accepts it when it finds
/// `RUSTC_BOOTSTRAP` in its own environment; cargo's runner setting puts it there, and nowhere near the compiler.
fn tests(report: &mut Report, not_run: &NotRunFile) {
    let mut tally = Tally::default();
    report.step("tests", || {
        let line =
            Line::cargo(&["test", "--locked", "--workspace", "--lib", "--bins", "--tests", "--no-fail-fast"])
                .env(runner_setting()?, "env RUSTC_BOOTSTRAP=1")
                .env("CRYOKEY_NOT_RUN", &not_run.path);
        let end = ["--", "-Zunstable-options", "--report-time"]
            .into_iter()
            .fold(line, Line::arg)
            .run_watched(|line| tally.read(line));
        end.map(|()| tally.summary()).map_err(|problem| format!("{problem}; {}", tally.summary()))
    });
    println!("slowest tests:");
    for (seconds, name) in tally.slowest(SLOWEST) {
        println!("  {seconds:8.3} s  {name}");
    }
    report.step("examples in documentation", || {
        Line::cargo(&["test", "--quiet", "--locked", "--workspace", "--doc"]).run()
    });
}

fn runner_setting() -> Result<String, String> {
    let triple = dist::host_triple()?.replace(['-', '.'], "_").to_uppercase();
    Ok(format!("CARGO_TARGET_{triple}_RUNNER"))
}

fn documentation() -> Result<(), String> {
    Line::cargo(&["doc", "--quiet", "--locked", "--workspace", "--no-deps", "--document-private-items"])
        .env("RUSTDOCFLAGS", "-D warnings")
        .run()
}

/// The file to which a test that cannot run on this machine appends `<test>\t<reason>`: a test that returns early
/// would otherwise count as passed.
struct NotRunFile {
    path: PathBuf,
}

impl NotRunFile {
    fn create() -> Result<Self, String> {
        let folder = project::root().join("target/xtask");
        let path = folder.join("not-run.tsv");
        let told = |error| format!("{}: {error}", path.display());
        fs::create_dir_all(&folder).map_err(told)?;
        fs::write(&path, "").map_err(told)?;
        Ok(Self { path })
    }

    fn merge(&self, report: &mut Report) -> Result<(), String> {
        let text =
            fs::read_to_string(&self.path).map_err(|error| format!("{}: {error}", self.path.display()))?;
        for line in text.lines() {
            let (name, reason) = line.split_once('\t').unwrap_or((line, "no reason given"));
            report.add(name, Outcome::NotRun(NotRun::from_text(reason)));
        }
        Ok(())
    }
}
