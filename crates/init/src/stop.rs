//! Being told to stop before the app runs.
//!
//! PID 1 has no default actions, so there TERM must be obeyed by a handler; anywhere else the kernel does it.
//! While files are half delivered the signals wait, so that what was written can be taken away first.

use std::ffi::c_int;

use crate::startup;

const OBEYED: [c_int; 4] = [libc::SIGTERM, libc::SIGINT, libc::SIGHUP, libc::SIGQUIT];

/// Ends PID 1 on the signals that would end any other process. An ignored one stays ignored. execve puts the
/// default action back, so the app does not notice.
pub(crate) fn obey_signals() {
    for signal in OBEYED {
        if startup::disposition(signal) == libc::SIG_DFL {
            let handler = end as extern "C" fn(c_int);
            // SAFETY: `end` makes one async-signal-safe call.
            unsafe { libc::signal(signal, handler as libc::sighandler_t) };
        }
    }
}

extern "C" fn end(signal: c_int) {
    // SAFETY: _exit is async-signal-safe and takes no pointer.
    unsafe { libc::_exit(128 + signal) };
}

/// Signals that ask us to stop, kept waiting until they are released: a start that fails meanwhile undoes what it did
/// and says why before it ends, whoever else wants it to end.
#[derive(Debug)]
#[must_use]
pub struct StopSignals {
    before: u64,
}

impl StopSignals {
    /// Lets the signals wait from here on.
    pub fn hold() -> Self {
        let before = startup::signal_mask();
        startup::set_signal_mask(OBEYED.iter().fold(before, |mask, signal| mask | bit(*signal)));
        Self { before }
    }

    /// The signal that came meanwhile, if one did. Not one that was blocked or ignored when we were started:
    /// that is the app's affair.
    #[must_use]
    pub fn pending(&self) -> Option<u8> {
        let pending = pending_signals() & !startup::inherited_mask();
        let came =
            |signal: &c_int| pending & bit(*signal) != 0 && startup::disposition(*signal) != libc::SIG_IGN;
        OBEYED.into_iter().find(came).and_then(|signal| u8::try_from(signal).ok())
    }

    /// Lets them through again.
    pub fn release(self) {
        startup::set_signal_mask(self.before);
    }
}

fn bit(signal: c_int) -> u64 {
    1 << (signal - 1)
}

fn pending_signals() -> u64 {
    let mut pending = 0_u64;
    // SAFETY: the kernel writes eight bytes, the size given, to `pending`.
    unsafe { libc::syscall(libc::SYS_rt_sigpending, &raw mut pending, size_of::<u64>()) };
    pending
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_that_comes_meanwhile_waits_and_is_named() {
        let held = StopSignals::hold();
        assert_eq!(held.pending(), None);
        // SAFETY: the signal is blocked in this thread and taken back below.
        unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), libc::gettid(), libc::SIGHUP) };
        assert_eq!(held.pending(), u8::try_from(libc::SIGHUP).ok());
        take_back(libc::SIGHUP);
        assert_eq!(held.pending(), None);
        held.release();
    }

    fn take_back(signal: c_int) {
        // SAFETY: both sets are plain data; the call returns at once, since the signal is pending.
        unsafe {
            let mut set = std::mem::zeroed::<libc::sigset_t>();
            libc::sigemptyset(&raw mut set);
            libc::sigaddset(&raw mut set, signal);
            let mut taken = 0;
            libc::sigwait(&raw const set, &raw mut taken);
        }
    }
}
