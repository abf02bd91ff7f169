//! Errors of reading a file as a secret.

use rustix::fs::Stat;
use rustix::io::Errno;

use crate::provider::{Cause, Kind};
use crate::system::read::{LIMIT, ReadError};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileError {
    BothVariables,
    /// It changed during each attempt to read it.
    Changing,
    /// Owner and mode of the directory deny entering it.
    Directory(Permission),
    Errno(Errno),
    /// A symbolic link, or a part of the path, leads nowhere.
    LeadsNowhere,
    /// Its mode is wider than `strict_permissions` allows.
    LooseMode {
        mode: u32,
    },
    NotADirectory,
    /// What it is instead of a regular file.
    NotRegular(&'static str),
    /// A directory in which every user can replace files.
    OpenToAll {
        mode: u32,
    },
    /// A symbolic link that leads out of the secrets directory.
    Outside,
    /// Owner and mode deny reading it.
    Permission(Permission),
    /// A hard link to another user's file, in a directory that every user can write.
    Planted {
        owner: u32,
    },
    /// A secrets directory with more files for the declared names than could be meant.
    Spellings {
        most: usize,
    },
    Time,
    TooLarge,
}

/// Owner and mode of a file, and the uid that cannot read it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Permission {
    owner: u32,
    mode: u32,
    uid: u32,
}

#[must_use]
pub fn mode(stat: &Stat) -> u32 {
    stat.st_mode & 0o7777
}

impl Permission {
    #[must_use]
    pub fn new(stat: &Stat) -> Self {
        Self { owner: stat.st_uid, mode: mode(stat), uid: rustix::process::geteuid().as_raw() }
    }

    /// Whether the mode alone would allow reading; groups are not considered.
    fn is_allowed(self) -> bool {
        let bit = if self.owner == self.uid { 0o400 } else { 0o004 };
        self.mode & bit != 0
    }

    /// Swarm and Compose support different options for a secret's owner, so the message names both ways.
    fn fix(self) -> String {
        /// The uid shown for users that are not mapped into the user namespace (`user_namespaces(7)`).
        const OVERFLOW: u32 = 65_534;
        let Self { uid, mode, owner } = self;
        if self.is_allowed() {
            return "its mode allows access; check SELinux, AppArmor or Landlock, and the parent directories"
                .into();
        }
        if owner == uid {
            return "let its owner read it: `chmod u+r`".into();
        }
        if uid == 0 && owner == OVERFLOW {
            return "root has neither CAP_DAC_READ_SEARCH nor CAP_DAC_OVERRIDE for it, and the owner is not mapped into \
                    this user namespace (`cap_drop: ALL`, or rootless): chown the file on the host"
                .into();
        }
        if uid == 0 {
            return format!(
                "root has neither CAP_DAC_READ_SEARCH nor CAP_DAC_OVERRIDE here (`cap_drop: ALL`, or rootless): add \
                 `cap_add: [DAC_READ_SEARCH]`, or `chown root` the file on the host, or run as uid {owner}, the owner"
            );
        }
        format!(
            "with Swarm, set `uid: \"{uid}\"` and `gid:` beside `mode: {mode:04o}`; Compose ignores uid, gid and mode of \
             file secrets, so `chown {uid}` the file on the host, or start the container as root, with `user` in [process] of \
             the manifest for the app"
        )
    }
}

impl From<(ReadError, Option<&Stat>)> for FileError {
    /// From the error of reading a file, and the file's state, if it is known.
    fn from((error, stat): (ReadError, Option<&Stat>)) -> Self {
        match error {
            ReadError::Changing => Self::Changing,
            ReadError::NotRegular(what) => Self::NotRegular(what),
            ReadError::TooLarge => Self::TooLarge,
            ReadError::Os(Errno::ACCESS | Errno::PERM) => {
                stat.map_or(Self::Errno(Errno::ACCESS), |stat| Self::Permission(Permission::new(stat)))
            }
            ReadError::Os(Errno::XDEV) => Self::Outside,
            ReadError::Os(Errno::NOENT | Errno::NOTDIR | Errno::NAMETOOLONG) => Self::LeadsNowhere,
            // The error for opening a socket or a device without a driver.
            ReadError::Os(Errno::NXIO | Errno::NODEV) => Self::NotRegular("a socket or a device"),
            ReadError::Os(errno) => Self::Errno(errno),
        }
    }
}

impl Cause for FileError {
    fn kind(&self) -> Kind {
        match self {
            Self::BothVariables => Kind::Misconfigured,
            Self::Directory(_)
            | Self::Errno(Errno::ACCESS | Errno::PERM | Errno::LOOP)
            | Self::LooseMode { .. }
            | Self::OpenToAll { .. }
            | Self::Outside
            | Self::Permission(_)
            | Self::Planted { .. } => Kind::Denied,
            Self::NotADirectory | Self::NotRegular(_) | Self::Spellings { .. } | Self::TooLarge => {
                Kind::Invalid
            }
            Self::LeadsNowhere => Kind::NotFound,
            Self::Changing | Self::Errno(_) => Kind::Io,
            Self::Time => Kind::TimedOut,
        }
    }

    fn what(&self, place: &str) -> String {
        match *self {
            Self::BothVariables => format!("{place} and {place}_FILE are both set"),
            Self::Changing => format!("{place} changed during each attempt to read it"),
            Self::Directory(Permission { owner, mode, uid }) => {
                format!("uid {uid} cannot enter {place}: its owner is uid {owner}, its mode {mode:04o}")
            }
            Self::Errno(errno) => format!("{place}: {}", errno_text(errno)),
            Self::LeadsNowhere => format!("{place} does not lead to a file"),
            Self::LooseMode { mode } => format!("{place} has mode {mode:04o}, which is wider than 0400"),
            Self::NotADirectory => format!("{place} is not a directory"),
            Self::NotRegular(what) => format!("{place} is {what}, not a regular file"),
            Self::OpenToAll { mode } => {
                format!("{place} has mode {mode:04o}, so every user can replace the files in it")
            }
            Self::Outside => {
                format!("{place} is a symbolic link that leads out of the secrets directory (EXDEV)")
            }
            Self::Permission(Permission { owner, mode, uid }) => {
                format!(
                    "uid {uid} cannot read {place} (EACCES): its owner is uid {owner}, its mode {mode:04o}"
                )
            }
            Self::Planted { owner } => {
                format!(
                    "{place} is a hard link to a file of uid {owner}, in a directory that every user can write"
                )
            }
            Self::Spellings { most } => {
                format!("{place} has more than {most} files whose names are spellings of declared names")
            }
            Self::Time => format!("{place} was not read before the startup timeout expired"),
            Self::TooLarge => format!("{place} is larger than {LIMIT} bytes"),
        }
    }

    fn fix(&self) -> String {
        match *self {
            Self::BothVariables => "remove one of the two".into(),
            Self::Changing => "write secret files under another name, then rename them".into(),
            Self::Directory(Permission { uid: 0, .. }) => "let root enter the directory: `chmod a+rx`, or `chown root`, or \
                 `cap_add: [DAC_READ_SEARCH]`"
                .into(),
            Self::Directory(Permission { uid, .. }) => format!(
                "let uid {uid} enter the directory (`chmod a+rx`, or `chown {uid}`), or start the container as its \
                 owner"
            ),
            Self::Errno(Errno::LOOP) | Self::LeadsNowhere => "correct the path or the symbolic link".into(),
            Self::Errno(Errno::ACCESS | Errno::PERM) => {
                "let this user enter every directory of the path, or check SELinux and AppArmor".into()
            }
            Self::Errno(Errno::MFILE | Errno::NFILE) => "raise the limit of open files (`ulimit -n`)".into(),
            Self::Errno(_) => "check the volume on which it is stored".into(),
            Self::LooseMode { .. } => {
                format!("mount it with `mode: 0400` and `uid: \"{}\"`", rustix::process::geteuid().as_raw())
            }
            Self::NotADirectory => "set CRYOKEY_SECRETS_DIR to the directory that holds the secret files".into(),
            Self::NotRegular("a directory") => {
                "put a regular file there, or remove it; Docker creates an empty directory when the host file of a \
                 bind mount does not exist"
                    .into()
            }
            Self::NotRegular(_) => "put a regular file there, or remove it".into(),
            Self::OpenToAll { .. } => "remove write permission for others: `chmod o-w`".into(),
            Self::Outside => "make the link point to a file in the secrets directory".into(),
            Self::Permission(permission) => permission.fix(),
            Self::Planted { .. } => "let only root and the app's user write to the secrets directory".into(),
            Self::Spellings { .. } => "leave one file for each name in the directory".into(),
            Self::Time => "check why reading is slow, or raise CRYOKEY_START_TIMEOUT".into(),
            Self::TooLarge => {
                format!("a secret has at most {LIMIT} bytes; deliver larger data as a volume")
            }
        }
    }
}

fn errno_text(errno: Errno) -> String {
    match errno {
        Errno::LOOP => "symbolic links form a loop, or lead through /proc (ELOOP)".into(),
        Errno::ACCESS | Errno::PERM => format!("permission denied ({})", errno.raw_os_error()),
        other => std::io::Error::from(other).to_string(),
    }
}
