//! The address of a request, and whether it may be used without TLS.

use std::net::{IpAddr, Ipv6Addr};

use toml::de::DeValue;
use ureq::http::Uri;
use ureq::http::uri::Scheme;

use super::error::{AddressFault, HttpError, HttpFault};
use crate::escape::escaped;
use crate::syntax::{List, Syntax};

/// An `http` or `https` URL.
#[derive(Clone)]
pub(super) struct Address {
    uri: Uri,
    /// In lower case, without brackets.
    host: String,
    port: u16,
}

/// Hosts that may be reached over plain `http`, each with its port: `vault:8200`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AllowHttp(Vec<(String, u16)>);

impl Address {
    pub(super) fn parse(url: &str) -> Result<Self, HttpError> {
        let uri: Uri = url.parse().map_err(|_| HttpError::address("", AddressFault::Syntax))?;
        Self::new(uri)
    }

    pub(super) fn new(uri: Uri) -> Result<Self, HttpError> {
        let Some(authority) = uri.authority() else {
            return Err(HttpError::address("", AddressFault::Syntax));
        };
        let host = bare(authority.host()).to_ascii_lowercase();
        let refused = |fault| Err(HttpError::address(&host, fault));
        let default = match uri.scheme() {
            Some(scheme) if *scheme == Scheme::HTTPS => 443,
            Some(scheme) if *scheme == Scheme::HTTP => 80,
            _ => return refused(AddressFault::Scheme),
        };
        if authority.as_str().contains('@') {
            return refused(AddressFault::Credentials);
        }
        if host.is_empty() {
            return refused(AddressFault::Syntax);
        }
        let port = authority.port_u16().unwrap_or(default);
        Ok(Self { uri, host, port })
    }

    pub(super) fn uri(&self) -> &Uri {
        &self.uri
    }

    pub(super) fn host(&self) -> &str {
        &self.host
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// `host:port`, escaped for messages.
    pub(super) fn shown(&self) -> String {
        escaped(with_port(&self.host, self.port))
    }

    pub(super) fn is_tls(&self) -> bool {
        self.uri.scheme() == Some(&Scheme::HTTPS)
    }

    pub(super) fn is_loopback(&self) -> bool {
        self.host == "localhost" || self.ip().is_some_and(|ip| ip.is_loopback())
    }

    /// Whether the host is an IP address that clouds use for their metadata services.
    pub(super) fn is_metadata(&self) -> bool {
        match self.ip() {
            Some(IpAddr::V4(ip)) => ip.is_link_local(),
            Some(IpAddr::V6(ip)) => ip.is_unicast_link_local() || is_amazon_metadata(ip),
            None => self.host == "metadata.google.internal",
        }
    }

    fn ip(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }

    /// Resolves a `Location` header, which may be a relative reference (RFC 9110, section 10.2.2).
    pub(super) fn redirected(&self, location: &str) -> Result<Self, HttpError> {
        let not_an_address = || HttpError::new(self.shown(), HttpFault::Protocol);
        if location.starts_with('/') && !location.starts_with("//") {
            let mut parts = self.uri.clone().into_parts();
            parts.path_and_query = Some(location.parse().map_err(|_| not_an_address())?);
            return Self::new(Uri::from_parts(parts).map_err(|_| not_an_address())?);
        }
        let uri: Uri = location.parse().map_err(|_| not_an_address())?;
        Self::new(uri).map_err(|_| not_an_address())
    }
}

/// Scheme, host and port of a URL, for reports. The rest is dropped because it may contain a password.
#[must_use]
pub fn endpoint(url: &str) -> Option<String> {
    let address = Address::parse(url).ok()?;
    let scheme = if address.is_tls() { "https" } else { "http" };
    Some(format!("{scheme}://{}", address.shown()))
}

/// The same for any text: what is no URL, or has a user name, may contain a password and is not shown.
#[must_use]
pub fn shown(url: &str) -> String {
    endpoint(url).unwrap_or_else(|| "an invalid URL".to_owned())
}

/// `host:port`, with brackets around an IPv6 address.
fn with_port(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// `fd00:ec2::/32`, which contains the IPv6 addresses of Amazon's metadata services.
fn is_amazon_metadata(ip: Ipv6Addr) -> bool {
    matches!(ip.segments(), [0xfd00, 0x0ec2, ..])
}

/// A host without the brackets of an IPv6 address.
pub(super) fn bare(host: &str) -> &str {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

impl Syntax for AllowHttp {
    type Value = Self;
    const TOML_TYPE: &'static str = List::TOML_TYPE;

    fn usage() -> String {
        "hosts with ports, such as vault:8200, separated by commas".into()
    }

    fn from_text(text: &str) -> Option<Self> {
        Self::parse(text).ok()
    }

    fn from_toml(value: &DeValue<'_>) -> Option<Self> {
        Self::from_text(&List::from_toml(value)?.join(","))
    }

    fn to_toml(value: &Self) -> String {
        List::to_toml(&value.0.iter().map(|(host, port)| with_port(host, *port)).collect())
    }

    #[cfg(test)]
    fn schema() -> serde_json::Value {
        List::schema()
    }
}

impl AllowHttp {
    /// Parses a comma-separated list such as `vault:8200,10.0.0.5:80`. The error is the first entry that is not
    /// `host:port`; escaped.
    pub fn parse(list: &str) -> Result<Self, String> {
        let entries = list.split(',').map(str::trim).filter(|entry| !entry.is_empty());
        entries
            .map(|entry| host_and_port(entry).ok_or_else(|| escaped(entry)))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    pub(super) fn holds(&self, address: &Address) -> bool {
        self.0.iter().any(|(host, port)| *host == address.host && *port == address.port)
    }
}

fn host_and_port(entry: &str) -> Option<(String, u16)> {
    let (host, port) = entry.rsplit_once(':')?;
    let host = bare(host).to_ascii_lowercase();
    let is_host = !host.is_empty() && !host.contains(['/', '@']);
    Some((host, port.parse().ok()?)).filter(|_| is_host)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(url: &str) -> Address {
        Address::parse(url).unwrap()
    }

    fn fault(url: &str) -> HttpFault {
        Address::parse(url).err().unwrap().fault
    }

    #[test]
    fn a_url_without_a_port_has_that_of_its_scheme() {
        assert_eq!(address("https://Vault.example/v1").port(), 443);
        assert_eq!(address("http://127.0.0.1").port(), 80);
        assert_eq!(address("https://[::1]:8200/").shown(), "[::1]:8200");
        assert_eq!(address("https://Vault.Example").host(), "vault.example");
    }

    #[test]
    fn what_is_not_an_http_url_is_refused() {
        assert_eq!(fault("vault:8200"), HttpFault::Address(AddressFault::Scheme));
        assert_eq!(fault("/v1/secret"), HttpFault::Address(AddressFault::Syntax));
        assert_eq!(fault("ftp://vault/"), HttpFault::Address(AddressFault::Scheme));
        assert_eq!(fault("https://ho st/"), HttpFault::Address(AddressFault::Syntax));
    }

    #[test]
    fn credentials_in_a_url_are_refused_and_not_shown() {
        let error = Address::parse("https://user:canary@vault/").err().unwrap();
        assert_eq!(error.fault, HttpFault::Address(AddressFault::Credentials));
        assert!(!format!("{error:?} {error}").contains("canary"));
    }

    #[test]
    fn metadata_and_loopback_addresses_are_known() {
        for url in ["http://169.254.169.254/x", "http://[fd00:ec2::254]/", "http://metadata.google.internal/"]
        {
            assert!(address(url).is_metadata(), "{url}");
        }
        for url in ["http://10.0.0.1/", "http://vault/", "http://169.254.169.254.example/"] {
            assert!(!address(url).is_metadata() && !address(url).is_loopback(), "{url}");
        }
        for url in ["http://127.8.0.1/", "http://[::1]/", "http://LOCALHOST:1/"] {
            assert!(address(url).is_loopback(), "{url}");
        }
    }

    #[test]
    fn a_location_may_be_relative() {
        let from = address("https://vault:8200/v1/a?b=c");
        assert_eq!(from.redirected("/v2?x=1").unwrap().uri(), "https://vault:8200/v2?x=1");
        assert_eq!(from.redirected("https://other/v2").unwrap().host(), "other");
        for bad in ["//other/v2", "v2", "", "ftp://other/", "https://a:b@vault:8200/"] {
            assert_eq!(from.redirected(bad).err().unwrap().fault, HttpFault::Protocol, "{bad}");
        }
    }

    #[test]
    fn the_list_of_plain_hosts_names_host_and_port() {
        let allowed = AllowHttp::parse("Vault:8200, [::2]:80").unwrap();
        assert!(allowed.holds(&address("http://vault:8200/v1")));
        assert!(allowed.holds(&address("http://[::2]/")));
        assert!(!allowed.holds(&address("http://vault:8201/")));
        assert_eq!(AllowHttp::parse("vault").unwrap_err(), "vault");
        assert_eq!(AllowHttp::parse("http://vault:80").unwrap_err(), "http://vault:80");
    }
}
