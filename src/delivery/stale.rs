//! Directories of delivered files that remain of a start that was killed.
//!
//! After `execve` no cryokey process remains to hold a lock, so a directory names the process that it was made for: its
//! pid, its start time and its PID namespace. It is stale once that process is gone. A directory made in another PID
//! namespace is never touched.

use std::ffi::CString;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use rustix::fs::{AtFlags, Dir, Mode, OFlags};
use rustix::io::Errno;
use rustix::path::Arg;
use rustix::process::{Pid, test_kill_process};

use crate::system::read::{self, ReadError};
use crate::system::write;

const OWNER: &str = ".owner";

/// A directory is signed in the moment after it was made; one that was not by then never will be.
const SIGNING: Duration = Duration::from_mins(1);

/// How many directories, and files in one, are looked at, and how long: anyone may have made them.
const MOST: usize = 10_000;
const LONGEST: Duration = Duration::from_millis(500);

const DIRECTORY: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Three numbers and their names.
pub(super) const LONGEST_OWNER: usize = 64;

/// What a directory of this user begins with.
pub(super) fn directory_prefix() -> String {
    format!("cryokey-{}-", rustix::process::geteuid().as_raw())
}

/// Writes for which process the directory is made. Without /proc it is left unsaid, and the directory is never removed.
pub(super) fn sign(directory: &OwnedFd) -> Result<(), Errno> {
    match owner("self") {
        Ok(Some(owner)) => write::write(directory, OWNER, owner.as_bytes(), 0o400),
        Ok(None) | Err(_) => Ok(()),
    }
}

/// Removes the stale directories of this user in a directory, as many as can be judged within the limits: the next
/// startup goes on.
pub(super) fn remove_all(run_dir: &OwnedFd) {
    let started = Instant::now();
    let Ok(entries) = list(run_dir) else { return };
    let prefix = directory_prefix();
    let is_ours = |name: &CString| name.as_bytes().starts_with(prefix.as_bytes());
    let in_time = entries.take_while(|_| started.elapsed() < LONGEST);
    for name in in_time.filter(is_ours).take(MOST) {
        let Ok(directory) = open_own(run_dir, &name) else { continue };
        if is_stale(&directory) {
            // Another start may be removing it at the same time.
            let _ = empty(&directory).and_then(|()| rustix::fs::unlinkat(run_dir, &name, AtFlags::REMOVEDIR));
        }
    }
}

/// Removes a directory and the files in it.
pub(super) fn remove(run_dir: &OwnedFd, name: &str) -> Result<(), Errno> {
    empty(&open_own(run_dir, name)?)?;
    rustix::fs::unlinkat(run_dir, name, AtFlags::REMOVEDIR)
}

/// By descriptor from here on: whoever may write to the run directory may exchange names in it at any moment.
fn open_own(run_dir: &OwnedFd, name: impl Arg) -> Result<OwnedFd, Errno> {
    let directory = rustix::fs::openat(run_dir, name, DIRECTORY, Mode::empty())?;
    let is_own = rustix::fs::fstat(&directory)?.st_uid == rustix::process::geteuid().as_raw();
    if is_own { Ok(directory) } else { Err(Errno::PERM) }
}

/// Removes the files in a directory, which is 0500 and so is opened for us first. cryokey makes no directory in it.
fn empty(directory: &OwnedFd) -> Result<(), Errno> {
    rustix::fs::fchmod(directory, Mode::RWXU)?;
    for name in list(directory)?.take(MOST) {
        rustix::fs::unlinkat(directory, &name, AtFlags::empty())?;
    }
    Ok(())
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
        // Not signed yet, or killed before it was: it holds no secret then.
        Err(ReadError::Os(Errno::NOENT)) => is_older_than(directory, SIGNING),
        Err(_) => false,
    }
}

fn is_older_than(directory: &OwnedFd, age: Duration) -> bool {
    let Ok(stat) = rustix::fs::fstat(directory) else { return false };
    let made = u64::try_from(stat.st_mtime).map(|made| SystemTime::UNIX_EPOCH + Duration::from_secs(made));
    made.is_ok_and(|made| made.elapsed().is_ok_and(|since| since > age))
}

/// Whether the process that a directory was made for is gone, as far as that can be known.
fn is_orphan(signed: &str) -> bool {
    let (Some(pid), Some(ours)) = (signed.split(' ').next(), owner("self").ok().flatten()) else {
        return false;
    };
    let is_same_namespace = signed.rsplit(' ').next() == ours.rsplit(' ').next();
    is_same_namespace && owner(pid).is_ok_and(|there| there.as_deref() != Some(signed))
}

/// `pid start-time pid-namespace` of a process (`proc_pid_stat(5)`, fields 1 and 22). Start times count from the
/// boot, so a pid that was used again does not look like the same process.
///
/// `None`: there is no such process. `Err`: it cannot be known.
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

/// Whether there is no such process. /proc alone does not say: with `hidepid` it hides those of other users.
fn is_gone(pid: &str) -> bool {
    let pid = pid.parse().ok().and_then(Pid::from_raw);
    pid.is_some_and(|pid| test_kill_process(pid) == Err(Errno::SRCH))
}

/// The command's name is in parentheses and may hold anything, also parentheses and spaces.
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
        let directory = run_dir.path().join(format!("{}0", directory_prefix()));
        fs::create_dir(&directory).unwrap();
        fs::write(directory.join(OWNER), owner).unwrap();
        fs::set_permissions(&directory, fs::Permissions::from_mode(0o500)).unwrap();
        (run_dir, directory)
    }

    fn remove_in(run_dir: &Path) {
        remove_all(&fs::File::open(run_dir).unwrap().into());
    }

    fn survives(owner: &str) -> bool {
        let (run_dir, directory) = directory(owner);
        remove_in(run_dir.path());
        directory.exists()
    }

    /// No process has such a number.
    fn gone() -> String {
        let ours = owner("self").unwrap().unwrap();
        format!("4194305 1 {}", ours.rsplit(' ').next().unwrap())
    }

    #[test]
    fn only_the_directory_of_a_process_of_this_namespace_that_is_gone_is_removed() {
        let ours = owner("self").unwrap().unwrap();
        let (pid, rest) = ours.split_once(' ').unwrap();
        let namespace = rest.split_once(' ').unwrap().1;
        assert!(survives(&ours), "a living process");
        assert!(!survives(&format!("{pid} 1 {namespace}")), "the pid was used again");
        assert!(!survives(&gone()), "no such process");
        assert!(survives(&format!("{pid} 1 pid:[1]")), "another namespace");
        assert!(survives(""), "not signed");
    }

    #[test]
    fn a_link_and_what_it_leads_to_are_left_alone() {
        let (_elsewhere, target) = directory(&gone());
        let run_dir = tempfile::tempdir().unwrap();
        symlink(&target, run_dir.path().join(format!("{}1", directory_prefix()))).unwrap();
        remove_in(run_dir.path());
        assert_eq!(fs::metadata(&target).unwrap().mode() & 0o777, 0o500);
        assert!(target.join(OWNER).exists());
    }

    #[test]
    fn directories_in_a_directory_are_not_ours_and_end_its_removal() {
        let (run_dir, directory) = directory(&gone());
        fs::set_permissions(&directory, fs::Permissions::from_mode(0o700)).unwrap();
        fs::create_dir_all(directory.join("a/b/c")).unwrap();
        remove_in(run_dir.path());
        assert!(directory.join("a/b/c").exists());
    }
}
