//! Requests and responses. Whatever can hold a secret is wiped when dropped, and no `Debug` shows it.

use std::fmt;
use std::time::{Duration, SystemTime};

use ureq::http::{self, HeaderMap, HeaderName, HeaderValue};
use zeroize::Zeroizing;

use super::address::Address;
use super::error::{HttpError, HttpFault};
use crate::escape::escaped;

/// The default limit for the body of a response, in bytes (4 MiB).
pub const BODY_LIMIT: usize = 4 << 20;

/// The upper limit for redirects of any request.
pub const MOST_REDIRECTS: u8 = 3;

/// The HTTP method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Reads a resource.
    Get,
    /// Vault's nonstandard method for listing.
    List,
    /// Submits a body, which may be empty.
    Post,
    /// Stores a body at the URL.
    Put,
    /// Deletes a resource.
    Delete,
}

/// A request. It can be sent repeatedly; its headers and body are wiped when it is dropped.
pub struct Request {
    pub(super) method: Method,
    pub(super) address: Address,
    pub(super) headers: HeaderMap,
    pub(super) body: Option<Zeroizing<Vec<u8>>>,
    pub(super) body_limit: usize,
    pub(super) redirects: u8,
    pub(super) is_for_metadata: bool,
}

/// A complete response with any status.
pub struct Response {
    pub(super) host: String,
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Zeroizing<Vec<u8>>,
}

impl Request {
    /// Creates a request without a body that does not follow redirects.
    pub fn new(method: Method, url: &str) -> Result<Self, HttpError> {
        Ok(Self {
            method,
            address: Address::parse(url)?,
            headers: HeaderMap::new(),
            body: None,
            body_limit: BODY_LIMIT,
            redirects: 0,
            is_for_metadata: false,
        })
    }

    /// Adds a header. Its value is treated as a secret and wiped with the request.
    pub fn header(mut self, name: &'static str, value: impl Into<Vec<u8>>) -> Result<Self, HttpError> {
        let refused = || HttpError::new(self.address.shown(), HttpFault::Header { name });
        let value = Zeroizing::new(value.into());
        // `ureq` reads this header as text, and fails without naming the cause.
        if name == "authorization" && !value.is_ascii() {
            return Err(refused());
        }
        let wiped = bytes::Bytes::from_owner(value);
        let key = HeaderName::from_bytes(name.as_bytes()).map_err(|_| refused())?;
        let mut value = HeaderValue::from_maybe_shared(wiped).map_err(|_| refused())?;
        value.set_sensitive(true);
        self.headers.append(key, value);
        Ok(self)
    }

    /// Sets the body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = Some(Zeroizing::new(body.into()));
        self
    }

    /// Sets the limit for the body of the response, [`BODY_LIMIT`] by default.
    #[must_use]
    pub fn body_limit(mut self, bytes: usize) -> Self {
        self.body_limit = bytes;
        self
    }

    /// Follows up to `redirects` redirects on the same host, at most [`MOST_REDIRECTS`]. Only for requests without
    /// side effects.
    #[must_use]
    pub fn following(mut self, redirects: u8) -> Self {
        self.redirects = redirects.min(MOST_REDIRECTS);
        self
    }

    /// Allows plain `http` to the IP addresses of cloud metadata services.
    #[must_use]
    pub fn for_metadata(mut self) -> Self {
        self.is_for_metadata = true;
        self
    }

    /// Adds a header whose name comes from outside.
    pub fn named_header(mut self, name: &str, value: &[u8]) -> Result<Self, HttpError> {
        let refused =
            || HttpError::new(self.address.shown(), HttpFault::Header { name: "of the credentials" });
        let key = HeaderName::from_bytes(name.as_bytes()).map_err(|_| refused())?;
        let wiped = bytes::Bytes::from_owner(Zeroizing::new(value.to_vec()));
        let mut value = HeaderValue::from_maybe_shared(wiped).map_err(|_| refused())?;
        value.set_sensitive(true);
        self.headers.append(key, value);
        Ok(self)
    }

    /// The value of the `Host` header: the host, with the port if the URL contains one.
    #[must_use]
    pub fn authority(&self) -> &str {
        self.address.uri().authority().map_or("", http::uri::Authority::as_str)
    }

    /// The URL's path, without the query.
    #[must_use]
    pub fn path(&self) -> &str {
        self.address.uri().path()
    }

    /// Whether the request travels unencrypted over a network: plain `http`, and not to loopback.
    #[must_use]
    pub fn is_exposed(&self) -> bool {
        !self.address.is_tls() && !self.address.is_loopback()
    }

    /// The body to send. `POST` and `PUT` get an empty one by default, so that `Content-Length: 0` is sent.
    pub(super) fn sent_body(&self) -> Option<&[u8]> {
        let is_sent = matches!(self.method, Method::Post | Method::Put);
        self.body.as_deref().map(Vec::as_slice).or(is_sent.then_some(&[]))
    }

    /// The request as `ureq` expects it. Header values are shared with it, not copied.
    pub(super) fn for_library<B>(&self, address: &Address, body: B) -> http::Request<B> {
        let mut request = http::Request::new(body);
        *request.method_mut() = self.method.name();
        *request.uri_mut() = address.uri().clone();
        *request.headers_mut() = self.headers.clone();
        request
    }
}

impl Method {
    fn name(self) -> http::Method {
        match self {
            Self::Get => http::Method::GET,
            Self::List => http::Method::from_bytes(b"LIST").unwrap_or(http::Method::GET),
            Self::Post => http::Method::POST,
            Self::Put => http::Method::PUT,
            Self::Delete => http::Method::DELETE,
        }
    }
}

impl Response {
    /// The HTTP status.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The header's value; `None` if it is missing or not plain ASCII.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body, which may hold secrets.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// Consumes the response and returns its body.
    #[must_use]
    pub fn into_body(self) -> Zeroizing<Vec<u8>> {
        self.body
    }

    /// The delay from `Retry-After`, which is a number of seconds or a date (RFC 9110, section 10.2.3). `None` for a
    /// date in the past.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        retry_after(self.header("retry-after")?, SystemTime::now())
    }

    /// The response if its status is 2xx, otherwise an error.
    pub fn successful(self) -> Result<Self, HttpError> {
        if (200..300).contains(&self.status) {
            return Ok(self);
        }
        let fault = HttpFault::Status { code: self.status, retry_after: self.retry_after() };
        Err(HttpError::new(self.host, fault))
    }
}

/// Text from a provider as a hint in a message: escaped, and truncated to 200 characters. Only for text that the
/// provider documents as free of secrets.
#[must_use]
pub fn hint(text: &[u8]) -> String {
    escaped(text)
}

fn retry_after(text: &str, now: SystemTime) -> Option<Duration> {
    let text = text.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = jiff::fmt::rfc2822::parse(text).ok()?;
    let now = now.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    Duration::try_from(date.timestamp().as_duration()).ok()?.checked_sub(now)
}

impl fmt::Debug for Request {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.headers.keys().map(HeaderName::as_str).collect();
        formatter
            .debug_struct("Request")
            .field("method", &self.method)
            .field("host", &self.address.shown())
            .field("headers", &names)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Response")
            .field("host", &self.host)
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: &str = "Thu, 26 Nov 2026 12:00:00 GMT";

    #[test]
    fn d08_a_retry_after_is_seconds_or_a_date_in_the_future_and_all_else_is_ignored() {
        let noon = SystemTime::UNIX_EPOCH + Duration::from_hours(498_804);
        let before = noon - Duration::from_secs(5);
        assert_eq!(retry_after("2", noon), Some(Duration::from_secs(2)));
        assert_eq!(retry_after(" 86400 ", noon), Some(Duration::from_hours(24)));
        assert_eq!(retry_after(NOON, before), Some(Duration::from_secs(5)));
        assert_eq!(retry_after(NOON, noon + Duration::from_secs(1)), None);
        for garbage in ["-5", "soon", "", "1.5", "99999999999999999999999"] {
            assert_eq!(retry_after(garbage, noon), None, "{garbage}");
        }
    }

    #[test]
    fn a_header_with_a_line_end_or_no_ascii_is_refused_without_its_value() {
        for (name, value) in [("x-vault-token", "canary\r\nx: y"), ("authorization", "canary\u{e4}")] {
            let request = Request::new(Method::Get, "https://vault/").unwrap();
            let error = request.header(name, value).unwrap_err();
            assert_eq!(error.fault, HttpFault::Header { name });
            assert!(!format!("{error} {error:?}").contains("canary"));
        }
    }

    #[test]
    fn debug_shows_no_value_path_or_body() {
        let request = Request::new(Method::Post, "https://vault/v1/canary?canary=canary").unwrap();
        let request = request.header("x-vault-token", "canary").unwrap().body("canary");
        let shown = format!("{request:?} {request:#?} {:?} {:?}", request.headers, request.header_values());
        assert!(shown.contains("x-vault-token") && !shown.contains("canary"), "{shown}");
        let mut headers = HeaderMap::new();
        headers.insert("x", HeaderValue::from_static("canary"));
        let body = Zeroizing::new(b"canary".to_vec());
        let response = Response { host: "vault:443".to_owned(), status: 200, headers, body };
        assert!(!format!("{response:?}").contains("canary"));
    }

    impl Request {
        fn header_values(&self) -> Vec<&HeaderValue> {
            self.headers.values().collect()
        }
    }

    #[test]
    fn only_2xx_is_success_and_the_error_keeps_status_and_retry_after() {
        let response = |status| {
            let mut headers = HeaderMap::new();
            headers.insert("retry-after", HeaderValue::from_static("7"));
            Response { host: "vault:443".to_owned(), status, headers, body: Zeroizing::default() }
        };
        assert!(response(204).successful().is_ok());
        let fault = response(429).successful().unwrap_err().fault;
        assert_eq!(fault, HttpFault::Status { code: 429, retry_after: Some(Duration::from_secs(7)) });
        assert!(response(302).successful().is_err());
    }

    #[test]
    fn a_hint_is_escaped_and_cut() {
        let shown = hint("a\u{1b}[31m\n".repeat(100).as_bytes());
        assert!(shown.starts_with("a\\u{1b}[31m\\u{a}") && shown.ends_with('…'), "{shown}");
    }
}
