//! Why a provider could not give a value. Made of kinds, names, paths and numbers; a value cannot get in.

use std::fmt;

use rustix::fs::Stat;
use rustix::io::Errno;

use crate::bounded::{LIMIT, ReadError};
use crate::error::Exit;

/// Why a secret, or a whole place, could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderError {
    /// What kind of failure it was; decides the exit code.
    pub kind: Kind,
    /// The path or variable that it is about, escaped.
    pub place: String,
    /// What is known of the cause.
    pub cause: Cause,
}

/// The kinds of failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// We are not allowed to read it.
    Denied,
    /// It is there, but cannot be a secret.
    Invalid,
    /// Reading broke off.
    Io,
    /// Two entries contradict each other.
    Misconfigured,
    /// Something that was named does not exist.
    NotFound,
    /// The start budget ended first.
    TimedOut,
}

/// The causes, with what a message needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// NAME and `NAME_FILE` are both set.
    BothVariables,
    /// It changed each time while it was read.
    Changing,
    /// The kernel's answer.
    Errno(Errno),
    /// The owner and mode of the folder do not let us look into it.
    Folder {
        /// The owner's uid.
        owner: u32,
        /// Permission bits.
        mode: u32,
        /// Our uid.
        uid: u32,
    },
    /// A link, or a part of the path, that leads nowhere.
    LeadsNowhere,
    /// Its mode is looser than `strict_permissions` allows.
    LooseMode {
        /// Permission bits.
        mode: u32,
    },
    /// It should be a folder.
    NotAFolder,
    /// It is not a regular file.
    NotRegular(&'static str),
    /// A folder in which everybody may replace what is there.
    OpenToAll {
        /// Permission bits.
        mode: u32,
    },
    /// A link that leads out of the secrets folder.
    Outside,
    /// Its owner and mode do not let us read it.
    Permission {
        /// The owner's uid.
        owner: u32,
        /// Permission bits.
        mode: u32,
        /// Our uid.
        uid: u32,
    },
    /// A hard link to another user's file, in a folder that everybody can write.
    Planted {
        /// The owner's uid.
        owner: u32,
    },
    /// The start budget ended.
    Time,
    /// It is larger than the limit.
    TooLarge,
}

impl ProviderError {
    /// An error about a place.
    #[must_use]
    pub fn new(kind: Kind, place: impl Into<String>, cause: Cause) -> Self {
        Self { kind, place: place.into(), cause }
    }

    /// From what reading a file gave. `stat` is the file's state, where it could be asked.
    #[must_use]
    pub fn reading(place: impl Into<String>, error: ReadError, stat: Option<&Stat>) -> Self {
        let (kind, cause) = match error {
            ReadError::Changing => (Kind::Io, Cause::Changing),
            ReadError::NotRegular(what) => (Kind::Invalid, Cause::NotRegular(what)),
            ReadError::TooLarge => (Kind::Invalid, Cause::TooLarge),
            ReadError::Os(Errno::ACCESS | Errno::PERM) => (Kind::Denied, permission(stat)),
            ReadError::Os(Errno::XDEV) => (Kind::Denied, Cause::Outside),
            ReadError::Os(errno @ Errno::LOOP) => (Kind::Denied, Cause::Errno(errno)),
            ReadError::Os(Errno::NOENT | Errno::NOTDIR) => (Kind::NotFound, Cause::LeadsNowhere),
            // What opening a socket or a device without a driver answers.
            ReadError::Os(Errno::NXIO | Errno::NODEV) => {
                (Kind::Invalid, Cause::NotRegular("a socket or a device"))
            }
            ReadError::Os(errno) => (Kind::Io, Cause::Errno(errno)),
        };
        Self::new(kind, place, cause)
    }

    /// The exit code that this failure asks for.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self.kind {
            Kind::Denied => Exit::Denied,
            Kind::Invalid => Exit::Value,
            Kind::Io => Exit::Io,
            Kind::Misconfigured => Exit::Configuration,
            Kind::NotFound => Exit::Missing,
            Kind::TimedOut => Exit::Temporary,
        }
    }

    /// One word for the last log line.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self.kind {
            Kind::Denied => "denied",
            Kind::Invalid => "invalid",
            Kind::Io => "io",
            Kind::Misconfigured => "configuration",
            Kind::NotFound => "missing",
            Kind::TimedOut => "timeout",
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn fix(&self) -> String {
        match self.cause {
            Cause::Permission { owner, mode, uid } if is_allowed(owner, mode, uid) => {
                "its mode would let us: look at SELinux, AppArmor or Landlock, and at the folders above it"
                    .into()
            }
            Cause::Permission { mode, uid, .. } => permission_fix(mode, uid),
            Cause::BothVariables => "remove one of the two".into(),
            Cause::Changing => "write secret files under another name and rename them".into(),
            Cause::Errno(Errno::LOOP) | Cause::LeadsNowhere => "correct the path or the link".into(),
            Cause::Errno(Errno::ACCESS | Errno::PERM) => {
                "let our user into every folder of the path, or look at SELinux or AppArmor".into()
            }
            Cause::Errno(_) => "look at the volume that it is on".into(),
            Cause::Folder { uid, .. } => format!(
                "let uid {uid} into the folder (`chmod a+rx`, or `chown {uid}`), or start the container as its owner"
            ),
            Cause::LooseMode { .. } => "mount it with `mode: 0400` and our `uid:`".into(),
            Cause::NotAFolder => "name the folder that the secret files are in".into(),
            Cause::OpenToAll { .. } => "take the right to write from others: `chmod o-w`".into(),
            Cause::NotRegular(_) => "put a regular file there, or remove it".into(),
            Cause::Outside => "let the link point to a file in the secrets folder".into(),
            Cause::Planted { .. } => "let only root and our user write the secrets folder".into(),
            Cause::Time => "make the volume faster, or raise CRYOKEY_START_TIMEOUT".into(),
            Cause::TooLarge => {
                format!("a secret has at most {LIMIT} bytes: deliver what is larger as a volume")
            }
        }
    }
}

impl fmt::Display for ProviderError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = &self.place;
        match self.cause {
            Cause::BothVariables => write!(formatter, "{place} and {place}_FILE are both set"),
            Cause::Changing => write!(formatter, "{place} changed each time while it was read"),
            Cause::Errno(errno) => write!(formatter, "{place}: {}", errno_text(errno)),
            Cause::LeadsNowhere => write!(formatter, "{place} does not lead to a file"),
            Cause::LooseMode { mode } => write!(formatter, "{place} has mode {mode:04o}, looser than 0400"),
            Cause::NotAFolder => write!(formatter, "{place} is not a folder"),
            Cause::OpenToAll { mode } => {
                write!(formatter, "{place} has mode {mode:04o}: everybody can replace what is in it")
            }
            Cause::NotRegular(what) => write!(formatter, "{place} is {what}, not a file"),
            Cause::Outside => {
                write!(formatter, "{place} is a link that leads out of the secrets folder (EXDEV)")
            }
            Cause::Folder { owner, mode, uid } => write!(
                formatter,
                "{place} cannot be entered: its owner is uid {owner}, its mode {mode:04o}, and we are uid {uid}"
            ),
            Cause::Permission { owner, mode, uid } => write!(
                formatter,
                "{place} cannot be read (EACCES): its owner is uid {owner}, its mode {mode:04o}, and we are uid {uid}"
            ),
            Cause::Planted { owner } => write!(
                formatter,
                "{place} is a hard link to a file of uid {owner}, in a folder that everybody can write"
            ),
            Cause::Time => write!(formatter, "{place} was not read before the start budget ended"),
            Cause::TooLarge => write!(formatter, "{place} is larger than {LIMIT} bytes"),
        }
    }
}

fn permission(stat: Option<&Stat>) -> Cause {
    stat.map_or(Cause::Errno(Errno::ACCESS), |stat| Cause::Permission {
        owner: stat.st_uid,
        mode: stat.st_mode & 0o7777,
        uid: rustix::process::geteuid().as_raw(),
    })
}

/// Whether the mode alone would let us read, as far as it can be told without groups.
fn is_allowed(owner: u32, mode: u32, uid: u32) -> bool {
    let bit = if owner == uid { 0o400 } else { 0o004 };
    uid == 0 || mode & bit != 0
}

/// Both ways out, as behaviour §6 wants them said.
fn permission_fix(mode: u32, uid: u32) -> String {
    format!(
        "with Swarm write `uid: \"{uid}\"` and `gid:` beside `mode: {mode:04o}`; Compose ignores uid, gid and mode \
         of file secrets, so there `chown {uid}` the file on the host, or start the container as a user who can \
         read it"
    )
}

fn errno_text(errno: Errno) -> String {
    match errno {
        Errno::LOOP => "links lead in a circle, or through /proc (ELOOP)".into(),
        Errno::ACCESS | Errno::PERM => format!("permission denied ({})", errno.raw_os_error()),
        other => std::io::Error::from(other).to_string(),
    }
}
