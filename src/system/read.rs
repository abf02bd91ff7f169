//! Reads files that other programs wrote: never blocking, only regular files, and up to a limit.

use std::fmt;
use std::os::fd::OwnedFd;
use std::thread;
use std::time::Duration;

use rustix::fs::{FileType, Mode, OFlags, Stat};
use rustix::io::Errno;
use zeroize::Zeroize as _;

use crate::error::Reason;

/// The largest secret, manifest or Compose file: 1 MiB.
pub const LIMIT: usize = 1 << 20;

/// How often reading is attempted if the file changes meanwhile.
const ATTEMPTS: u32 = 4;
const PAUSE: Duration = Duration::from_millis(10);

/// File times advance in steps of the kernel's clock, 10 ms at most: two changes within one step have the same time. If
/// the last change is older than this, another one has a different time.
const STEP: Duration = Duration::from_millis(20);

/// The size of a page, which the kernel writes at once.
const PIECE: i64 = 4_096;

/// With these flags, opening a FIFO without a writer does not block, and a terminal does not become the controlling one.
pub const OPEN: OFlags = OFlags::RDONLY.union(OFlags::CLOEXEC).union(OFlags::NONBLOCK).union(OFlags::NOCTTY);

/// Why a file could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadError {
    /// It changed during each attempt.
    Changing,
    /// What it is instead, for a message.
    NotRegular(&'static str),
    TooLarge,
    Os(Errno),
}

impl ReadError {
    /// For a file that the user named explicitly.
    #[must_use]
    pub fn reason(self) -> Reason {
        match self {
            Self::Os(Errno::ACCESS | Errno::PERM) => Reason::Denied,
            Self::Os(Errno::NOENT | Errno::NOTDIR) | Self::NotRegular(_) | Self::TooLarge => {
                Reason::Configuration
            }
            Self::Os(_) | Self::Changing => Reason::Io,
        }
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Changing => formatter.write_str("it changed while it was being read"),
            Self::NotRegular(kind) => write!(formatter, "it is {kind}"),
            Self::Os(Errno::NOENT | Errno::NOTDIR) => formatter.write_str("it does not exist"),
            Self::Os(errno) => std::io::Error::from(*errno).fmt(formatter),
            Self::TooLarge => write!(formatter, "it is larger than {LIMIT} bytes"),
        }
    }
}

impl From<Errno> for ReadError {
    fn from(errno: Errno) -> Self {
        Self::Os(errno)
    }
}

pub fn read_path(path: &std::path::Path) -> Result<(Vec<u8>, Stat), ReadError> {
    let file = rustix::fs::open(path, OPEN, Mode::empty())?;
    read(&file)
}

/// Reads an open file from its beginning, and returns its state. The content is that of one moment: if the file changes
/// meanwhile, it is read again, and also if reading failed, because a network file system may recover.
pub fn read(file: &OwnedFd) -> Result<(Vec<u8>, Stat), ReadError> {
    let mut before = settled(file)?;
    for attempt in 1..=ATTEMPTS {
        let mut bytes = match read_once(file, &before) {
            Err(ReadError::Os(Errno::IO | Errno::STALE)) if attempt < ATTEMPTS => {
                thread::sleep(PAUSE);
                continue;
            }
            other => other?,
        };
        let after = rustix::fs::fstat(file)?;
        if is_unchanged(&before, &after, bytes.len()) {
            return Ok((bytes, after));
        }
        bytes.zeroize();
        if attempt < ATTEMPTS {
            thread::sleep(PAUSE);
        }
        before = settled(file)?;
    }
    Err(ReadError::Changing)
}

/// The state of a file, after the step of the clock in which it was changed has passed.
fn settled(file: &OwnedFd) -> Result<Stat, ReadError> {
    let stat = regular(file)?;
    // A file of one page is never half written.
    if stat.st_size <= PIECE || !is_fresh(&stat) {
        return Ok(stat);
    }
    thread::sleep(STEP);
    Ok(rustix::fs::fstat(file)?)
}

fn is_fresh(stat: &Stat) -> bool {
    let nanoseconds = |seconds: i64, rest: i64| i128::from(seconds) * 1_000_000_000 + i128::from(rest);
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Realtime);
    let age =
        nanoseconds(now.tv_sec, now.tv_nsec) - nanoseconds(stat.st_mtime, stat.st_mtime_nsec.cast_signed());
    age.unsigned_abs() < STEP.as_nanos()
}

fn regular(file: &OwnedFd) -> Result<Stat, ReadError> {
    let stat = rustix::fs::fstat(file)?;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => Ok(stat),
        FileType::Directory => Err(ReadError::NotRegular("a directory")),
        FileType::Fifo => Err(ReadError::NotRegular("a FIFO")),
        FileType::Socket => Err(ReadError::NotRegular("a socket")),
        FileType::CharacterDevice | FileType::BlockDevice => Err(ReadError::NotRegular("a device")),
        _ => Err(ReadError::NotRegular("an unknown kind of file")),
    }
}

/// The buffer has its final size from the start: growing would leave copies of a value behind.
fn read_once(file: &OwnedFd, stat: &Stat) -> Result<Vec<u8>, ReadError> {
    let size = usize::try_from(stat.st_size).unwrap_or(usize::MAX);
    if size > LIMIT {
        return Err(ReadError::TooLarge);
    }
    // One extra byte detects growth. Files in /proc have size 0, but content.
    let mut bytes = vec![0; if size == 0 { 4_096 } else { size + 1 }];
    let mut length = 0;
    while let Some(room) = bytes.get_mut(length..).filter(|room| !room.is_empty()) {
        match rustix::io::pread(file, &mut *room, length as u64) {
            Ok(0) => break,
            // A short read is the end; if not, the comparison with the size fails.
            Ok(count) if count < room.len() => {
                length += count;
                break;
            }
            Ok(count) => length += count,
            Err(Errno::INTR) => {}
            Err(errno) => {
                bytes.zeroize();
                return Err(errno.into());
            }
        }
    }
    bytes.truncate(length);
    Ok(bytes)
}

fn is_unchanged(before: &Stat, after: &Stat, length: usize) -> bool {
    let time = |stat: &Stat| (stat.st_mtime, stat.st_mtime_nsec, stat.st_ctime, stat.st_ctime_nsec);
    let is_of_proc = after.st_size == 0 && length < 4_096;
    before.st_size == after.st_size
        && time(before) == time(after)
        && (usize::try_from(after.st_size) == Ok(length) || is_of_proc)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn file(size: u64) -> OwnedFd {
        let file = tempfile::tempfile().unwrap();
        file.set_len(size).unwrap();
        file.into()
    }

    #[test]
    fn a_file_of_the_limit_is_read_and_one_byte_more_is_refused() {
        assert_eq!(read(&file(LIMIT as u64)).unwrap().0.len(), LIMIT);
        assert_eq!(read(&file(LIMIT as u64 + 1)).unwrap_err(), ReadError::TooLarge);
    }

    #[test]
    fn a_huge_sparse_file_is_refused_without_reading_it() {
        assert_eq!(read(&file(1 << 30)).unwrap_err(), ReadError::TooLarge);
    }

    #[test]
    fn an_empty_file_is_empty() {
        assert!(read(&file(0)).unwrap().0.is_empty());
    }

    #[test]
    fn c15_reading_stops_after_a_few_attempts_if_the_size_never_matches() {
        // Every file in sysfs has a size of 4,096 bytes, whatever its content.
        let path = std::path::Path::new("/sys/kernel/uevent_seqnum");
        assert_eq!(read_path(path).unwrap_err(), ReadError::Changing);
    }

    #[test]
    fn c15_a_file_that_is_rewritten_in_place_within_one_step_of_the_clock_is_never_torn() {
        use std::os::unix::fs::FileExt as _;
        let path = tempfile::NamedTempFile::new().unwrap();
        let half = LIMIT as u64 / 2;
        let mut judged = 0;
        while judged < 20 {
            path.as_file().write_all_at(&vec![b'a'; LIMIT], 0).unwrap();
            thread::sleep(STEP * 2);
            path.as_file().write_all_at(&vec![b'b'; LIMIT / 2], 0).unwrap();
            let first = std::time::Instant::now();
            let (read, gap) = thread::scope(|scope| {
                let reader = scope.spawn(|| read_path(path.path()).unwrap().0);
                thread::sleep(Duration::from_millis(2));
                path.as_file().write_all_at(&vec![b'b'; LIMIT / 2], half).unwrap();
                let gap = first.elapsed();
                (reader.join().unwrap(), gap)
            });
            // A writer that is delayed half-way looks like one that has finished.
            if gap < STEP / 2 {
                assert!(read.iter().all(|byte| *byte == b'b'), "torn");
                judged += 1;
            }
        }
    }

    #[test]
    fn c15_a_growing_file_is_read_as_it_was_at_one_moment() {
        let path = tempfile::NamedTempFile::new().unwrap();
        let mut writer = std::fs::OpenOptions::new().append(true).open(path.path()).unwrap();
        thread::scope(|scope| {
            scope.spawn(move || (0..2_000).for_each(|_| writer.write_all(b"0123456789abcdef").unwrap()));
            for _ in 0..200 {
                match read_path(path.path()) {
                    Ok((bytes, stat)) => assert_eq!(bytes.len() as i64, stat.st_size),
                    Err(error) => assert_eq!(error, ReadError::Changing),
                }
            }
        });
    }
}
