//! What the app inherits: with the init between, it sees what it sees without.

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::os::unix::ffi::OsStringExt as _;

use crate::container::{Container, PATIENCE, SECRET, Setup, python, sh, words};
use crate::subject::Subject;
use crate::suite::{Case, Outcome, cases, ensure};

/// What a pipe holds.
const PIPE: usize = 65_536;

pub(super) fn cases() -> Vec<Case> {
    cases!["inherit"; blocked_signals, ignored_signals, ignored_chld, working_directory, arguments, environment, descriptors, limits,
        umask, niceness, closed_stdin, closed_stdout_and_stderr, a_full_stderr_holds_nothing_up,
        a_stderr_without_reader_changes_nothing]
}

type Prepare<'a> = &'a dyn Fn(Setup) -> Setup;

/// What the app prints, or notes.
fn seen(subject: &Subject, prepare: Prepare<'_>, app: &[OsString]) -> Result<Vec<u8>, String> {
    let mut container = prepare(Setup::new(subject)).start(app);
    container.ends_with(0)?;
    Ok([container.bytes("out"), container.bytes("log")].concat())
}

/// The needle is what the case prepared: without it, the case would compare nothing.
fn is_unchanged(subject: &Subject, prepare: Prepare<'_>, app: &[OsString], needle: &[u8]) -> Outcome {
    let bare = seen(&Subject::none(), prepare, app)?;
    let has_needle = bare.windows(needle.len()).any(|part| part == needle);
    ensure(has_needle, || format!("not prepared: {}", bare.escape_ascii()))?;
    let seen = seen(subject, prepare, app)?;
    ensure(seen == bare, || format!("expected {}, not {}", bare.escape_ascii(), seen.escape_ascii()))
}

fn blocked_signals(subject: &Subject) -> Outcome {
    let env = || words(["env", "--block-signal=HUP", "--block-signal=USR1", "--block-signal=TERM"]);
    is_unchanged(subject, &|setup| setup.started_by(env()), &status("SigBlk"), b"0000000000004201")
}

/// `env` may ignore more of them than it is told to.
fn ignored_signals(subject: &Subject) -> Outcome {
    let env = || words(["env", "--ignore-signal=INT", "--ignore-signal=PIPE", "--ignore-signal=TTOU"]);
    is_unchanged(subject, &|setup| setup.started_by(env()), &status("SigIgn"), b"201002\n")
}

/// Where it is ignored, the kernel keeps no exit status for the parent.
fn ignored_chld(subject: &Subject) -> Outcome {
    let env = || words(["env", "--ignore-signal=CHLD"]);
    is_unchanged(subject, &|setup| setup.started_by(env()), &status("SigIgn"), b"10000\n")?;
    Setup::new(subject).started_by(env()).start(&sh("exit 42")).ends_with(42)
}

/// A field of `/proc/self/status`, read by a program that changes none of them.
fn status(field: &str) -> Vec<OsString> {
    words(["/bin/grep", field, "/proc/self/status"])
}

fn working_directory(subject: &Subject) -> Outcome {
    let prepare =
        |setup: Setup| setup.prologue("mkdir /tmp/pid1-cwd.$$; cd /tmp/pid1-cwd.$$; rmdir /tmp/pid1-cwd.$$");
    is_unchanged(subject, &prepare, &words(["/bin/readlink", "/proc/self/cwd"]), b"(deleted)")
}

fn arguments(subject: &Subject) -> Outcome {
    let mut app = sh("cat /proc/$$/cmdline; :");
    app.extend(words(["sh", "", "a b", "--", "-x", "--exec", "line\nline", "$HOME"]));
    app.push(OsString::from_vec(b"\xff\xc3(".to_vec()));
    is_unchanged(subject, &|setup| setup, &app, b"\0\xff\xc3(\0")
}

/// cryokey adds a secret, and keeps its own variables to itself.
fn environment(subject: &Subject) -> Outcome {
    let prepare = |setup: Setup| setup.started_by(python("launch"));
    let entries = |subject| -> Result<Vec<Vec<u8>>, String> {
        let bytes = seen(subject, &prepare, &words(["/bin/cat", "/proc/self/environ"]))?;
        Ok(bytes.split(|byte| *byte == 0).map(<[u8]>::to_vec).collect())
    };
    let is_cryokeys =
        |entry: &Vec<u8>| entry.starts_with(b"CRYOKEY_") || entry.starts_with(SECRET.as_bytes());
    let (mut bare, mut seen) = (entries(&Subject::none())?, entries(subject)?);
    let is_delivered = seen.iter().any(|entry| entry.starts_with(SECRET.as_bytes()));
    ensure(is_delivered == subject.is_cryokey(), || format!("{SECRET} was not delivered"))?;
    bare.retain(|entry| !is_cryokeys(entry));
    seen.retain(|entry| !is_cryokeys(entry));
    let text = |entries: &[Vec<u8>]| entries.join(&b' ').escape_ascii().to_string();
    ensure(bare.contains(&b"TWICE=2".to_vec()), || format!("not prepared: {}", text(&bare)))?;
    ensure(bare == seen, || format!("expected {}, not {}", text(&bare), text(&seen)))
}

fn descriptors(subject: &Subject) -> Outcome {
    // Their names differ from run to run.
    let open = "exec 3</etc/passwd 4>/dev/null 5</dev/zero 6</etc/group 7>/dev/null 8</etc/passwd 9</bin </dev/null \
                >/dev/null 2>/dev/null";
    is_unchanged(subject, &|setup| setup.prologue(open), &python("descriptors"), b"8 /etc/passwd\n9 /")
}

fn limits(subject: &Subject) -> Outcome {
    let set = |setup: Setup| setup.prologue("ulimit -S -c 7; ulimit -n 4321; ulimit -S -s 1234");
    is_unchanged(subject, &set, &words(["/bin/cat", "/proc/self/limits"]), b"4321")
}

fn umask(subject: &Subject) -> Outcome {
    is_unchanged(subject, &|setup| setup.prologue("umask 0137"), &status("Umask"), b"0137")
}

fn niceness(subject: &Subject) -> Outcome {
    let nice = |setup: Setup| setup.started_by(words(["nice", "-n", "5"]));
    is_unchanged(subject, &nice, &words(["/usr/bin/nice"]), b"5")
}

/// Which of the three is closed. A shell opens none by itself.
const CLOSED: &str =
    "for n in 0 1 2; do test -e /proc/self/fd/$n || closed=\"$closed $n\"; done; echo \"is:$closed\" >log";

fn closed_stdin(subject: &Subject) -> Outcome {
    is_unchanged(subject, &|setup| setup.prologue("exec 0<&-"), &sh(CLOSED), b"is: 0\n")
}

fn closed_stdout_and_stderr(subject: &Subject) -> Outcome {
    is_unchanged(subject, &|setup| setup.prologue("exec 1>&- 2>&-"), &sh(CLOSED), b"is: 1 2\n")
}

fn a_full_stderr_holds_nothing_up(subject: &Subject) -> Outcome {
    let (_reader, mut writer) = io::pipe().unwrap();
    writer.write_all(&vec![b'x'; PIPE]).unwrap();
    works(Setup::new(subject).stderr(writer.into()))
}

fn a_stderr_without_reader_changes_nothing(subject: &Subject) -> Outcome {
    let (_, writer) = io::pipe().unwrap();
    works(Setup::new(subject).stderr(writer.into()))
}

/// The app, which itself writes nothing there, starts, gets a signal, and its exit code arrives.
fn works(setup: Setup) -> Outcome {
    let app = sh("trap 'exit 7' USR1; sleep 300 & echo ready >log; wait");
    let mut container: Container = setup.start(&app).when_ready()?;
    container.signal(10)?;
    ensure(container.ends_within(PATIENCE) == Some(7), || "did not end with 7".to_owned())
}
