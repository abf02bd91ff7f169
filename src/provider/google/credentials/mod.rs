//! Choosing and obtaining Google credentials: a file, or the metadata service. Source: "How Application Default
//! Credentials works", Google Cloud documentation.

mod error;
mod exchange;
pub mod file;
mod means;
mod member;
mod metadata;
mod source;

use std::path::{Path, PathBuf};

use rustix::io::Errno;

use self::error::CredentialError;
use self::file::{Credential, Kind};
use self::means::Means;
use self::metadata::Metadata;
use crate::escape::escaped_path;
use crate::provider::aws;
use crate::provider::bootstrap::Bootstrap;
use crate::provider::http::{self, Client};
use crate::provider::{Cause as _, Deadline, ProviderError};
use crate::secret::Secret;
use crate::system::read;

/// The name of the bootstrap value for Google.
pub const NAME: &str = "GOOGLE_APPLICATION_CREDENTIALS";

/// The settings for signing in.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// A file with credentials, from a setting.
    pub file: Option<PathBuf>,
    /// The directory of gcloud's configuration, usually `~/.config/gcloud`.
    pub gcloud: Option<PathBuf>,
    /// Whether `CLOUDSDK_CONFIG` names that directory.
    pub is_gcloud_named: bool,
    /// The host of the metadata service, in place of 169.254.169.254.
    pub metadata_host: Option<String>,
    /// The configured universe, such as `googleapis.com`.
    pub universe: Option<String>,
}

/// The chosen source of credentials.
#[derive(Debug)]
pub enum Method {
    /// Credentials from a file.
    File {
        /// The parsed credentials.
        credential: Box<Credential>,
        /// The path of the file.
        path: PathBuf,
        /// The AWS identity to prove, if the credentials are federated with AWS.
        aws: Option<Box<aws::identity::Identity>>,
    },
    /// The service account of the machine or pod.
    Metadata(Metadata),
}

impl Method {
    /// A description for the log, such as `the key of app@p.iam.gserviceaccount.com in /run/secrets/…`.
    #[must_use]
    pub fn label(&self) -> String {
        match self {
            Self::File { credential, path, .. } => {
                format!("{} in {}", credential.label(), escaped_path(path))
            }
            Self::Metadata(metadata) => metadata.label(),
        }
    }

    /// The variables that were used to sign in, which the app must not inherit: those for AWS, if it proves the identity.
    #[must_use]
    pub fn consumed(&self) -> Vec<String> {
        match self {
            Self::File { aws: Some(identity), .. } => {
                identity.method.as_ref().map(aws::credentials::Method::consumed).unwrap_or_default()
            }
            _ => Vec::new(),
        }
    }

    /// The identity as IAM's bindings write it, with a placeholder for what is unknown.
    #[must_use]
    pub fn member(&self) -> String {
        match self {
            Self::File { credential, .. } => credential.member(),
            Self::Metadata(_) => "serviceAccount:EMAIL".to_owned(),
        }
    }

    /// The project of the service account, if the credentials contain it.
    #[must_use]
    pub fn project(&self) -> Option<&str> {
        match self {
            Self::File { credential, .. } => credential.project.as_deref(),
            Self::Metadata(_) => None,
        }
    }

    /// The project that requests count for, if it is not the one that is read.
    #[must_use]
    pub fn quota_project(&self) -> Option<&str> {
        match self {
            Self::File { credential, .. } => credential.quota_project.as_deref(),
            Self::Metadata(_) => None,
        }
    }

    /// The universe that the credentials are for; `None` for the metadata service.
    #[must_use]
    pub fn universe(&self) -> Option<&str> {
        match self {
            Self::File { credential, .. } => Some(&credential.universe),
            Self::Metadata(_) => None,
        }
    }

    /// Obtains an access token for Google's APIs.
    pub fn token(
        &self,
        client: &Client,
        http: &http::Settings,
        deadline: Deadline,
    ) -> Result<Secret, ProviderError> {
        match self {
            Self::File { credential, aws, .. } => {
                let means = Means { client, http, aws: aws.as_deref(), deadline };
                exchange::token(credential, &self.label(), &means)
            }
            Self::Metadata(metadata) => metadata.token(http, deadline),
        }
    }
}

impl Method {
    /// A token for Vault's `gcp` method: signed by the key of a service account (`iam` roles), or an identity token of the
    /// machine (`gce` roles). Source: "Google Cloud auth method", `HashiCorp` Vault documentation.
    pub(super) fn proof_for_vault(
        &self,
        role: &str,
        http: &http::Settings,
        deadline: Deadline,
    ) -> Result<Secret, ProviderError> {
        match self {
            Self::File { credential, .. } => match &credential.kind {
                Kind::ServiceAccount(account) => exchange::proof_for_vault(account, role)
                    .ok_or_else(|| CredentialError::Signature.at(self.label())),
                _ => Err(CredentialError::NoProof.at(self.label())),
            },
            Self::Metadata(metadata) => metadata.identity(&format!("http://vault/{role}"), http, deadline),
        }
    }
}

/// Chooses without sending a request. The order is: the file in the secrets directory, the file that the variable
/// names, gcloud's own file, and finally the metadata service, the only source that may not exist. A file that exists
/// but is unusable is an error, because falling back to another identity would hide the mistake. `aws` is called only
/// if the credentials are federated with AWS.
pub fn choose(
    settings: &Settings,
    bootstrap: &Bootstrap<'_>,
    aws: impl FnOnce() -> Result<aws::identity::Identity, ProviderError>,
) -> Result<Method, ProviderError> {
    let Some((path, json)) = document(settings, bootstrap)? else {
        return Ok(Method::Metadata(Metadata::new(settings.metadata_host.as_deref())));
    };
    let universe = settings.universe.as_deref();
    let credential =
        Credential::parse(json.expose(), universe).map_err(|error| error.at(escaped_path(&path)))?;
    let aws = if credential.is_of_aws() { Some(Box::new(aws()?)) } else { None };
    Ok(Method::File { credential: Box::new(credential), path, aws })
}

/// The path and the content of the first file that exists.
fn document(
    settings: &Settings,
    bootstrap: &Bootstrap<'_>,
) -> Result<Option<(PathBuf, Secret)>, ProviderError> {
    if let Some(found) = bootstrap.document(NAME)? {
        return Ok(Some(found));
    }
    if let Some(path) = &settings.file {
        if path.as_os_str().as_encoded_bytes().starts_with(b"{") {
            return Err(CredentialError::NotAPath.at(NAME));
        }
        return read_file(path, &format!(" ({NAME})")).map(|content| Some((path.clone(), content)));
    }
    bootstrap.without_files(&[NAME])?;
    let Some(path) = settings.gcloud.as_ref().map(|it| it.join("application_default_credentials.json"))
    else {
        return Ok(None);
    };
    if is_absent(&path, settings.is_gcloud_named) {
        return Ok(None);
    }
    read_file(&path, "").map(|content| Some((path, content)))
}

/// Whether gcloud's file does not exist. The directory of a home may be closed to this user, as `/root` is; one that a
/// setting names may not. A symbolic link that leads nowhere exists.
fn is_absent(path: &Path, is_named: bool) -> bool {
    match rustix::fs::lstat(path) {
        Ok(_) => false,
        Err(Errno::NOENT | Errno::NOTDIR) => true,
        Err(_) => !is_named,
    }
}

/// `named_by` says for messages what named the file.
fn read_file(path: &Path, named_by: &str) -> Result<Secret, ProviderError> {
    read::read_path(path).map(|(bytes, _)| Secret::new(bytes)).map_err(|error| {
        let stat = rustix::fs::stat(path).ok();
        crate::provider::files::error::FileError::from((error, stat.as_ref()))
            .at(escaped_path(path) + named_by)
    })
}

impl Credential {
    fn is_of_aws(&self) -> bool {
        match &self.kind {
            Kind::External(external) => external.source.is_aws(),
            Kind::Impersonated(impersonated) => impersonated.source.is_of_aws(),
            Kind::ServiceAccount(_) | Kind::User(_) => false,
        }
    }
}
