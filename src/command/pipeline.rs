//! The steps that `run`, `check` and `explain` have in common.

use std::time::Instant;

use crate::config::{Config, Flags, Notice, Selection};
use crate::environ::Environ;
use crate::error::{Failure, Phase, Problem};
use crate::escape::escaped_path;
use crate::logger::Logger;
use crate::manifest::locate::Origin;
use crate::name::Variant;
use crate::plan::Plan;
use crate::provider::environment::Environment;
use crate::provider::file_variables::FileVariables;
use crate::provider::files::{self, Files};
use crate::provider::{Cause, Deadline, Kind, Provider, ProviderError, Source};
use crate::resolve::{Resolution, resolve};

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
    let Selection { environment, color } = &config.selection;
    let or_none = |variant: &Option<Variant>| variant.as_ref().map_or("none".to_owned(), ToString::to_string);
    log.debug(format_args!("manifest: {manifest}; secrets directory: {directory}"));
    log.debug(format_args!("environment: {}; color: {}", or_none(environment), or_none(color)));
}

/// Reads all secrets of the plan. The startup timeout begins before the first source is opened.
pub(super) fn read(plan: Plan, config: &Config, environ: &Environ, log: &Logger) -> Resolution {
    let deadline = Deadline::after(config.start_timeout);
    let start = Instant::now();
    let opened = config.sources().into_iter().map(|source| (source, open(source, config, environ)));
    let resolution = resolve(plan, opened.collect(), deadline);
    log.debug(format_args!("{} names looked up in {:?}", resolution.secrets.len(), start.elapsed()));
    resolution
}

/// Opens a source.
fn open<'a>(
    source: Source,
    config: &Config,
    environ: &'a Environ,
) -> Result<Box<dyn Provider + 'a>, ProviderError> {
    match source {
        Source::Environment => Ok(Box::new(Environment(environ))),
        Source::FileVariables => Ok(Box::new(FileVariables(environ))),
        Source::Files => Ok(Box::new(Files::new(files::Settings {
            directory: config.secrets_dir.clone(),
            name_prefix: config.name_prefix.clone(),
            strict_permissions: config.strict_permissions,
        }))),
        Source::Aws | Source::Vault | Source::Azure | Source::Gcp | Source::Kubernetes => {
            Err(ProviderError::new(source.text(), NotBuilt))
        }
    }
}

/// A provider that is not implemented yet. Ignoring it silently would start the app without its secrets.
#[derive(Debug)]
struct NotBuilt;

impl Cause for NotBuilt {
    fn kind(&self) -> Kind {
        Kind::Misconfigured
    }

    fn what(&self, _place: &str) -> String {
        "cryokey does not support it yet".into()
    }

    fn fix(&self) -> String {
        "unset EXTERNAL_SECRET_PROVIDER and K8S_SECRET_NAME, and mount the secrets as files".into()
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
