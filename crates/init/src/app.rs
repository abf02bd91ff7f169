//! The app as a child of init.

use std::ffi::{c_int, c_void};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd as _, OwnedFd};

use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, Rlimit, WaitOptions, setpgid};

use crate::exec::{self, Call, Failure};
use crate::harden;
use crate::launch::Launch;
use crate::machine::{Forward, Signal};
use crate::signals;
use crate::terminal::Terminal;

/// More than is needed between clone and execve, in units that keep it aligned.
const STACK: usize = (64 << 10) / size_of::<u128>();

/// The app's process.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) process: Pid,
}

/// What the app gets apart from its launch.
#[derive(Debug)]
pub(crate) struct Surroundings<'a> {
    pub(crate) files: &'a [OwnedFd],
    pub(crate) core_limit: Rlimit,
    pub(crate) terminal: Option<&'a Terminal>,
}

#[derive(Debug)]
pub(crate) enum NotStarted {
    /// The kernel has no process, or no descriptor, for it.
    NoProcess(io::Error),
    /// execve failed.
    Failed(Failure),
}

impl App {
    /// Makes a process with a group of its own, and waits until it has become the app.
    pub(crate) fn start(launch: &Launch, surroundings: &Surroundings<'_>) -> Result<Self, NotStarted> {
        let no_process = |error: rustix::io::Errno| NotStarted::NoProcess(error.into());
        // Closed by execve if that succeeds.
        let (outcome, told) = pipe_with(PipeFlags::CLOEXEC).map_err(no_process)?;
        let becoming = Becoming { call: Call::of(launch), surroundings, told: &told };
        let process = becoming.begin().map_err(NotStarted::NoProcess)?;
        drop(told);
        let mut bytes = [0; Failure::SIZE];
        match rustix::io::read(&outcome, &mut bytes) {
            Ok(Failure::SIZE) => {
                // It exits now; its group is to be gone before the terminal is taken back.
                let _ = rustix::process::waitpid(Some(process), WaitOptions::empty());
                Err(NotStarted::Failed(Failure::from_bytes(bytes)))
            }
            // Also if it was killed before execve: how it ended is seen as the app's end.
            _ => Ok(Self { process }),
        }
    }

    /// A group cannot be sent a value: `sigqueue(3)` knows processes only.
    pub(crate) fn send(&self, signal: Signal, to: Forward) {
        let group = if to == Forward::Group { self.group() } else { None };
        match group {
            Some(group) => signals::send(-group, Signal { value: None, ..signal }),
            None => signals::send(self.process.as_raw_nonzero().get(), signal),
        }
    }

    /// The group that the app is in, which it may have changed. `None`: that of init, or one outside of the namespace.
    fn group(&self) -> Option<c_int> {
        // SAFETY: neither takes a pointer.
        let [group, own] = unsafe { [libc::getpgid(self.process.as_raw_nonzero().get()), libc::getpgrp()] };
        (group > 0 && group != own).then_some(group)
    }
}

/// A process on its way to becoming the app.
struct Becoming<'a> {
    call: Call<'a>,
    surroundings: &'a Surroundings<'a>,
    /// Where a failed execve is told.
    told: &'a OwnedFd,
}

impl Becoming<'_> {
    /// As with `vfork(2)`, the new process shares the memory of this one, which waits until execve: no page is copied for a
    /// process that does not need it. Where emulators make an ordinary child of it, all goes as well.
    fn begin(&self) -> io::Result<Pid> {
        let mut stack = Vec::<MaybeUninit<u128>>::new();
        stack.try_reserve_exact(STACK).map_err(|_| io::ErrorKind::OutOfMemory)?;
        let argument = std::ptr::from_ref(self).cast_mut().cast::<c_void>();
        let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
        // SAFETY: the stack grows downwards from its end, which is aligned, and is used by the child only, while this
        // thread, the only one, waits. `become_app` gets a pointer to what lives that long.
        let process = unsafe {
            let top = stack.as_mut_ptr().add(STACK).cast::<c_void>();
            libc::clone(become_app, top, flags, argument)
        };
        Pid::from_raw(process.max(0)).ok_or_else(io::Error::last_os_error)
    }
}

/// In the new process. Signals stay blocked until execve, so that none is lost.
extern "C" fn become_app(becoming: *mut c_void) -> c_int {
    // SAFETY: as `begin` says.
    let Becoming { call, surroundings, told } = unsafe { &*becoming.cast::<Becoming<'_>>() };
    let own = rustix::process::getpid();
    let _ = setpgid(None, Some(own));
    if let Some(terminal) = surroundings.terminal {
        terminal.lend_to(own);
    }
    harden::restore_core_limit(surroundings.core_limit);
    surroundings.files.iter().for_each(keep_open);
    let failure = exec::exec_in_child(call);
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
