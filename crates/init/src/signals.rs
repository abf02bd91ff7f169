//! Signals: the current state, and the state before `main`.
//!
//! The mask is read and set by raw calls: glibc's wrappers hide signals 32 and 33, and the app must get the
//! mask that it would have had without cryokey.

use std::ffi::c_int;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// The kernel's signal set is 64 bits wide on every architecture that cryokey is built for.
const SET_SIZE: usize = size_of::<u64>();

static INHERITED_MASK: AtomicU64 = AtomicU64::new(0);

/// Signals that kill a process for writing to a closed pipe, or beyond `RLIMIT_FSIZE`. If they are ignored, the write fails
/// with an error instead.
const OF_WRITES: [c_int; 2] = [libc::SIGPIPE, libc::SIGXFSZ];
static WERE_DEFAULT: [AtomicBool; 2] = [const { AtomicBool::new(false) }; 2];

/// Must run before the Rust runtime, which ignores SIGPIPE.
pub(crate) fn note_inherited() {
    INHERITED_MASK.store(mask(), Ordering::Relaxed);
    for (signal, was_default) in OF_WRITES.into_iter().zip(&WERE_DEFAULT) {
        was_default.store(disposition(signal) == libc::SIG_DFL, Ordering::Relaxed);
    }
}

pub(crate) fn restore_dispositions() {
    for (signal, was_default) in OF_WRITES.into_iter().zip(&WERE_DEFAULT) {
        if was_default.load(Ordering::Relaxed) {
            set_disposition(signal, libc::SIG_DFL);
        }
    }
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
