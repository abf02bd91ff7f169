//! A stand-in for a real app: prints one line of JSON about what it sees, then ends as requested.
//!
//! Its report holds no value. The tests compare lengths and fingerprints, so that logs can be searched for values even
//! where the probe wrote into the same log. Only `--print` shows what it reads.

mod acts;
mod seen;

use std::ffi::{OsStr, OsString};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};
use std::time::Duration;

use serde_json::json;

const USAGE: &str = "\
probe [OPTION...] [-- ARGUMENT...]     arguments behind -- are only reported
  --file PATH     report this file; @NAME is the path in a variable
  --directory PATH   report this directory and what is in it
  --exit CODE     end with this code
  --on-term CODE  stay until TERM comes, then end with this code; print the names of HUP, USR1 and USR2
  --ignore-term   stay, whatever TERM says
  --orphans NUMBER   leave so many processes behind that end at once
  --daemons NUMBER   leave so many processes behind that stay until TERM, and print `daemon TERM` then
  --eat           use up the memory
probe --without NAME PROGRAM [ARGUMENT...]
                  become PROGRAM without the variable NAME
probe --print PATH
                  print the file as it is; /proc/PID/mem: its memory that can be written to";

/// What was asked for.
#[derive(Default)]
struct Request {
    files: Vec<OsString>,
    directories: Vec<OsString>,
    exit: u8,
    on_term: Option<i32>,
    ignores_term: bool,
    orphans: u32,
    daemons: u32,
    eats: bool,
}

impl Request {
    fn stays(&self) -> bool {
        self.on_term.is_some() || self.ignores_term
    }
}

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    match arguments.next().as_deref().and_then(OsStr::to_str) {
        Some("--without") => without(arguments),
        Some("--print") => arguments.next().map_or_else(wrong_usage, |path| acts::print(path.as_ref())),
        _ => parse(std::env::args_os().skip(1)).map_or_else(wrong_usage, |request| report(&request)),
    }
}

fn parse(mut arguments: impl Iterator<Item = OsString>) -> Option<Request> {
    let mut request = Request::default();
    while let Some(option) = arguments.next() {
        match option.to_str()? {
            "--" => break,
            "--file" => request.files.push(arguments.next()?),
            "--directory" => request.directories.push(arguments.next()?),
            "--exit" => request.exit = number(arguments.next())?,
            "--on-term" => request.on_term = Some(number(arguments.next())?),
            "--ignore-term" => request.ignores_term = true,
            "--orphans" => request.orphans = number(arguments.next())?,
            "--daemons" => request.daemons = number(arguments.next())?,
            "--eat" => request.eats = true,
            _ => return None,
        }
    }
    Some(request)
}

fn number<Number: std::str::FromStr>(argument: Option<OsString>) -> Option<Number> {
    argument?.to_str()?.parse().ok()
}

fn report(request: &Request) -> ExitCode {
    // First of all, so that signals are obeyed as soon as the report can be read.
    acts::leave_orphans(request.orphans);
    acts::leave_daemons(request.daemons);
    if let Some(code) = request.on_term {
        acts::obey_signals(code);
    }
    if request.ignores_term {
        acts::ignore_term();
    }
    let report = json!({
        "arguments": seen::arguments(),
        "descriptors": seen::descriptors(),
        "environment": seen::environment(),
        "files": seen::files(&request.files),
        "directories": seen::directories(&request.directories),
        "process": seen::process(),
    });
    println!("{report}");
    if request.eats {
        acts::eat();
    }
    while request.stays() {
        std::thread::sleep(Duration::from_secs(1));
    }
    ExitCode::from(request.exit)
}

/// The engine always sets HOME; this is the way to start cryokey without it.
fn without(mut arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let (Some(name), Some(program)) = (arguments.next(), arguments.next()) else {
        return wrong_usage();
    };
    let error = Command::new(&program).args(arguments).env_remove(name).exec();
    eprintln!("{}: {error}", program.display());
    ExitCode::from(127)
}

fn wrong_usage() -> ExitCode {
    eprintln!("{USAGE}");
    ExitCode::from(64)
}
