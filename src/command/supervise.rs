//! `cryokey run` as init: what the process that stays says and returns. What it does is in `crates/init`.

use std::ffi::OsString;
use std::io;
use std::process::ExitCode;

use init::{Courier, Ending, Exit, Told};
use rustix::io::Errno;

use super::not_started::{not_started, stopped};
use super::run::{pass_on_dropped, run as prepare};
use crate::config::Flags;
use crate::delivery::{self, Starter};
use crate::environ::Environ;
use crate::error::{Failure, Phase, Problem, Reason};
use crate::logger::Logger;
use crate::run_as::cannot_become;
use crate::system::memory;

const KILL: u8 = 9;

/// The kernel does not say which process it has killed, so this says no more either.
const OUT_OF_MEMORY: &str = "the app was killed by signal 9, and the kernel has killed processes of this container \
                             because it was out of memory; fix: raise its memory limit";

/// Prepares the app in a courier, runs it, and returns its exit code.
pub(super) fn run(
    flags: Flags,
    command: &[OsString],
    environ: &Environ,
    log: &Logger,
) -> Result<ExitCode, Failure> {
    let killed_before = memory::processes_killed();
    let courier = |courier: &Courier| {
        let prepared = prepare(flags, command, environ, Starter::Init(courier), log);
        if let Err(failure) = &prepared {
            log.failure(failure);
            pass_on_dropped(log, courier);
        }
        prepared.map_or_else(|failure| failure.exit().code(), |()| 0)
    };
    let own_log = log.without_patience();
    let mut is_explained = false;
    let ended = init::supervise(courier, &mut |told| {
        is_explained |= told == Told::KilledApp;
        log_told(told, &own_log);
    });
    ended.directory.iter().for_each(delivery::remove);
    match ended.outcome {
        Ending::App(exit) => {
            if exit == Exit::Signal(KILL) && !is_explained && memory::processes_killed() > killed_before {
                own_log.warn(OUT_OF_MEMORY);
            }
            Ok(ExitCode::from(exit.code()))
        }
        Ending::NotPrepared(code) => Ok(ExitCode::from(code)),
        Ending::NotStarted(launch, error) => Err(not_started(&launch, &error)),
        Ending::Stopped(signal) => Err(stopped(signal)),
        Ending::TooLate => Err(too_late()),
        Ending::CourierKilled(signal) => Err(courier_killed(signal)),
        Ending::NoLaunch => Err(no_launch()),
        Ending::NotTheUser(user, error) => Err(Failure::one(Phase::Exec, cannot_become(&user, error))),
        Ending::NoProcess(error) => Err(no_process(&error)),
    }
}

fn log_told(told: Told, log: &Logger) {
    let text = match told {
        Told::DroppedLines(lines) => return log.add_dropped(lines),
        Told::KilledApp => {
            "the app did not end within the grace after TERM, so it was killed; fix: let it end on TERM, or raise \
             CRYOKEY_GRACE"
        }
        Told::CannotKillApp => {
            "the app did not end within the grace after TERM, and cannot be killed, because it has changed its user; fix: \
             let it end on TERM"
        }
        Told::KilledRest => {
            "processes that the app left behind did not end within the linger, so they were killed; fix: let the app \
             wait for them, or raise CRYOKEY_LINGER"
        }
        Told::UnknownRest => {
            "processes that the app left behind did not end within the linger, and cryokey cannot find them without /proc; \
             fix: let the app wait for them, or mount /proc"
        }
    };
    log.warn(text);
}

fn too_late() -> Failure {
    let what = "the process of cryokey that collects the secrets hangs, and CRYOKEY_START_TIMEOUT is over";
    let fix = "see whether the volumes of the secrets directory and of the run directory answer";
    Failure::one(Phase::Resolve, Problem::new(Reason::Timeout, "cryokey", what, fix))
}

fn courier_killed(signal: u8) -> Failure {
    let what = format!("the process of cryokey that collects the secrets was killed by signal {signal}");
    if signal != KILL {
        return Failure::bug(Phase::Resolve, what);
    }
    let fix = "if that was for lack of memory, raise the memory limit of the container";
    Failure::one(Phase::Resolve, Problem::new(Reason::Resource, "cryokey", what, fix))
}

fn no_launch() -> Failure {
    let what = "the process of cryokey that collects the secrets ended without handing over the app";
    Failure::bug(Phase::Deliver, what)
}

fn no_process(error: &io::Error) -> Failure {
    let (why, fix) = match Errno::from_io_error(error) {
        // fork(2).
        Some(Errno::AGAIN) => (
            "the limit of processes is reached".to_owned(),
            "raise that limit (`pids_limit`, `ulimits: nproc`), or use `--exec`, which needs no process",
        ),
        Some(Errno::MFILE | Errno::NFILE) => (
            "the limit of open files is reached".to_owned(),
            "raise that limit (`ulimits: nofile`), or use `--exec`, which needs fewer",
        ),
        _ => (error.kind().to_string(), "raise the memory limit, or use `--exec`, which needs no process"),
    };
    let what = format!("the kernel gives cryokey no process for the app: {why}");
    Failure::one(Phase::Exec, Problem::new(Reason::Resource, "cryokey", what, fix))
}
