//! What another process of the same user sees of cryokey while it holds values: nothing.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt as _;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use crate::support::{NOBODY, Need, Test, canary, full_pipe, proc, require};

#[test]
fn another_process_of_the_same_user_reads_neither_memory_nor_environment() {
    if !require(Need::Root) {
        return;
    }
    let (_reader, writer) = full_pipe();
    let test = Test::profile().by_nobody().stderr(writer);
    let running = test.spawn(["/bin/true"]);
    let process = running.child.id();
    let started = Instant::now();
    let is_ready = || {
        let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
        // What is not dumpable belongs to root in /proc, and it runs as nobody.
        let owner = fs::metadata(format!("/proc/{process}/environ")).map(|file| file.uid());
        status.starts_with("Name:\tcryokey\n") && matches!(owner, Ok(0))
    };
    while !is_ready() {
        assert!(started.elapsed() < Duration::from_secs(10), "it never became unreadable");
        thread::sleep(Duration::from_millis(1));
    }
    for file in ["environ", "mem", "maps", "auxv", "stack"] {
        let path = format!("/proc/{process}/{file}");
        let user = NOBODY.to_string();
        let mut reader = Command::new("setpriv");
        reader.args(["--reuid", &user, "--regid", &user, "--clear-groups", "head", "-c", "1", &path]);
        let outcome = reader.output().unwrap();
        assert!(!outcome.status.success() && outcome.stdout.is_empty(), "{path} was read");
        assert_ne!(
            fs::metadata(&path).map_err(|error| error.kind()).err(),
            Some(ErrorKind::NotFound),
            "too late"
        );
    }
    assert_eq!(test.finish(running, false).code, 0);
}

#[test]
fn nothing_of_rusts_own_start_comes_before_the_moment_from_which_cryokey_cannot_be_read() {
    if !require(Need::Strace) {
        return;
    }
    let test = Test::profile().traced(["-e", "trace=prctl,poll,ppoll"]);
    test.start().succeeded();
    let trace = test.trace();
    let at = |call: &str| trace.find(call).unwrap_or_else(|| panic!("no {call} in {trace}"));
    // Before it calls main, Rust's runtime asks whether the standard streams are open.
    assert!(at("PR_SET_DUMPABLE, SUID_DUMP_DISABLE") < at("poll("), "{trace}");
}

#[test]
fn no_value_is_in_memory_any_more_when_cryokey_ends() {
    if !require(Need::Trace) {
        return;
    }
    let value = canary().repeat(20);
    let test = Test::with("[secret.TOKEN]\n[secret.OTHER]\n[secret.KEY]\nrequired = true\n");
    let test = test.secret("TOKEN", &value).secret("OTHER", &value);
    let test = test.traced(["-e", "trace=exit_group", "-e", "inject=exit_group:delay_enter=3000000"]);
    let running = test.spawn(["/bin/true"]);
    let process = ending_child(running.child.id());
    let (memory, one) =
        (proc::memory(process, |line| line.contains(" rw")), &value.as_bytes()[..value.len() / 20]);
    let found = memory.windows(one.len()).filter(|window| *window == one).count();
    assert_eq!(found, 0, "the value is still in memory");
    test.finish(running, false).refused(66, "resolve", "KEY", "missing");
}

/// The process that strace traces, once it is in its last system call.
fn ending_child(tracer: u32) -> u32 {
    let started = Instant::now();
    loop {
        let child = proc::children(tracer).first().copied();
        let call = child.map(|child| fs::read_to_string(format!("/proc/{child}/syscall")));
        // exit_group, on x86_64 and on arm64.
        if let (Some(child), Some(Ok(call))) = (child, call)
            && (call.starts_with("231 ") || call.starts_with("94 "))
        {
            return child;
        }
        assert!(started.elapsed() < Duration::from_secs(10), "it never came to its end");
        thread::sleep(Duration::from_millis(1));
    }
}
