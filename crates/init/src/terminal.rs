//! The terminal's foreground process group: the app's while it runs, so that Ctrl-C and the like reach it, and only it.
//! Where cryokey is in the background, the shell decides who is in the foreground.

use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::process::{Pid, test_kill_process_group};
use rustix::termios::{tcgetpgrp, tcsetpgrp};

/// The terminal of cryokey's session.
#[derive(Debug)]
pub(crate) struct Terminal {
    file: OwnedFd,
    own_group: Pid,
}

impl Terminal {
    /// `None`: there is none among the standard streams.
    pub(crate) fn of_session() -> Option<Self> {
        let streams = [rustix::stdio::stdin(), rustix::stdio::stdout(), rustix::stdio::stderr()];
        // SAFETY: takes no pointer. 0: the group is outside of this PID namespace, where no terminal of it is.
        let own_group = Pid::from_raw(unsafe { libc::getpgrp() })?;
        let is_of_session = |stream: &BorrowedFd<'_>| tcgetpgrp(stream).is_ok();
        let stream = streams.into_iter().find(is_of_session)?;
        // A descriptor of its own: the app's may be closed or replaced.
        let file = rustix::io::fcntl_dupfd_cloexec(stream, 3).ok()?;
        Some(Self { file, own_group })
    }

    /// Makes the app's group the foreground one, if cryokey's is.
    pub(crate) fn lend_to(&self, app: Pid) {
        if tcgetpgrp(&self.file) == Ok(self.own_group) {
            self.set_foreground(app);
        }
    }

    /// Makes cryokey's group the foreground one, if the app's is, or one that has gone. Any other has been chosen by a
    /// shell.
    pub(crate) fn take_back_from(&self, app: Option<Pid>) {
        let is_gone = |group| test_kill_process_group(group) == Err(Errno::SRCH);
        let foreground = tcgetpgrp(&self.file).ok();
        if foreground.is_some_and(|group| Some(group) == app || is_gone(group)) {
            self.set_foreground(self.own_group);
        }
    }

    /// TTOU must be blocked, which the kernel would send to who is in the background.
    fn set_foreground(&self, group: Pid) {
        // The terminal may have been hung up.
        let _ = tcsetpgrp(self.file.as_fd(), group);
    }
}
