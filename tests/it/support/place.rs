//! Directorys, and what is in them.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

use tempfile::TempDir;

use super::need::not_run;

/// `f_type` of a tmpfs (statfs(2)).
const TMPFS: i64 = 0x0102_1994;

/// A directory in memory. Every Linux machine has one.
pub(crate) fn memory() -> TempDir {
    tempfile::tempdir_in("/dev/shm").unwrap()
}

/// A directory on a disk, where there is one.
pub(crate) fn disk() -> Option<TempDir> {
    let is_disk = |path: &&str| rustix::fs::statfs(*path).is_ok_and(|state| state.f_type != TMPFS);
    let place = [env!("CARGO_TARGET_TMPDIR"), "/var/tmp", "/tmp"].into_iter().find(is_disk);
    if place.is_none() {
        let test = thread::current().name().unwrap_or("a test").to_owned();
        not_run(&test, "every temporary directory is in memory; to run it: set CARGO_TARGET_DIR to a disk");
    }
    place.map(|place| tempfile::tempdir_in(place).unwrap())
}

/// A file that can be executed. Another process writes it: while a thread of the tests has it open for writing, a child that
/// a parallel test is just starting would inherit that, and the kernel would not execute it (ETXTBSY).
pub(crate) fn executable(path: &Path, content: &[u8], mode: u32) {
    let line = format!("cat > \"$1\" && chmod {mode:o} \"$1\"");
    let mut shell = Command::new("/bin/sh");
    let mut child = shell.args(["-c", &line, "sh"]).arg(path).stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(content).unwrap();
    assert!(child.wait().unwrap().success());
}

/// A delivered directory is 0500: only root could remove it as it is.
pub(crate) fn make_removable(directory: &TempDir) {
    for directory in fs::read_dir(directory.path()).into_iter().flatten().flatten() {
        let _ = fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o700));
    }
}
