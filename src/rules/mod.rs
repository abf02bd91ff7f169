//! What must hold before the app may start. One question a file, each asked of a resolution.

pub mod format;
mod literal;
pub mod required;
pub mod rotation;
pub mod selection;
mod undeclared;

use crate::config::Config;
use crate::delivery::Delivery;
use crate::error::Problem;
use crate::resolve::Resolution;
use rotation::Ages;

/// What the rules say about a resolution.
#[derive(Debug, Default)]
pub struct Findings {
    /// These stop startup.
    pub errors: Vec<Problem>,
    /// These are only reported.
    pub warnings: Vec<Problem>,
}

/// Asks every rule. All that is wrong is reported together.
#[must_use]
pub fn judge(resolution: &Resolution, delivery: &Delivery<'_>, config: &Config, ages: Ages) -> Findings {
    let mut findings = Findings { errors: Vec::new(), warnings: resolution.warnings.clone() };
    selection::judge(resolution, config, &mut findings);
    required::judge(resolution, config, &mut findings);
    format::judge(resolution, delivery, &mut findings);
    literal::judge(resolution, delivery, &mut findings);
    required::judge_variables(resolution, delivery, config, &mut findings);
    rotation::judge(resolution, config, ages, &mut findings);
    undeclared::judge(resolution, &mut findings);
    findings.errors.extend(delivery.check_variables());
    findings
}

impl Findings {
    /// A problem that stops startup when `stops`, and is only reported otherwise.
    pub fn add(&mut self, stops: bool, problem: Problem) {
        if stops { &mut self.errors } else { &mut self.warnings }.push(problem);
    }
}
