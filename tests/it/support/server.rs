//! A server on loopback that answers as a script says, for what no real server does.

use std::io::{BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// What the server does with one request.
pub(crate) enum Reply {
    /// A status and a body.
    Status(u16, String),
    /// These bytes, then the end of the connection.
    Raw(String),
    /// Nothing, for a long time.
    Hang,
}

/// The answer to one request, of its first line and its headers in lower case.
type Script = Arc<dyn Fn(&str) -> Reply + Send + Sync>;

pub(crate) struct Server {
    address: SocketAddr,
    scheme: &'static str,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// Without TLS.
    pub(crate) fn plain(script: impl Fn(&str) -> Reply + Send + Sync + 'static) -> Self {
        Self::start(None, script)
    }

    /// With the certificate of this name.
    pub(crate) fn tls(name: &str, script: impl Fn(&str) -> Reply + Send + Sync + 'static) -> Self {
        let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/tls");
        let chain = CertificateDer::pem_file_iter(data.join(format!("{name}.pem"))).unwrap();
        let chain = chain.collect::<Result<Vec<_>, _>>().unwrap();
        let key = PrivateKeyDer::from_pem_file(data.join(format!("{name}.key"))).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        Self::start(Some(Arc::new(config)), script)
    }

    fn start(tls: Option<Arc<ServerConfig>>, script: impl Fn(&str) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (script, seen): (Script, _) = (Arc::new(script), Arc::clone(&requests));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (script, seen, tls) = (Arc::clone(&script), Arc::clone(&seen), tls.clone());
                thread::spawn(move || match tls {
                    None => converse(stream, &script, &seen),
                    Some(tls) => {
                        converse(
                            StreamOwned::new(ServerConnection::new(tls).unwrap(), stream),
                            &script,
                            &seen,
                        );
                    }
                });
            }
        });
        Self { address, scheme, requests }
    }

    /// Its address, with the name that its certificate has.
    pub(crate) fn url(&self) -> String {
        format!("{}://localhost:{}", self.scheme, self.address.port())
    }

    /// First line and headers of all requests so far.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

/// Answers requests until one of both closes.
fn converse(stream: impl Read + Write, script: &Script, seen: &Mutex<Vec<String>>) {
    let mut stream = BufReader::new(stream);
    while let Some(request) = read_head(&mut stream) {
        skip_body(&mut stream, &request);
        seen.lock().unwrap().push(request.clone());
        let (bytes, is_last) = match script(&request) {
            Reply::Status(status, body) => {
                let length = body.len();
                let head = format!("HTTP/1.1 {status} X\r\nContent-Length: {length}\r\n\r\n");
                (head + &body, false)
            }
            Reply::Raw(bytes) => (bytes, true),
            Reply::Hang => return thread::sleep(Duration::from_mins(10)),
        };
        let stream = stream.get_mut();
        if stream.write_all(bytes.as_bytes()).and_then(|()| stream.flush()).is_err() || is_last {
            return;
        }
    }
}

fn skip_body(stream: &mut impl Read, head: &str) {
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
    std::io::copy(&mut stream.take(length.unwrap_or(0)), &mut std::io::sink()).unwrap();
}

fn read_head(stream: &mut impl std::io::BufRead) -> Option<String> {
    let mut head = String::new();
    loop {
        let mut line = String::new();
        match stream.read_line(&mut line) {
            Ok(0) | Err(_) => return None,
            Ok(_) if line == "\r\n" => return Some(head.to_ascii_lowercase()),
            Ok(_) => head.push_str(&line),
        }
    }
}
