//! Little memory, few descriptors, many secrets.

use std::time::Duration;

use crate::support::{Need, Test, canary, declared, require};

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

#[test]
fn the_app_gets_the_limits_that_were_given() {
    let test = secrets(5, 100, "").through_shell("ulimit -n 16; ulimit -c 0; exec \"$@\"");
    assert_eq!(test.shell("ulimit -n").text(), "16\n");
}
