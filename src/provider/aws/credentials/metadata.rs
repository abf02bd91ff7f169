//! Credentials of an EC2 instance's role, from the instance metadata service, version 2 only: version 1 is exposed to
//! server-side request forgery. Source: "Use the Instance Metadata Service", Amazon EC2 User Guide.

use std::time::Duration;

use super::error::{IdentityError, MetadataFault};
use super::service::Service;
use crate::provider::aws::sigv4::Credentials;
use crate::provider::http::{self, HttpError, HttpFault, Method, Request, Response};
use crate::provider::retry::persist;
use crate::provider::{Cause as _, Deadline, ProviderError};
use crate::syntax::Choice;

/// The limit for connecting, and for each read. Outside of EC2 nothing answers, and startup must not hang on that.
const LIMIT: Duration = Duration::from_secs(1);

const NAME: &str = "the metadata service of EC2";

/// Lists the instance's role, if one is attached; below it are the credentials of that role.
const ROLES: &str = "/latest/meta-data/iam/security-credentials/";

/// The address family of the default endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// 169.254.169.254.
    IPv4,
    /// `fd00:ec2::254`.
    IPv6,
}

impl Choice for Mode {
    const WORDS: &'static [(&'static str, Self)] = &[("IPv4", Self::IPv4), ("IPv6", Self::IPv6)];
}

/// The settings of the metadata service.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// `AWS_EC2_METADATA_DISABLED`: never send a request.
    pub is_disabled: bool,
    /// `AWS_EC2_METADATA_SERVICE_ENDPOINT`: a URL in place of the default endpoint.
    pub endpoint: Option<String>,
    /// Whether the default endpoint is the IPv6 one.
    pub is_ipv6: bool,
}

/// A client of the metadata service.
#[derive(Debug)]
pub struct Metadata {
    base: String,
}

impl Metadata {
    /// `None` if the service is disabled.
    pub(super) fn choose(settings: &Settings) -> Option<Self> {
        let usual = if settings.is_ipv6 { "http://[fd00:ec2::254]" } else { "http://169.254.169.254" };
        let base = settings.endpoint.as_deref().unwrap_or(usual).trim_end_matches('/').to_owned();
        (!settings.is_disabled).then_some(Self { base })
    }

    pub(super) fn label(&self) -> String {
        format!(
            "the role of this machine, from {}, since nothing else signs cryokey in",
            http::shown(&self.base)
        )
    }

    pub(super) fn obtain(
        &self,
        settings: &http::Settings,
        deadline: Deadline,
    ) -> Result<Credentials, ProviderError> {
        let service = Service::new(NAME, LIMIT, settings)?;
        let failed = |fault: MetadataFault| IdentityError::Metadata(fault).at(NAME);
        let session = self.session(&service, deadline).map_err(failed)?;
        let roles = self.read(&service, ROLES, &session, deadline).map_err(failed)?;
        let role = role_of(roles.body()).ok_or_else(|| failed(MetadataFault::NoRole))?;
        let issued = self.read(&service, &format!("{ROLES}{role}"), &session, deadline).map_err(failed)?;
        service.issued(&issued)
    }

    /// Requests the session token for the other requests. It is not retried, so that a missing service does not use
    /// up the startup timeout.
    fn session(&self, service: &Service, deadline: Deadline) -> Result<Response, MetadataFault> {
        let request = Request::new(Method::Put, &format!("{}/latest/api/token", self.base))?.for_metadata();
        let request = request.header("x-aws-ec2-metadata-token-ttl-seconds", "60")?;
        let response = service.send(&request, deadline)?;
        match response.status() {
            400 | 404 | 405 => Err(MetadataFault::OnlyVersion1),
            _ => Ok(response.successful()?),
        }
    }

    fn read(
        &self,
        service: &Service,
        path: &str,
        session: &Response,
        deadline: Deadline,
    ) -> Result<Response, MetadataFault> {
        let request = Request::new(Method::Get, &format!("{}{path}", self.base))?.for_metadata();
        let request = request.header("x-aws-ec2-metadata-token", session.body())?;
        match persist(deadline, || service.send(&request, deadline)?.successful()) {
            Err(HttpError { fault: HttpFault::Status { code: 404, .. }, .. }) => Err(MetadataFault::NoRole),
            other => Ok(other?),
        }
    }
}

/// The first line, if it is a valid role name.
fn role_of(body: &[u8]) -> Option<&str> {
    let role = std::str::from_utf8(body).ok()?.lines().next()?.trim();
    let is_legal = |byte: u8| byte.is_ascii_alphanumeric() || b"_+=,.@-".contains(&byte);
    ((1..=64).contains(&role.len()) && role.bytes().all(is_legal)).then_some(role)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_role_is_asked_for() {
        assert_eq!(role_of(b"app-role\n"), Some("app-role"));
        assert_eq!(role_of(b"a\nb"), Some("a"));
        for body in [b"".as_slice(), b"\n", b"a/../../x", b"a?b", b"<html>", b"\xff"] {
            assert_eq!(role_of(body), None);
        }
    }

    #[test]
    fn the_usual_address_depends_on_the_mode() {
        let base = |settings: Settings| Metadata::choose(&settings).map(|it| it.base);
        assert_eq!(base(Settings::default()).as_deref(), Some("http://169.254.169.254"));
        let ipv6 = Settings { is_ipv6: true, ..Settings::default() };
        assert_eq!(base(ipv6.clone()).as_deref(), Some("http://[fd00:ec2::254]"));
        let named = Settings { endpoint: Some("http://127.0.0.1:1338/".to_owned()), ..ipv6 };
        assert_eq!(base(named).as_deref(), Some("http://127.0.0.1:1338"));
        assert_eq!(base(Settings { is_disabled: true, ..Settings::default() }), None);
    }
}
