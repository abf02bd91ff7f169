//! `cryokey explain`: where a name came from, which places lost, and why.

use std::time::SystemTime;

use super::{pipeline, print};
use crate::cli::ReportFormat;
use crate::config::{Config, Flags};
use crate::environ::Environ;
use crate::error::{Failure, Phase, Problem};
use crate::escape::escaped;
use crate::logger::Logger;
use crate::name::EnvName;
use crate::plan::Plan;
use crate::provider::vault::identity::SingleUse;
use crate::report::explanation::Explanation;
use crate::rules::rotation::Ages;
use crate::suggest::did_you_mean;

/// Explains names. One that is not declared is an error, but the others are explained all the same.
pub(super) fn run(
    flags: Flags,
    format: ReportFormat,
    names: &[String],
    environ: &Environ,
    log: &Logger,
) -> Result<(), Failure> {
    let config = pipeline::configure(flags, environ, log)?;
    let resolution = pipeline::read(Plan::new(&config), &config, environ, SingleUse::Kept, log);
    let ages = Ages::new(&resolution, SystemTime::now());
    let mut problems = Vec::new();
    let mut explanations = Vec::new();
    for name in names {
        match resolution.get(name) {
            Some(resolved) => explanations.push(Explanation::new(resolved, ages)),
            None => problems.push(undeclared(name, &config)),
        }
    }
    print(&match format {
        ReportFormat::Table => explanations.iter().map(Explanation::text).collect(),
        ReportFormat::Json => Explanation::json(&explanations),
    })?;
    if problems.is_empty() { Ok(()) } else { Err(Failure { phase: Phase::Resolve, problems }) }
}

fn undeclared(name: &str, config: &Config) -> Problem {
    let hint = did_you_mean(name, config.manifest.secrets.keys().map(EnvName::as_str));
    Problem::configuration(
        escaped(name),
        format!("{} is not declared, so nothing looks for it{hint}", escaped(name)),
        "declare it in the manifest: `[secret.NAME]`",
    )
}
