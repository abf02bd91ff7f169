//! The HTTP/1.1 client of the remote providers. It requires `https` unless configured otherwise, applies one deadline
//! to every step, and never retries; that is the task of `retry`.

mod address;
mod error;
mod form;
mod parallel;
mod proxy;
mod request;
mod transport;

#[cfg(test)]
mod tests;

use std::fmt;
use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use ureq::Agent;
use ureq::config::Config;
use ureq::http::Response as LibraryResponse;
use ureq::http::header::{LOCATION, TRANSFER_ENCODING};
use ureq::http::response::Parts;
use ureq::unversioned::transport::{ConnectProxyConnector, Connector as _, TcpConnector};
use zeroize::Zeroizing;

pub use address::{AllowHttp, endpoint, shown};
pub use error::{AddressFault, HttpError, HttpFault, TlsFault, Waiting};
pub use form::{FORM, form, percent_encoded};
pub use parallel::in_parallel;
pub use proxy::{Proxies, ProxyError};
pub use request::{BODY_LIMIT, MOST_REDIRECTS, Method, Request, Response, hint};

use self::address::Address;
use self::transport::{Names, NoNames, TlsConnector, UnixConnector};
use super::Deadline;
use super::tls::{self, Identity, TlsSetupError, Trust};
use crate::escape::escaped_path;

/// The maximum number of idle connections, equal to the maximum number of concurrent requests of a provider.
const CONNECTIONS: usize = 32;

/// The longest timeout, in place of an unlimited one, since socket timeouts need a finite value.
const LONGEST: Duration = Duration::from_hours(24);

/// The size in bytes of each connection's read and write buffers, and the initial size for a body of unknown length.
const BUFFER: usize = 16 << 10;

/// The configuration of a client.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The certificates that verify servers.
    pub trust: Trust,
    /// The client certificate, presented if the server requests one.
    pub identity: Option<Identity>,
    /// Proxies and their exceptions.
    pub proxies: Proxies,
    /// Hosts that may be reached over plain `http`.
    pub allow_http: AllowHttp,
    /// A unix socket that receives all requests, whatever their host.
    pub unix_socket: Option<PathBuf>,
    /// The name that server certificates must match, in place of the URL's host.
    pub server_name: Option<String>,
    /// Domains whose names are resolved with a trailing dot, which bypasses the search list of `resolv.conf`.
    pub absolute_domains: Vec<String>,
    /// The time limit for connecting, including the proxy and the TLS handshake.
    pub connect_limit: Duration,
    /// The time limit for each read and write.
    pub read_limit: Duration,
}

impl Settings {
    /// For a service of the machine or of the platform, which no proxy reaches: the same trust, and limits of its own.
    #[must_use]
    pub fn nearby(&self, connect_limit: Duration, read_limit: Duration) -> Self {
        let (trust, allow_http) = (self.trust.clone(), self.allow_http.clone());
        Self { trust, allow_http, connect_limit, read_limit, ..Self::default() }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            trust: Trust::default(),
            identity: None,
            proxies: Proxies::default(),
            allow_http: AllowHttp::default(),
            unix_socket: None,
            server_name: None,
            absolute_domains: Vec::new(),
            connect_limit: Duration::from_secs(5),
            read_limit: Duration::from_secs(10),
        }
    }
}

/// Sends requests and reuses connections. It can be shared between threads.
pub struct Client {
    direct: Agent,
    proxied: Option<Agent>,
    proxies: Proxies,
    allow_http: AllowHttp,
    /// The path of the unix socket, for messages.
    socket: Option<String>,
}

impl Client {
    /// Reads the certificates and builds the client, without connecting.
    pub fn new(settings: Settings) -> Result<Self, TlsSetupError> {
        let socket = settings.unix_socket.as_deref().map(escaped_path);
        let (direct, proxied) = if let Some(path) = &settings.unix_socket {
            (over_unix_socket(&settings, path.clone()), None)
        } else {
            let tls = tls::client_config(&settings.trust, settings.identity.as_ref())?;
            let proxied = settings.proxies.proxy().map(|proxy| over_tcp(&settings, &tls, Some(proxy)));
            (over_tcp(&settings, &tls, None), proxied)
        };
        Ok(Self { direct, proxied, proxies: settings.proxies, allow_http: settings.allow_http, socket })
    }

    /// Sends a request and returns the response, whatever its status. Redirects are followed as often as the request
    /// allows, and only to the same host and port.
    pub fn send(&self, request: &Request, deadline: Deadline) -> Result<Response, HttpError> {
        let mut address = request.address.clone();
        let mut redirects = request.redirects;
        loop {
            let response = self.exchange(request, &address, deadline)?;
            let Some(next) = redirection(&address, &response)? else { return Ok(response) };
            let failed = |fault| Err(HttpError::new(self.shown(&address), fault));
            if !is_same_host(&address, &next) {
                return failed(HttpFault::Redirect { to: next.shown() });
            }
            let Some(left) = redirects.checked_sub(1) else { return failed(HttpFault::TooManyRedirects) };
            (address, redirects) = (next, left);
        }
    }

    fn exchange(
        &self,
        request: &Request,
        address: &Address,
        deadline: Deadline,
    ) -> Result<Response, HttpError> {
        let failed = |fault| HttpError::new(self.shown(address), fault);
        if !self.may_ask(request, address) {
            return Err(failed(HttpFault::PlainHttp));
        }
        let response = self.run(request, address, deadline).map_err(|error| {
            let fault = HttpFault::of(error);
            HttpError::new(self.culprit(address, &fault), fault)
        })?;
        let (parts, body) = response.into_parts();
        let body = read_body(&parts, body, request.body_limit).map_err(failed)?;
        Ok(Response {
            host: self.shown(address),
            status: parts.status.as_u16(),
            headers: parts.headers,
            body,
        })
    }

    /// Whether the request would travel unencrypted over a network, because `allow_http` permits it.
    #[must_use]
    pub fn exposes(&self, request: &Request) -> bool {
        request.is_exposed() && self.socket.is_none() && self.allow_http.holds(&request.address)
    }

    fn may_ask(&self, request: &Request, address: &Address) -> bool {
        address.is_tls()
            || self.socket.is_some()
            || address.is_loopback()
            || (request.is_for_metadata && address.is_metadata())
            || self.allow_http.holds(address)
    }

    fn run(
        &self,
        request: &Request,
        address: &Address,
        deadline: Deadline,
    ) -> Result<LibraryResponse<ureq::Body>, ureq::Error> {
        let agent = self.agent(address);
        let left = Some(deadline.remaining().min(LONGEST));
        if let Some(body) = request.sent_body() {
            let message = request.for_library(address, body);
            agent.run(agent.configure_request(message).timeout_global(left).build())
        } else {
            let message = request.for_library(address, ());
            agent.run(agent.configure_request(message).timeout_global(left).build())
        }
    }

    /// The host to blame. With a proxy, only the proxy's own name is resolved and connected to, so failures of these
    /// steps are the proxy's.
    fn culprit(&self, address: &Address, fault: &HttpFault) -> String {
        let is_before_the_target = matches!(
            fault,
            HttpFault::UnknownHost
                | HttpFault::Lookup
                | HttpFault::Proxy { .. }
                | HttpFault::Io(io::ErrorKind::ConnectionRefused)
        );
        let proxy = self.proxies.shown().filter(|_| is_before_the_target && self.proxies.apply_to(address));
        proxy.unwrap_or_else(|| self.shown(address))
    }

    fn shown(&self, address: &Address) -> String {
        self.socket.clone().unwrap_or_else(|| address.shown())
    }

    fn agent(&self, address: &Address) -> &Agent {
        self.proxied.as_ref().filter(|_| self.proxies.apply_to(address)).unwrap_or(&self.direct)
    }
}

fn over_tcp(settings: &Settings, tls: &Arc<ClientConfig>, proxy: Option<&ureq::Proxy>) -> Agent {
    let connector =
        ().chain(ConnectProxyConnector::default())
            .chain(TcpConnector::default())
            .chain(TlsConnector { config: Arc::clone(tls), name: settings.server_name.clone() });
    let names = Names { absolute: settings.absolute_domains.clone() };
    Agent::with_parts(config(settings, proxy), connector, names)
}

fn over_unix_socket(settings: &Settings, path: PathBuf) -> Agent {
    Agent::with_parts(config(settings, None), UnixConnector(path), NoNames)
}

/// Overrides `ureq`'s defaults: it would read proxies from the process environment, follow redirects, and turn
/// statuses into errors.
fn config(settings: &Settings, proxy: Option<&ureq::Proxy>) -> Config {
    Agent::config_builder()
        .proxy(proxy.cloned())
        .max_redirects(0)
        .max_redirects_will_error(false)
        .http_status_as_error(false)
        .allow_non_standard_methods(true)
        .user_agent(concat!("cryokey/", env!("CARGO_PKG_VERSION")))
        .max_idle_connections(CONNECTIONS)
        .max_idle_connections_per_host(CONNECTIONS)
        .input_buffer_size(BUFFER)
        .output_buffer_size(BUFFER)
        .timeout_connect(Some(settings.connect_limit))
        .timeout_per_read(Some(settings.read_limit))
        .timeout_per_write(Some(settings.read_limit))
        .build()
}

/// The target of a redirect; `None` if the response is not a redirect.
fn redirection(address: &Address, response: &Response) -> Result<Option<Address>, HttpError> {
    match (response.status(), response.header(LOCATION.as_str())) {
        (301 | 302 | 303 | 307 | 308, Some(location)) => address.redirected(location).map(Some),
        _ => Ok(None),
    }
}

/// A different port is a different server, and a downgrade from `https` to `http` would help an attacker.
fn is_same_host(from: &Address, to: &Address) -> bool {
    from.host() == to.host() && from.port() == to.port() && from.is_tls() == to.is_tls()
}

/// Refuses a body delimited by the end of the connection, because a truncated one would look the same.
fn read_body(parts: &Parts, body: ureq::Body, limit: usize) -> Result<Zeroizing<Vec<u8>>, HttpFault> {
    let too_large = HttpFault::TooLarge { limit };
    let length = body.content_length();
    if length.is_some_and(|length| length > limit as u64) {
        return Err(too_large);
    }
    let has_end = length.is_some() || parts.headers.contains_key(TRANSFER_ENCODING);
    let room = length.and_then(|length| usize::try_from(length).ok()).unwrap_or(BUFFER);
    let bytes = read_all(&mut body.into_reader(), room, limit).map_err(|error| match error {
        Some(error) => HttpFault::of_body(error),
        None => too_large,
    })?;
    if has_end || bytes.is_empty() { Ok(bytes) } else { Err(HttpFault::Protocol) }
}

/// Reads to the end. The buffer grows by copying into a new one, so that the old one is wiped. `Err(None)` means that
/// the limit was exceeded.
fn read_all(
    reader: &mut impl Read,
    room: usize,
    limit: usize,
) -> Result<Zeroizing<Vec<u8>>, Option<io::Error>> {
    // One byte more than expected, so that the end is detected without growing.
    let mut bytes = Zeroizing::new(vec![0; room.min(limit) + 1]);
    let mut length = 0;
    loop {
        match reader.read(bytes.get_mut(length..).unwrap_or_default()).map_err(Some)? {
            0 => break,
            count => length += count,
        }
        if length > limit {
            return Err(None);
        }
        if length == bytes.len() {
            let mut larger = Zeroizing::new(vec![0; (length * 2).min(limit + 1)]);
            larger.iter_mut().zip(bytes.iter()).for_each(|(to, from)| *to = *from);
            bytes = larger;
        }
    }
    bytes.truncate(length);
    Ok(bytes)
}

impl fmt::Debug for Client {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Client")
            .field("proxies", &self.proxies)
            .field("allow_http", &self.allow_http)
            .finish_non_exhaustive()
    }
}
