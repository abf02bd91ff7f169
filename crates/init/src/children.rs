//! The processes below init: those that have ended, and those that the app leaves behind.

use std::fs;
use std::io::{self, Read as _};
use std::path::Path;

use rustix::io::Errno;
use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, WaitIdStatus, WaitOptions, WaitStatus, kill_process,
    kill_process_group,
};

use crate::exit::Exit;
use crate::startup;

/// How many processes are looked at in a tree whose end is awaited.
const MOST: usize = 10_000;

/// So many numbers of processes take at most this.
const LONGEST_LIST: u64 = 100_000;

pub(crate) enum Change {
    Ended(Pid, Exit),
    /// By this signal; it can be continued.
    Stopped(Pid, i32),
    /// Nothing has changed, and there are children.
    None,
    /// There is no child.
    Alone,
}

/// The next child that has ended or stopped. An ended one is gone then, and its number may be another's.
pub(crate) fn next_change() -> Change {
    match rustix::process::wait(WaitOptions::NOHANG | WaitOptions::UNTRACED) {
        Ok(Some((child, status))) => change(child, status),
        Err(Errno::CHILD) => Change::Alone,
        Ok(None) | Err(_) => Change::None,
    }
}

fn change(child: Pid, status: WaitStatus) -> Change {
    let byte = |number: i32| u8::try_from(number).unwrap_or(u8::MAX);
    if let Some(signal) = status.stopping_signal() {
        return Change::Stopped(child, signal);
    }
    match status.terminating_signal() {
        Some(signal) => Change::Ended(child, Exit::Signal(byte(signal))),
        None => Change::Ended(child, Exit::Code(byte(status.exit_status().unwrap_or(i32::MAX)))),
    }
}

/// Whether a child has ended or is gone; it is not buried here.
pub(crate) fn has_ended(child: Pid) -> bool {
    !matches!(ended(WaitId::Pid(child)), Ok(None))
}

/// Signals everything that the app has left behind, as far as this user may. False: it is not known what that is, except
/// for what has stayed in the app's group.
pub(crate) fn signal_rest(app: Pid, signal: Signal) -> bool {
    if startup::is_pid_1() {
        // SAFETY: takes no pointer. As PID 1, -1 is every other process of the namespace.
        unsafe { libc::kill(-1, signal.as_raw()) };
        return true;
    }
    if is_alone() {
        return true;
    }
    // Without /proc there is no list.
    let all = descendants();
    match &all {
        Some(all) => all.iter().for_each(|process| self::signal(*process, signal)),
        None => drop(kill_process_group(app, signal)),
    }
    all.is_some()
}

/// What has ended meanwhile is no error.
pub(crate) fn signal(process: Pid, signal: Signal) {
    let _ = kill_process(process, signal);
}

/// Whether there is no child, living or dead.
fn is_alone() -> bool {
    matches!(ended(WaitId::All), Err(Errno::CHILD))
}

/// A child that has ended, without burying it.
fn ended(which: WaitId<'_>) -> Result<Option<WaitIdStatus>, Errno> {
    rustix::process::waitid(which, WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT)
}

/// All processes below this one. Those whose parents have ended are its children, because it is their subreaper.
fn descendants() -> Option<Vec<Pid>> {
    let mut found = children_of(rustix::process::getpid())?;
    let mut next = 0;
    while let Some(process) = found.get(next).copied().filter(|_| found.len() < MOST) {
        found.extend(children_of(process).unwrap_or_default());
        next += 1;
    }
    Some(found)
}

fn children_of(process: Pid) -> Option<Vec<Pid>> {
    let threads = fs::read_dir(format!("/proc/{}/task", process.as_raw_nonzero())).ok()?;
    let lists = threads.flatten().map(|thread| list(&thread.path().join("children")));
    let lists = lists.collect::<io::Result<Vec<_>>>().ok()?;
    let children = lists.iter().flat_map(|list| list.split_whitespace());
    Some(children.filter_map(|child| child.parse().ok().and_then(Pid::from_raw)).collect())
}

fn list(path: &Path) -> io::Result<String> {
    let mut list = String::new();
    fs::File::open(path)?.take(LONGEST_LIST).read_to_string(&mut list)?;
    Ok(list)
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    #[cfg_attr(miri, ignore = "Miri starts no processes")]
    #[allow(clippy::disallowed_methods, reason = "this is the crate to which processes belong")]
    fn descendants_are_found_over_several_generations() {
        let script = "sh -c 'sleep 60 & echo $!; wait' & wait";
        let mut child = Command::new("sh").args(["-c", script]).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        let mut output = std::io::BufReader::new(child.stdout.take().unwrap());
        std::io::BufRead::read_line(&mut output, &mut line).unwrap();
        let grandchild = Pid::from_raw(line.trim().parse().unwrap()).unwrap();
        let found = descendants().unwrap();
        let own = Pid::from_child(&child);
        assert!(found.contains(&own) && found.contains(&grandchild), "{found:?}");
        for process in found.iter().rev().filter(|process| children_of(own).unwrap().contains(process)) {
            kill_process(*process, Signal::KILL).unwrap();
        }
        kill_process(grandchild, Signal::KILL).unwrap();
        child.wait().unwrap();
    }
}
