//! A cloud in memory (`azure/`, `google/`) and the vendor's client that judges it.

use std::ffi::OsStr;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::MutexGuard;
use std::time::Duration;

use e2e::program::until;
use serde_json::{Value, json};

use super::authority::Authority;
use super::daemon::Daemon;
use super::network::try_network;
use super::{Canaries, Network, Outcome, Sandbox, Service, http, installed_program};

const PATIENCE: Duration = Duration::from_secs(30);

/// A server of the test's own.
pub(crate) struct Emulator {
    cloud: &'static str,
    network: &'static Network,
    authority: Authority,
    address: IpAddr,
    python: PathBuf,
    _server: Daemon,
}

/// A request that the emulator saw.
#[derive(Debug)]
pub(crate) struct Seen {
    /// Such as `GET cryokey-tests.vault.azure.net/secrets?api-version=7.6`.
    pub(crate) line: String,
    pub(crate) has_authorization: bool,
    /// The names of the fields of a form.
    pub(crate) form: Vec<String>,
    pub(crate) status: u64,
}

/// As long as this lives, the metadata service listens.
pub(crate) struct Metadata<'a> {
    emulator: &'a Emulator,
    _only: MutexGuard<'static, ()>,
}

impl Drop for Metadata<'_> {
    fn drop(&mut self) {
        // A test that has failed is told about, not what it left.
        let _ = self.emulator.request("metadata", &json!({"on": false}));
    }
}

impl Emulator {
    /// The cloud names the directory and the environment of Python.
    pub(super) fn start(cloud: &'static str, hosts: &[&str]) -> Result<Self, String> {
        let network = try_network().map_err(Clone::clone)?;
        let python = installed_program(cloud, "python")?;
        let directory = network.scratch();
        let authority = Authority::new(directory.clone())?;
        let (address, script) = (network.address(), script(cloud, "emulator.py"));
        let names: Vec<_> = hosts.iter().map(|host| format!("DNS:{host}")).collect();
        let server = authority.server(&names.iter().map(String::as_str).collect::<Vec<_>>());
        let shown = address.to_string();
        let words = ["-B".as_ref(), script.as_path(), shown.as_ref()];
        let line = [&[python.as_path()][..], &words, &[&server.certificate, &server.key]].concat();
        let daemon = Daemon::start(network, &line, &directory.join("log"));
        let emulator = Self { cloud, network, authority, address, python, _server: daemon };
        until("the emulator answers", PATIENCE, || emulator.request("reset", &json!({})));
        Ok(emulator)
    }

    pub(crate) fn network(&self) -> &'static Network {
        self.network
    }

    pub(crate) fn authority(&self) -> &Authority {
        &self.authority
    }

    /// The listener with TLS, for all names.
    pub(crate) fn tls(&self) -> SocketAddr {
        (self.address, 443).into()
    }

    /// The next requests whose path is all of the regular expression `path` fail with `status`, `headers` and `body`,
    /// or get an answer that is `wrong`, as often as `times` says; see `emulator/faults.py`.
    pub(crate) fn fail(&self, path: &str, rule: &Value) {
        let mut action = json!({"path": path});
        merge(&mut action, rule);
        self.control("fail", &action);
    }

    /// Starts the metadata service, of which there is one in the network.
    pub(crate) fn metadata(&self) -> Metadata<'_> {
        let only = Service::nobody();
        self.control("metadata", &json!({"on": true}));
        Metadata { emulator: self, _only: only }
    }

    /// All requests so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        let log = self.control("log", &json!({}));
        log["requests"].as_array().unwrap().iter().map(Seen::new).collect()
    }

    /// Panics where cryokey or the app showed anything that proved who they are. There has to be such a thing.
    #[track_caller]
    pub(crate) fn keeps_credentials(&self, outcome: &Outcome) {
        let told = self.control("confided", &json!({}));
        let mut canaries = Canaries::default();
        for text in told["texts"].as_array().unwrap() {
            canaries.watch_any(text.as_str().unwrap().as_bytes());
        }
        assert_ne!(told["texts"], json!([]));
        canaries.refuse(outcome.stderr.as_bytes());
        canaries.refuse(&outcome.stdout);
    }

    /// An action of the control port.
    #[track_caller]
    pub(crate) fn control(&self, action: &str, parameters: &Value) -> Value {
        let response = self.request(action, parameters).unwrap();
        assert_eq!(response.status, 200, "{action}: {}", String::from_utf8_lossy(&response.body));
        response.json()
    }

    fn request(&self, action: &str, parameters: &Value) -> std::io::Result<http::Response> {
        let (control, line) = ((self.address, 5100).into(), format!("POST /{action}"));
        http::request(self.network, control, &line, &[], parameters.to_string().as_bytes())
    }

    /// What the vendor's client does in the sandbox, in place of cryokey; see the cloud's `judge.py`.
    pub(crate) fn judge(&self, sandbox: Sandbox, words: &[&str]) -> Value {
        self.python("judge.py", sandbox, words)
    }

    /// What no client of the vendor's asks; see the cloud's `ask.py`.
    pub(crate) fn ask(&self, sandbox: Sandbox, words: &[&str]) -> Value {
        self.python("ask.py", sandbox, words)
    }

    fn python(&self, name: &str, sandbox: Sandbox, words: &[&str]) -> Value {
        let authority = self.authority.certificate().to_str().unwrap();
        let sandbox = sandbox.variable("REQUESTS_CA_BUNDLE", authority);
        let script = script(self.cloud, name);
        let line = [script.as_os_str()].into_iter().chain(words.iter().map(OsStr::new));
        sandbox.program(&self.python, line).succeeded().json()
    }
}

impl Seen {
    fn new(entry: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let [method, host, path] = ["method", "host", "path"].map(|name| text(&entry[name]));
        Self {
            line: format!("{method} {host}{path}"),
            has_authorization: entry["has_authorization"] == true,
            form: entry["form"].as_array().unwrap().iter().map(text).collect(),
            // A request that hangs has none.
            status: entry["status"].as_u64().unwrap_or(0),
        }
    }
}

fn script(cloud: &str, name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(cloud).join(name)
}

/// Adds the members of an object to another.
pub(super) fn merge(object: &mut Value, more: &Value) {
    let more = more.as_object().unwrap().clone();
    object.as_object_mut().unwrap().extend(more);
}
