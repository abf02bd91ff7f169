//! `cargo xtask test`: every check that CI makes, in one command, with an account of what it did not do.

use std::collections::BTreeMap;
use std::process::ExitStatus;

use xshell::{Cmd, Shell, cmd};

use crate::dist::{self, Binary};
use crate::harness::Tally;
use crate::report::{self, Report};
use crate::run::{NotRun, Result, capture, need, run};
use crate::{faults, guard, project, verify};

const SLOWEST: usize = 10;

/// The tests that the emulator cannot run, each with the reason.
const NOT_UNDER_QEMU: &str = ".ci/not-under-qemu";

pub(crate) fn test(is_quick: bool) -> Result {
    let shell = project::shell()?;
    let not_run = project::target(&shell, ".")?.join("xtask/not-run.tsv");
    shell.write_file(&not_run, "")?;
    shell.set_var("CRYOKEY_NOT_RUN", &not_run);
    let mut report = Report::new(report::list(&shell, ".ci/optional")?);
    source(&shell, &mut report);
    let tally = tests(&shell, &mut report);
    report.step("examples in documentation", || {
        run(cmd!(shell, "cargo test --locked --workspace --doc")).map(|_| String::new())
    });
    report.step("fault table", faults::check);
    if !is_quick {
        release(&shell, &mut report, &tally);
    }
    for line in shell.read_file(&not_run)?.lines() {
        let (name, reason) = line.split_once('\t').unwrap_or((line, "no reason given"));
        report.add_not_run(name, reason);
    }
    println!("\nslowest tests");
    for (seconds, name) in tally.slowest(SLOWEST) {
        println!("  {seconds:8.3} s  {name}");
    }
    print!("\n{}", report.table());
    report.verdict(project::in_ci())
}

/// What can be said without running anything.
fn source(shell: &Shell, report: &mut Report) {
    report.step("formatting", || {
        need("cargo-fmt", "rustup component add rustfmt")?;
        project::WORKSPACES.iter().try_for_each(|workspace| {
            let manifest = format!("{workspace}/Cargo.toml");
            run(cmd!(shell, "cargo fmt --all --check --manifest-path {manifest}")).map(drop)
        })?;
        Ok(String::new())
    });
    report.step("notes and ignored tests", guard::guard);
    for workspace in project::WORKSPACES {
        let name = if workspace == "." { "lints".to_owned() } else { format!("lints of {workspace}") };
        report.step(&name, || lints(shell, workspace));
    }
}

fn lints(shell: &Shell, workspace: &str) -> Result<String> {
    need("cargo-clippy", "rustup component add clippy")?;
    let manifest = format!("{workspace}/Cargo.toml");
    let line = cmd!(shell, "cargo clippy --locked --workspace --all-targets --manifest-path {manifest}");
    run(line.args(["--", "-D", "warnings"]))?;
    Ok(String::new())
}

fn tests(shell: &Shell, report: &mut Report) -> Tally {
    let mut tally = Tally::default();
    report.long_step("tests", "compiles for minutes where nothing is built yet", || {
        let line = cmd!(shell, "cargo test --locked --workspace --lib --bins --tests --no-fail-fast");
        let output = timed(shell, line, &[])?;
        tally = Tally::read(&output.1);
        judge(&tally, &output)
    });
    tally
}

/// Only the unstable `--report-time` tells how long a test took. The stable harness accepts it when it finds
/// `RUSTC_BOOTSTRAP` in its own environment; cargo's runner setting puts it there, and nowhere near the compiler.
fn timed(shell: &Shell, line: Cmd<'_>, arguments: &[&str]) -> Result<(ExitStatus, String)> {
    let triple = dist::host_triple(shell)?.replace(['-', '.'], "_").to_uppercase();
    let line = line.env(format!("CARGO_TARGET_{triple}_RUNNER"), "env RUSTC_BOOTSTRAP=1");
    capture(line.args(["--", "-Zunstable-options", "--report-time"]).args(arguments))
}

fn judge(tally: &Tally, (status, output): &(ExitStatus, String)) -> Result<String> {
    let verdict = tally.verdict();
    if status.success() && verdict.is_ok() {
        return Ok(verdict?);
    }
    let is_news = |line: &&str| !(line.starts_with("test ") && line.contains(" ... ok"));
    println!("{}", output.lines().filter(is_news).collect::<Vec<_>>().join("\n"));
    Err(verdict.map_or_else(|failed| failed, |_| format!("cargo test ended with {status}")).into())
}

/// Parts that need a separate build, or a tool that may not be installed.
fn release(shell: &Shell, report: &mut Report, tally: &Tally) {
    report.step("documentation", || {
        let line = cmd!(shell, "cargo doc --locked --workspace --no-deps --document-private-items");
        run(line.env("RUSTDOCFLAGS", "-D warnings")).map(|_| String::new())
    });
    report.step("dependencies", || deny(shell, &["bans", "licenses", "sources"]));
    report.step("advisories", || advisories(shell));
    report.long_step("fuzz corpora", "compiles the targets first", || {
        run(cmd!(shell, "cargo test --locked --manifest-path fuzz/Cargo.toml"))?;
        Ok(format!("{} targets", verify::targets(shell)?.len()))
    });
    let mut binaries = Vec::new();
    report.long_step("static binaries", "a release build for each of two architectures", || {
        binaries = dist::dist()?;
        let sizes = binaries.iter().map(|binary| format!("{} {} bytes", binary.triple, binary.size));
        Ok(sizes.collect::<Vec<_>>().join(", "))
    });
    report.long_step("black-box tests on arm64", "emulated", || emulated(shell, tally, &binaries));
    if let Ok(listed) = report::list(shell, NOT_UNDER_QEMU) {
        leave_out(report, listed);
    }
    report.long_step("end-to-end tests", "in containers on a private engine", || e2e(shell, &binaries));
}

fn deny(shell: &Shell, subjects: &[&str]) -> Result<String> {
    need("cargo-deny", "cargo install --locked cargo-deny")?;
    run(cmd!(shell, "cargo deny --locked check {subjects...}")).map(|_| String::new())
}

/// Fetched separately first, to distinguish a missing network from an advisory.
fn advisories(shell: &Shell) -> Result<String> {
    need("cargo-deny", "cargo install --locked cargo-deny")?;
    let (status, _) = capture(cmd!(shell, "cargo deny fetch db"))?;
    if status.success() {
        deny(shell, &["advisories"])
    } else {
        let reason = "the advisory database cannot be fetched from here";
        Err(NotRun(format!("{reason}; to run it: cargo deny --locked check advisories")).into())
    }
}

/// The tests are this machine's; they start the arm64 binary by the emulator.
fn emulated(shell: &Shell, tally: &Tally, binaries: &[Binary]) -> Result<String> {
    let qemu = need("qemu-aarch64", "apt-get install --yes qemu-user")?;
    let binary = binaries.iter().find(|binary| binary.arch == "aarch64");
    let binary = binary.ok_or_else(|| NotRun("it was not built; see `static binaries`".to_owned()))?;
    let listed = report::list(shell, NOT_UNDER_QEMU)?;
    if let Some((gone, _)) = listed.iter().find(|(name, _)| !tally.has(name)) {
        return Err(format!("{NOT_UNDER_QEMU}: no test's name contains `{gone}`").into());
    }
    let skip = listed.iter().flat_map(|(name, _)| ["--skip", name]).collect::<Vec<_>>();
    let line = cmd!(shell, "cargo test --locked --workspace --test it");
    let line = line.env("CRYOKEY_BINARY", &binary.path).env("CRYOKEY_RUNNER", qemu);
    let output = timed(shell, line, &skip)?;
    judge(&Tally::read(&output.1), &output)
}

/// One row for each reason.
fn leave_out(report: &mut Report, listed: Vec<(String, String)>) {
    let mut by_reason = BTreeMap::<String, Vec<String>>::new();
    for (name, reason) in listed {
        by_reason.entry(reason).or_default().push(name);
    }
    for (reason, names) in by_reason {
        report.add_excused("arm64", format!("{reason} ({})", names.join(", ")));
    }
}

fn e2e(shell: &Shell, binaries: &[Binary]) -> Result<String> {
    let line = cmd!(shell, "cargo test --locked --manifest-path e2e/Cargo.toml --no-fail-fast");
    let line = line.env("CRYOKEY_BINARY", &dist::for_this_machine(binaries)?.path);
    let output = capture(line)?;
    judge(&Tally::read(&output.1), &output)
}
