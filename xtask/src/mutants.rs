//! Mutation: does any test notice when the code decides something else? `.cargo/mutants.toml` says which code and
//! which tests.

use std::path::Path;

use xshell::{Shell, cmd};

use crate::project;
use crate::run::{Result, capture, need, run};

/// How many of a hundred mutants have to be noticed. Some change nothing that can be observed.
const MUST_BE: usize = 80;

/// Tries the mutants in random order until `minutes` are over, so that what was tried stands for the rest.
pub(crate) fn mutants(shell: &Shell, minutes: u64) -> Result<String> {
    need("cargo-mutants", "cargo install --locked cargo-mutants")?;
    let target = project::target(shell, ".")?;
    let output = target.join("mutants");
    // The counts of an earlier run must not pass for those of one that did not begin.
    shell.remove_path(&output)?;
    shell.create_dir(&output)?;
    let all = run(cmd!(shell, "cargo mutants --workspace --list"))?.lines().count();
    let limit = format!("{minutes}m");
    // The signal lets it end the mutants at work and write its lists.
    let line = cmd!(
        shell,
        "timeout --signal=INT {limit} cargo mutants --workspace --shuffle --jobs 2 --output {output}"
    );
    // It also ends badly when a single mutant survives, so the counts decide.
    // Each job builds in a copy of its own, but this would make both build in the same directory.
    let (status, printed) = capture(line.env_remove("CARGO_TARGET_DIR"))?;
    let count = |kind: &str| count(shell, &output.join("mutants.out").join(kind));
    let verdict =
        judge(all, count("caught.txt") + count("timeout.txt"), count("missed.txt"), count("unviable.txt"));
    verdict.map_err(|problem| {
        println!("{printed}");
        format!("{problem}; cargo mutants ended with {status}").into()
    })
}

fn count(shell: &Shell, list: &Path) -> usize {
    shell.read_file(list).map_or(0, |list| list.lines().count())
}

/// What the compiler refuses is no mutant that a test could notice.
fn judge(all: usize, noticed: usize, missed: usize, unviable: usize) -> std::result::Result<String, String> {
    let tried = noticed + missed;
    let cut = all.saturating_sub(tried + unviable);
    let text = format!(
        "{noticed} of {tried} mutants noticed, {unviable} did not compile, {cut} of {all} not tried for lack of time; \
         the others: mutants/mutants.out/missed.txt in the target directory"
    );
    if tried > 0 && noticed * 100 >= MUST_BE * tried {
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
        assert!(judge(120, 80, 20, 5).unwrap().contains("15 of 120 not tried"));
        assert!(judge(100, 79, 21, 0).is_err());
        assert!(judge(100, 0, 0, 0).is_err());
    }
}
