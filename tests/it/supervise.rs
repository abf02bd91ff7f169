//! cryokey as the app's parent, where it is not PID 1: what stays, what can be read of it, and the end. What an init must
//! do as PID 1 is in `e2e/tests/pid1`.

mod signals;
mod terminal;

use std::collections::BTreeSet;
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::support::{
    Canaries, NOBODY, Need, Outcome, Running, Test, canary, chmod, declared, proc, require,
};

const READY: &str = "echo > \"$HOME/ready\"; ";
const WAIT: &str = "while :; do sleep 0.05; done";

fn supervised(manifest: &str) -> Test {
    Test::with(manifest).option("--supervise").variable("CRYOKEY_LOG", "debug")
}

/// Starts a shell script, and waits until it is ready.
fn start(test: &Test, script: &str) -> Running {
    let running = test.spawn(["/bin/sh", "-c", &format!("{READY}{script}")]);
    wait_for(|| test.at("home/ready").exists());
    running
}

#[track_caller]
fn wait_for(is_so: impl Fn() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < Duration::from_secs(10), "it never came to that");
        thread::sleep(Duration::from_millis(2));
    }
}

fn send(process: u32, signal: Signal) {
    kill_process(Pid::from_raw(i32::try_from(process).unwrap()).unwrap(), signal).unwrap();
}

fn ended(test: &Test, running: Running) -> Outcome {
    send(running.child.id(), Signal::TERM);
    test.finish(running, false)
}

/// Everything that root can read of a process, but for what is only mapped from a file.
fn memory(process: u32) -> Vec<u8> {
    let is_own = |line: &str| line.contains(" rw") || (line.contains(" r") && !line.contains('/'));
    proc::memory(process, |line| is_own(line) && !line.ends_with("[vvar]"))
}

/// What is open in init and not in the app.
fn own_descriptors(init: u32) -> Vec<String> {
    let open = |process: u32| -> BTreeSet<String> {
        let all = fs::read_dir(format!("/proc/{process}/fd")).unwrap().flatten();
        let link = |entry: fs::DirEntry| fs::read_link(entry.path()).unwrap_or_default();
        all.map(|entry| format!("{} {}", entry.file_name().display(), link(entry).display())).collect()
    };
    open(init).difference(&open(proc::children(init)[0])).cloned().collect()
}

#[test]
fn t01_root_finds_no_value_in_the_whole_memory_of_what_stays() {
    if !require(Need::Root) {
        return;
    }
    let values = [canary(), canary(), canary()];
    let [variable, file, plain] = &values;
    let test = supervised("allow_plain_env = true\n[secret.A]\n[secret.B]\ndeliver = \"file\"\n[secret.C]\n")
        .secret("A", variable)
        .secret("B", file)
        .variable("C", plain)
        .variable("OTHER", plain)
        .in_run_dir();
    let running = start(&test, WAIT);
    let init = running.child.id();
    let mut canaries = Canaries::default();
    for value in &values {
        canaries.watch(value.as_bytes());
    }
    // Once init knows that execve has succeeded, it closes the pipe that says so; a directory and the signals stay.
    wait_for(|| own_descriptors(init).len() == 2);
    let held = memory(init);
    assert!(held.len() > 100_000, "{} bytes", held.len());
    assert_eq!(canaries.find(&held), None);
    let app = proc::children(init)[0];
    assert!(canaries.find(&memory(app)).is_some(), "the search finds nothing even in the app");
    ended(&test, running).says("A: from files A");
}

#[test]
fn t02_the_arguments_and_the_environment_that_it_was_started_with_are_overwritten() {
    let test = supervised("[secret.A]\n").secret("A", canary()).variable("VAULT_TOKEN", "bootstrap-token");
    let running = start(&test, WAIT);
    let show = |file: &str| fs::read(format!("/proc/{}/{file}", running.child.id()));
    if let Ok(environment) = show("environ") {
        assert!(environment.iter().all(|byte| *byte == 0), "{}", String::from_utf8_lossy(&environment));
    }
    let arguments = show("cmdline").unwrap();
    let shown = String::from_utf8_lossy(&arguments).trim_end_matches('\0').to_owned();
    assert!(shown.ends_with("cryokey") && !shown.contains("run"), "{shown}");
    ended(&test, running);
}

/// Tries to read its parent in every way that a process of the same user has, and prints those that work.
const READER: &str = r"
import ctypes, os, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
parent = os.getppid()
def opened(name):
    with open(f'/proc/{parent}/{name}', 'rb') as file: return file.read(1) is not None
def ptrace():
    return libc.ptrace(0x4206, parent, 0, 0) == 0
def vm_readv():
    buffer = ctypes.create_string_buffer(8)
    local = (ctypes.c_void_p * 2)(ctypes.addressof(buffer), 8)
    remote = (ctypes.c_void_p * 2)(int(sys.argv[1], 16), 8)
    return libc.process_vm_readv(parent, local, 1, remote, 1, 0) == 8
def getfd():
    descriptor = os.pidfd_open(parent)
    return libc.syscall(438, descriptor, 0, 0) >= 0
def listed():
    return os.listdir(f'/proc/{parent}/fd') is not None
ways = {'environ': lambda: opened('environ'), 'mem': lambda: opened('mem'), 'maps': lambda: opened('maps'),
    'auxv': lambda: opened('auxv'), 'fd': listed, 'ptrace': ptrace, 'process_vm_readv': vm_readv, 'pidfd_getfd': getfd}
for name, way in ways.items():
    try: works = way()
    except OSError: works = False
    print(name, works)
";

#[test]
fn t01_the_app_reads_nothing_of_its_parent_in_any_of_eight_ways() {
    if !require(Need::Root) || !require(Need::Python) {
        return;
    }
    let test = supervised("").by_nobody();
    let works = |outcome: &str| outcome.lines().filter(|line| line.ends_with("True")).count();
    let outcome = test.run(["/usr/bin/python3", "-c", READER, "400000"]);
    assert_eq!((works(outcome.text()), outcome.text().lines().count()), (0, 8), "{}", outcome.printed());
    // The same reader below a shell of the same user, which hides nothing.
    let shell = "\"$@\"; exit $?";
    let open = test.directly(["/bin/sh", "-c", shell, "-", "/usr/bin/python3", "-c", READER, "400000"]);
    let open = String::from_utf8_lossy(&open).into_owned();
    assert!(open.contains("environ True") && open.contains("fd True") && works(&open) >= 4, "{open}");
}

#[test]
fn t06_what_stays_has_no_descriptor_but_those_given_and_its_own_few() {
    let test = supervised("[secret.A]\ndeliver = \"file\"\n").secret("A", canary()).without_tmpfs();
    let running = start(&test, WAIT);
    let init = running.child.id();
    wait_for(|| own_descriptors(init).len() == 1);
    let own = own_descriptors(init);
    assert!(own[0].ends_with("anon_inode:[signalfd]"), "{own:?}");
    ended(&test, running);
}

#[test]
fn t07_what_stays_leaves_no_core_and_the_app_keeps_its_limit() {
    let limit = |process: u32| {
        let limits = fs::read_to_string(format!("/proc/{process}/limits")).unwrap();
        let line = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
        line.split_whitespace().nth(4).unwrap().to_owned()
    };
    let test = supervised("").through_shell("ulimit -S -c 5000; exec \"$@\"");
    let running = start(&test, WAIT);
    let init = running.child.id();
    assert_eq!(limit(init), "0");
    // In blocks of 512 or 1,024 bytes, as the shell has it.
    assert!(["2560000", "5120000"].contains(&limit(proc::children(init)[0]).as_str()));
    ended(&test, running);
}

#[test]
fn g01_orphans_come_to_it_and_are_buried_although_it_is_not_pid_1() {
    let test = supervised("");
    let running = start(&test, &format!("(sh -c 'sleep 0.2' & sh -c 'sleep 30' &) ; {WAIT}"));
    let init = running.child.id();
    wait_for(|| proc::children(init).len() >= 2);
    let is_zombie = |child: &u32| {
        fs::read_to_string(format!("/proc/{child}/stat")).is_ok_and(|stat| stat.contains(") Z "))
    };
    thread::sleep(Duration::from_millis(400));
    assert_eq!(proc::children(init).iter().filter(|child| is_zombie(child)).count(), 0);
    ended(&test, running);
}

#[test]
fn g02_an_app_that_becomes_a_daemon_ends_it_with_the_apps_code() {
    let outcome =
        supervised("").shell("setsid sh -c 'echo $$ > \"$HOME/daemon\"; exec sleep 60' & sleep 0.3; exit 5");
    assert_eq!(outcome.code, 5, "{}", outcome.stderr);
    assert!(outcome.took < Duration::from_secs(5), "{:?}", outcome.took);
}

#[test]
fn g20_nothing_that_cryokey_does_keeps_the_app_from_gaining_rights() {
    let outcome = supervised("").run(["/bin/grep", "NoNewPrivs", "/proc/self/status"]);
    assert_eq!(outcome.text(), "NoNewPrivs:\t0\n");
}

/// A courier that takes long enough to be met: it looks up many names.
fn busy() -> Test {
    let manifest = declared((0..6_000).map(|number| format!("S{number:04}")), "");
    Test::with(&manifest).option("--supervise").secret("S0000", canary())
}

fn courier_of(running: &mut Running) -> u32 {
    let started = Instant::now();
    loop {
        if let [courier] = proc::children(running.child.id())[..] {
            return courier;
        }
        assert!(started.elapsed() < Duration::from_secs(10) && running.child.try_wait().unwrap().is_none());
    }
}

#[test]
fn g21_a_courier_that_is_killed_is_told_from_one_that_has_a_bug_and_the_app_does_not_run() {
    for (signal, code, reason) in [(Signal::KILL, 71, "resource"), (Signal::ABORT, 70, "bug")] {
        let test = busy();
        let mut running = test.spawn(["/bin/echo", "ran"]);
        send(courier_of(&mut running), signal);
        let outcome = test.finish(running, false);
        outcome
            .refused(code, "resolve", "cryokey", reason)
            .says("that collects the secrets was killed by signal");
    }
}

#[test]
fn the_delivered_directory_stays_while_the_app_runs_and_goes_with_it() {
    let test = supervised("[secret.A]\ndeliver = \"file\"\n").secret("A", canary()).in_run_dir();
    let running = start(&test, WAIT);
    let entries = || fs::read_dir(test.run_dir()).unwrap().count();
    assert_eq!(entries(), 1);
    // Another start does not take it for stale: it belongs to who stays.
    Test::with("[secret.A]\ndeliver = \"file\"\n")
        .secret("A", canary())
        .variable("CRYOKEY_RUN_DIR", test.run_dir())
        .start()
        .succeeded();
    assert!(entries() >= 1);
    assert_eq!(ended(&test, running).code, 143);
    let left =
        fs::read_dir(test.run_dir()).unwrap().flatten().filter(|entry| entry.path().join("A").exists());
    assert!(left.count() <= 1, "that of the start that became its app");
}

#[test]
fn h09_what_stays_does_nothing_while_nothing_happens() {
    let switches = |process: u32| -> u64 {
        let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
        let counts = status.lines().filter_map(|line| line.split_once("ctxt_switches:"));
        counts.map(|(_, count)| count.trim().parse::<u64>().unwrap()).sum()
    };
    let test = supervised("");
    let running = start(&test, "exec sleep 60");
    thread::sleep(Duration::from_millis(300));
    let before = switches(running.child.id());
    thread::sleep(Duration::from_secs(1));
    assert_eq!(switches(running.child.id()), before);
    ended(&test, running);
}

#[test]
fn the_user_of_the_app_is_also_that_of_what_stays() {
    if !require(Need::Root) {
        return;
    }
    let test = supervised(&format!("[process]\nuser = \"{NOBODY}\"\n[secret.A]\n")).secret("A", canary());
    let outcome =
        test.shell("id -u; stat -c %u /proc/$PPID/status; grep -E '^(Uid|Groups)' /proc/$PPID/status");
    let user = NOBODY.to_string();
    let lines: Vec<&str> = outcome.text().lines().collect();
    assert_eq!(lines[0], user, "{}", outcome.printed());
    // Not dumpable, so /proc belongs to root.
    assert_eq!(lines[1], "0", "{}", outcome.printed());
    assert_eq!(lines[2], format!("Uid:\t{user}\t{user}\t{user}\t{user}"));
}

#[test]
fn an_app_that_cannot_be_started_leaves_no_key_and_brings_back_the_one_before() {
    let manifest = "[secret.KEY]\ndeliver = \"ssh\"\n";
    let key = |test: Test, name: &str| test.secret("KEY", fs::read(format!("tests/data/{name}")).unwrap());
    let test = key(supervised(manifest), "id_ed25519");
    test.run(["/nonexistent"]).refused(127, "exec", "/nonexistent", "not-found");
    assert_eq!(test.run(["/bin/true"]).code, 0);
    let written = fs::read(test.at("home/.ssh/id_ed25519")).unwrap();
    let test = key(test, "id_ecdsa");
    let outcome = test.run(["/etc/hostname"]);
    assert_eq!(outcome.code, 126, "{}", outcome.stderr);
    assert_eq!(fs::read(test.at("home/.ssh/id_ed25519")).unwrap(), written);
    assert!(!test.at("home/.ssh/id_ecdsa").exists());
}

#[test]
fn files_that_were_given_to_the_apps_user_are_removed_if_a_signal_stops_the_start_right_then() {
    if !require(Need::Trace) {
        return;
    }
    let few = ["setpriv", "--bounding-set=-all,+setuid,+setgid,+chown", "--inh-caps=-all"];
    for (call, limits) in [("setgroups", &[][..]), ("setresuid", &[][..]), ("setresuid", &few[..])] {
        let manifest = format!("[process]\nuser = \"{NOBODY}\"\n[secret.A]\ndeliver = \"file\"\n");
        let test = supervised(&manifest).secret("A", canary()).in_run_dir();
        chmod(test.run_dir(), 0o1777);
        let inject = format!("inject={call}:delay_enter=600000:when=1");
        let trace = format!("trace={call}");
        let strace = ["strace", "-f", "-o", "/dev/null", "-e", &trace, "-e", &inject];
        let test = test.through(limits.iter().copied().chain(strace));
        let running = test.spawn(["/bin/echo", "ran"]);
        let entries = || fs::read_dir(test.run_dir()).unwrap().flatten().map(|entry| entry.path());
        wait_for(|| entries().any(|path| path.join("A").exists()));
        thread::sleep(Duration::from_millis(200));
        let init = proc::children(running.child.id())[0];
        send(init, Signal::TERM);
        assert_eq!(test.finish(running, false).code, 143);
        assert_eq!(entries().count(), 0, "{call}: {:?}", entries().collect::<Vec<_>>());
    }
}

#[test]
fn a_directory_that_the_app_makes_beside_its_files_does_not_keep_them() {
    let test = supervised("[secret.A]\ndeliver = \"file\"\n").secret("A", canary()).in_run_dir();
    let outcome = test.shell("d=$(dirname \"$A_FILE\"); chmod 700 \"$d\"; mkdir \"$d/x\"");
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    let mut left = fs::read_dir(test.run_dir()).unwrap().flatten();
    assert!(left.all(|entry| !entry.path().join("A").exists() && entry.path().join("x").exists()));
}

#[test]
fn many_arguments_take_no_more_than_their_number() {
    let arguments: Vec<String> = (0..100_000).map(|number| number.to_string()).collect();
    let script = ["/bin/sh", "-c", "echo $#", "sh"].map(str::to_owned);
    let outcome = supervised("").run(script.into_iter().chain(arguments));
    assert_eq!(outcome.text(), "100000\n");
    assert!(outcome.took < Duration::from_secs(5), "{:?}", outcome.took);
}

#[test]
fn too_few_descriptors_are_told_from_too_few_processes() {
    let test = Test::with("").option("--supervise").through_shell(
        "for inherited in 3 4 5 6 7 8 9; do eval \"exec $inherited>&-\"; done; ulimit -n 4; exec \"$@\"",
    );
    let outcome = test.run(["/bin/true"]);
    outcome.refused(71, "exec", "cryokey", "resource").says("the limit of open files is reached; fix: ");
}
