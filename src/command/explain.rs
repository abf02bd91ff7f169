//! `cryokey explain`: where a value comes from, and which sources it overrides.

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
use crate::report::explanation::Explanation;
use crate::rules::rotation::Ages;
use crate::suggest::did_you_mean;

/// An undeclared name is an error, but the others are still explained.
pub(super) fn run(
    flags: Flags,
    format: ReportFormat,
    names: &[String],
    environ: &Environ,
    log: &Logger,
) -> Result<(), Failure> {
    let config = pipeline::configure(flags, environ, log)?;
    let resolution = pipeline::read(Plan::new(&config), &config, environ, log);
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
        format!("{} is not declared{hint}", escaped(name)),
        "correct the name, or declare it in the manifest as `[secret.NAME]`",
    )
}
