//! Folders of delivered files that a start of ours left behind when it was killed.
//!
//! After execve nobody of ours is left to hold a lock, so a folder names the process that it was made for: its pid,
//! its start time and its PID namespace. It is a leftover once that process is gone. A folder made in another
//! PID namespace is never touched.

use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use rustix::io::Errno;

use super::atomic;
use crate::bounded;

const OWNER: &str = ".owner";

/// What a folder of this user begins with.
pub(super) fn folder_prefix() -> String {
    format!("cryokey-{}-", rustix::process::geteuid().as_raw())
}

/// Writes for which process the folder is made. Without /proc it is left unsaid, and the folder is never removed.
pub(super) fn sign(folder: &OwnedFd) -> Result<(), Errno> {
    match owner("self") {
        Some(owner) => atomic::write(folder, OWNER, owner.as_bytes(), 0o400),
        None => Ok(()),
    }
}

/// Removes the leftovers of this user below a folder.
pub(super) fn remove_all(run_dir: &Path) {
    let Ok(entries) = fs::read_dir(run_dir) else { return };
    let prefix = folder_prefix();
    for entry in entries.flatten() {
        let is_ours = entry.file_name().as_encoded_bytes().starts_with(prefix.as_bytes());
        if is_ours && is_leftover(&entry.path()) {
            // Another start may be removing it at the same time.
            let _ = remove(&entry.path());
        }
    }
}

/// Removes a folder and what is in it; it is 0500, so it is opened for us first.
pub(super) fn remove(folder: &Path) -> std::io::Result<()> {
    fs::set_permissions(folder, fs::Permissions::from_mode(0o700))?;
    fs::remove_dir_all(folder)
}

fn is_leftover(folder: &Path) -> bool {
    let is_folder = folder.symlink_metadata().is_ok_and(|state| state.is_dir());
    let Ok((signed, _)) = bounded::read_path(&folder.join(OWNER)) else { return false };
    let Ok(signed) = std::str::from_utf8(&signed) else { return false };
    let (Some(pid), Some(ours)) = (signed.split(' ').next(), owner("self")) else { return false };
    let is_same_namespace = signed.rsplit(' ').next() == ours.rsplit(' ').next();
    is_folder && is_same_namespace && owner(pid).as_deref() != Some(signed)
}

/// `pid start-time pid-namespace` of a process (`proc_pid_stat(5)`, fields 1 and 22). Start times count from the
/// boot, so a pid that was used again does not look like the same process.
fn owner(pid: &str) -> Option<String> {
    if pid != "self" && !pid.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let (stat, _) = bounded::read_path(Path::new(&format!("/proc/{pid}/stat"))).ok()?;
    let stat = String::from_utf8_lossy(&stat);
    // The command's name is in parentheses and may hold anything, also parentheses and spaces.
    let pid = stat.split(' ').next()?;
    let start = stat.rsplit_once(')')?.1.split_whitespace().nth(19)?;
    let namespace = fs::read_link("/proc/self/ns/pid").ok()?;
    Some(format!("{pid} {start} {}", namespace.to_str()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(owner: &str) -> tempfile::TempDir {
        let run_dir = tempfile::tempdir().unwrap();
        let folder = run_dir.path().join(format!("{}0", folder_prefix()));
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join(OWNER), owner).unwrap();
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o500)).unwrap();
        run_dir
    }

    fn survives(owner: &str) -> bool {
        let run_dir = folder(owner);
        remove_all(run_dir.path());
        fs::read_dir(run_dir.path()).unwrap().count() == 1
    }

    #[test]
    fn only_the_folder_of_a_process_of_this_namespace_that_is_gone_is_removed() {
        let ours = owner("self").unwrap();
        let (pid, rest) = ours.split_once(' ').unwrap();
        let namespace = rest.split_once(' ').unwrap().1;
        assert!(survives(&ours), "a living process");
        assert!(!survives(&format!("{pid} 1 {namespace}")), "the pid was used again");
        assert!(!survives(&format!("4194305 1 {namespace}")), "no such process");
        assert!(survives(&format!("{pid} 1 pid:[1]")), "another namespace");
        assert!(survives(""), "not signed");
    }
}
