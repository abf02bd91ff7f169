//! Choosing and obtaining Azure credentials.

mod certificate;
mod cli;
mod error;
mod managed;

use std::path::PathBuf;

use self::certificate::Certificate;
use self::cli::AzureCli;
use self::error::IdentityError;
use self::managed::Managed;
use super::challenge::is_tenant;
use super::cloud::Cloud;
use super::entra::{self, Proof};
use crate::escape::{escaped, escaped_path};
use crate::provider::bootstrap::{Bootstrap, Bootstrapped, read_line};
use crate::provider::helper::Variables;
use crate::provider::http::Client;
use crate::provider::{Cause as _, Deadline, ProviderError, http};
use crate::secret::Secret;
use crate::syntax::Choice;

/// The names of the bootstrap values for Azure.
pub const NAMES: &[&str] = &["AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET", "AZURE_TENANT_ID", "IDENTITY_HEADER"];

/// The value of `AZURE_TOKEN_CREDENTIALS`, which restricts the methods. Source: "Credential chains in the Azure
/// Identity library", Microsoft Learn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chosen {
    /// `prod`: the first method for deployments that is configured. This is also the default.
    Deployed,
    /// `EnvironmentCredential`: an application's client secret or certificate.
    Environment,
    /// `WorkloadIdentityCredential`: an application's federated token.
    WorkloadIdentity,
    /// `ManagedIdentityCredential`: the identity of the machine or container.
    ManagedIdentity,
    /// `AzureCliCredential` or `dev`: the account that is signed in to the Azure CLI.
    AzureCli,
}

impl Choice for Chosen {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("prod", Self::Deployed),
        ("EnvironmentCredential", Self::Environment),
        ("WorkloadIdentityCredential", Self::WorkloadIdentity),
        ("ManagedIdentityCredential", Self::ManagedIdentity),
        ("AzureCliCredential", Self::AzureCli),
        ("dev", Self::AzureCli),
    ];
}

/// The settings for signing in.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// `AZURE_TOKEN_CREDENTIALS`.
    pub chosen: Option<Chosen>,
    /// `AZURE_CLIENT_CERTIFICATE_PATH`: a PEM file with the certificate and its private key.
    pub certificate: Option<PathBuf>,
    /// `AZURE_FEDERATED_TOKEN_FILE`.
    pub token_file: Option<PathBuf>,
    /// `IDENTITY_ENDPOINT`: the token service of App Service and Container Apps.
    pub endpoint: Option<String>,
    /// The environment for the Azure CLI.
    pub environment: Variables,
}

/// The chosen sign-in method.
#[derive(Debug)]
pub enum Method {
    /// An application of a tenant.
    Application {
        /// The tenant's id, or one of its domains.
        tenant: Bootstrapped,
        /// The application's client id.
        client: Bootstrapped,
        /// The credential of the application.
        evidence: Evidence,
    },
    /// The managed identity of the machine or container.
    Managed(Managed),
    /// The account that is signed in to the Azure CLI.
    Cli(AzureCli),
}

/// The credential of an application.
#[derive(Debug)]
pub enum Evidence {
    /// A client secret.
    Password(Bootstrapped),
    /// A certificate, whose private key signs a token.
    Certificate(Certificate),
    /// A file that holds a federated token. Read at every sign-in, since the platform rotates the token.
    TokenFile(PathBuf),
}

impl Method {
    /// A description for the log: the identity, and the credential with its origin.
    #[must_use]
    pub fn label(&self) -> String {
        match self {
            Self::Application { client, evidence, .. } => {
                format!("the application {}, by {}", escaped(client.text()), evidence.label())
            }
            Self::Managed(managed) => managed.label(),
            Self::Cli(_) => "the account of the Azure CLI".to_owned(),
        }
    }

    /// The variables that were used to sign in, which the app must not inherit.
    #[must_use]
    pub fn consumed(&self) -> Vec<String> {
        match self {
            Self::Application { evidence: Evidence::Password(secret), .. } => {
                secret.consumed().map(str::to_owned).into_iter().collect()
            }
            // The platform provides these to the app as well.
            _ => Vec::new(),
        }
    }

    /// The tenant; `None` if it is not known before signing in.
    #[must_use]
    pub fn tenant(&self) -> Option<&str> {
        match self {
            Self::Application { tenant, .. } => Some(tenant.text()),
            Self::Managed(_) | Self::Cli(_) => None,
        }
    }

    /// Obtains a token for a resource.
    pub fn token(
        &self,
        resource: &str,
        cloud: &Cloud,
        client: &Client,
        http: &http::Settings,
        deadline: Deadline,
    ) -> Result<Secret, ProviderError> {
        match self {
            Self::Application { tenant, client: application, evidence } => {
                let url = cloud.token_url(tenant.text());
                let ask = |proof: &Proof<'_>| {
                    let token = entra::token(client, &url, application.text(), proof, resource, deadline);
                    token.map_err(|error| ProviderError::new(evidence.label(), error))
                };
                evidence.prove(application.text(), &url, ask)
            }
            Self::Managed(managed) => managed.token(resource, http, deadline),
            Self::Cli(cli) => cli.token(resource, deadline),
        }
    }
}

impl Evidence {
    fn label(&self) -> String {
        match self {
            Self::Password(secret) => format!("the client secret in {}", secret.origin()),
            Self::Certificate(certificate) => certificate.label(),
            Self::TokenFile(path) => format!("the token in {}", escaped_path(path)),
        }
    }

    fn prove<T>(
        &self,
        application: &str,
        url: &str,
        ask: impl FnOnce(&Proof<'_>) -> Result<T, ProviderError>,
    ) -> Result<T, ProviderError> {
        match self {
            Self::Password(secret) => ask(&Proof::Password(secret.text())),
            Self::Certificate(certificate) => {
                ask(&Proof::Assertion(&certificate.assertion(application, url)?))
            }
            Self::TokenFile(path) => {
                let token =
                    read_line(path)?.ok_or_else(|| IdentityError::EmptyFile.at(escaped_path(path)))?;
                ask(&Proof::Assertion(token.text()))
            }
        }
    }
}

/// Chooses without sending a request. The order is: client secret, certificate, federated token, the token service that
/// the platform configured, and finally the metadata service, the only source that may not exist. A value that exists
/// but is unusable ends the search, because falling back to another identity would hide the mistake.
pub fn choose(settings: Settings, bootstrap: &Bootstrap<'_>) -> Result<Method, ProviderError> {
    let chosen = settings.chosen.unwrap_or(Chosen::Deployed);
    let may = |way| chosen == way || chosen == Chosen::Deployed;
    if chosen == Chosen::AzureCli {
        let tenant = bootstrap.get("AZURE_TENANT_ID")?;
        return Ok(Method::Cli(AzureCli::new(tenant, settings.environment)));
    }
    if may(Chosen::Environment)
        && let Some(evidence) = environment(&settings, bootstrap)?
    {
        return application(evidence, bootstrap);
    }
    if may(Chosen::WorkloadIdentity)
        && let Some(path) = settings.token_file
    {
        return application(Evidence::TokenFile(path), bootstrap);
    }
    if may(Chosen::ManagedIdentity) {
        if chosen == Chosen::Deployed {
            without_application(bootstrap)?;
        }
        return Managed::choose(settings.endpoint, bootstrap).map(Method::Managed);
    }
    let missing =
        if chosen == Chosen::Environment { "AZURE_CLIENT_SECRET" } else { "AZURE_FEDERATED_TOKEN_FILE" };
    Err(IdentityError::Nothing.at(missing))
}

/// An error if the bootstrap values are those of an application without its credential.
fn without_application(bootstrap: &Bootstrap<'_>) -> Result<(), ProviderError> {
    bootstrap.without_files(&["AZURE_CLIENT_SECRET"])?;
    match bootstrap.get("AZURE_TENANT_ID")? {
        Some(tenant) => Err(IdentityError::NoCredential.at(tenant.origin().to_string())),
        None => Ok(()),
    }
}

fn environment(settings: &Settings, bootstrap: &Bootstrap<'_>) -> Result<Option<Evidence>, ProviderError> {
    if let Some(secret) = bootstrap.get("AZURE_CLIENT_SECRET")? {
        return Ok(Some(Evidence::Password(secret)));
    }
    let Some(path) = &settings.certificate else { return Ok(None) };
    Certificate::read(path).map(|it| Some(Evidence::Certificate(it)))
}

fn application(evidence: Evidence, bootstrap: &Bootstrap<'_>) -> Result<Method, ProviderError> {
    let value = |name: &'static str| {
        let found = bootstrap.get(name)?;
        found.ok_or_else(|| IdentityError::Half { evidence: evidence.label() }.at(name))
    };
    let (client, tenant) = (value("AZURE_CLIENT_ID")?, value("AZURE_TENANT_ID")?);
    if !is_tenant(tenant.text()) {
        return Err(IdentityError::Tenant.at(tenant.origin().to_string()));
    }
    Ok(Method::Application { tenant, client, evidence })
}
