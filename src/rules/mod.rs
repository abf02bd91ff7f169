//! The rules that must hold before the app is started. One file each; they check a resolution.

pub mod format;
mod grouping;
mod literal;
mod pem;
pub mod required;
pub mod rotation;
pub mod selection;
mod undeclared;

use crate::config::Config;
use crate::delivery::Delivery;
use crate::error::Problem;
use crate::resolve::Resolution;
use grouping::grouped;
use rotation::Ages;

#[derive(Debug, Default)]
pub struct Findings {
    /// Each stops startup.
    pub errors: Vec<Problem>,
    pub warnings: Vec<Problem>,
}

/// Applies every rule, so that all problems are reported at once.
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
    findings.grouped()
}

impl Findings {
    fn grouped(self) -> Self {
        Self { errors: grouped(self.errors), warnings: grouped(self.warnings) }
    }

    /// Adds an error, or a warning if it does not stop startup.
    pub fn add(&mut self, stops: bool, problem: Problem) {
        if stops { &mut self.errors } else { &mut self.warnings }.push(problem);
    }
}
