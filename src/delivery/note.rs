//! Notes beside files that cryokey wrote, by which a later startup knows its own: inode, size and time of last change,
//! nothing of the content.

use std::os::fd::OwnedFd;

use rustix::fs::{AtFlags, Mode, OFlags, Stat};
use rustix::io::Errno;

use crate::system::{read, write};

const SUFFIX: &str = ".cryokey";

pub(super) fn name_of(file: &str) -> String {
    format!(".{file}{SUFFIX}")
}

/// The file that a note is about.
pub(super) fn file_of(note: &str) -> Option<&str> {
    note.strip_prefix('.')?.strip_suffix(SUFFIX)
}

/// Notes a file as it is now.
pub(super) fn write(directory: &OwnedFd, file: &str) -> Result<(), Errno> {
    let state = rustix::fs::statat(directory, file, AtFlags::SYMLINK_NOFOLLOW)?;
    write::write(directory, &name_of(file), described(&state).as_bytes(), 0o600)
}

/// Whether a file in this state is noted. A note counts only if this user wrote it: the directory may be open to others.
pub(super) fn is_noted(directory: &OwnedFd, file: &str, state: &Stat) -> bool {
    let note = rustix::fs::openat(directory, name_of(file), read::OPEN | OFlags::NOFOLLOW, Mode::empty());
    let Ok((noted, by)) = note.map_err(Into::into).and_then(|note| read::read(&note)) else { return false };
    by.st_uid == rustix::process::geteuid().as_raw() && noted == described(state).as_bytes()
}

fn described(state: &Stat) -> String {
    format!("{} {} {}.{}\n", state.st_ino, state.st_size, state.st_mtime, state.st_mtime_nsec)
}
