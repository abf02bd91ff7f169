//! The terminal's foreground process group: the app's while it runs, so that Ctrl-C and the like reach it, and only it.

use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use rustix::process::Pid;
use rustix::termios::{tcgetpgrp, tcsetpgrp};

/// The terminal on which cryokey was started in the foreground.
#[derive(Debug)]
pub(crate) struct Terminal {
    file: OwnedFd,
    own_group: Pid,
}

impl Terminal {
    /// `None`: there is no terminal, or cryokey is in the background there, and so the app will be.
    pub(crate) fn of_foreground() -> Option<Self> {
        let streams = [rustix::stdio::stdin(), rustix::stdio::stdout(), rustix::stdio::stderr()];
        // SAFETY: takes no pointer. 0: the group is outside of this PID namespace, where no terminal of it is.
        let own_group = Pid::from_raw(unsafe { libc::getpgrp() })?;
        let is_in_foreground = |stream: &BorrowedFd<'_>| tcgetpgrp(stream) == Ok(own_group);
        let stream = streams.into_iter().find(is_in_foreground)?;
        // A descriptor of its own: the app's may be closed or replaced.
        let file = rustix::io::fcntl_dupfd_cloexec(stream, 3).ok()?;
        Some(Self { file, own_group })
    }

    /// Makes a group the foreground one. TTOU must be blocked, which the kernel would send to who is in the background.
    pub(crate) fn give_to(&self, group: Pid) {
        // The terminal may have been hung up.
        let _ = tcsetpgrp(self.file.as_fd(), group);
    }

    pub(crate) fn take_back(&self) {
        self.give_to(self.own_group);
    }

    /// Whether a shell has made cryokey's own group the foreground one.
    pub(crate) fn is_own(&self) -> bool {
        tcgetpgrp(&self.file) == Ok(self.own_group)
    }
}
