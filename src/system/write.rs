//! Writing files that are whole and have their final mode from the first moment at which they have a name.

use std::os::fd::{AsRawFd, OwnedFd};

use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;
use rustix::rand::{GetRandomFlags, getrandom};

/// Writes a file in a folder. What had the name before is replaced as a name: never written through.
///
/// The file is made without a name (`O_TMPFILE`, open(2)) and linked when it is complete. Where the file system
/// cannot do that it is made under a temporary name with mode 0600, and renamed.
pub fn write(folder: &OwnedFd, name: &str, bytes: &[u8], mode: u32) -> Result<(), Errno> {
    match unnamed(folder, bytes, mode) {
        Ok(file) => match link(folder, &file, name) {
            Err(Errno::NOENT) => write_renamed(folder, name, bytes, mode),
            other => other,
        },
        Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL) => write_renamed(folder, name, bytes, mode),
        Err(errno) => Err(errno),
    }
}

/// Sixteen random hexadecimal digits.
pub fn random_suffix() -> Result<String, Errno> {
    let mut bytes = [0; 8];
    getrandom(&mut bytes, GetRandomFlags::empty())?;
    Ok(format!("{:016x}", u64::from_ne_bytes(bytes)))
}

/// Writes all bytes to an open file.
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

fn unnamed(folder: &OwnedFd, bytes: &[u8], mode: u32) -> Result<OwnedFd, Errno> {
    let flags = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
    let file = rustix::fs::openat(folder, ".", flags, Mode::RUSR | Mode::WUSR)?;
    fill(&file, bytes, mode)?;
    Ok(file)
}

fn fill(file: &OwnedFd, bytes: &[u8], mode: u32) -> Result<(), Errno> {
    write_all(file, bytes)?;
    rustix::fs::fchmod(file, Mode::from_raw_mode(mode))
}

/// Gives an unnamed file its name. linkat cannot replace, so an existing name is replaced by a rename.
fn link(folder: &OwnedFd, file: &OwnedFd, name: &str) -> Result<(), Errno> {
    let unnamed = format!("/proc/self/fd/{}", file.as_raw_fd());
    let link_as =
        |name: &str| rustix::fs::linkat(rustix::fs::CWD, &unnamed, folder, name, AtFlags::SYMLINK_FOLLOW);
    match link_as(name) {
        Err(Errno::EXIST) => {
            let temporary = temporary(name)?;
            link_as(&temporary)?;
            rename(folder, &temporary, name)
        }
        other => other,
    }
}

fn write_renamed(folder: &OwnedFd, name: &str, bytes: &[u8], mode: u32) -> Result<(), Errno> {
    let temporary = temporary(name)?;
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = rustix::fs::openat(folder, &temporary, flags, Mode::RUSR | Mode::WUSR)?;
    let filled = fill(&file, bytes, mode);
    if filled.is_err() {
        remove(folder, &temporary);
    }
    filled.and_then(|()| rename(folder, &temporary, name))
}

fn rename(folder: &OwnedFd, from: &str, to: &str) -> Result<(), Errno> {
    let renamed = rustix::fs::renameat(folder, from, folder, to);
    if renamed.is_err() {
        remove(folder, from);
    }
    renamed
}

fn remove(folder: &OwnedFd, name: &str) {
    // The error that led here is the one to report.
    let _ = rustix::fs::unlinkat(folder, name, AtFlags::empty());
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

    fn folder() -> (tempfile::TempDir, OwnedFd) {
        let directory = tempfile::tempdir().unwrap();
        let open = fs::File::open(directory.path()).unwrap().into();
        (directory, open)
    }

    #[test]
    fn a_file_has_its_content_and_its_mode_and_nothing_else_is_left() {
        for write in BOTH {
            let (directory, open) = folder();
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
            let (directory, open) = folder();
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
    fn c20_a_folder_of_that_name_is_refused_and_nothing_is_left() {
        for write in BOTH {
            let (directory, open) = folder();
            fs::create_dir(directory.path().join("a")).unwrap();
            assert_eq!(write(&open, "a", b"new", 0o400), Err(Errno::ISDIR));
            assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
        }
    }
}
