//! `cryokey run`, from the configuration to the start of the app.

use std::ffi::OsString;
use std::time::{Duration, SystemTime};

use init::{Courier, Handover, Launch, Policy, StopSignals};

use super::not_started::{not_started, stopped};
use super::{dev, pipeline};
use crate::config::Flags;
use crate::delivery::{Delivered, Delivery, Starter};
use crate::environ::Environ;
use crate::error::{Failure, Phase, Problem, Reason};
use crate::escape::escaped_path;
use crate::logger::Logger;
use crate::provider::session::Ending;
use crate::provider::vault::identity::SingleUse;
use crate::rules::rotation::Ages;
use crate::run_as::RunAs;

/// How much longer than the start timeout a step may take. What is beside reading waits for nobody longer than a second; a
/// busy machine gets more.
const PATIENCE: Duration = Duration::from_secs(10);

/// Loads, checks and delivers secrets, then becomes the app or hands it over to init. Returns only in the latter case, or
/// on failure.
pub(super) fn run(
    flags: Flags,
    command: &[OsString],
    environ: &Environ,
    starter: Starter<'_>,
    log: &Logger,
) -> Result<(), Failure> {
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
    limit(starter, config.start_timeout);
    let mut resolution = pipeline::read(&config, environ, SingleUse::Allowed, log);
    if is_development && dev::complete(&resolution, &config, log)? {
        limit(starter, config.start_timeout);
        resolution = pipeline::read(&config, environ, SingleUse::Allowed, log);
    }
    let sessions = std::mem::take(&mut resolution.sessions);
    let ages = Ages::new(&resolution, SystemTime::now());
    let delivery = Delivery::new(&resolution, &config, environ, &run_as);
    pipeline::judge(&resolution, &delivery, &config, ages, log)?;

    // From here on, every failure drops `delivered`, which removes what was created; execve drops nothing.
    limit(starter, config.start_timeout);
    let signals = StopSignals::hold();
    let ending = Ending::begin(sessions);
    let mut delivered = delivery.deliver_files(starter).map_err(cannot_deliver)?;
    let launch = delivery.launch(command, &delivered).map_err(cannot_deliver)?;
    become_user(&run_as, &delivered).map_err(cannot_deliver)?;
    delivery.deliver_keys(&mut delivered).map_err(cannot_deliver)?;
    log_delivery(&delivered, log);
    pipeline::end_sessions(ending, || signals.pending().is_some(), log);
    match starter {
        Starter::ThisProcess => Err(become_app(&launch, &signals)),
        Starter::Init(courier) => {
            let policy = Policy { forward: config.forward, grace: config.grace, linger: config.linger };
            let handover = Handover { launch, policy, user: run_as.change().cloned() };
            hand_over(courier, &handover, delivered, &signals, log)
        }
    }
}

/// Reading ends by itself when its time is over, unless a volume hangs; then init has to end it. Delivering gets as much
/// time again.
fn limit(starter: Starter<'_>, start_timeout: Duration) {
    if let Starter::Init(courier) = starter {
        // An init that has gone limits nothing any more.
        let _ = courier.limit(start_timeout.saturating_add(PATIENCE));
    }
}

fn become_app(launch: &Launch, signals: &StopSignals) -> Failure {
    let error = init::exec(launch, signals);
    match error.reason {
        init::Reason::Stopped(signal) => stopped(signal),
        _ => not_started(launch, &error),
    }
}

fn hand_over(
    courier: &Courier,
    handover: &Handover,
    delivered: Delivered,
    signals: &StopSignals,
    log: &Logger,
) -> Result<(), Failure> {
    if let Some(signal) = signals.pending() {
        return Err(stopped(signal));
    }
    pass_on_dropped(log, courier);
    let waits = delivered.outlives_init();
    courier.hand_over(handover, &delivered.memory_files, waits).map_err(|errno| {
        let what = format!("the app cannot be handed over to init: {errno}");
        Failure::one(Phase::Deliver, Problem::new(Reason::Resource, "init", what, "raise the memory limit"))
    })?;
    if !waits || courier.is_started() {
        delivered.keep();
    }
    Ok(())
}

/// Init says with its next line that lines of this process are missing.
pub(super) fn pass_on_dropped(log: &Logger, courier: &Courier) {
    let lines = log.take_dropped();
    if lines > 0 {
        // An init that has gone logs nothing.
        let _ = courier.dropped(lines);
    }
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
