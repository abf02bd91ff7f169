//! The app as a child of init.

use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};

use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, Rlimit, setpgid};

use crate::exec::{self, Failure};
use crate::harden;
use crate::launch::Launch;
use crate::machine::{Forward, Signal};
use crate::signals;
use crate::terminal::Terminal;

/// The app's process.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) process: Pid,
    /// Where a failed execve is told; a successful one closes it.
    outcome: Option<OwnedFd>,
}

/// What the app gets apart from its launch.
#[derive(Debug)]
pub(crate) struct Surroundings<'a> {
    pub(crate) files: &'a [OwnedFd],
    pub(crate) core_limit: Rlimit,
    pub(crate) terminal: Option<&'a Terminal>,
}

impl App {
    /// Makes a process with a group of its own, which becomes the app.
    pub(crate) fn start(launch: &Launch, surroundings: &Surroundings<'_>) -> io::Result<Self> {
        let (outcome, told) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        match fork()? {
            Some(process) => {
                // In both processes: whichever runs first, the group exists.
                let _ = setpgid(Some(process), Some(process));
                Ok(Self { process, outcome: Some(outcome) })
            }
            None => become_app(launch, surroundings, &told),
        }
    }

    /// Readable once the outcome of execve is known; then there is nothing to wait for any more.
    pub(crate) fn outcome(&self) -> Option<BorrowedFd<'_>> {
        self.outcome.as_ref().map(|outcome| outcome.as_fd())
    }

    /// Whether execve has succeeded or failed, once.
    pub(crate) fn take_outcome(&mut self) -> Option<Outcome> {
        let mut bytes = [0; Failure::SIZE];
        let length = rustix::io::read(self.outcome.as_ref()?, &mut bytes).ok()?;
        self.outcome = None;
        let is_told = length == Failure::SIZE;
        Some(if is_told { Outcome::Failed(Failure::from_bytes(bytes)) } else { Outcome::Runs })
    }

    /// A group cannot be sent a value: `sigqueue(3)` knows processes only.
    pub(crate) fn send(&self, signal: Signal, to: Forward) {
        let process = self.process.as_raw_nonzero().get();
        match to {
            Forward::App => signals::send(process, signal),
            Forward::Group => signals::send(-process, Signal { value: None, ..signal }),
        }
    }
}

pub(crate) enum Outcome {
    Runs,
    Failed(Failure),
}

/// In the new process. Signals stay blocked until execve, so that none is lost.
fn become_app(launch: &Launch, surroundings: &Surroundings<'_>, told: &OwnedFd) -> ! {
    let own = rustix::process::getpid();
    let _ = setpgid(None, Some(own));
    if let Some(terminal) = surroundings.terminal {
        terminal.give_to(own);
    }
    harden::restore_core_limit(surroundings.core_limit);
    surroundings.files.iter().for_each(keep_open);
    let failure = exec::exec_in_child(launch);
    let _ = rustix::io::write(told, &failure.to_bytes());
    exit_at_once(1)
}

fn keep_open(file: &OwnedFd) {
    // SAFETY: takes no pointer.
    unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETFD, 0) };
}

/// The child, or nothing in it. There must be one thread only: others, with what they had locked, do not exist in the
/// child.
pub(crate) fn fork() -> io::Result<Option<Pid>> {
    // SAFETY: takes no pointer; both processes go on with memory of their own. Before the courier, cryokey makes no
    // thread, and init never makes one.
    let child = unsafe { libc::fork() };
    if child < 0 { Err(io::Error::last_os_error()) } else { Ok(Pid::from_raw(child)) }
}

/// Without running what the parent has registered for its own exit.
pub(crate) fn exit_at_once(code: u8) -> ! {
    // SAFETY: takes no pointer.
    unsafe { libc::_exit(code.into()) }
}
