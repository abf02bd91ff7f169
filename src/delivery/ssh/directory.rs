//! A directory with keys in it. What cryokey wrote there it knows by a note; nothing else is ever replaced or removed.

use std::collections::BTreeSet;
use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::thread;
use std::time::Duration;

use rustix::fs::{AtFlags, Dir, FileType, FlockOperation, Mode, OFlags, Stat};
use rustix::io::Errno;
use zeroize::Zeroizing;

use super::problem;
use crate::delivery::made::{Former, Made, Thing};
use crate::delivery::note;
use crate::error::Problem;
use crate::system::read::{self, ReadError};
use crate::system::write;

/// How often, and after which pause, another startup is waited for that holds the lock: one second in all. Who holds
/// it longer hangs; then what needs the lock is left out.
const ATTEMPTS: u32 = 100;
const PAUSE: Duration = Duration::from_millis(10);

/// No more entries than these are looked at.
const MOST_ENTRIES: usize = 10_000;

pub(super) struct Directory {
    file: Rc<OwnedFd>,
    path: PathBuf,
    is_locked: bool,
    /// The mode of a `.ssh` that is a link, where it lets others in.
    open_link: Option<u32>,
}

/// What exists where a file shall go.
pub(super) enum Existing {
    /// Something that cryokey did not write.
    Foreign,
    /// No file.
    Nothing,
    /// A file that an earlier startup wrote.
    Own(Box<Former>),
    /// The same content.
    Same,
}

/// Why a file cannot be placed.
#[derive(Clone, Copy)]
pub(super) enum Fault {
    Foreign,
    Os(Errno),
    /// The file system does not keep it from others.
    Wide(u32),
}

impl From<Errno> for Fault {
    fn from(errno: Errno) -> Self {
        Self::Os(errno)
    }
}

impl Directory {
    /// Opens a directory, which is made with 0700 if it does not exist (then the second is true), and narrowed to that
    /// if it is this user's `.ssh`, and not a link to something that has another purpose. Locks it.
    pub(super) fn make(path: &Path) -> Result<(Self, bool), Errno> {
        let is_new = match fs::DirBuilder::new().mode(0o700).create(path) {
            Ok(()) => true,
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => false,
            Err(error) => return Err(Errno::from_io_error(&error).unwrap_or(Errno::IO)),
        };
        let mut directory = Self::open(path)?;
        if directory.is_to_be_narrowed()? {
            rustix::fs::fchmod(&directory.file, Mode::RWXU)?;
        }
        let mode = rustix::fs::fstat(&directory.file)?.st_mode & 0o7777;
        directory.open_link =
            (path.ends_with(".ssh") && path.is_symlink() && mode & 0o077 != 0).then_some(mode);
        Ok((directory, is_new))
    }

    /// Whether this is the user's own `.ssh`, with another mode than ssh wants. A link's target keeps its mode.
    pub(super) fn is_to_be_narrowed(&self) -> Result<bool, Errno> {
        let state = rustix::fs::fstat(&self.file)?;
        let is_ssh = self.path.ends_with(".ssh") && !self.path.is_symlink();
        Ok(is_ssh && is_own(&state) && state.st_mode & 0o7777 != 0o700)
    }

    /// Opens a directory as it is.
    pub(super) fn open(path: &Path) -> Result<Self, Errno> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let file = Rc::new(rustix::fs::open(path, flags, Mode::empty())?);
        Ok(Self { file, path: path.to_owned(), is_locked: false, open_link: None })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn file(&self) -> &OwnedFd {
        &self.file
    }

    pub(super) fn open_link(&self) -> Option<u32> {
        self.open_link
    }

    /// Keeps other startups out for as long as the result lives; a process that is killed gives it back.
    pub(super) fn lock(&mut self) -> Thing {
        for _ in 0..ATTEMPTS {
            match rustix::fs::flock(&self.file, FlockOperation::NonBlockingLockExclusive) {
                Err(Errno::WOULDBLOCK | Errno::INTR) => thread::sleep(PAUSE),
                result => {
                    self.is_locked = result.is_ok();
                    break;
                }
            }
        }
        Thing::Lock(Rc::clone(&self.file))
    }

    /// Writes a file unless it exists already, and its note; a foreign file is never replaced.
    pub(super) fn place(&self, name: &str, bytes: &[u8], mode: u32, made: &mut Made) -> Result<(), Fault> {
        match self.existing(name, bytes) {
            Existing::Same => return self.settle(name, mode),
            Existing::Foreign => return Err(Fault::Foreign),
            Existing::Own(former) => {
                self.replace(name, bytes, mode, &former)?;
                made.push(Thing::Former(*former));
            }
            Existing::Nothing => match write::create(&self.file, name, bytes, mode) {
                Ok(()) => {
                    made.push(Thing::File(self.path.join(name)));
                    made.push(Thing::File(self.path.join(note::name_of(name))));
                    self.settle(name, mode)?;
                }
                // Somebody was faster: another startup with the same key, or a stranger.
                Err(Errno::EXIST) if matches!(self.existing(name, bytes), Existing::Same) => return Ok(()),
                Err(Errno::EXIST) => return Err(Fault::Foreign),
                Err(errno) => return Err(errno.into()),
            },
        }
        Ok(note::write(&self.file, name)?)
    }

    pub(super) fn existing(&self, name: &str, bytes: &[u8]) -> Existing {
        match self.read(name) {
            Err(ReadError::Os(Errno::NOENT)) => Existing::Nothing,
            Ok((content, _)) if *content == *bytes => Existing::Same,
            Ok((content, state)) if note::is_noted(&self.file, name, &state) => {
                Existing::Own(Box::new(self.former(name, content, &state)))
            }
            _ => Existing::Foreign,
        }
    }

    /// Removes what a startup that was killed had not renamed yet; only while no other one can be about to.
    pub(super) fn remove_staged(&self, names: &BTreeSet<String>) {
        let is_known =
            |name: &str| names.contains(name) || note::file_of(name).is_some_and(|it| names.contains(it));
        let entries = if self.is_locked { self.entries() } else { Vec::new() };
        for entry in entries.iter().filter(|entry| write::staged_for(entry).is_some_and(is_known)) {
            let state = rustix::fs::statat(&self.file, entry, AtFlags::SYMLINK_NOFOLLOW);
            let is_file = |state: &Stat| FileType::from_raw_mode(state.st_mode) == FileType::RegularFile;
            if state.is_ok_and(|state| is_file(&state) && is_own(&state)) {
                // It is no obstacle, should it stay.
                let _ = self.unlink(entry);
            }
        }
    }

    /// Removes the files that are noted and not among those that were placed; gives their names.
    pub(super) fn remove_unplaced(
        &self,
        placed: &BTreeSet<String>,
        made: &mut Made,
    ) -> Result<Vec<String>, Problem> {
        let mut removed = Vec::new();
        for entry in self.entries() {
            let Some(name) = note::file_of(&entry).filter(|name| !placed.contains(*name)) else { continue };
            let Ok((content, state)) = self.read(name) else { continue };
            if note::is_noted(&self.file, name, &state) {
                let former = self.former(name, content, &state);
                self.unlink(name).map_err(|errno| problem::cannot_remove(&self.path.join(name), errno))?;
                made.push(Thing::Former(former));
                // A note without its file is no obstacle, should it stay.
                let _ = self.unlink(&entry);
                removed.push(name.to_owned());
            }
        }
        Ok(removed)
    }

    /// Puts a new file in the place of an own one. The two are exchanged, so that what came out can be looked at:
    /// should it be a stranger's by now, it goes back.
    fn replace(&self, name: &str, bytes: &[u8], mode: u32, former: &Former) -> Result<(), Fault> {
        let staged = write::stage(&self.file, name, bytes, mode)?;
        let exchanged = self.settle(&staged, mode).and_then(|()| self.exchange(name, &staged, former));
        let removed = self.unlink(&staged);
        exchanged?;
        match removed {
            // It was renamed, where the file system cannot exchange.
            Err(Errno::NOENT) => Ok(()),
            other => Ok(other?),
        }
    }

    fn exchange(&self, name: &str, staged: &str, former: &Former) -> Result<(), Fault> {
        let is_former = |name: &str| self.read(name).is_ok_and(|(content, _)| *content == *former.content);
        match write::exchange(&self.file, staged, name) {
            Ok(()) if is_former(staged) => Ok(()),
            Ok(()) => {
                write::exchange(&self.file, staged, name)?;
                Err(Fault::Foreign)
            }
            Err(Errno::INVAL | Errno::NOSYS) if is_former(name) => {
                Ok(write::rename(&self.file, staged, name)?)
            }
            Err(errno) => Err(errno.into()),
        }
    }

    /// Makes sure that a file has its mode: not every file system has any.
    fn settle(&self, name: &str, mode: u32) -> Result<(), Fault> {
        let file = rustix::fs::openat(&self.file, name, read::OPEN | OFlags::NOFOLLOW, Mode::empty())?;
        let mode_now = || rustix::fs::fstat(&file).map(|state| state.st_mode & 0o7777);
        if mode_now()? != mode {
            rustix::fs::fchmod(&file, Mode::from_raw_mode(mode))?;
        }
        match mode_now()? {
            wide if wide & !mode != 0 => Err(Fault::Wide(wide)),
            _ => Ok(()),
        }
    }

    fn read(&self, name: &str) -> Result<(Zeroizing<Vec<u8>>, Stat), ReadError> {
        let file = rustix::fs::openat(&self.file, name, read::OPEN | OFlags::NOFOLLOW, Mode::empty())?;
        read::read(&file).map(|(content, state)| (Zeroizing::new(content), state))
    }

    fn former(&self, name: &str, content: Zeroizing<Vec<u8>>, state: &Stat) -> Former {
        let directory = Rc::clone(&self.file);
        Former { directory, name: name.to_owned(), content, mode: state.st_mode & 0o7777 }
    }

    fn unlink(&self, name: &str) -> Result<(), Errno> {
        rustix::fs::unlinkat(&self.file, name, AtFlags::empty())
    }

    fn entries(&self) -> Vec<String> {
        let entries = Dir::read_from(&self.file).into_iter().flatten().flatten().take(MOST_ENTRIES);
        entries.filter_map(|entry| Some(entry.file_name().to_str().ok()?.to_owned())).collect()
    }
}

fn is_own(state: &Stat) -> bool {
    state.st_uid == rustix::process::geteuid().as_raw()
}
