//! The commands, one file each.

mod check;
mod dev;
mod explain;
mod export;
pub mod init;
mod install;
mod open;
mod pipeline;
mod run;

use std::convert::Infallible;
use std::time::Duration;

use crate::cli::{self, Command};
use crate::environ::Environ;
use crate::error::{Failure, Phase, Problem, Reason};
use crate::logger::Logger;
use crate::system::output;

/// How long to wait for who reads standard output, where no startup timeout is configured.
const PATIENCE: Duration = Duration::from_secs(30);

/// Runs a command. `run` never returns when it succeeds.
pub fn run(command: Command, environ: &Environ, log: &Logger) -> Result<(), Failure> {
    match command {
        Command::Run(flags, app) => {
            run::run(flags, &app, environ, log).map(|never: Infallible| match never {})
        }
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
