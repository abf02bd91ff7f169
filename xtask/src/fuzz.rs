//! The fuzz targets: replayed on their corpora by `test`, run for minutes by `verify`.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use crate::line::Line;
use crate::project;
use crate::report::{NotRun, Outcome, Report, Row};
use crate::side;

/// As many as the smallest machine of ours has cores.
const AT_ONCE: usize = 2;

/// Every input that was ever worth keeping goes through its target once more; stable Rust is enough for that.
pub(crate) fn replay() -> Outcome {
    if !side::is_there("fuzz") {
        return Outcome::NotRun(NotRun::from_text("this tree has no fuzz/Cargo.toml"));
    }
    let line = Line::cargo(&["test", "--quiet", "--locked", "--manifest-path"]).arg(side::manifest("fuzz"));
    line.run().map(|()| format!("{} targets", targets().len())).into()
}

/// The target's names: one file each.
pub(crate) fn targets() -> Vec<String> {
    let folder = project::root().join("fuzz/fuzz_targets");
    let stem = |path: &PathBuf| Some(path.file_stem()?.to_string_lossy().into_owned());
    project::files(&folder, &["rs"]).iter().filter_map(stem).collect()
}

/// Fuzzes every target for `minutes`, two at a time. The build comes first and alone: it takes all cores anyway.
pub(crate) fn fuzz(report: &mut Report, minutes: u64, logs: &Path) {
    let build = fuzzing("build", &[]);
    report.step(&build.to_string(), || build.run());
    let queue = Mutex::new(targets().into_iter().collect::<VecDeque<_>>());
    let done = Mutex::new(Vec::new());
    println!("\n== fuzz: {} targets, {minutes} minutes each, {AT_ONCE} at a time", targets().len());
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(target) = locked(&queue).pop_front() {
                    let row = fuzz_one(&target, minutes, logs);
                    println!("-- {}", row.text());
                    locked(&done).push(row);
                }
            });
        }
    });
    report.extend(done.into_inner().unwrap_or_else(PoisonError::into_inner));
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn fuzz_one(target: &str, minutes: u64, logs: &Path) -> Row {
    let start = Instant::now();
    let line = run_line(target, minutes * 60);
    let log = logs.join(format!("fuzz-{target}.log"));
    let outcome = match run_one(target, &line, &log) {
        Ok(()) => Outcome::Passed(last_words(&log)),
        Err(problem) => {
            Outcome::Failed(format!("{problem}; see {} and fuzz/artifacts", project::relative(&log)))
        }
    };
    Row { name: line.to_string(), outcome, took: start.elapsed() }
}

/// New inputs go to a folder that git ignores; whoever finds one worth keeping moves it to the corpus.
fn run_line(target: &str, seconds: u64) -> Line {
    let [found, corpus] = ["corpus-found", "corpus"].map(|folder| format!("fuzz/{folder}/{target}"));
    let limit = format!("-max_total_time={seconds}");
    let line = fuzzing("run", &[target, &found, &corpus, "--", &limit, "-print_final_stats=1"]);
    // The words of a grammar, for the targets that have one.
    let words = format!("fuzz/dictionaries/{target}.dict");
    if project::root().join(&words).is_file() { line.arg(format!("-dict={words}")) } else { line }
}

fn run_one(target: &str, line: &Line, log: &Path) -> Result<(), String> {
    let found = project::root().join("fuzz/corpus-found").join(target);
    fs::create_dir_all(&found).map_err(|error| format!("{}: {error}", found.display()))?;
    line.run_into(&File::create(log).map_err(|error| format!("{}: {error}", log.display()))?)
}

/// The harness's instrumentation is an unstable compiler flag. `RUSTC_BOOTSTRAP` lets the stable compiler, the one that
/// builds the product, accept it, so no second toolchain is needed.
fn fuzzing(verb: &str, arguments: &[&str]) -> Line {
    let line = Line::cargo(&["fuzz", verb, "--fuzz-dir", "fuzz"]).env("RUSTC_BOOTSTRAP", "1");
    arguments.iter().fold(line, |line, argument| line.arg(*argument))
}

/// libFuzzer ends with its statistics; the number of runs is the one that says how much was tried.
fn last_words(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let runs = text.lines().rev().find_map(|line| line.strip_prefix("stat::number_of_executed_units:"));
    runs.map(|runs| format!("{} runs, no finding", runs.trim())).unwrap_or_default()
}
