//! `cryokey check`: what `run` does, without delivering and starting anything.

use std::time::SystemTime;

use super::{pipeline, print};
use crate::cli::ReportFormat;
use crate::config::Flags;
use crate::delivery::Delivery;
use crate::environ::Environ;
use crate::error::Failure;
use crate::logger::Logger;
use crate::provider::vault::identity::SingleUse;
use crate::report::{self, Report};
use crate::rules;
use crate::rules::rotation::Ages;
use crate::run_as::RunAs;

/// Reports on every declared secret, and exits as `run` would.
pub(super) fn run(
    flags: Flags,
    format: ReportFormat,
    environ: &Environ,
    log: &Logger,
) -> Result<(), Failure> {
    let config = pipeline::configure(flags, environ, log)?;
    let run_as = RunAs::decide(&config)?;
    let resolution = pipeline::read(&config, environ, SingleUse::Kept, log);
    let ages = Ages::new(&resolution, SystemTime::now());
    let delivery = Delivery::new(&resolution, &config, environ, &run_as);
    let mut findings = rules::judge(&resolution, &delivery, &config, ages);
    if findings.errors.is_empty() {
        findings.errors.extend(delivery.obstacles());
    }
    let is_refused = !findings.errors.is_empty();
    let failure = is_refused.then(|| pipeline::refuse(findings.errors.clone(), &config, log));
    let report = Report::new(&resolution, &findings, &delivery, &config, ages, failure.as_ref());
    let text = match format {
        ReportFormat::Table => {
            log.leave_problems_to_report();
            report.table(report::is_terminal())
        }
        ReportFormat::Json => report.json(),
    };
    print(&text, config.start_timeout)?;
    failure.map_or(Ok(()), Err)
}
