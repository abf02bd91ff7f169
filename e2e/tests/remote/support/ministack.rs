//! ministack, an AWS in memory that verifies permissions, resource by resource. It verifies no signature, and has no TLS here.

use std::net::IpAddr;
use std::ops::Deref;
use std::path::Path;
use std::sync::LazyLock;
use std::time::Duration;

use e2e::need::or_not_run;
use e2e::program::until;

use super::daemon::Daemon;
use super::network::try_network;
use super::{Amazon, installed_program};

const PORT: u16 = 5002;

const ROOT: &str = "AKIDROOT000000000001";

pub(crate) struct Ministack {
    amazon: Amazon,
    _server: Daemon,
}

/// The server that all tests share: it listens on all addresses.
pub(crate) fn ministack() -> Option<&'static Ministack> {
    static MINISTACK: LazyLock<Result<Ministack, String>> = LazyLock::new(Ministack::start);
    or_not_run(MINISTACK.as_ref())
}

impl Ministack {
    fn start() -> Result<Self, String> {
        let network = try_network().map_err(Clone::clone)?;
        let program = installed_program("ministack", "ministack")?;
        let address: IpAddr = network.address();
        let variables = [
            "AUTH=true".to_owned(),
            format!("AWS_ACCESS_KEY_ID={ROOT}"),
            "AWS_SECRET_ACCESS_KEY=root".to_owned(),
            format!("GATEWAY_PORT={PORT}"),
            format!("HOME={}", network.scratch().display()),
        ];
        let line: Vec<&Path> =
            [Path::new("env")].into_iter().chain(variables.iter().map(Path::new)).collect();
        let line = [line.as_slice(), &[program.as_path()]].concat();
        let daemon = Daemon::start(network, &line, &network.scratch().join("log"));
        let amazon = Amazon { network, server: (address, PORT).into(), id: ROOT };
        until("ministack answers", Duration::from_secs(30), || {
            amazon.request("GET /_ministack/health", &[], b"")
        });
        Ok(Self { amazon, _server: daemon })
    }
}

impl Deref for Ministack {
    type Target = Amazon;

    fn deref(&self) -> &Amazon {
        &self.amazon
    }
}
