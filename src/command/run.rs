//! `cryokey run`, from the configuration to execve.

use std::convert::Infallible;
use std::ffi::OsString;
use std::time::SystemTime;

use init::{ExecError, Launch, StopSignals};

use super::{dev, pipeline};
use crate::cli::COMMANDS;
use crate::config::Flags;
use crate::delivery::{Delivered, Delivery};
use crate::environ::Environ;
use crate::error::{Failure, Phase, Problem, Reason};
use crate::escape::{escaped, escaped_path};
use crate::logger::Logger;
use crate::provider::session::Ending;
use crate::provider::vault::identity::SingleUse;
use crate::rules::rotation::Ages;
use crate::run_as::RunAs;

/// Loads, checks and delivers secrets, then becomes the app. Returns only on failure.
pub(super) fn run(
    flags: Flags,
    command: &[OsString],
    environ: &Environ,
    log: &Logger,
) -> Result<Infallible, Failure> {
    let is_development = flags.dev;
    let config = pipeline::configure(flags, environ, log)?;
    let run_as = RunAs::decide(&config)?;
    if run_as.is_root() {
        warn_about_root(log);
    }
    if is_development {
        dev::admit(&config)?;
        dev::make_way(&config, environ, log);
    }
    let mut resolution = pipeline::read(&config, environ, SingleUse::Allowed, log);
    if is_development && dev::complete(&resolution, &config, log)? {
        resolution = pipeline::read(&config, environ, SingleUse::Allowed, log);
    }
    let sessions = std::mem::take(&mut resolution.sessions);
    let ages = Ages::new(&resolution, SystemTime::now());
    let delivery = Delivery::new(&resolution, &config, environ, &run_as);
    pipeline::judge(&resolution, &delivery, &config, ages, log)?;

    // From here on, every return drops `delivered`, which removes what was created; execve drops nothing.
    let signals = StopSignals::hold();
    let ending = Ending::begin(sessions);
    let mut delivered = delivery.deliver_files().map_err(cannot_deliver)?;
    let launch = delivery.launch(command, &delivered).map_err(cannot_deliver)?;
    become_user(&run_as, &delivered).map_err(cannot_deliver)?;
    delivery.deliver_keys(&mut delivered).map_err(cannot_deliver)?;
    log_delivery(&delivered, log);
    for error in ending.wait() {
        log.warn(format_args!("{error}; fix: {}", error.fix()));
    }
    let error = init::exec(&launch, &signals);
    Err(match error.reason {
        init::Reason::Stopped(signal) => stopped(signal),
        _ => not_started(&launch, &error),
    })
}

/// Hands over what the app needs, and becomes its user: from here on, cryokey can do no more than the app. What it was
/// given before stays so, even if the app is not started.
fn become_user(run_as: &RunAs, delivered: &Delivered) -> Result<(), Problem> {
    delivered.give_directory(run_as)?;
    run_as.give_streams();
    run_as.become_user()
}

fn cannot_deliver(problem: Problem) -> Failure {
    Failure::one(Phase::Deliver, problem)
}

fn warn_about_root(log: &Logger) {
    log.warn(
        "the app will run as root; fix: set `USER` in the image, `user:` in the Compose file, or `user` in [process] of \
         the manifest",
    );
}

fn log_delivery(delivered: &Delivered, log: &Logger) {
    delivered.warnings.iter().for_each(|problem| log.tolerated(problem));
    delivered.notes.iter().for_each(|note| log.info(note));
    for (name, path) in &delivered.file_variables {
        log.info(format_args!("{name}={}", escaped_path(path)));
    }
}

fn stopped(signal: u8) -> Failure {
    let what = format!("stopped by signal {signal} before the app was started");
    let problem =
        Problem::new(Reason::Stopped(signal), "-", what, "none needed; start it again if you want it to run");
    Failure::one(Phase::Deliver, problem)
}

fn not_started(launch: &Launch, error: &ExecError) -> Failure {
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
