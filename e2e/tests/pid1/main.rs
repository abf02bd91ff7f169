//! What an init must do as PID 1, case by case, for cryokey and for the inits that it is compared with; see
//! `docs/pid1.md`.

mod cases;
mod container;
mod options;
mod process;
mod subject;
mod suite;
mod table;

use std::process::ExitCode;
use std::thread;

use options::Options;
use subject::Subject;

/// The subject that is tested if none is named.
const DEFAULT: &str = "cryokey";

/// What the harness exits with after a failure.
const FAILED: u8 = 101;

fn main() -> ExitCode {
    // The thread's name is that of the test, where something is missing.
    let work = || Options::parse(std::env::args().skip(1)).and_then(|options| run(&options));
    let result = thread::Builder::new().name("pid1".to_owned()).spawn(work).unwrap().join().unwrap();
    result.unwrap_or_else(|reason| {
        eprintln!("{reason}");
        ExitCode::from(FAILED)
    })
}

fn run(options: &Options) -> Result<ExitCode, String> {
    let cases = || cases::all().into_iter().filter(|case| options.includes(&case.name)).collect::<Vec<_>>();
    if options.is_list {
        for case in cases() {
            println!("{}: test", case.name);
        }
        return Ok(ExitCode::SUCCESS);
    }
    if cases().is_empty() || e2e::need::or_not_run(means()).is_none() {
        return Ok(ExitCode::SUCCESS);
    }
    if options.is_table {
        return table::write(cases, options.threads).map(|()| ExitCode::SUCCESS);
    }
    let Some(subject) = e2e::need::or_not_run(Subject::named(options.subject.as_deref().unwrap_or(DEFAULT)))
    else {
        return Ok(ExitCode::SUCCESS);
    };
    let verdicts = suite::run(&subject, cases(), options.threads);
    let has_failed = subject.is_cryokey() && verdicts.iter().any(|verdict| verdict.outcome.is_err());
    Ok(if has_failed { ExitCode::from(FAILED) } else { ExitCode::SUCCESS })
}

/// What every case needs.
fn means() -> Result<(), &'static str> {
    if !rustix::process::geteuid().is_root() {
        return Err("it needs root; to run it: run the same tests as root");
    }
    if process::python().is_empty() {
        return Err("python3 is not installed; to run it: apt-get install python3");
    }
    Ok(())
}
