//! TERM in the first 3 ms: it must end the app, or what was to become the app.

use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, sleep};
use std::time::Duration;

use crate::container::{Container, PATIENCE, words};
use crate::process::until_every;
use crate::subject::Subject;

pub(crate) const TRIES: usize = 60;

const STEP: Duration = Duration::from_micros(50);
const THREADS: usize = 6;

/// A signal that arrived has ended everything by then.
const END: Duration = Duration::from_millis(800);

/// How many signals each of them lost: the app lives on. They take turns, under the same load.
pub(crate) fn lost<const N: usize>(subjects: [&Subject; N]) -> Result<[usize; N], String> {
    let (next, lost) = (AtomicUsize::new(0), [const { AtomicUsize::new(0) }; N]);
    let tries = || -> Result<(), String> {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let (step, turn) = (number / N, number % N);
            if step >= TRIES {
                return Ok(());
            }
            let is_lost = is_lost(subjects[turn], STEP * u32::try_from(step).unwrap())?;
            lost[turn].fetch_add(usize::from(is_lost), Ordering::Relaxed);
        }
    };
    thread::scope(|scope| {
        let threads = (0..THREADS).map(|_| scope.spawn(tries)).collect::<Vec<_>>();
        threads.into_iter().try_for_each(|thread| thread.join().unwrap())
    })?;
    Ok(lost.map(AtomicUsize::into_inner))
}

fn is_lost(subject: &Subject, delay: Duration) -> Result<bool, String> {
    let mut container = Container::start(subject, &words(["/bin/sleep", "300"]));
    let link = format!("/proc/{}/exe", container.init()?);
    until_every(STEP, PATIENCE, || is_loaded(&link).then_some(())).ok_or("PID 1 did not start")?;
    sleep(delay);
    container.signal(15)?;
    Ok(container.ends_within(END).is_none())
}

/// Until then, PID 1 is what starts it.
fn is_loaded(link: &str) -> bool {
    let program = fs::read_link(link).unwrap_or_default();
    program.file_name().is_some_and(|name| name != "unshare" && name != "setsid")
}
