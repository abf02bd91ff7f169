//! Azure in memory (`azure/emulator.py`), and what tests set up in it.

use std::ops::Deref;
use std::sync::atomic::{AtomicU32, Ordering};

use e2e::need::or_not_run;
use serde_json::{Value, json};

use super::emulator::{Emulator, merge};

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

/// An emulator with a vault.
pub(crate) struct Azure(Emulator);

impl Deref for Azure {
    type Target = Emulator;

    fn deref(&self) -> &Emulator {
        &self.0
    }
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

pub(crate) fn azure() -> Option<Azure> {
    or_not_run(Azure::start())
}

impl Azure {
    fn start() -> Result<Self, String> {
        let azure = Self(Emulator::start("azure", &HOSTS)?);
        azure.control("tenant", &json!({"tenant": TENANT}));
        azure.control("vault", &json!({"host": VAULT_HOST, "tenant": TENANT}));
        Ok(azure)
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

    /// What App Service gives its apps: `IDENTITY_ENDPOINT` and `IDENTITY_HEADER`.
    pub(crate) fn app_service(&self) -> (String, String) {
        let told = self.control("app_service", &json!({}));
        let text = |name: &str| told[name].as_str().unwrap().to_owned();
        (text("endpoint"), text("header"))
    }
}

/// An id that nothing else has, as Entra writes them.
fn id() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("00000000-0000-4000-8000-{:012}", NEXT.fetch_add(1, Ordering::Relaxed))
}
