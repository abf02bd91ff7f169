//! Errors of requests to Vault. Of a response, only its status and the category of the failure are kept.

use std::fmt;

use crate::provider::http::{HttpError, HttpFault, TlsFault};
use crate::provider::retry::{Retryable, Temporary};
use crate::provider::tls::TlsSetupError;
use crate::provider::{Cause, Kind};

/// Why a request to Vault failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VaultError {
    /// No response was received.
    Http(HttpError),
    /// The TLS client could not be configured.
    Tls(TlsSetupError),
    /// A 503 with Vault's text `Vault is sealed`. Retried, because Vault may be unsealed in the meantime.
    Sealed,
    /// A standby that redirects its clients to the active node.
    Standby {
        /// Host and port of the active node; escaped.
        leader: String,
    },
    /// A node that lacks recent writes (412) or is a replication standby (472, 473). Retried.
    NotReady {
        /// The HTTP status.
        status: u16,
    },
    /// A 4xx that a retry cannot change.
    Refused {
        /// The HTTP status.
        status: u16,
        /// The capability that the policy must grant: `read`, `update`, `list` or `delete`.
        capability: &'static str,
        /// The path of the request as written in a policy, without `/v1/`; escaped.
        path: String,
    },
    /// The response does not match Vault's API documentation.
    Nonsense(Nonsense),
    /// The startup timeout expired before a response arrived.
    TimedOut,
}

/// How a response deviates from the documented API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nonsense {
    /// The body is not JSON.
    NotJson,
    /// This member is missing, has the wrong type, or occurs twice.
    Member(&'static str),
    /// A status that Vault does not document.
    Status(u16),
}

impl VaultError {
    /// The named member is missing or invalid.
    #[must_use]
    pub const fn member(name: &'static str) -> Self {
        Self::Nonsense(Nonsense::Member(name))
    }
}

/// The policy rule that grants the capability, ready to paste.
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
