//! The floor: the least that a Rust program can do and still bring 16 secret files into an app's environment.
//!
//! It checks nothing, reports nothing and knows the names beforehand. `floor DIR APP`

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

include!("../names.rs");

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let (Some(directory), Some(app)) = (arguments.next().map(PathBuf::from), arguments.next()) else {
        return ExitCode::from(64);
    };
    let mut command = Command::new(app);
    for name in NAMES {
        let Ok(mut value) = std::fs::read(directory.join(name)) else {
            return ExitCode::from(66);
        };
        value.pop_if(|byte| *byte == b'\n');
        command.env(name, OsString::from_vec(value));
    }
    drop(command.exec());
    ExitCode::from(127)
}
