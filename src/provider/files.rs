//! Files in one folder: Docker's and Compose's `/run/secrets`, a Kubernetes secret volume, `./.secrets`.
//!
//! The folder is opened once. Nothing outside it is read: every file is opened by `openat2` with
//! `RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS` (openat2(2)). Links inside are followed, since Kubernetes is made of
//! them, and mounts are crossed, since every Swarm and Compose secret is one.

use std::collections::BTreeSet;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Dir, Mode, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;

use super::error::{Cause, Kind};
use super::{Answer, Deadline, Found, Key, Provider, ProviderError, Request};
use crate::bounded::{self, ReadError};
use crate::escape::escaped;
use crate::secret::Secret;

/// What Kubernetes calls the link to the current generation of a volume (its atomic writer).
const GENERATION: &str = "..data";

/// How often a set is read again because a new generation came while it was read.
const ATTEMPTS: usize = 10;

/// Which folder, and how strict.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The folder.
    pub folder: PathBuf,
    /// Whether files with looser modes than 0400 are refused.
    pub strict_permissions: bool,
}

/// A folder of secret files.
#[derive(Debug)]
pub struct Files {
    settings: Settings,
}

impl Files {
    /// A folder; it is opened when it is read.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self { settings }
    }
}

impl Provider for Files {
    fn read(&self, request: &Request<'_>, deadline: Deadline) -> Result<Answer, ProviderError> {
        let folder = match Folder::open(&self.settings.folder) {
            Ok(folder) => folder,
            Err(Errno::NOENT) => return Ok(Answer::default()),
            Err(errno) => return Err(self.folder_error(errno)),
        };
        if self.settings.strict_permissions {
            self.check_folder(&folder)?;
        }
        let names = folder.names();
        for _ in 0..ATTEMPTS {
            match folder.pin() {
                Pin::None => return Ok(self.read_all(&folder, None, &names, request, deadline)),
                Pin::Lost => {}
                Pin::Held(generation) => {
                    let answer = self.read_all(&folder, Some(&generation), &names, request, deadline);
                    // What is missing in a generation that is still the current one is a broken link.
                    if answer.failed.is_empty() || folder.is_current(&generation) {
                        return Ok(answer);
                    }
                }
            }
        }
        Err(ProviderError::new(Kind::Io, self.place(GENERATION), Cause::Changing))
    }
}

impl Files {
    fn read_all(
        &self,
        folder: &Folder,
        generation: Option<&Generation>,
        names: &Names,
        request: &Request<'_>,
        deadline: Deadline,
    ) -> Answer {
        let mode = Some(folder.mode());
        let mut answer = Answer { population: names.population(), mode, ..Answer::default() };
        for key in request.keys.iter().filter(|key| names.may_have(&key.0)) {
            match self.read_one(folder, generation, key, deadline) {
                Ok(None) => {}
                Ok(Some(found)) => answer.found.push(found),
                Err(error) => answer.failed.push((Key::clone(key), error)),
            }
        }
        let exists = |key: &&&Key| names.may_have(&key.0) && folder.has(&key.0);
        answer.noticed.extend(request.notice.iter().filter(exists).map(|key| Key::clone(key)));
        answer
    }

    fn read_one(
        &self,
        folder: &Folder,
        generation: Option<&Generation>,
        key: &Key,
        deadline: Deadline,
    ) -> Result<Option<Found>, ProviderError> {
        let place = self.place(&key.0);
        if deadline.has_passed() && folder.has(&key.0) {
            return Err(ProviderError::new(Kind::TimedOut, place, Cause::Time));
        }
        let read =
            folder.open_file(&key.0, generation).map_err(ReadError::Os).and_then(|file| bounded::read(&file));
        match read {
            Ok((bytes, stat)) => {
                let value = Secret::new(bytes);
                let may_be_planted = folder.may_be_planted(&stat);
                self.check_file(&place, &stat, may_be_planted)?;
                let mode = Some(stat.st_mode & 0o7777);
                Ok(Some(Found { key: Key::clone(key), value, created: None, mode, may_be_planted }))
            }
            Err(ReadError::Os(Errno::NOENT)) if !folder.has(&key.0) => Ok(None),
            Err(error) => Err(ProviderError::reading(place, error, folder.state(&key.0).as_ref())),
        }
    }

    fn check_file(&self, place: &str, stat: &Stat, may_be_planted: bool) -> Result<(), ProviderError> {
        let mode = stat.st_mode & 0o7777;
        if self.settings.strict_permissions && may_be_planted {
            return Err(ProviderError::new(Kind::Denied, place, Cause::Planted { owner: stat.st_uid }));
        }
        if self.settings.strict_permissions && mode & !0o400 != 0 {
            return Err(ProviderError::new(Kind::Denied, place, Cause::LooseMode { mode }));
        }
        Ok(())
    }

    fn check_folder(&self, folder: &Folder) -> Result<(), ProviderError> {
        let mode = folder.mode();
        if is_open_to_all(mode) {
            let place = escaped(self.settings.folder.as_os_str().as_encoded_bytes());
            return Err(ProviderError::new(Kind::Denied, place, Cause::OpenToAll { mode }));
        }
        Ok(())
    }

    fn folder_error(&self, errno: Errno) -> ProviderError {
        let place = escaped(self.settings.folder.as_os_str().as_encoded_bytes());
        if errno == Errno::NOTDIR {
            return ProviderError::new(Kind::Invalid, place, Cause::NotAFolder);
        }
        let stat = rustix::fs::stat(&self.settings.folder).ok();
        if let (Errno::ACCESS, Some(stat)) = (errno, stat) {
            let cause = Cause::Folder {
                owner: stat.st_uid,
                mode: stat.st_mode & 0o7777,
                uid: rustix::process::geteuid().as_raw(),
            };
            return ProviderError::new(Kind::Denied, place, cause);
        }
        ProviderError::reading(place, ReadError::Os(errno), None)
    }

    fn place(&self, name: &str) -> String {
        escaped(self.settings.folder.join(name).as_os_str().as_encoded_bytes()).into_owned()
    }
}

/// The open folder.
struct Folder {
    descriptor: OwnedFd,
}

/// A generation of a Kubernetes volume, held open so that all files are read from the same one.
struct Generation {
    descriptor: OwnedFd,
    target: Vec<u8>,
}

/// What trying to hold the current generation gave.
enum Pin {
    /// It is held.
    Held(Generation),
    /// It was replaced in that moment.
    Lost,
    /// The folder has no generations.
    None,
}

/// The names in the folder; `None` where it may be searched but not listed.
struct Names(Option<BTreeSet<Vec<u8>>>);

impl Folder {
    fn open(path: &Path) -> Result<Self, Errno> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let descriptor = rustix::fs::open(path, flags, Mode::empty())?;
        // O_PATH asks for no permission on the folder itself; looking something up in it does.
        rustix::fs::statat(&descriptor, ".", AtFlags::empty())?;
        Ok(Self { descriptor })
    }

    fn names(&self) -> Names {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let listed = rustix::fs::openat(&self.descriptor, ".", flags, Mode::empty()).and_then(Dir::new);
        let Ok(entries) = listed else { return Names(None) };
        let names = entries.map(|entry| entry.map(|entry| entry.file_name().to_bytes().to_vec()));
        Names(names.collect::<Result<_, _>>().ok())
    }

    fn mode(&self) -> u32 {
        rustix::fs::fstat(&self.descriptor).map_or(0, |stat| stat.st_mode & 0o7777)
    }

    /// Whether a file has another name elsewhere, is another user's, and everybody may put names into the folder,
    /// the sticky bit or not: then somebody may have linked a file here that was never meant to be this secret.
    fn may_be_planted(&self, file: &Stat) -> bool {
        file.st_nlink > 1 && file.st_uid != rustix::process::geteuid().as_raw() && self.mode() & 0o002 != 0
    }

    /// Holds the current generation, where the folder has one.
    fn pin(&self) -> Pin {
        let Some(target) = self.link(GENERATION) else { return Pin::None };
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        match beneath(&self.descriptor, Path::new(GENERATION), flags) {
            Ok(descriptor) => Pin::Held(Generation { descriptor, target }),
            Err(Errno::NOENT) => Pin::Lost,
            // Then each file tells for itself why it cannot be read.
            Err(_) => Pin::None,
        }
    }

    fn is_current(&self, generation: &Generation) -> bool {
        self.link(GENERATION).is_some_and(|target| target == generation.target)
    }

    /// A file by its name; one that is a link into the current generation is read from the pinned one.
    fn open_file(&self, name: &str, generation: Option<&Generation>) -> Result<OwnedFd, Errno> {
        if let Some(generation) = generation
            && let Some(target) = self.link(name)
            && let Some(inside) = target.strip_prefix(b"..data/")
        {
            let inside = std::str::from_utf8(inside).map_err(|_| Errno::ILSEQ)?;
            return beneath(&generation.descriptor, Path::new(inside), bounded::OPEN);
        }
        beneath(&self.descriptor, Path::new(name), bounded::OPEN)
    }

    fn has(&self, name: &str) -> bool {
        rustix::fs::statat(&self.descriptor, name, AtFlags::SYMLINK_NOFOLLOW).is_ok()
    }

    fn state(&self, name: &str) -> Option<Stat> {
        rustix::fs::statat(&self.descriptor, name, AtFlags::empty()).ok()
    }

    fn link(&self, name: &str) -> Option<Vec<u8>> {
        rustix::fs::readlinkat(&self.descriptor, name, Vec::new()).ok().map(std::ffi::CString::into_bytes)
    }
}

impl Names {
    /// Whether it is worth opening: a name with a folder in it is not looked for in the list.
    fn may_have(&self, name: &str) -> bool {
        self.0.as_ref().is_none_or(|names| name.contains('/') || names.contains(name.as_bytes()))
    }

    fn population(&self) -> Option<usize> {
        self.0.as_ref().map(|names| names.iter().filter(|name| !name.starts_with(b".")).count())
    }
}

/// Whether everybody may put files into a folder and take others' files away.
#[must_use]
pub fn is_open_to_all(mode: u32) -> bool {
    mode & 0o002 != 0 && mode & 0o1000 == 0
}

fn beneath(folder: &OwnedFd, path: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    match rustix::fs::openat2(folder, path, flags, Mode::empty(), resolve) {
        // Before Linux 5.6 there is no such call, and older seccomp profiles deny it. EAGAIN: a rename somewhere
        // made the kernel unsure, and it asks to be asked again (openat2(2)).
        Err(Errno::NOSYS | Errno::PERM | Errno::AGAIN) => walk::beneath(folder, path, flags),
        other => other,
    }
}

/// The same without `openat2`: one component at a time, links resolved by hand.
mod walk {
    use std::collections::VecDeque;
    use std::ffi::OsString;
    use std::os::unix::ffi::OsStringExt as _;
    use std::path::Component;

    use super::{Errno, Mode, OFlags, OwnedFd, Path};

    /// As many links as the kernel itself follows (`path_resolution(7)`).
    const LINKS: usize = 40;

    pub(super) fn beneath(folder: &OwnedFd, path: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
        let mut stack = vec![rustix::io::dup(folder)?];
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
            let last =
                if parts.is_empty() { flags } else { OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC };
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
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::time::Duration;

    use super::*;

    fn folder() -> (tempfile::TempDir, Folder) {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("inner")).unwrap();
        fs::write(directory.path().join("inner/a"), "value").unwrap();
        symlink("inner/a", directory.path().join("inside")).unwrap();
        symlink("inner/../inner/a", directory.path().join("crooked")).unwrap();
        symlink("../outside", directory.path().join("above")).unwrap();
        symlink("/etc/hostname", directory.path().join("absolute")).unwrap();
        symlink("/proc/self/environ", directory.path().join("magic")).unwrap();
        symlink("circle", directory.path().join("circle")).unwrap();
        symlink("nowhere", directory.path().join("broken")).unwrap();
        let folder = Folder::open(directory.path()).unwrap();
        (directory, folder)
    }

    #[test]
    fn the_fallback_without_openat2_decides_as_openat2_does() {
        let (_directory, folder) = folder();
        for name in
            ["inside", "crooked", "inner/a", "above", "absolute", "magic", "circle", "broken", "none", ".."]
        {
            let path = Path::new(name);
            let kernel = beneath(&folder.descriptor, path, bounded::OPEN).map(drop);
            let by_hand = walk::beneath(&folder.descriptor, path, bounded::OPEN).map(drop);
            assert_eq!(kernel, by_hand, "{name}");
        }
    }

    #[test]
    fn a_set_is_read_from_one_generation_although_it_is_swapped_meanwhile() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        for generation in ["..1", "..2"] {
            fs::create_dir(at(generation)).unwrap();
            for name in ["user", "password"] {
                fs::write(at(generation).join(name), generation).unwrap();
                let _ = symlink(format!("..data/{name}"), at(name));
            }
        }
        symlink("..1", at("..data")).unwrap();
        let folder = Folder::open(directory.path()).unwrap();
        let Pin::Held(pinned) = folder.pin() else { panic!("there is a generation") };
        let user = bounded::read(&folder.open_file("user", Some(&pinned)).unwrap()).unwrap().0;
        symlink("..2", at("..new")).unwrap();
        fs::rename(at("..new"), at("..data")).unwrap();
        let password = bounded::read(&folder.open_file("password", Some(&pinned)).unwrap()).unwrap().0;
        assert_eq!(user, password);
        assert!(!folder.is_current(&pinned));
    }

    #[test]
    fn a_folder_that_does_not_exist_holds_nothing() {
        let settings = Settings { folder: "/nonexistent/secrets".into(), strict_permissions: false };
        let request = Request { keys: &[&Key("A".into())], notice: &[] };
        let answer = Files::new(settings).read(&request, Deadline::after(Duration::from_secs(5))).unwrap();
        assert!(answer.found.is_empty() && answer.failed.is_empty());
    }
}
