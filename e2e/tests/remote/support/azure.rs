//! Azure in memory (`azure/emulator.py`), and what tests set up in it.

use std::ffi::OsStr;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use e2e::need::or_not_run;
use e2e::program::until;
use serde_json::{Value, json};

use super::authority::Authority;
use super::daemon::Daemon;
use super::network::try_network;
use super::{Network, Sandbox, http, installed_program};

const PATIENCE: Duration = Duration::from_secs(30);

/// What cryokey calls the vault of all tests, and its host.
pub(crate) const VAULT: &str = "cryokey-tests";
pub(crate) const VAULT_HOST: &str = "cryokey-tests.vault.azure.net";

/// Where applications sign in.
pub(crate) const LOGIN: &str = "login.microsoftonline.com";

/// The directory that the vault trusts.
pub(crate) const TENANT: &str = "11111111-2222-4333-8444-555555555555";

/// A server of the test's own, with a vault.
pub(crate) struct Azure {
    network: &'static Network,
    authority: Authority,
    address: IpAddr,
    python: PathBuf,
    _server: Daemon,
}

/// How an application proves who it is: a secret, a certificate as PEM, or the token of an issuer.
pub(crate) enum Proof<'a> {
    Secret(&'a str),
}

pub(crate) fn azure() -> Option<Azure> {
    or_not_run(Azure::start())
}

impl Azure {
    fn start() -> Result<Self, String> {
        let network = try_network().map_err(Clone::clone)?;
        let python = installed_program("azure", "python")?;
        let directory = network.scratch();
        let authority = Authority::new(directory.clone())?;
        let (address, script) = (network.address(), script("emulator.py"));
        let server = authority.server(&[&format!("DNS:{LOGIN}"), "DNS:*.vault.azure.net"]);
        let shown = address.to_string();
        let words = ["-B".as_ref(), script.as_path(), shown.as_ref()];
        let line = [&[python.as_path()][..], &words, &[&server.certificate, &server.key]].concat();
        let daemon = Daemon::start(network, &line, &directory.join("log"));
        let azure = Self { network, authority, address, python, _server: daemon };
        until("the emulator answers", PATIENCE, || azure.request("reset", &json!({})));
        azure.control("tenant", &json!({"tenant": TENANT}));
        azure.control("vault", &json!({"host": VAULT_HOST, "tenant": TENANT}));
        Ok(azure)
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

    /// A new application, which may list and read all secrets of the vault.
    pub(crate) fn client(&self, proof: &Proof<'_>) -> String {
        let client = id();
        let (kind, proof) = match proof {
            Proof::Secret(secret) => ("secrets", secret),
        };
        self.control("client", &json!({"tenant": TENANT, "client": client, kind: [proof]}));
        self.allow(&client, &json!({"list": true, "get": true}));
        client
    }

    /// All that a client may do in the vault; such as `get`, for all secrets or for those named.
    pub(crate) fn allow(&self, client: &str, permissions: &Value) {
        let mut action = json!({"host": VAULT_HOST, "client": client});
        merge(&mut action, permissions);
        self.control("allow", &action);
    }

    /// A new version of a secret.
    pub(crate) fn put(&self, name: &str, value: &str) -> String {
        self.put_with(name, value, &json!({}))
    }

    /// The same with `attributes`, `contentType`, `tags`, or as `is_managed`.
    pub(crate) fn put_with(&self, name: &str, value: &str, more: &Value) -> String {
        let mut action = json!({"host": VAULT_HOST, "name": name, "value": value});
        merge(&mut action, more);
        self.control("put", &action)["version"].as_str().unwrap().to_owned()
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

    /// What Microsoft's client reads in the sandbox, in place of cryokey; see `azure/judge.py`.
    pub(crate) fn judge(&self, sandbox: Sandbox, words: &[&str]) -> Value {
        let authority = self.authority().certificate().to_str().unwrap();
        let sandbox = sandbox.variable("REQUESTS_CA_BUNDLE", authority);
        let script = script("judge.py");
        let line = [script.as_os_str()].into_iter().chain(words.iter().map(OsStr::new));
        sandbox.program(&self.python, line).succeeded().json()
    }
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("azure").join(name)
}

fn merge(object: &mut Value, more: &Value) {
    let more = more.as_object().unwrap().clone();
    object.as_object_mut().unwrap().extend(more);
}

/// An id that nothing else has, as Entra writes them.
fn id() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("00000000-0000-4000-8000-{:012}", NEXT.fetch_add(1, Ordering::Relaxed))
}
