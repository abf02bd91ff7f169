//! The managed identity of a machine or container. App Service and Container Apps set the address of a token service in
//! the environment; virtual machines have the instance metadata service. Sources: "How to use managed identities for
//! App Service", "How to use managed identities on an Azure VM to acquire an access token", Microsoft Learn.

use std::time::Duration;

use zeroize::Zeroizing;

use super::error::{IdentityError, MetadataFault};
use crate::escape::escaped;
use crate::provider::azure::error::AzureError;
use crate::provider::bootstrap::{Bootstrap, Bootstrapped};
use crate::provider::http::{self, Client, HttpError, Method, Request, percent_encoded};
use crate::provider::json::Json;
use crate::provider::oauth::access_token;
use crate::provider::retry::{Retryable, Temporary, persist};
use crate::provider::{Cause as _, Deadline, ProviderError};
use crate::secret::Secret;

/// The link-local address of the metadata service.
const METADATA: &str = "http://169.254.169.254";

/// The limit for connecting to the metadata service, and for each read. Outside of Azure nothing answers, and startup
/// must not hang on that.
const LIMIT: Duration = Duration::from_secs(1);

/// A token may have to be obtained first.
const READ_LIMIT: Duration = Duration::from_secs(5);

/// The limit for the token service of a container, which may still be starting.
const CONTAINER_LIMIT: Duration = Duration::from_secs(2);

/// What the metadata service and Vault call the parts of a virtual machine's place.
const MEMBERS: [(&str, &str); 4] = [
    ("subscriptionId", "subscription_id"),
    ("resourceGroupName", "resource_group_name"),
    ("name", "vm_name"),
    ("vmScaleSetName", "vmss_name"),
];

/// A token service, and the identity to request tokens for.
#[derive(Debug)]
pub struct Managed {
    service: Service,
    /// The client id of a user-assigned identity; `None` stands for the platform's default identity.
    client: Option<Bootstrapped>,
}

#[derive(Debug)]
enum Service {
    /// The token service of App Service and Container Apps. It requires the header, as a protection against server-side
    /// request forgery.
    Container { endpoint: String, header: Bootstrapped },
    /// The metadata service of virtual machines.
    Metadata,
}

impl Managed {
    pub(super) fn choose(endpoint: Option<String>, bootstrap: &Bootstrap<'_>) -> Result<Self, ProviderError> {
        let service = match (endpoint, bootstrap.get("IDENTITY_HEADER")?) {
            (Some(endpoint), Some(header)) => Service::Container { endpoint, header },
            (Some(_), None) => return Err(IdentityError::NoHeader.at("IDENTITY_HEADER")),
            (None, Some(_)) => return Err(IdentityError::NoEndpoint.at("IDENTITY_ENDPOINT")),
            (None, None) => Service::Metadata,
        };
        Ok(Self { service, client: bootstrap.get("AZURE_CLIENT_ID")? })
    }

    pub(super) fn label(&self) -> String {
        let which = self.client.as_ref().map(|client| format!(" {}", escaped(client.text())));
        let which = which.unwrap_or_default();
        match &self.service {
            Service::Container { endpoint, .. } => {
                format!("the managed identity{which} of this container, from {}", http::shown(endpoint))
            }
            Service::Metadata => format!(
                "the managed identity{which} of this machine, from {METADATA}, since nothing else signs cryokey in"
            ),
        }
    }

    pub(super) fn token(
        &self,
        resource: &str,
        settings: &http::Settings,
        deadline: Deadline,
    ) -> Result<Secret, ProviderError> {
        let failed = |fault| IdentityError::Managed(fault).at(self.label());
        let limit = if self.is_metadata() { LIMIT } else { CONTAINER_LIMIT };
        let client = Client::new(settings.nearby(limit, READ_LIMIT))
            .map_err(|error| AzureError::Tls(error).at("Azure"))?;
        let request = self.request(resource).map_err(|error| failed(MetadataFault::Http(error)))?;
        let attempt = || self.attempt(&client, &request, deadline);
        // Only responses are retried, so that a missing metadata service does not use up the startup timeout.
        let body = persist(deadline, attempt).map_err(|error| error.at(self.label()))?;
        access_token(&body).ok_or_else(|| failed(MetadataFault::Nonsense))
    }

    /// The members of a login at Vault that name this virtual machine. Source: "Azure Instance Metadata Service".
    pub(in crate::provider::azure) fn machine(
        &self,
        settings: &http::Settings,
        deadline: Deadline,
    ) -> Result<Vec<(&'static str, Secret)>, ProviderError> {
        if !self.is_metadata() {
            return Ok(Vec::new());
        }
        let failed = |fault| IdentityError::Managed(fault).at(self.label());
        let client = Client::new(settings.nearby(LIMIT, READ_LIMIT))
            .map_err(|error| AzureError::Tls(error).at("Azure"))?;
        let url = format!("{METADATA}/metadata/instance/compute?api-version=2021-02-01&format=json");
        let request =
            Request::new(Method::Get, &url).and_then(|it| it.for_metadata().header("metadata", "true"));
        let request = request.map_err(|error| failed(MetadataFault::Http(error)))?;
        let attempt = || self.attempt(&client, &request, deadline);
        let body = persist(deadline, attempt).map_err(|error| error.at(self.label()))?;
        let json = Json::parse(&body).ok_or_else(|| failed(MetadataFault::Nonsense))?;
        let member = |(theirs, ours): (&str, &'static str)| {
            let text = json.at(&[theirs])?.secret().filter(|text| !text.expose().is_empty())?;
            Some((ours, text))
        };
        Ok(MEMBERS.into_iter().filter_map(member).collect())
    }

    fn is_metadata(&self) -> bool {
        matches!(self.service, Service::Metadata)
    }

    fn request(&self, resource: &str) -> Result<Request, HttpError> {
        let resource = percent_encoded(resource);
        let client =
            self.client.as_ref().map(|client| format!("&client_id={}", percent_encoded(client.text())));
        let client = client.unwrap_or_default();
        match &self.service {
            Service::Container { endpoint, header } => {
                let url = format!("{endpoint}?api-version=2019-08-01&resource={resource}{client}");
                Request::new(Method::Get, &url)?
                    .for_metadata()
                    .header("x-identity-header", header.secret().expose())
            }
            Service::Metadata => {
                let path = "/metadata/identity/oauth2/token?api-version=2018-02-01";
                let url = format!("{METADATA}{path}&resource={resource}{client}");
                Request::new(Method::Get, &url)?.for_metadata().header("metadata", "true")
            }
        }
    }

    fn attempt(
        &self,
        client: &Client,
        request: &Request,
        deadline: Deadline,
    ) -> Result<Zeroizing<Vec<u8>>, IdentityError> {
        let response = client.send(request, deadline).map_err(|error| {
            let is_elsewhere = self.is_metadata() && error.fault.is_unconnected();
            let fault = if is_elsewhere { MetadataFault::NotThere } else { MetadataFault::Http };
            IdentityError::Managed(fault(error))
        })?;
        let fault = match response.status() {
            // Documented as temporary: the identity was just assigned, or the service is being updated.
            status @ (404 | 410) => MetadataFault::NotYet { status },
            status @ (400 | 401 | 403) => MetadataFault::NoIdentity { status },
            _ => match response.successful() {
                Ok(response) => return Ok(response.into_body()),
                Err(error) => MetadataFault::Http(error),
            },
        };
        Err(IdentityError::Managed(fault))
    }
}

impl Retryable for IdentityError {
    fn temporary(&self) -> Option<Temporary> {
        match self {
            Self::Managed(MetadataFault::Http(error)) => error.temporary(),
            Self::Managed(MetadataFault::NotYet { .. }) => Some(Temporary::Failure),
            _ => None,
        }
    }
}
