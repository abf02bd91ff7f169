//! Why Vault gave no answer that can be used. Of what the server said only statuses and closed causes are kept.

use std::fmt;

use crate::provider::http::{HttpError, HttpFault, TlsFault};
use crate::provider::retry::{Retryable, Temporary};
use crate::provider::tls::TlsSetupError;
use crate::provider::{Cause, Kind, ProviderError};

/// Why Vault gave no answer that can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VaultError {
    /// There is no response.
    Http(HttpError),
    /// TLS cannot be set up.
    Tls(TlsSetupError),
    /// Vault is sealed.
    Sealed,
    /// A standby that sends its clients to the leader.
    Standby {
        /// Host and port of the leader; escaped.
        leader: String,
    },
    /// A node that does not have what was written lately, or that cannot answer itself.
    NotReady {
        /// The status.
        status: u16,
    },
    /// Vault refused the request.
    Refused {
        /// The status.
        status: u16,
        /// What a policy has to allow: `read`, `update`, `list`.
        capability: &'static str,
        /// The path that was asked, as a policy writes it; escaped.
        path: String,
    },
    /// The response is not what Vault's documentation says.
    Nonsense(Nonsense),
    /// There was no answer before the startup timeout expired.
    TimedOut,
}

/// What is wrong with a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nonsense {
    /// It is not JSON.
    NotJson,
    /// It lacks this member, or that one is of another type or there twice.
    Member(&'static str),
    /// It has a status that Vault never gives.
    Status(u16),
}

impl VaultError {
    /// The response has no valid member of this name.
    #[must_use]
    pub const fn member(name: &'static str) -> Self {
        Self::Nonsense(Nonsense::Member(name))
    }

    /// The error of a provider, about a path or an address whose text is escaped already.
    #[must_use]
    pub fn at(self, place: impl Into<String>) -> ProviderError {
        ProviderError::new(place, self)
    }
}

/// What has to be in a policy, to be pasted.
#[must_use]
pub fn policy(path: &str, capability: &str) -> String {
    format!("path \"{path}\" {{ capabilities = [\"{capability}\"] }}")
}

impl Retryable for VaultError {
    fn temporary(&self) -> Option<Temporary> {
        match self {
            Self::Http(error) => error.temporary(),
            Self::Sealed | Self::NotReady { .. } => Some(Temporary::Failure),
            _ => None,
        }
    }
}

impl Cause for VaultError {
    fn kind(&self) -> Kind {
        match self {
            Self::Http(error) => error.kind(),
            Self::Sealed | Self::NotReady { .. } => Kind::Unreachable,
            Self::Standby { .. } => Kind::Untrusted,
            Self::Refused { status: 401 | 403, .. } => Kind::Denied,
            Self::Tls(_) | Self::Refused { .. } => Kind::Misconfigured,
            Self::Nonsense(_) => Kind::Nonsense,
            Self::TimedOut => Kind::TimedOut,
        }
    }

    fn what(&self, place: &str) -> String {
        match self {
            Self::Http(error) => error.what(place),
            Self::Tls(error) => error.to_string(),
            Self::Sealed => format!("{place}: Vault is sealed"),
            Self::Standby { leader } => {
                format!("{place}: this node is a standby that redirects to its leader {leader}")
            }
            Self::NotReady { status } => {
                format!("{place}: this node is not ready to answer (status {status})")
            }
            Self::Refused { status: 403, capability, path } => {
                format!("{place}: the token's policies do not allow `{capability}` on `{path}`")
            }
            Self::Refused { status, capability, path } => {
                format!("{place}: Vault refused `{capability}` on `{path}` with status {status}")
            }
            Self::Nonsense(nonsense) => format!("{place}: {nonsense}"),
            Self::TimedOut => format!("{place}: no answer before the startup timeout expired"),
        }
    }

    fn fix(&self) -> String {
        match self {
            Self::Refused { status: 403, capability, path } => {
                format!("add to the token's policy: {}", policy(path, capability))
            }
            Self::Http(HttpError { fault: HttpFault::Tls(TlsFault::UnknownIssuer), .. }) => {
                "set VAULT_CACERT to the CA that signed the server's certificate".into()
            }
            Self::Http(HttpError { fault: HttpFault::Tls(TlsFault::WrongName), .. }) => {
                "set VAULT_ADDR to a name in the certificate, or VAULT_TLS_SERVER_NAME to that name".into()
            }
            Self::Http(error) => error.fix(),
            Self::Tls(_) => "correct the file, or the variable that names it".into(),
            Self::Sealed => "unseal Vault, and start again".into(),
            Self::Standby { leader } => {
                format!("set VAULT_ADDR to the leader {leader}, or to a load balancer in front of it")
            }
            Self::NotReady { .. } => {
                "wait until the node has caught up, or set VAULT_ADDR to another one".into()
            }
            Self::Refused { .. } => "correct the path and the namespace".into(),
            Self::TimedOut => "check Vault and the network between, or raise CRYOKEY_START_TIMEOUT".into(),
            Self::Nonsense(_) => {
                "check that VAULT_ADDR is the address of Vault, not of something before it".into()
            }
        }
    }
}

impl fmt::Display for Nonsense {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotJson => formatter.write_str("the response is not JSON"),
            Self::Member(name) => write!(formatter, "the response has no valid `{name}`"),
            Self::Status(status) => write!(formatter, "status {status} is none of Vault's"),
        }
    }
}
