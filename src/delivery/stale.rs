//! Removes delivery directories of processes that have exited.
//!
//! After `execve`, no cryokey process remains to hold a lock, so each directory records the process it was created for:
//! PID, start time and PID namespace. It is stale once that process has exited. A directory from another PID namespace
//! is never touched.

use std::ffi::CString;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use rustix::fs::{AtFlags, Dir, Mode, OFlags};
use rustix::io::Errno;
use rustix::path::Arg;
use rustix::process::{Pid, test_kill_process};

use crate::system::read::{self, ReadError};
use crate::system::write::{self, Owner};

const OWNER: &str = ".owner";

/// A directory is signed immediately after it is created. One that is older than this and not signed never will be.
const SIGNING: Duration = Duration::from_mins(1);

/// How many directories, and files in one, are examined, and for how long: other users may have created them.
const MOST: usize = 10_000;
const LONGEST: Duration = Duration::from_millis(500);

const DIRECTORY: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Three numbers and their names.
pub(super) const LONGEST_OWNER: usize = 64;

/// The names of a user's delivery directories begin with this. Until it is complete, a directory belongs to cryokey's own
/// user.
pub(super) fn directory_prefix(uid: u32) -> String {
    format!("cryokey-{uid}-")
}

/// Records the process for which the directory is created. Without /proc nothing is recorded, and the directory is never
/// removed.
pub(super) fn sign(directory: &OwnedFd, reader: Option<Owner>, process: Pid) -> Result<(), Errno> {
    match owner(&process.as_raw_nonzero().to_string()) {
        Ok(Some(owner)) => write::write_for(reader, directory, OWNER, owner.as_bytes(), 0o400),
        Ok(None) | Err(_) => Ok(()),
    }
}

/// Removes the stale directories of this user in a directory, and those of the app's user, as many as can be examined
/// within the limits. The next startup continues. Root without `CAP_DAC_OVERRIDE` cannot look into those of others, so
/// they stay.
pub(super) fn remove_all(run_dir: &OwnedFd, app: Option<Owner>) {
    let started = Instant::now();
    let Ok(entries) = list(run_dir) else { return };
    let uids: Vec<u32> = [own_uid()].into_iter().chain(app.map(|app| app.uid)).collect();
    let prefixes: Vec<String> = uids.iter().map(|uid| directory_prefix(*uid)).collect();
    let has_own_name =
        |name: &CString| prefixes.iter().any(|prefix| name.as_bytes().starts_with(prefix.as_bytes()));
    let in_time = entries.take_while(|_| started.elapsed() < LONGEST);
    for name in in_time.filter(has_own_name).take(MOST) {
        let Ok(directory) = open_own(run_dir, &name, &uids) else { continue };
        if is_stale(&directory) {
            // Another startup may be removing it at the same time.
            let _ = empty(&directory).and_then(|()| rustix::fs::unlinkat(run_dir, &name, AtFlags::REMOVEDIR));
        }
    }
}

/// Gives a directory, which is complete, to the user of the files in it.
pub(super) fn give(run_dir: &OwnedFd, name: &str, owner: Owner) -> Result<(), Errno> {
    owner.give(&open_own(run_dir, name, &[own_uid()])?)
}

/// Removes a directory and the files in it, whether it has been given to the app's user or not.
pub(super) fn remove(run_dir: &OwnedFd, name: &str) -> Result<(), Errno> {
    take_back(run_dir, name)?;
    empty(&open_own(run_dir, name, &[own_uid()])?)?;
    rustix::fs::unlinkat(run_dir, name, AtFlags::REMOVEDIR)
}

/// Root takes back a directory that belongs to the user after whom it is called. Without `CAP_DAC_OVERRIDE` it could
/// neither empty nor read it, so it is opened as a path only.
fn take_back(run_dir: &OwnedFd, name: &str) -> Result<(), Errno> {
    let own = rustix::process::geteuid();
    if !own.is_root() {
        return Ok(());
    }
    let directory = rustix::fs::openat(run_dir, name, DIRECTORY.union(OFlags::PATH), Mode::empty())?;
    let owner = rustix::fs::fstat(&directory)?.st_uid;
    if owner == own.as_raw() || !name.starts_with(&directory_prefix(owner)) {
        return Ok(());
    }
    rustix::fs::chownat(&directory, "", Some(own), None, AtFlags::EMPTY_PATH)
}

fn own_uid() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// By descriptor from here on: any user who can write to the run directory can exchange names in it at any moment.
fn open_own(run_dir: &OwnedFd, name: impl Arg, uids: &[u32]) -> Result<OwnedFd, Errno> {
    let directory = rustix::fs::openat(run_dir, name, DIRECTORY, Mode::empty())?;
    let is_own = uids.contains(&rustix::fs::fstat(&directory)?.st_uid);
    if is_own { Ok(directory) } else { Err(Errno::PERM) }
}

/// Removes the files in a directory, whose mode 0500 is widened first. cryokey creates no directory in it; one that the
/// app has made stays, without keeping the files.
fn empty(directory: &OwnedFd) -> Result<(), Errno> {
    rustix::fs::fchmod(directory, Mode::RWXU)?;
    let removed =
        list(directory)?.take(MOST).map(|name| rustix::fs::unlinkat(directory, &name, AtFlags::empty()));
    removed.fold(Ok(()), Result::and)
}

fn list(directory: &OwnedFd) -> Result<impl Iterator<Item = CString>, Errno> {
    let entries = Dir::read_from(directory)?.map_while(Result::ok);
    Ok(entries
        .map(|entry| entry.file_name().to_owned())
        .filter(|name| ![c".", c".."].contains(&name.as_c_str())))
}

fn is_stale(directory: &OwnedFd) -> bool {
    let signed = rustix::fs::openat(directory, OWNER, read::OPEN | OFlags::NOFOLLOW, Mode::empty());
    match signed.map_err(Into::into).and_then(|file| read::read(&file)) {
        Ok((signed, _)) => is_orphan(&String::from_utf8_lossy(&signed)),
        // Not signed yet, or killed before that; no secret has been written to it then.
        Err(ReadError::Os(Errno::NOENT)) => is_older_than(directory, SIGNING),
        Err(_) => false,
    }
}

fn is_older_than(directory: &OwnedFd, age: Duration) -> bool {
    let Ok(stat) = rustix::fs::fstat(directory) else { return false };
    let made = u64::try_from(stat.st_mtime).map(|made| SystemTime::UNIX_EPOCH + Duration::from_secs(made));
    made.is_ok_and(|made| made.elapsed().is_ok_and(|since| since > age))
}

/// Whether the process that a directory was created for has exited, as far as that can be known.
fn is_orphan(signed: &str) -> bool {
    let (Some(pid), Some(own)) = (signed.split(' ').next(), owner("self").ok().flatten()) else {
        return false;
    };
    let is_same_namespace = signed.rsplit(' ').next() == own.rsplit(' ').next();
    is_same_namespace && owner(pid).is_ok_and(|current| current.as_deref() != Some(signed))
}

/// `pid start-time pid-namespace` of a process (`proc_pid_stat(5)`, fields 1 and 22). Start times count from boot,
/// so a process that reuses a PID is not mistaken for the earlier one.
///
/// `None`: no such process exists. `Err`: it cannot be determined.
fn owner(pid: &str) -> Result<Option<String>, ReadError> {
    if pid != "self" && !pid.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Errno::INVAL.into());
    }
    let stat = match read::read_path(Path::new(&format!("/proc/{pid}/stat"))) {
        Ok((stat, _)) => String::from_utf8_lossy(&stat).into_owned(),
        Err(ReadError::Os(Errno::NOENT | Errno::SRCH)) if is_gone(pid) => return Ok(None),
        Err(error) => return Err(error),
    };
    let namespace = rustix::fs::readlink("/proc/self/ns/pid", Vec::new())?;
    Ok(described(&stat, &namespace.to_string_lossy()))
}

/// Whether no such process exists. /proc alone does not say: with `hidepid` it hides processes of other users.
fn is_gone(pid: &str) -> bool {
    let pid = pid.parse().ok().and_then(Pid::from_raw);
    pid.is_some_and(|pid| test_kill_process(pid) == Err(Errno::SRCH))
}

/// The command name is in parentheses and may itself contain parentheses and spaces.
fn described(stat: &str, namespace: &str) -> Option<String> {
    let pid = stat.split(' ').next()?;
    let start = stat.rsplit_once(')')?.1.split_whitespace().nth(19)?;
    Some(format!("{pid} {start} {namespace}"))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
    use std::path::PathBuf;

    use super::*;

    fn directory(owner: &str) -> (tempfile::TempDir, PathBuf) {
        let run_dir = tempfile::tempdir().unwrap();
        let directory = run_dir.path().join(format!("{}0", directory_prefix(own_uid())));
        fs::create_dir(&directory).unwrap();
        fs::write(directory.join(OWNER), owner).unwrap();
        fs::set_permissions(&directory, fs::Permissions::from_mode(0o500)).unwrap();
        (run_dir, directory)
    }

    fn remove_in(run_dir: &Path) {
        remove_all(&fs::File::open(run_dir).unwrap().into(), None);
    }

    fn survives(owner: &str) -> bool {
        let (run_dir, directory) = directory(owner);
        remove_in(run_dir.path());
        directory.exists()
    }

    /// No process has such a PID.
    fn gone() -> String {
        let own = owner("self").unwrap().unwrap();
        format!("4194305 1 {}", own.rsplit(' ').next().unwrap())
    }

    #[test]
    fn only_directories_of_exited_processes_of_this_namespace_are_removed() {
        let own = owner("self").unwrap().unwrap();
        let (pid, rest) = own.split_once(' ').unwrap();
        let namespace = rest.split_once(' ').unwrap().1;
        assert!(survives(&own), "a living process");
        assert!(!survives(&format!("{pid} 1 {namespace}")), "a reused PID");
        assert!(!survives(&gone()), "no such process");
        assert!(survives(&format!("{pid} 1 pid:[1]")), "another namespace");
        assert!(survives(""), "not signed");
    }

    #[test]
    fn a_directory_that_was_never_signed_is_removed_once_it_is_too_old_to_be_signed() {
        let survives_unsigned = |age| {
            let (run_dir, directory) = directory("");
            fs::set_permissions(&directory, fs::Permissions::from_mode(0o700)).unwrap();
            fs::remove_file(directory.join(OWNER)).unwrap();
            let made = fs::File::open(&directory).unwrap();
            made.set_modified(SystemTime::now() - age).unwrap();
            remove_in(run_dir.path());
            directory.exists()
        };
        assert!(survives_unsigned(Duration::ZERO));
        assert!(survives_unsigned(SIGNING / 2));
        assert!(!survives_unsigned(SIGNING * 2));
    }

    #[test]
    fn a_link_and_its_target_are_left_alone() {
        let (_elsewhere, target) = directory(&gone());
        let run_dir = tempfile::tempdir().unwrap();
        symlink(&target, run_dir.path().join(format!("{}1", directory_prefix(own_uid())))).unwrap();
        remove_in(run_dir.path());
        assert_eq!(fs::metadata(&target).unwrap().mode() & 0o777, 0o500);
        assert!(target.join(OWNER).exists());
    }

    #[test]
    fn a_signature_that_is_a_link_does_not_count() {
        let (run_dir, directory) = directory("");
        let elsewhere = tempfile::NamedTempFile::new().unwrap();
        fs::write(elsewhere.path(), gone()).unwrap();
        fs::set_permissions(&directory, fs::Permissions::from_mode(0o700)).unwrap();
        fs::remove_file(directory.join(OWNER)).unwrap();
        symlink(elsewhere.path(), directory.join(OWNER)).unwrap();
        remove_in(run_dir.path());
        assert!(directory.exists());
    }

    #[test]
    fn a_foreign_subdirectory_ends_the_removal() {
        let (run_dir, directory) = directory(&gone());
        fs::set_permissions(&directory, fs::Permissions::from_mode(0o700)).unwrap();
        fs::create_dir_all(directory.join("a/b/c")).unwrap();
        remove_in(run_dir.path());
        assert!(directory.join("a/b/c").exists());
    }
}
