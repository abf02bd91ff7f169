//! Transports for `ureq`: name resolution, TLS, unix sockets.

use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::{fmt, thread};

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use ureq::config::Config;
use ureq::http::{Uri, uri::Scheme};
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::time::{Duration, Instant};
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, Either, LazyBuffers, NextTimeout, Transport, TransportAdapter,
};

use super::address::bare;
use super::error::{HttpFault, TlsFault};
use crate::system::read;

/// The capacity of `ureq`'s list of addresses for a name.
const MOST_ADDRESSES: usize = 16;

/// Resolves names with the C library, on a thread that is abandoned when the time limit expires.
#[derive(Debug)]
pub(super) struct Names {
    /// Domains whose names are resolved with a trailing dot first.
    pub(super) absolute: Vec<String>,
}

impl Resolver for Names {
    fn resolve(
        &self,
        uri: &Uri,
        _config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let host = bare(uri.host().unwrap_or_default()).to_ascii_lowercase();
        let default = if uri.scheme() == Some(&Scheme::HTTPS) { 443 } else { 80 };
        let port = uri.port_u16().unwrap_or(default);
        let found = if let Some(known) = known(&host) {
            known.into_iter().map(|ip| SocketAddr::new(ip, port)).collect()
        } else {
            let names = self.spellings(&host, &hosts_file());
            within(timeout, move || first_known(&names, port))?
        };
        let mut addresses = self.empty();
        found.into_iter().take(MOST_ADDRESSES).for_each(|address| addresses.push(address));
        if addresses.is_empty() { Err(ureq::Error::HostNotFound) } else { Ok(addresses) }
    }
}

impl Names {
    /// The spellings to try. The trailing dot bypasses the search list of `resolv.conf`: two queries instead of the
    /// eight that Kubernetes' default causes. Only DNS understands that spelling, so names in `/etc/hosts` are left
    /// as they are.
    fn spellings(&self, host: &str, hosts: &[u8]) -> Vec<String> {
        let is_local =
            hosts.split(u8::is_ascii_whitespace).any(|word| word.eq_ignore_ascii_case(host.as_bytes()));
        let is_absolute = !is_local
            && self.absolute.iter().any(|domain| {
                host.strip_suffix(domain.as_str()).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
            });
        let dotted = is_absolute.then(|| format!("{host}."));
        dotted.into_iter().chain([host.to_owned()]).collect()
    }
}

/// The content of `/etc/hosts`; empty if it cannot be read.
fn hosts_file() -> Vec<u8> {
    read::read_path(Path::new("/etc/hosts")).map(|(bytes, _)| bytes).unwrap_or_default()
}

/// Names that need no resolver: IP addresses, and `localhost`, which an image without `/etc/hosts` could not resolve.
fn known(host: &str) -> Option<Vec<IpAddr>> {
    match host {
        "localhost" => Some(vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]),
        _ => host.parse().ok().map(|ip| vec![ip]),
    }
}

/// Limits the time of a lookup. With an empty `resolv.conf`, the C library waits at least five seconds for a server
/// on localhost.
fn within(
    timeout: NextTimeout,
    ask: impl FnOnce() -> Result<Vec<SocketAddr>, HttpFault> + Send + 'static,
) -> Result<Vec<SocketAddr>, ureq::Error> {
    let (sender, receiver) = mpsc::sync_channel(1);
    thread::Builder::new().spawn(move || drop(sender.send(ask())))?;
    let answer = match timeout.after {
        Duration::Exact(span) => {
            receiver.recv_timeout(span).map_err(|_| ureq::Error::Timeout(timeout.reason))?
        }
        Duration::NotHappening => receiver.recv().map_err(|_| HttpFault::Lookup)?,
    };
    Ok(answer?)
}

fn first_known(names: &[String], port: u16) -> Result<Vec<SocketAddr>, HttpFault> {
    for name in names {
        match (name.as_str(), port).to_socket_addrs() {
            Ok(found) => return Ok(found.collect()),
            Err(error) if is_without_answer(&error) => return Err(HttpFault::Lookup),
            Err(_) => {}
        }
    }
    Err(HttpFault::UnknownHost)
}

/// Whether the lookup got no answer. The standard library exposes `EAI_AGAIN` only as text; these are the texts of
/// glibc and musl, which stay English without `setlocale`. A different text would make an outage look like an unknown
/// name, which is retried too.
fn is_without_answer(error: &io::Error) -> bool {
    let text = error.to_string();
    error.raw_os_error().is_some()
        || text.ends_with("Temporary failure in name resolution")
        || text.ends_with("Try again")
}

/// For unix sockets, which need no name resolution.
#[derive(Debug)]
pub(super) struct NoNames;

impl Resolver for NoNames {
    fn resolve(&self, _: &Uri, _: &Config, _: NextTimeout) -> Result<ResolvedSocketAddrs, ureq::Error> {
        Ok(self.empty())
    }
}

/// TLS over the underlying transport. `ureq`'s own connector would rebuild its configuration, and panics if it is
/// invalid.
pub(super) struct TlsConnector {
    pub(super) config: Arc<ClientConfig>,
    /// The name that the certificate must match, in place of the host.
    pub(super) name: Option<String>,
}

impl fmt::Debug for TlsConnector {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("TlsConnector")
    }
}

impl<In: Transport> Connector<In> for TlsConnector {
    type Out = Either<In, TlsTransport<In>>;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, ureq::Error> {
        let Some(transport) = chained else { return Ok(None) };
        if !details.needs_tls() {
            return Ok(Some(Either::A(transport)));
        }
        let host = self.name.as_deref().unwrap_or_else(|| bare(details.uri.host().unwrap_or_default()));
        let name = ServerName::try_from(host).map_err(|_| HttpFault::Tls(TlsFault::WrongName))?.to_owned();
        let mut session = ClientConnection::new(Arc::clone(&self.config), name)
            .map_err(|error| HttpFault::Tls(TlsFault::of(&error)))?;
        let mut socket = TransportAdapter::new(transport, Arc::clone(&details.current_time));
        socket.set_timeout(time_left(details));
        session.complete_io(&mut socket)?;
        let config = details.config;
        let buffers = LazyBuffers::new(config.input_buffer_size(), config.output_buffer_size());
        Ok(Some(Either::B(TlsTransport { buffers, stream: StreamOwned::new(session, socket) })))
    }
}

/// The rest of the connect limit, which TCP has partly used.
fn time_left(details: &ConnectionDetails<'_>) -> NextTimeout {
    let mut timeout = details.timeout;
    if let (Duration::Exact(limit), Instant::Exact(start), Instant::Exact(now)) =
        (timeout.after, details.now, (details.current_time)())
    {
        timeout.after = Duration::Exact(limit.saturating_sub(now.saturating_duration_since(start)));
    }
    timeout
}

/// A TLS connection.
pub(super) struct TlsTransport<In: Transport> {
    buffers: LazyBuffers,
    stream: StreamOwned<ClientConnection, TransportAdapter<In>>,
}

impl<In: Transport> fmt::Debug for TlsTransport<In> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("TlsTransport")
    }
}

impl<In: Transport> Transport for TlsTransport<In> {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        self.stream.sock.set_timeout(timeout);
        let output = self.buffers.output().get(..amount).unwrap_or_default();
        Ok(self.stream.write_all(output)?)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        self.stream.sock.set_timeout(timeout);
        let amount = self.stream.read(self.buffers.input_append_buf())?;
        self.buffers.input_appended(amount);
        Ok(amount > 0)
    }

    fn is_open(&mut self) -> bool {
        self.stream.sock.get_mut().is_open()
    }

    fn is_tls(&self) -> bool {
        true
    }
}

/// Connects to this unix socket, whatever the host and port.
#[derive(Debug)]
pub(super) struct UnixConnector(pub(super) PathBuf);

impl Connector<()> for UnixConnector {
    type Out = UnixTransport;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        _chained: Option<()>,
    ) -> Result<Option<UnixTransport>, ureq::Error> {
        let config = details.config;
        let buffers = LazyBuffers::new(config.input_buffer_size(), config.output_buffer_size());
        Ok(Some(UnixTransport { stream: UnixStream::connect(&self.0)?, buffers }))
    }
}

/// A connection to a unix socket.
pub(super) struct UnixTransport {
    stream: UnixStream,
    buffers: LazyBuffers,
}

impl fmt::Debug for UnixTransport {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("UnixTransport")
    }
}

impl Transport for UnixTransport {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        let timeout = timeout.for_write();
        self.stream.set_write_timeout(timeout.not_zero().map(|span| *span))?;
        let output = self.buffers.output().get(..amount).unwrap_or_default();
        self.stream.write_all(output).map_err(|error| timed_out(error, timeout))
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        let timeout = timeout.for_read();
        self.stream.set_read_timeout(timeout.not_zero().map(|span| *span))?;
        let amount = self.stream.read(self.buffers.input_append_buf());
        let amount = amount.map_err(|error| timed_out(error, timeout))?;
        self.buffers.input_appended(amount);
        Ok(amount > 0)
    }

    /// An idle connection has no data to read, unless the server closed it.
    fn is_open(&mut self) -> bool {
        let is_idle = |stream: &mut UnixStream| {
            stream.set_nonblocking(true)?;
            let read = stream.read(&mut [0]);
            stream.set_nonblocking(false)?;
            Ok::<bool, io::Error>(read.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock))
        };
        is_idle(&mut self.stream).unwrap_or(false)
    }
}

fn timed_out(error: io::Error, timeout: NextTimeout) -> ureq::Error {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => ureq::Error::Timeout(timeout.reason),
        _ => error.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_the_services_are_asked_for_with_a_dot_and_then_without() {
        let names = Names { absolute: vec!["amazonaws.com".to_owned()] };
        let spellings =
            |host| names.spellings(host, b"127.0.0.1 localhost\n10.0.0.1\tS3.amazonaws.com # local\n");
        assert_eq!(spellings("sts.amazonaws.com"), ["sts.amazonaws.com.", "sts.amazonaws.com"]);
        assert_eq!(spellings("s3.amazonaws.com"), ["s3.amazonaws.com"]);
        assert_eq!(spellings("notamazonaws.com"), ["notamazonaws.com"]);
        assert_eq!(spellings("vault"), ["vault"]);
    }

    #[test]
    fn an_outage_of_dns_is_not_an_unknown_name() {
        let error = |text: &str| io::Error::other(format!("failed to lookup address information: {text}"));
        assert!(is_without_answer(&error("Temporary failure in name resolution")));
        assert!(is_without_answer(&error("Try again")));
        assert!(!is_without_answer(&error("Name or service not known")));
        assert!(!is_without_answer(&error("Name does not resolve")));
    }

    #[test]
    fn a_resolver_that_does_not_answer_is_given_up_at_the_timeout() {
        let timeout = NextTimeout {
            after: Duration::from_millis(50),
            reason: ureq::Timeout::Global,
            ..NextTimeout::default()
        };
        let started = std::time::Instant::now();
        let outcome = within(timeout, || {
            thread::sleep(std::time::Duration::from_mins(10));
            Ok(Vec::new())
        });
        assert!(matches!(outcome.unwrap_err(), ureq::Error::Timeout(ureq::Timeout::Global)));
        assert!(started.elapsed() < std::time::Duration::from_secs(5));
    }

    #[test]
    fn addresses_and_localhost_need_no_question() {
        assert_eq!(known("10.0.0.1"), Some(vec!["10.0.0.1".parse().unwrap()]));
        assert_eq!(known("::1"), Some(vec!["::1".parse().unwrap()]));
        assert_eq!(known("localhost").unwrap().len(), 2);
        assert_eq!(known("vault"), None);
    }
}
