//! The project's own commands: `cargo xtask test`, `verify`, `bench`, `dist` and `faults`.
//!
//! What CI does, what a contributor types and what the documents name is one and the same thing, written in the
//! language that everybody here reads. Nothing in this crate ends up in the product.

#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a developer's tool talks to a developer")]

mod arguments;
mod bench;
mod deny;
mod dist;
mod e2e;
mod elf;
mod faults;
mod fuzz;
mod guard;
mod harness;
mod line;
mod mutants;
mod optional;
mod project;
mod report;
mod side;
mod test;
mod tools;
mod verify;

use std::process::ExitCode;

use crate::arguments::{Command, Wrong};

/// As in the product: 64 is a mistake in the command line.
const USAGE_ERROR: u8 = 64;

fn main() -> ExitCode {
    match arguments::parse(lexopt::Parser::from_env()) {
        Ok(Command::Help) => {
            print!("{}", arguments::USAGE);
            ExitCode::SUCCESS
        }
        Ok(command) => finish(run(command)),
        Err(Wrong(problem)) => {
            eprint!("error: {problem}\n\n{}", arguments::USAGE);
            ExitCode::from(USAGE_ERROR)
        }
    }
}

fn run(command: Command) -> Result<(), String> {
    match command {
        Command::Bench(options) => bench::bench(&options),
        Command::Dist => dist::dist().map(drop),
        Command::Faults { check } => faults::faults(check),
        Command::Help => Ok(()),
        Command::Test { install } => test::test(install),
        Command::Verify { minutes } => verify::verify(minutes),
    }
}

fn finish(result: Result<(), String>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("error: {problem}");
            ExitCode::FAILURE
        }
    }
}
