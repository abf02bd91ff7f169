//! Delivery by file: in a folder in memory, or without any folder as a sealed memfd.
//!
//! In exec mode nobody of ours is left to clean up, so a memfd is the default: it goes with the app. A folder is
//! used where the operator names one.

use std::os::fd::{AsRawFd as _, IntoRawFd as _, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{Access, AtFlags, MemfdFlags, Mode, OFlags, SealFlags};
use rustix::io::Errno;

use super::{Accepted, Placed, accepted, atomic, environment, leftovers};
use crate::config::Config;
use crate::error::{Exit, Problem};
use crate::escape::escaped;
use crate::manifest::Deliver;
use crate::resolve::Resolution;
use crate::setting::VARIABLE;

/// `f_type` of file systems that are in memory (statfs(2)).
const TMPFS: i64 = 0x0102_1994;
const RAMFS: i64 = 0x8584_58f6;

/// How files will be delivered.
#[derive(Debug, PartialEq, Eq)]
pub enum Place<'a> {
    /// As sealed memfds: readable at `/proc/self/fd/N`, gone with the app.
    Memory,
    /// Below this folder.
    Folder(&'a Path),
}

impl<'a> Place<'a> {
    /// Where a configuration wants files.
    #[must_use]
    pub fn new(config: &'a Config) -> Self {
        config.run_dir.as_deref().map_or(Self::Memory, Self::Folder)
    }
}

/// Delivers every secret that is wanted as a file.
pub(super) fn place(
    resolution: &Resolution<'_>,
    config: &Config,
    placed: &mut Placed,
) -> Result<(), Problem> {
    let secrets = wanted(resolution);
    if secrets.is_empty() {
        return Ok(());
    }
    match Place::new(config) {
        Place::Memory => secrets.into_iter().try_for_each(|secret| in_memory(secret, placed)),
        Place::Folder(run_dir) => in_folder(&secrets, run_dir, config, placed),
    }
}

/// Whether the folder is there, writable for us and in memory, where one is needed.
pub(super) fn check(resolution: &Resolution<'_>, config: &Config) -> Result<(), Problem> {
    let secrets = wanted(resolution);
    let (Place::Folder(run_dir), false) = (Place::new(config), secrets.is_empty()) else { return Ok(()) };
    let parent = open_run_dir(&secrets, run_dir, config, &mut Placed::default())?;
    rustix::fs::accessat(&parent, ".", Access::WRITE_OK | Access::EXEC_OK, AtFlags::EACCESS)
        .map_err(|errno| folder_refused(run_dir, errno, names(&secrets)))
}

fn wanted<'a>(resolution: &'a Resolution<'_>) -> Vec<Accepted<'a>> {
    let is_file = |secret: &Accepted<'_>| matches!(secret.entry.rule.deliver, Deliver::File | Deliver::Both);
    accepted(resolution).filter(is_file).collect()
}

fn names(secrets: &[Accepted<'_>]) -> Vec<String> {
    secrets.iter().map(|secret| secret.entry.name.to_string()).collect()
}

fn in_memory(secret: Accepted<'_>, placed: &mut Placed) -> Result<(), Problem> {
    let name = secret.entry.name.as_str();
    let file = sealed(name, secret.value.secret.expose()).map_err(|errno| memory_refused(name, errno))?;
    let path = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
    // It stays open for the app; everything else of ours closes at execve.
    let _ = file.into_raw_fd();
    placed.file_variables.push((environment::file_variable(name), path));
    Ok(())
}

fn sealed(name: &str, bytes: &[u8]) -> Result<OwnedFd, Errno> {
    let flags = MemfdFlags::ALLOW_SEALING;
    let label = format!("cryokey:{name}");
    let file = match rustix::fs::memfd_create(&label, flags | MemfdFlags::NOEXEC_SEAL) {
        // Before Linux 6.3 the flag is unknown.
        Err(Errno::INVAL) => rustix::fs::memfd_create(&label, flags)?,
        other => other?,
    };
    atomic::write_all(&file, bytes)?;
    rustix::fs::fchmod(&file, Mode::RUSR)?;
    rustix::fs::fcntl_add_seals(
        &file,
        SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE,
    )?;
    // Readers begin where the descriptor stands; /proc/self/fd/N opens anew, a plain `fd N` does not.
    rustix::fs::seek(&file, rustix::fs::SeekFrom::Start(0))?;
    Ok(file)
}

fn in_folder(
    secrets: &[Accepted<'_>],
    run_dir: &Path,
    config: &Config,
    placed: &mut Placed,
) -> Result<(), Problem> {
    let refused = |errno| folder_refused(run_dir, errno, names(secrets));
    let parent = open_run_dir(secrets, run_dir, config, placed)?;
    leftovers::remove_all(run_dir);
    let (path, folder) = make_folder(run_dir, &parent).map_err(refused)?;
    placed.folder = Some(path.clone());
    leftovers::sign(&folder).map_err(refused)?;
    for secret in secrets {
        let name = secret.entry.name.as_str();
        atomic::write(&folder, name, secret.value.secret.expose(), 0o400).map_err(refused)?;
        placed.file_variables.push((environment::file_variable(name), path.join(name)));
    }
    rustix::fs::fchmod(&folder, Mode::RUSR | Mode::XUSR).map_err(refused)
}

/// Opens the folder that the operator named; a disk is refused unless that is allowed.
fn open_run_dir(
    secrets: &[Accepted<'_>],
    run_dir: &Path,
    config: &Config,
    placed: &mut Placed,
) -> Result<OwnedFd, Problem> {
    let refused = |errno| folder_refused(run_dir, errno, names(secrets));
    let parent = open(run_dir).map_err(refused)?;
    if !is_in_memory(&parent).map_err(refused)? {
        if !config.allow_disk {
            return Err(on_disk(run_dir, names(secrets)));
        }
        placed.warnings.push(on_disk_allowed(run_dir, names(secrets)));
    }
    Ok(parent)
}

fn make_folder(run_dir: &Path, parent: &OwnedFd) -> Result<(PathBuf, OwnedFd), Errno> {
    let name = leftovers::folder_prefix() + &atomic::random_suffix()?;
    rustix::fs::mkdirat(parent, &name, Mode::RWXU)?;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let folder = rustix::fs::openat(parent, &name, flags, Mode::empty())?;
    Ok((run_dir.join(name), folder))
}

fn open(path: &Path) -> Result<OwnedFd, Errno> {
    rustix::fs::open(path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}

/// Whether a file system is in memory: what is written there is never on a disk, save for swap.
pub(super) fn is_in_memory(file: &OwnedFd) -> Result<bool, Errno> {
    let kind = rustix::fs::fstatfs(file)?.f_type;
    Ok(kind == TMPFS || kind == RAMFS)
}

fn folder_refused(run_dir: &Path, errno: Errno, names: Vec<String>) -> Problem {
    let path = escaped(run_dir.as_os_str().as_encoded_bytes());
    let why = std::io::Error::from(errno);
    Problem {
        exit: Exit::CannotCreate,
        what: format!("files cannot be delivered to {path}: {why} (for {})", names.join(", ")),
        names,
        reason: "cannot-create",
        fix: format!(
            "mount a tmpfs there that uid {} can write (`--tmpfs {path}`), or unset {} to deliver without a folder",
            rustix::process::geteuid().as_raw(),
            VARIABLE.run_dir
        ),
    }
}

fn on_disk(run_dir: &Path, names: Vec<String>) -> Problem {
    let path = escaped(run_dir.as_os_str().as_encoded_bytes());
    Problem {
        exit: Exit::CannotCreate,
        what: format!("{path} is not in memory, so {} would be written to a disk", names.join(", ")),
        names,
        reason: "disk",
        fix: format!(
            "mount a tmpfs there (`--tmpfs {path}`), or accept a disk with {}=true",
            VARIABLE.allow_disk
        ),
    }
}

fn on_disk_allowed(run_dir: &Path, names: Vec<String>) -> Problem {
    Problem { fix: "mount a tmpfs there to keep them in memory".into(), ..on_disk(run_dir, names) }
}

fn memory_refused(name: &str, errno: Errno) -> Problem {
    let why = std::io::Error::from(errno);
    Problem::new(
        Exit::Resource,
        "resource",
        name,
        format!("no memory file could be made for {name}: {why}"),
        format!("raise the limit of open files or of memory, or name a tmpfs by {}", VARIABLE.run_dir),
    )
}
