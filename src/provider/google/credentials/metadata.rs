//! Tokens of the machine's or pod's service account, from the metadata service. Source: "Authenticate applications with
//! metadata server", Google Cloud documentation.

use std::io::ErrorKind;
use std::time::Duration;

use zeroize::Zeroizing;

use super::error::{CredentialError, MetadataFault};
use super::means::SCOPE;
use crate::escape::escaped;
use crate::provider::google::error::GoogleError;
use crate::provider::http::{self, Client, HttpFault, Method, Request, percent_encoded};
use crate::provider::oauth::access_token;
use crate::provider::retry::{Retryable, Temporary, persist};
use crate::provider::{Cause as _, Deadline, ProviderError};
use crate::secret::Secret;

/// The link-local address of the service, which needs no DNS.
const HOST: &str = "169.254.169.254";

/// The limit for connecting, and for each read. Outside of Google Cloud nothing answers, and startup must not hang on
/// that.
const LIMIT: Duration = Duration::from_secs(1);

/// A token may have to be obtained first.
const READ_LIMIT: Duration = Duration::from_secs(5);

/// The limit for all attempts. In GKE, the service may become available seconds after the pod starts.
const PATIENCE: Duration = Duration::from_secs(10);

/// A client of the metadata service.
#[derive(Debug)]
pub struct Metadata {
    host: String,
}

impl Metadata {
    pub(super) fn new(host: Option<&str>) -> Self {
        Self { host: host.unwrap_or(HOST).to_owned() }
    }

    pub(super) fn label(&self) -> String {
        let host = escaped(&self.host);
        format!(
            "the service account of this machine, from http://{host}, since no other credentials are configured"
        )
    }

    pub(super) fn token(
        &self,
        settings: &http::Settings,
        deadline: Deadline,
    ) -> Result<Secret, ProviderError> {
        let path = format!("token?scopes={}", percent_encoded(SCOPE));
        let body = self.read(&path, settings, deadline)?;
        access_token(&body).ok_or_else(|| CredentialError::Metadata(MetadataFault::Nonsense).at(self.label()))
    }

    /// A token that says which machine this is, for an audience.
    pub(super) fn identity(
        &self,
        audience: &str,
        settings: &http::Settings,
        deadline: Deadline,
    ) -> Result<Secret, ProviderError> {
        let path = format!("identity?format=full&audience={}", percent_encoded(audience));
        let body = self.read(&path, settings, deadline)?;
        Ok(Secret::new(body.trim_ascii().to_vec()))
    }

    fn read(
        &self,
        path: &str,
        settings: &http::Settings,
        deadline: Deadline,
    ) -> Result<Zeroizing<Vec<u8>>, ProviderError> {
        let client = Client::new(settings.nearby(LIMIT, READ_LIMIT))
            .map_err(|error| GoogleError::Tls(error).at("Google"))?;
        let url = format!("http://{}/computeMetadata/v1/instance/service-accounts/default/{path}", self.host);
        let request = Request::new(Method::Get, &url)
            .and_then(|it| it.for_metadata().header("metadata-flavor", "Google"));
        let failed = |error| CredentialError::Metadata(MetadataFault::Http(error)).at(self.label());
        let request = request.map_err(failed)?;
        let patience = Deadline::after(deadline.remaining().min(PATIENCE));
        persist(patience, || attempt(&client, &request, patience)).map_err(|error| error.at(self.label()))
    }
}

fn attempt(
    client: &Client,
    request: &Request,
    deadline: Deadline,
) -> Result<Zeroizing<Vec<u8>>, CredentialError> {
    let response = client.send(request, deadline).map_err(|error| {
        // A refused connection can be a service that has not started yet.
        let is_elsewhere =
            error.fault.is_unconnected() && error.fault != HttpFault::Io(ErrorKind::ConnectionRefused);
        let fault = if is_elsewhere { MetadataFault::NotThere } else { MetadataFault::Http };
        CredentialError::Metadata(fault(error))
    })?;
    let fault = match response.status() {
        404 => MetadataFault::NoAccount,
        _ => match response.successful() {
            // Only the metadata service sends this header. On other networks, any server could have this address.
            Ok(response) if response.header("metadata-flavor") != Some("Google") => MetadataFault::Flavor,
            Ok(response) => return Ok(response.into_body()),
            Err(error) => MetadataFault::Http(error),
        },
    };
    Err(CredentialError::Metadata(fault))
}

impl Retryable for CredentialError {
    fn temporary(&self) -> Option<Temporary> {
        match self {
            Self::Metadata(MetadataFault::Http(error)) => error.temporary(),
            _ => None,
        }
    }
}
