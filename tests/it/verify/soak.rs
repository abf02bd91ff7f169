//! What stays while the app runs, over some minutes: it neither grows nor does anything while nothing happens.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use super::times;
use crate::support::{Test, canary};

/// In kibibytes.
fn resident(process: u32) -> u64 {
    field(process, "VmRSS:").trim_end_matches(" kB").trim().parse().unwrap()
}

fn field(process: u32, name: &str) -> String {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.trim().to_owned()
}

fn descriptors(process: u32) -> usize {
    fs::read_dir(format!("/proc/{process}/fd")).unwrap().count()
}

fn wake_ups(process: u32) -> u64 {
    field(process, "voluntary_ctxt_switches:").parse().unwrap()
}

#[test]
fn verify_h10_a_soak_of_orphans_and_signals_leaves_what_stays_as_it_was_and_idle() {
    let time = Duration::from_secs(u64::try_from(times(2, 600)).unwrap());
    let test = Test::with("[secret.A]\n").option("--supervise").secret("A", canary());
    let busy =
        "trap : USR1; while ! test -e \"$HOME/quiet\"; do (true & true &); sleep 0.02; done; exec sleep 600";
    let running = test.spawn(["/bin/sh", "-c", busy]);
    let init = running.child.id();
    let signalled = || {
        let process = rustix::process::Pid::from_raw(i32::try_from(init).unwrap()).unwrap();
        rustix::process::kill_process(process, rustix::process::Signal::USR1).unwrap();
        thread::sleep(Duration::from_millis(50));
    };
    thread::sleep(Duration::from_secs(1));
    let (started, before) = (Instant::now(), (resident(init), descriptors(init)));
    while started.elapsed() < time {
        signalled();
    }
    let after = (resident(init), descriptors(init));
    assert!(after.0 <= before.0 + 64 && after.1 == before.1, "{before:?}, then {after:?}");
    fs::write(test.at("home/quiet"), "").unwrap();
    thread::sleep(Duration::from_millis(500));
    let quiet = wake_ups(init);
    thread::sleep(time.min(Duration::from_secs(10)));
    assert_eq!(wake_ups(init), quiet);
    println!("{time:?}: {before:?}, then {after:?} (KiB, descriptors); idle without a wake-up");
    let process = rustix::process::Pid::from_child(&running.child);
    rustix::process::kill_process(process, rustix::process::Signal::TERM).unwrap();
    assert_eq!(test.finish(running.with_new_deadline(), false).code, 143);
}
