//! Little memory, few descriptors, many secrets.

use std::fs;
use std::time::Duration;

use tempfile::TempDir;

use crate::support::{Need, REQUIRED, Test, canary, declared, memory, require};

/// So many secrets of so many bytes, with this in each one's table.
fn secrets(count: usize, size: usize, rule: &str) -> Test {
    let names: Vec<String> = (0..count).map(|number| format!("S{number:05}")).collect();
    let manifest = declared(&names, &format!("required = true\n{rule}"));
    names.iter().fold(Test::with(&manifest), |test, name| {
        let value = format!("{name}|{}", canary()).into_bytes();
        let value: Vec<u8> = value.into_iter().cycle().take(size).collect();
        test.file(&format!("secrets/{name}"), value, 0o444)
    })
}

#[test]
fn h01_fifty_secrets_start_within_16_mebibytes() {
    // All memory that can be written; the program itself is several times larger in tests than in images.
    for rule in ["", "deliver = \"file\"\n"] {
        let test = secrets(50, 1_000, rule).through_shell("ulimit -d 16384; exec \"$@\"");
        let app = test.start().app();
        let name = if rule.is_empty() { "S00049" } else { "S00049_FILE" };
        assert!(app.get(name).is_some());
    }
}

#[test]
fn h02_sixteen_descriptors_are_enough_for_variables_and_for_files_in_a_directory() {
    let limit = "ulimit -n 16; exec \"$@\"";
    secrets(50, 100, "").through_shell(limit).start().app();
    secrets(50, 100, "deliver = \"file\"\n").in_run_dir().through_shell(limit).start().app();
}

#[test]
fn h02_more_memory_files_than_descriptors_are_refused_by_name() {
    if !require(Need::Mounts) {
        return;
    }
    let script =
        "mount -t tmpfs -o ro none /dev/shm && mount -t tmpfs -o ro none /run && ulimit -n 1016; exec \"$@\"";
    let test = secrets(50, 100, "deliver = \"file\"\n").through_mounts(script);
    let outcome = test.start();
    assert_eq!(outcome.code, 71, "{}", outcome.stderr);
    outcome.nothing_happened().says("cannot create an in-memory file for S000").says("Too many open files");
    assert_eq!(test.command(["check"]).code, 71);
    outcome.says("limit of open files").says("CRYOKEY_RUN_DIR").says("code=71 phase=deliver names=S000");
}

#[test]
fn h05_ten_thousand_secrets_of_a_hundred_bytes_start_in_seconds() {
    let test = secrets(10_000, 100, "").variable("CRYOKEY_LOG", "warn");
    let outcome = test.start();
    let app = outcome.app();
    assert_eq!(app.map().keys().filter(|name| name.starts_with(b"S0")).count(), 10_000);
    assert_eq!(app.get("S09999").unwrap().len(), 100);
    // Two seconds is what users feel; three times as much is for a debug build among other tests. bench/ is exact.
    assert!(outcome.took < Duration::from_secs(6), "{:?}", outcome.took);
}

/// A directory in memory with so many names of one file: much cheaper than so many files.
fn crowd(count: usize, name: impl Fn(usize) -> String) -> TempDir {
    let directory = memory();
    let one = directory.path().join("one");
    fs::write(&one, "value").unwrap();
    (0..count).for_each(|number| fs::hard_link(&one, directory.path().join(name(number))).unwrap());
    directory
}

/// The name with some of its letters small, by the bits of the number.
fn spelling(name: &str, number: usize) -> String {
    let letters = name.chars().enumerate();
    letters
        .map(|(at, letter)| if number >> at & 1 == 1 { letter.to_ascii_lowercase() } else { letter })
        .collect()
}

/// The second that a start may take beyond its budget, and a little for a debug build among other tests.
const BEYOND: Duration = Duration::from_millis(1_500);

#[test]
fn l07_a_secrets_directory_with_400_000_entries_starts_or_is_refused_in_time_and_little_memory() {
    let directory = crowd(400_000, |number| format!("stranger-{number}"));
    fs::write(directory.path().join("TOKEN"), canary()).unwrap();
    let test = Test::with(REQUIRED).variable("CRYOKEY_SECRETS_DIR", directory.path());
    let test = test.through_shell("ulimit -v 65536; exec \"$@\"");
    test.start().app();
    // Also where each is a spelling of the declared name.
    let spelt = crowd(400_000, |number| spelling("SECRETTOKENOFTHEAPP", number));
    let other = Test::with("[secret.SECRETTOKENOFTHEAPP]\nrequired = true\n");
    let other =
        other.variable("CRYOKEY_SECRETS_DIR", spelt.path()).through_shell("ulimit -v 65536; exec \"$@\"");
    let outcome = other.start();
    assert!(outcome.took < BEYOND, "{:?}", outcome.took);
    outcome.refused(65, "resolve", "SECRETTOKENOFTHEAPP", "invalid").says("files whose names are spellings");
    // A budget that does not suffice is kept.
    let outcome = test.variable("CRYOKEY_START_TIMEOUT", "10ms").start();
    assert!(outcome.took < BEYOND, "{:?}", outcome.took);
    outcome
        .refused(75, "resolve", "TOKEN", "timeout")
        .says("was not read before the startup timeout expired");
}

#[test]
fn the_app_gets_the_limits_that_were_given() {
    let test = secrets(5, 100, "").through_shell("ulimit -n 16; ulimit -c 0; exec \"$@\"");
    assert_eq!(test.shell("ulimit -n").text(), "16\n");
}
