//! `cryokey check`: everything `run` does short of delivering and starting.

use super::{preparation, print};
use crate::cli::ReportFormat;
use crate::config::Flags;
use crate::delivery;
use crate::environ::Environ;
use crate::error::Failure;
use crate::logger::Logger;
use crate::plan::Plan;
use crate::report::{self, Report};

/// Reports on every declared secret; ends with the code that `run` would end with.
pub(super) fn run(
    flags: Flags,
    format: ReportFormat,
    environ: &Environ,
    log: &Logger,
) -> Result<(), Failure> {
    let config = preparation::configure(flags, environ, log)?;
    let plan = Plan::new(&config);
    let resolution = preparation::read(&plan, &config, environ, log);
    let mut verdict = preparation::judge(&resolution, &config, environ);
    if verdict.problems.is_empty() {
        verdict.problems.extend(delivery::check(&resolution, &config, environ));
    }
    let is_refused = !verdict.problems.is_empty();
    let failure = is_refused.then(|| preparation::refuse(verdict.problems.clone(), &config, log));
    let report = Report::new(&resolution, &verdict, &config, failure.as_ref());
    print(&match format {
        ReportFormat::Table => report.table(report::is_terminal()),
        ReportFormat::Json => report.json(),
    })?;
    failure.map_or(Ok(()), Err)
}
