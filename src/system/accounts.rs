//! Users by cryokey's own reader of `/etc/passwd`: numbers always work, and an image's nsswitch.conf does not matter.

use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use super::read;
use crate::environ::{Environ, variable};

const PASSWD: &str = "/etc/passwd";

/// The home directory, as the environment and the accounts have it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Home {
    /// HOME, where it is an absolute path.
    pub variable: Option<PathBuf>,
    /// The sixth field of our line in `/etc/passwd` (passwd(5)).
    pub account: Option<PathBuf>,
}

impl Home {
    /// The one that counts: HOME, else the account's.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.variable.as_deref().or(self.account.as_deref())
    }
}

/// Our home directory.
#[must_use]
pub fn home(environ: &Environ) -> Home {
    let accounts = read::read_path(Path::new(PASSWD)).map(|(bytes, _)| bytes).unwrap_or_default();
    let uid = rustix::process::geteuid().as_raw();
    Home {
        variable: environ.path(variable::HOME).filter(|path| path.is_absolute()),
        account: home_of(uid, &accounts).filter(|path| path.is_absolute()),
    }
}

fn home_of(uid: u32, accounts: &[u8]) -> Option<PathBuf> {
    let uid = uid.to_string();
    accounts.split(|byte| *byte == b'\n').find_map(|line| {
        let mut fields = line.split(|byte| *byte == b':').skip(2);
        let is_ours = fields.next() == Some(uid.as_bytes());
        let home = fields.nth(2)?;
        is_ours.then(|| PathBuf::from(std::ffi::OsString::from_vec(home.to_vec())))
    })
}

/// Whether two paths are the same words.
#[must_use]
pub fn differ(home: &Home) -> bool {
    match (&home.variable, &home.account) {
        (Some(variable), Some(account)) => variable.as_os_str().as_bytes() != account.as_os_str().as_bytes(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACCOUNTS: &[u8] = b"root:x:0:0:root:/root:/bin/sh\n# a comment\nbroken\napp:x:100:101::/srv/app:\n";

    #[test]
    fn the_home_is_found_by_uid() {
        assert_eq!(home_of(0, ACCOUNTS), Some("/root".into()));
        assert_eq!(home_of(100, ACCOUNTS), Some("/srv/app".into()));
        assert_eq!(home_of(10, ACCOUNTS), None);
    }
}
