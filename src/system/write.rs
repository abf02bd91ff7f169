//! Writes files that are complete and have their final mode from the moment they have a name.

use std::os::fd::{AsRawFd, OwnedFd};

use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;
use rustix::rand::{GetRandomFlags, getrandom};

/// Writes a file in a directory. An existing file, symbolic link or hard link of that name is replaced, never written
/// through.
///
/// The file is created without a name (`O_TMPFILE`, open(2)) and linked when it is complete. If the file system does
/// not support that, it is created under a temporary name with mode 0600, and renamed.
pub fn write(directory: &OwnedFd, name: &str, bytes: &[u8], mode: u32) -> Result<(), Errno> {
    match unnamed(directory, bytes, mode) {
        Ok(file) => match link(directory, &file, name) {
            Err(Errno::NOENT) => write_renamed(directory, name, bytes, mode),
            other => other,
        },
        Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL) => write_renamed(directory, name, bytes, mode),
        Err(errno) => Err(errno),
    }
}

/// Sixteen random hexadecimal digits.
pub fn random_suffix() -> Result<String, Errno> {
    let mut bytes = [0; 8];
    getrandom(&mut bytes, GetRandomFlags::empty())?;
    Ok(format!("{:016x}", u64::from_ne_bytes(bytes)))
}

pub fn write_all(file: &OwnedFd, mut bytes: &[u8]) -> Result<(), Errno> {
    while !bytes.is_empty() {
        match rustix::io::write(file, bytes) {
            Ok(0) => return Err(Errno::NOSPC),
            Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

fn unnamed(directory: &OwnedFd, bytes: &[u8], mode: u32) -> Result<OwnedFd, Errno> {
    let flags = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
    let file = rustix::fs::openat(directory, ".", flags, Mode::RUSR | Mode::WUSR)?;
    fill(&file, bytes, mode)?;
    Ok(file)
}

fn fill(file: &OwnedFd, bytes: &[u8], mode: u32) -> Result<(), Errno> {
    write_all(file, bytes)?;
    rustix::fs::fchmod(file, Mode::from_raw_mode(mode))
}

/// Gives an unnamed file its name. linkat does not replace an existing file, so that takes a rename.
fn link(directory: &OwnedFd, file: &OwnedFd, name: &str) -> Result<(), Errno> {
    let unnamed = format!("/proc/self/fd/{}", file.as_raw_fd());
    let link_as =
        |name: &str| rustix::fs::linkat(rustix::fs::CWD, &unnamed, directory, name, AtFlags::SYMLINK_FOLLOW);
    match link_as(name) {
        Err(Errno::EXIST) => {
            let temporary = temporary(name)?;
            link_as(&temporary)?;
            rename(directory, &temporary, name)
        }
        other => other,
    }
}

fn write_renamed(directory: &OwnedFd, name: &str, bytes: &[u8], mode: u32) -> Result<(), Errno> {
    let temporary = temporary(name)?;
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = rustix::fs::openat(directory, &temporary, flags, Mode::RUSR | Mode::WUSR)?;
    let filled = fill(&file, bytes, mode);
    if filled.is_err() {
        remove(directory, &temporary);
    }
    filled.and_then(|()| rename(directory, &temporary, name))
}

fn rename(directory: &OwnedFd, from: &str, to: &str) -> Result<(), Errno> {
    let renamed = rustix::fs::renameat(directory, from, directory, to);
    if renamed.is_err() {
        remove(directory, from);
    }
    renamed
}

fn remove(directory: &OwnedFd, name: &str) {
    // The error that led here is the one to report, not this.
    let _ = rustix::fs::unlinkat(directory, name, AtFlags::empty());
}

fn temporary(name: &str) -> Result<String, Errno> {
    Ok(format!(".{name}.{}", random_suffix()?))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{MetadataExt as _, symlink};

    use super::*;

    type Write = fn(&OwnedFd, &str, &[u8], u32) -> Result<(), Errno>;
    const BOTH: [Write; 2] = [write, write_renamed];

    fn opened() -> (tempfile::TempDir, OwnedFd) {
        let directory = tempfile::tempdir().unwrap();
        let open = fs::File::open(directory.path()).unwrap().into();
        (directory, open)
    }

    #[test]
    fn a_file_has_its_content_and_its_mode_and_nothing_else_is_left() {
        for write in BOTH {
            let (directory, open) = opened();
            write(&open, "a", b"value", 0o400).unwrap();
            let path = directory.path().join("a");
            assert_eq!(fs::read(&path).unwrap(), b"value");
            assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o400);
            assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
        }
    }

    #[test]
    fn c20_a_file_a_symlink_and_a_hard_link_are_replaced_as_names() {
        for write in BOTH {
            let (directory, open) = opened();
            let at = |name: &str| directory.path().join(name);
            fs::write(at("other"), "other").unwrap();
            symlink("other", at("link")).unwrap();
            fs::hard_link(at("other"), at("hard")).unwrap();
            for name in ["link", "hard", "link"] {
                write(&open, name, b"new", 0o400).unwrap();
                assert!(fs::symlink_metadata(at(name)).unwrap().is_file());
            }
            assert_eq!(fs::read(at("other")).unwrap(), b"other");
        }
    }

    #[test]
    fn c20_a_directory_of_that_name_is_an_error_and_nothing_is_left() {
        for write in BOTH {
            let (directory, open) = opened();
            fs::create_dir(directory.path().join("a")).unwrap();
            assert_eq!(write(&open, "a", b"new", 0o400), Err(Errno::ISDIR));
            assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
        }
    }
}
