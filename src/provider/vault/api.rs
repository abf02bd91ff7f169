//! Vault's HTTP API: building requests, retrying, and mapping statuses to errors.

use std::fmt;
use std::path::PathBuf;

use zeroize::Zeroizing;

use super::error::{Nonsense, VaultError};
use crate::escape::escaped;
use crate::provider::Deadline;
use crate::provider::http::{self, Client, HttpError, HttpFault, Method, Request, Response};
use crate::provider::json::Json;
use crate::provider::retry::persist;
use crate::secret::Secret;

/// How to reach Vault.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// `https://host:port`, or `unix:///path`.
    pub address: String,
    /// Sent as `X-Vault-Namespace` with every request.
    pub namespace: Option<String>,
    /// TLS, proxies and the hosts that may be reached over plain `http`.
    pub http: http::Settings,
}

impl Settings {
    /// The address as reports show it, without credentials; `None` if it is invalid.
    #[must_use]
    pub fn endpoint(&self) -> Option<String> {
        let is_socket = self.address.starts_with("unix://");
        if is_socket { Some(escaped(&self.address)) } else { http::endpoint(&self.address) }
    }
}

/// The part of Vault's HTTP API that cryokey uses. It can be shared between threads.
pub struct Api {
    client: Client,
    /// Without a trailing slash.
    base: String,
    namespace: Option<String>,
    is_exposed: bool,
}

/// A complete JSON response with status 2xx or 404. Vault's 404 can have a body, such as the metadata of a deleted
/// version.
pub struct Reply {
    status: u16,
    body: Zeroizing<Vec<u8>>,
}

impl Api {
    /// Reads the certificates and builds the client, without connecting.
    pub fn new(mut settings: Settings) -> Result<Self, VaultError> {
        let socket = settings.address.strip_prefix("unix://");
        let base = if socket.is_some() { "http://localhost" } else { settings.address.trim_end_matches('/') };
        let base = base.to_owned();
        settings.http.unix_socket = socket.map(PathBuf::from);
        // Parsed here so that an invalid URL is reported as a configuration error, before any request is sent.
        let request = Request::new(Method::Get, &base).map_err(VaultError::Http)?;
        let client = Client::new(settings.http).map_err(VaultError::Tls)?;
        let is_exposed = client.exposes(&request);
        Ok(Self { client, base, namespace: settings.namespace, is_exposed })
    }

    /// Whether tokens and values travel unencrypted over a network.
    #[must_use]
    pub fn is_exposed(&self) -> bool {
        self.is_exposed
    }

    /// The namespace of all requests, if one is set.
    #[must_use]
    pub fn namespace(&self) -> Option<&str> {
        self.namespace.as_deref()
    }

    /// Sends a request, retrying until it succeeds, fails permanently, or the deadline passes. `path` is relative to
    /// `/v1/`, not percent-encoded, and may have a query: `secret/data/app`.
    pub fn call(
        &self,
        method: Method,
        path: &str,
        token: Option<&Secret>,
        body: Option<&[u8]>,
        deadline: Deadline,
    ) -> Result<Reply, VaultError> {
        let request = self.request(method, path, token, body).map_err(VaultError::Http)?;
        persist(deadline, || {
            let response = self.client.send(&request, deadline).map_err(of_http)?;
            reply(response, method, path)
        })
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        token: Option<&Secret>,
        body: Option<&[u8]>,
    ) -> Result<Request, HttpError> {
        // Vault Agent and proxies can require this header as a protection against server-side request forgery.
        let mut request = Request::new(method, &self.url(path))?.header("x-vault-request", "true")?;
        if let Some(namespace) = &self.namespace {
            request = request.header("x-vault-namespace", namespace.as_bytes())?;
        }
        if let Some(token) = token {
            request = request.header("x-vault-token", token.expose())?;
        }
        Ok(match body {
            Some(body) => request.header("content-type", "application/json")?.body(body),
            None => request,
        })
    }

    fn url(&self, path: &str) -> String {
        let (path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
        let query = query.map_or_else(String::new, |query| format!("?{query}"));
        format!("{}/v1/{}{query}", self.base, percent_encoded(path))
    }
}

/// Percent-encodes everything except `/` and the unreserved characters of RFC 3986, section 2.3.
fn percent_encoded(path: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
    let encode = |byte| if is_plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    path.bytes().map(encode).collect()
}

fn of_http(error: HttpError) -> VaultError {
    match error.fault {
        HttpFault::Redirect { to } => VaultError::Standby { leader: to },
        fault => VaultError::Http(HttpError { fault, ..error }),
    }
}

fn reply(response: Response, method: Method, path: &str) -> Result<Reply, VaultError> {
    let status = response.status();
    match status {
        // 204 has no body by definition, so there is no JSON to check.
        204 => Ok(Reply { status, body: Zeroizing::new(b"null".to_vec()) }),
        // A 404 counts only with a JSON body: the error page of a load balancer does not prove that a secret is
        // absent.
        200..=299 | 404 if Json::parse(response.body()).is_some() => {
            Ok(Reply { status, body: response.into_body() })
        }
        200..=299 | 404 => Err(VaultError::Nonsense(Nonsense::NotJson)),
        503 if is_sealed(response.body()) => Err(VaultError::Sealed),
        // 412: this node has not replicated the data yet. 472, 473: replication standbys.
        412 | 472 | 473 => Err(VaultError::NotReady { status }),
        408 | 429 | 500..=599 => {
            Err(response.successful().map_or_else(of_http, |_| VaultError::NotReady { status }))
        }
        400..=499 => {
            let path = path.split_once('?').map_or(path, |(path, _)| path);
            Err(VaultError::Refused { status, capability: capability(method), path: escaped(path) })
        }
        _ => Err(VaultError::Nonsense(Nonsense::Status(status))),
    }
}

/// A load balancer can answer 503 too; only this text shows that the response comes from Vault.
fn is_sealed(body: &[u8]) -> bool {
    let errors = Json::parse(body).and_then(|json| json.at(&["errors"])?.elements());
    errors.is_some_and(|errors| errors.iter().any(|error| error.text().as_deref() == Some("Vault is sealed")))
}

/// The policy capability that a method requires.
fn capability(method: Method) -> &'static str {
    match method {
        Method::Get => "read",
        Method::List => "list",
        Method::Post | Method::Put => "update",
        Method::Delete => "delete",
    }
}

impl Reply {
    /// Always 2xx or 404.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status
    }

    /// False for a 404.
    #[must_use]
    pub fn is_found(&self) -> bool {
        self.status != 404
    }

    /// The body, parsed in place.
    pub fn json(&self) -> Result<Json<'_>, VaultError> {
        Json::parse(&self.body).ok_or(VaultError::Nonsense(Nonsense::NotJson))
    }
}

#[cfg(test)]
impl Reply {
    pub(super) fn of(status: u16, body: &str) -> Self {
        Self { status, body: Zeroizing::new(body.as_bytes().to_vec()) }
    }
}

impl fmt::Debug for Api {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Api").field("namespace", &self.namespace).finish_non_exhaustive()
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Reply").field("status", &self.status).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_cannot_leave_its_place_in_the_address() {
        let settings = Settings { address: "https://vault:8200/".to_owned(), ..Settings::default() };
        let api = Api::new(settings).unwrap();
        assert_eq!(
            api.url("secret/data/a b#c%2e/ä"),
            "https://vault:8200/v1/secret/data/a%20b%23c%252e/%C3%A4"
        );
        assert_eq!(api.url("secret/data/app?version=2"), "https://vault:8200/v1/secret/data/app?version=2");
    }

    #[test]
    fn an_address_that_is_no_url_is_refused_before_any_request() {
        for address in ["", "vault:8200", "ftp://vault", "https://user:canary@vault"] {
            let settings = Settings { address: address.to_owned(), ..Settings::default() };
            let error = Api::new(settings).unwrap_err();
            assert!(matches!(error, VaultError::Http(_)), "{address}");
            assert!(!format!("{error:?}").contains("canary"));
        }
    }

    #[test]
    fn sealed_is_known_by_vaults_own_word_alone() {
        assert!(is_sealed(br#"{"errors":["Vault is sealed"]}"#));
        assert!(!is_sealed(br#"{"errors":["Vault is sealed, they say"]}"#));
        assert!(!is_sealed(b"Vault is sealed"));
    }
}
