//! Why the app was not started, and how to fix it.

use init::{ExecError, Launch};

use crate::cli::COMMANDS;
use crate::error::{Failure, Phase, Problem, Reason};
use crate::escape::{escaped, escaped_path};

pub(super) fn stopped(signal: u8) -> Failure {
    let what = format!("stopped by signal {signal} before the app was started");
    let problem =
        Problem::new(Reason::Stopped(signal), "-", what, "none needed; start it again if you want it to run");
    Failure::one(Phase::Deliver, problem)
}

pub(super) fn not_started(launch: &Launch, error: &ExecError) -> Failure {
    let (why, mut fix) = exec_message::of(&error.reason);
    let program = escaped(launch.program().as_encoded_bytes());
    if error.reason == init::Reason::NotFound && COMMANDS.contains(&program.as_str()) {
        fix = format!(
            "`{program}` is a command of cryokey: `docker compose run --entrypoint cryokey SERVICE {program}`"
        );
    }
    let path = escaped_path(&error.path);
    let reason = if error.exit_code() == 127 { Reason::NotFound } else { Reason::CannotExecute };
    let found = if path == program { String::new() } else { format!(" ({path})") };
    let what = format!("the app `{program}`{found} cannot be started: {why}");
    Failure::one(Phase::Exec, Problem::new(reason, program, what, fix))
}

/// Why a program cannot be executed, and how to fix it.
mod exec_message {
    use init::Reason;

    use crate::escape::escaped;

    pub(super) fn of(reason: &Reason) -> (String, String) {
        let (why, fix) = parts(reason);
        (why, fix.into())
    }

    fn parts(reason: &Reason) -> (String, &'static str) {
        match reason {
            Reason::Directory => ("it is a directory".into(), "give the path of the program in it"),
            Reason::Denied => ("permission denied".into(), "make it executable for this user: `chmod a+rx`"),
            Reason::Format => (
                "it is neither a program for this machine nor a script that begins with `#!`".into(),
                "build it for this architecture, or begin the script with `#!/bin/sh`",
            ),
            Reason::DeniedInterpreter(interpreter) => (
                format!("its interpreter `{}` may not be executed", escaped(interpreter.as_encoded_bytes())),
                "correct the `#!` line, or make that program executable for this user",
            ),
            Reason::EndlessInterpreter(interpreter) => (
                format!(
                    "its interpreter `{}` is a script that leads to a script again and again",
                    escaped(interpreter.as_encoded_bytes())
                ),
                "correct the `#!` lines",
            ),
            Reason::Loop => ("its symbolic links form a loop".into(), "correct the links"),
            Reason::MissingInterpreter(Some(interpreter)) => (
                format!("its interpreter `{}` does not exist", escaped(interpreter.as_encoded_bytes())),
                "install the interpreter; a `\\u{d}` at its end means that the script uses CRLF newlines",
            ),
            Reason::MissingInterpreter(None) => (
                "the loader that it is linked against does not exist".into(),
                "link it statically, or use a base image with its C library",
            ),
            Reason::Stopped(signal) => (format!("signal {signal} arrived"), "none needed"),
            Reason::NoExecMount => {
                ("its file system is mounted noexec".into(), "put it on another file system")
            }
            Reason::NotAFile => ("it is not a regular file".into(), "give the path of a program"),
            Reason::NotADirectory => ("a part of its path is not a directory".into(), "correct the path"),
            Reason::NotFound => ("it does not exist".into(), "correct the name, or PATH, or install it"),
            Reason::TooBig => (
                "arguments and environment are larger than the kernel accepts".into(),
                "deliver the largest secrets as files: `deliver = \"file\"`",
            ),
            Reason::Other(kind, errno) => {
                (format!("{kind} (error {errno})"), "check the file and its file system")
            }
        }
    }
}
