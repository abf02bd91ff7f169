//! Why a request to Azure failed. Of a response, only its status, error codes and ids are kept.

use super::challenge::ChallengeFault;
use super::cloud::VaultFault;
use crate::provider::bulk::StoreError;
use crate::provider::http::{HttpError, HttpFault, TlsFault};
use crate::provider::retry::{Retryable, Temporary};
use crate::provider::tls::TlsSetupError;
use crate::provider::{Cause, Kind, ProviderError};

/// Why a request to Key Vault failed.
#[derive(Debug, Clone)]
pub enum AzureError {
    /// No response was received, or an error that does not come from Key Vault.
    Http(HttpError),
    /// The TLS client could not be configured.
    Tls(TlsSetupError),
    /// The identity lacks a permission.
    Denied(Denial),
    /// The network rules of the vault block this machine.
    Firewall {
        /// The vault's name.
        vault: String,
    },
    /// The vault rejected the token, even one issued for the resource that it requested.
    Refused,
    /// The vault belongs to a tenant other than the one that cryokey signs in to.
    Tenant {
        /// The vault's tenant; escaped.
        vault: String,
    },
    /// No token could be obtained for the resource that the vault requested.
    SignIn(Box<ProviderError>),
    /// The vault's challenge was rejected.
    Challenge(ChallengeFault),
    /// The secret or the version does not exist.
    Absent,
    /// The secret or the version is disabled.
    Disabled,
    /// The text that names the vault is invalid.
    Vault(VaultFault),
    /// The secret's name is invalid in Key Vault.
    SecretName {
        /// A similar name that is valid; escaped.
        legal: String,
    },
    /// The secret has no vault: the reference names none, and none is configured.
    NoVault,
    /// Key Vault rejected the request as invalid.
    Invalid {
        /// The error code; letters and digits only.
        code: String,
    },
    /// The response does not match Microsoft's API documentation.
    Nonsense(Nonsense),
    /// The startup timeout expired before a response arrived.
    TimedOut,
}

/// The permission that an identity lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial {
    /// The operation that was denied: `list` or `get`.
    pub permission: &'static str,
    /// The vault's name.
    pub vault: String,
    /// The object id of the identity, if the vault reported it.
    pub object: Option<String>,
    /// Whether the vault uses access policies instead of Azure role-based access control.
    pub is_by_policy: bool,
}

/// How a response deviates from the documented API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nonsense {
    /// The body is not JSON.
    NotJson,
    /// This member is missing, has the wrong type, or occurs twice.
    Member(&'static str),
    /// It contains a secret or version that was not requested.
    OtherSecret,
    /// The URL of the next page is at another host.
    OtherHost,
    /// The pagination does not end.
    Pages,
    /// A status that Azure does not document.
    Status(u16),
}

impl AzureError {
    /// The named member is missing or invalid.
    #[must_use]
    pub const fn member(name: &'static str) -> Self {
        Self::Nonsense(Nonsense::Member(name))
    }
}

impl StoreError for AzureError {
    fn timed_out() -> Self {
        Self::TimedOut
    }

    fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }

    fn is_denied(&self) -> bool {
        matches!(self, Self::Denied(_))
    }
}

impl Retryable for AzureError {
    fn temporary(&self) -> Option<Temporary> {
        match self {
            Self::Http(error) => error.temporary(),
            _ => None,
        }
    }
}

impl Cause for AzureError {
    fn kind(&self) -> Kind {
        match self {
            Self::Http(error) => error.kind(),
            Self::Denied(_) | Self::Firewall { .. } | Self::Refused | Self::Tenant { .. } => Kind::Denied,
            Self::SignIn(error) => error.kind(),
            Self::Challenge(ChallengeFault::Syntax) | Self::Nonsense(_) => Kind::Nonsense,
            Self::Challenge(_) => Kind::Untrusted,
            Self::Absent | Self::Disabled => Kind::NotFound,
            Self::Tls(_)
            | Self::Vault(_)
            | Self::SecretName { .. }
            | Self::NoVault
            | Self::Invalid { .. } => Kind::Misconfigured,
            Self::TimedOut => Kind::TimedOut,
        }
    }

    fn what(&self, place: &str) -> String {
        match self {
            Self::Http(error) => error.what(place),
            Self::Tls(error) => error.to_string(),
            Self::Denied(Denial { permission, vault, .. }) => {
                format!(
                    "{place}: the identity that cryokey signs in with may not {permission} secrets of {vault}"
                )
            }
            Self::Firewall { vault } => {
                format!("{place}: the network rules of {vault} do not let this machine in")
            }
            Self::Refused => format!("{place}: the vault does not accept the token of this identity"),
            Self::Tenant { vault } => {
                format!(
                    "{place}: the vault belongs to the tenant {vault}, which is not the one that cryokey signs in at"
                )
            }
            Self::SignIn(error) => error.to_string(),
            Self::Challenge(fault) => format!("{place}: {fault}"),
            Self::Absent => format!("{place} does not exist"),
            Self::Disabled => format!("{place} is disabled"),
            Self::Vault(fault) => fault.what(place),
            Self::SecretName { .. } => format!("`{place}` cannot be the name of a secret in Key Vault"),
            Self::NoVault => format!("{place}: no vault is named, since AZURE_KEYVAULT_NAME is not set"),
            Self::Invalid { code } => format!("{place}: Key Vault refused the request ({code})"),
            Self::Nonsense(nonsense) => format!("{place}: {nonsense}"),
            Self::TimedOut => format!("{place}: no answer before the startup timeout expired"),
        }
    }

    fn fix(&self) -> String {
        match self {
            Self::Denied(denial) => denial.grant(),
            Self::Firewall { vault } => format!(
                "allow its network: az keyvault network-rule add --name {vault} --ip-address ADDRESS, or use a private endpoint"
            ),
            Self::Http(HttpError { fault: HttpFault::Tls(TlsFault::UnknownIssuer), .. }) => {
                "set SSL_CERT_FILE to the CA that signed the server's certificate".into()
            }
            Self::Http(error) => error.fix(),
            Self::Tls(_) => "correct the file, or the variable that names it".into(),
            Self::Refused => {
                "check AZURE_TENANT_ID and AZURE_CLIENT_ID, and the clock of this machine".into()
            }
            Self::Tenant { vault } => {
                format!("set AZURE_TENANT_ID={vault}, with an application of that tenant")
            }
            Self::SignIn(error) => error.fix(),
            Self::Challenge(_) => {
                "check that the address is that of the vault; for another cloud, set AZURE_AUTHORITY_HOST"
                    .into()
            }
            Self::Absent => "create the secret, or correct its name and the vault".into(),
            Self::Disabled => {
                "enable it (`az keyvault secret set-attributes --enabled true`), or write a new version"
                    .into()
            }
            Self::Vault(fault) => fault.fix(),
            Self::SecretName { legal } => format!("use letters, digits and hyphens: {legal}"),
            Self::NoVault => {
                "set it to the name of the vault or its https URL, or name the vault in the reference: azure:VAULT/NAME".into()
            }
            Self::Invalid { .. } => "check the names of the vault and of the secret, and the version".into(),
            Self::Nonsense(_) => "check that the address is that of Azure, not of something before it".into(),
            Self::TimedOut => "check Azure and the network between, or raise CRYOKEY_START_TIMEOUT".into(),
        }
    }
}

impl Denial {
    /// The `az` command that grants the permission, ready to paste.
    fn grant(&self) -> String {
        let Self { vault, object, is_by_policy, .. } = self;
        let object = object.as_deref().unwrap_or("OBJECT_ID");
        if *is_by_policy {
            return format!(
                "az keyvault set-policy --name {vault} --object-id {object} --secret-permissions get list"
            );
        }
        format!(
            "az role assignment create --role 'Key Vault Secrets User' --assignee {object} --scope \"$(az keyvault show --name {vault} --query id -o tsv)\""
        )
    }
}

impl std::fmt::Display for ChallengeFault {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Syntax => formatter.write_str("it refuses the token, and does not say which one it wants"),
            Self::Authority { host } => {
                write!(formatter, "it asks for a token of {host}, which is not the authority of this cloud")
            }
            Self::Resource { host } => {
                write!(formatter, "it asks for a token for {host}, which is not above it")
            }
        }
    }
}

impl std::fmt::Display for Nonsense {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotJson => formatter.write_str("the response is not JSON"),
            Self::Member(name) => write!(formatter, "the response has no valid `{name}`"),
            Self::OtherSecret => formatter.write_str("the response is about a secret that was not asked for"),
            Self::OtherHost => formatter.write_str("the list of secrets continues at another host"),
            Self::Pages => formatter.write_str("the list of secrets does not come to an end"),
            Self::Status(status) => write!(formatter, "status {status} is none of Key Vault's"),
        }
    }
}
