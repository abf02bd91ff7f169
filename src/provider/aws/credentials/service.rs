//! Client for the endpoints of containers and EC2 instances. Both return credentials in the same JSON, over plain
//! HTTP on addresses that only the local workload can reach.

use std::time::Duration;

use super::error::IdentityError;
use crate::provider::aws::error::AwsError;
use crate::provider::aws::sigv4::Credentials;
use crate::provider::http::{self, Client, HttpError, Request, Response};
use crate::provider::json::Json;
use crate::provider::{Cause as _, Deadline, ProviderError};

/// A client that never uses a proxy.
#[derive(Debug)]
pub(super) struct Service {
    client: Client,
    /// The name for messages.
    name: &'static str,
}

impl Service {
    /// Creates a client. `limit` applies to connecting, and to each read.
    pub(super) fn new(
        name: &'static str,
        limit: Duration,
        settings: &http::Settings,
    ) -> Result<Self, ProviderError> {
        let client =
            Client::new(settings.nearby(limit, limit)).map_err(|error| AwsError::Tls(error).at(name))?;
        Ok(Self { client, name })
    }

    pub(super) fn send(&self, request: &Request, deadline: Deadline) -> Result<Response, HttpError> {
        self.client.send(request, deadline)
    }

    /// Parses the credentials in a response.
    pub(super) fn issued(&self, response: &Response) -> Result<Credentials, ProviderError> {
        let json = Json::parse(response.body()).ok_or_else(|| IdentityError::NotJson.at(self.name))?;
        let member = |name| {
            let text = json.at(&[name]).and_then(Json::secret).filter(|it| !it.expose().is_empty());
            text.ok_or_else(|| AwsError::member(name).at(self.name))
        };
        Ok(Credentials {
            access_key_id: member("AccessKeyId")?,
            secret_access_key: member("SecretAccessKey")?,
            session_token: Some(member("Token")?),
        })
    }
}
