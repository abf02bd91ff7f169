//! Writes to a stream whose reader may not read, without blocking for longer than the caller allows.
//!
//! The flags of a standard stream (`O_NONBLOCK`) are shared with other processes, so they are never changed. A pipe that
//! `poll` calls ready has room for a page; a terminal has room for one byte. So a terminal is opened anew, with flags of
//! its own, or written to byte by byte. So is a pipe if there is no patience at all: others may fill it between the two
//! calls.

use std::io::IsTerminal as _;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;

/// What fits into a pipe that has room.
const PAGE: usize = 4_096;

/// A terminal can have room, but not for a newline, which is two bytes there.
const PAUSE: Duration = Duration::from_millis(1);

/// Writes everything, or fails with `TIMEDOUT` once that has taken this long.
pub fn write_all(stream: BorrowedFd<'_>, mut bytes: &[u8], patience: Duration) -> Result<(), Errno> {
    let is_terminal = stream.is_terminal();
    let is_own_needed = is_terminal || (patience.is_zero() && is_pipe(stream));
    let own = is_own_needed.then(|| reopened(stream)).flatten();
    let most = if is_terminal && own.is_none() { 1 } else { PAGE };
    let stream = own.as_ref().map_or(stream, OwnedFd::as_fd);
    let start = Instant::now();
    while !bytes.is_empty() {
        let left = patience.saturating_sub(start.elapsed());
        let count = write_some(stream, bytes.get(..most).unwrap_or(bytes), left)?;
        bytes = bytes.get(count..).unwrap_or_default();
    }
    Ok(())
}

fn is_pipe(stream: BorrowedFd<'_>) -> bool {
    rustix::fs::fstat(stream).is_ok_and(|state| FileType::from_raw_mode(state.st_mode) == FileType::Fifo)
}

fn reopened(terminal: BorrowedFd<'_>) -> Option<OwnedFd> {
    let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let path = format!("/proc/self/fd/{}", terminal.as_raw_fd());
    rustix::fs::open(path, flags, Mode::empty()).ok()
}

fn write_some(stream: BorrowedFd<'_>, bytes: &[u8], patience: Duration) -> Result<usize, Errno> {
    let start = Instant::now();
    loop {
        wait_for_room(stream, patience.saturating_sub(start.elapsed()))?;
        match rustix::io::write(stream, bytes) {
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) if start.elapsed() < patience => thread::sleep(PAUSE),
            Err(Errno::AGAIN) => return Err(Errno::TIMEDOUT),
            other => return other,
        }
    }
}

fn wait_for_room(stream: BorrowedFd<'_>, patience: Duration) -> Result<(), Errno> {
    let limit = Timespec::try_from(patience).ok();
    let mut descriptors = [PollFd::new(&stream, PollFlags::OUT)];
    match poll(&mut descriptors, limit.as_ref()) {
        Ok(0) => Err(Errno::TIMEDOUT),
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(errno) => Err(errno),
    }
}
