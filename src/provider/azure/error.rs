//! Why Azure gave no answer that can be used. Of what a service said, only codes, ids and a status are kept.

use super::challenge::ChallengeFault;
use super::cloud::VaultFault;
use crate::provider::bulk::StoreError;
use crate::provider::http::{HttpError, HttpFault, TlsFault};
use crate::provider::retry::{Retryable, Temporary};
use crate::provider::tls::TlsSetupError;
use crate::provider::{Cause, Kind, ProviderError};

/// Why Key Vault gave no answer that can be used.
#[derive(Debug, Clone)]
pub enum AzureError {
    /// There is no response.
    Http(HttpError),
    /// TLS cannot be set up.
    Tls(TlsSetupError),
    /// The identity may not do this.
    Denied(Denial),
    /// The network rules of the vault do not let this machine in.
    Firewall {
        /// The name of the vault.
        vault: String,
    },
    /// The vault does not accept the token, also after a correction.
    Refused,
    /// The vault belongs to another tenant than the identity that signed in.
    Tenant {
        /// The tenant of the vault.
        vault: String,
    },
    /// Signing in at the tenant that the vault named failed.
    SignIn(Box<ProviderError>),
    /// The challenge of the vault is not to be believed.
    Challenge(ChallengeFault),
    /// There is no such secret, or no such version.
    Absent,
    /// The secret, or this version of it, is disabled.
    Disabled,
    /// What is named is no vault.
    Vault(VaultFault),
    /// A secret cannot have this name.
    SecretName {
        /// How it would be spelled.
        legal: String,
    },
    /// No vault is named.
    NoVault,
    /// The service does not take the request.
    Invalid {
        /// Its code: letters and digits only.
        code: String,
    },
    /// The response is not what Microsoft's documentation says.
    Nonsense(Nonsense),
    /// There was no answer before the startup timeout expired.
    TimedOut,
}

/// What an identity may not do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial {
    /// `list` or `get`.
    pub permission: &'static str,
    /// The name of the vault.
    pub vault: String,
    /// Object id of the identity, as the vault told it.
    pub object: Option<String>,
    /// Whether access policies decide in this vault, and not roles.
    pub is_by_policy: bool,
}

/// What is wrong with a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nonsense {
    /// It is not JSON.
    NotJson,
    /// It lacks this member, or that one is of another type or there twice.
    Member(&'static str),
    /// It is about another secret or version than was asked for.
    OtherSecret,
    /// Its next page is at another host.
    OtherHost,
    /// Its pages never end.
    Pages,
    /// It has a status that Azure never gives.
    Status(u16),
}

impl AzureError {
    /// The response has no valid member of this name.
    #[must_use]
    pub const fn member(name: &'static str) -> Self {
        Self::Nonsense(Nonsense::Member(name))
    }

    /// The error of a provider, about a place whose text is escaped already.
    #[must_use]
    pub fn at(self, place: impl Into<String>) -> ProviderError {
        ProviderError::new(place, self)
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
    /// The command that grants it.
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
