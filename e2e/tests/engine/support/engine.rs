//! The engine that the tests run on: private, started once, gone at the end.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;
use std::time::Duration;

use e2e::namespace::Namespace;
use e2e::need::or_not_run;
use e2e::program::{self, Ended, command};

use super::{CONTRACT, Directory, create_secret, external, images};

/// To connect.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Some pages take 12 seconds.
const PATIENCE: Duration = Duration::from_secs(30);

/// dockerd with an initialised Swarm of one node, which has the probe's images and the contract's secrets.
pub(crate) struct Engine(Namespace);

/// The engine, or a note that the test did not run.
pub(crate) fn engine() -> Option<&'static Engine> {
    static ENGINE: LazyLock<Result<Engine, String>> = LazyLock::new(Engine::start);
    or_not_run(ENGINE.as_ref())
}

impl Engine {
    fn start() -> Result<Self, String> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("engine.sh");
        let engine = Self(Namespace::start("engine", &script)?);
        images::build_probe(&engine);
        for (name, value) in &*CONTRACT {
            create_secret(&engine, &external(name), value);
        }
        Ok(engine)
    }

    /// A docker command, however it ends.
    pub(crate) fn docker(&self, arguments: &[&str]) -> Ended {
        program::run(&mut self.client("docker", arguments))
    }

    /// A docker command that must succeed; gives what it printed, without the trailing newline.
    #[track_caller]
    pub(crate) fn must(&self, arguments: &[&str]) -> String {
        self.docker(arguments).with(0).stdout.trim_end().to_owned()
    }

    /// Any client of the engine's interface.
    pub(crate) fn client(&self, program: &str, arguments: &[&str]) -> Command {
        let mut client = command(program, arguments);
        client.env("DOCKER_HOST", format!("unix://{}", self.0.directory().join("sock").display()));
        client.env("DOCKER_CONFIG", self.0.directory().join("config"));
        client
    }

    /// A page of a published port, which is in the engine's network namespace.
    pub(crate) fn get(&self, port: u16, path: &str) -> Result<String, String> {
        let answer = self.0.inside(|| get(port, path)).map_err(|error| error.to_string())?;
        match answer.split_once("\r\n\r\n") {
            Some((head, body)) if head.lines().next().is_some_and(|status| status.contains(" 200 ")) => {
                Ok(body.to_owned())
            }
            _ => Err(answer),
        }
    }

    /// An empty directory that is removed with the engine.
    pub(crate) fn scratch(&self) -> PathBuf {
        self.0.scratch()
    }

    /// The contract's three secrets in a directory of their own.
    pub(crate) fn contract_directory(&self) -> Directory {
        Directory::contract(self.scratch())
    }
}

/// HTTP/1.0, so that the end of the answer is the end of the connection.
fn get(port: u16, path: &str) -> std::io::Result<String> {
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}
