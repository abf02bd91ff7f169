//! The network in which the servers, the proxies and cryokey run. Nothing leaves it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};

use e2e::namespace::Namespace;
use e2e::need::or_not_run;

/// An address of the network where nothing listens.
pub(crate) const REFUSING_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x254);

pub(crate) struct Network {
    namespace: Namespace,
    addresses: AtomicU32,
}

/// The network that all tests share, or a note that the test did not run. Tests do not meet in it: each takes addresses
/// of its own.
pub(crate) fn network() -> Option<&'static Network> {
    or_not_run(try_network())
}

pub(super) fn try_network() -> Result<&'static Network, &'static String> {
    static NETWORK: LazyLock<Result<Network, String>> = LazyLock::new(Network::start);
    NETWORK.as_ref()
}

impl Network {
    fn start() -> Result<Self, String> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("network.sh");
        let namespace = Namespace::start("remote", &script)?;
        Ok(Self { namespace, addresses: AtomicU32::new(u32::from(Ipv4Addr::new(198, 18, 1, 0))) })
    }

    /// An address that nothing else has.
    pub(crate) fn address(&self) -> IpAddr {
        Ipv4Addr::from(self.addresses.fetch_add(1, Ordering::Relaxed)).into()
    }

    /// An empty directory that goes away with the network.
    pub(crate) fn scratch(&self) -> PathBuf {
        self.namespace.scratch()
    }

    /// A program in the network.
    pub(crate) fn command(&self, program: &str) -> Command {
        self.namespace.command(program)
    }

    /// Does something in the network. A socket that is made there stays in it.
    pub(crate) fn inside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        self.namespace.inside(work)
    }
}
