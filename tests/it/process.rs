//! The process: what runs, in which state, and how it is stopped before that.

use std::fs;
use std::io::Read as _;
use std::os::fd::OwnedFd;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{OFlags, fcntl_setfl};
use rustix::pipe::{PipeFlags, pipe_with};

use crate::support::{
    Need, Outcome, SHOW, Test, canary, chmod, declared, executable, full_pipe, proc, require, terminal,
};

const FILE: &str = "[secret.TOKEN]\nrequired = true\ndeliver = \"file\"\n";

/// Starts `tools/app` with this content.
fn app_is(content: &[u8]) -> (Test, String) {
    let test = Test::profile();
    executable(&test.at("tools/app"), content, 0o755);
    let path = test.at("tools/app").to_str().unwrap().to_owned();
    (test, path)
}

#[track_caller]
fn not_started(test: &Test, app: &str, code: i32, why: &str) {
    let reason = if code == 127 { "not-found" } else { "cannot-execute" };
    for outcome in test.run_in_both_modes(&[app]) {
        outcome.refused(code, "exec", app, reason).says(why);
    }
}

#[test]
fn g11_a_script_without_its_first_line_is_never_handed_to_a_shell() {
    for content in ["echo ran\n", ":\n", ""] {
        let (test, app) = app_is(content.as_bytes());
        not_started(&test, &app, 126, "nor a script that begins with `#!`");
    }
    let (test, app) = app_is(b"#!/bin/sh\necho \"$1\"\n");
    assert_eq!(test.run([&app, "ran"]).text(), "ran\n");
}

#[test]
fn g12_a_program_on_a_noexec_mount_is_reported_as_such() {
    if !require(Need::Mounts) {
        return;
    }
    let test = Test::profile();
    let app = test.at("work/app").to_str().unwrap().to_owned();
    let script = "mount -t tmpfs -o noexec none ../work && cp /usr/bin/env ../work/app && exec \"$@\"";
    not_started(&test.through_mounts(script), &app, 126, "mounted noexec");
}

#[test]
fn g12_a_missing_interpreter_or_loader_is_reported_by_name() {
    let (test, app) = app_is(b"#!/nonexistent/python -u\n");
    not_started(&test, &app, 127, "`/nonexistent/python`");
    let (test, app) = app_is(b"#!/bin/sh\r\necho ran\r\n");
    not_started(&test, &app, 127, "`/bin/sh\\u{d}`");
    let mut binary = fs::read("/usr/bin/env").unwrap();
    let loader = binary.windows(5).position(|window| window == b"/lib6" || window == b"/lib/").unwrap();
    binary[loader + 1] = b'L';
    let (test, app) = app_is(&binary);
    not_started(&test, &app, 127, "loader");
}

#[test]
fn g12_a_program_for_another_machine_or_a_broken_one_is_reported_as_such() {
    let mut binary = fs::read("/usr/bin/env").unwrap();
    // e_machine (elf(5)): s390, which no test machine is.
    binary[18..20].copy_from_slice(&[22, 0]);
    let (test, app) = app_is(&binary);
    not_started(&test, &app, 126, "neither a program for this machine");
    let (test, app) = app_is(b"\x7fELF");
    not_started(&test, &app, 126, "neither a program for this machine");
}

#[test]
fn what_cannot_be_executed_exits_with_126_and_what_does_not_exist_with_127() {
    let (test, app) = app_is(b"#!/bin/sh\n");
    chmod(Path::new(&app), 0o644);
    not_started(&test, &app, 126, "permission denied");
    not_started(&test, &format!("{app}/below"), 126, "part of its path is not a directory");
    not_started(&test, test.at("work").to_str().unwrap(), 126, "it is a directory");
    symlink("circle", test.at("tools/circle")).unwrap();
    not_started(&test, test.at("tools/circle").to_str().unwrap(), 126, "circle");
    not_started(&test, "/nonexistent", 127, "does not exist");
    not_started(&test, "no-such-program", 127, "PATH");
    test.run([""]).refused(127, "exec", "", "not-found");
}

#[test]
fn g13_the_path_is_searched_in_order_with_empty_and_relative_entries_in_their_place() {
    let test = Test::profile();
    for directory in ["one", "two", "work", "work/relative"] {
        fs::create_dir_all(test.at(directory)).unwrap();
        executable(
            &test.at(directory).join("app"),
            format!("#!/bin/sh\necho {directory}\n").as_bytes(),
            0o755,
        );
    }
    let (one, two) = (test.at("one").display().to_string(), test.at("two").display().to_string());
    let cases = [
        (format!("{one}:{two}"), "one"),
        (format!("{two}:{one}"), "two"),
        (format!("/nonexistent:{two}"), "two"),
        (format!(":{one}"), "work"),
        (format!("/nonexistent::{one}"), "work"),
        (format!("relative:{one}"), "work/relative"),
        (format!("./relative:{one}"), "work/relative"),
        (format!(".:{one}"), "work"),
        ("/nonexistent:".to_owned(), "work"),
        (format!("/etc/hostname:{one}"), "one"),
    ];
    let mut test = test;
    for (path, found) in cases {
        test = test.variable("PATH", &path);
        assert_eq!(test.run(["app"]).text(), format!("{found}\n"), "{path}");
    }
}

#[test]
fn g13_a_file_without_permission_is_passed_over_and_remembered() {
    let test = Test::profile();
    for (directory, mode) in [("one", 0o644), ("two", 0o755)] {
        fs::create_dir(test.at(directory)).unwrap();
        executable(&test.at(directory).join("app"), b"#!/bin/sh\necho ran\n", mode);
    }
    let (one, two) = (test.at("one").display().to_string(), test.at("two").display().to_string());
    let test = test.variable("PATH", format!("{one}:{two}"));
    assert_eq!(test.run(["app"]).text(), "ran\n");
    let test = test.variable("PATH", format!("{one}:/nonexistent"));
    test.run(["app"])
        .refused(126, "exec", "app", "cannot-execute")
        .says("permission denied")
        .says(&format!("{one}/app"));
    let test = test.without("PATH");
    assert_eq!(test.run(["echo", "without PATH"]).text(), "without PATH\n");
}

#[test]
fn g13_the_path_of_the_app_is_searched_also_where_a_secret_sets_it() {
    let test = Test::with("[secret.PATH]\n").without("PATH");
    fs::create_dir(test.at("one")).unwrap();
    executable(&test.at("one/app"), b"#!/bin/sh\necho ran\n", 0o755);
    let path = test.at("one").display().to_string();
    assert_eq!(test.secret("PATH", path).run(["app"]).text(), "ran\n");
}

/// Runs the app as it is and through cryokey in both modes, and compares what it writes.
#[track_caller]
fn same_with_and_without(test: &Test, app: &[&str]) -> String {
    let direct = String::from_utf8_lossy(&test.directly(app)).into_owned();
    for outcome in test.run_in_both_modes(app) {
        assert_eq!(String::from_utf8_lossy(&outcome.stdout), direct, "{}", outcome.stderr);
    }
    direct
}

/// What says how a process was started. Not by a shell, since shells change their mask.
const STATUS: [&str; 8] = [
    "/bin/grep",
    "-hE",
    "^(Umask|Uid|Gid|Groups|ShdPnd|SigBlk|SigIgn|SigCgt|Cap...|NoNewPrivs|Seccomp|Cpus_allowed|Mems_allowed|Max|[0-9])",
    "/proc/self/status",
    "/proc/self/limits",
    "/proc/self/oom_score_adj",
    "/proc/self/timerslack_ns",
    "/proc/self/personality",
];

/// What only a program can tell of itself.
const OWN: [&str; 3] = ["/bin/sh", "-c", "pwd; nice; ulimit -a; stat -c %u:%g:%a /proc/self/environ"];

#[test]
fn g14_mask_dispositions_limits_umask_priority_and_directory_are_those_that_were_given() {
    if !require(Need::Python) {
        return;
    }
    for pipe in ["SIG_DFL", "SIG_IGN"] {
        let script = format!(
            "import os, resource, signal, sys\n\
             signal.signal(signal.SIGPIPE, signal.{pipe}); signal.signal(signal.SIGXFSZ, signal.SIG_DFL)\n\
             signal.signal(signal.SIGHUP, signal.SIG_IGN); signal.signal(signal.SIGUSR2, signal.SIG_IGN)\n\
             signal.pthread_sigmask(signal.SIG_SETMASK, [signal.SIGTERM, signal.SIGUSR1, signal.SIGCHLD, 35, 64])\n\
             os.umask(0o137); os.nice(3); os.chdir('/usr')\n\
             resource.setrlimit(resource.RLIMIT_CORE, (0, 4096)); resource.setrlimit(resource.RLIMIT_NOFILE, (99, 100))\n\
             resource.setrlimit(resource.RLIMIT_STACK, (4 << 20, resource.getrlimit(resource.RLIMIT_STACK)[1]))\n\
             open('/proc/self/oom_score_adj', 'w').write('123')\n\
             os.execv(sys.argv[1], sys.argv[1:])\n"
        );
        let test = Test::profile().through(["/usr/bin/python3", "-c", &script]);
        assert!(same_with_and_without(&test, &OWN).starts_with("/usr\n"));
        let seen = same_with_and_without(&test, &STATUS);
        assert!(seen.contains("Umask:\t0137") && seen.contains("\n123\n"), "{seen}");
        let blocked = seen.lines().find(|line| line.starts_with("SigBlk")).unwrap();
        assert!(blocked.ends_with("8000000400014200"), "{blocked}");
        let ignored = seen.lines().find(|line| line.starts_with("SigIgn")).unwrap();
        let ignored = u64::from_str_radix(ignored.split_whitespace().nth(1).unwrap(), 16).unwrap();
        assert_eq!(ignored & (1 << 12) != 0, pipe == "SIG_IGN", "SIGPIPE is the 13th");
        assert_eq!(ignored & 0b1000_0000_0001, 0b1000_0000_0001, "SIGHUP and SIGUSR2");
    }
}

#[test]
fn g14_nohup_and_a_user_without_rights_stay_as_they_are() {
    let test = Test::profile().by_nobody().through(["nohup"]);
    let seen = same_with_and_without(&test, &STATUS);
    assert!(seen.lines().any(|line| line.starts_with("SigIgn:") && line.ends_with('1')), "{seen}");
}

#[test]
fn g14_the_app_may_be_read_by_its_own_user_as_without_cryokey() {
    let test = Test::profile().by_nobody();
    assert!(test.shell("exec cat /proc/self/environ").text().contains("SECRET_KEY="));
}

#[test]
fn g14_inherited_descriptors_reach_the_app_and_none_of_cryokey_does() {
    let script = "exec 5< /etc/hostname 7>> descriptors 9<> descriptors; exec \"$@\"";
    let test = Test::profile().through_shell(script);
    let list =
        "for fd in /proc/$$/fd/*; do echo \"${fd##*/} $(readlink \"$fd\" | sed 's/:.*//')\"; done; cat <&5";
    let seen = same_with_and_without(&test, &["/bin/sh", "-c", list]);
    assert!(seen.contains("\n7 ") && seen.contains("\n9 "), "{seen}");
}

/// What a shell has open, written to a file: standard output may be closed.
const OPEN: &str = "cd /proc/$$/fd && echo * > \"$HOME/open\"";

#[test]
fn g15_standard_streams_that_are_closed_stay_closed() {
    for closing in ["<&-", ">&-", "2>&-", "<&- >&-", "<&- >&- 2>&-"] {
        let test = Test::profile().through_shell(&format!("exec \"$@\" {closing}"));
        let open = || fs::read_to_string(test.at("home/open")).unwrap();
        test.directly(["/bin/sh", "-c", OPEN]);
        let direct = open();
        test.shell(OPEN).succeeded();
        assert_eq!(open(), direct, "{closing}");
    }
}

#[test]
fn g15_a_closed_stream_is_not_taken_for_a_delivered_file() {
    let value = canary();
    if !require(Need::Mounts) {
        return;
    }
    let script =
        "mount -t tmpfs -o ro none /dev/shm && mount -t tmpfs -o ro none /run && exec \"$@\" <&- 2>&-";
    let test = Test::with(FILE).secret("TOKEN", &value).through_mounts(script);
    let outcome = test.shell("cat \"$TOKEN_FILE\"; echo \"$TOKEN_FILE\"");
    let (content, path) = outcome.text().trim_end().rsplit_once("/proc/self/fd/").unwrap();
    assert_eq!(content, value);
    assert!(path.parse::<u32>().unwrap() > 2, "{path}");
}

#[test]
fn g15_a_refusal_with_closed_streams_has_its_code() {
    let test = Test::new().through_shell("exec \"$@\" <&- >&- 2>&-");
    assert_eq!(test.start().code, 66);
    let test = Test::profile().through_shell("exec \"$@\" <&- >&- 2>&-");
    assert_eq!(test.run(["/nonexistent"]).code, 127);
}

#[test]
fn g15_a_full_log_pipe_does_not_hold_up_the_app_and_keeps_its_flags() {
    let (_reader, writer) = full_pipe();
    let test = Test::profile().stderr(writer.try_clone().unwrap());
    let outcome = test.start();
    outcome.app();
    assert!(outcome.took < Duration::from_secs(5), "{:?}", outcome.took);
    let flags = rustix::fs::fcntl_getfl(&writer).unwrap();
    assert!(!flags.contains(rustix::fs::OFlags::NONBLOCK));
}

#[test]
fn g15_a_full_log_pipe_does_not_hold_up_a_refusal() {
    let (_reader, writer) = full_pipe();
    let outcome = Test::new().stderr(writer).start();
    assert_eq!(outcome.code, 66);
    assert!(outcome.took < Duration::from_secs(5), "{:?}", outcome.took);
}

#[test]
fn g15_a_log_pipe_that_is_read_byte_by_byte_does_not_hold_up_the_app_or_a_refusal() {
    for (test, code) in [(Test::profile(), 0), (Test::new(), 66)] {
        let (reader, writer) = full_pipe();
        let reader = trickling(reader);
        let outcome = test.stderr(writer).start();
        assert_eq!(outcome.code, code);
        assert!(outcome.took < Duration::from_secs(5), "{:?}", outcome.took);
        assert!(!reader.is_finished(), "it reads all the time");
    }
}

/// Reads a byte each 200 ms, until the other end is closed or ten seconds have passed.
fn trickling(pipe: OwnedFd) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        let mut pipe = fs::File::from(pipe);
        for _ in 0..50 {
            pipe.read_exact(&mut [0]).unwrap();
            thread::sleep(Duration::from_millis(200));
        }
    })
}

/// A terminal that takes nothing more, with its other end.
fn full_terminal() -> (OwnedFd, OwnedFd) {
    let (master, terminal) = terminal();
    fcntl_setfl(&terminal, OFlags::RDWR | OFlags::NONBLOCK).unwrap();
    while rustix::io::write(&terminal, &[b'x'; 512]).is_ok() {}
    while rustix::io::write(&terminal, b"x").is_ok() {}
    fcntl_setfl(&terminal, OFlags::RDWR).unwrap();
    (master, terminal)
}

#[test]
fn l08_a_terminal_that_nobody_reads_does_not_hold_up_the_app_or_a_refusal() {
    let names: Vec<String> = (0..400).map(|number| format!("S{number:03}")).collect();
    let test = names.iter().fold(Test::with(&declared(&names, "")), |test, name| test.secret(name, "x"));
    let (missing, mut test) = (declared(&names, "required = true\n"), test);
    for (_master, terminal) in [full_terminal(), terminal()] {
        test = test.stderr(terminal.try_clone().unwrap());
        let outcome = test.start();
        outcome.app();
        assert!(outcome.took < Duration::from_secs(5), "{:?}", outcome.took);
        let outcome = Test::with(&missing).stderr(terminal).start();
        assert_eq!(outcome.code, 66);
        assert!(outcome.took < Duration::from_secs(5), "{:?}", outcome.took);
    }
}

#[test]
fn l08_a_report_whose_reader_does_not_read_ends_within_the_startup_timeout() {
    let (_reader, pipe) = full_pipe();
    let (_master, terminal) = full_terminal();
    for stdout in [pipe, terminal] {
        for line in [["check", "--format=json"], ["explain", "SECRET_KEY"]] {
            let test = Test::profile().variable("CRYOKEY_START_TIMEOUT", "1s");
            let outcome = test.stdout(stdout.try_clone().unwrap()).command(line);
            assert!(outcome.took < Duration::from_secs(5), "{line:?} {:?}", outcome.took);
            outcome.says("cannot write to standard output").says("reason=io");
            assert_eq!(outcome.code, 74, "{}", outcome.stderr);
        }
    }
}

#[test]
fn l08_a_report_whose_reader_is_slow_is_written_to_its_end() {
    let (reader, writer) = full_pipe();
    let test = Test::profile().stdout(writer);
    let reader = thread::spawn(move || {
        let mut read = Vec::new();
        thread::sleep(Duration::from_millis(500));
        fs::File::from(reader).read_to_end(&mut read).unwrap();
        String::from_utf8(read).unwrap()
    });
    assert_eq!(test.command(["check"]).code, 0);
    drop(test);
    assert!(reader.join().unwrap().contains("SECRET_KEY"));
}

#[test]
fn g15_a_log_pipe_without_a_reader_stops_nothing_and_the_app_dies_of_it_as_it_always_would() {
    let (reader, writer) = pipe_with(PipeFlags::CLOEXEC).unwrap();
    drop(reader);
    let test = Test::profile().stderr(writer.try_clone().unwrap());
    test.start().app();
    assert_eq!(test.run(["/usr/bin/printf", "ran"]).text(), "ran");
    // SIGPIPE is 13.
    assert_eq!(test.shell("printf x >&2; echo alive").code, 141);
    let outcome = Test::new().stderr(writer).start();
    assert_eq!(outcome.code, 66);
}

#[test]
fn g15_a_log_that_cannot_be_written_kills_neither_a_refusal_nor_the_last_message() {
    let (reader, writer) = pipe_with(PipeFlags::CLOEXEC).unwrap();
    drop(reader);
    assert_eq!(Test::profile().stderr(writer).run(["/nonexistent"]).code, 127);
    let to_limited_file = "ulimit -f 0; exec \"$@\" 2>\"$HOME/log\"";
    assert_eq!(Test::new().through_shell(to_limited_file).start().code, 66);
    assert_eq!(Test::profile().through_shell(to_limited_file).run(["/nonexistent"]).code, 127);
    Test::profile().through_shell(to_limited_file).start().app();
}

#[test]
fn a_reader_that_is_slow_gets_every_line_whole() {
    let (reader, writer) = pipe_with(PipeFlags::CLOEXEC).unwrap();
    let names: Vec<String> = (0..2_000).map(|number| format!("S{number:04}")).collect();
    let test = names.iter().fold(Test::with(&declared(&names, "")), |test, name| test.secret(name, "x"));
    let test = test.stderr(writer);
    let reader = thread::spawn(move || {
        let (mut file, mut read, mut room) = (fs::File::from(reader), Vec::new(), vec![0; 4_096]);
        loop {
            thread::sleep(Duration::from_micros(500));
            match file.read(&mut room).unwrap() {
                0 => return String::from_utf8(read).unwrap(),
                count => read.extend_from_slice(&room[..count]),
            }
        }
    });
    let outcome = test.start();
    drop(test);
    let log = reader.join().unwrap();
    assert_eq!(outcome.code, 0);
    assert_eq!(log.lines().filter(|line| line.contains(": from files ")).count(), 2_000);
    assert!(
        log.lines().last().unwrap().contains("the app does not inherit"),
        "{}",
        log.lines().last().unwrap()
    );
}

/// Starts something that takes long enough, tells it to stop as soon as it is cryokey, and returns its end.
fn after_signal(before: &[&str], depth: usize) -> Outcome {
    let manifest = declared((0..6_000).map(|number| format!("S{number:04}")), "");
    let test = Test::with(&manifest).secret("S0000", canary()).through(before.iter().copied());
    let mut running = test.spawn(SHOW);
    let started = Instant::now();
    let mut process = running.child.id();
    // PID 1 has no default actions: what comes before its first instructions, the kernel drops.
    let blocked = if depth == 0 { "" } else { "SigBlk:\tffff" };
    let is_ready = |status: &str| status.starts_with("Name:\tcryokey\n") && status.contains(blocked);
    let status = |process: u32| fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    loop {
        assert!(started.elapsed() < Duration::from_secs(10) && running.child.try_wait().unwrap().is_none());
        let children =
            (0..depth).try_fold(running.child.id(), |parent, _| proc::children(parent).first().copied());
        process = children.unwrap_or(process);
        if is_ready(&status(process)) {
            break;
        }
    }
    let process = rustix::process::Pid::from_raw(i32::try_from(process).unwrap()).unwrap();
    rustix::process::kill_process(process, rustix::process::Signal::TERM).unwrap();
    let signalled = Instant::now();
    let outcome = test.finish(running, false);
    assert!(signalled.elapsed() < Duration::from_millis(500), "{:?}", signalled.elapsed());
    outcome
}

#[test]
fn stopped_before_the_app_is_started_it_exits_at_once() {
    let outcome = after_signal(&[], 0);
    assert_eq!(outcome.code, 143, "{}", outcome.stderr);
    outcome.nothing_happened();
}

#[test]
fn stopped_before_the_app_is_started_it_exits_at_once_even_as_pid_1() {
    if !require(Need::PidNamespace) {
        return;
    }
    let outcome = after_signal(&["unshare", "--pid", "--fork", "--mount-proc"], 1);
    assert_eq!(outcome.code, 143, "{}", outcome.stderr);
    outcome.nothing_happened();
}

#[test]
fn a_stop_signal_that_was_ignored_or_blocked_stays_the_apps_affair() {
    if !require(Need::Strace) || !require(Need::Python) {
        return;
    }
    for state in [
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)",
        "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])",
    ] {
        let script = format!("import os, signal, sys; {state}; os.execv(sys.argv[1], sys.argv[1:])");
        let inject = "inject=linkat:signal=SIGTERM";
        let words = ["strace", "-f", "-o", "/dev/null", "-e", "trace=linkat", "-e", inject];
        let words = words.into_iter().chain(["/usr/bin/python3", "-c", &script]);
        Test::with(FILE).secret("TOKEN", canary()).in_run_dir().through(words).start().app();
    }
}

#[test]
fn g19_the_app_in_place_of_pid_1_or_below_it_has_no_handler_of_cryokey() {
    if !require(Need::PidNamespace) {
        return;
    }
    let test = Test::profile().through(["unshare", "--pid", "--fork", "--mount-proc"]);
    same_with_and_without(&test, &STATUS);
    let [becomes, stays] = test.run_in_both_modes(&["/bin/sh", "-c", "echo $$; ls /proc/1/task"]);
    assert_eq!(becomes.text(), "1\n1\n");
    assert_ne!(stays.text(), "1\n1\n");
}
