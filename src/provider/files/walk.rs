//! `openat2` beneath a directory, without `openat2`: one component at a time, links resolved by hand.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Component, Path};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

/// As many links as the kernel itself follows (`path_resolution(7)`).
const LINKS: usize = 40;

pub(super) fn beneath(directory: &OwnedFd, path: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
    let mut stack = vec![rustix::io::dup(directory)?];
    let mut parts = components(path)?;
    let mut links = 0;
    while let Some(part) = parts.pop_front() {
        let at = stack.last().ok_or(Errno::XDEV)?;
        if part == ".." {
            stack.pop();
            continue;
        }
        if let Ok(target) = rustix::fs::readlinkat(at, &part, Vec::new()) {
            links += 1;
            if links > LINKS {
                return Err(Errno::LOOP);
            }
            let target = components(Path::new(&OsString::from_vec(target.into_bytes())))?;
            parts = target.into_iter().chain(parts).collect();
            continue;
        }
        let last = if parts.is_empty() { flags } else { OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC };
        let next = rustix::fs::openat(at, &part, last | OFlags::NOFOLLOW, Mode::empty())?;
        stack.push(next);
    }
    stack.pop().ok_or(Errno::XDEV)
}

fn components(path: &Path) -> Result<VecDeque<OsString>, Errno> {
    let part = |component| match component {
        Component::Normal(name) => Some(Ok(name.to_owned())),
        Component::ParentDir => Some(Ok("..".into())),
        Component::CurDir => None,
        Component::RootDir | Component::Prefix(_) => Some(Err(Errno::XDEV)),
    };
    path.components().filter_map(part).collect()
}
