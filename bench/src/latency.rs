//! How long an init takes to pass on a signal while 1,000 orphans end, and to end after its app.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Child, Stdio};
use std::thread;
use std::time::Duration;

use crate::measure::percentile;
use crate::report::Figure;
use crate::subject::Subject;

const STORM: &str = include_str!("../storm.py");
const STORMS: usize = 10;
const SIGNALS: usize = 200;

/// Queued one by one, unlike those below 34. A number, because C libraries count from different ones.
const SIGNAL: i32 = 40;
const BETWEEN: Duration = Duration::from_millis(1);

/// Its last instruction is to say when that was.
const LAST_WORDS: &str =
    "import os, time; os.write(1, b'%d' % time.clock_gettime_ns(time.CLOCK_MONOTONIC)); os._exit(0)";
const ENDS: usize = 100;

const MOST_FOR_A_SIGNAL: f64 = 20.0;
const MOST_FOR_THE_END: f64 = 5.0;

/// Only inits to which orphans come although they are not PID 1.
pub(crate) fn figures(ours: &Subject, other: Option<&Subject>) -> Result<Vec<Figure>, String> {
    let mut figures = Vec::new();
    for subject in std::iter::once(ours).chain(other) {
        let figure = |what: &str, milliseconds, most| {
            let name = format!("{what}, {}, ms", subject.name);
            Figure::of(&name, milliseconds, subject.name == ours.name, most)
        };
        let storms = (0..STORMS).map(|_| signals(subject)).collect::<Result<Vec<_>, _>>()?;
        let signal = percentile(&mut storms.concat(), 99);
        let end = percentile(&mut ends(subject)?, 50);
        figures.push(figure("a signal while 1,000 orphans end, 99th percentile", signal, MOST_FOR_A_SIGNAL));
        figures.push(figure(
            "from the app's last instruction to the init's end, median",
            end,
            MOST_FOR_THE_END,
        ));
    }
    Ok(figures)
}

fn signals(subject: &Subject) -> Result<Vec<f64>, String> {
    let (mut init, mut output) = start(subject, STORM, &[SIGNAL.to_string(), SIGNALS.to_string()])?;
    let mut line = String::new();
    output.read_line(&mut line).map_err(|error| error.to_string())?;
    if line != "ready\n" {
        return Err(format!("{}: the app said {line:?}", subject.name));
    }
    send(&init);
    let mut sent = Vec::new();
    for _ in 0..SIGNALS {
        sent.push(now());
        send(&init);
        thread::sleep(BETWEEN);
    }
    let mut arrived = String::new();
    output.read_to_string(&mut arrived).map_err(|error| error.to_string())?;
    init.wait().map_err(|error| error.to_string())?;
    let arrived: Vec<i64> = arrived.split_whitespace().flat_map(str::parse).collect();
    if arrived.len() != SIGNALS {
        return Err(format!("{}: {} of {SIGNALS} signals arrived", subject.name, arrived.len()));
    }
    Ok(sent.iter().zip(&arrived).map(|(sent, arrived)| milliseconds(arrived - sent)).collect())
}

fn ends(subject: &Subject) -> Result<Vec<f64>, String> {
    (0..ENDS).map(|_| end(subject)).collect()
}

fn end(subject: &Subject) -> Result<f64, String> {
    let (mut init, mut output) = start(subject, LAST_WORDS, &[])?;
    let mut last = String::new();
    output.read_to_string(&mut last).map_err(|error| error.to_string())?;
    init.wait().map_err(|error| error.to_string())?;
    let ended = now();
    let last: i64 = last.parse().map_err(|_| format!("{}: the app said {last:?}", subject.name))?;
    Ok(milliseconds(ended - last))
}

fn start(
    subject: &Subject,
    script: &str,
    arguments: &[String],
) -> Result<(Child, BufReader<impl std::io::Read + use<>>), String> {
    let mut command = subject.command(Path::new("/usr/bin/python3"))?;
    command.args(["-S", "-c", script]).args(arguments).stdout(Stdio::piped());
    let mut child = command.spawn().map_err(|error| format!("{}: {error}", subject.name))?;
    let output = child.stdout.take().ok_or("no output")?;
    Ok((child, BufReader::new(output)))
}

fn send(init: &Child) {
    // SAFETY: takes no pointer. The process has not been waited for, so the number is its own.
    unsafe { libc::kill(init.id().cast_signed(), SIGNAL) };
}

/// Nanoseconds of the clock that Python calls `CLOCK_MONOTONIC`.
fn now() -> i64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is what is written.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) };
    time.tv_sec * 1_000_000_000 + time.tv_nsec
}

#[allow(clippy::cast_precision_loss, reason = "far below 2^52")]
fn milliseconds(nanoseconds: i64) -> f64 {
    nanoseconds as f64 / 1e6
}
