//! Why a request failed. Of a response, only its status, `Retry-After` and the host of a redirect are kept.

use std::fmt;
use std::io;
use std::time::Duration;

use rustls::{AlertDescription, CertificateError};

use crate::escape::escaped;
use crate::provider::retry::{Retryable, Temporary};
use crate::provider::{Cause, Kind};

/// A failed request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpError {
    /// Host and port of the server, or of the proxy if that failed; escaped.
    pub host: String,
    /// The cause.
    pub fault: HttpFault,
}

/// The cause of a failed request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HttpFault {
    /// The URL cannot be used.
    Address(AddressFault),
    /// The header's name or value contains characters that HTTP does not allow.
    Header {
        /// The header's name.
        name: &'static str,
    },
    /// The host may not be reached over plain `http`.
    PlainHttp,
    /// The name does not exist in DNS.
    UnknownHost,
    /// The DNS lookup failed: the server did not respond, or reported a temporary failure.
    Lookup,
    /// The connection could not be established, or it broke.
    Io(io::ErrorKind),
    /// A time limit expired.
    Timeout(Waiting),
    /// The TLS handshake failed.
    Tls(TlsFault),
    /// The proxy refused the tunnel.
    Proxy {
        /// The proxy's HTTP status, if it sent one.
        status: Option<u16>,
    },
    /// A redirect to another host or port, or from `https` to `http`.
    Redirect {
        /// Host and port of the target; escaped.
        to: String,
    },
    /// More redirects than the request allows.
    TooManyRedirects,
    /// A status other than 2xx.
    Status {
        /// The HTTP status.
        code: u16,
        /// The `Retry-After` header, as a duration from now.
        retry_after: Option<Duration>,
    },
    /// The connection closed before the end of the body.
    Truncated,
    /// The body exceeds the request's limit.
    TooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// The response is not valid HTTP, or its body has neither a length nor chunks.
    Protocol,
}

/// Why a URL cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddressFault {
    /// It is not a URL with a host.
    Syntax,
    /// Its scheme is neither `https` nor `http`.
    Scheme,
    /// It contains a user name or a password.
    Credentials,
}

/// Which time limit expired.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waiting {
    /// The limit for connecting, including the proxy and the TLS handshake.
    Connect,
    /// The limit for a single read or write.
    Read,
    /// The deadline of the whole request.
    Deadline,
}

/// Why a TLS handshake failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsFault {
    /// No trusted root signed the certificate.
    UnknownIssuer,
    /// The certificate is for a different name.
    WrongName,
    /// The certificate has expired.
    Expired {
        /// The end of its validity, in seconds since the Unix epoch.
        since: Option<u64>,
    },
    /// The certificate is not valid yet.
    NotYetValid {
        /// The start of its validity, in seconds since the Unix epoch.
        from: Option<u64>,
    },
    /// The certificate is invalid for another reason.
    Certificate,
    /// The server requires a client certificate, or rejected the one it received.
    ClientCertificate,
    /// Client and server have no TLS version or cipher suite in common.
    NothingInCommon,
    /// The server did not respond with TLS.
    NotTls,
    /// Another failure of the handshake.
    Other,
}

impl HttpError {
    pub(super) fn new(host: String, fault: HttpFault) -> Self {
        Self { host, fault }
    }

    /// The kind of an error of a service that holds no secrets: a page that it does not have is not a secret that does not
    /// exist.
    #[must_use]
    pub fn kind_of_service(&self) -> Kind {
        match self.kind() {
            Kind::NotFound => Kind::Nonsense,
            kind => kind,
        }
    }

    pub(super) fn address(host: &str, fault: AddressFault) -> Self {
        Self::new(escaped(host), HttpFault::Address(fault))
    }
}

impl Cause for HttpError {
    fn kind(&self) -> Kind {
        match self.fault {
            HttpFault::Address(_) | HttpFault::Header { .. } | HttpFault::PlainHttp => Kind::Misconfigured,
            HttpFault::Io(io::ErrorKind::PermissionDenied)
            | HttpFault::Proxy { status: Some(401 | 403 | 407) }
            | HttpFault::Status { code: 401 | 403, .. } => Kind::Denied,
            HttpFault::UnknownHost
            | HttpFault::Tls(_)
            | HttpFault::Redirect { .. }
            | HttpFault::TooManyRedirects => Kind::Untrusted,
            HttpFault::Status { code: 404, .. } => Kind::NotFound,
            HttpFault::Timeout(Waiting::Deadline) => Kind::TimedOut,
            _ if self.temporary().is_some() => Kind::Unreachable,
            _ => Kind::Nonsense,
        }
    }

    fn what(&self, place: &str) -> String {
        format!("{place}: {self}")
    }

    fn fix(&self) -> String {
        match &self.fault {
            HttpFault::PlainHttp => {
                format!("use https, or set `allow_http` or CRYOKEY_ALLOW_HTTP={}", self.host)
            }
            HttpFault::Address(AddressFault::Credentials) => "remove the user name and password".to_owned(),
            HttpFault::Address(_) => "use an address such as https://host:port".to_owned(),
            HttpFault::UnknownHost => format!("correct the name, or make {} known to DNS", self.host),
            HttpFault::Redirect { to } => format!("use the address of {to} if that host is meant"),
            HttpFault::Tls(TlsFault::UnknownIssuer) => "name the CA that signed its certificate".to_owned(),
            HttpFault::Tls(TlsFault::Expired { .. } | TlsFault::NotYetValid { .. }) => {
                "renew the certificate, or correct the clock of this machine".to_owned()
            }
            _ => format!("check {} and the network between", self.host),
        }
    }
}

impl Retryable for HttpError {
    fn temporary(&self) -> Option<Temporary> {
        match self.fault {
            HttpFault::Status { code: 429, retry_after } => Some(Temporary::Throttled { retry_after }),
            // A server that is overloaded or restarting may also send `Retry-After`, not only one that throttles.
            HttpFault::Status { code: 408 | 500..=599, retry_after: Some(pause) } => {
                Some(Temporary::Throttled { retry_after: Some(pause) })
            }
            HttpFault::Status { code: 408 | 500..=599, .. }
            | HttpFault::Proxy { status: Some(408 | 429 | 500..=599) }
            | HttpFault::UnknownHost
            | HttpFault::Lookup
            | HttpFault::Timeout(_)
            | HttpFault::Truncated => Some(Temporary::Failure),
            HttpFault::Io(kind) if kind != io::ErrorKind::PermissionDenied => Some(Temporary::Failure),
            _ => None,
        }
    }
}

impl HttpFault {
    /// Whether there was no connection, as where nothing listens at all.
    #[must_use]
    pub fn is_unconnected(&self) -> bool {
        use io::ErrorKind::{ConnectionRefused, HostUnreachable, NetworkUnreachable};
        matches!(
            self,
            Self::Timeout(Waiting::Connect)
                | Self::Io(ConnectionRefused | HostUnreachable | NetworkUnreachable)
        )
    }

    /// Maps an error of `ureq`. Its text is dropped, since it may quote the request or the response.
    pub(super) fn of(error: ureq::Error) -> Self {
        match error {
            ureq::Error::HostNotFound => Self::UnknownHost,
            ureq::Error::Timeout(which) => Self::Timeout(match which {
                ureq::Timeout::Connect => Waiting::Connect,
                ureq::Timeout::PerRead | ureq::Timeout::PerWrite => Waiting::Read,
                _ => Waiting::Deadline,
            }),
            ureq::Error::ConnectProxyFailed(text) => Self::Proxy { status: proxy_status(&text) },
            ureq::Error::Io(error) => Self::of_io(&error),
            ureq::Error::Other(error) => match error.downcast::<Self>() {
                Ok(fault) => *fault,
                Err(_) => Self::Protocol,
            },
            _ => Self::Protocol,
        }
    }

    /// Maps an error while reading a body.
    pub(super) fn of_body(error: io::Error) -> Self {
        match Self::of(error.into()) {
            Self::Io(io::ErrorKind::UnexpectedEof) => Self::Truncated,
            other => other,
        }
    }

    fn of_io(error: &io::Error) -> Self {
        let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
        match tls {
            Some(tls) => Self::Tls(TlsFault::of(tls)),
            None => Self::Io(error.kind()),
        }
    }
}

/// Lets cryokey's own transports report a fault through `ureq`.
impl From<HttpFault> for ureq::Error {
    fn from(fault: HttpFault) -> Self {
        Self::Other(Box::new(fault))
    }
}

impl std::error::Error for HttpFault {}
impl std::error::Error for HttpError {}

/// `ureq` reports the status of a proxy only as text, which ends in `407/407`. A test fails if that changes.
fn proxy_status(text: &str) -> Option<u16> {
    text.rsplit_once('/')?.1.parse().ok()
}

impl TlsFault {
    pub(super) fn of(error: &rustls::Error) -> Self {
        match error {
            rustls::Error::InvalidCertificate(error) => Self::of_certificate(error),
            rustls::Error::AlertReceived(alert) => Self::of_alert(*alert),
            rustls::Error::PeerIncompatible(_) => Self::NothingInCommon,
            rustls::Error::InvalidMessage(_) => Self::NotTls,
            _ => Self::Other,
        }
    }

    fn of_certificate(error: &CertificateError) -> Self {
        match error {
            CertificateError::UnknownIssuer => Self::UnknownIssuer,
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                Self::WrongName
            }
            CertificateError::Expired => Self::Expired { since: None },
            CertificateError::ExpiredContext { not_after, .. } => {
                Self::Expired { since: Some(not_after.as_secs()) }
            }
            CertificateError::NotValidYet => Self::NotYetValid { from: None },
            CertificateError::NotValidYetContext { not_before, .. } => {
                Self::NotYetValid { from: Some(not_before.as_secs()) }
            }
            _ => Self::Certificate,
        }
    }

    fn of_alert(alert: AlertDescription) -> Self {
        match alert {
            AlertDescription::ProtocolVersion
            | AlertDescription::HandshakeFailure
            | AlertDescription::InsufficientSecurity => Self::NothingInCommon,
            AlertDescription::CertificateRequired
            | AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA
            | AlertDescription::AccessDenied => Self::ClientCertificate,
            _ => Self::Other,
        }
    }
}

impl fmt::Display for HttpError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.fault {
            HttpFault::Address(fault) if self.host.is_empty() => fault.fmt(formatter),
            fault => write!(formatter, "{}: {fault}", self.host),
        }
    }
}

impl fmt::Display for HttpFault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Address(fault) => return fault.fmt(formatter),
            Self::Header { name } => {
                return write!(
                    formatter,
                    "the value of the header {name} has characters that no header may have"
                );
            }
            Self::PlainHttp => "plain http is not allowed to this host",
            Self::UnknownHost => "the host name does not resolve",
            Self::Lookup => "the DNS server did not answer",
            Self::Io(kind) => return write!(formatter, "the connection failed: {kind}"),
            Self::Timeout(waiting) => return waiting.fmt(formatter),
            Self::Tls(fault) => return fault.fmt(formatter),
            Self::Proxy { status: Some(status) } => {
                return write!(formatter, "the proxy answered with status {status}");
            }
            Self::Proxy { status: None } => "the proxy did not answer",
            Self::Redirect { to } => return write!(formatter, "redirects to {to}, which is not followed"),
            Self::TooManyRedirects => "redirects too often",
            Self::Status { code, .. } => return write!(formatter, "answered with status {code}"),
            Self::Truncated => "the response ended too early",
            Self::TooLarge { limit } => {
                return write!(formatter, "the response is larger than {limit} bytes");
            }
            Self::Protocol => "the response is not valid HTTP",
        })
    }
}

impl fmt::Display for AddressFault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Syntax => "not a URL with a host",
            Self::Scheme => "the scheme is neither https nor http",
            Self::Credentials => "the URL contains a user name or password",
        })
    }
}

impl fmt::Display for Waiting {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Connect => "no connection within the limit",
            Self::Read => "no data within the limit",
            Self::Deadline => "no complete response before the startup timeout expired",
        })
    }
}

impl fmt::Display for TlsFault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let date = |seconds: u64| {
            let moment = i64::try_from(seconds).ok().and_then(|it| jiff::Timestamp::from_second(it).ok());
            moment.map_or_else(String::new, |moment| format!(" {moment}"))
        };
        formatter.write_str(match self {
            Self::UnknownIssuer => "no trusted CA signed its certificate",
            Self::WrongName => "its certificate is for another name",
            Self::Expired { since } => {
                return write!(formatter, "its certificate expired{}", since.map(date).unwrap_or_default());
            }
            Self::NotYetValid { from } => {
                let from = from.map(date).unwrap_or_default();
                return write!(formatter, "its certificate is not valid until{from}");
            }
            Self::Certificate => "its certificate cannot be used",
            Self::ClientCertificate => "it requires a client certificate, or refused this one",
            Self::NothingInCommon => "no TLS version or cipher suite in common",
            Self::NotTls => "it does not answer with TLS",
            Self::Other => "the TLS handshake failed",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn temporary(fault: HttpFault) -> Option<Temporary> {
        HttpError::new("vault:8200".to_owned(), fault).temporary()
    }

    fn status(code: u16) -> HttpFault {
        HttpFault::Status { code, retry_after: None }
    }

    #[test]
    fn only_what_may_pass_is_temporary() {
        for code in [408, 500, 502, 503, 504] {
            assert_eq!(temporary(status(code)), Some(Temporary::Failure), "{code}");
        }
        for code in [301, 400, 401, 403, 404, 405, 412] {
            assert_eq!(temporary(status(code)), None, "{code}");
        }
        let pause = Some(Duration::from_secs(2));
        for code in [429, 503] {
            let asked = temporary(HttpFault::Status { code, retry_after: pause });
            assert_eq!(asked, Some(Temporary::Throttled { retry_after: pause }));
        }
        let passing = [
            HttpFault::UnknownHost,
            HttpFault::Lookup,
            HttpFault::Timeout(Waiting::Read),
            HttpFault::Truncated,
            HttpFault::Io(io::ErrorKind::ConnectionRefused),
            HttpFault::Io(io::ErrorKind::ConnectionReset),
            HttpFault::Io(io::ErrorKind::NotFound),
            HttpFault::Proxy { status: Some(503) },
        ];
        for fault in passing {
            assert!(temporary(fault.clone()).is_some(), "{fault:?}");
        }
        let lasting = [
            HttpFault::Tls(TlsFault::WrongName),
            HttpFault::Redirect { to: "b:443".to_owned() },
            HttpFault::PlainHttp,
            HttpFault::TooLarge { limit: 1 },
            HttpFault::Protocol,
            HttpFault::Io(io::ErrorKind::PermissionDenied),
            HttpFault::Proxy { status: Some(407) },
        ];
        for fault in lasting {
            assert!(temporary(fault.clone()).is_none(), "{fault:?}");
        }
    }

    #[test]
    fn dates_of_a_certificate_are_in_the_message() {
        let since = Some(1_767_225_600);
        assert!(TlsFault::Expired { since }.to_string().contains("2026-01-01T00:00:00Z"));
        assert!(TlsFault::NotYetValid { from: since }.to_string().contains("2026-01-01T00:00:00Z"));
    }

    #[test]
    fn a_refused_plain_host_says_what_to_set() {
        let error = HttpError::new("vault:8200".to_owned(), HttpFault::PlainHttp);
        assert!(error.fix().contains("allow_http") && error.fix().contains("CRYOKEY_ALLOW_HTTP=vault:8200"));
    }
}
