//! The project's own commands: `cargo xtask test`, `verify`, `bench`, `dist`, `faults` and `pictures`.
//!
//! CI, contributors and the documents use the same commands, written in Rust. Nothing in this crate is part of the
//! product.

#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a developer's tool talks to a developer")]

mod bench;
mod dist;
mod faults;
mod guard;
mod harness;
mod mutants;
mod pictures;
mod project;
mod report;
mod run;
mod test;
mod verify;

use std::process::ExitCode;

use crate::run::Result;

const USAGE: &str = "\
usage: cargo xtask COMMAND

  test [--quick]            every check that CI makes; --quick: those for before a commit, without release builds,
                            dependency checks, fuzz corpora, arm64 and containers
  verify [--minutes N]      the long checks: fuzzing (N minutes a target, default 10), kill -9 sweep, swaps, Miri,
                            mutants; writes docs/verification/DATE-COMMIT.log
  bench [--peers | --peers-dir DIR]
                            the figures; writes bench/RESULTS.md. --peers measures other tools too,
                            found on PATH or in DIR
  dist                      the static binaries: target/dist/cryokey (x86_64) and target/dist/cryokey-aarch64
  faults [--check]          the fault table and the test of each case; --check fails when one is owed
  pictures                  docs/providers/pictures/*.svg, drawn from the lists beside them
";

/// The same code as the product's for a mistake in the command line.
const USAGE_ERROR: u8 = 64;

fn main() -> ExitCode {
    let typed = std::env::args().skip(1).collect::<Vec<_>>();
    let words = typed.iter().map(String::as_str).collect::<Vec<_>>();
    match run(&words) {
        Some(Ok(())) => ExitCode::SUCCESS,
        Some(Err(problem)) => {
            eprintln!("error: {problem}");
            ExitCode::FAILURE
        }
        None => {
            eprint!("error: unknown command line `{}`\n\n{USAGE}", words.join(" "));
            ExitCode::from(USAGE_ERROR)
        }
    }
}

/// Nothing, when the words are no command.
fn run(words: &[&str]) -> Option<Result> {
    Some(match words {
        ["help" | "--help" | "-h"] => {
            print!("{USAGE}");
            Ok(())
        }
        ["bench"] => bench::bench(None),
        ["bench", "--peers"] => bench::bench(Some("")),
        ["bench", "--peers-dir", directory] => bench::bench(Some(directory)),
        ["dist"] => dist::dist().map(drop),
        ["faults"] => faults::faults(false),
        ["faults", "--check"] => faults::faults(true),
        ["pictures"] => pictures::pictures(),
        ["test"] => test::test(false),
        ["test", "--quick"] => test::test(true),
        ["verify"] => verify::verify(10),
        // To libFuzzer, no time at all means for ever.
        ["verify", "--minutes", minutes] => verify::verify(minutes.parse().ok().filter(|some| *some > 0)?),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_understood_is_no_command() {
        for line in ["", "deploy", "test --fast", "dist x", "verify --minutes x", "verify --minutes 0"] {
            assert!(run(&line.split_whitespace().collect::<Vec<_>>()).is_none(), "{line}");
        }
    }
}
