//! Becoming another user, for good.
//!
//! Raw calls: glibc's wrappers change every thread of the process, and wait for each of them by a signal. A thread that
//! hangs in the kernel would block startup. The raw calls change the calling thread only. The threads that are left are
//! abandoned requests; they keep the former user until `execve`, which ends them.

use std::io;

use crate::startup;

/// The ids that the process gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    pub uid: u32,
    pub gid: u32,
    /// All supplementary groups; the present ones are given up.
    pub groups: Vec<u32>,
}

/// Which step failed, with the kernel's error number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UserError {
    Groups(i32),
    Group(i32),
    User(i32),
    /// The ids are not those that were set, or uid 0 could be taken back.
    NotForGood,
}

/// Keeps an id as it is (setresuid(2)).
const SAME: u32 = u32::MAX;

/// Gives up the present user and groups for these. Group ids first: without uid 0, they cannot be changed.
///
/// After an error, the process may be neither the one user nor the other: the caller exits.
pub fn become_user(user: &User) -> Result<(), UserError> {
    set_groups(&user.groups).map_err(UserError::Groups)?;
    set_ids(libc::SYS_setresgid, [user.gid; 3]).map_err(UserError::Group)?;
    set_ids(libc::SYS_setresuid, [user.uid; 3]).map_err(UserError::User)?;
    // The kernel resets it with the uid, to what the sysctl fs.suid_dumpable says.
    startup::refuse_to_be_read();
    if is_for_good(user) { Ok(()) } else { Err(UserError::NotForGood) }
}

fn is_for_good(user: &User) -> bool {
    ids(libc::SYS_getresgid) == Some([user.gid; 3])
        && ids(libc::SYS_getresuid) == Some([user.uid; 3])
        && set_ids(libc::SYS_setresuid, [SAME, 0, SAME]).is_err()
        && (user.gid == 0 || set_ids(libc::SYS_setresgid, [SAME, 0, SAME]).is_err())
}

fn set_groups(groups: &[u32]) -> Result<(), i32> {
    // SAFETY: the kernel reads as many group ids as the length says, which is that of the slice.
    result(unsafe { libc::syscall(libc::SYS_setgroups, groups.len(), groups.as_ptr()) })
}

/// `SYS_setresuid` or `SYS_setresgid`: the real, effective and saved id.
fn set_ids(call: libc::c_long, [real, effective, saved]: [u32; 3]) -> Result<(), i32> {
    // SAFETY: both calls take three numbers and no pointer.
    result(unsafe { libc::syscall(call, real, effective, saved) })
}

/// `SYS_getresuid` or `SYS_getresgid`: the real, effective and saved id.
fn ids(call: libc::c_long) -> Option<[u32; 3]> {
    let [mut real, mut effective, mut saved] = [SAME; 3];
    // SAFETY: the kernel writes one id of 32 bits to each of the three variables.
    let result = result(unsafe { libc::syscall(call, &raw mut real, &raw mut effective, &raw mut saved) });
    result.ok().map(|()| [real, effective, saved])
}

fn result(returned: libc::c_long) -> Result<(), i32> {
    match returned {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const APP: User = User { uid: 10_001, gid: 10_002, groups: Vec::new() };

    /// The raw calls change this thread only, so the other tests keep their user.
    fn in_thread<T: Send + 'static>(act: impl FnOnce() -> T + Send + 'static) -> T {
        std::thread::spawn(act).join().unwrap()
    }

    fn is_root() -> bool {
        ids(libc::SYS_getresuid) == Some([0; 3])
    }

    #[test]
    #[cfg_attr(miri, ignore = "Miri has no setresuid")]
    fn root_becomes_the_user_and_cannot_return_and_another_user_is_refused() {
        let became = in_thread(|| (become_user(&APP), ids(libc::SYS_getresuid), ids(libc::SYS_getresgid)));
        if is_root() {
            assert_eq!(became, (Ok(()), Some([10_001; 3]), Some([10_002; 3])));
        } else {
            assert_eq!(became.0, Err(UserError::Groups(libc::EPERM)));
        }
    }

    #[test]
    #[cfg_attr(miri, ignore = "Miri has no setresuid")]
    fn a_user_who_could_return_is_noticed() {
        let root = User { uid: 0, gid: 0, groups: vec![0] };
        let expected = if is_root() { UserError::NotForGood } else { UserError::Groups(libc::EPERM) };
        assert_eq!(in_thread(move || become_user(&root)), Err(expected));
    }

    #[test]
    #[cfg_attr(miri, ignore = "Miri has no setresuid")]
    fn ids_that_are_not_those_of_the_user_are_noticed() {
        let [uid, ..] = ids(libc::SYS_getresuid).unwrap();
        let [gid, ..] = ids(libc::SYS_getresgid).unwrap();
        assert!(!is_for_good(&User { uid: uid + 1, gid, groups: Vec::new() }));
        assert!(!is_for_good(&User { uid, gid: gid + 1, groups: Vec::new() }));
    }
}
