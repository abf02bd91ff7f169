//! What `run`, `check` and `explain` have in common: from the configuration to a verdict.

use std::time::SystemTime;

use crate::config::{Config, Notice};
use crate::delivery::environment;
use crate::environ::Environ;
use crate::logger::Logger;
use crate::plan::Plan;
use crate::provider::{Deadline, Provider, Settings, Source, files};
use crate::resolve::{Resolution, resolve};
use crate::rules::{self, Verdict};

/// Tells what was noticed about the settings, and about ourselves.
pub(super) fn announce(config: &Config, log: &Logger) {
    for notice in &config.notices {
        match notice {
            Notice::Info(text) => log.info(text),
            Notice::Warning(text) => log.warn(text),
        }
    }
}

/// Reads everything that the plan asks for.
pub(super) fn read<'a>(plan: &'a Plan, config: &Config, environ: &Environ) -> Resolution<'a> {
    let deadline = Deadline::after(config.start_timeout);
    resolve(plan, &providers(config, environ), deadline)
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
