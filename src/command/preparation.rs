//! What `run`, `check` and `explain` have in common: from the configuration to a verdict.

use std::time::{Instant, SystemTime};

use crate::config::{Config, Flags, Notice, Selection};
use crate::delivery::environment;
use crate::environ::Environ;
use crate::error::{Failure, Phase, Problem};
use crate::escape::escaped;
use crate::logger::Logger;
use crate::manifest::locate::Origin;
use crate::name::Variant;
use crate::plan::Plan;
use crate::provider::{Deadline, Provider, Settings, Source, files};
use crate::resolve::{Resolution, resolve};
use crate::rules::{self, Verdict};

/// What is in force, with what there is to tell about it.
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
        Origin::BuiltIn => "the built-in profile".into(),
        Origin::File(path) => escaped(path.as_os_str().as_encoded_bytes()),
    };
    let folder = escaped(config.secrets_dir.as_os_str().as_encoded_bytes());
    let Selection { environment, color } = &config.selection;
    let or_none = |variant: &Option<Variant>| variant.as_ref().map_or("none".to_owned(), ToString::to_string);
    log.debug(format_args!("manifest: {manifest}; secrets folder: {folder}"));
    log.debug(format_args!("environment: {}; color: {}", or_none(environment), or_none(color)));
}

/// Reads everything that the plan asks for.
pub(super) fn read<'a>(plan: &'a Plan, config: &Config, environ: &Environ, log: &Logger) -> Resolution<'a> {
    let start = Instant::now();
    let deadline = Deadline::after(config.start_timeout);
    let resolution = resolve(plan, &providers(config, environ), deadline);
    log.debug(format_args!("{} names looked for in {:?}", plan.entries.len(), start.elapsed()));
    resolution
}

/// The end of a start that must not go on.
pub(super) fn refuse(problems: Vec<Problem>, config: &Config, log: &Logger) -> Failure {
    if config.origin == Origin::BuiltIn {
        log.warn(
            "no manifest was found, so the built-in profile says what is needed; to do: `cryokey init` writes a \
             manifest with your app's own secrets",
        );
    }
    Failure { phase: Phase::Resolve, problems }
}

/// Everything that is wrong, by all rules, also with what is to be delivered.
pub(super) fn judge(resolution: &Resolution<'_>, config: &Config, environ: &Environ) -> Verdict {
    let mut verdict = rules::judge(resolution, config, environ, SystemTime::now());
    verdict.problems.extend(environment::check(resolution));
    verdict
}

fn providers<'a>(config: &Config, environ: &'a Environ) -> Vec<(Source, Box<dyn Provider + 'a>)> {
    let files =
        files::Settings { folder: config.secrets_dir.clone(), strict_permissions: config.strict_permissions };
    let all = [Settings::Environment(environ), Settings::FileVariables(environ), Settings::Files(files)];
    all.into_iter().map(Settings::open).collect()
}
