//! Why cryokey cannot sign in to Azure, apart from the errors that Entra returns.

use crate::provider::http::{HttpError, HttpFault};
use crate::provider::{Cause, Kind};

/// Why cryokey has no token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum IdentityError {
    /// The token file is empty.
    EmptyFile,
    /// The credential of an application is set, but its client id or tenant is missing.
    Half {
        /// A description of that credential.
        evidence: String,
    },
    /// The managed identity returned no token.
    Managed(MetadataFault),
    /// The file contains no certificate.
    NoCertificate,
    /// A tenant is set, but no credential of an application in it.
    NoCredential,
    /// `IDENTITY_HEADER` is set without `IDENTITY_ENDPOINT`.
    NoEndpoint,
    /// `IDENTITY_ENDPOINT` is set without `IDENTITY_HEADER`.
    NoHeader,
    /// The file contains no RSA key that can sign.
    NoKey,
    /// The output of the Azure CLI contains no token.
    NoToken,
    /// The method that `AZURE_TOKEN_CREDENTIALS` selects is not configured.
    Nothing,
    /// The tenant is neither an id nor a domain.
    Tenant,
}

/// Why a managed identity returned no token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum MetadataFault {
    /// No response was received, or the service reported a failure.
    Http(HttpError),
    /// The metadata service could not be reached, so the machine probably has none.
    NotThere(HttpError),
    /// The service knows no such identity, or rejected the header.
    NoIdentity { status: u16 },
    /// The identity is not available yet. Retried.
    NotYet { status: u16 },
    /// The response contains no token.
    Nonsense,
}

impl Cause for IdentityError {
    fn kind(&self) -> Kind {
        match self {
            Self::EmptyFile
            | Self::Half { .. }
            | Self::NoCertificate
            | Self::NoCredential
            | Self::NoEndpoint
            | Self::NoHeader
            | Self::NoKey
            | Self::Nothing
            | Self::Tenant => Kind::Misconfigured,
            Self::Managed(MetadataFault::Http(error)) => error.kind_of_service(),
            // The metadata service is asked only if nothing else is configured, so its failure means that there are no
            // credentials.
            Self::Managed(MetadataFault::NotThere(_) | MetadataFault::NoIdentity { .. }) => Kind::Denied,
            Self::Managed(MetadataFault::NotYet { .. }) => Kind::Unreachable,
            Self::Managed(MetadataFault::Nonsense) | Self::NoToken => Kind::Nonsense,
        }
    }

    fn what(&self, place: &str) -> String {
        match self {
            Self::EmptyFile => format!("{place} is empty, but has to hold a token"),
            Self::Half { evidence } => {
                format!("{evidence} is there to sign in at Azure, but {place} is not set")
            }
            Self::Managed(fault) => format!("sign-in at Azure by {place}: {fault}"),
            Self::NoCertificate => format!("{place} holds no certificate in PEM form"),
            Self::NoCredential => {
                format!("{place} is set, but no AZURE_CLIENT_SECRET, certificate or federated token")
            }
            Self::NoEndpoint => format!("IDENTITY_HEADER is set, but {place} is not"),
            Self::NoHeader => format!("IDENTITY_ENDPOINT is set, but {place} is not"),
            Self::NoKey => format!("{place} holds no RSA key in PEM form without a passphrase"),
            Self::NoToken => format!("{place}, printed no token"),
            Self::Nothing => {
                format!("AZURE_TOKEN_CREDENTIALS names a way to sign in for which {place} is not set")
            }
            Self::Tenant => format!("the value of {place} is neither the id nor a domain of a tenant"),
        }
    }

    fn fix(&self) -> String {
        match self {
            Self::EmptyFile => "write the token into it, or name another file".into(),
            Self::Half { .. } => "set it too, as a file in the secrets directory or a variable".into(),
            Self::Managed(MetadataFault::NotThere(_)) => {
                "set AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET, as files in the secrets directory or \
                 variables, or give the container a managed identity"
                    .into()
            }
            Self::Managed(MetadataFault::Http(error @ HttpError { fault: HttpFault::PlainHttp, .. })) => error.fix(),
            Self::Managed(MetadataFault::NoIdentity { .. }) => {
                "assign a managed identity; of a user-assigned one, set AZURE_CLIENT_ID to its client id".into()
            }
            Self::Managed(_) => "check the managed identity and its service, and start again".into(),
            Self::NoCertificate | Self::NoKey => {
                "write the certificate and its key into one file: openssl pkcs12 -in app.pfx -nodes -out app.pem".into()
            }
            Self::NoCredential => {
                "set AZURE_CLIENT_SECRET, or AZURE_TOKEN_CREDENTIALS=ManagedIdentityCredential for the identity of the \
                 machine"
                    .into()
            }
            Self::NoEndpoint => "set both, or none".into(),
            Self::NoHeader => {
                "set both, or none; in Azure Arc, which sets only this one, use a client secret or a certificate".into()
            }
            Self::NoToken => "run `az login`, and `az account get-access-token` by hand".into(),
            Self::Nothing => "set it, or unset AZURE_TOKEN_CREDENTIALS".into(),
            Self::Tenant => "write the tenant id: az account show --query tenantId".into(),
        }
    }
}

impl std::fmt::Display for MetadataFault {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Http(error) | Self::NotThere(error) => write!(formatter, "{error}"),
            Self::NoIdentity { status } => {
                write!(formatter, "there is no such identity here (status {status})")
            }
            Self::NotYet { status } => write!(formatter, "the identity is not available (status {status})"),
            Self::Nonsense => formatter.write_str("the response has no token"),
        }
    }
}
