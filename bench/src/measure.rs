//! The clock, and what the kernel counts of a process.

use std::io;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use crate::subject::Subject;

/// Runs before the first that counts: files enter the page cache, the processor its working clock.
const WARM_UP: usize = 20;

/// So many of a hundred runs of the other side may end badly before the comparison is given up.
const BAD_ALLOWED: usize = 5;

/// The same number of runs of two subjects, taken in turn.
pub(crate) struct Pairs {
    pub(crate) ours: Spread,
    pub(crate) theirs: Spread,
    /// The median of ours / theirs, pair by pair.
    pub(crate) ratio: f64,
    /// The same of the processor time, which does not count how long others had the processor.
    pub(crate) processor_ratio: f64,
    /// Pairs that were repeated because the other program failed. cryokey must never fail.
    pub(crate) again: usize,
}

/// Milliseconds.
#[derive(Clone, Copy)]
pub(crate) struct Spread {
    pub(crate) p10: f64,
    pub(crate) median: f64,
    pub(crate) p90: f64,
}

impl Pairs {
    pub(crate) fn measure(
        ours: &Subject,
        theirs: &Subject,
        app: &Path,
        count: usize,
    ) -> Result<Self, String> {
        let (mut pairs, mut again) = (Vec::new(), 0);
        while pairs.len() < WARM_UP + count {
            let first = run(ours, app)?;
            match run(theirs, app) {
                Ok(second) => pairs.push((first, second)),
                Err(_) if (again + 1) * 100 <= BAD_ALLOWED * count => again += 1,
                Err(problem) => return Err(problem),
            }
        }
        let (first, second): (Vec<Run>, Vec<Run>) = pairs.into_iter().skip(WARM_UP).unzip();
        let times = |runs: &[Run]| Spread::of(runs.iter().map(|run| run.time).collect());
        let ratio = |figure: fn(&Run) -> f64| {
            let ratios = first.iter().zip(&second).map(|(ours, theirs)| figure(ours) / figure(theirs));
            Spread::of(ratios.collect()).median
        };
        let (ratio, processor_ratio) = (ratio(|run| run.time), ratio(|run| run.processor));
        Ok(Self { ours: times(&first), theirs: times(&second), ratio, processor_ratio, again })
    }
}

impl Spread {
    pub(crate) fn of(mut values: Vec<f64>) -> Self {
        let [p10, median, p90] = [10, 50, 90].map(|hundredth| percentile(&mut values, hundredth));
        Self { p10, median, p90 }
    }
}

/// Of none, not a number.
pub(crate) fn percentile(values: &mut [f64], hundredth: usize) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len().saturating_sub(1) * hundredth / 100).copied().unwrap_or(f64::NAN)
}

/// One run, from before the fork until the app has ended.
pub(crate) struct Run {
    /// Milliseconds.
    pub(crate) time: f64,
    /// Milliseconds that the process, and what it waited for, had the processor.
    processor: f64,
    /// The most resident memory that the process ever had, in bytes; for a subject that starts the app instead of
    /// becoming it, the larger of the two.
    ///
    /// The kernel counts from the moment of the fork, when the child still shares this process's memory. So the figure is never
    /// below this driver's own, which the line "the trivial app alone" in the report shows.
    pub(crate) memory: u64,
    /// Page faults.
    pub(crate) faults: u64,
}

pub(crate) fn run(subject: &Subject, app: &Path) -> Result<Run, String> {
    let command = subject.command(app)?;
    let start = Instant::now();
    let usage = wait_for_usage(command).map_err(|error| format!("{}: {error}", subject.name))?;
    let time = start.elapsed().as_secs_f64() * 1000.0;
    let count = |count: libc::c_long| u64::try_from(count).unwrap_or(0);
    Ok(Run {
        time,
        processor: milliseconds(usage.ru_utime) + milliseconds(usage.ru_stime),
        memory: count(usage.ru_maxrss) * 1024,
        faults: count(usage.ru_minflt),
    })
}

#[allow(clippy::cast_precision_loss, reason = "a run is far shorter than 2^52 seconds")]
fn milliseconds(time: libc::timeval) -> f64 {
    time.tv_sec as f64 * 1000.0 + time.tv_usec as f64 / 1000.0
}

fn wait_for_usage(mut command: Command) -> io::Result<libc::rusage> {
    let child = command.spawn()?;
    let pid = libc::pid_t::try_from(child.id()).map_err(io::Error::other)?;
    let mut status = 0;
    // SAFETY: all zeroes is a valid rusage: it is made of integers only.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: both pointers are to live, exclusively borrowed values of the right type; the child was started here and nothing
    // else waits for it, since `child` is not used after this.
    let ended = unsafe { libc::wait4(pid, &raw mut status, 0, &raw mut usage) };
    if ended == pid && status == 0 {
        Ok(usage)
    } else if ended == pid {
        Err(io::Error::other(format!("wait status {status}")))
    } else {
        Err(io::Error::last_os_error())
    }
}

#[cfg(test)]
mod tests {
    use super::Spread;

    #[test]
    fn a_spread_is_taken_from_the_sorted_values() {
        let spread = Spread::of((1..=101).rev().map(f64::from).collect());
        assert!((spread.p10, spread.median, spread.p90) == (11.0, 51.0, 91.0));
    }
}
