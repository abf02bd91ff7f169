//! What was typed after `cargo xtask`, and nothing else.

use std::path::PathBuf;

use lexopt::prelude::{Long, Short, Value, ValueExt};

/// What `cargo xtask` prints when asked, or when it does not understand.
pub(crate) const USAGE: &str = "\
usage: cargo xtask COMMAND

  test [--install]          every check that CI makes; --install first installs what is missing
  verify [--minutes N]      the long checks: fuzzing (N minutes a target, default 10), kill -9 sweep, swaps, mutants;
                            writes docs/verification/DATE-COMMIT.log
  bench [--peers] [--peers-dir DIR]
                            the figures; writes bench/RESULTS.md. --peers measures other tools too,
                            found on PATH or in DIR
  dist                      target/dist/cryokey: the one static, stripped binary
  faults [--check]          the fault table and the test of each case; --check fails when one is owed
";

/// One command with its options.
#[derive(Debug, PartialEq)]
pub(crate) enum Command {
    Bench(Bench),
    Dist,
    Faults { check: bool },
    Help,
    Test { install: bool },
    Verify { minutes: u64 },
}

/// Options of `bench`.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Bench {
    pub(crate) peers: bool,
    pub(crate) peers_dir: Option<PathBuf>,
}

/// Why the command line was not understood.
#[derive(Debug)]
pub(crate) struct Wrong(pub(crate) String);

impl From<lexopt::Error> for Wrong {
    fn from(error: lexopt::Error) -> Self {
        Self(error.to_string())
    }
}

pub(crate) fn parse(mut typed: lexopt::Parser) -> Result<Command, Wrong> {
    let name = match typed.next()? {
        Some(Long("help") | Short('h')) => return Ok(Command::Help),
        Some(Value(name)) => name.string()?,
        Some(other) => return Err(other.unexpected().into()),
        None => return Err(Wrong("no command given".to_owned())),
    };
    match name.as_str() {
        "bench" => bench(typed),
        "dist" => alone(typed, Command::Dist),
        "faults" => flag(typed, "check").map(|check| Command::Faults { check }),
        "help" => alone(typed, Command::Help),
        "test" => flag(typed, "install").map(|install| Command::Test { install }),
        "verify" => verify(typed),
        unknown => Err(Wrong(format!("unknown command `{unknown}`"))),
    }
}

fn alone(mut typed: lexopt::Parser, command: Command) -> Result<Command, Wrong> {
    match typed.next()? {
        None => Ok(command),
        Some(extra) => Err(extra.unexpected().into()),
    }
}

fn flag(mut typed: lexopt::Parser, name: &str) -> Result<bool, Wrong> {
    let mut given = false;
    while let Some(argument) = typed.next()? {
        match argument {
            Long(long) if long == name => given = true,
            other => return Err(other.unexpected().into()),
        }
    }
    Ok(given)
}

fn bench(mut typed: lexopt::Parser) -> Result<Command, Wrong> {
    let mut options = Bench::default();
    while let Some(argument) = typed.next()? {
        match argument {
            Long("peers") => options.peers = true,
            Long("peers-dir") => options.peers_dir = Some(typed.value()?.into()),
            other => return Err(other.unexpected().into()),
        }
    }
    options.peers |= options.peers_dir.is_some();
    Ok(Command::Bench(options))
}

fn verify(mut typed: lexopt::Parser) -> Result<Command, Wrong> {
    let mut minutes = 10;
    while let Some(argument) = typed.next()? {
        match argument {
            Long("minutes") => minutes = typed.value()?.parse()?,
            other => return Err(other.unexpected().into()),
        }
    }
    // To libFuzzer, no time at all means for ever.
    if minutes == 0 {
        Err(Wrong("--minutes must be at least 1".to_owned()))
    } else {
        Ok(Command::Verify { minutes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(words: &[&str]) -> Result<Command, Wrong> {
        parse(lexopt::Parser::from_args(words))
    }

    #[test]
    fn a_peers_folder_means_that_peers_are_measured() {
        let options = Bench { peers: true, peers_dir: Some("there".into()) };
        assert_eq!(typed(&["bench", "--peers-dir", "there"]).unwrap(), Command::Bench(options));
    }

    #[test]
    fn verify_takes_ten_minutes_a_target_unless_told() {
        assert_eq!(typed(&["verify"]).unwrap(), Command::Verify { minutes: 10 });
        assert_eq!(typed(&["verify", "--minutes", "1"]).unwrap(), Command::Verify { minutes: 1 });
    }

    #[test]
    fn what_is_not_understood_is_an_error() {
        for words in [
            &[] as &[&str],
            &["deploy"],
            &["test", "--fast"],
            &["dist", "x"],
            &["verify", "--minutes", "x"],
            &["verify", "--minutes", "0"],
        ] {
            assert!(typed(words).is_err(), "{words:?}");
        }
    }
}
