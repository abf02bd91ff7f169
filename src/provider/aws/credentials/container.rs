//! The key of a task in ECS, or of a pod in EKS: from the service whose address the platform put into the environment.
//! Source: "Container credential provider", AWS SDKs and Tools Reference Guide.

use std::path::PathBuf;
use std::time::Duration;

use super::error::IdentityError;
use super::service::{Service, shown};
use crate::provider::aws::sigv4::Credentials;
use crate::provider::bootstrap::{Bootstrap, Bootstrapped, read_line};
use crate::provider::http::{self, HttpError, Method, Request};
use crate::provider::retry::persist;
use crate::provider::{Deadline, ProviderError};

/// Where ECS answers.
const ECS: &str = "http://169.254.170.2";

const NAME: &str = "the container's credentials service";

/// A start can be faster than the service beside it: then the next try succeeds.
const LIMIT: Duration = Duration::from_secs(2);

/// What the platform says of the service.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// The path on ECS's own address.
    pub relative: Option<String>,
    /// An address, which counts where there is no path.
    pub full: Option<String>,
    /// The file whose content signs the request: the platform renews it.
    pub token_file: Option<PathBuf>,
}

/// The service, and what signs the request.
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
    /// The service of these settings; `None` where they name none.
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
        format!("the role of this container, from {}", shown(&self.url))
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
