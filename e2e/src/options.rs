//! What was typed.

use std::path::PathBuf;

pub(crate) const USAGE: &str = "\
usage: e2e [--binary FILE] [--only NAME]...

  --binary FILE   the static cryokey to test (target/dist/cryokey, as `cargo xtask dist` makes it)
  --only NAME     only this scenario, or those whose names begin so
  --list          print the scenarios
";

/// What this start is for.
pub(crate) enum Request {
    /// Fetch a page and print it: how the tests reach a port in the engine's network namespace.
    Get(String),
    Help,
    List,
    Run(Options),
}

/// What a run does.
#[derive(Default)]
pub(crate) struct Options {
    pub(crate) binary: Option<PathBuf>,
    pub(crate) only: Vec<String>,
}

pub(crate) fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Request, String> {
    let mut options = Options::default();
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or_else(|| format!("{argument} needs a value"));
        match argument.as_str() {
            "--binary" => options.binary = Some(value()?.into()),
            "--only" => options.only.push(value()?),
            "--get" => return Ok(Request::Get(value()?)),
            "--help" | "-h" => return Ok(Request::Help),
            "--list" => return Ok(Request::List),
            other => return Err(format!("unknown argument `{other}`")),
        }
    }
    Ok(Request::Run(options))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Request, String> {
        parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn options_may_be_repeated_and_need_their_values() {
        let Ok(Request::Run(options)) = parsed("--only a --binary b --only c") else {
            unreachable!("a run was asked for");
        };
        assert_eq!((options.only, options.binary), (vec!["a".into(), "c".into()], Some("b".into())));
        assert!(parsed("--only").is_err());
        assert!(parsed("--onyl a").is_err());
    }
}
