//! Which values were generated, so that a developer's own variable can replace them: a file that somebody edited since is
//! the developer's.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use rustix::io::Errno;

use crate::system::{read, write};

/// Begins with a dot, so that it stands for no secret.
const FILE: &str = ".generated";

/// Names, each with the inode, size and time of last change of its file; nothing of the content.
pub(super) struct Record(BTreeMap<String, String>);

impl Record {
    pub(super) fn read(directory: &Path) -> Self {
        let bytes = read::read_path(&directory.join(FILE)).map(|(bytes, _)| bytes).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        let line = |line: &str| line.split_once(' ').map(|(name, state)| (name.to_owned(), state.to_owned()));
        Self(text.lines().filter_map(line).collect())
    }

    /// Whether a file is still as it was generated.
    pub(super) fn holds(&self, name: &str, path: &Path) -> bool {
        self.0.get(name).is_some_and(|state| described(path).as_ref() == Some(state))
    }

    pub(super) fn add(&mut self, name: &str, path: &Path) {
        if let Some(state) = described(path) {
            self.0.insert(name.to_owned(), state);
        }
    }

    pub(super) fn write(&self, directory: &OwnedFd) -> Result<(), Errno> {
        let lines: Vec<String> = self.0.iter().map(|(name, state)| format!("{name} {state}\n")).collect();
        write::write(directory, FILE, lines.concat().as_bytes(), 0o600)
    }
}

fn described(path: &Path) -> Option<String> {
    let state = path.symlink_metadata().ok().filter(std::fs::Metadata::is_file)?;
    Some(format!("{} {} {}.{}", state.ino(), state.size(), state.mtime(), state.mtime_nsec()))
}
