//! Signing in at Azure: what cryokey is known by, and how that becomes a token.

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
use crate::provider::{Deadline, ProviderError, http};
use crate::secret::Secret;
use crate::syntax::Choice;

/// The bootstrap values that sign in at Azure.
pub const NAMES: &[&str] = &["AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET", "AZURE_TENANT_ID", "IDENTITY_HEADER"];

/// Which way to sign in, by the words of `AZURE_TOKEN_CREDENTIALS`. Source: "Credential chains in the Azure Identity
/// library", Microsoft Learn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chosen {
    /// The ways of a deployment: the first that is configured.
    Deployed,
    /// A secret or certificate of an application.
    Environment,
    /// A token of another issuer.
    WorkloadIdentity,
    /// The identity of the machine or container.
    ManagedIdentity,
    /// Whoever is signed in at the Azure CLI.
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

/// What the settings say about signing in.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// Which way, if one is named.
    pub chosen: Option<Chosen>,
    /// PEM: the application's certificate and its private key.
    pub certificate: Option<PathBuf>,
    /// The file that holds a token of another issuer.
    pub token_file: Option<PathBuf>,
    /// The service that gives App Service and Container Apps their tokens.
    pub endpoint: Option<String>,
    /// What the Azure CLI may know of the environment.
    pub environment: Variables,
}

/// How cryokey signs in.
#[derive(Debug)]
pub enum Method {
    /// As an application of a tenant.
    Application {
        /// The tenant.
        tenant: Bootstrapped,
        /// The application.
        client: Bootstrapped,
        /// What proves it.
        evidence: Evidence,
    },
    /// As the machine or container.
    Managed(Managed),
    /// As whoever is signed in at the Azure CLI.
    Cli(AzureCli),
}

/// What proves that cryokey is an application.
#[derive(Debug)]
pub enum Evidence {
    /// A password.
    Password(Bootstrapped),
    /// A certificate.
    Certificate(Certificate),
    /// The token in this file, which is read at each sign-in: the platform renews it.
    TokenFile(PathBuf),
}

impl Method {
    /// With what, for the log: `the client secret in /run/secrets/AZURE_CLIENT_SECRET`.
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

    /// The variables that the app must not inherit once they have signed cryokey in.
    #[must_use]
    pub fn consumed(&self) -> Vec<String> {
        match self {
            Self::Application { evidence: Evidence::Password(secret), .. } => {
                secret.consumed().map(str::to_owned).into_iter().collect()
            }
            // What the platform gave belongs to the app as well.
            _ => Vec::new(),
        }
    }

    /// The tenant, where it is known before signing in.
    #[must_use]
    pub fn tenant(&self) -> Option<&str> {
        match self {
            Self::Application { tenant, .. } => Some(tenant.text()),
            Self::Managed(_) | Self::Cli(_) => None,
        }
    }

    /// Gets a token for a resource.
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

/// Chooses, without asking anybody: a secret or certificate; a token of another issuer; the service that the platform put
/// into the environment; and last the metadata service, the only one that may not be there. A value that exists and
/// cannot be used ends the search: another one would not be the one that was meant.
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
        return Managed::choose(settings.endpoint, bootstrap).map(Method::Managed);
    }
    let missing =
        if chosen == Chosen::Environment { "AZURE_CLIENT_SECRET" } else { "AZURE_FEDERATED_TOKEN_FILE" };
    Err(IdentityError::Nothing.at(missing))
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
