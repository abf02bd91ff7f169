//! `cargo xtask verify`: the checks that take too long for every change, and a log that says they were made.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use xshell::{Shell, cmd};

use crate::harness::Tally;
use crate::report::Report;
use crate::run::{NotRun, Result, capture, need, run};
use crate::{mutants, project};

/// Fuzz targets at a time: the smallest machine in use has as many cores.
const AT_ONCE: usize = 2;

/// The time for mutants, in the minutes of one fuzz target: with 2 minutes a target all of it takes half an hour.
const FOR_MUTANTS: u64 = 7;

/// Runs all of them, whatever happens to one, and writes the log before it judges.
pub(crate) fn verify(minutes: u64) -> Result {
    need("cargo-fuzz", "cargo install --locked cargo-fuzz")?;
    let shell = project::shell()?;
    let head = head(&shell, minutes)?;
    let mut report = Report::default();
    report
        .long_step("kill sweep and swaps", "builds the tests, then about two minutes", || long_tests(&shell));
    report.long_step("starts at once", "under three minutes", || storm(&shell));
    report.long_step("remote tests on HashiCorp Vault", "about a minute", || hashicorp(&shell));
    report.long_step("Miri on crates/init", "builds it first", || miri(&shell));
    thread::scope(|scope| {
        // It measures no time, so it need not be alone.
        let soak = scope.spawn(|| (soak().map_err(|error| error.to_string()), Instant::now()));
        let start = Instant::now();
        fuzz(&shell, &mut report, minutes)?;
        let (end, at) = soak.join().map_err(|_| "the soak panicked")?;
        report.end("soak of init", end.map_err(Into::into), at.duration_since(start));
        Result::Ok(())
    })?;
    let limit = minutes * FOR_MUTANTS;
    report.long_step("mutants", &format!("at most {limit} minutes"), || mutants::mutants(&shell, limit));
    let log =
        format!("docs/verification/{}-{}.log", project::date(&shell, "+%Y-%m-%d")?, project::commit(&shell));
    shell.write_file(&log, format!("{head}\n\n{}", report.lines()))?;
    print!("\n{}", report.table());
    println!("log: {log}");
    report.verdict(false)
}

/// They are ordinary tests; the variable makes them take their long form.
fn long_tests(shell: &Shell) -> Result<String> {
    let line = cmd!(shell, "cargo test --release --locked --test it -- verify_ --skip soak");
    Ok(Tally::read(&run(line.env("CRYOKEY_VERIFY", "1"))?).verdict()?)
}

/// Ten minutes of an app that runs, beside the fuzzing.
fn soak() -> Result<String> {
    let shell = project::shell()?;
    let line = cmd!(shell, "cargo test --release --locked --test it -- verify_h10_a_soak --nocapture");
    let printed = run(line.env("CRYOKEY_VERIFY", "1"))?;
    Tally::read(&printed).verdict()?;
    let figures = printed.lines().find(|line| line.contains("without a wake-up"));
    Ok(figures.unwrap_or_default().trim().to_owned())
}

/// The long form of the remote tests that have one.
fn storm(shell: &Shell) -> Result<String> {
    let line = cmd!(
        shell,
        "cargo test --locked --manifest-path e2e/Cargo.toml --test remote -- verify_ --test-threads 1"
    );
    let line = line.env("CRYOKEY_VERIFY", "1").env("CRYOKEY_BINARY", release(shell)?);
    Ok(Tally::read(&run(line)?).verdict()?)
}

/// What `long_tests` built.
fn release(shell: &Shell) -> Result<std::path::PathBuf> {
    Ok(project::target(shell, ".")?.join("release/cryokey"))
}

/// What `OpenBao` shows in every test run, on the server that it comes from.
fn hashicorp(shell: &Shell) -> Result<String> {
    let cache = shell
        .var("CRYOKEY_TEST_CACHE")
        .or_else(|_| shell.var("HOME").map(|it| it + "/.cache/cryokey-tests"))?;
    let vault = format!("{cache}/vault-1.21.1/vault");
    if !shell.path_exists(&vault) {
        return Err(
            NotRun("it is not built; to run it: e2e/vault.sh, which takes 20 minutes".to_owned()).into()
        );
    }
    let line = cmd!(
        shell,
        "cargo test --locked --manifest-path e2e/Cargo.toml --features hashicorp --test remote -- vault:: vault_aws:: sign_in:: server::"
    );
    let line = line.env("CRYOKEY_TEST_VAULT", vault).env("CRYOKEY_BINARY", release(shell)?);
    Ok(Tally::read(&run(line)?).verdict()?)
}

/// The unsafe code, as far as an interpreter can follow it; where it cannot, the tests say why.
fn miri(shell: &Shell) -> Result<String> {
    let (status, _) = capture(cmd!(shell, "cargo +nightly miri --version"))?;
    if !status.success() {
        let line = "rustup toolchain install nightly --component miri,rust-src";
        return Err(NotRun(format!("nightly Rust has no Miri here; to run it: {line}")).into());
    }
    let line = cmd!(shell, "cargo +nightly miri test --locked --package init");
    Ok(Tally::read(&run(line)?).verdict()?)
}

/// The targets' names: one file each.
pub(crate) fn targets(shell: &Shell) -> Result<Vec<String>> {
    let files = shell.read_dir("fuzz/fuzz_targets")?;
    Ok(files.iter().filter_map(|path| path.file_stem()?.to_str().map(str::to_owned)).collect())
}

/// The build comes first and alone: it takes all cores anyway.
fn fuzz(shell: &Shell, report: &mut Report, minutes: u64) -> Result {
    report.long_step("fuzz targets", "builds them with instrumentation", || {
        // The instrumentation is an unstable compiler flag. The variable lets the stable compiler, the one that builds
        // the product, accept it, so no second toolchain is needed.
        run(cmd!(shell, "cargo fuzz build --fuzz-dir fuzz").env("RUSTC_BOOTSTRAP", "1"))
            .map(|_| String::new())
    });
    let logs = shell.create_dir(project::target(shell, ".")?.join("verify"))?;
    let targets = targets(shell)?;
    println!("...     fuzzing: {} targets, {minutes} minutes each, {AT_ONCE} at a time", targets.len());
    for group in targets.chunks(AT_ONCE) {
        let ends = thread::scope(|scope| {
            let threads = group.iter().map(|target| {
                let logs = &logs;
                scope.spawn(move || {
                    let start = Instant::now();
                    (fuzz_one(target, minutes, logs).map_err(|error| error.to_string()), start.elapsed())
                })
            });
            let threads = threads.collect::<Vec<_>>();
            let panicked = || (Err("panicked".to_owned()), Duration::ZERO);
            threads.into_iter().map(|thread| thread.join().unwrap_or_else(|_| panicked())).collect::<Vec<_>>()
        });
        for (target, (end, took)) in group.iter().zip(ends) {
            report.end(&format!("fuzz {target}"), end.map_err(Into::into), took);
        }
    }
    Ok(())
}

/// New inputs go to a directory that git ignores; whoever finds one worth keeping moves it to the corpus.
fn fuzz_one(target: &str, minutes: u64, logs: &Path) -> Result<String> {
    let shell = project::shell()?;
    let [found, corpus] = ["corpus-found", "corpus"].map(|directory| format!("fuzz/{directory}/{target}"));
    shell.create_dir(&found)?;
    let limit = format!("-max_total_time={}", minutes * 60);
    // The words of a grammar, for the targets that have one.
    let words = format!("fuzz/dictionaries/{target}.dict");
    let words = shell.path_exists(&words).then(|| format!("-dict={words}"));
    let line = cmd!(
        shell,
        "cargo fuzz run --fuzz-dir fuzz {target} {found} {corpus} -- {limit} -print_final_stats=1 {words...}"
    );
    let (status, output) = capture(line.env("RUSTC_BOOTSTRAP", "1"))?;
    shell.write_file(logs.join(format!("fuzz-{target}.log")), &output)?;
    if !status.success() {
        let log = format!("verify/fuzz-{target}.log");
        return Err(
            format!("ended with {status}; see {log} in the target directory, and fuzz/artifacts").into()
        );
    }
    let runs = output.lines().rev().find_map(|line| line.strip_prefix("stat::number_of_executed_units:"));
    Ok(format!("{} runs, no finding", runs.unwrap_or("unknown").trim()))
}

fn head(shell: &Shell, minutes: u64) -> Result<String> {
    let lines = [
        format!("command  cargo xtask verify --minutes {minutes}"),
        format!("date     {}", project::date(shell, "+%Y-%m-%dT%H:%M:%SZ")?),
        format!("commit   {}", project::commit(shell)),
        format!("machine  {}", project::machine(shell)),
        format!("compiler {}", cmd!(shell, "rustc --version").quiet().read()?),
    ];
    Ok(lines.join("\n"))
}
