//! What was made on the file system on the way to the app, to be taken away if the app does not start.

use std::path::PathBuf;

use super::stale;

/// Things that did not exist before. Dropped, they are removed, the last made first; `execve` drops nothing.
#[derive(Debug, Default)]
pub(super) struct Made(Vec<Thing>);

#[derive(Debug)]
pub(super) enum Thing {
    /// A delivery directory with all that is in it.
    DeliveryDirectory(PathBuf),
    /// A directory elsewhere; it stays if something else was put into it meanwhile.
    Directory(PathBuf),
    /// A file.
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
            // What cannot be removed is not worth a report: the failure that led here is.
            let _ = match thing {
                Thing::DeliveryDirectory(path) => stale::remove(&path),
                Thing::Directory(path) => std::fs::remove_dir(path),
                Thing::File(path) => std::fs::remove_file(path),
            };
        }
    }
}
