//! The clock and the memory meter.

use std::io;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

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
    /// Pairs that were taken again, since the other side ended badly. Ours never may.
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
            let first = time(ours, app)?;
            match time(theirs, app) {
                Ok(second) => pairs.push((first, second)),
                Err(_) if (again + 1) * 100 <= BAD_ALLOWED * count => again += 1,
                Err(problem) => return Err(problem),
            }
        }
        let (first, second): (Vec<_>, Vec<_>) = pairs.into_iter().skip(WARM_UP).unzip();
        let ratios = first.iter().zip(&second).map(|(ours, theirs)| ours / theirs).collect();
        Ok(Self {
            ours: Spread::of(first),
            theirs: Spread::of(second),
            ratio: Spread::of(ratios).median,
            again,
        })
    }
}

impl Spread {
    pub(crate) fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        let at = |hundredth: usize| values.get((values.len().saturating_sub(1)) * hundredth / 100).copied();
        let [p10, median, p90] = [10, 50, 90].map(|hundredth| at(hundredth).unwrap_or(f64::NAN));
        Self { p10, median, p90 }
    }
}

/// Milliseconds from before the fork until the app has ended.
pub(crate) fn time(subject: &Subject, app: &Path) -> Result<f64, String> {
    let mut command = subject.command(app)?;
    let start = Instant::now();
    let status = command.status().map_err(|error| format!("{}: {error}", subject.name))?;
    let took = start.elapsed();
    if status.success() {
        Ok(milliseconds(took))
    } else {
        Err(format!("{} ended with {status}", subject.name))
    }
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

/// The most resident memory that the process ever had, in bytes, from before it became the app until its end; for a
/// subject that starts the app instead, the larger of the two.
///
/// The kernel counts from the moment of the fork, when the child still shares our memory. So the figure is never
/// below this driver's own, which the line "the trivial app alone" in the report shows.
pub(crate) fn peak_memory(subject: &Subject, app: &Path) -> Result<u64, String> {
    let command = subject.command(app)?;
    wait_for_usage(command).map_err(|error| format!("{}: {error}", subject.name))
}

fn wait_for_usage(mut command: Command) -> io::Result<u64> {
    let child = command.spawn()?;
    let pid = libc::pid_t::try_from(child.id()).map_err(io::Error::other)?;
    let mut status = 0;
    // SAFETY: all zeroes is a valid rusage: it is made of integers only.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: both pointers are to live, exclusively borrowed values of the right type; the child is ours and nobody
    // else waits for it, since `child` is not used after this.
    let ended = unsafe { libc::wait4(pid, &raw mut status, 0, &raw mut usage) };
    if ended == pid && status == 0 {
        Ok(u64::try_from(usage.ru_maxrss).unwrap_or(0) * 1024)
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
