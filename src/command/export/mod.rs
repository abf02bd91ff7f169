//! `cryokey export`: what `run` does, but the variables go to an env file instead of an app.

mod env_file;
mod output;

use std::path::Path;
use std::time::SystemTime;

use init::StopSignals;

use self::output::Output;
use super::pipeline;
use crate::config::Flags;
use crate::delivery::Delivery;
use crate::environ::Environ;
use crate::error::{Failure, Phase, Problem};
use crate::logger::Logger;
use crate::manifest::Deliver;
use crate::provider::session::Ending;
use crate::provider::vault::identity::SingleUse;
use crate::resolve::{Accepted, Resolution};
use crate::rules::rotation::Ages;
use crate::run_as::RunAs;

/// Loads and checks secrets, and writes those delivered as variables.
pub(super) fn run(flags: Flags, path: &Path, environ: &Environ, log: &Logger) -> Result<(), Failure> {
    let config = pipeline::configure(flags, environ, log)?;
    // Before any secret is read: an output that cannot be used is a mistake in the manifest of the pod.
    let output = Output::open(path, &config, log).map_err(cannot_write)?;
    let mut resolution = pipeline::read(&config, environ, SingleUse::Allowed, log);
    let sessions = std::mem::take(&mut resolution.sessions);
    let ages = Ages::new(&resolution, SystemTime::now());
    let run_as = RunAs::default();
    let delivery = Delivery::new(&resolution, &config, environ, &run_as);
    pipeline::judge(&resolution, &delivery, &config, ages, log)?;
    let variables = variables(&resolution);
    let text = env_file::text(&variables).map_err(|problems| Failure { phase: Phase::Deliver, problems })?;
    if let Some(problem) = left_out(&resolution) {
        log.tolerated(&problem);
    }
    let ending = Ending::begin(sessions);
    write(&output, &text, variables.len(), log)?;
    pipeline::end_sessions(ending, || false, log);
    Ok(())
}

/// A signal that arrives meanwhile has no effect: an older file must be replaced without leaving the new one's copy.
fn write(output: &Output, text: &[u8], count: usize, log: &Logger) -> Result<(), Failure> {
    let _held = output.is_file().then(StopSignals::hold);
    output.write(text).map_err(cannot_write)?;
    log.info(format_args!("{count} variables written to {}", output.shown()));
    Ok(())
}

/// Also those that are plain variables of this container: the app's container does not inherit them.
fn variables(resolution: &Resolution) -> Vec<Accepted<'_>> {
    let is_variable = |secret: &Accepted<'_>| matches!(secret.rule.deliver, Deliver::Env | Deliver::Both);
    let mut variables: Vec<_> = resolution.accepted().filter(is_variable).collect();
    variables.sort_unstable_by_key(|secret| secret.name.as_str());
    variables
}

/// The secrets that an env file cannot deliver.
fn left_out(resolution: &Resolution) -> Option<Problem> {
    let is_left_out = |secret: &Accepted<'_>| matches!(secret.rule.deliver, Deliver::File | Deliver::Ssh);
    let names: Vec<String> =
        resolution.accepted().filter(is_left_out).map(|secret| secret.name.to_string()).collect();
    let what = format!("not written, because they are delivered as files or SSH keys: {}", names.join(", "));
    let fix = "mount them in the app's container, or start the app with `cryokey run`";
    (!names.is_empty()).then(|| Problem { names, ..Problem::configuration("", what, fix) })
}

fn cannot_write(problem: Problem) -> Failure {
    Failure::one(Phase::Deliver, problem)
}
