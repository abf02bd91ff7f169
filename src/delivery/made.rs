//! Files and directories that cryokey has created, to be removed if the app is not started.

use std::path::PathBuf;

use super::stale;

/// What did not exist before. Dropping this removes it, the newest first; after `execve`, nothing is dropped.
#[derive(Debug, Default)]
pub(super) struct Made(Vec<Thing>);

#[derive(Debug)]
pub(super) enum Thing {
    /// Removed with its content.
    DeliveryDirectory(PathBuf),
    /// Removed only if it is empty: another process may have written to it since.
    Directory(PathBuf),
    File(PathBuf),
}

impl Made {
    pub(super) fn one(thing: Thing) -> Self {
        Self(vec![thing])
    }

    pub(super) fn push(&mut self, thing: Thing) {
        self.0.push(thing);
    }

    pub(super) fn append(&mut self, mut other: Self) {
        self.0.append(&mut other.0);
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        for thing in self.0.drain(..).rev() {
            // An error here is not reported: the failure that led here is.
            let _ = match thing {
                Thing::DeliveryDirectory(path) => stale::remove(&path),
                Thing::Directory(path) => std::fs::remove_dir(path),
                Thing::File(path) => std::fs::remove_file(path),
            };
        }
    }
}
