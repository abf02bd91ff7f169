//! Proxies from the usual environment variables.

use std::fmt;
use std::net::IpAddr;

use super::address::{Address, bare};
use crate::environ::Environ;
use crate::escape::escaped;

/// The proxy for `https`, and the hosts that bypass it. Plain `http` never goes through a proxy, which could read
/// what it forwards.
#[derive(Clone, Default)]
pub struct Proxies {
    proxy: Option<ureq::Proxy>,
    exceptions: NoProxy,
}

/// The variable's value is not the URL of an HTTP proxy. The value is dropped, since it may contain a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProxyError {
    /// The variable's name.
    pub variable: &'static str,
}

impl Proxies {
    /// Reads `https_proxy`, `HTTPS_PROXY`, `all_proxy` and `ALL_PROXY`; the first one that is set wins. `HTTP_PROXY`
    /// is ignored, because in a CGI program a client can set it with a `Proxy` header ("httpoxy").
    pub fn from_environ(environ: &Environ) -> Result<Self, ProxyError> {
        let names = ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"];
        let first = names.into_iter().find_map(|name| Some((name, environ.text(name)?)));
        let proxy = first.map(|(variable, url)| parse(&url).ok_or(ProxyError { variable })).transpose()?;
        Ok(Self { proxy, exceptions: exceptions(environ) })
    }

    /// Uses the proxy of a provider-specific variable, with the exceptions from `NO_PROXY`.
    pub fn named(variable: &'static str, url: &str, environ: &Environ) -> Result<Self, ProxyError> {
        let proxy = parse(url).ok_or(ProxyError { variable })?;
        Ok(Self { proxy: Some(proxy), exceptions: exceptions(environ) })
    }

    /// The proxy that the agent for proxied requests uses.
    pub(super) fn proxy(&self) -> Option<&ureq::Proxy> {
        self.proxy.as_ref()
    }

    /// The proxy without its credentials, for messages.
    pub(super) fn shown(&self) -> Option<String> {
        self.proxy.as_ref().map(|proxy| escaped(format!("proxy {}:{}", proxy.host(), proxy.port())))
    }

    pub(super) fn apply_to(&self, address: &Address) -> bool {
        self.proxy.is_some()
            && address.is_tls()
            && !address.is_loopback()
            && !address.is_metadata()
            && !self.exceptions.holds(address.host(), address.port())
    }
}

fn exceptions(environ: &Environ) -> NoProxy {
    let list = environ.text("no_proxy").or_else(|| environ.text("NO_PROXY"));
    NoProxy::parse(&list.unwrap_or_default())
}

/// Refuses SOCKS proxies, with which `ureq` would panic at the first request.
fn parse(url: &str) -> Option<ureq::Proxy> {
    let proxy = ureq::Proxy::new(url).ok()?;
    let is_http = matches!(proxy.protocol(), ureq::ProxyProtocol::Http | ureq::ProxyProtocol::Https);
    (is_http && !proxy.host().is_empty()).then_some(proxy)
}

impl fmt::Debug for Proxies {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Proxies")
            .field("proxy", &self.shown())
            .field("exceptions", &self.exceptions)
            .finish()
    }
}

impl fmt::Display for ProxyError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: not the URL of an HTTP proxy", self.variable)
    }
}

/// The parsed list from `NO_PROXY`.
#[derive(Debug, Clone, Default)]
struct NoProxy(Vec<Exception>);

#[derive(Debug, Clone)]
struct Exception {
    pattern: Pattern,
    port: Option<u16>,
}

#[derive(Debug, Clone)]
enum Pattern {
    All,
    Network(IpAddr, u8),
    /// The domain itself and all its subdomains.
    Domain(String),
    /// Subdomains only, written with a leading dot.
    Below(String),
}

impl NoProxy {
    fn parse(list: &str) -> Self {
        let entries = list.split([',', ' ']).map(str::trim).filter(|entry| !entry.is_empty());
        Self(entries.map(Exception::parse).collect())
    }

    fn holds(&self, host: &str, port: u16) -> bool {
        let host = host.strip_suffix('.').unwrap_or(host);
        let ip: Option<IpAddr> = host.parse().ok();
        self.0.iter().any(|exception| {
            exception.port.is_none_or(|its| its == port) && exception.pattern.holds(host, ip)
        })
    }
}

impl Exception {
    fn parse(entry: &str) -> Self {
        let entry = entry.to_ascii_lowercase();
        // In an unbracketed IPv6 address, a colon does not introduce a port.
        let (host, port) = match entry.rsplit_once(':') {
            Some((host, port)) if bare(host) != host || !host.contains(':') => (host, port.parse().ok()),
            _ => (entry.as_str(), None),
        };
        let host = if port.is_some() { host } else { &entry };
        Self { pattern: Pattern::parse(bare(host)), port }
    }
}

impl Pattern {
    fn parse(host: &str) -> Self {
        if host == "*" {
            return Self::All;
        }
        if let Some(network) = network(host) {
            return network;
        }
        let host = host.strip_suffix('.').unwrap_or(host);
        match host.strip_prefix("*.").or_else(|| host.strip_prefix('.')) {
            Some(domain) => Self::Below(domain.to_owned()),
            None => Self::Domain(host.to_owned()),
        }
    }

    fn holds(&self, host: &str, ip: Option<IpAddr>) -> bool {
        let is_below = |domain: &str| host.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'));
        match self {
            Self::All => true,
            Self::Network(network, length) => ip.is_some_and(|ip| is_in(ip, *network, *length)),
            Self::Domain(domain) => host == domain || is_below(domain),
            Self::Below(domain) => is_below(domain),
        }
    }
}

/// An IP address, or a network such as `10.0.0.0/8`.
fn network(text: &str) -> Option<Pattern> {
    let (address, length) = text.split_once('/').map_or((text, None), |(it, length)| (it, Some(length)));
    let address: IpAddr = bare(address).parse().ok()?;
    let bits = if address.is_ipv4() { 32 } else { 128 };
    let length = length.map_or(Some(bits), |length| length.parse().ok())?;
    (length <= bits).then_some(Pattern::Network(address, length))
}

fn is_in(ip: IpAddr, network: IpAddr, length: u8) -> bool {
    let same = |left: u128, right: u128, bits: u8| {
        let rest = u32::from(bits - length);
        left.checked_shr(rest).unwrap_or(0) == right.checked_shr(rest).unwrap_or(0)
    };
    match (ip, network) {
        (IpAddr::V4(ip), IpAddr::V4(network)) => same(ip.to_bits().into(), network.to_bits().into(), 32),
        (IpAddr::V6(ip), IpAddr::V6(network)) => same(ip.to_bits(), network.to_bits(), 128),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies(variables: &[&str]) -> Proxies {
        Proxies::from_environ(&Environ::new(variables.iter().copied())).unwrap()
    }

    fn host(variables: &[&str]) -> Option<String> {
        proxies(variables).proxy().map(|proxy| proxy.host().to_owned())
    }

    #[test]
    fn no_proxy_names_domains_addresses_networks_and_ports() {
        let table = [
            // list, host, port, whether the list exempts the host
            ("vault", "vault", 8200, true),
            ("vault", "vault2", 8200, false),
            ("Example.COM", "example.com", 443, true),
            ("example.com", "a.b.example.com", 443, true),
            ("example.com", "notexample.com", 443, false),
            ("example.com", "example.com.", 443, true),
            ("example.com.", "example.com", 443, true),
            (".example.com", "a.example.com", 443, true),
            (".example.com", "example.com", 443, false),
            ("*.example.com", "a.example.com", 443, true),
            ("example.com:8443", "example.com", 8443, true),
            ("example.com:8443", "example.com", 443, false),
            ("10.0.0.0/8", "10.200.3.4", 443, true),
            ("10.0.0.0/8", "11.0.0.1", 443, false),
            ("10.1.2.3", "10.1.2.3", 443, true),
            ("10.1.2.3:443", "10.1.2.3", 8443, false),
            ("0.0.0.0/0", "8.8.8.8", 443, true),
            ("0.0.0.0/0", "vault", 443, false),
            ("10.0.0.0/33", "10.0.0.1", 443, false),
            ("fd00::/8", "fd12::1", 443, true),
            ("fd00::/8", "fe12::1", 443, false),
            ("fd12::1", "fd12::1", 443, true),
            ("[fd12::1]:443", "fd12::1", 443, true),
            ("[fd12::1]:443", "fd12::1", 8443, false),
            ("::/0", "fd12::1", 443, true),
            ("*", "anything", 1, true),
            ("a, b c", "b", 443, true),
            ("a, b c", "c", 443, true),
            ("", "a", 443, false),
        ];
        for (list, host, port, expected) in table {
            assert_eq!(NoProxy::parse(list).holds(host, port), expected, "{host}:{port} in {list:?}");
        }
    }

    #[test]
    fn lower_case_overrides_upper_case_and_https_overrides_all() {
        let all = [
            "ALL_PROXY=http://d:1",
            "all_proxy=http://c:1",
            "HTTPS_PROXY=http://b:1",
            "https_proxy=http://a:1",
        ];
        assert_eq!(host(&all).as_deref(), Some("a"));
        assert_eq!(host(&all[..3]).as_deref(), Some("b"));
        assert_eq!(host(&all[..2]).as_deref(), Some("c"));
        assert_eq!(host(&all[..1]).as_deref(), Some("d"));
        assert_eq!(host(&["HTTP_PROXY=http://e:1", "http_proxy=http://e:1", "HTTPS_PROXY="]), None);
    }

    #[test]
    fn loopback_metadata_and_plain_http_never_go_through_a_proxy() {
        let proxies = proxies(&["HTTPS_PROXY=http://proxy:3128", "no_proxy=inside.example"]);
        let table = [
            ("https://vault.example/", true),
            ("https://inside.example/", false),
            ("http://vault.example/", false),
            ("https://127.0.0.1/", false),
            ("https://localhost/", false),
            ("https://[::1]/", false),
            ("https://169.254.169.254/", false),
            ("https://metadata.google.internal/", false),
        ];
        for (url, expected) in table {
            assert_eq!(proxies.apply_to(&Address::parse(url).unwrap()), expected, "{url}");
        }
    }

    #[test]
    fn a_proxy_that_is_no_http_proxy_is_refused_by_its_variable() {
        for url in ["socks5://canary@proxy:1080", "ht tp://canary", "http://", "ftp://canary"] {
            let environ = Environ::new([format!("ALL_PROXY={url}")]);
            let error = Proxies::from_environ(&environ).unwrap_err();
            assert_eq!(error.variable, "ALL_PROXY", "{url}");
            assert!(!format!("{error} {error:?}").contains("canary"));
        }
    }

    #[test]
    fn debug_shows_the_proxy_without_its_credentials() {
        let shown = format!("{:?}", proxies(&["HTTPS_PROXY=http://user:canary@proxy:3128"]));
        assert!(shown.contains("proxy") && !shown.contains("canary") && !shown.contains("user"), "{shown}");
    }
}
