//! What can be wrong about a key's place.

use std::path::{Path, PathBuf};

use rustix::io::Errno;

use super::Placement;
use crate::error::{Problem, Reason};
use crate::escape::escaped_path;
use crate::system::accounts::Home;
use crate::system::write;

pub(super) fn homeless(name: &str) -> Problem {
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

pub(super) fn two_homes(name: &str, home: &Home) -> Problem {
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

pub(super) fn key_on_disk(name: &str, path: &Path) -> Problem {
    let shown = escaped_path(path);
    Problem::new(
        Reason::Disk,
        name,
        format!("{name} is written to {shown}, which is on a disk"),
        "mount a tmpfs there to keep it in memory",
    )
}

pub(super) fn cannot_place(name: &str, path: &Path, errno: Errno) -> Problem {
    // What a uid without an entry in /etc/passwd has as HOME; `/` itself should stay closed.
    let is_in_root = path.starts_with("/.ssh");
    let fix = if is_in_root {
        "HOME is `/`, the default for a uid without a passwd entry: set HOME=/home/app (or `home` in [process], \
         beside `user`) and mount a tmpfs there that this uid owns"
    } else {
        "make the directory writable for this user (a tmpfs, where the root file system is read-only), or change \
         `path`"
    };
    let shown = escaped_path(path);
    Problem::new(
        Reason::CannotCreate,
        name,
        format!("{name} cannot be placed as {shown}: {}", write::why(errno)),
        fix,
    )
}

pub(super) fn foreign(secret: &str, path: &Path) -> Problem {
    let path = escaped_path(path);
    Problem::new(
        Reason::ForeignFile,
        secret,
        format!("{secret}: {path} exists with other content, and cryokey did not write it"),
        "remove that file if it is not needed, or give the key another `path` in the manifest",
    )
}

pub(super) fn one_place(one: &Placement<'_>, other: &Placement<'_>) -> Problem {
    let path = escaped_path(&other.path);
    Problem {
        names: vec![one.secret.to_owned(), other.secret.to_owned()],
        ..Problem::configuration(
            other.secret,
            format!("{} and {} would both be placed as {path}", one.secret, other.secret),
            "give one of them another `path` in the manifest",
        )
    }
}

pub(super) fn wide(secret: &str, path: &Path, mode: u32) -> Problem {
    let shown = escaped_path(path);
    Problem::new(
        Reason::CannotCreate,
        secret,
        format!(
            "{secret} cannot be placed as {shown}: the file system gives it mode {mode:04o}, and ssh wants 0600"
        ),
        "put the home directory on a file system with Unix permissions (a tmpfs, a volume), or change `path`",
    )
}

pub(super) fn open_link(secret: &str, directory: &Path, mode: u32) -> Problem {
    let shown = escaped_path(directory);
    Problem::new(
        Reason::CannotCreate,
        secret,
        format!("{shown} is a link to a directory of mode {mode:04o}, which cryokey does not change"),
        "set its mode to 0700",
    )
}

pub(super) fn cannot_remove(path: &Path, errno: Errno) -> Problem {
    let shown = escaped_path(path);
    Problem::new(
        Reason::CannotCreate,
        "-",
        format!(
            "{shown}, which an earlier startup placed, cannot be removed: {}",
            std::io::Error::from(errno)
        ),
        "remove it, or make its directory writable for this user",
    )
}
