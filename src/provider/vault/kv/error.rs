//! Why a KV secret cannot be read.

use crate::provider::vault::error::{VaultError, policy};
use crate::provider::{Cause, Kind};

/// Why a KV secret cannot be read. Paths and names are already escaped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KvError {
    /// The request failed.
    Api(VaultError),
    /// No secret exists at the path.
    Absent,
    /// The path holds no secret but has children.
    Directory {
        /// The names of the children, truncated for the message.
        children: Vec<String>,
    },
    /// The requested version was deleted. An undelete can restore it.
    Deleted {
        /// The version number.
        version: u64,
    },
    /// The requested version was destroyed, which is irreversible.
    Destroyed {
        /// The version number.
        version: u64,
    },
    /// The policy denies looking up the mount.
    NoMount {
        /// The API path of the secret, assuming KV version 2 mounted at the first path segment.
        path: String,
    },
    /// The token is invalid or has expired.
    TokenRefused,
    /// The mount belongs to a different secrets engine.
    NotKv,
    /// The path has `data/`, or the reference a version, but the mount is KV version 1, which supports neither.
    VersionOne {
        /// The mount path.
        mount: String,
    },
    /// The secret has several fields, and the reference does not name one.
    ManyFields {
        /// The number of fields.
        count: usize,
    },
    /// The text is not a valid path.
    Path,
    /// No paths are configured for the source.
    NoScope,
}

impl KvError {
    /// The named member is missing or invalid.
    #[must_use]
    pub const fn member(name: &'static str) -> Self {
        Self::Api(VaultError::member(name))
    }
}

impl Cause for KvError {
    fn kind(&self) -> Kind {
        match self {
            Self::Api(error) => error.kind(),
            Self::Absent
            | Self::Directory { .. }
            | Self::Deleted { .. }
            | Self::Destroyed { .. }
            | Self::VersionOne { .. } => Kind::NotFound,
            Self::NoMount { .. } | Self::TokenRefused => Kind::Denied,
            Self::NotKv | Self::ManyFields { .. } | Self::Path | Self::NoScope => Kind::Misconfigured,
        }
    }

    fn what(&self, place: &str) -> String {
        match self {
            Self::Api(error) => error.what(place),
            Self::Absent => format!("{place} does not exist"),
            Self::Directory { children } => {
                format!("{place} is not a secret but a directory, which holds {}", children.join(", "))
            }
            Self::Deleted { version } => format!("version {version} of {place} is deleted"),
            Self::Destroyed { version } => format!("version {version} of {place} is destroyed"),
            Self::TokenRefused => format!("{place}: Vault does not accept the token"),
            Self::NoMount { .. } => {
                format!("{place}: denied, or no such mount: Vault answers both the same way")
            }
            Self::NotKv => format!("{place} is in a mount that is not of the KV engine"),
            Self::VersionOne { mount } => {
                format!(
                    "{place} does not exist: the mount {mount} is KV version 1, without `data/` and versions"
                )
            }
            Self::ManyFields { count } => format!("{place} has {count} fields, and the reference names none"),
            Self::Path => format!("`{place}` is not the path of a secret: MOUNT/NAME or MOUNT/data/NAME"),
            Self::NoScope => "Vault is selected, but no path is set".into(),
        }
    }

    fn fix(&self) -> String {
        match self {
            Self::Api(error) => error.fix(),
            Self::Absent => "write the secret, or correct the path".into(),
            Self::Directory { .. } => {
                "name the secrets in it, with commas between them; cryokey does not walk directories".into()
            }
            Self::Deleted { .. } => {
                "undelete it (`kv undelete`), write a new version, or name another one".into()
            }
            Self::Destroyed { .. } => "write a new version, or name another one".into(),
            Self::TokenRefused => "use a token that is valid in this namespace and has not expired".into(),
            Self::NoMount { path } => {
                format!("correct the path, or add to the token's policy: {}", policy(path, "read"))
            }
            Self::NotKv => "use the path of a KV secret".into(),
            Self::VersionOne { .. } => "write the path without `data/` and without a version".into(),
            Self::ManyFields { .. } => "name the field: `vault:path#field`".into(),
            Self::Path => "correct it in VAULT_SECRET_PATH or in `from`".into(),
            Self::NoScope => "set VAULT_SECRET_PATH to the path of the secret, such as secret/app".into(),
        }
    }
}

impl From<VaultError> for KvError {
    fn from(error: VaultError) -> Self {
        Self::Api(error)
    }
}
