//! What cryokey has changed on the file system, to be undone if the app is not started.

use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::rc::Rc;

use rustix::io::Errno;
use zeroize::Zeroizing;

use super::{note, stale};
use crate::system::write::{self, Owner};

/// What was changed. Dropping this undoes it, the last change first; after `execve`, nothing is dropped.
#[derive(Debug, Default)]
pub(super) struct Made(Vec<Thing>);

#[derive(Debug)]
pub(super) enum Thing {
    /// The directory it is in, and its name. Removed with its content.
    DeliveryDirectory(OwnedFd, String),
    /// Removed only if it is empty: another process may have written to it since.
    Directory(PathBuf),
    /// A file that did not exist before.
    File(PathBuf),
    /// A lock on a directory: what was changed there is undone before anyone else gets it.
    Lock(#[expect(dead_code, reason = "it is held, not read")] Rc<OwnedFd>),
    /// A file of an earlier startup that was replaced or removed.
    Former(Former),
}

/// A file as it was. Its content is kept in memory only, so that a kill leaves nothing.
pub(super) struct Former {
    pub(super) directory: Rc<OwnedFd>,
    pub(super) name: String,
    pub(super) content: Zeroizing<Vec<u8>>,
    pub(super) mode: u32,
}

impl Made {
    pub(super) fn one(thing: Thing) -> Self {
        Self(vec![thing])
    }

    /// Whether there is anything but the delivery directory.
    pub(super) fn is_more_than_a_directory(&self) -> bool {
        self.0.iter().any(|thing| !matches!(thing, Thing::DeliveryDirectory(..)))
    }

    pub(super) fn push(&mut self, thing: Thing) {
        self.0.push(thing);
    }

    /// Gives the delivery directory, which is complete, to the user of the files in it.
    pub(super) fn give_directory(&self, owner: Owner) -> Result<(), Errno> {
        self.0.iter().try_for_each(|thing| match thing {
            Thing::DeliveryDirectory(run_dir, name) => stale::give(run_dir, name, owner),
            _ => Ok(()),
        })
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
                Thing::DeliveryDirectory(run_dir, name) => stale::remove(&run_dir, &name).map_err(Into::into),
                Thing::Directory(path) => std::fs::remove_dir(path),
                Thing::File(path) => std::fs::remove_file(path),
                Thing::Former(file) => file.write().map_err(Into::into),
                Thing::Lock(_) => Ok(()),
            };
        }
    }
}

impl Former {
    fn write(&self) -> Result<(), Errno> {
        write::write(&self.directory, &self.name, &self.content, self.mode)?;
        note::write(&self.directory, &self.name)
    }
}

impl std::fmt::Debug for Former {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Former").field("name", &self.name).finish_non_exhaustive()
    }
}
