//! The steps that `run`, `export`, `check` and `explain` have in common.

use std::time::Instant;

use super::open::Opening;
use crate::config::{Config, Flags, Notice, Selection};
use crate::delivery::Delivery;
use crate::environ::Environ;
use crate::error::{Failure, Phase, Problem};
use crate::escape::escaped_path;
use crate::logger::Logger;
use crate::manifest::locate::Origin;
use crate::name::Variant;
use crate::plan::Plan;
use crate::provider::Deadline;
use crate::provider::session::Ending;
use crate::provider::vault::identity::SingleUse;
use crate::resolve::{Resolution, resolve};
use crate::rules;
use crate::rules::rotation::Ages;

/// Loads the configuration, and logs it.
pub(super) fn configure(flags: Flags, environ: &Environ, log: &Logger) -> Result<Config, Failure> {
    let config = Config::load(flags, environ)?;
    announce(&config, log);
    Ok(config)
}

fn announce(config: &Config, log: &Logger) {
    for notice in &config.notices {
        match notice {
            Notice::Info(text) => log.info(text),
            Notice::Warning(text) => log.warn(text),
        }
    }
    let manifest = match &config.origin {
        Origin::BuiltIn => "the built-in profile".to_owned(),
        Origin::File(path) => escaped_path(path),
    };
    let directory = escaped_path(&config.secrets_dir);
    let Selection { environment, color, .. } = &config.selection;
    let or_none = |variant: &Option<Variant>| variant.as_ref().map_or("none".to_owned(), ToString::to_string);
    log.debug(format_args!("manifest: {manifest}; secrets directory: {directory}"));
    log.debug(format_args!("environment: {}; color: {}", or_none(environment), or_none(color)));
}

/// Reads all secrets of the plan. The startup timeout begins before the first source is opened.
pub(super) fn read(config: &Config, environ: &Environ, single_use: SingleUse, log: &Logger) -> Resolution {
    let deadline = Deadline::after(config.start_timeout);
    let start = Instant::now();
    let opening = Opening { config, environ, single_use, deadline };
    let opened = config.all_sources().into_iter().map(|source| (source, opening.open(source)));
    let resolution = resolve(Plan::new(config), opened.collect(), deadline);
    resolution.notes.iter().for_each(|note| log.info(note));
    log.debug(format_args!("{} names looked up in {:?}", resolution.secrets.len(), start.elapsed()));
    resolution
}

/// Checks every rule, and logs the warnings and where each secret comes from.
pub(super) fn judge(
    resolution: &Resolution,
    delivery: &Delivery<'_>,
    config: &Config,
    ages: Ages,
    log: &Logger,
) -> Result<(), Failure> {
    let findings = rules::judge(resolution, delivery, config, ages);
    findings.warnings.iter().for_each(|problem| log.tolerated(problem));
    if !findings.errors.is_empty() {
        return Err(refuse(findings.errors, config, log));
    }
    log_sources(resolution, ages, log);
    Ok(())
}

/// One line per secret: name, source, version, age.
fn log_sources(resolution: &Resolution, ages: Ages, log: &Logger) {
    log.info_all(resolution.secrets.iter().filter_map(|resolved| {
        let (tried, _) = resolved.found()?;
        let name = &resolved.name;
        if resolved.is_emptied() {
            return Some(format!("{name}: empty in {}, so it is not set", tried.label()));
        }
        let version = resolved.version().map(|version| format!(", version {version}")).unwrap_or_default();
        let age = ages.in_days(resolved).map(|days| format!(", {days} days old")).unwrap_or_default();
        Some(format!("{name}: from {}{version}{age}", tried.label()))
    }));
}

/// Waits until the sessions at providers have ended, or until it is told to stop.
pub(super) fn end_sessions(ending: Ending, is_stopped: impl Fn() -> bool, log: &Logger) {
    for error in ending.wait(is_stopped) {
        log.warn(format_args!("{error}; fix: {}", error.fix()));
    }
}

/// The failure for these errors. Without a manifest, their cause is often the built-in profile, so a warning names it.
pub(super) fn refuse(errors: Vec<Problem>, config: &Config, log: &Logger) -> Failure {
    if config.origin == Origin::BuiltIn {
        log.warn(
            "no manifest was found, so the built-in profile applies; fix: `cryokey init` writes a manifest with your \
             app's own secrets",
        );
    }
    Failure { phase: Phase::Resolve, problems: errors }
}
