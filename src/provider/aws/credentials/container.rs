//! Credentials of an ECS task or an EKS pod, from the endpoint that the platform passes in the environment. Source:
//! "Container credential provider", AWS SDKs and Tools Reference Guide.

use std::path::PathBuf;
use std::time::Duration;

use super::error::IdentityError;
use super::service::Service;
use crate::provider::aws::sigv4::Credentials;
use crate::provider::bootstrap::{Bootstrap, Bootstrapped, read_line};
use crate::provider::http::{self, HttpError, Method, Request};
use crate::provider::retry::persist;
use crate::provider::{Cause as _, Deadline, ProviderError};

/// The link-local endpoint of ECS.
const ECS: &str = "http://169.254.170.2";

const NAME: &str = "the container's credentials service";

/// The limit for connecting, and for each read. The endpoint may not be up yet when the container starts; a retry
/// then succeeds.
const LIMIT: Duration = Duration::from_secs(2);

/// The endpoint as the platform's variables describe it.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// `AWS_CONTAINER_CREDENTIALS_RELATIVE_URI`: a path on the ECS endpoint.
    pub relative: Option<String>,
    /// `AWS_CONTAINER_CREDENTIALS_FULL_URI`: a URL, used if there is no relative URI.
    pub full: Option<String>,
    /// `AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE`: a file with the value of the `Authorization` header. The platform
    /// rotates its content.
    pub token_file: Option<PathBuf>,
}

/// The endpoint, and the authorization that it requires.
#[derive(Debug)]
pub struct Container {
    url: String,
    authorization: Option<Authorization>,
}

#[derive(Debug)]
enum Authorization {
    File(PathBuf),
    Value(Bootstrapped),
}

impl Container {
    /// The endpoint to use; `None` if the platform did not set one.
    pub(super) fn choose(
        settings: &Settings,
        bootstrap: &Bootstrap<'_>,
    ) -> Result<Option<Self>, ProviderError> {
        let relative = settings.relative.as_ref().map(|path| format!("{ECS}{path}"));
        let Some(url) = relative.or_else(|| settings.full.clone()) else { return Ok(None) };
        let authorization = match &settings.token_file {
            Some(file) => Some(Authorization::File(file.clone())),
            None => bootstrap.get("AWS_CONTAINER_AUTHORIZATION_TOKEN")?.map(Authorization::Value),
        };
        Ok(Some(Self { url, authorization }))
    }

    pub(super) fn label(&self) -> String {
        format!("the role of this container, from {}", http::shown(&self.url))
    }

    pub(super) fn obtain(
        &self,
        settings: &http::Settings,
        deadline: Deadline,
    ) -> Result<Credentials, ProviderError> {
        let service = Service::new(NAME, LIMIT, settings)?;
        let token = match &self.authorization {
            Some(Authorization::File(file)) => {
                let token = read_line(file)?;
                Some(token.ok_or_else(|| IdentityError::EmptyFile.at(crate::escape::escaped_path(file)))?)
            }
            _ => None,
        };
        let token = match (&token, &self.authorization) {
            (Some(token), _) | (None, Some(Authorization::Value(token))) => Some(token.secret().expose()),
            _ => None,
        };
        let request = self.request(token).map_err(|error| IdentityError::Service(error).at(NAME))?;
        let response = persist(deadline, || service.send(&request, deadline)?.successful());
        service.issued(&response.map_err(|error| IdentityError::Service(error).at(NAME))?)
    }

    fn request(&self, token: Option<&[u8]>) -> Result<Request, HttpError> {
        let request = Request::new(Method::Get, &self.url)?.for_metadata();
        match token {
            Some(token) => request.header("authorization", token),
            None => Ok(request),
        }
    }
}
