//! A server that ends with the tests.

use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::Network;

/// The kernel closes the standard input when the tests end, also if they fail or are killed.
const HOLD: &str = r#""$@" & cat >/dev/null; kill -KILL $!"#;

pub(crate) struct Daemon(Child);

impl Daemon {
    /// Starts a program in the network. Its output goes to the log.
    pub(crate) fn start(network: &Network, line: &[&Path], log: &Path) -> Self {
        let mut command: Command = network.command("setsid");
        command.args(["/bin/sh", "-c", HOLD, "sh"]).args(line).stdin(Stdio::piped());
        let log = File::create(log).unwrap();
        Self(command.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        self.0.wait().unwrap();
    }
}
