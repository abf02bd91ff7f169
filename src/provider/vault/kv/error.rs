//! Why a secret of the KV engine cannot be read.

use crate::provider::vault::error::{VaultError, policy};
use crate::provider::{Cause, Kind, ProviderError};

/// Why a secret of the KV engine cannot be read. All paths and names in it are escaped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KvError {
    /// Vault gave no answer that can be used.
    Api(VaultError),
    /// Nothing is there.
    Absent,
    /// No secret, but others below.
    Directory {
        /// What is below, as far as it is shown.
        children: Vec<String>,
    },
    /// The version that was asked for was deleted.
    Deleted {
        /// Which.
        version: u64,
    },
    /// The version that was asked for was destroyed: it cannot be brought back.
    Destroyed {
        /// Which.
        version: u64,
    },
    /// The mount cannot be looked up.
    NoMount {
        /// Where the secret is, should the mount be what it seems.
        path: String,
    },
    /// Vault does not know the token, or it expired.
    TokenRefused,
    /// The mount is of another engine.
    NotKv,
    /// A mount of version 1, which has neither `data/` in its paths nor versions.
    VersionOne {
        /// The mount.
        mount: String,
    },
    /// Several fields, and the reference names none.
    ManyFields {
        /// How many.
        count: usize,
    },
    /// The text is no path.
    Path,
    /// A source without a scope would read everything or nothing.
    NoScope,
}

impl KvError {
    /// The response has no valid member of this name.
    #[must_use]
    pub const fn member(name: &'static str) -> Self {
        Self::Api(VaultError::member(name))
    }

    /// The error of a provider, about a path whose text is escaped already.
    #[must_use]
    pub fn at(self, place: impl Into<String>) -> ProviderError {
        ProviderError::new(place, self)
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
