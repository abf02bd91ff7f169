//! moto, an AWS in memory that verifies signatures, and what tests set up in it.

use std::net::SocketAddr;
use std::ops::Deref;
use std::path::Path;
use std::time::Duration;

use e2e::need::or_not_run;
use e2e::program::until;

use super::authority::Authority;
use super::daemon::Daemon;
use super::network::try_network;
use super::{Amazon, Network, installed_program};

const PATIENCE: Duration = Duration::from_secs(30);

/// Where cryokey looks for Secrets Manager by itself.
pub(crate) const SECRETS_MANAGER: &str = "secretsmanager.eu-central-1.amazonaws.com";

/// And for the Security Token Service.
pub(crate) const STS: &str = "sts.eu-central-1.amazonaws.com";

/// A server of the test's own.
pub(crate) struct Moto {
    amazon: Amazon,
    authority: Authority,
    _server: Daemon,
}

pub(crate) fn moto() -> Option<Moto> {
    or_not_run(Moto::start())
}

impl Moto {
    fn start() -> Result<Self, String> {
        let network = try_network().map_err(Clone::clone)?;
        let python = installed_program("moto", "python")?;
        let directory = network.scratch();
        let authority = Authority::new(directory.clone())?;
        let address = network.address();
        let server = authority.server(&[&format!("DNS:{SECRETS_MANAGER}"), &format!("DNS:{STS}")]);
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("aws.py");
        let shown = address.to_string();
        let line = [&python, &script, Path::new(&shown), &server.certificate, &server.key];
        let daemon = Daemon::start(network, &line, &directory.join("log"));
        let amazon = Amazon { network, server: (address, 5000).into(), id: "setup" };
        let moto = Self { amazon, authority, _server: daemon };
        until("moto answers", PATIENCE, || moto.request("GET /moto-api/", &[], b""));
        // moto asks for the time where it would have to create the account's own keys first.
        moto.enforce(false);
        Ok(moto)
    }

    pub(crate) fn network(&self) -> &'static Network {
        self.amazon.network
    }

    pub(crate) fn authority(&self) -> &Authority {
        &self.authority
    }

    /// The listener with TLS.
    pub(crate) fn tls(&self) -> SocketAddr {
        (self.amazon.server.ip(), 443).into()
    }

    /// Whether moto verifies signatures and permissions. What sets something up does neither sign nor sign in.
    pub(crate) fn enforce(&self, is_on: bool) {
        let ignored: &[u8] = if is_on { b"0" } else { b"Infinity" };
        let response = self.request("POST /moto-api/reset-auth", &[], ignored).unwrap();
        assert_eq!(response.status, 200, "{response:?}");
    }
}

impl Deref for Moto {
    type Target = Amazon;

    fn deref(&self) -> &Amazon {
        &self.amazon
    }
}
