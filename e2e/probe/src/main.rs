//! A stand-in for a real app: prints one line of JSON about what it sees, then ends as requested.
//!
//! It never prints a value. The tests compare lengths and fingerprints, so that logs can be searched for values even
//! where the probe wrote into the same log.

mod seen;

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use serde_json::json;

const USAGE: &str = "\
probe [OPTION...] [-- ARGUMENT...]     arguments behind -- are only reported
  --file PATH     report this file; @NAME is the path in a variable
  --directory PATH   report this directory and what is in it
  --exit CODE     end with this code
  --on-term CODE  stay until TERM comes, then end with this code
probe --without NAME PROGRAM [ARGUMENT...]
                  become PROGRAM without the variable NAME";

/// What TERM ends the probe with; the handler can only read what is in place already.
static CODE_ON_TERM: AtomicI32 = AtomicI32::new(0);

/// What was asked for.
#[derive(Default)]
struct Request {
    files: Vec<OsString>,
    directories: Vec<OsString>,
    exit: u8,
    on_term: Option<i32>,
}

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1).peekable();
    if arguments.next_if(|first| first == "--without").is_some() {
        return without(arguments);
    }
    parse(arguments).map_or_else(wrong_usage, |request| report(&request))
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
            _ => return None,
        }
    }
    Some(request)
}

fn number<Number: std::str::FromStr>(argument: Option<OsString>) -> Option<Number> {
    argument?.to_str()?.parse().ok()
}

fn report(request: &Request) -> ExitCode {
    // First of all, so that TERM is obeyed as soon as the report can be read.
    if let Some(code) = request.on_term {
        end_on_term(code);
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
    while request.on_term.is_some() {
        std::thread::sleep(Duration::from_secs(1));
    }
    ExitCode::from(request.exit)
}

fn end_on_term(code: i32) {
    extern "C" fn handler(_: libc::c_int) {
        // SAFETY: _exit(2) is async-signal-safe, and an atomic load takes no lock.
        unsafe { libc::_exit(CODE_ON_TERM.load(Ordering::Relaxed)) }
    }
    CODE_ON_TERM.store(code, Ordering::Relaxed);
    // SAFETY: the handler calls nothing but _exit(2).
    unsafe { libc::signal(libc::SIGTERM, handler as *const () as libc::sighandler_t) };
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
