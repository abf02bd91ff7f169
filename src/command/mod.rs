//! The commands, one file each.

mod check;
mod dev;
mod explain;
mod export;
pub mod init;
mod install;
mod not_started;
mod open;
mod pipeline;
mod run;
mod supervise;

use std::process::ExitCode;
use std::time::Duration;

use crate::cli::{self, Command, Mode};
use crate::delivery::Starter;
use crate::environ::Environ;
use crate::error::{Failure, Phase, Problem, Reason};
use crate::logger::Logger;
use crate::system::output;

/// How long to wait for who reads standard output, where no startup timeout is configured.
const PATIENCE: Duration = Duration::from_secs(30);

/// Runs a command. The exit code is that of the app, if one was supervised.
pub fn run(command: Command, environ: &Environ, log: &Logger) -> Result<ExitCode, Failure> {
    match command {
        Command::Run(flags, mode, app) if supervises(mode) => supervise::run(flags, &app, environ, log),
        other => {
            ::init::obey_signals();
            alone(other, environ, log).map(|()| ExitCode::SUCCESS)
        }
    }
}

fn supervises(mode: Option<Mode>) -> bool {
    mode.map_or_else(::init::is_pid_1, |mode| mode == Mode::Supervise)
}

/// In this process, without a child that stays.
fn alone(command: Command, environ: &Environ, log: &Logger) -> Result<(), Failure> {
    match command {
        Command::Run(flags, _, app) => run::run(flags, &app, environ, Starter::ThisProcess, log),
        Command::Check(flags, format) => check::run(flags, format, environ, log),
        Command::Explain(flags, format, names) => explain::run(flags, format, &names, environ, log),
        Command::Export(flags, path) => export::run(flags, &path, environ, log),
        Command::Init(options) => init::run(&options, log),
        Command::Install(directory) => install::run(&directory, log),
        Command::Help => print(cli::HELP, PATIENCE),
        Command::Version => print(concat!("cryokey ", env!("CARGO_PKG_VERSION"), "\n"), PATIENCE),
    }
}

/// Writes to stdout; only `export` does that too. Gives up when nothing could be written for this long.
fn print(text: &str, patience: Duration) -> Result<(), Failure> {
    output::write_all(rustix::stdio::stdout(), text.as_bytes(), patience).map_err(|error| {
        let what = format!("cannot write to standard output: {error}");
        Failure::one(
            Phase::Usage,
            Problem::new(Reason::Io, "stdout", what, "check where standard output is redirected to"),
        )
    })
}
