//! Azure in memory (`azure/emulator.py`), and what tests set up in it.

use std::ffi::OsStr;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::MutexGuard;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use e2e::need::or_not_run;
use e2e::program::until;
use serde_json::{Value, json};

use super::authority::Authority;
use super::daemon::Daemon;
use super::network::try_network;
use super::{Network, Sandbox, Service, http, installed_program};

const PATIENCE: Duration = Duration::from_secs(30);

/// What cryokey calls the vault of all tests, and its host.
pub(crate) const VAULT: &str = "cryokey-tests";
pub(crate) const VAULT_HOST: &str = "cryokey-tests.vault.azure.net";

/// Where applications sign in.
pub(crate) const LOGIN: &str = "login.microsoftonline.com";

/// Both once more, in the cloud of the government of the United States.
pub(crate) const OTHER_VAULT_HOST: &str = "cryokey-tests.vault.usgovcloudapi.net";
pub(crate) const OTHER_LOGIN: &str = "login.microsoftonline.us";

/// All names of the emulator.
pub(crate) const HOSTS: [&str; 4] = [LOGIN, VAULT_HOST, OTHER_LOGIN, OTHER_VAULT_HOST];

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

/// How an application proves who it is.
pub(crate) enum Proof<'a> {
    Secret(&'a str),
    /// As PEM, without the key.
    Certificate(&'a str),
    /// The token of an issuer that the application trusts.
    Federated(&'a str),
}

/// A managed identity.
pub(crate) struct Identity {
    pub(crate) client: String,
    pub(crate) object: String,
    /// The path of the resource.
    pub(crate) resource: String,
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
    azure: &'a Azure,
    _only: MutexGuard<'static, ()>,
}

impl Drop for Metadata<'_> {
    fn drop(&mut self) {
        // A test that has failed is told about, not what it left.
        let _ = self.azure.request("imds", &json!({"on": false}));
    }
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
        let server =
            authority.server(&HOSTS.map(|host| format!("DNS:{host}")).each_ref().map(String::as_str));
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
            Proof::Certificate(pem) => ("certificates", pem),
            Proof::Federated(token) => ("federated", token),
        };
        self.control("client", &json!({"tenant": TENANT, "client": client, kind: [proof]}));
        self.allow(&client, &json!({"list": true, "get": true}));
        client
    }

    /// An identity that may do the same: the machine's own, or one that a user assigned to it.
    pub(crate) fn identity(&self, is_system: bool) -> Identity {
        let (client, object) = (id(), id());
        let resource = format!(
            "/subscriptions/{}/resourcegroups/tests/providers/Microsoft.ManagedIdentity/userAssignedIdentities/{client}",
            id()
        );
        let shown = json!({"client": client, "object": object, "resource": resource, "is_system": is_system});
        let mut action = json!({"tenant": TENANT});
        merge(&mut action, &shown);
        self.control("identity", &action);
        self.allow(&client, &json!({"list": true, "get": true}));
        Identity { client, object, resource }
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

    /// Changes the `attributes` of a secret's newest version, such as `enabled`, `exp`, `nbf` and `created`.
    pub(crate) fn set(&self, name: &str, attributes: &Value) {
        self.control("change", &json!({"host": VAULT_HOST, "name": name, "attributes": attributes}));
    }

    /// It can be recovered, and is not listed or read.
    pub(crate) fn delete(&self, name: &str) {
        self.control("delete", &json!({"host": VAULT_HOST, "name": name}));
    }

    /// The next requests whose path is all of the regular expression `path` fail with `status`, `headers` and `body`,
    /// or get an answer that is `wrong`, as often as `times` says; see `azure/faults.py`.
    pub(crate) fn fail(&self, path: &str, rule: &Value) {
        let mut action = json!({"path": path});
        merge(&mut action, rule);
        self.control("fail", &action);
    }

    /// Starts the metadata service, of which there is one in the network.
    pub(crate) fn metadata(&self) -> Metadata<'_> {
        let only = Service::nobody();
        self.control("imds", &json!({"on": true}));
        Metadata { azure: self, _only: only }
    }

    /// What App Service gives its apps: `IDENTITY_ENDPOINT` and `IDENTITY_HEADER`.
    pub(crate) fn app_service(&self) -> (String, String) {
        let told = self.control("app_service", &json!({}));
        let text = |name: &str| told[name].as_str().unwrap().to_owned();
        (text("endpoint"), text("header"))
    }

    /// All requests so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        let log = self.control("log", &json!({}));
        log["requests"].as_array().unwrap().iter().map(Seen::new).collect()
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

    /// What Microsoft's client does in the sandbox, in place of cryokey; see `azure/judge.py`.
    pub(crate) fn judge(&self, sandbox: Sandbox, words: &[&str]) -> Value {
        self.python("judge.py", sandbox, words)
    }

    /// What no client of Microsoft's asks; see `azure/ask.py`.
    pub(crate) fn ask(&self, sandbox: Sandbox, words: &[&str]) -> Value {
        self.python("ask.py", sandbox, words)
    }

    fn python(&self, name: &str, sandbox: Sandbox, words: &[&str]) -> Value {
        let authority = self.authority.certificate().to_str().unwrap();
        let sandbox = sandbox.variable("REQUESTS_CA_BUNDLE", authority);
        let script = script(name);
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
