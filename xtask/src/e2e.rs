//! Runs e2e and takes over its own account of what it did.

use std::time::Duration;

use crate::line::Line;
use crate::report::{NotRun, Outcome, Report, Row};
use crate::side;

/// e2e says `ran NAME (1.2 s)`, `not run NAME: reason` or `failed NAME: reason`, one line a scenario; each is a row.
pub(crate) fn e2e(report: &mut Report) {
    if !side::is_there("e2e") {
        report.add("e2e", Outcome::NotRun(NotRun::from_text("this tree has no e2e/Cargo.toml")));
        return;
    }
    let mut scenarios = Vec::new();
    report.step("e2e", || {
        let line = Line::cargo(&["run", "--quiet", "--locked", "--manifest-path"]).arg(side::manifest("e2e"));
        line.run_watched(|line| scenarios.extend(scenario(line)))
    });
    report.extend(scenarios);
}

fn scenario(line: &str) -> Option<Row> {
    if let Some(name) = line.strip_prefix("ran ") {
        let (name, took) = name.split_once(' ').unwrap_or((name, ""));
        return Some(Row { took: duration(took), ..row(name, Outcome::Passed(String::new())) });
    }
    if let Some((name, reason)) = line.strip_prefix("not run ").and_then(|rest| rest.split_once(": ")) {
        return Some(row(name, Outcome::NotRun(NotRun::from_text(reason))));
    }
    let (name, reason) = line.strip_prefix("failed ")?.split_once(": ")?;
    Some(row(name, Outcome::Failed(reason.to_owned())))
}

fn row(name: &str, outcome: Outcome) -> Row {
    Row { name: format!("e2e: {name}"), outcome, took: Duration::ZERO }
}

/// `(1.2 s)`
fn duration(text: &str) -> Duration {
    let seconds = text.strip_prefix('(').and_then(|text| text.strip_suffix(" s)"));
    let seconds = seconds.and_then(|text| text.parse().ok()).unwrap_or_default();
    Duration::try_from_secs_f64(seconds).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_kinds_of_lines_are_understood_and_others_left_alone() {
        let ran = scenario("ran swarm (1.2 s)").unwrap();
        assert_eq!((ran.name.as_str(), ran.took), ("e2e: swarm", Duration::from_millis(1200)));
        assert!(matches!(ran.outcome, Outcome::Passed(_)));

        let failed = scenario("failed swarm: no: answer").unwrap();
        assert!(matches!(failed.outcome, Outcome::Failed(why) if why == "no: answer"));

        let not_run = scenario("not run compose: no engine; to run it: start one").unwrap();
        let Outcome::NotRun(why) = not_run.outcome else { panic!("{}", not_run.name) };
        assert_eq!((why.reason.as_str(), why.line.as_deref()), ("no engine", Some("start one")));

        assert!(scenario("pulling the image").is_none());
    }
}
