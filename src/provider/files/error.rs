//! Why a file could not be read as a secret.

use rustix::fs::Stat;
use rustix::io::Errno;

use crate::provider::{Cause, Kind, ProviderError};
use crate::system::read::{LIMIT, ReadError};

/// The causes, with what a message needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileError {
    /// NAME and `NAME_FILE` are both set.
    BothVariables,
    /// It changed each time while it was read.
    Changing,
    /// The owner and mode of the directory deny entering it.
    Directory(Permission),
    /// The kernel's answer.
    Errno(Errno),
    /// A link, or a part of the path, that leads nowhere.
    LeadsNowhere,
    /// Its mode is looser than `strict_permissions` allows.
    LooseMode {
        /// Permission bits.
        mode: u32,
    },
    /// It should be a directory.
    NotADirectory,
    /// It is not a regular file.
    NotRegular(&'static str),
    /// A directory in which every user may replace what is there.
    OpenToAll {
        /// Permission bits.
        mode: u32,
    },
    /// A link that leads out of the secrets directory.
    Outside,
    /// Its owner and mode deny reading it.
    Permission(Permission),
    /// A hard link to another user's file, in a directory that every user can write.
    Planted {
        /// The owner's uid.
        owner: u32,
    },
    /// The startup timeout expired.
    Time,
    /// It is larger than the limit.
    TooLarge,
}

/// Who may not read what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Permission {
    owner: u32,
    mode: u32,
    uid: u32,
}

impl FileError {
    /// An error about a place, whose text is escaped already.
    #[must_use]
    pub fn at(self, place: impl Into<String>) -> ProviderError {
        ProviderError::new(place, self)
    }
}

/// The permission bits of a file.
#[must_use]
pub fn mode(stat: &Stat) -> u32 {
    stat.st_mode & 0o7777
}

impl Permission {
    /// What denies this process access.
    #[must_use]
    pub fn new(stat: &Stat) -> Self {
        Self { owner: stat.st_uid, mode: mode(stat), uid: rustix::process::geteuid().as_raw() }
    }

    /// Whether the mode alone would allow reading, as far as it can be told without groups.
    fn is_allowed(self) -> bool {
        let bit = if self.owner == self.uid { 0o400 } else { 0o004 };
        self.mode & bit != 0
    }

    /// Swarm and Compose differ in what they let a file say, so both ways out are needed.
    fn fix(self) -> String {
        /// The uid that stands for every uid outside a user namespace (`user_namespaces(7)`).
        const OVERFLOW: u32 = 65_534;
        let Self { uid, mode, owner } = self;
        if self.is_allowed() {
            return "its mode allows access; check SELinux, AppArmor or Landlock, and the parent directories"
                .into();
        }
        if uid == 0 {
            let unmapped = if owner == OVERFLOW { " (not mapped into this user namespace)" } else { "" };
            return format!(
                "root has no CAP_DAC_OVERRIDE here (--cap-drop ALL, or rootless): run as uid {owner}{unmapped}, the \
                 owner, or chown the file"
            );
        }
        format!(
            "with Swarm write `uid: \"{uid}\"` and `gid:` beside `mode: {mode:04o}`; Compose ignores uid, gid and \
             mode of file secrets, so there `chown {uid}` the file on the host, or start the container as a user who \
             can read it"
        )
    }
}

impl From<(ReadError, Option<&Stat>)> for FileError {
    /// From what reading a file gave, and the file's state, where it could be asked.
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
            // What opening a socket or a device without a driver answers.
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
            Self::NotADirectory | Self::NotRegular(_) | Self::TooLarge => Kind::Invalid,
            Self::LeadsNowhere => Kind::NotFound,
            Self::Changing | Self::Errno(_) => Kind::Io,
            Self::Time => Kind::TimedOut,
        }
    }

    fn what(&self, place: &str) -> String {
        match *self {
            Self::BothVariables => format!("{place} and {place}_FILE are both set"),
            Self::Changing => format!("{place} changed each time while it was read"),
            Self::Directory(Permission { owner, mode, uid }) => {
                format!("uid {uid} cannot enter {place}: its owner is uid {owner}, its mode {mode:04o}")
            }
            Self::Errno(errno) => format!("{place}: {}", errno_text(errno)),
            Self::LeadsNowhere => format!("{place} does not lead to a file"),
            Self::LooseMode { mode } => format!("{place} has mode {mode:04o}, looser than 0400"),
            Self::NotADirectory => format!("{place} is not a directory"),
            Self::NotRegular(what) => format!("{place} is {what}, not a file"),
            Self::OpenToAll { mode } => {
                format!("{place} has mode {mode:04o}: every user can replace what is in it")
            }
            Self::Outside => format!("{place} is a link that leads out of the secrets directory (EXDEV)"),
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
            Self::Time => format!("{place} was not read before the startup timeout expired"),
            Self::TooLarge => format!("{place} is larger than {LIMIT} bytes"),
        }
    }

    fn fix(&self) -> String {
        match *self {
            Self::BothVariables => "remove one of the two".into(),
            Self::Changing => "write secret files under another name and rename them".into(),
            Self::Directory(Permission { uid, .. }) => format!(
                "let uid {uid} enter the directory (`chmod a+rx`, or `chown {uid}`), or start the container as its \
                 owner"
            ),
            Self::Errno(Errno::LOOP) | Self::LeadsNowhere => "correct the path or the link".into(),
            Self::Errno(Errno::ACCESS | Errno::PERM) => {
                "let this user enter every directory of the path, or check SELinux or AppArmor".into()
            }
            Self::Errno(_) => "check the volume that it is on".into(),
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
            Self::Outside => "let the link point to a file in the secrets directory".into(),
            Self::Permission(permission) => permission.fix(),
            Self::Planted { .. } => "let only root and the app's user write the secrets directory".into(),
            Self::Time => "make the volume faster, or raise CRYOKEY_START_TIMEOUT".into(),
            Self::TooLarge => {
                format!("a secret has at most {LIMIT} bytes; deliver larger data as a volume")
            }
        }
    }
}

fn errno_text(errno: Errno) -> String {
    match errno {
        Errno::LOOP => "links lead in a circle, or through /proc (ELOOP)".into(),
        Errno::ACCESS | Errno::PERM => format!("permission denied ({})", errno.raw_os_error()),
        other => std::io::Error::from(other).to_string(),
    }
}
