//! The command line, parsed and not yet interpreted.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use lexopt::{Arg, Parser};

use crate::config::Flags;
use crate::error::{Failure, Phase, Problem, Reason};
use crate::escape::escaped;
use crate::suggest::did_you_mean;
use crate::syntax::{Syntax as _, TimeSpan};

pub const HELP: &str = include_str!("cli/help.txt");

pub const COMMANDS: [&str; 8] = ["run", "check", "explain", "export", "init", "install", "help", "version"];
const OPTIONS: [&str; 16] = [
    "--compose",
    "--dev",
    "--env-example",
    "--exec",
    "--force",
    "--format",
    "--grace",
    "--help",
    "--linger",
    "--manifest",
    "--output",
    "--run-dir",
    "--secrets-dir",
    "--service",
    "--supervise",
    "--version",
];

#[derive(Debug)]
pub enum Command {
    /// The app and its arguments.
    Run(Flags, Option<Mode>, Vec<OsString>),
    Check(Flags, ReportFormat),
    Explain(Flags, ReportFormat, Vec<String>),
    /// The file that gets the variables; `-` is standard output.
    Export(Flags, PathBuf),
    Init(Init),
    /// The directory that gets a copy of cryokey.
    Install(PathBuf),
    Help,
    Version,
}

/// What becomes of cryokey's process once the secrets are delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// It becomes the app.
    Exec,
    /// It stays as the app's parent.
    Supervise,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ReportFormat {
    #[default]
    Table,
    Json,
}

/// The options of `init`.
#[derive(Debug, Default)]
pub struct Init {
    /// `-` is standard output.
    pub output: Option<PathBuf>,
    /// The Compose file, instead of the usual names; `-` for standard input.
    pub compose: Option<PathBuf>,
    /// The service of the Compose file that the manifest is for.
    pub service: Option<String>,
    /// Instead of `.env.example`.
    pub env_example: Option<PathBuf>,
    /// Only the names of its files are read.
    pub secrets_dir: Option<PathBuf>,
    /// Replaces an existing manifest.
    pub force: bool,
}

pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Command, Failure> {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    if asks_for_help(&arguments) {
        return Ok(Command::Help);
    }
    // `cryokey -- CMD` is `cryokey run -- CMD`.
    let is_bare = arguments.first().is_some_and(|first| first == "--");
    let mut parser = Parser::from_args(arguments);
    if is_bare {
        return run(parser);
    }
    match parser.next().map_err(|error| wrong(&error))? {
        None => Err(usage("no command was given")),
        Some(Arg::Long("version") | Arg::Short('V')) => Ok(Command::Version),
        Some(Arg::Value(command)) => subcommand(&command, parser),
        Some(other) => Err(unexpected(&other)),
    }
}

/// Whether `--help` is anywhere on a line that starts no app.
fn asks_for_help(arguments: &[OsString]) -> bool {
    let starts_app = arguments.first().is_some_and(|first| first == "run" || first == "--");
    !starts_app && arguments.iter().any(|argument| argument == "--help" || argument == "-h")
}

fn subcommand(command: &OsString, parser: Parser) -> Result<Command, Failure> {
    match command.to_str() {
        Some("run") => run(parser),
        Some("check") => check(parser),
        Some("explain") => explain(parser),
        Some("export") => export(parser),
        Some("init") => init(parser),
        Some("install") => install(parser),
        Some("help") => Ok(Command::Help),
        Some("version") => Ok(Command::Version),
        _ => {
            let typed = escaped(command.as_encoded_bytes());
            let hint = did_you_mean(&typed, COMMANDS);
            Err(usage(&format!("unknown command `{typed}`{hint}")))
        }
    }
}

fn run(mut parser: Parser) -> Result<Command, Failure> {
    let (mut flags, mut mode) = (Flags::default(), None);
    let mut command = Vec::new();
    loop {
        // What follows `--` belongs to the app, even if it looks like an option of cryokey.
        if let Some(mut rest) = parser.try_raw_args()
            && rest.peek().is_some_and(|argument| argument == "--")
        {
            rest.next();
            command.extend(rest);
            break;
        }
        match parser.next().map_err(|error| wrong(&error))? {
            None => break,
            Some(Arg::Long("exec")) => mode = Some(Mode::Exec),
            Some(Arg::Long("supervise")) => mode = Some(Mode::Supervise),
            Some(Arg::Long("grace")) => flags.settings.grace = Some(time_span("--grace", &mut parser)?),
            Some(Arg::Long("linger")) => flags.settings.linger = Some(time_span("--linger", &mut parser)?),
            Some(Arg::Long("dev")) => flags.dev = true,
            Some(Arg::Long("run-dir")) => flags.settings.run_dir = Some(path(&mut parser)?),
            Some(Arg::Long("help") | Arg::Short('h')) => return Ok(Command::Help),
            Some(Arg::Value(program)) => {
                command.push(program);
                command.extend(parser.raw_args().map_err(|error| wrong(&error))?);
                break;
            }
            Some(Arg::Long(name @ ("manifest" | "secrets-dir"))) => {
                let name = name.to_owned();
                common(&name, &mut parser, &mut flags)?;
            }
            Some(other) => return Err(unexpected(&other)),
        }
    }
    if command.is_empty() {
        return Err(usage("no app was given; write its command line after `--`"));
    }
    Ok(Command::Run(flags, mode, command))
}

fn check(mut parser: Parser) -> Result<Command, Failure> {
    let (flags, format, names) = report(&mut parser)?;
    match names.first() {
        None => Ok(Command::Check(flags, format)),
        Some(name) => Err(usage(&format!("`check` takes no names, but got `{}`", escaped(name)))),
    }
}

fn explain(mut parser: Parser) -> Result<Command, Failure> {
    let (flags, format, names) = report(&mut parser)?;
    if names.is_empty() {
        return Err(usage("`explain` needs the name of a secret"));
    }
    Ok(Command::Explain(flags, format, names))
}

fn report(parser: &mut Parser) -> Result<(Flags, ReportFormat, Vec<String>), Failure> {
    let (mut flags, mut format, mut names) = (Flags::default(), ReportFormat::default(), Vec::new());
    while let Some(argument) = parser.next().map_err(|error| wrong(&error))? {
        match argument {
            Arg::Long("format") => format = report_format(parser)?,
            Arg::Long(name @ ("manifest" | "secrets-dir")) => {
                let name = name.to_owned();
                common(&name, parser, &mut flags)?;
            }
            Arg::Long("run-dir") => flags.settings.run_dir = Some(path(parser)?),
            Arg::Value(name) => names.push(name.to_string_lossy().into_owned()),
            other => return Err(unexpected(&other)),
        }
    }
    Ok((flags, format, names))
}

fn export(mut parser: Parser) -> Result<Command, Failure> {
    let (mut flags, mut has_format, mut output) = (Flags::default(), false, None);
    while let Some(argument) = parser.next().map_err(|error| wrong(&error))? {
        match argument {
            Arg::Long("format") => has_format = env_file_format(&mut parser)?,
            Arg::Long("output") => output = Some(path(&mut parser)?),
            Arg::Long(name @ ("manifest" | "secrets-dir")) => {
                let name = name.to_owned();
                common(&name, &mut parser, &mut flags)?;
            }
            other => return Err(unexpected(&other)),
        }
    }
    if !has_format {
        return Err(usage("`export` needs `--format kube-env`"));
    }
    output.map(|output| Command::Export(flags, output)).ok_or_else(|| usage("`export` needs `--output FILE`"))
}

fn init(mut parser: Parser) -> Result<Command, Failure> {
    let mut init = Init::default();
    while let Some(argument) = parser.next().map_err(|error| wrong(&error))? {
        match argument {
            Arg::Long("output") => init.output = Some(path(&mut parser)?),
            Arg::Long("compose") => init.compose = Some(path(&mut parser)?),
            Arg::Long("service") => init.service = Some(text(&mut parser)?),
            Arg::Long("env-example") => init.env_example = Some(path(&mut parser)?),
            Arg::Long("secrets-dir") => init.secrets_dir = Some(path(&mut parser)?),
            Arg::Long("force") => init.force = true,
            other => return Err(unexpected(&other)),
        }
    }
    Ok(Command::Init(init))
}

fn install(mut parser: Parser) -> Result<Command, Failure> {
    let mut directory = None;
    while let Some(argument) = parser.next().map_err(|error| wrong(&error))? {
        match argument {
            Arg::Value(value) if directory.is_none() => directory = Some(value.into()),
            other => return Err(unexpected(&other)),
        }
    }
    directory.map(Command::Install).ok_or_else(|| usage("`install` needs a directory"))
}

fn common(name: &str, parser: &mut Parser, flags: &mut Flags) -> Result<(), Failure> {
    let value = Some(path(parser)?);
    if name == "manifest" {
        flags.manifest = value;
    } else {
        flags.settings.secrets_dir = value;
    }
    Ok(())
}

fn path(parser: &mut Parser) -> Result<PathBuf, Failure> {
    parser.value().map(PathBuf::from).map_err(|error| wrong(&error))
}

fn time_span(option: &str, parser: &mut Parser) -> Result<Duration, Failure> {
    let typed = text(parser)?;
    TimeSpan::from_text(&typed).ok_or_else(|| {
        usage(&format!("invalid value `{}` for {option}: use {}", escaped(&typed), TimeSpan::usage()))
    })
}

fn text(parser: &mut Parser) -> Result<String, Failure> {
    parser.value().map(|value| value.to_string_lossy().into_owned()).map_err(|error| wrong(&error))
}

fn report_format(parser: &mut Parser) -> Result<ReportFormat, Failure> {
    let value = parser.value().map_err(|error| wrong(&error))?;
    match value.to_str() {
        Some("table") => Ok(ReportFormat::Table),
        Some("json") => Ok(ReportFormat::Json),
        _ => Err(usage(&format!(
            "invalid value `{}` for --format: use table or json",
            escaped(value.as_encoded_bytes())
        ))),
    }
}

/// There is one; it must be named, so that another one can become the default.
fn env_file_format(parser: &mut Parser) -> Result<bool, Failure> {
    let value = parser.value().map_err(|error| wrong(&error))?;
    if value == "kube-env" {
        return Ok(true);
    }
    let typed = escaped(value.as_encoded_bytes());
    Err(usage(&format!("invalid value `{typed}` for --format: use kube-env")))
}

fn unexpected(argument: &Arg<'_>) -> Failure {
    let typed = match argument {
        Arg::Long(name) => format!("--{name}"),
        Arg::Short(name) => format!("-{name}"),
        Arg::Value(value) => String::from_utf8_lossy(value.as_encoded_bytes()).into_owned(),
    };
    if OPTIONS.contains(&typed.as_str()) {
        return usage(&format!("this command has no option `{typed}`"));
    }
    let hint = did_you_mean(&typed, OPTIONS);
    usage(&format!("unexpected argument `{}`{hint}", escaped(&typed)))
}

fn wrong(error: &lexopt::Error) -> Failure {
    usage(&escaped(error.to_string()))
}

fn usage(what: &str) -> Failure {
    let fix = "see `cryokey --help`; to start an app, use `cryokey run -- COMMAND`";
    Failure::one(Phase::Usage, Problem::new(Reason::Usage, "command-line", what, fix))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &[&str]) -> Result<Command, Failure> {
        parse(line.iter().map(OsString::from))
    }

    fn app(line: &[&str]) -> Vec<OsString> {
        match parsed(line) {
            Ok(Command::Run(.., command)) => command,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn k01_everything_after_the_dashes_is_the_app_whatever_it_looks_like() {
        assert_eq!(app(&["run", "--", "app", "--dev"]), ["app", "--dev"]);
        assert_eq!(app(&["--", "app", "--", "x"]), ["app", "--", "x"]);
        assert_eq!(app(&["run", "--exec", "app", "--help"]), ["app", "--help"]);
        assert_eq!(app(&["run", "--", "--version"]), ["--version"]);
    }

    #[test]
    fn k01_every_invalid_line_is_a_usage_error() {
        let lines: [&[&str]; 20] = [
            &[],
            &["--"],
            &["run"],
            &["run", "--"],
            &["runn"],
            &["run", "--dve", "--", "x"],
            &["explain"],
            &["check", "X"],
            &["check", "--format", "xml"],
            &["run", "--manifest"],
            &["run", "-x", "--", "y"],
            &["run", "--grace", "8", "--", "y"],
            &["run", "--linger", "--", "y"],
            &["export"],
            &["export", "--output", "x"],
            &["export", "--format", "kube-env"],
            &["export", "--format", "json", "--output", "x"],
            &["install"],
            &["install", "/a", "/b"],
            &["install", "--force", "/a"],
        ];
        for line in lines {
            let failure = parsed(line).unwrap_err();
            assert_eq!(failure.exit(), Reason::Usage.exit(), "{line:?}");
            assert!(failure.problems[0].to_string().contains("--help"));
        }
    }

    #[test]
    fn the_mode_is_the_one_that_was_named_last() {
        let mode = |line: &[&str]| match parsed(line) {
            Ok(Command::Run(_, mode, _)) => mode,
            other => panic!("{other:?}"),
        };
        assert_eq!(mode(&["run", "--", "--exec"]), None);
        assert_eq!(mode(&["run", "--exec", "--", "x"]), Some(Mode::Exec));
        assert_eq!(mode(&["run", "--exec", "--supervise", "--", "x"]), Some(Mode::Supervise));
    }

    #[test]
    fn a_misspelt_option_is_reported_with_a_suggestion() {
        let failure = parsed(&["run", "--manifset", "x", "--", "y"]).unwrap_err();
        assert!(failure.problems[0].what.contains("did you mean `--manifest`"), "{}", failure.problems[0]);
    }

    #[test]
    fn arguments_that_are_not_utf8_reach_the_app() {
        use std::os::unix::ffi::OsStringExt as _;
        let odd = OsString::from_vec(vec![b'a', 0xff]);
        let line = ["run".into(), "--".into(), "app".into(), odd.clone()];
        assert!(matches!(parse(line), Ok(Command::Run(.., command)) if command[1] == odd));
    }

    #[test]
    fn the_help_names_every_command_and_option() {
        for word in COMMANDS.iter().chain(&OPTIONS).filter(|word| **word != "version") {
            assert!(HELP.contains(word), "{word}");
        }
    }
}
