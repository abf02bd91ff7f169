//! Writes files that are complete and have their final mode from the moment they have a name.

use std::os::fd::{AsRawFd, OwnedFd};

use rustix::fs::{AtFlags, Gid, Mode, OFlags, RenameFlags, Uid};
use rustix::io::Errno;
use rustix::rand::{GetRandomFlags, getrandom};

/// Writes a file in a directory. An existing file, symbolic link or hard link of that name is replaced, never written
/// through.
///
/// The file is created without a name (`O_TMPFILE`, open(2)) and linked when it is complete. If the file system does
/// not support that, it is created under a temporary name with mode 0600, and renamed.
pub fn write(directory: &OwnedFd, name: &str, bytes: &[u8], mode: u32) -> Result<(), Errno> {
    match linked(directory, name, bytes, mode) {
        Err(errno) if errno == Errno::EXIST || is_unsupported(errno) => {
            rename(directory, &stage(directory, name, bytes, mode)?, name)
        }
        other => other,
    }
}

/// The same for a name that must be free: an existing file, even one created meanwhile, stays, and the result is `EXIST`.
pub fn create(directory: &OwnedFd, name: &str, bytes: &[u8], mode: u32) -> Result<(), Errno> {
    match linked(directory, name, bytes, mode) {
        Err(errno) if is_unsupported(errno) => {
            rename_new(directory, &stage(directory, name, bytes, mode)?, name)
        }
        other => other,
    }
}

/// Whom a file shall belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner {
    pub uid: u32,
    pub gid: u32,
}

impl Owner {
    /// Gives an open file to the owner. Its mode must be final: afterwards, only the owner can change it.
    pub fn give(self, file: &OwnedFd) -> Result<(), Errno> {
        rustix::fs::fchown(file, Some(Uid::from_raw(self.uid)), Some(Gid::from_raw(self.gid)))
    }
}

/// The same as `write`, for another user if there is one; it is theirs before it has its name. The directory must be
/// closed to others. It is not linked: without `CAP_FOWNER`, the kernel forbids links to files of others
/// (`fs.protected_hardlinks`, proc(5)).
pub fn write_for(
    owner: Option<Owner>,
    directory: &OwnedFd,
    name: &str,
    bytes: &[u8],
    mode: u32,
) -> Result<(), Errno> {
    let Some(Owner { uid, gid }) = owner else { return write(directory, name, bytes, mode) };
    let temporary = stage(directory, name, bytes, mode)?;
    let (uid, gid) = (Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)));
    let given = rustix::fs::chownat(directory, &temporary, uid, gid, AtFlags::SYMLINK_NOFOLLOW);
    removing_on_failure(directory, &temporary, given)?;
    rename(directory, &temporary, name)
}

/// Writes a file under a temporary name, and returns that name.
pub fn stage(directory: &OwnedFd, name: &str, bytes: &[u8], mode: u32) -> Result<String, Errno> {
    let temporary = format!(".{name}.{}", random_suffix()?);
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = rustix::fs::openat(directory, &temporary, flags, Mode::RUSR | Mode::WUSR)?;
    match fill(&file, bytes, mode) {
        Ok(()) => Ok(temporary),
        Err(errno) => {
            remove(directory, &temporary);
            Err(errno)
        }
    }
}

/// Gives two files each other's name in one moment (`RENAME_EXCHANGE`, rename(2)).
pub fn exchange(directory: &OwnedFd, one: &str, other: &str) -> Result<(), Errno> {
    rustix::fs::renameat_with(directory, one, directory, other, RenameFlags::EXCHANGE)
}

/// Whether a name is a temporary one, and for what.
#[must_use]
pub fn staged_for(name: &str) -> Option<&str> {
    let (name, suffix) = name.strip_prefix('.')?.rsplit_once('.')?;
    let is_random = suffix.len() == 16 && suffix.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_random.then_some(name)
}

/// Replaces a name by another.
pub fn rename(directory: &OwnedFd, from: &str, to: &str) -> Result<(), Errno> {
    removing_on_failure(directory, from, rustix::fs::renameat(directory, from, directory, to))
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

/// Whether the limit of file sizes allows so many bytes (`RLIMIT_FSIZE`).
pub fn within_limit(bytes: usize) -> Result<(), Errno> {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Fsize).current;
    if limit.is_some_and(|limit| limit < bytes as u64) { Err(Errno::FBIG) } else { Ok(()) }
}

/// Why a file was not written; names the limit if one was reached.
#[must_use]
pub fn why(errno: Errno) -> String {
    match errno {
        Errno::FBIG => "it is larger than the limit of file sizes allows (RLIMIT_FSIZE, `ulimit -f`)".into(),
        other => std::io::Error::from(other).to_string(),
    }
}

/// Without `O_TMPFILE`, or without /proc, by which an unnamed file gets its name.
fn is_unsupported(errno: Errno) -> bool {
    [Errno::OPNOTSUPP, Errno::ISDIR, Errno::INVAL, Errno::NOENT].contains(&errno)
}

/// A file that is complete before it has its name; linkat cannot replace.
fn linked(directory: &OwnedFd, name: &str, bytes: &[u8], mode: u32) -> Result<(), Errno> {
    let flags = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
    let file = rustix::fs::openat(directory, ".", flags, Mode::RUSR | Mode::WUSR)?;
    fill(&file, bytes, mode)?;
    let unnamed = format!("/proc/self/fd/{}", file.as_raw_fd());
    rustix::fs::linkat(rustix::fs::CWD, &unnamed, directory, name, AtFlags::SYMLINK_FOLLOW)
}

fn fill(file: &OwnedFd, bytes: &[u8], mode: u32) -> Result<(), Errno> {
    write_all(file, bytes)?;
    rustix::fs::fchmod(file, Mode::from_raw_mode(mode))
}

/// If the file system cannot rename without replacing (NFS), a second link does the same.
fn rename_new(directory: &OwnedFd, from: &str, to: &str) -> Result<(), Errno> {
    let renamed = match rustix::fs::renameat_with(directory, from, directory, to, RenameFlags::NOREPLACE) {
        Err(Errno::INVAL | Errno::NOSYS) => {
            rustix::fs::linkat(directory, from, directory, to, AtFlags::empty())
                .and_then(|()| rustix::fs::unlinkat(directory, from, AtFlags::empty()))
        }
        other => other,
    };
    removing_on_failure(directory, from, renamed)
}

fn removing_on_failure(directory: &OwnedFd, name: &str, result: Result<(), Errno>) -> Result<(), Errno> {
    if result.is_err() {
        remove(directory, name);
    }
    result
}

fn remove(directory: &OwnedFd, name: &str) {
    // The error that led here is the one to report, not this.
    let _ = rustix::fs::unlinkat(directory, name, AtFlags::empty());
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{MetadataExt as _, symlink};

    use super::*;

    type Write = fn(&OwnedFd, &str, &[u8], u32) -> Result<(), Errno>;
    const BOTH: [Write; 2] = [write, staged];

    fn staged(directory: &OwnedFd, name: &str, bytes: &[u8], mode: u32) -> Result<(), Errno> {
        rename(directory, &stage(directory, name, bytes, mode)?, name)
    }

    fn staged_new(directory: &OwnedFd, name: &str, bytes: &[u8], mode: u32) -> Result<(), Errno> {
        rename_new(directory, &stage(directory, name, bytes, mode)?, name)
    }

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

    #[test]
    fn c20_what_is_created_never_takes_the_place_of_anything() {
        for create in [create, staged_new] {
            let (directory, open) = opened();
            create(&open, "a", b"first", 0o600).unwrap();
            symlink("nothing", directory.path().join("b")).unwrap();
            for name in ["a", "b"] {
                assert_eq!(create(&open, name, b"second", 0o600), Err(Errno::EXIST));
            }
            assert_eq!(fs::read(directory.path().join("a")).unwrap(), b"first");
            assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 2);
        }
    }

    #[test]
    fn a_temporary_name_says_for_what_it_is() {
        let (_directory, open) = opened();
        let temporary = stage(&open, ".a.b", b"", 0o600).unwrap();
        assert_eq!(staged_for(&temporary), Some(".a.b"));
        assert_eq!(staged_for(".a.0123456789abcdeg"), None);
        assert_eq!(staged_for("a.0123456789abcdef"), None);
    }
}
