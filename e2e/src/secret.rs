//! The secrets of the tests, as files on the host.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};

use crate::expect::expect;

pub(crate) const SUPABASE_URL: &str = "https://f3Zq8vW1kLx6.dQ7sB2nYgT4u.invalid";
pub(crate) const SUPABASE_KEY: &str = "m9TnR4-bY7cJ2_hD5sG0";
pub(crate) const SECRET_KEY: &str = "Kp6eXv3NwQ8aZr1LuF5t=with \"quotes\", $HOME and `ticks`";

/// The contract's required secrets.
pub(crate) const CONTRACT: [(&str, &str); 3] =
    [("SUPABASE_URL", SUPABASE_URL), ("SUPABASE_KEY", SUPABASE_KEY), ("SECRET_KEY", SECRET_KEY)];

/// The user of the containers.
pub(crate) const NOBODY: u32 = 65534;

/// A folder of secret files.
pub(crate) struct Folder {
    path: PathBuf,
    mode: u32,
    owner: u32,
}

impl Folder {
    /// Files that everybody may read, as a Swarm secret without `mode:` is.
    pub(crate) fn readable(path: PathBuf) -> Self {
        Self { path, mode: 0o444, owner: 0 }
    }

    /// Files with this mode, of this owner.
    pub(crate) fn with_mode(path: PathBuf, mode: u32, owner: u32) -> Self {
        Self { path, mode, owner }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn put(&self, name: &str, value: impl AsRef<[u8]>) -> Result<(), String> {
        let file = self.path.join(name);
        let told = |error| format!("{}: {error}", file.display());
        fs::write(&file, value).map_err(told)?;
        fs::set_permissions(&file, Permissions::from_mode(self.mode)).map_err(told)?;
        chown(&file, Some(self.owner), Some(self.owner)).map_err(told)
    }

    pub(crate) fn put_all<'a>(
        &self,
        secrets: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<(), String> {
        secrets.into_iter().try_for_each(|(name, value)| self.put(name, value))
    }
}

/// How much of a value counts as the value having been told.
const WINDOW: usize = 12;

/// No value, and no longer part of one, is in the text.
pub(crate) fn tells_no_value<'a>(
    what: &str,
    text: &str,
    values: impl IntoIterator<Item = &'a str>,
) -> Result<(), String> {
    values.into_iter().try_for_each(|value| {
        let size = value.len().min(WINDOW);
        let is_part = |part: &[u8]| value.as_bytes().windows(size).any(|window| window == part);
        expect(!text.as_bytes().windows(size).any(is_part), || format!("{what} tells a value"))
    })
}

/// The values of the contract's secrets.
pub(crate) fn contract_values() -> impl Iterator<Item = &'static str> {
    CONTRACT.into_iter().map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_search_for_values_finds_a_part_and_nothing_else() {
        assert!(
            tells_no_value("log", "SUPABASE_KEY arrived, https://example.invalid", contract_values()).is_ok()
        );
        let part = format!("x{}x", &SUPABASE_KEY[4..18]);
        assert!(tells_no_value("log", &part, contract_values()).is_err());
    }
}
