//! Becomes the app. cryokey searches PATH and calls `execve` itself, because `execvp` passes scripts without `#!` to a
//! shell.

use std::ffi::{CStr, CString, OsStr, OsString, c_char};
use std::io::{self, Read};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Access, AtFlags, CWD, StatVfsMountFlags, accessat, statvfs};

use crate::launch::Launch;
use crate::stop::StopSignals;
use crate::{signals, startup};

/// The kernel reads no more of a script than this (`BINPRM_BUF_SIZE`).
const SCRIPT_LINE: u64 = 256;

/// Why the app could not be started.
#[derive(Debug)]
pub struct ExecError {
    /// The path that was found, or the name that was not found anywhere.
    pub path: PathBuf,
    pub reason: Reason,
}

#[derive(Debug, PartialEq, Eq)]
pub enum Reason {
    Directory,
    Denied,
    /// It may be executed, but the interpreter of its `#!` line may not.
    DeniedInterpreter(OsString),
    /// Neither a binary for this machine nor a script with `#!`.
    Format,
    /// Symbolic links form a loop.
    Loop,
    /// It exists, but the interpreter of its `#!` line or the loader of its binary does not.
    MissingInterpreter(Option<OsString>),
    /// The interpreter of its `#!` line is a script whose interpreter is one, and so on, without end.
    EndlessInterpreter(OsString),
    /// Its file system is mounted without permission to execute.
    NoExecMount,
    NotADirectory,
    /// A FIFO, a device or the like.
    NotAFile,
    NotFound,
    /// A stop signal arrived before it was tried.
    Stopped(u8),
    /// Arguments and environment are larger than the kernel allows.
    TooBig,
    /// Any other error of the kernel.
    Other(io::ErrorKind, i32),
}

impl ExecError {
    /// 127 if it was not found, 126 if it was found but cannot be executed, as in shells and `env`.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self.reason {
            Reason::NotFound | Reason::MissingInterpreter(_) => 127,
            _ => 126,
        }
    }
}

/// Becomes the app. Returns only on failure. The caller then only writes a message, so descriptors stay as the app would
/// have got them; the signals that writing can raise are ignored again, so that they do not kill the process.
#[must_use]
pub fn exec(launch: &Launch, held: &StopSignals) -> ExecError {
    let call = Call::of(launch);
    startup::restore();
    let outcome = call.try_each(|| held.pending());
    signals::ignore_those_of_writes();
    match outcome {
        Outcome::Failed(failure) => explain(launch, failure),
        Outcome::Stopped(signal) => {
            ExecError { path: launch.program().into(), reason: Reason::Stopped(signal) }
        }
    }
}

/// Becomes the app in a process that was made for it. What fails is for `explain`, in the parent.
pub(crate) fn exec_in_child(call: &Call<'_>) -> Failure {
    startup::restore();
    match call.try_each(|| None) {
        Outcome::Failed(failure) => failure,
        Outcome::Stopped(_) => Failure::NOWHERE,
    }
}

/// Which candidate could not be executed, by its position, and the error of execve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Failure {
    candidate: u32,
    errno: i32,
}

impl Failure {
    /// No candidate exists.
    const NOWHERE: Self = Self { candidate: u32::MAX, errno: libc::ENOENT };

    pub(crate) const SIZE: usize = 8;

    pub(crate) fn to_bytes(self) -> [u8; Self::SIZE] {
        (u64::from(self.candidate) << 32 | u64::from(self.errno.cast_unsigned())).to_le_bytes()
    }

    pub(crate) fn from_bytes(bytes: [u8; Self::SIZE]) -> Self {
        let [errno, candidate] = [0, 32].map(|shift| {
            u32::try_from(u64::from_le_bytes(bytes) >> shift & u64::from(u32::MAX)).unwrap_or(u32::MAX)
        });
        Self { candidate, errno: errno.cast_signed() }
    }
}

enum Outcome {
    Failed(Failure),
    /// A stop signal arrived before it was tried.
    Stopped(u8),
}

/// What execve needs. It is made beforehand, because who becomes the app may share its memory with who stays, and would
/// leave there what it allocates.
pub(crate) struct Call<'a> {
    launch: &'a Launch,
    candidates: Vec<CString>,
    arguments: Vec<*const c_char>,
    environment: Vec<*const c_char>,
}

impl<'a> Call<'a> {
    pub(crate) fn of(launch: &'a Launch) -> Self {
        Self {
            launch,
            candidates: launch.candidates(),
            arguments: pointers(launch.arguments.iter().map(CString::as_c_str)),
            environment: pointers(launch.environment()),
        }
    }

    /// As `execvp` does: if a file is missing, the next directory is searched; a denial is reported only if no other
    /// directory has the program; any other error ends the search.
    fn try_each(&self, stop: impl Fn() -> Option<u8>) -> Outcome {
        let mut forbidden = None;
        for (candidate, path) in (0..).zip(&self.candidates) {
            if let Some(signal) = stop() {
                return Outcome::Stopped(signal);
            }
            let failure = Failure { candidate, errno: self.execve(path) };
            match failure.errno {
                libc::ENOENT if !exists(path) => {}
                libc::ENOTDIR if !self.launch.program().as_bytes().contains(&b'/') => {}
                libc::EACCES => forbidden = forbidden.or(Some(failure)),
                _ => return Outcome::Failed(failure),
            }
        }
        Outcome::Failed(forbidden.unwrap_or(Failure::NOWHERE))
    }

    fn execve(&self, path: &CStr) -> i32 {
        let held = signals::mask();
        signals::set_mask(signals::inherited_mask());
        // SAFETY: the path is a NUL-terminated string, the arrays end with a null pointer and hold such strings, of a
        // launch that this borrows.
        unsafe { libc::execve(path.as_ptr(), self.arguments.as_ptr(), self.environment.as_ptr()) };
        let errno = io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO);
        signals::set_mask(held);
        errno
    }
}

pub(crate) fn explain(launch: &Launch, failure: Failure) -> ExecError {
    let candidate = usize::try_from(failure.candidate).ok();
    match candidate.and_then(|candidate| launch.candidates().into_iter().nth(candidate)) {
        None => ExecError { path: launch.program().into(), reason: Reason::NotFound },
        Some(path) => {
            let path = as_path(&path);
            ExecError { path: path.to_owned(), reason: reason(path, failure.errno) }
        }
    }
}

fn pointers<'a>(strings: impl Iterator<Item = &'a CStr>) -> Vec<*const c_char> {
    strings.map(CStr::as_ptr).chain([std::ptr::null()]).collect()
}

fn exists(path: &CStr) -> bool {
    as_path(path).symlink_metadata().is_ok()
}

fn reason(path: &Path, errno: i32) -> Reason {
    match errno {
        libc::EACCES if path.is_dir() => Reason::Directory,
        libc::EACCES if path.metadata().is_ok_and(|found| !found.is_file()) => Reason::NotAFile,
        libc::EACCES if is_on_noexec_mount(path) => Reason::NoExecMount,
        libc::EACCES if may_be_executed(path) => {
            interpreter(path).map_or(Reason::Denied, Reason::DeniedInterpreter)
        }
        libc::EACCES => Reason::Denied,
        libc::ENOEXEC => Reason::Format,
        libc::ELOOP if path.exists() => interpreter(path).map_or(Reason::Loop, Reason::EndlessInterpreter),
        libc::ELOOP => Reason::Loop,
        libc::ENOENT if path.exists() => Reason::MissingInterpreter(interpreter(path)),
        libc::ENOENT => Reason::NotFound,
        libc::ENOTDIR => Reason::NotADirectory,
        libc::E2BIG => Reason::TooBig,
        other => Reason::Other(io::Error::from_raw_os_error(other).kind(), other),
    }
}

/// By this process's user, as far as the permissions of the file alone decide that.
fn may_be_executed(path: &Path) -> bool {
    accessat(CWD, path, Access::EXEC_OK, AtFlags::EACCESS).is_ok()
}

/// That of a script: what execve says of one that is missing is no different from what it says of a missing script.
fn interpreter(path: &Path) -> Option<OsString> {
    let mut start = Vec::new();
    std::fs::File::open(path).ok()?.take(SCRIPT_LINE).read_to_end(&mut start).ok()?;
    let line = start.strip_prefix(b"#!")?.split(|byte| *byte == b'\n').next()?;
    // As the kernel reads it: a carriage return is part of the name.
    let word = line.split(|byte| matches!(byte, b' ' | b'\t')).find(|word| !word.is_empty())?;
    Some(OsString::from_vec(word.to_vec()))
}

fn is_on_noexec_mount(path: &Path) -> bool {
    statvfs(path).is_ok_and(|mount| mount.f_flag.contains(StatVfsMountFlags::NOEXEC))
}

fn as_path(path: &CStr) -> &Path {
    Path::new(OsStr::from_bytes(path.to_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_passes_through_bytes() {
        for failure in [Failure::NOWHERE, Failure { candidate: 3, errno: libc::EACCES }] {
            assert_eq!(Failure::from_bytes(failure.to_bytes()), failure);
        }
    }

    #[test]
    fn the_pointers_end_with_null_and_lead_to_the_strings() {
        let strings = [c"a", c"bc"];
        let pointers = pointers(strings.into_iter());
        assert_eq!(pointers, [strings[0].as_ptr(), strings[1].as_ptr(), std::ptr::null()]);
    }
}
