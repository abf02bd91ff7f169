//! What is below some directories, to see what was left there.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// What is below some directories: paths, each with inode, mode and size.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Tree(BTreeMap<PathBuf, (u64, u32, u64)>);

impl Tree {
    /// Adds a directory and everything in it.
    pub(crate) fn add(&mut self, path: &Path) {
        let Ok(state) = fs::symlink_metadata(path) else { return };
        let size = if state.is_file() { state.size() } else { 0 };
        self.0.insert(path.to_owned(), (state.ino(), state.mode(), size));
        if state.is_dir() {
            for entry in fs::read_dir(path).into_iter().flatten().flatten() {
                self.add(&entry.path());
            }
        }
    }
}
