//! As whom cryokey is known at AWS: to read secrets there, or to show it to somebody else.

use super::credentials::{self, Method};
use super::endpoint::{Endpoints, Service};
use super::error::AwsError;
use super::sigv4::{Credentials, Header, Message};
use super::wire::Wire;
use crate::provider::http;
use crate::provider::{Deadline, ProviderError};

/// Where AWS's services are, how they are reached, and what signs cryokey in.
#[derive(Debug)]
pub struct Identity {
    /// Where they are.
    pub endpoints: Endpoints,
    /// How they are reached.
    pub http: http::Settings,
    /// How to sign in, or why there is no way.
    pub method: Result<Method, ProviderError>,
}

/// A signed question of who one is, which somebody else can put to AWS.
#[derive(Debug)]
pub struct Introduction {
    /// The address of the Security Token Service.
    pub url: String,
    /// The body.
    pub body: &'static str,
    /// All headers, with the signature.
    pub headers: Vec<Header>,
}

impl Identity {
    /// Signs in: the way to AWS, and what to sign with.
    pub fn sign_in(&self, deadline: Deadline) -> Result<(Wire, Credentials), ProviderError> {
        let wire = Wire::new(self.endpoints.clone(), self.http.clone()).map_err(|error| error.at("AWS"))?;
        let method = self.method.as_ref().map_err(Clone::clone)?;
        let credentials = credentials::obtain(method, &wire, &self.http, deadline)?;
        Ok((wire, credentials))
    }

    /// Signs the question for whoever expects this value in a header of its own, so that it is of use for nobody else.
    pub fn introduction(
        &self,
        server_id: Option<&str>,
        deadline: Deadline,
    ) -> Result<Introduction, ProviderError> {
        const BODY: &str = "Action=GetCallerIdentity&Version=2011-06-15";
        let (wire, credentials) = self.sign_in(deadline)?;
        let url = format!("{}/", self.endpoints.url(Service::Sts));
        let mut headers =
            vec![("content-type", b"application/x-www-form-urlencoded; charset=utf-8".as_slice())];
        headers.extend(server_id.map(|id| ("x-vault-aws-iam-server-id", id.as_bytes())));
        let request = http::Request::new(http::Method::Post, &url).map_err(AwsError::Http);
        let request = request.map_err(|error| error.at("AWS"))?;
        let message = Message {
            method: "POST",
            host: request.authority(),
            path: request.path(),
            headers: &headers,
            body: BODY.as_bytes(),
        };
        let headers = wire.signing(Service::Sts, &credentials).headers(&message);
        Ok(Introduction { url, body: BODY, headers })
    }
}
