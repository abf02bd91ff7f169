//! The secrets of the tests, as files on the host.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use e2e::secrecy::{canary, canary_url};

/// The contract's required secrets.
pub(crate) static CONTRACT: LazyLock<[(&str, String); 3]> =
    LazyLock::new(|| [("SUPABASE_URL", canary_url()), ("SUPABASE_KEY", canary()), ("SECRET_KEY", canary())]);

/// The value of one of them.
pub(crate) fn contract(name: &str) -> &'static str {
    CONTRACT.iter().find(|(key, _)| *key == name).map(|(_, value)| value.as_str()).unwrap()
}

pub(crate) fn contract_values() -> impl Iterator<Item = &'static str> {
    CONTRACT.iter().map(|(_, value)| value.as_str())
}

/// The user of the containers.
pub(crate) const NOBODY: u32 = 65534;

/// A directory of secret files.
pub(crate) struct Directory {
    path: PathBuf,
    mode: u32,
    owner: u32,
}

impl Directory {
    /// Files that every user can read, as a Swarm secret without `mode:`.
    pub(crate) fn readable(path: PathBuf) -> Self {
        Self::with_mode(path, 0o444, 0)
    }

    /// Files with this mode, of this owner.
    pub(crate) fn with_mode(path: PathBuf, mode: u32, owner: u32) -> Self {
        Self { path, mode, owner }
    }

    /// With the contract's three secrets.
    pub(crate) fn contract(path: PathBuf) -> Self {
        Self::readable(path).put_all(&*CONTRACT)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn put(&self, name: &str, value: impl AsRef<[u8]>) {
        let file = self.path.join(name);
        fs::write(&file, value).unwrap();
        fs::set_permissions(&file, Permissions::from_mode(self.mode)).unwrap();
        chown(&file, Some(self.owner), Some(self.owner)).unwrap();
    }

    pub(crate) fn put_all<'a, V: AsRef<[u8]> + 'a>(
        self,
        secrets: impl IntoIterator<Item = &'a (&'a str, V)>,
    ) -> Self {
        secrets.into_iter().for_each(|(name, value)| self.put(name, value));
        self
    }
}
