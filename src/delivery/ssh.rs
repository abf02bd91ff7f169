//! SSH keys are placed in the home directory.

use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{Access, AtFlags, Mode, OFlags};
use rustix::io::Errno;
use zeroize::Zeroizing;

use super::made::{Made, Thing};
use super::{Delivered, files};
use crate::config::Config;
use crate::error::{Problem, Reason};
use crate::escape::escaped_path;
use crate::resolve::Accepted;
use crate::ssh_key::Key;
use crate::system::accounts::{self, Home};
use crate::system::{read, write};

/// Places a key, its public half, and a note of what was written, so that a later start knows its own files.
pub(super) fn deliver(
    secret: Accepted<'_>,
    key: &Key,
    config: &Config,
    home: &Home,
) -> Result<Delivered, Problem> {
    let name = secret.name.as_str();
    let path = path_of(key, secret, home)?;
    let refused = |errno| cannot_place(name, &path, errno);
    let mut delivered = Delivered::default();
    if secret.rule.path.is_none() && accounts::differ(home) {
        delivered.warnings.push(two_homes(name, home));
    }
    let (directory, file_name, made) = directory(&path).map_err(refused)?;
    delivered.made.append(made);
    if !files::is_in_memory(&directory).map_err(refused)? && !config.allow_disk {
        delivered.warnings.push(key_on_disk(name, &path));
    }
    let target = Target { directory: &directory, path: &path, secret: name };
    delivered.made.append(target.write(&file_name, key.expose(), 0o600)?);
    if let Some(public) = key.public() {
        let public = format!("{public}\n");
        delivered.made.append(target.write(&format!("{file_name}.pub"), public.as_bytes(), 0o644)?);
    }
    delivered.notes.push(format!("{name}: placed as {}", escaped_path(&path)));
    Ok(delivered)
}

/// Whether a key has a place, no foreign file is in it, and what is missing can be written there.
pub(super) fn check(secret: Accepted<'_>, key: &Key, home: &Home) -> Result<(), Problem> {
    let name = secret.name.as_str();
    let path = path_of(key, secret, home)?;
    let refused = |errno| cannot_place(name, &path, errno);
    let is_written = check_file(name, &path, key.expose())?;
    let public = key.public().map(|public| format!("{public}\n"));
    let mut public_path = path.clone().into_os_string();
    public_path.push(".pub");
    let is_public_written =
        public.map_or(Ok(false), |public| check_file(name, Path::new(&public_path), public.as_bytes()))?;
    check_directory(&path, is_written || is_public_written).map_err(refused)
}

/// Whether a file is still to be written. `Err`: a foreign one is in its place.
fn check_file(secret: &str, path: &Path, bytes: &[u8]) -> Result<bool, Problem> {
    match existing(path, bytes) {
        Existing::Foreign => Err(foreign(secret, path)),
        Existing::Same => Ok(false),
        Existing::Nothing | Existing::Own => Ok(true),
    }
}

/// What `directory` does, short of doing it: where the directory is missing, it is the one above that is written.
fn check_directory(path: &Path, is_written: bool) -> Result<(), Errno> {
    let parent = path.parent().ok_or(Errno::INVAL)?;
    let writable = Access::WRITE_OK | Access::EXEC_OK;
    if parent.symlink_metadata().is_err() {
        let above = parent.parent().ok_or(Errno::INVAL)?;
        return rustix::fs::accessat(rustix::fs::CWD, above, writable, AtFlags::EACCESS);
    }
    let directory =
        rustix::fs::open(parent, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    // Beside it, placing opens the file.
    let _held = rustix::io::fcntl_dupfd_cloexec(&directory, 0)?;
    let is_own = rustix::fs::fstat(&directory)?.st_uid == rustix::process::geteuid().as_raw();
    match rustix::fs::accessat(&directory, ".", writable, AtFlags::EACCESS) {
        // It is given the mode 0700 first.
        Err(Errno::ACCESS) if is_own && parent.ends_with(".ssh") => Ok(()),
        Err(_) if !is_written => Ok(()),
        other => other,
    }
}

fn path_of(key: &Key, secret: Accepted<'_>, home: &Home) -> Result<PathBuf, Problem> {
    if let Some(path) = &secret.rule.path {
        return Ok(path.clone());
    }
    let home = home.path().ok_or_else(|| homeless(secret.name.as_str()))?;
    Ok(home.join(".ssh").join(key.file_name()))
}

/// The directory of a key: made with 0700, and narrowed to it when it is this user's `.ssh`.
fn directory(path: &Path) -> Result<(OwnedFd, String, Made), Errno> {
    let parent = path.parent().ok_or(Errno::INVAL)?;
    let file_name = path.file_name().and_then(|name| name.to_str()).ok_or(Errno::INVAL)?;
    let made = match fs::DirBuilder::new().mode(0o700).create(parent) {
        Ok(()) => Made::one(Thing::Directory(parent.to_owned())),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Made::default(),
        Err(error) => return Err(Errno::from_io_error(&error).unwrap_or(Errno::IO)),
    };
    let directory =
        rustix::fs::open(parent, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let state = rustix::fs::fstat(&directory)?;
    let is_own = state.st_uid == rustix::process::geteuid().as_raw();
    if is_own && state.st_mode & 0o7777 != 0o700 && parent.ends_with(".ssh") {
        rustix::fs::fchmod(&directory, Mode::RWXU)?;
    }
    Ok((directory, file_name.to_owned(), made))
}

/// Where a key's files go.
struct Target<'a> {
    directory: &'a OwnedFd,
    path: &'a Path,
    secret: &'a str,
}

impl Target<'_> {
    /// Writes a file, unless it exists already; a foreign file is never replaced. Gives what did not exist before.
    fn write(&self, name: &str, bytes: &[u8], mode: u32) -> Result<Made, Problem> {
        let path = self.path.with_file_name(name);
        let note = note_name(name);
        let mut made = Made::default();
        match existing(&path, bytes) {
            Existing::Nothing => {
                made.push(Thing::File(path.clone()));
                made.push(Thing::File(path.with_file_name(&note)));
            }
            Existing::Same => return self.narrow(&path, mode).map(|()| made),
            Existing::Own => {}
            Existing::Foreign => return Err(foreign(self.secret, &path)),
        }
        let refused = |errno| cannot_place(self.secret, &path, errno);
        write::write(self.directory, name, bytes, mode).map_err(refused)?;
        let state = path.symlink_metadata().map_err(|_| refused(Errno::IO))?;
        write::write(self.directory, &note, described(&state).as_bytes(), 0o600).map_err(refused)?;
        Ok(made)
    }

    fn narrow(&self, path: &Path, mode: u32) -> Result<(), Problem> {
        let is_right = path.symlink_metadata().is_ok_and(|state| state.mode() & 0o7777 == mode);
        if is_right {
            return Ok(());
        }
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).map_err(|error| {
            cannot_place(self.secret, path, Errno::from_io_error(&error).unwrap_or(Errno::IO))
        })
    }
}

/// What exists where a file shall go.
enum Existing {
    /// Something that cryokey did not write.
    Foreign,
    /// No file.
    Nothing,
    /// A file that an earlier start wrote.
    Own,
    /// The same content.
    Same,
}

fn existing(path: &Path, bytes: &[u8]) -> Existing {
    match path.symlink_metadata() {
        Err(_) => Existing::Nothing,
        Ok(state) if state.is_file() && has_content(path, bytes) => Existing::Same,
        Ok(state) if state.is_file() && is_noted(path, &state) => Existing::Own,
        Ok(_) => Existing::Foreign,
    }
}

fn foreign(secret: &str, path: &Path) -> Problem {
    let path = escaped_path(path);
    Problem::new(
        Reason::ForeignFile,
        secret,
        format!("{secret}: {path} exists with other content, and cryokey did not write it"),
        "remove that file if it is not needed, or give the key another `path` in the manifest",
    )
}

fn has_content(path: &Path, bytes: &[u8]) -> bool {
    read::read_path(path).is_ok_and(|(found, _)| *Zeroizing::new(found) == *bytes)
}

/// The file by which a later start knows what cryokey wrote: inode, size and time of last change, nothing of the
/// content.
fn note_name(name: &str) -> String {
    format!(".{name}.cryokey")
}

fn described(state: &fs::Metadata) -> String {
    format!("{} {} {}.{}\n", state.ino(), state.size(), state.mtime(), state.mtime_nsec())
}

fn is_noted(path: &Path, state: &fs::Metadata) -> bool {
    let Some(name) = path.file_name().and_then(|name| name.to_str()) else { return false };
    let note = read::read_path(&path.with_file_name(note_name(name)));
    note.is_ok_and(|(noted, _)| noted == described(state).as_bytes())
}

fn homeless(name: &str) -> Problem {
    let uid = rustix::process::geteuid().as_raw();
    Problem::new(
        Reason::NoHome,
        name,
        format!(
            "{name} has no place: HOME is not set to an absolute path, and uid {uid} has none in /etc/passwd"
        ),
        "set HOME, or give the key a `path` in the manifest",
    )
}

fn two_homes(name: &str, home: &Home) -> Problem {
    let shown = |path: &Option<PathBuf>| path.as_deref().map(escaped_path).unwrap_or_default();
    Problem::new(
        Reason::TwoHomes,
        name,
        format!(
            "{name} is placed below HOME={}, and /etc/passwd has {}, where ssh looks",
            shown(&home.variable),
            shown(&home.account)
        ),
        "let the two agree, or point ssh to the key with `-i`",
    )
}

fn key_on_disk(name: &str, path: &Path) -> Problem {
    let shown = escaped_path(path);
    Problem::new(
        Reason::Disk,
        name,
        format!("{name} is written to {shown}, which is on a disk"),
        "mount a tmpfs there to keep it in memory",
    )
}

fn cannot_place(name: &str, path: &Path, errno: Errno) -> Problem {
    // What a uid without an entry in /etc/passwd has as HOME; `/` itself should stay closed.
    let is_in_root = path.starts_with("/.ssh");
    let fix = if is_in_root {
        "HOME is `/`, the default for a uid without a passwd entry: set HOME=/home/app and mount a tmpfs there that \
         this uid owns"
    } else {
        "make the directory writable for this user (a tmpfs, where the root file system is read-only), or change \
         `path`"
    };
    let shown = escaped_path(path);
    Problem::new(
        Reason::CannotCreate,
        name,
        format!("{name} cannot be placed as {shown}: {}", std::io::Error::from(errno)),
        fix,
    )
}
