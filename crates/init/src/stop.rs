//! Signals that stop the process before the app is started.
//!
//! PID 1 has no default actions, so it needs a handler for TERM; any other process is terminated by the kernel. While
//! files are being delivered, the signals are blocked, so that what was written can be removed first. Init, which
//! supervises, reads them instead (`supervise`).

use std::ffi::c_int;

use crate::signals::{self, bit};
use crate::startup;

const OBEYED: [c_int; 4] = [libc::SIGTERM, libc::SIGINT, libc::SIGHUP, libc::SIGQUIT];

/// For a process that does not supervise: signals act on it. PID 1 exits on those that terminate any other process;
/// ignored ones stay ignored. execve restores the default action, so the app does not notice.
pub fn obey_signals() {
    if startup::is_pid_1() {
        for signal in OBEYED.into_iter().filter(|signal| signals::disposition(*signal) == libc::SIG_DFL) {
            signals::handle(signal, end);
        }
    }
    signals::set_mask(signals::inherited_mask());
}

/// The signals that end cryokey before the app runs: those that were neither blocked nor ignored when it was started.
pub(crate) fn obeyed() -> u64 {
    let is_obeyed = |signal: &c_int| signals::disposition(*signal) != libc::SIG_IGN;
    OBEYED.into_iter().filter(is_obeyed).map(bit).fold(0, |all, bit| all | bit) & !signals::inherited_mask()
}

extern "C" fn end(signal: c_int) {
    // SAFETY: _exit is async-signal-safe and takes no pointer.
    unsafe { libc::_exit(128 + signal) };
}

/// Blocks stop signals until the app is started, so that startup can remove what it has written, and log why, before the
/// process exits.
#[derive(Debug)]
#[must_use]
pub struct StopSignals(());

impl StopSignals {
    /// Blocked, not ignored: a signal that arrives now must still be seen by `pending`.
    pub fn hold() -> Self {
        let before = signals::mask();
        signals::set_mask(OBEYED.iter().fold(before, |mask, signal| mask | bit(*signal)));
        Self(())
    }

    /// The stop signal that has arrived since. Signals that were already blocked or ignored when cryokey was started do
    /// not count: the app inherits that state.
    #[must_use]
    pub fn pending(&self) -> Option<u8> {
        let pending = signals::pending() & !signals::inherited_mask();
        let arrived =
            |signal: &c_int| pending & bit(*signal) != 0 && signals::disposition(*signal) != libc::SIG_IGN;
        OBEYED.into_iter().find(arrived).and_then(|signal| u8::try_from(signal).ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg_attr(miri, ignore = "Miri has no signals")]
    fn a_signal_that_comes_meanwhile_waits_and_is_named() {
        let before = signals::mask();
        let held = StopSignals::hold();
        assert_eq!(held.pending(), None);
        // Not HUP, which is ignored where the tests run under nohup.
        // SAFETY: the signal is blocked in this thread and consumed below.
        unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), libc::gettid(), libc::SIGTERM) };
        assert_eq!(held.pending(), u8::try_from(libc::SIGTERM).ok());
        take_back(libc::SIGTERM);
        assert_eq!(held.pending(), None);
        signals::set_mask(before);
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
