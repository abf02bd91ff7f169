//! cryokey: collects an app's secrets, checks them, delivers them, and starts the app.
//!
//! `ARCHITECTURE.md` shows how the modules fit together. They are public for the tests and fuzz targets only; the
//! product is the binary, and this library has no stable interface.

#![forbid(unsafe_code)]
#![cfg_attr(
    test,
    allow(clippy::disallowed_methods, clippy::cast_possible_wrap, reason = "tests create their own files")
)]

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
pub mod report;
pub mod resolve;
pub mod rules;
pub mod run_as;
pub mod secret;
pub mod setting;
pub mod ssh_key;
pub mod suggest;
pub mod syntax;
pub mod system;
pub mod yaml;

#[cfg(test)]
mod schema;

use std::ffi::OsString;
use std::panic::{self, AssertUnwindSafe};
use std::process::ExitCode;
use std::sync::OnceLock;

use environ::Environ;
use error::{Failure, Phase};
use logger::Logger;

/// Runs a command line, given without the program's name. Only this function turns a failure into an exit code.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let environ = Environ::capture();
    let (log, problems) = Logger::new(&environ);
    let outcome = if problems.is_empty() {
        guarded(|| cli::parse(arguments).and_then(|command| command::run(command, &environ, &log)))
    } else {
        Err(Failure { phase: Phase::Configure, problems })
    };
    match outcome {
        Ok(code) => code,
        Err(failure) => {
            log.failure(&failure);
            ExitCode::from(failure.exit().code())
        }
    }
}

/// Turns a panic into a failure that names its place in the source. The panic's text could contain a value, so it is
/// dropped.
fn guarded<T>(work: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    static PLACE: OnceLock<String> = OnceLock::new();
    panic::set_hook(Box::new(|panic| {
        PLACE.get_or_init(|| panic.location().map(ToString::to_string).unwrap_or_default());
    }));
    panic::catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
        let place = PLACE.get().map_or("an unknown place", String::as_str);
        let what = format!("a bug in cryokey {} at {place}", env!("CARGO_PKG_VERSION"));
        Err(Failure::bug(Phase::Resolve, what))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Reason;

    #[test]
    fn a_panic_ends_in_70_with_its_place_and_without_its_text() {
        let failure = guarded(|| -> Result<(), Failure> { panic!("canary") }).unwrap_err();
        drop(panic::take_hook());
        assert_eq!(failure.exit(), Reason::Bug.exit());
        let said = failure.problems[0].to_string();
        assert!(said.contains("src/lib.rs") && !said.contains("canary"), "{said}");
    }
}
