//! Measures cryokey against a floor, a shell entrypoint and other tools; prints the tables of `bench/RESULTS.md`.
//!
//! Every comparison consists of pairs: ours, theirs, ours, theirs, …, so that other load on the machine affects both.
//! Standard output is the report, standard error the progress.

mod inits;
mod latency;
mod measure;
mod names;
mod peers;
mod remote;
mod report;
mod scale;
mod secrets;
mod subject;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use lexopt::prelude::Long;

use crate::measure::Pairs;
use crate::report::{Figure, Row};
use crate::secrets::{Directory, Secrets};
use crate::subject::Subject;

/// Twice the size of the figures demanded, so that a median is worth its name.
const PAIRS: usize = 200;

fn main() -> ExitCode {
    match Setup::parse().and_then(|setup| run(&setup)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("error: {problem}");
            ExitCode::FAILURE
        }
    }
}

/// What is measured, as the command line names it.
#[derive(Default)]
struct Setup {
    ours: PathBuf,
    floor: PathBuf,
    trivial: PathBuf,
    shell: PathBuf,
    peers: Vec<(String, PathBuf)>,
    absent: Vec<String>,
}

impl Setup {
    fn parse() -> Result<Self, String> {
        Self::typed(lexopt::Parser::from_env()).map_err(|error| error.to_string())
    }

    fn typed(mut typed: lexopt::Parser) -> Result<Self, lexopt::Error> {
        let mut setup = Self::default();
        while let Some(argument) = typed.next()? {
            let Long(name) = argument else { return Err(argument.unexpected()) };
            let name = name.to_owned();
            let value = typed.value()?;
            match name.as_str() {
                "ours" => setup.ours = value.into(),
                "floor" => setup.floor = value.into(),
                "trivial" => setup.trivial = value.into(),
                "shell" => setup.shell = value.into(),
                "absent" => setup.absent.push(value.to_string_lossy().into_owned()),
                _ => setup.peers.push((name, value.into())),
            }
        }
        Ok(setup)
    }
}

fn run(setup: &Setup) -> Result<(), String> {
    let directory = Directory::create()?;
    let secrets = directory.sixteen()?;
    let ours = subject::ours(&setup.ours, &secrets);
    ours.must_deliver(&secrets)?;

    let mut others = vec![
        (subject::floor(&setup.floor, &secrets), Some(1.15)),
        (subject::shell(&setup.shell, &secrets), None),
    ];
    for (name, program) in &setup.peers {
        others.push((peers::subject(name, program, &directory, &secrets)?, Some(0.25)));
    }
    let mut rows = Vec::new();
    for (other, must_be) in &others {
        other.must_deliver(&secrets)?;
        rows.push(compare(&ours, other, *must_be, &setup.trivial)?);
    }
    report::comparisons("16 secret files, then exec of a trivial program", &rows);
    report::absent(&setup.absent);
    report::figures("Size and memory", &figures(setup, &ours, &others)?);
    supervised(setup, &secrets)?;
    report::scale(&scale::measure(&setup.ours, &setup.trivial, &directory)?);
    remote(setup, &directory)
}

fn supervised(setup: &Setup, secrets: &Secrets) -> Result<(), String> {
    let ours = inits::supervised(&setup.ours, secrets);
    ours.must_deliver(secrets)?;
    let others = inits::installed(secrets);
    let compared = others.iter().map(|(other, must_be)| compare(&ours, other, *must_be, &setup.trivial));
    let rows = compared.collect::<Result<Vec<_>, _>>()?;
    println!();
    report::comparisons("16 secret files, supervised; the others load nothing", &rows);
    report::figures("What stays in memory while the app runs", &inits::memory(&ours, &others)?);
    let tini = others.iter().map(|(other, _)| other).find(|other| other.name == "tini");
    report::figures("Signals and the end", &latency::figures(&ours, tini)?);
    Ok(())
}

fn remote(setup: &Setup, directory: &Directory) -> Result<(), String> {
    let server = remote::serve().map_err(|error| error.to_string())?;
    let measured = remote::cases(server).into_iter().map(|case| {
        eprintln!("{}", case.name);
        let measured = remote::measure(&case, &setup.ours, &setup.trivial, server, &directory.path)?;
        Ok((case, measured))
    });
    report::remote(&measured.collect::<Result<Vec<_>, String>>()?);
    Ok(())
}

fn compare(ours: &Subject, other: &Subject, must_be: Option<f64>, app: &Path) -> Result<Row, String> {
    eprintln!("{PAIRS} pairs: {} and {}", ours.name, other.name);
    let pairs = Pairs::measure(ours, other, app, PAIRS)?;
    Ok(Row { name: other.name.clone(), pairs, must_be })
}

fn figures(setup: &Setup, ours: &Subject, others: &[(Subject, Option<f64>)]) -> Result<Vec<Figure>, String> {
    let size =
        std::fs::metadata(&setup.ours).map_err(|error| format!("{}: {error}", setup.ours.display()))?.len();
    let run = |subject: &Subject| measure::run(subject, &setup.trivial);
    let (our_run, alone) = (run(ours)?, run(&subject::alone())?);
    let mut figures = vec![
        Figure::at_most("static binary, stripped, MB", megabytes(size), 3.8),
        Figure::at_most("peak memory, 16 files, MiB", mib(our_run.memory), 1.2),
        Figure::for_scale("peak memory of the trivial app alone, MiB", mib(alone.memory)),
    ];
    let mut faults = vec![
        Figure::count("page faults, 16 files", our_run.faults),
        Figure::count("page faults of the trivial app alone", alone.faults),
    ];
    for (other, _) in others {
        let run = run(other)?;
        figures.push(Figure::for_scale(&format!("peak memory of {}, MiB", other.name), mib(run.memory)));
        faults.push(Figure::count(&format!("page faults of {}", other.name), run.faults));
    }
    figures.append(&mut faults);
    Ok(figures)
}

#[allow(clippy::cast_precision_loss, reason = "sizes of programs are far below 2^52 bytes")]
fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

#[allow(clippy::cast_precision_loss, reason = "sizes of programs are far below 2^52 bytes")]
fn mib(bytes: u64) -> f64 {
    bytes as f64 / (1024.0 * 1024.0)
}
