//! Removes delivery directories of processes that have exited.
//!
//! After `execve`, no cryokey process remains to hold a lock, so each directory records the process it was created for:
//! PID, start time and PID namespace. It is stale once that process has exited. A directory from another PID namespace
//! is never touched.

use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use rustix::io::Errno;

use crate::system::read::{self, ReadError};
use crate::system::write;

const OWNER: &str = ".owner";

/// A directory is signed immediately after it is created. One that is older than this and not signed never will be.
const SIGNING: Duration = Duration::from_mins(1);

/// The names of this user's delivery directories begin with this.
pub(super) fn directory_prefix() -> String {
    format!("cryokey-{}-", rustix::process::geteuid().as_raw())
}

/// Records the process for which the directory is created. Without /proc nothing is recorded, and the directory is never
/// removed.
pub(super) fn sign(directory: &OwnedFd) -> Result<(), Errno> {
    match owner("self") {
        Ok(Some(owner)) => write::write(directory, OWNER, owner.as_bytes(), 0o400),
        Ok(None) | Err(_) => Ok(()),
    }
}

/// Removes the stale directories of this user below a directory.
pub(super) fn remove_all(run_dir: &Path) {
    let Ok(entries) = fs::read_dir(run_dir) else { return };
    let prefix = directory_prefix();
    for entry in entries.flatten() {
        let is_own = entry.file_name().as_encoded_bytes().starts_with(prefix.as_bytes());
        if is_own && is_stale(&entry.path()) {
            // Another startup may be removing it at the same time.
            let _ = remove(&entry.path());
        }
    }
}

/// Removes a directory and its content; its mode 0500 is widened first.
pub(super) fn remove(directory: &Path) -> std::io::Result<()> {
    fs::set_permissions(directory, fs::Permissions::from_mode(0o700))?;
    fs::remove_dir_all(directory)
}

fn is_stale(directory: &Path) -> bool {
    let Ok(state) = directory.symlink_metadata() else { return false };
    if !state.is_dir() {
        return false;
    }
    match read::read_path(&directory.join(OWNER)) {
        Ok((signed, _)) => is_orphan(&String::from_utf8_lossy(&signed)),
        // Not signed yet, or killed before that; no secret has been written to it then.
        Err(ReadError::Os(Errno::NOENT)) => {
            state.modified().is_ok_and(|made| made.elapsed().is_ok_and(|age| age > SIGNING))
        }
        Err(_) => false,
    }
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
        Err(ReadError::Os(Errno::NOENT | Errno::SRCH)) => return Ok(None),
        Err(error) => return Err(error),
    };
    let namespace = rustix::fs::readlink("/proc/self/ns/pid", Vec::new())?;
    Ok(described(&stat, &namespace.to_string_lossy()))
}

/// The command name is in parentheses and may itself contain parentheses and spaces.
fn described(stat: &str, namespace: &str) -> Option<String> {
    let pid = stat.split(' ').next()?;
    let start = stat.rsplit_once(')')?.1.split_whitespace().nth(19)?;
    Some(format!("{pid} {start} {namespace}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory(owner: &str) -> tempfile::TempDir {
        let run_dir = tempfile::tempdir().unwrap();
        let directory = run_dir.path().join(format!("{}0", directory_prefix()));
        fs::create_dir(&directory).unwrap();
        fs::write(directory.join(OWNER), owner).unwrap();
        fs::set_permissions(&directory, fs::Permissions::from_mode(0o500)).unwrap();
        run_dir
    }

    fn survives(owner: &str) -> bool {
        let run_dir = directory(owner);
        remove_all(run_dir.path());
        fs::read_dir(run_dir.path()).unwrap().count() == 1
    }

    #[test]
    fn only_directories_of_exited_processes_of_this_namespace_are_removed() {
        let own = owner("self").unwrap().unwrap();
        let (pid, rest) = own.split_once(' ').unwrap();
        let namespace = rest.split_once(' ').unwrap().1;
        assert!(survives(&own), "a living process");
        assert!(!survives(&format!("{pid} 1 {namespace}")), "a reused PID");
        assert!(!survives(&format!("4194305 1 {namespace}")), "no such process");
        assert!(survives(&format!("{pid} 1 pid:[1]")), "another namespace");
        assert!(survives(""), "not signed");
    }
}
