//! Mutation of the modules that only compute: does any test notice when they compute something else?

use std::fs;

use crate::line::Line;
use crate::project;
use crate::report::Outcome;
use crate::tools::CARGO_MUTANTS;

/// The modules that only compute.
const FILES: [&str; 6] = [
    "src/name.rs",
    "src/plan.rs",
    "src/reference.rs",
    "src/rules/format.rs",
    "src/rules/required.rs",
    "src/rules/rotation.rs",
];

/// The tests that have to notice: the unit tests, and what runs the program for these subjects.
const TESTS: [&str; 8] =
    ["tests::", "modes::", "names::", "precedence::", "rotation::", "selection::", "ssh::", "values::"];

/// How many of a hundred mutants have to be noticed. Some change nothing that can be observed.
const MUST_BE: usize = 80;

pub(crate) fn line() -> Line {
    let line = Line::cargo(&["mutants", "--package", "cryokey", "--output", "target/mutants", "--jobs", "2"]);
    let with_files = FILES.iter().fold(line, |line, file| line.arg("--file").arg(*file));
    let with_tests =
        ["--", "--lib", "--test", "it", "--"].iter().fold(with_files, |line, word| line.arg(*word));
    TESTS.iter().fold(with_tests, |line, filter| line.arg(*filter))
}

pub(crate) fn mutants() -> Outcome {
    CARGO_MUTANTS.or_not_run(mutate)
}

fn mutate() -> Outcome {
    if let Some(gone) = FILES.iter().find(|file| !project::root().join(file).is_file()) {
        return Outcome::Failed(format!("{gone} does not exist; mend the list in xtask/src/mutants.rs"));
    }
    if let Err(problem) = empty_output() {
        return Outcome::Failed(problem);
    }
    // It also ends badly when a single mutant survives, so the counts decide, not how it ended.
    let end = line().run();
    let [noticed, slow, missed] = ["caught", "timeout", "missed"].map(count);
    judge(noticed + slow, missed)
        .map_err(|problem| end.err().map_or(problem.clone(), |end| format!("{problem}; {end}")))
        .into()
}

/// The counts of an earlier run must not pass for those of one that did not begin.
fn empty_output() -> Result<(), String> {
    let folder = project::root().join("target/mutants");
    let told = |error| format!("{}: {error}", folder.display());
    if folder.exists() {
        fs::remove_dir_all(&folder).map_err(told)?;
    }
    fs::create_dir_all(&folder).map_err(told)
}

fn count(kind: &str) -> usize {
    let path = project::root().join("target/mutants/mutants.out").join(format!("{kind}.txt"));
    fs::read_to_string(path).map_or(0, |list| list.lines().count())
}

fn judge(noticed: usize, missed: usize) -> Result<String, String> {
    let all = noticed + missed;
    let text =
        format!("{noticed} of {all} mutants noticed; the others: target/mutants/mutants.out/missed.txt");
    if all > 0 && noticed * 100 >= MUST_BE * all {
        Ok(text)
    } else {
        Err(format!("{text}; {MUST_BE} % are asked for"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_many_survivors_or_no_mutants_at_all_are_a_failure() {
        assert!(judge(80, 20).is_ok());
        assert!(judge(79, 21).is_err());
        assert!(judge(0, 0).is_err());
    }
}
