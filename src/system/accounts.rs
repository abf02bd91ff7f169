//! A parser of `/etc/passwd`. Unlike the C library's, it does not depend on the image's nsswitch.conf.

use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use super::read;
use crate::environ::{Environ, variable};

const PASSWD: &str = "/etc/passwd";

/// The home directory according to HOME and to `/etc/passwd`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Home {
    /// HOME, if it is an absolute path.
    pub variable: Option<PathBuf>,
    /// The sixth field of the user's line in `/etc/passwd` (passwd(5)).
    pub account: Option<PathBuf>,
}

impl Home {
    /// HOME, or else the account's.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.variable.as_deref().or(self.account.as_deref())
    }
}

/// The home directory of the effective user.
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
        let is_user = fields.next() == Some(uid.as_bytes());
        let home = fields.nth(2)?;
        is_user.then(|| PathBuf::from(std::ffi::OsString::from_vec(home.to_vec())))
    })
}

/// Whether both exist and differ; the paths are not resolved.
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
