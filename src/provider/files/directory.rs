//! One directory, opened once: nothing outside it is read.
//!
//! Every file is opened by `openat2` with `RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS` (openat2(2)). Links inside are
//! followed, since Kubernetes volumes are made of them, and mounts are crossed, since every Swarm and Compose secret is
//! one.

use std::ffi::CStr;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{AtFlags, Dir, Mode, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;

use super::error::mode;
use super::walk;
use crate::system::read;

/// What Kubernetes calls the link to the current generation of a volume (its atomic writer).
pub(super) const GENERATION: &str = "..data";

pub(super) struct Directory {
    descriptor: OwnedFd,
}

/// A generation of a Kubernetes volume, held open so that all files are read from the same one.
pub(super) struct Generation {
    descriptor: OwnedFd,
    target: Vec<u8>,
}

/// What trying to hold the current generation gave.
pub(super) enum Pin {
    /// It is held.
    Held(Generation),
    /// It was replaced in that moment.
    Lost,
    /// The directory has no generations.
    None,
}

impl Directory {
    pub(super) fn open(path: &Path) -> Result<Self, Errno> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let descriptor = rustix::fs::open(path, flags, Mode::empty())?;
        // O_PATH asks for no permission on the directory itself; looking something up in it does.
        rustix::fs::statat(&descriptor, ".", AtFlags::empty())?;
        Ok(Self { descriptor })
    }

    /// Calls for each name in the directory, until that fails. Outer `Err`: it may be searched but not listed.
    pub(super) fn list<E>(
        &self,
        mut name: impl FnMut(&CStr) -> Result<(), E>,
    ) -> Result<Result<(), E>, Errno> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let entries = rustix::fs::openat(&self.descriptor, ".", flags, Mode::empty()).and_then(Dir::new)?;
        for entry in entries {
            if let Err(error) = name(entry?.file_name()) {
                return Ok(Err(error));
            }
        }
        Ok(Ok(()))
    }

    pub(super) fn mode(&self) -> u32 {
        rustix::fs::fstat(&self.descriptor).map_or(0, |stat| mode(&stat))
    }

    /// Whether a file has another name elsewhere, is another user's, and every user may put names into the directory,
    /// the sticky bit or not: then another user may have linked a file here that was never meant to be this secret.
    pub(super) fn may_be_planted(&self, file: &Stat) -> bool {
        file.st_nlink > 1 && file.st_uid != rustix::process::geteuid().as_raw() && self.mode() & 0o002 != 0
    }

    /// Holds the current generation, where the directory has one.
    pub(super) fn pin(&self) -> Pin {
        let Some(target) = self.link(GENERATION) else { return Pin::None };
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        match beneath(&self.descriptor, Path::new(GENERATION), flags) {
            Ok(descriptor) => Pin::Held(Generation { descriptor, target }),
            Err(Errno::NOENT) => Pin::Lost,
            // Then each file tells for itself why it cannot be read.
            Err(_) => Pin::None,
        }
    }

    pub(super) fn is_current(&self, generation: &Generation) -> bool {
        self.link(GENERATION).is_some_and(|target| target == generation.target)
    }

    /// A file by its path; one that begins with a link into the current generation is read from the pinned one.
    pub(super) fn open_file(&self, path: &str, generation: Option<&Generation>) -> Result<OwnedFd, Errno> {
        let (name, rest) = path.split_once('/').map_or((path, None), |(name, rest)| (name, Some(rest)));
        if let Some(generation) = generation
            && let Some(target) = self.link(name)
            && let Some(inside) = target.strip_prefix(b"..data/")
        {
            let inside = Path::new(std::str::from_utf8(inside).map_err(|_| Errno::ILSEQ)?);
            let inside = rest.map_or_else(|| inside.to_owned(), |rest| inside.join(rest));
            return beneath(&generation.descriptor, &inside, read::OPEN);
        }
        beneath(&self.descriptor, Path::new(path), read::OPEN)
    }

    /// The generations that the directories on the way to a path are in, for comparing them.
    pub(super) fn generations(&self, path: &str) -> Vec<Option<Vec<u8>>> {
        let above = path.match_indices('/').filter_map(|(at, _)| path.get(..at));
        above.map(|directory| self.link(&format!("{directory}/{GENERATION}"))).collect()
    }

    pub(super) fn has(&self, name: &str) -> bool {
        rustix::fs::statat(&self.descriptor, name, AtFlags::SYMLINK_NOFOLLOW).is_ok()
    }

    /// Whether a name certainly does not exist. What cannot be asked about may exist.
    pub(super) fn lacks(&self, name: &str) -> bool {
        let stat = rustix::fs::statat(&self.descriptor, name, AtFlags::SYMLINK_NOFOLLOW);
        stat.err() == Some(Errno::NOENT)
    }

    pub(super) fn stat(&self, name: &str) -> Option<Stat> {
        rustix::fs::statat(&self.descriptor, name, AtFlags::empty()).ok()
    }

    fn link(&self, name: &str) -> Option<Vec<u8>> {
        rustix::fs::readlinkat(&self.descriptor, name, Vec::new()).ok().map(std::ffi::CString::into_bytes)
    }
}

/// Whether every user may put files into a directory and take others' files away.
#[must_use]
pub fn is_open_to_all(mode: u32) -> bool {
    mode & 0o002 != 0 && mode & 0o1000 == 0
}

fn beneath(directory: &OwnedFd, path: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    match rustix::fs::openat2(directory, path, flags, Mode::empty(), resolve) {
        // Before Linux 5.6 there is no such call, and older seccomp profiles deny it. EAGAIN: a rename somewhere
        // made the kernel unsure, and it asks to be asked again (openat2(2)).
        Err(Errno::NOSYS | Errno::PERM | Errno::AGAIN) => walk::beneath(directory, path, flags),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    fn directory() -> (tempfile::TempDir, Directory) {
        let temporary = tempfile::tempdir().unwrap();
        fs::create_dir(temporary.path().join("inner")).unwrap();
        fs::write(temporary.path().join("inner/a"), "value").unwrap();
        symlink("inner/a", temporary.path().join("inside")).unwrap();
        symlink("inner/../inner/a", temporary.path().join("crooked")).unwrap();
        symlink("../outside", temporary.path().join("above")).unwrap();
        symlink("/etc/hostname", temporary.path().join("absolute")).unwrap();
        symlink("/proc/self/environ", temporary.path().join("magic")).unwrap();
        symlink("circle", temporary.path().join("circle")).unwrap();
        symlink("nowhere", temporary.path().join("broken")).unwrap();
        let directory = Directory::open(temporary.path()).unwrap();
        (temporary, directory)
    }

    #[test]
    fn the_fallback_without_openat2_decides_as_openat2_does() {
        let (_temporary, directory) = directory();
        for name in
            ["inside", "crooked", "inner/a", "above", "absolute", "magic", "circle", "broken", "none", ".."]
        {
            let path = Path::new(name);
            let kernel = beneath(&directory.descriptor, path, read::OPEN).map(drop);
            let by_hand = walk::beneath(&directory.descriptor, path, read::OPEN).map(drop);
            assert_eq!(kernel, by_hand, "{name}");
        }
    }

    #[test]
    fn a_path_through_a_link_into_a_generation_is_read_from_the_pinned_one() {
        let temporary = tempfile::tempdir().unwrap();
        let at = |name: &str| temporary.path().join(name);
        for generation in ["..1", "..2"] {
            fs::create_dir_all(at(generation).join("db")).unwrap();
            fs::write(at(generation).join("db/password"), generation).unwrap();
        }
        symlink("..1", at("..data")).unwrap();
        symlink("..data/db", at("db")).unwrap();
        let directory = Directory::open(temporary.path()).unwrap();
        let Pin::Held(pinned) = directory.pin() else { panic!("the directory has a generation") };
        symlink("..2", at("..new")).unwrap();
        fs::rename(at("..new"), at("..data")).unwrap();
        let file = directory.open_file("db/password", Some(&pinned)).unwrap();
        assert_eq!(read::read(&file).unwrap().0, b"..1");
    }

    #[test]
    fn a_set_is_read_from_one_generation_although_it_is_swapped_meanwhile() {
        let temporary = tempfile::tempdir().unwrap();
        let at = |name: &str| temporary.path().join(name);
        for generation in ["..1", "..2"] {
            fs::create_dir(at(generation)).unwrap();
            for name in ["user", "password"] {
                fs::write(at(generation).join(name), generation).unwrap();
                let _ = symlink(format!("..data/{name}"), at(name));
            }
        }
        symlink("..1", at("..data")).unwrap();
        let directory = Directory::open(temporary.path()).unwrap();
        let Pin::Held(pinned) = directory.pin() else { panic!("the directory has a generation") };
        let user = read::read(&directory.open_file("user", Some(&pinned)).unwrap()).unwrap().0;
        symlink("..2", at("..new")).unwrap();
        fs::rename(at("..new"), at("..data")).unwrap();
        let password = read::read(&directory.open_file("password", Some(&pinned)).unwrap()).unwrap().0;
        assert_eq!(user, password);
        assert!(!directory.is_current(&pinned));
    }
}
