//! Where the env file goes: a file in memory, or a pipe.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;

use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;

use crate::config::Config;
use crate::delivery::files::is_in_memory;
use crate::error::{Problem, Reason};
use crate::escape::escaped_path;
use crate::logger::Logger;
use crate::setting::VARIABLE;
use crate::system::{output, write};

/// The kubelet reads it as root.
const MODE: u32 = 0o600;

/// Opened before any secret is read.
pub(super) struct Output {
    place: Place,
    shown: String,
}

enum Place {
    /// How long to wait for its reader.
    Pipe(Duration),
    /// A name in a directory.
    File(OwnedFd, String),
}

impl Output {
    pub(super) fn open(path: &Path, config: &Config, log: &Logger) -> Result<Self, Problem> {
        if path == Path::new("-") {
            let place = Place::Pipe(config.start_timeout);
            return is_pipe().then(|| Self { place, shown: "standard output".into() }).ok_or_else(not_a_pipe);
        }
        let shown = escaped_path(path);
        let refused = |why: String| refused(&shown, &why);
        let failed = |errno| refused(write::why(errno));
        let (directory, name) = parts(path).ok_or_else(|| refused("it has no file name in UTF-8".into()))?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = rustix::fs::open(directory, flags, Mode::empty()).map_err(failed)?;
        match is_in_memory(&directory).map_err(failed)? {
            true => {}
            false if config.allow_disk => log.tolerated(&on_disk(&shown)),
            false => return Err(on_disk(&shown)),
        }
        match existing(&directory, name).map_err(failed)? {
            None | Some(FileType::RegularFile) => {}
            Some(_) => return Err(refused("it exists and is not a regular file".into())),
        }
        Ok(Self { place: Place::File(directory, name.to_owned()), shown })
    }

    pub(super) fn is_file(&self) -> bool {
        matches!(self.place, Place::File(..))
    }

    pub(super) fn shown(&self) -> &str {
        &self.shown
    }

    /// A file is complete from the moment it has its name.
    pub(super) fn write(&self, text: &[u8]) -> Result<(), Problem> {
        match &self.place {
            Place::Pipe(patience) => {
                output::write_all(rustix::stdio::stdout(), text, *patience).map_err(unread)
            }
            Place::File(directory, name) => write::write(directory, name, text, MODE)
                .map_err(|errno| refused(&self.shown, &write::why(errno))),
        }
    }
}

fn parts(path: &Path) -> Option<(&Path, &str)> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    Some((parent.unwrap_or(Path::new(".")), path.file_name()?.to_str()?))
}

fn existing(directory: &OwnedFd, name: &str) -> Result<Option<FileType>, Errno> {
    match rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(FileType::from_raw_mode(stat.st_mode))),
        Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(errno),
    }
}

fn is_pipe() -> bool {
    let stat = rustix::fs::fstat(rustix::stdio::stdout());
    stat.is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Fifo)
}

fn not_a_pipe() -> Problem {
    Problem::new(
        Reason::CannotCreate,
        "stdout",
        "secrets are not written to standard output, because it is not a pipe",
        "pipe it to the program that reads it, or name a file on a tmpfs with --output",
    )
}

fn unread(errno: Errno) -> Problem {
    let what = format!("cannot write to standard output: {}", std::io::Error::from(errno));
    Problem::new(Reason::Io, "stdout", what, "check the program that reads the pipe")
}

fn refused(shown: &str, why: &str) -> Problem {
    let uid = rustix::process::geteuid().as_raw();
    let what = format!("{shown} cannot be written: {why}");
    let fix = format!(
        "give a file in a directory that uid {uid} can write to: an `emptyDir` with `medium: Memory`"
    );
    Problem::new(Reason::CannotCreate, shown, what, fix)
}

fn on_disk(shown: &str) -> Problem {
    let what = format!("{shown} is on a disk, and secrets would be written to it");
    let fix = format!(
        "give a file on a tmpfs: an `emptyDir` with `medium: Memory`; or allow a disk with {}=true",
        VARIABLE.allow_disk
    );
    Problem::new(Reason::Disk, shown, what, fix)
}
