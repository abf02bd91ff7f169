//! Delivery as files: sealed memfds, or files in a run directory.
//!
//! After `execve`, no cryokey process remains to clean up, so a memfd is the default: it disappears with the app. A
//! directory is used only if one is configured.

use std::os::fd::{AsRawFd as _, IntoRawFd as _, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{Access, AtFlags, MemfdFlags, Mode, OFlags, SealFlags};
use rustix::io::Errno;

use super::made::{Made, Thing};
use super::{Delivered, stale};
use crate::config::Config;
use crate::error::{Problem, Reason};
use crate::escape::escaped_path;
use crate::provider::file_variables;
use crate::resolve::Accepted;
use crate::setting::VARIABLE;
use crate::system::write;

/// `f_type` of in-memory file systems (statfs(2)).
const TMPFS: i64 = 0x0102_1994;
const RAMFS: i64 = 0x8584_58f6;

/// `f_type` of proc, sysfs and both cgroup file systems (statfs(2)).
const PSEUDO: [i64; 4] = [0x9fa0, 0x6265_6572, 0x0027_e0eb, 0x6367_7270];

#[derive(Debug, PartialEq, Eq)]
pub enum Place<'a> {
    /// Sealed memfds, readable at `/proc/self/fd/N`.
    Memory,
    Directory(&'a Path),
}

impl<'a> Place<'a> {
    #[must_use]
    pub fn new(config: &'a Config) -> Self {
        config.run_dir.as_deref().map_or(Self::Memory, Self::Directory)
    }
}

pub(super) fn deliver(secrets: &[Accepted<'_>], config: &Config) -> Result<Delivered, Problem> {
    match Place::new(config) {
        _ if secrets.is_empty() => Ok(Delivered::default()),
        Place::Memory => {
            let file_variables = secrets.iter().map(in_memory).collect::<Result<_, _>>()?;
            Ok(Delivered { file_variables, ..Delivered::default() })
        }
        Place::Directory(run_dir) => in_directory(secrets, run_dir, config),
    }
}

/// Whether the run directory, if one is needed, exists, is writable and is in memory. Memory files are created, and
/// dropped by the caller: only that shows whether the limits allow them, and what comes after them.
pub(super) fn check(secrets: &[Accepted<'_>], config: &Config) -> Result<Vec<OwnedFd>, Problem> {
    let run_dir = match Place::new(config) {
        _ if secrets.is_empty() => return Ok(Vec::new()),
        Place::Memory => return secrets.iter().map(memory_file).collect(),
        Place::Directory(run_dir) => run_dir,
    };
    let refused = |errno| directory_refused(run_dir, errno, names(secrets));
    let (parent, _) = open_run_dir(secrets, run_dir, config)?;
    // Beside it, delivering opens a directory and a file.
    let held: [Result<OwnedFd, Errno>; 2] =
        std::array::from_fn(|_| rustix::io::fcntl_dupfd_cloexec(&parent, 0));
    held.iter().try_for_each(|held| held.as_ref().map(drop).map_err(|errno| refused(*errno)))?;
    rustix::fs::accessat(&parent, ".", Access::WRITE_OK | Access::EXEC_OK, AtFlags::EACCESS)
        .map_err(refused)?;
    Ok(Vec::new())
}

fn names(secrets: &[Accepted<'_>]) -> Vec<String> {
    secrets.iter().map(|secret| secret.name.to_string()).collect()
}

fn in_memory(secret: &Accepted<'_>) -> Result<(String, PathBuf), Problem> {
    let name = secret.name.as_str();
    let file = memory_file(secret)?;
    let path = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
    // It stays open for the app; execve closes all other descriptors of cryokey.
    let _ = file.into_raw_fd();
    Ok((file_variables::of(name), path))
}

fn memory_file(secret: &Accepted<'_>) -> Result<OwnedFd, Problem> {
    let name = secret.name.as_str();
    sealed(name, secret.value.secret.expose()).map_err(|errno| memory_refused(name, errno))
}

fn sealed(name: &str, bytes: &[u8]) -> Result<OwnedFd, Errno> {
    let flags = MemfdFlags::ALLOW_SEALING;
    let label = format!("cryokey:{name}");
    let file = match rustix::fs::memfd_create(&label, flags | MemfdFlags::NOEXEC_SEAL) {
        // Linux before 6.3 does not know the flag.
        Err(Errno::INVAL) => rustix::fs::memfd_create(&label, flags)?,
        other => other?,
    };
    write::write_all(&file, bytes)?;
    rustix::fs::fchmod(&file, Mode::RUSR)?;
    rustix::fs::fcntl_add_seals(
        &file,
        SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE,
    )?;
    // Opening /proc/self/fd/N starts at offset 0, but reading descriptor N itself starts at its current offset.
    rustix::fs::seek(&file, rustix::fs::SeekFrom::Start(0))?;
    Ok(file)
}

fn in_directory(secrets: &[Accepted<'_>], run_dir: &Path, config: &Config) -> Result<Delivered, Problem> {
    let refused = |errno| directory_refused(run_dir, errno, names(secrets));
    let (parent, warning) = open_run_dir(secrets, run_dir, config)?;
    stale::remove_all(run_dir);
    let (path, directory) = make_directory(run_dir, &parent).map_err(refused)?;
    let mut delivered = Delivered {
        warnings: warning.into_iter().collect(),
        made: Made::one(Thing::DeliveryDirectory(path.clone())),
        ..Delivered::default()
    };
    stale::sign(&directory).map_err(refused)?;
    for secret in secrets {
        let name = secret.name.as_str();
        write::write(&directory, name, secret.value.secret.expose(), 0o400).map_err(refused)?;
        delivered.file_variables.push((file_variables::of(name), path.join(name)));
    }
    rustix::fs::fchmod(&directory, Mode::RUSR | Mode::XUSR).map_err(refused)?;
    Ok(delivered)
}

/// Opens the run directory. A disk is an error, or a warning if it is allowed.
fn open_run_dir(
    secrets: &[Accepted<'_>],
    run_dir: &Path,
    config: &Config,
) -> Result<(OwnedFd, Option<Problem>), Problem> {
    let refused = |errno| directory_refused(run_dir, errno, names(secrets));
    let parent = open(run_dir).map_err(refused)?;
    if is_pseudo(&parent).map_err(refused)? {
        return Err(refused(Errno::PERM));
    }
    match is_in_memory(&parent).map_err(refused)? {
        true => Ok((parent, None)),
        false if config.allow_disk => Ok((parent, Some(on_disk_allowed(run_dir, names(secrets))))),
        false => Err(on_disk(run_dir, names(secrets))),
    }
}

fn make_directory(run_dir: &Path, parent: &OwnedFd) -> Result<(PathBuf, OwnedFd), Errno> {
    let name = stale::directory_prefix() + &write::random_suffix()?;
    rustix::fs::mkdirat(parent, &name, Mode::RWXU)?;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let directory = rustix::fs::openat(parent, &name, flags, Mode::empty())?;
    Ok((run_dir.join(name), directory))
}

fn open(path: &Path) -> Result<OwnedFd, Errno> {
    rustix::fs::open(path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}

/// Whether a file system shows the kernel's own state: no file can be created there, whatever its modes say.
fn is_pseudo(file: &OwnedFd) -> Result<bool, Errno> {
    Ok(PSEUDO.contains(&rustix::fs::fstatfs(file)?.f_type))
}

/// Whether a file system is in memory: what is written to it never reaches a disk, except through swap.
pub(super) fn is_in_memory(file: &OwnedFd) -> Result<bool, Errno> {
    let kind = rustix::fs::fstatfs(file)?.f_type;
    Ok(kind == TMPFS || kind == RAMFS)
}

fn directory_refused(run_dir: &Path, errno: Errno, names: Vec<String>) -> Problem {
    let path = escaped_path(run_dir);
    let why = std::io::Error::from(errno);
    let uid = rustix::process::geteuid().as_raw();
    Problem {
        reason: Reason::CannotCreate,
        what: format!("files cannot be delivered to {path}: {why} (for {})", names.join(", ")),
        names,
        fix: format!(
            "mount a tmpfs there that uid {uid} can write to (`--tmpfs {path}:uid={uid}`), or unset {} to deliver the \
             files in memory",
            VARIABLE.run_dir
        ),
    }
}

fn on_disk(run_dir: &Path, names: Vec<String>) -> Problem {
    let path = escaped_path(run_dir);
    Problem {
        reason: Reason::Disk,
        what: format!("{path} is on a disk, so {} would be written to it", names.join(", ")),
        names,
        fix: format!(
            "mount a tmpfs there (`--tmpfs {path}`), or allow a disk with {}=true",
            VARIABLE.allow_disk
        ),
    }
}

fn on_disk_allowed(run_dir: &Path, names: Vec<String>) -> Problem {
    Problem {
        what: format!(
            "{} is on a disk, and {} will be written to it",
            escaped_path(run_dir),
            names.join(", ")
        ),
        fix: "mount a tmpfs there to keep secrets in memory".into(),
        ..on_disk(run_dir, names)
    }
}

fn memory_refused(name: &str, errno: Errno) -> Problem {
    let why = std::io::Error::from(errno);
    Problem::new(
        Reason::Resource,
        name,
        format!("cannot create an in-memory file for {name}: {why}"),
        format!("raise the limit of open files or of memory, or set {} to a tmpfs", VARIABLE.run_dir),
    )
}
