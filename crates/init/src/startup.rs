//! The process as it was before `main`: what the Rust runtime and we change, the app gets back.
//!
//! Rust's runtime ignores SIGPIPE and opens `/dev/null` on closed descriptors 0-2 before `main` runs, so the
//! original state must be noted earlier. An entry of `.init_array` runs before it, also in a static program.

use std::ffi::{CStr, OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::stop;

/// The kernel's signal set is 64 bits wide on every architecture that Linux has for us.
const SIGNAL_SET_SIZE: usize = 8;

static MASK: AtomicU64 = AtomicU64::new(0);
static PIPE_WAS_DEFAULT: AtomicBool = AtomicBool::new(false);
static WAS_CLOSED: [AtomicBool; 3] = [const { AtomicBool::new(false) }; 3];

#[used]
#[unsafe(link_section = ".init_array")]
static NOTE: extern "C" fn() = note;

extern "C" fn note() {
    MASK.store(signal_mask(), Ordering::Relaxed);
    PIPE_WAS_DEFAULT.store(disposition(libc::SIGPIPE) == libc::SIG_DFL, Ordering::Relaxed);
    for (descriptor, was_closed) in (0..).zip(&WAS_CLOSED) {
        was_closed.store(is_closed(descriptor), Ordering::Relaxed);
    }
    refuse_to_be_read();
    if is_pid_1() {
        stop::obey_signals();
    }
}

/// Whether this process is PID 1 of its namespace. The kernel gives that one no default signal actions.
#[must_use]
pub fn is_pid_1() -> bool {
    std::process::id() == 1
}

/// The environment strings exactly as the kernel handed them over: also those without `=`, twice given, or not
/// UTF-8. Call it before anything could change the environment; nothing of cryokey ever does.
#[must_use]
pub fn environment() -> Vec<OsString> {
    unsafe extern "C" {
        static environ: *const *const libc::c_char;
    }
    let mut entries = Vec::new();
    // SAFETY: `environ` is set by the C runtime before `.init_array` runs, ends with a null pointer, and holds
    // NUL-terminated strings; no thread exists yet that could change it, and no code of ours ever writes it.
    unsafe {
        let mut entry = environ;
        while !entry.is_null() && !(*entry).is_null() {
            entries.push(OsStr::from_bytes(CStr::from_ptr(*entry).to_bytes()).to_owned());
            entry = entry.add(1);
        }
    }
    entries
}

/// Puts back what changed since the start, right before execve.
pub(crate) fn restore() {
    set_signal_mask(MASK.load(Ordering::Relaxed));
    if PIPE_WAS_DEFAULT.load(Ordering::Relaxed) {
        set_pipe_disposition(libc::SIG_DFL);
    }
    for (descriptor, was_closed) in (0..).zip(&WAS_CLOSED) {
        if was_closed.load(Ordering::Relaxed) {
            // SAFETY: the runtime opened /dev/null here; nothing of ours holds the number as an owned descriptor.
            unsafe { libc::close(descriptor) };
        }
    }
}

/// After an execve that failed we write a message, and a reader who has gone must not kill us for it.
pub(crate) fn ignore_broken_pipes() {
    set_pipe_disposition(libc::SIG_IGN);
}

/// The inherited mask, in which a set bit belongs to whoever started us.
pub(crate) fn inherited_mask() -> u64 {
    MASK.load(Ordering::Relaxed)
}

pub(crate) fn signal_mask() -> u64 {
    let mut mask = 0_u64;
    // SAFETY: a null new set changes nothing; `mask` is as large as the size given. The raw call, since glibc's
    // wrapper leaves signals 32 and 33 out.
    unsafe {
        let none = std::ptr::null::<u64>();
        libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK, none, &raw mut mask, SIGNAL_SET_SIZE);
    }
    mask
}

pub(crate) fn set_signal_mask(mask: u64) {
    // SAFETY: `mask` is as large as the size given; a null old set is allowed.
    unsafe {
        let none = std::ptr::null_mut::<u64>();
        libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK, &raw const mask, none, SIGNAL_SET_SIZE);
    }
}

pub(crate) fn disposition(signal: libc::c_int) -> libc::sighandler_t {
    // SAFETY: a null new action only asks; `action` is plain data for which zero is a valid value.
    unsafe {
        let mut action = std::mem::zeroed::<libc::sigaction>();
        libc::sigaction(signal, std::ptr::null(), &raw mut action);
        action.sa_sigaction
    }
}

fn set_pipe_disposition(action: libc::sighandler_t) {
    // SAFETY: SIG_DFL and SIG_IGN run no code of ours.
    unsafe { libc::signal(libc::SIGPIPE, action) };
}

fn is_closed(descriptor: libc::c_int) -> bool {
    // SAFETY: F_GETFD takes no pointer and changes nothing.
    unsafe { libc::fcntl(descriptor, libc::F_GETFD) == -1 }
}

/// Not dumpable: no core, and no reading of our memory or environment by another process of the same user.
/// execve makes the app dumpable again.
fn refuse_to_be_read() {
    // SAFETY: takes no pointer.
    unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mask_that_is_set_is_the_mask_that_is_read_also_for_signals_32_and_33() {
        let before = signal_mask();
        let wanted = before | (1 << 31) | (1 << 32) | (1 << (libc::SIGUSR1 - 1));
        set_signal_mask(wanted);
        let read = signal_mask();
        set_signal_mask(before);
        assert_eq!(read, wanted);
    }

    #[test]
    fn the_environment_is_what_the_process_was_given() {
        let path = environment().into_iter().find(|entry| entry.as_bytes().starts_with(b"PATH="));
        assert!(path.is_some(), "cargo starts tests with a PATH");
    }

    #[test]
    fn the_start_was_noted_before_main() {
        assert!(PIPE_WAS_DEFAULT.load(Ordering::Relaxed) || disposition(libc::SIGPIPE) == libc::SIG_IGN);
    }
}
