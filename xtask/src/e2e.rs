//! Runs the end-to-end tests with the binary that `dist` made.

use std::path::Path;

use crate::harness::Tally;
use crate::line::Line;
use crate::report::{NotRun, Outcome, Report};
use crate::{project, side};

/// Tests that cannot run here write so into `not_run`.
pub(crate) fn e2e(report: &mut Report, not_run: &Path) {
    if !side::is_there("e2e") {
        report.add("e2e", Outcome::NotRun(NotRun::from_text("this tree has no e2e/Cargo.toml")));
        return;
    }
    let mut tally = Tally::default();
    report.step("e2e", || {
        let line = Line::cargo(&["test", "--locked", "--manifest-path"])
            .arg(side::manifest("e2e"))
            .env("CRYOKEY_BINARY", project::root().join("target/dist/cryokey"))
            .env("CRYOKEY_NOT_RUN", not_run);
        let end = line.run_watched(|line| tally.read(line));
        end.map(|()| tally.summary()).map_err(|problem| format!("{problem}; {}", tally.summary()))
    });
}
