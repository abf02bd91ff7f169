//! Vault's subjects: OpenBao with both key-value engines.

use std::cell::RefCell;
use std::net::SocketAddr;

use serde_json::{Map, Value, json};

use crate::conformance::{Store, Subject, suite};
use crate::support::{Authority, NAME, Network, OpenBao, READ, Sandbox, openbao};

suite!(kv1, || super::Kv::open(super::Version::One, super::Layout::Together));
suite!(kv2, || super::Kv::open(super::Version::Two, super::Layout::Together));
suite!(kv2_with_many_paths, || super::Kv::open(super::Version::Two, super::Layout::Apart));

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Version {
    One,
    Two,
}

/// Where the app's secrets are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layout {
    /// As the keys of one path.
    Together,
    /// Each at a path of its own.
    Apart,
}

pub(crate) struct Kv {
    bao: &'static OpenBao,
    mount: String,
    version: Version,
    layout: Layout,
    policy: String,
    token: String,
    /// What was written, by path.
    paths: RefCell<Vec<(String, Map<String, Value>)>>,
}

impl Kv {
    pub(crate) fn open(version: Version, layout: Layout) -> Option<Self> {
        let bao = openbao()?;
        let root = bao.root();
        let mount = root.mount(if version == Version::One { 1 } else { 2 });
        let policy = root.policy(&format!("{mount}/*"), READ);
        let token = root.token(&[&policy], &json!({"ttl": "1h"}));
        Some(Self { bao, mount, version, layout, policy, token, paths: RefCell::default() })
    }

    fn path_of(&self, key: &str) -> String {
        let below = if self.layout == Layout::Together { "app" } else { key };
        format!("{}/{below}", self.mount)
    }

    /// Writes a path whole, as its keys are versioned together.
    fn write(&self, path: &str, values: &Map<String, Value>) {
        match self.version {
            Version::One => self.bao.root().write(path, &json!(values)),
            Version::Two => self.bao.root().write(&self.data(path), &json!({ "data": values })),
        };
    }

    fn data(&self, path: &str) -> String {
        path.replacen(&self.mount, &format!("{}/data", self.mount), 1)
    }

    /// The configuration of cryokey. Where nothing was written, it names a path that does not exist.
    fn secret_path(&self) -> String {
        if self.paths.borrow().is_empty() {
            return format!("{}/app", self.mount);
        }
        let paths: Vec<String> = self.paths.borrow().iter().map(|(path, _)| path.clone()).collect();
        paths.join(",")
    }
}

impl Subject for Kv {
    fn store(&self) -> Store {
        Store {
            is_binary: false,
            has_empty_values: true,
            has_dates: self.version == Version::Two,
            twins: (self.layout == Layout::Together).then_some(["db-password", "DB_PASSWORD"]),
            many: if self.layout == Layout::Together { 1_000 } else { 100 },
            largest_value: 1_000_000,
            separator: '_',
        }
    }

    fn put(&self, secrets: &[(&str, &[u8])]) {
        let mut paths = self.paths.borrow_mut();
        for (key, value) in secrets {
            let path = self.path_of(key);
            let there = paths.iter().position(|(known, _)| *known == path).unwrap_or_else(|| {
                paths.push((path, Map::new()));
                paths.len() - 1
            });
            paths[there].1.insert((*key).to_owned(), std::str::from_utf8(value).unwrap().into());
        }
        let is_new = |values: &Map<String, Value>| secrets.iter().any(|(key, _)| values.contains_key(*key));
        for (path, values) in paths.iter().filter(|(_, values)| is_new(values)) {
            self.write(path, values);
        }
    }

    fn delete(&self, key: &str) {
        let path = self.path_of(key);
        let mut paths = self.paths.borrow_mut();
        let (_, values) = paths.iter_mut().find(|(known, _)| *known == path).unwrap();
        values.remove(key);
        if !values.is_empty() {
            return self.write(&path, values);
        }
        let path = if self.version == Version::One { path } else { self.data(&path) };
        assert_eq!(self.bao.root().call("DELETE", &path, &Value::Null).status, 204);
    }

    fn deny(&self) {
        self.bao.root().set_policy(&self.policy, &format!("{}/*", self.mount), r#"capabilities = ["deny"]"#);
    }

    fn server(&self) -> SocketAddr {
        self.bao.tls()
    }

    fn network(&self) -> &'static Network {
        self.bao.network()
    }

    fn names(&self) -> &'static [&'static str] {
        &[NAME]
    }

    fn authority(&self) -> &Authority {
        self.bao.authority()
    }

    fn configure(&self, sandbox: Sandbox) -> Sandbox {
        let authority = std::fs::read(self.bao.authority().certificate()).unwrap();
        let sandbox = sandbox
            .file("/etc/vault-authority.pem", authority)
            .variable("EXTERNAL_SECRET_PROVIDER", "vault")
            .variable("VAULT_ADDR", &format!("https://{NAME}:{}", self.server().port()))
            .variable("VAULT_CACERT", "/etc/vault-authority.pem")
            .variable("VAULT_SECRET_PATH", &self.secret_path());
        match self.version {
            Version::One => sandbox.credential_file("VAULT_TOKEN", &self.token),
            Version::Two => sandbox.credential("VAULT_TOKEN", &self.token),
        }
    }
}
