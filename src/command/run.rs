//! `cryokey run`: the whole story.

use std::convert::Infallible;
use std::ffi::OsString;
use std::time::SystemTime;

use init::{ExecError, Launch, StopSignals};

use super::{development, preparation};
use crate::config::Flags;
use crate::delivery::{self, Placed};
use crate::environ::Environ;
use crate::error::{Exit, Failure, Phase, Problem};
use crate::escape::escaped;
use crate::logger::Logger;
use crate::plan::{Plan, Purpose};
use crate::resolve::Resolution;
use crate::rules::rotation::Ages;

/// Loads, checks, delivers, and becomes the app. Returns only when that is not possible.
pub(super) fn run(
    flags: Flags,
    command: &[OsString],
    environ: &Environ,
    log: &Logger,
) -> Result<Infallible, Failure> {
    let is_development = flags.dev;
    let config = preparation::configure(flags, environ, log)?;
    warn_about_root(log);
    let plan = Plan::new(&config);
    if is_development {
        development::prepare(&plan, &config, environ, log)?;
    }
    let resolution = preparation::read(&plan, &config, environ, log);
    let verdict = preparation::judge(&resolution, &config, environ);
    verdict.tolerated.iter().for_each(|problem| log.tolerated(problem));
    if !verdict.problems.is_empty() {
        return Err(preparation::refuse(verdict.problems, &config, log));
    }
    tell_sources(&resolution, log);

    let signals = StopSignals::hold();
    let mut placed = delivery::place(&resolution, &config, environ).map_err(failed)?;
    let launch = delivery::environment::launch(command, &resolution, &config, environ, &mut placed);
    let launch = launch.map_err(|problem| give_up(&placed, failed(vec![problem])))?;
    tell_delivery(&placed, log);
    if let Some(signal) = signals.pending() {
        return Err(give_up(&placed, stopped(signal)));
    }
    signals.release();
    Err(become_the_app(&launch, &placed))
}

fn become_the_app(launch: &Launch, placed: &Placed) -> Failure {
    let error = init::exec(launch);
    give_up(placed, not_started(launch, &error))
}

fn give_up(placed: &Placed, failure: Failure) -> Failure {
    placed.undo();
    failure
}

fn failed(problems: Vec<Problem>) -> Failure {
    Failure { phase: Phase::Deliver, problems }
}

fn warn_about_root(log: &Logger) {
    if rustix::process::geteuid().is_root() {
        log.warn("the app will run as root; to do: set `USER` in the image, or `user:` where it is started");
    }
}

/// One line a secret: name, place, age.
fn tell_sources(resolution: &Resolution<'_>, log: &Logger) {
    let ages = Ages::new(resolution, SystemTime::now());
    for resolved in resolution.secrets.iter().filter(|resolved| resolved.entry.purpose == Purpose::Secret) {
        let Some(value) = resolved.outcome.value() else { continue };
        let name = &resolved.entry.name;
        if value.is_empty(resolved.entry) && !resolved.entry.rule.allow_empty {
            log.info(format_args!("{name}: empty in {}, so it is not set", value.candidate.source.text()));
            continue;
        }
        let age = ages.in_days(resolved).map(|days| format!(", {days} days old"));
        let place = format!("{} {}", value.candidate.source.text(), value.candidate.key);
        log.info(format_args!("{name}: from {place}{}", age.unwrap_or_default()));
    }
}

fn tell_delivery(placed: &Placed, log: &Logger) {
    placed.warnings.iter().for_each(|problem| log.tolerated(problem));
    placed.notes.iter().for_each(|note| log.info(note));
    for (name, path) in &placed.file_variables {
        log.info(format_args!("{name}={}", escaped(path.as_os_str().as_encoded_bytes())));
    }
}

fn stopped(signal: u8) -> Failure {
    let what = format!("told to stop by signal {signal} before the app ran");
    let problem =
        Problem::new(Exit::Stopped(signal), "stopped", "-", what, "nothing; start it again when wanted");
    Failure::one(Phase::Deliver, problem)
}

fn not_started(launch: &Launch, error: &ExecError) -> Failure {
    let (why, fix) = exec_message::of(&error.reason);
    let program = escaped(launch.program().as_encoded_bytes());
    let path = escaped(error.path.as_os_str().as_encoded_bytes());
    let exit = if error.exit_code() == 127 { Exit::NotFound } else { Exit::CannotExecute };
    let found = if path == program { String::new() } else { format!(" ({path})") };
    let what = format!("the app `{program}`{found} cannot be started: {why}");
    Failure::one(Phase::Exec, Problem::new(exit, "exec", program, what, fix))
}

/// Words for the reasons that a program does not start.
mod exec_message {
    use init::Reason;

    use crate::escape::escaped;

    pub(super) fn of(reason: &Reason) -> (String, &'static str) {
        match reason {
            Reason::Directory => ("it is a directory".into(), "name the program in it"),
            Reason::Denied => ("permission denied".into(), "make it executable for our user: `chmod a+rx`"),
            Reason::Format => (
                "it is no program for this machine, and no script with `#!` in its first line".into(),
                "build it for this architecture, or begin the script with `#!/bin/sh`",
            ),
            Reason::Loop => ("its links lead in a circle".into(), "correct the links"),
            Reason::MissingInterpreter(Some(interpreter)) => (
                format!("its interpreter `{}` does not exist", escaped(interpreter.as_encoded_bytes())),
                "install the interpreter; a `\\u{d}` at its end means that the script has Windows line ends",
            ),
            Reason::MissingInterpreter(None) => (
                "the loader that it was linked for does not exist".into(),
                "link it statically, or use a base image with that C library",
            ),
            Reason::NoExecMount => {
                ("its file system is mounted noexec".into(), "put it on another file system")
            }
            Reason::NotADirectory => ("a part of its path is a file".into(), "correct the path"),
            Reason::NotFound => ("it does not exist".into(), "correct the name, or PATH, or install it"),
            Reason::TooBig => (
                "arguments and environment are larger than the kernel takes".into(),
                "deliver the largest secrets as files: `deliver = \"file\"`",
            ),
            Reason::Other(kind, errno) => {
                (format!("{kind} (error {errno})"), "look at what it is and where it is")
            }
        }
    }
}
