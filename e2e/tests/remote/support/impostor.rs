//! A TLS server that shows a certificate it should not have.

use std::io::Error;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

use e2e::program::until;

use super::daemon::Daemon;
use super::{Certified, Network};

pub(crate) struct Impostor {
    address: SocketAddr,
    _server: Daemon,
}

impl Impostor {
    /// Ready when this returns.
    pub(crate) fn start(network: &Network, port: u16, shown: &Certified) -> Self {
        let address = SocketAddr::new(network.address(), port);
        let listen = address.to_string();
        let line = ["openssl", "s_server", "-www", "-accept", &listen, "-cert"].map(Path::new);
        let line = [&line, &[shown.certificate.as_path(), Path::new("-key"), &shown.key][..]].concat();
        let server = Daemon::start(network, &line, &network.scratch().join("log"));
        until("the impostor listens", Duration::from_secs(30), || {
            network.inside(|| TcpStream::connect(address)).map_err(|error: Error| error.to_string())
        });
        Self { address, _server: server }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}
