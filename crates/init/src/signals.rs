//! Signals: the current state, and the state before `main`.
//!
//! The mask is read and set by raw calls: glibc's wrappers hide signals 32 and 33, and the app must get the
//! mask that it would have had without cryokey.

use std::ffi::c_int;
use std::io;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::machine::Signal;

/// The kernel's signal set is 64 bits wide on every architecture that cryokey is built for.
const SET_SIZE: usize = size_of::<u64>();

/// Of KILL and STOP, the kernel takes no notice.
pub(crate) const ALL: u64 = u64::MAX;

static INHERITED_MASK: AtomicU64 = AtomicU64::new(0);

/// Signals that kill a process for writing to a closed pipe, or beyond `RLIMIT_FSIZE`. If they are ignored, the write fails
/// with an error instead.
const OF_WRITES: [c_int; 2] = [libc::SIGPIPE, libc::SIGXFSZ];
static WERE_DEFAULT: [AtomicBool; 2] = [const { AtomicBool::new(false) }; 2];

/// If it was ignored, the kernel would not keep the status of children.
static IGNORED_CHILDREN: AtomicBool = AtomicBool::new(false);

/// Must run before the Rust runtime, which ignores SIGPIPE.
pub(crate) fn note_inherited() {
    INHERITED_MASK.store(mask(), Ordering::Relaxed);
    for (signal, was_default) in OF_WRITES.into_iter().zip(&WERE_DEFAULT) {
        was_default.store(disposition(signal) == libc::SIG_DFL, Ordering::Relaxed);
    }
    IGNORED_CHILDREN.store(disposition(libc::SIGCHLD) == libc::SIG_IGN, Ordering::Relaxed);
}

pub(crate) fn restore_dispositions() {
    for (signal, was_default) in OF_WRITES.into_iter().zip(&WERE_DEFAULT) {
        if was_default.load(Ordering::Relaxed) {
            set_disposition(signal, libc::SIG_DFL);
        }
    }
    if IGNORED_CHILDREN.load(Ordering::Relaxed) {
        set_disposition(libc::SIGCHLD, libc::SIG_IGN);
    }
}

/// Who has children needs the default: where the signal is ignored, the kernel drops their status.
pub(crate) fn keep_status_of_children() {
    set_disposition(libc::SIGCHLD, libc::SIG_DFL);
}

/// The signals that were blocked when the process was started; the app inherits them.
pub(crate) fn inherited_mask() -> u64 {
    INHERITED_MASK.load(Ordering::Relaxed)
}

pub(crate) fn bit(signal: c_int) -> u64 {
    1 << (signal - 1)
}

pub(crate) fn mask() -> u64 {
    let mut mask = 0_u64;
    // SAFETY: a null new set changes nothing; `mask` is as large as the size given.
    unsafe {
        let none = std::ptr::null::<u64>();
        libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK, none, &raw mut mask, SET_SIZE);
    }
    mask
}

pub(crate) fn set_mask(mask: u64) {
    // SAFETY: `mask` is as large as the size given; a null old set is allowed.
    unsafe {
        let none = std::ptr::null_mut::<u64>();
        libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK, &raw const mask, none, SET_SIZE);
    }
}

pub(crate) fn pending() -> u64 {
    let mut pending = 0_u64;
    // SAFETY: the kernel writes as many bytes as the size given, which is the size of `pending`.
    unsafe { libc::syscall(libc::SYS_rt_sigpending, &raw mut pending, SET_SIZE) };
    pending
}

pub(crate) fn disposition(signal: c_int) -> libc::sighandler_t {
    // SAFETY: a null new action only asks; `action` is plain data for which zero is a valid value.
    unsafe {
        let mut action = std::mem::zeroed::<libc::sigaction>();
        libc::sigaction(signal, std::ptr::null(), &raw mut action);
        action.sa_sigaction
    }
}

/// Before anything is written, and again after a failed execve, because a message is written then.
pub(crate) fn ignore_those_of_writes() {
    for signal in OF_WRITES {
        set_disposition(signal, libc::SIG_IGN);
    }
}

/// Runs the handler when the signal arrives. The handler must be async-signal-safe.
pub(crate) fn handle(signal: c_int, handler: extern "C" fn(c_int)) {
    set_disposition(signal, handler as libc::sighandler_t);
}

/// Stops this process and its group as the terminal would have, and returns when it has been continued. False: the kernel
/// has not stopped it, because the group is orphaned (POSIX), or ignores the signal.
pub(crate) fn stop_group_by(signal: c_int) -> bool {
    // SAFETY: takes no pointer.
    unsafe { libc::kill(0, signal) };
    let held = mask();
    set_mask(held & !bit(signal));
    set_mask(held);
    pending() & bit(libc::SIGCONT) != 0
}

/// Sends a signal, with the value that came with it. An app that has just ended is no error.
pub(crate) fn send(process: c_int, signal: Signal) {
    let number = c_int::from(signal.number);
    // SAFETY: takes no pointer, or one to a `siginfo_t` of the kernel's size whose fields are set as `sigqueue(3)` does.
    unsafe {
        match signal.value {
            None => libc::kill(process, number),
            Some(value) => {
                let info = QueuedInfo::new(number, value);
                libc::syscall(libc::SYS_rt_sigqueueinfo, process, number, &raw const info);
                0
            }
        };
    }
}

/// `siginfo_t` of a queued signal as 64-bit kernels lay it out (sigaction(2), `SI_QUEUE`).
#[repr(C)]
struct QueuedInfo {
    number: c_int,
    errno: c_int,
    code: c_int,
    padding: c_int,
    pid: c_int,
    uid: u32,
    value: usize,
    rest: [u64; 12],
}

const _: () = assert!(size_of::<QueuedInfo>() == size_of::<libc::siginfo_t>());

impl QueuedInfo {
    fn new(number: c_int, value: usize) -> Self {
        let pid = rustix::process::getpid().as_raw_nonzero().get();
        let uid = rustix::process::getuid().as_raw();
        Self { number, errno: 0, code: libc::SI_QUEUE, padding: 0, pid, uid, value, rest: [0; 12] }
    }
}

/// Signals as input. They must be blocked, else the kernel acts on them first.
#[derive(Debug)]
pub(crate) struct SignalFd(OwnedFd);

impl SignalFd {
    pub(crate) fn new(watched: u64) -> io::Result<Self> {
        // SAFETY: the kernel returns a new descriptor, or an error.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(signalfd(-1, watched)?) }))
    }

    /// Watches other signals from now on. Those that are pending already are read too.
    pub(crate) fn watch(&self, watched: u64) {
        // An open signalfd takes any mask.
        let _ = signalfd(self.0.as_raw_fd(), watched);
    }

    /// The next signal, without waiting.
    pub(crate) fn next(&self) -> Option<Signal> {
        // SAFETY: plain data, for which zero is a valid value, and a buffer of its size.
        let (info, size) = unsafe {
            let mut info = std::mem::zeroed::<libc::signalfd_siginfo>();
            let size = libc::read(self.0.as_raw_fd(), (&raw mut info).cast(), size_of_val(&info));
            (info, size)
        };
        let number = u8::try_from(info.ssi_signo).ok().filter(|_| size > 0)?;
        let is_queued = info.ssi_code == libc::SI_QUEUE;
        let value = usize::try_from(info.ssi_ptr).ok().filter(|_| is_queued);
        Some(Signal { number, value })
    }
}

impl AsFd for SignalFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// The raw call, because the C library's keeps signals 32 to 34 to itself.
fn signalfd(descriptor: c_int, watched: u64) -> io::Result<c_int> {
    let flags = libc::SFD_CLOEXEC | libc::SFD_NONBLOCK;
    // SAFETY: the set is as large as the size given.
    let made = unsafe { libc::syscall(libc::SYS_signalfd4, descriptor, &raw const watched, SET_SIZE, flags) };
    c_int::try_from(made).ok().filter(|made| *made >= 0).ok_or_else(io::Error::last_os_error)
}

fn set_disposition(signal: c_int, action: libc::sighandler_t) {
    // SAFETY: callers pass SIG_DFL, SIG_IGN, or through `handle` a function with a handler's signature.
    unsafe { libc::signal(signal, action) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg_attr(miri, ignore = "Miri has no rt_sigprocmask")]
    fn the_mask_that_is_set_is_the_mask_that_is_read_also_for_signals_32_and_33() {
        let before = mask();
        let wanted = before | bit(32) | bit(33) | bit(libc::SIGUSR1);
        set_mask(wanted);
        let read = mask();
        set_mask(before);
        assert_eq!(read, wanted);
    }

    #[test]
    #[cfg_attr(miri, ignore = "Miri has no sigaction, and nothing is noted before main")]
    fn the_original_state_is_recorded_before_main() {
        for (signal, was_default) in OF_WRITES.into_iter().zip(&WERE_DEFAULT) {
            assert!(was_default.load(Ordering::Relaxed) || disposition(signal) == libc::SIG_IGN);
        }
    }

    #[test]
    fn a_signal_is_one_bit_from_the_lowest_on() {
        assert_eq!([bit(1), bit(15), bit(64)], [1, 1 << 14, 1 << 63]);
    }
}
