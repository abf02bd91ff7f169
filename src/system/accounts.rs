//! A parser of `/etc/passwd` and `/etc/group`. Unlike the C library's, it does not depend on the image's nsswitch.conf.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::account_name::id;
use super::read::{self, ReadError};
use crate::environ::{Environ, variable};

const PASSWD: &str = "/etc/passwd";
const GROUP: &str = "/etc/group";

/// The two files. One that does not exist is empty: many images have none.
#[derive(Debug, Default)]
pub struct Accounts {
    passwd: Vec<u8>,
    group: Vec<u8>,
}

/// A line of `/etc/passwd` (passwd(5)).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account<'a> {
    pub name: &'a [u8],
    pub uid: u32,
    pub gid: u32,
    /// If it is an absolute path.
    pub home: Option<PathBuf>,
}

/// The home directory according to HOME and to `/etc/passwd`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Home {
    /// HOME, if it is an absolute path.
    pub variable: Option<PathBuf>,
    /// The sixth field of the user's line in `/etc/passwd` (passwd(5)).
    pub account: Option<PathBuf>,
}

impl Accounts {
    /// `Err` names the file that exists and cannot be read.
    pub fn read() -> Result<Self, (&'static str, ReadError)> {
        Ok(Self { passwd: lines_of(PASSWD)?, group: lines_of(GROUP)? })
    }

    #[must_use]
    pub fn named(&self, name: &str) -> Option<Account<'_>> {
        self.accounts().find(|account| account.name == name.as_bytes())
    }

    #[must_use]
    pub fn of_uid(&self, uid: u32) -> Option<Account<'_>> {
        self.accounts().find(|account| account.uid == uid)
    }

    /// Whether a line is about this uid, and no account can be made of it.
    #[must_use]
    pub fn has_broken_entry(&self, uid: u32) -> bool {
        let is_about = |line: &[u8]| line.split(|byte| *byte == b':').nth(2).and_then(number) == Some(uid);
        let mut lines = self.passwd.split(|byte| *byte == b'\n').filter(|line| !line.starts_with(b"#"));
        lines.any(|line| is_about(line) && account(line).is_none())
    }

    #[must_use]
    pub fn group_named(&self, name: &str) -> Option<u32> {
        self.groups().find(|(group, ..)| *group == name.as_bytes()).map(|(_, gid, _)| gid)
    }

    /// The groups that list a user as a member, in the order of the file.
    #[must_use]
    pub fn groups_of(&self, user: &[u8]) -> Vec<u32> {
        let is_member = |members: &[u8]| members.split(|byte| *byte == b',').any(|member| member == user);
        self.groups().filter(|(.., members)| is_member(members)).map(|(_, gid, _)| gid).collect()
    }

    fn accounts(&self) -> impl Iterator<Item = Account<'_>> {
        self.passwd.split(|byte| *byte == b'\n').filter_map(account)
    }

    /// Name, gid, and members (group(5)).
    fn groups(&self) -> impl Iterator<Item = (&[u8], u32, &[u8])> {
        self.group.split(|byte| *byte == b'\n').filter_map(group)
    }
}

fn lines_of(path: &'static str) -> Result<Vec<u8>, (&'static str, ReadError)> {
    match read::read_path(Path::new(path)) {
        Ok((bytes, _)) => Ok(bytes),
        Err(ReadError::Os(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR)) => Ok(Vec::new()),
        Err(error) => Err((path, error)),
    }
}

/// A line that is broken, empty or a comment is none.
fn account(line: &[u8]) -> Option<Account<'_>> {
    let fields: Vec<&[u8]> = line.split(|byte| *byte == b':').collect();
    let [name, _, uid, gid, _, home, ..] = fields.as_slice() else { return None };
    let home = Some(PathBuf::from(OsStr::from_bytes(home))).filter(|path| path.is_absolute());
    Some(Account { name: named(name)?, uid: number(uid)?, gid: number(gid)?, home })
}

fn group(line: &[u8]) -> Option<(&[u8], u32, &[u8])> {
    let fields: Vec<&[u8]> = line.split(|byte| *byte == b':').collect();
    let [name, _, gid, members] = fields.as_slice() else { return None };
    Some((named(name)?, number(gid)?, members))
}

fn named(field: &[u8]) -> Option<&[u8]> {
    Some(field).filter(|name| !name.is_empty() && !name.starts_with(b"#"))
}

fn number(field: &[u8]) -> Option<u32> {
    std::str::from_utf8(field).ok().and_then(id)
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
    let accounts = Accounts::read().unwrap_or_default();
    let uid = rustix::process::geteuid().as_raw();
    Home {
        variable: environ.path(variable::HOME).filter(|path| path.is_absolute()),
        account: accounts.of_uid(uid).and_then(|account| account.home),
    }
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
    use proptest::prelude::*;

    use super::*;

    const PASSWD: &[u8] = b"root:x:0:0:root:/root:/bin/sh\n# a comment\n#app:x:1:1::/:\nbroken\n\
        app:x:100:101::/srv/app:\napp:x:200:200::/second:\nno-home:x:101:4294967294:::\nbad:x:4294967295:1::/:\n\
        worse:x:-1:+1::/:\n+::::::\n";
    const GROUP: &[u8] = b"root:x:0:\nwww:x:33:app,other\naudio:x:29:other\napplication:x:30:application\n\
        video:*:44:other,app\nbroken:x:\nbad:x:4294967295:app\n";

    fn accounts() -> Accounts {
        Accounts { passwd: PASSWD.to_vec(), group: GROUP.to_vec() }
    }

    #[test]
    fn an_account_is_found_by_name_and_by_uid_and_the_first_counts() {
        let accounts = accounts();
        let app = Account { name: b"app", uid: 100, gid: 101, home: Some("/srv/app".into()) };
        assert_eq!(accounts.named("app"), Some(app.clone()));
        assert_eq!(accounts.of_uid(100), Some(app));
        assert_eq!(accounts.of_uid(0).unwrap().home, Some("/root".into()));
        assert_eq!(accounts.of_uid(101).unwrap().home, None);
        for name in ["ap", "App", "", "#app", "broken", "bad", "worse", "+"] {
            assert_eq!(accounts.named(name), None, "{name}");
        }
        assert_eq!(accounts.of_uid(10), None);
    }

    #[test]
    fn an_entry_that_is_about_a_uid_and_not_valid_is_told_from_none() {
        let passwd =
            b"a:x:7:4294967296::/h:\nb:x:8:abc::/h:\nc:x:9\nd:x:10:10::/:/\n#e:x:11:x::/:\n".to_vec();
        let accounts = Accounts { passwd, group: Vec::new() };
        let broken: Vec<u32> = (0..20).filter(|uid| accounts.has_broken_entry(*uid)).collect();
        assert_eq!(broken, [7, 8, 9]);
    }

    #[test]
    fn groups_are_found_by_name_and_by_whole_members() {
        let accounts = accounts();
        assert_eq!(accounts.group_named("www"), Some(33));
        assert_eq!(accounts.group_named("broken").or(accounts.group_named("bad")), None);
        assert_eq!(accounts.groups_of(b"app"), [33, 44]);
        assert!(accounts.groups_of(b"nobody").is_empty());
    }

    proptest! {
        #[test]
        fn an_account_is_found_as_it_was_written_among_any_other_lines(
            before in "([a-z#:x0-9\n]{0,40}\n)?", uid in 0..u32::MAX, gid in 0..u32::MAX, home in "/[a-z/]{0,10}",
        ) {
            let passwd = format!("{before}the-app:x:{uid}:{gid}:A, B:{home}:/bin/sh\r\n").into_bytes();
            let accounts = Accounts { passwd, group: before.into_bytes() };
            let found = accounts.named("the-app");
            prop_assert_eq!(found, Some(Account { name: b"the-app", uid, gid, home: Some(home.into()) }));
        }

        #[test]
        fn any_bytes_are_read_without_a_panic(passwd in any::<Vec<u8>>(), group in any::<Vec<u8>>(), uid in 0..u32::MAX) {
            let accounts = Accounts { passwd, group };
            prop_assert!(accounts.of_uid(uid).is_none_or(|account| account.uid == uid));
            let _ = accounts.groups_of(b"app");
        }
    }
}
