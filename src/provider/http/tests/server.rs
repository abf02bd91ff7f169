//! A scripted server on loopback, with or without TLS.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{NamedGroup, RootCertStore, ServerConfig, ServerConnection, StreamOwned};

use super::super::{Client, HttpError, HttpFault, Method, Request, Response, Settings};
use crate::provider::Deadline;
use crate::provider::tls::Trust;

/// How the server reacts to a request.
pub(super) enum Reply {
    /// Sends these bytes and waits for the next request.
    Keep(Vec<u8>),
    /// Sends these bytes and closes the connection.
    Close(Vec<u8>),
    /// Sends these bytes, then one more byte every 20 ms.
    Drip(Vec<u8>),
    /// Never responds.
    Hang,
    /// Becomes a tunnel to this port, as a proxy does.
    Tunnel(u16),
}

impl Reply {
    pub(super) fn ok(body: &str) -> Self {
        Self::Keep(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes())
    }

    pub(super) fn redirect(location: &str) -> Self {
        let head = format!("HTTP/1.1 307 Go\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n");
        Self::Keep(head.into_bytes())
    }

    pub(super) fn status(line: &str) -> Self {
        Self::Keep(format!("HTTP/1.1 {line}\r\nContent-Length: 0\r\n\r\n").into_bytes())
    }
}

type Script = Arc<dyn Fn(&str) -> Reply + Send + Sync>;

/// What the server observed.
#[derive(Default)]
struct Seen {
    connections: AtomicUsize,
    requests: Mutex<Vec<String>>,
    groups: Mutex<Vec<NamedGroup>>,
}

pub(super) struct Server {
    address: SocketAddr,
    seen: Arc<Seen>,
}

impl Server {
    /// Starts a server without TLS.
    pub(super) fn plain(script: impl Fn(&str) -> Reply + Send + Sync + 'static) -> Self {
        Self::start(None, script)
    }

    pub(super) fn tls(config: ServerConfig, script: impl Fn(&str) -> Reply + Send + Sync + 'static) -> Self {
        Self::start(Some(Arc::new(config)), script)
    }

    fn start(tls: Option<Arc<ServerConfig>>, script: impl Fn(&str) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Seen::default());
        let (script, log): (Script, _) = (Arc::new(script), Arc::clone(&seen));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (script, log, tls) = (Arc::clone(&script), Arc::clone(&log), tls.clone());
                log.connections.fetch_add(1, Ordering::SeqCst);
                thread::spawn(move || connection(stream, tls, &script, &log));
            }
        });
        Self { address, seen }
    }

    pub(super) fn port(&self) -> u16 {
        self.address.port()
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(super) fn https(&self, path: &str) -> String {
        format!("https://{}{path}", self.address)
    }

    pub(super) fn connections(&self) -> usize {
        self.seen.connections.load(Ordering::SeqCst)
    }

    pub(super) fn requests(&self) -> Vec<String> {
        self.seen.requests.lock().unwrap().clone()
    }

    pub(super) fn groups(&self) -> Vec<NamedGroup> {
        self.seen.groups.lock().unwrap().clone()
    }
}

fn connection(stream: TcpStream, tls: Option<Arc<ServerConfig>>, script: &Script, seen: &Seen) {
    stream.set_nodelay(true).unwrap();
    let Some(config) = tls else { return converse(stream, script, seen) };
    let mut session = ServerConnection::new(config).unwrap();
    let mut stream = stream;
    while session.is_handshaking() {
        if session.complete_io(&mut stream).is_err() {
            return;
        }
    }
    let group = session.negotiated_key_exchange_group().unwrap().name();
    seen.groups.lock().unwrap().push(group);
    converse(StreamOwned::new(session, stream), script, seen);
}

/// Serves requests one after the other until either side closes the connection.
fn converse(stream: impl Read + Write, script: &Script, seen: &Seen) {
    let mut stream = BufReader::new(stream);
    while let Some(request) = read_request(&mut stream) {
        seen.requests.lock().unwrap().push(request.clone());
        match script(&request) {
            Reply::Keep(bytes) => {
                if stream.get_mut().write_all(&bytes).is_err() {
                    return;
                }
            }
            Reply::Close(bytes) => return drop(stream.get_mut().write_all(&bytes)),
            Reply::Drip(bytes) => {
                let _ = stream.get_mut().write_all(&bytes);
                while stream.get_mut().write_all(b"x").and_then(|()| stream.get_mut().flush()).is_ok() {
                    thread::sleep(Duration::from_millis(20));
                }
                return;
            }
            Reply::Hang => loop {
                thread::sleep(Duration::from_mins(1));
            },
            Reply::Tunnel(port) => return tunnel(stream.get_mut(), port),
        }
    }
}

fn read_request(stream: &mut impl BufRead) -> Option<String> {
    let mut request = String::new();
    while !request.ends_with("\r\n\r\n") {
        if stream.read_line(&mut request).ok()? == 0 {
            return None;
        }
    }
    let lower = request.to_ascii_lowercase();
    let length = lower.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body).ok()?;
    Some(request + &String::from_utf8_lossy(&body))
}

/// Forwards bytes in alternating directions, which suffices for a handshake and a few requests in strict turns.
fn tunnel(client: &mut (impl Read + Write), port: u16) {
    let mut server = TcpStream::connect(("127.0.0.1", port)).unwrap();
    server.set_read_timeout(Some(Duration::from_millis(30))).unwrap();
    client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
    let mut buffer = [0; 16 * 1024];
    loop {
        match client.read(&mut buffer) {
            Ok(count) if count > 0 => server.write_all(&buffer[..count]).unwrap(),
            _ => return,
        }
        loop {
            match server.read(&mut buffer) {
                Ok(0) => return,
                Ok(count) => client.write_all(&buffer[..count]).unwrap(),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(_) => return,
            }
        }
    }
}

/// Starts a server on a unix socket that answers every request with `local`.
pub(super) fn unix(path: &Path) {
    let listener = UnixListener::bind(path).unwrap();
    thread::spawn(move || {
        let script: Script = Arc::new(|_| Reply::ok("local"));
        for stream in listener.incoming().flatten() {
            converse(stream, &script, &Seen::default());
        }
    });
}

pub(super) fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/tls").join(name)
}

pub(super) fn cryptography() -> CryptoProvider {
    aws_lc_rs::default_provider()
}

/// A server configuration with the certificate of this name.
pub(super) fn identity(name: &str) -> ServerConfig {
    server_config(name, cryptography(), false)
}

pub(super) fn asking_for_certificate(name: &str) -> ServerConfig {
    server_config(name, cryptography(), true)
}

pub(super) fn with_cryptography(name: &str, cryptography: CryptoProvider) -> ServerConfig {
    server_config(name, cryptography, false)
}

fn server_config(name: &str, cryptography: CryptoProvider, asks: bool) -> ServerConfig {
    let chain = CertificateDer::pem_file_iter(data(&format!("{name}.pem"))).unwrap();
    let chain = chain.collect::<Result<Vec<_>, _>>().unwrap();
    let key = PrivateKeyDer::from_pem_file(data(&format!("{name}.key"))).unwrap();
    let cryptography = Arc::new(cryptography);
    let builder = ServerConfig::builder_with_provider(Arc::clone(&cryptography))
        .with_safe_default_protocol_versions()
        .unwrap();
    let builder = if asks {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(data("ca.pem")).unwrap()).unwrap();
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), cryptography).build().unwrap();
        builder.with_client_cert_verifier(verifier)
    } else {
        builder.with_no_client_auth()
    };
    builder.with_single_cert(chain, key).unwrap()
}

/// Client settings that trust the CA file of this name.
pub(super) fn trusting(name: &str) -> Settings {
    let trust = Trust::Files { paths: vec![data(name)], named_by: "VAULT_CACERT" };
    Settings { trust, ..Settings::default() }
}

pub(super) fn client(settings: Settings) -> Client {
    Client::new(settings).unwrap()
}

pub(super) fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(20))
}

pub(super) fn get(client: &Client, url: &str) -> Result<Response, HttpError> {
    client.send(&Request::new(Method::Get, url).unwrap(), soon())
}

pub(super) fn fault(client: &Client, url: &str) -> HttpFault {
    get(client, url).unwrap_err().fault
}
