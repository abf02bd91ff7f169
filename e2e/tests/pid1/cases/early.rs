//! TERM in the first 3 ms: it must end the app, or what was to become the app.

use std::fs;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::thread::{self, sleep};
use std::time::Duration;

use crate::container::{Container, PATIENCE, words};
use crate::process::until_every;
use crate::subject::Subject;

pub(crate) const TRIES: u32 = 60;

const STEP: Duration = Duration::from_micros(50);
const THREADS: usize = 6;

/// A signal that arrived has ended everything by then.
const END: Duration = Duration::from_millis(800);

/// How many signals were lost: the app lives on.
pub(crate) fn lost(subject: &Subject) -> Result<usize, String> {
    let (next, lost) = (AtomicU32::new(0), AtomicUsize::new(0));
    let tries = || -> Result<(), String> {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= TRIES {
                return Ok(());
            }
            lost.fetch_add(usize::from(is_lost(subject, STEP * number)?), Ordering::Relaxed);
        }
    };
    thread::scope(|scope| {
        let threads = (0..THREADS).map(|_| scope.spawn(tries)).collect::<Vec<_>>();
        threads.into_iter().try_for_each(|thread| thread.join().unwrap())
    })?;
    Ok(lost.into_inner())
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
