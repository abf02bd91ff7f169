//! What must hold before the app may start. One question a file, each asked of a resolution.

pub mod format;
pub mod required;
pub mod rotation;
pub mod selection;

use std::time::SystemTime;

use crate::config::Config;
use crate::environ::Environ;
use crate::error::Problem;
use crate::resolve::Resolution;

/// What the rules say about a resolution.
#[derive(Debug, Default)]
pub struct Verdict {
    /// These stop the start.
    pub problems: Vec<Problem>,
    /// These are only told.
    pub tolerated: Vec<Problem>,
}

/// Asks every rule. All that is wrong is reported together.
#[must_use]
pub fn judge(resolution: &Resolution<'_>, config: &Config, environ: &Environ, now: SystemTime) -> Verdict {
    let mut verdict = Verdict::default();
    selection::judge(resolution, config, &mut verdict);
    required::judge(resolution, config, &mut verdict);
    format::judge(resolution, &mut verdict);
    required::judge_variables(resolution, config, environ, &mut verdict);
    rotation::judge(resolution, config, now, &mut verdict);
    verdict
}

impl Verdict {
    /// A problem that stops the start when `stops`, and is told otherwise.
    pub fn add(&mut self, stops: bool, problem: Problem) {
        if stops { &mut self.problems } else { &mut self.tolerated }.push(problem);
    }
}
