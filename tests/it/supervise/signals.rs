//! Signals that are forwarded, and the end.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::{WAIT, busy, courier_of, ended, send, start, supervised, wait_for};
use crate::support::{Need, Test, full_pipe, proc, reader, require};

#[test]
fn g08_what_the_app_leaves_behind_gets_term_then_kill_and_is_awaited_no_longer_than_that() {
    let leave = |trap: &str| {
        let test = supervised("").option("--linger").option("500ms");
        let script = format!("setsid sh -c 'trap \"{trap}\" TERM; echo > \"$HOME/left\"; {WAIT}' & ");
        let outcome =
            test.shell(&format!("{script} while ! test -e \"$HOME/left\"; do sleep 0.02; done; exit 3"));
        assert_eq!(outcome.code, 3, "{}", outcome.stderr);
        outcome
    };
    let ends = leave("sleep 0.1; exit");
    assert!(!ends.stderr.contains("linger"), "{}", ends.stderr);
    leave("").says("did not end within the linger, so they were killed");
}

#[test]
fn g06_each_term_is_forwarded_and_g07_only_a_grace_ends_an_app_that_ignores_it() {
    let test = supervised("");
    let script = "n=0; trap 'n=$((n+1)); echo > \"$HOME/term$n\"; test $n = 3 && exit 9' TERM; ";
    let running = start(&test, &format!("{script}{WAIT}"));
    thread::sleep(Duration::from_millis(100));
    for number in 1..=3 {
        send(running.child.id(), Signal::TERM);
        wait_for(|| test.at(format!("home/term{number}")).exists());
    }
    assert_eq!(test.finish(running, false).code, 9);
    let test = supervised("").option("--grace").option("300ms");
    let running = start(&test, &format!("trap '' TERM; {WAIT}"));
    thread::sleep(Duration::from_millis(100));
    let outcome = ended(&test, running);
    assert_eq!(outcome.code, 137);
    outcome.says("did not end within the grace after TERM, so it was killed; fix: ");
}

#[test]
fn g18_an_app_that_signals_its_parent_ends_itself() {
    let outcome = supervised("").shell("trap 'exit 4' TERM; kill -TERM $PPID; sleep 5 & wait; exit 1");
    assert_eq!(outcome.code, 4, "{}", outcome.stderr);
}

#[test]
fn g04_a_stop_signal_before_the_app_runs_ends_both_processes_at_once() {
    for signal in [Signal::TERM, Signal::INT, Signal::QUIT] {
        let test = busy();
        let mut running = test.spawn(["/bin/echo", "ran"]);
        let courier = courier_of(&mut running);
        send(running.child.id(), signal);
        let told = Instant::now();
        let outcome = test.finish(running, false);
        assert!(told.elapsed() < Duration::from_millis(500), "{:?}", told.elapsed());
        assert_eq!(outcome.code, 128 + signal.as_raw(), "{}", outcome.stderr);
        outcome.nothing_happened().says("before the app was started; fix: ");
        assert!(!Path::new(&format!("/proc/{courier}")).exists());
    }
}

#[test]
fn h06_a_log_that_nobody_reads_holds_up_neither_signals_nor_the_end() {
    let (_reader, writer) = full_pipe();
    let test = Test::with("").option("--supervise").option("--grace").option("200ms").stderr(writer);
    let running = start(&test, &format!("trap '' TERM; {WAIT}"));
    thread::sleep(Duration::from_millis(100));
    let asked = Instant::now();
    assert_eq!(ended(&test, running).code, 137);
    assert!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());
}

#[test]
fn signals_reach_the_apps_process_only_unless_forward_says_its_group() {
    for (forward, reaches_child) in [("app", false), ("group", true)] {
        let test = supervised("").variable("CRYOKEY_FORWARD", forward);
        let notes = |process: &str| format!("trap 'echo > \"$HOME/{process}-told\"' USR1; ");
        let waits = "for _ in $(seq 60); do sleep 0.05; done";
        let child = format!("({} echo > \"$HOME/child\"; {waits}) & ", notes("child"));
        let running = start(&test, &format!("{}{child}{WAIT}", notes("app")));
        let is_there = |name: &str| test.at("home").join(name).exists();
        wait_for(|| is_there("child"));
        send(running.child.id(), Signal::USR1);
        wait_for(|| is_there("app-told"));
        thread::sleep(Duration::from_millis(200));
        assert_eq!(is_there("child-told"), reaches_child, "{forward}");
        assert_eq!(ended(&test, running).code, 143);
    }
}

#[test]
fn reading_that_hangs_in_the_kernel_ends_ten_seconds_after_the_timeout() {
    if !require(Need::Root) {
        return;
    }
    let test = busy().variable("CRYOKEY_START_TIMEOUT", "1s");
    (1..3_000).for_each(|number| fs::write(test.secret_path(&format!("S{number:04}")), "x").unwrap());
    let mut running = test.spawn(["/bin/echo", "ran"]);
    let courier = courier_of(&mut running);
    let directory = test.secret_path("").canonicalize().unwrap();
    let open = || fs::read_dir(format!("/proc/{courier}/fd")).unwrap().flatten();
    wait_for(|| open().any(|entry| fs::read_link(entry.path()).is_ok_and(|path| path == directory)));
    // One that is stopped notices its own deadline no more than one that waits for a volume.
    send(courier, Signal::STOP);
    let outcome = test.finish(running, false);
    outcome.refused(75, "resolve", "cryokey", "timeout").says("volumes of the secrets directory");
    assert!(outcome.took > Duration::from_secs(10) && outcome.took < Duration::from_secs(13));
}

#[test]
fn h06_lines_that_nobody_read_before_the_app_ran_are_counted_by_what_stays() {
    lines_before_the_app_are_counted(supervised(""));
}

#[test]
fn h06_lines_are_counted_also_if_an_ssh_key_outlives_the_start() {
    let test = supervised("[secret.KEY]\ndeliver = \"ssh\"\n");
    let test = test.secret("KEY", include_str!("../../data/id_ed25519"));
    lines_before_the_app_are_counted(test);
}

fn lines_before_the_app_are_counted(test: Test) {
    let (unread, writer) = full_pipe();
    let test = test.option("--grace").option("100ms").stderr(writer);
    let running = start(&test, &format!("trap '' TERM; echo > \"$HOME/deaf\"; {WAIT}"));
    wait_for(|| test.at("home/deaf").exists());
    let log = reader(fs::File::from(unread));
    assert_eq!(ended(&test, running).code, 137);
    drop(test); // The last writer.
    let log = String::from_utf8(log.join().unwrap()).unwrap();
    let (before, after) = log.split_once(" lines are missing here, ").unwrap();
    let count: usize = before.rsplit(' ').next().unwrap().parse().unwrap();
    assert!(count >= 3, "manifest, selection, time of reading: {count}");
    assert!(after.contains("did not end within the grace"), "{after}");
}

#[test]
fn h06_lines_that_nobody_read_are_counted_in_the_next_one_that_is_written() {
    let (unread, writer) = full_pipe();
    let test = supervised("").option("--grace").option("100ms").stderr(writer);
    let deaf = format!("trap '' TERM; sleep 5 & echo > \"$HOME/deaf\"; {WAIT}");
    let running = start(&test, &deaf);
    wait_for(|| test.at("home/deaf").exists());
    send(running.child.id(), Signal::TERM);
    let app = proc::children(running.child.id())[0];
    wait_for(|| !Path::new(&format!("/proc/{app}")).exists());
    // What was said of the app was dropped; from here on, there is a reader.
    let log = reader(fs::File::from(unread));
    assert_eq!(test.finish(running, false).code, 137);
    drop(test); // The last writer.
    let log = String::from_utf8(log.join().unwrap()).unwrap();
    assert!(log.contains(" lines are missing here, because nothing read the log; fix: "), "{log}");
    assert!(log.contains("did not end within the linger"), "{log}");
    assert!(!log.contains("did not end within the grace"), "{log}");
}

#[test]
fn a_group_is_that_of_the_app_also_if_it_has_changed_it() {
    let away = "import os, signal, time
signal.signal(signal.SIGTERM, lambda *_: os._exit(5))
child = os.fork()
if child == 0:
    os.setpgid(0, 0)
    time.sleep(30)
time.sleep(0.2)
os.setpgid(0, child)
open(os.environ['HOME'] + '/ready', 'w')
time.sleep(20)";
    let test = supervised("").variable("CRYOKEY_FORWARD", "group");
    let running = test.spawn(["/usr/bin/python3", "-c", away]);
    wait_for(|| test.at("home/ready").exists());
    assert_eq!(ended(&test, running).code, 5);
}

#[test]
fn g08_without_proc_what_the_app_left_behind_is_not_said_to_be_killed() {
    if !require(Need::Root) {
        return;
    }
    let test = supervised("").option("--linger").option("100ms");
    let test = test.through_mounts("mount -t tmpfs none /proc && exec \"$@\"");
    let outcome = test.shell("setsid sleep 3 > /dev/null 2>&1 & sleep 0.1; exit 5");
    assert_eq!(outcome.code, 5, "{}", outcome.stderr);
    outcome.says("cannot find them without /proc; fix: ");
    assert!(!outcome.stderr.contains("were killed"), "{}", outcome.stderr);
}
