//! `cryokey run`, from the configuration to the start of the app.

use std::ffi::OsString;
use std::time::SystemTime;

use init::{Courier, Launch, Policy, StopSignals};

use super::not_started::{not_started, stopped};
use super::{dev, pipeline};
use crate::config::Flags;
use crate::delivery::{Delivered, Delivery, Owner};
use crate::environ::Environ;
use crate::error::{Failure, Phase, Problem, Reason};
use crate::escape::escaped_path;
use crate::logger::Logger;
use crate::provider::session::Ending;
use crate::provider::vault::identity::SingleUse;
use crate::rules::rotation::Ages;

/// Loads, checks and delivers secrets, then becomes the app or hands it over to init. Returns only in the latter case, or
/// on failure.
pub(super) fn run(
    flags: Flags,
    command: &[OsString],
    environ: &Environ,
    owner: Owner<'_>,
    log: &Logger,
) -> Result<(), Failure> {
    let is_development = flags.dev;
    let config = pipeline::configure(flags, environ, log)?;
    warn_about_root(log);
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
    let delivery = Delivery::new(&resolution, &config, environ);
    pipeline::judge(&resolution, &delivery, &config, ages, log)?;

    // From here on, every failure drops `delivered`, which removes what was created; execve drops nothing.
    let signals = StopSignals::hold();
    let ending = Ending::begin(sessions);
    let delivered = delivery.deliver(owner).map_err(cannot_deliver)?;
    let launch = delivery.launch(command, &delivered).map_err(cannot_deliver)?;
    log_delivery(&delivered, log);
    for error in ending.wait(|| signals.pending().is_some()) {
        log.warn(format_args!("{error}; fix: {}", error.fix()));
    }
    match owner {
        Owner::ThisProcess => Err(become_app(&launch, &signals)),
        Owner::Init(courier) => {
            let policy = Policy { grace: config.grace, linger: config.linger };
            hand_over(courier, &launch, policy, delivered, &signals)
        }
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
    launch: &Launch,
    policy: Policy,
    delivered: Delivered,
    signals: &StopSignals,
) -> Result<(), Failure> {
    if let Some(signal) = signals.pending() {
        return Err(stopped(signal));
    }
    courier.hand_over(launch, policy, &delivered.memory_files).map_err(|errno| {
        let what = format!("the app cannot be handed over to init: {errno}");
        Failure::one(Phase::Deliver, Problem::new(Reason::Resource, "init", what, "raise the memory limit"))
    })?;
    delivered.keep();
    Ok(())
}

fn cannot_deliver(problem: Problem) -> Failure {
    Failure::one(Phase::Deliver, problem)
}

fn warn_about_root(log: &Logger) {
    if rustix::process::geteuid().is_root() {
        log.warn("the app will run as root; fix: set `USER` in the image, or `user:` in the Compose file");
    }
}

fn log_delivery(delivered: &Delivered, log: &Logger) {
    delivered.warnings.iter().for_each(|problem| log.tolerated(problem));
    delivered.notes.iter().for_each(|note| log.info(note));
    for (name, path) in &delivered.file_variables {
        log.info(format_args!("{name}={}", escaped_path(path)));
    }
}
