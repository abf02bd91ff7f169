//! Delivery as files: in a run directory, or as sealed memfds if there is none.
//!
//! A directory is preferred because its paths name the same file in every process. `/proc/self/fd/N` depends on the
//! process that opens it.

use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{Access, AtFlags, MemfdFlags, Mode, OFlags, SealFlags, Stat};
use rustix::io::{Errno, FdFlags};

use super::made::{Made, Thing};
use super::{Delivered, Starter, stale};
use crate::config::Config;
use crate::environ::{Environ, variable};
use crate::error::{Problem, Reason};
use crate::escape::escaped_path;
use crate::provider::file_variables;
use crate::provider::files::is_open_to_all;
use crate::resolve::Accepted;
use crate::run_as::RunAs;
use crate::setting::VARIABLE;
use crate::system::write::{self, Owner};

/// `f_type` of in-memory file systems (statfs(2)).
const TMPFS: i64 = 0x0102_1994;
const RAMFS: i64 = 0x8584_58f6;

/// `f_type` of proc, sysfs and both cgroup file systems (statfs(2)).
const PSEUDO: [i64; 4] = [0x9fa0, 0x6265_6572, 0x0027_e0eb, 0x6367_7270];

/// In-memory files get the lowest free number from here on, because files that a child opens itself have small ones.
const FIRST_MEMORY_FILE: i32 = 1_000;

#[derive(Debug, PartialEq, Eq)]
pub enum Place {
    /// Sealed memfds, readable at `/proc/self/fd/N`.
    Memory,
    /// A directory that the operator named; there is no alternative to it.
    Named(PathBuf),
    /// The first usable directory of the usual ones. If it fails, sealed memfds.
    Usual(PathBuf),
}

impl Place {
    #[must_use]
    pub fn new(config: &Config, environ: &Environ, run_as: &RunAs) -> Self {
        if let Some(named) = &config.run_dir {
            return Self::Named(named.clone());
        }
        let of_session = environ.path(variable::XDG_RUNTIME_DIR).filter(|path| path.is_absolute());
        let usual = of_session.into_iter().chain(["/run".into(), "/dev/shm".into()]);
        usual.into_iter().find(|path| will_do(path, run_as)).map_or(Self::Memory, Self::Usual)
    }
}

/// Whether a directory is in memory, writable, safe from other users who can write to it, and open to the app's user.
fn will_do(path: &Path, run_as: &RunAs) -> bool {
    let Ok(directory) = open(path) else { return false };
    let is_fit = |stat: Stat| !is_open_to_all(stat.st_mode) && run_as.can_enter(&stat);
    rustix::fs::fstat(&directory).is_ok_and(is_fit)
        && is_in_memory(&directory).unwrap_or(false)
        && can_write(&directory).is_ok()
}

pub(super) fn deliver(
    secrets: &[Accepted<'_>],
    place: &Place,
    config: &Config,
    run_as: &RunAs,
    starter: Starter<'_>,
) -> Result<Delivered, Problem> {
    let in_memory = || all_in_memory(secrets, run_as.owner());
    match place {
        _ if secrets.is_empty() => Ok(Delivered::default()),
        Place::Memory => in_memory(),
        Place::Named(run_dir) => in_directory(secrets, run_dir, config, run_as, starter),
        Place::Usual(run_dir) => {
            in_directory(secrets, run_dir, config, run_as, starter).or_else(|_| in_memory())
        }
    }
}

/// Whether the run directory, if one is needed, exists, is writable and is in memory. In-memory files are created, and
/// dropped by the caller: only that shows whether the limits allow them, and what comes after them.
pub(super) fn check(
    secrets: &[Accepted<'_>],
    place: &Place,
    config: &Config,
    run_as: &RunAs,
) -> Result<Vec<OwnedFd>, Problem> {
    let in_memory = || secrets.iter().map(|secret| memory_file(secret, run_as.owner())).collect();
    match place {
        _ if secrets.is_empty() => Ok(Vec::new()),
        Place::Memory => in_memory(),
        Place::Named(run_dir) => check_directory(secrets, run_dir, config, run_as),
        Place::Usual(run_dir) => check_directory(secrets, run_dir, config, run_as).or_else(|_| in_memory()),
    }
}

fn check_directory(
    secrets: &[Accepted<'_>],
    run_dir: &Path,
    config: &Config,
    run_as: &RunAs,
) -> Result<Vec<OwnedFd>, Problem> {
    let refused = |errno| directory_refused(run_dir, errno, names(secrets));
    let (parent, _) = open_run_dir(secrets, run_dir, config, run_as)?;
    // Beside it, delivering opens a directory and a file; a directory that is given away stays open.
    let duplicate = || rustix::io::fcntl_dupfd_cloexec(&parent, 0).map_err(refused);
    let (directory, file) = (duplicate()?, duplicate()?);
    drop(file);
    can_write(&parent).map_err(refused)?;
    let sizes = secrets.iter().map(|secret| secret.value.secret.expose().len());
    write::within_limit(sizes.max().unwrap_or_default().max(stale::LONGEST_OWNER)).map_err(refused)?;
    Ok(std::iter::once(parent).chain(run_as.owner().map(|_| directory)).collect())
}

fn names(secrets: &[Accepted<'_>]) -> Vec<String> {
    secrets.iter().map(|secret| secret.name.to_string()).collect()
}

fn all_in_memory(secrets: &[Accepted<'_>], owner: Option<Owner>) -> Result<Delivered, Problem> {
    let made = secrets.iter().map(|secret| memory_file(secret, owner));
    let memory_files = made.collect::<Result<Vec<_>, _>>()?;
    let path = |file: &OwnedFd| PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
    let variables = secrets.iter().map(|secret| file_variables::of(secret.name.as_str()));
    let file_variables = variables.zip(memory_files.iter().map(path)).collect();
    Ok(Delivered { file_variables, memory_files, ..Delivered::default() })
}

fn memory_file(secret: &Accepted<'_>, owner: Option<Owner>) -> Result<OwnedFd, Problem> {
    let name = secret.name.as_str();
    sealed(name, secret.value.secret.expose(), owner).map_err(|errno| memory_refused(name, errno))
}

fn sealed(name: &str, bytes: &[u8], owner: Option<Owner>) -> Result<OwnedFd, Errno> {
    let flags = MemfdFlags::ALLOW_SEALING | MemfdFlags::CLOEXEC;
    let label = format!("cryokey:{name}");
    let file = match rustix::fs::memfd_create(&label, flags | MemfdFlags::NOEXEC_SEAL) {
        // Linux before 6.3 does not know the flag.
        Err(Errno::INVAL) => rustix::fs::memfd_create(&label, flags)?,
        other => other?,
    };
    write::write_all(&file, bytes)?;
    rustix::fs::fchmod(&file, Mode::RUSR)?;
    owner.map_or(Ok(()), |owner| owner.give(&file))?;
    rustix::fs::fcntl_add_seals(
        &file,
        SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE,
    )?;
    // Opening /proc/self/fd/N starts at offset 0, but reading descriptor N itself starts at its current offset.
    rustix::fs::seek(&file, rustix::fs::SeekFrom::Start(0))?;
    numbered(&file)
}

/// The same file at a number that is high enough, and open for the app.
fn numbered(file: &OwnedFd) -> Result<OwnedFd, Errno> {
    let high = rustix::io::fcntl_dupfd_cloexec(file, FIRST_MEMORY_FILE).map_err(|errno| match errno {
        // The limit of open files is lower than the number.
        Errno::INVAL => Errno::MFILE,
        other => other,
    })?;
    rustix::io::fcntl_setfd(&high, FdFlags::empty())?;
    Ok(high)
}

fn in_directory(
    secrets: &[Accepted<'_>],
    run_dir: &Path,
    config: &Config,
    run_as: &RunAs,
    starter: Starter<'_>,
) -> Result<Delivered, Problem> {
    let refused = |errno| directory_refused(run_dir, errno, names(secrets));
    let (parent, warning) = open_run_dir(secrets, run_dir, config, run_as)?;
    let owner = run_as.owner();
    stale::remove_all(&parent, owner);
    let (name, directory) = make_directory(&parent, run_as.uid(), starter).map_err(refused)?;
    let path = run_dir.join(&name);
    let mut delivered = Delivered {
        warnings: warning.into_iter().collect(),
        made: Made::one(Thing::DeliveryDirectory(parent, name)),
        ..Delivered::default()
    };
    stale::sign(&directory, owner, starter.pid()).map_err(refused)?;
    for secret in secrets {
        let name = secret.name.as_str();
        write::write_for(owner, &directory, name, secret.value.secret.expose(), 0o400).map_err(refused)?;
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
    run_as: &RunAs,
) -> Result<(OwnedFd, Option<Problem>), Problem> {
    let refused = |errno| directory_refused(run_dir, errno, names(secrets));
    let parent = open(run_dir).map_err(refused)?;
    let state = rustix::fs::fstat(&parent).map_err(refused)?;
    if !run_as.can_enter(&state) {
        return Err(closed(run_dir, &state, run_as.uid(), names(secrets)));
    }
    if is_pseudo(&parent).map_err(refused)? {
        return Err(refused(Errno::PERM));
    }
    match is_in_memory(&parent).map_err(refused)? {
        true => Ok((parent, None)),
        false if config.allow_disk => Ok((parent, Some(on_disk_allowed(run_dir, names(secrets))))),
        false => Err(on_disk(run_dir, names(secrets))),
    }
}

/// The directory is given to the app's user, after whom it is called, when it is complete.
fn make_directory(parent: &OwnedFd, uid: u32, starter: Starter<'_>) -> Result<(String, OwnedFd), Errno> {
    let name = stale::directory_prefix(uid) + &write::random_suffix()?;
    starter.announce(parent, &name)?;
    rustix::fs::mkdirat(parent, &name, Mode::RWXU)?;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let directory = rustix::fs::openat(parent, &name, flags, Mode::empty())?;
    Ok((name, directory))
}

fn open(path: &Path) -> Result<OwnedFd, Errno> {
    rustix::fs::open(path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}

fn can_write(directory: &OwnedFd) -> Result<(), Errno> {
    rustix::fs::accessat(directory, ".", Access::WRITE_OK | Access::EXEC_OK, AtFlags::EACCESS)
}

/// Whether a file system shows the kernel's own state: no file can be created there, whatever its modes say.
fn is_pseudo(file: &OwnedFd) -> Result<bool, Errno> {
    Ok(PSEUDO.contains(&rustix::fs::fstatfs(file)?.f_type))
}

/// Whether a file system is in memory: what is written to it never reaches a disk, except through swap.
pub fn is_in_memory(file: &OwnedFd) -> Result<bool, Errno> {
    let kind = rustix::fs::fstatfs(file)?.f_type;
    Ok(kind == TMPFS || kind == RAMFS)
}

fn directory_refused(run_dir: &Path, errno: Errno, names: Vec<String>) -> Problem {
    let path = escaped_path(run_dir);
    let why = write::why(errno);
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

fn closed(run_dir: &Path, state: &Stat, uid: u32, names: Vec<String>) -> Problem {
    let path = escaped_path(run_dir);
    Problem {
        reason: Reason::CannotCreate,
        what: format!(
            "files cannot be delivered to {path}: the app's uid {uid} cannot enter it, its owner is uid {}, its mode {:04o} \
             (for {})",
            state.st_uid,
            state.st_mode & 0o7777,
            names.join(", ")
        ),
        names,
        fix: format!("let that uid enter it, for example `--tmpfs {path}:mode=0755`"),
    }
}

pub(super) fn cannot_give(uid: u32, errno: Errno) -> Problem {
    let what =
        format!("the directory of the delivered files cannot be given to uid {uid}: {}", write::why(errno));
    Problem::new(Reason::CannotCreate, "process.user", what, "mount a tmpfs as run directory")
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
    let what = format!("cannot create an in-memory file for {name}: {}", write::why(errno));
    if errno == Errno::FBIG {
        return Problem::new(Reason::CannotCreate, name, what, "raise the limit of file sizes");
    }
    let fix = format!(
        "mount a tmpfs at /run, or set {} to a tmpfs, or raise the limit of open files (to more than \
         {FIRST_MEMORY_FILE}) or of memory",
        VARIABLE.run_dir
    );
    Problem::new(Reason::Resource, name, what, fix)
}
