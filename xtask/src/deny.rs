//! `cargo deny`: licences, duplicate and unwanted crates, sources, known vulnerabilities.

use crate::line::Line;
use crate::report::{NotRun, Outcome, Report};
use crate::tools::CARGO_DENY;

/// Two parts: everything that the repository itself answers, and the advisories, whose database has to be fetched.
pub(crate) fn deny(report: &mut Report) {
    report.step("dependencies", || {
        CARGO_DENY.or_not_run(|| check(&["bans", "licenses", "sources"]).run().into())
    });
    report.step("advisories", || CARGO_DENY.or_not_run(advisories));
}

/// Fetched first and by itself: only so can a network that is not there be told from an advisory.
fn advisories() -> Outcome {
    let check = check(&["advisories"]);
    match Line::cargo(&["deny", "fetch", "db"]).output() {
        Ok(_) => check.run().into(),
        Err(_) => Outcome::NotRun(NotRun::new(
            "the advisory database cannot be fetched from here",
            check.to_string(),
        )),
    }
}

fn check(subjects: &[&str]) -> Line {
    subjects.iter().fold(Line::cargo(&["deny", "--locked", "check"]), |line, subject| line.arg(*subject))
}
