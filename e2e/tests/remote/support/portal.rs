//! The portal that gives keys for a token of `aws sso login`, as AWS describes it: moto has none.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use e2e::program::until;

use super::daemon::Daemon;
use super::{Authority, Network, Session, installed_program};

/// Where cryokey looks for it.
pub(crate) const PORTAL: &str = "portal.sso.eu-central-1.amazonaws.com";

pub(crate) struct Portal {
    address: IpAddr,
    _server: Daemon,
}

impl Portal {
    /// Gives these keys to who has the token and asks for the role `reader all` of the account 123456789012.
    pub(crate) fn start(network: &Network, authority: &Authority, token: &str, keys: &Session) -> Self {
        let python = installed_program("moto", "python").unwrap();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("portal.py");
        let (address, server) = (network.address(), authority.server(&[&format!("DNS:{PORTAL}")]));
        let shown = address.to_string();
        let words = [&shown, token, &keys.id, &keys.key, &keys.token].map(Path::new);
        let line = [&[&python, &script, &server.certificate, &server.key].map(PathBuf::as_path)[..], &words];
        let daemon = Daemon::start(network, &line.concat(), &network.scratch().join("log"));
        let listener = SocketAddr::new(address, 443);
        until("the portal listens", Duration::from_secs(30), || {
            network.inside(|| TcpStream::connect(listener)).map_err(|error: io::Error| error.to_string())
        });
        Self { address, _server: daemon }
    }

    pub(crate) fn address(&self) -> IpAddr {
        self.address
    }
}
