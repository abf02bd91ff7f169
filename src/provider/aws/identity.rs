//! cryokey's identity at AWS, used to read secrets or to prove the identity to Vault.

use super::credentials::{self, Method};
use super::endpoint::{Endpoints, Service};
use super::error::AwsError;
use super::sigv4::{Credentials, Header, Message};
use super::wire::Wire;
use crate::provider::http;
use crate::provider::{Cause as _, Deadline, ProviderError};

/// The endpoints, connection settings and credentials of cryokey's identity.
#[derive(Debug)]
pub struct Identity {
    /// The region and the service URLs.
    pub endpoints: Endpoints,
    /// The settings of the HTTP client.
    pub http: http::Settings,
    /// The source of credentials, or why none could be chosen.
    pub method: Result<Method, ProviderError>,
}

/// A signed `GetCallerIdentity` request, which a third party forwards to AWS to verify the identity.
#[derive(Debug)]
pub struct Introduction {
    /// The URL of the Security Token Service.
    pub url: String,
    /// The body of the request.
    pub body: &'static str,
    /// All headers, including the signature.
    pub headers: Vec<Header>,
}

/// The operation that tells who signed the request.
const PARAMETERS: &str = "Action=GetCallerIdentity&Version=2011-06-15";

impl Identity {
    /// Obtains credentials, and creates the client that uses them.
    pub fn sign_in(&self, deadline: Deadline) -> Result<(Wire, Credentials), ProviderError> {
        let wire = Wire::new(self.endpoints.clone(), self.http.clone()).map_err(|error| error.at("AWS"))?;
        let method = self.method.as_ref().map_err(Clone::clone)?;
        let credentials = credentials::obtain(method, &wire, &self.http, deadline)?;
        Ok((wire, credentials))
    }

    /// Signs a `GetCallerIdentity` request. `server_id` binds the signature to one recipient, so that no other one
    /// accepts it.
    pub fn introduction(
        &self,
        server_id: Option<&str>,
        deadline: Deadline,
    ) -> Result<Introduction, ProviderError> {
        let (wire, credentials) = self.sign_in(deadline)?;
        let url = format!("{}/", self.endpoints.url(Service::Sts));
        let mut headers =
            vec![("content-type", b"application/x-www-form-urlencoded; charset=utf-8".as_slice())];
        headers.extend(server_id.map(|id| ("x-vault-aws-iam-server-id", id.as_bytes())));
        let headers = sign(&wire, &credentials, &url, &headers, PARAMETERS)?;
        Ok(Introduction { url, body: PARAMETERS, headers })
    }

    /// The same with the parameters in the URL and no body, bound to an audience of Google. Source: "Workload identity
    /// federation", Google Cloud documentation.
    pub fn introduction_by_url(
        &self,
        audience: &str,
        deadline: Deadline,
    ) -> Result<Introduction, ProviderError> {
        let (wire, credentials) = self.sign_in(deadline)?;
        let url = format!("{}?{PARAMETERS}", self.endpoints.url(Service::Sts));
        let headers = [("x-goog-cloud-target-resource", audience.as_bytes())];
        let headers = sign(&wire, &credentials, &url, &headers, "")?;
        Ok(Introduction { url, body: "", headers })
    }
}

fn sign(
    wire: &Wire,
    credentials: &Credentials,
    url: &str,
    headers: &[(&'static str, &[u8])],
    body: &str,
) -> Result<Vec<Header>, ProviderError> {
    let request = http::Request::new(http::Method::Post, url);
    let request = request.map_err(|error| AwsError::Http(error).at("AWS"))?;
    let query = url.split_once('?').map_or("", |(_, query)| query);
    let message = Message {
        method: "POST",
        host: request.authority(),
        path: request.path(),
        query,
        headers,
        body: body.as_bytes(),
    };
    Ok(wire.signing(Service::Sts, credentials).headers(&message))
}
