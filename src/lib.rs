//! cryokey: collects an app's secrets, checks them, delivers them, and becomes the app.
//!
//! `ARCHITECTURE.md` shows how the modules fit together. They are public for the tests and fuzz targets; the product
//! is the binary, and nothing here is a promise to other programs.

#![forbid(unsafe_code)]
#![cfg_attr(
    test,
    allow(clippy::disallowed_methods, clippy::cast_possible_wrap, reason = "tests make their own files")
)]

pub mod accounts;
pub mod bounded;
pub mod cli;
pub mod command;
pub mod config;
pub mod delivery;
pub mod environ;
pub mod error;
pub mod escape;
pub mod logger;
pub mod manifest;
pub mod name;
pub mod plan;
pub mod profile;
pub mod provider;
pub mod reference;
pub mod report;
pub mod resolve;
pub mod rules;
pub mod secret;
pub mod setting;

#[cfg(test)]
mod schema;

use std::ffi::OsString;
use std::process::ExitCode;

use environ::Environ;
use error::{Failure, Phase};
use logger::Logger;

/// Runs a command line, without the program's own name. The only place that turns values into exit codes.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let environ = Environ::capture();
    let (log, problems) = Logger::new(&environ);
    let outcome = if problems.is_empty() {
        cli::parse(arguments).and_then(|command| command::run(command, &environ, &log))
    } else {
        Err(Failure { phase: Phase::Configure, problems })
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            log.failure(&failure);
            ExitCode::from(failure.exit().code())
        }
    }
}
