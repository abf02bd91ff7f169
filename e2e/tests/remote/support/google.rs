//! Google Cloud in memory (`google/emulator.py`), and what tests set up in it.

use std::ops::Deref;

use e2e::need::or_not_run;
use serde_json::{Value, json};

use super::emulator::{Emulator, merge};

/// The project of all tests, and its number, which is in the names of its secrets.
pub(crate) const PROJECT: &str = "cryokey-tests";
pub(crate) const NUMBER: &str = "123456789012";

/// Where secrets are that are in no region, and those that are in one.
pub(crate) const MANAGER: &str = "secretmanager.googleapis.com";
pub(crate) const LOCATION: &str = "europe-west3";
pub(crate) const REGIONAL_MANAGER: &str = "secretmanager.europe-west3.rep.googleapis.com";

/// All names of the emulator with TLS.
pub(crate) const HOSTS: [&str; 5] = [
    MANAGER,
    REGIONAL_MANAGER,
    "oauth2.googleapis.com",
    "sts.googleapis.com",
    "iamcredentials.googleapis.com",
];

/// An emulator with a project.
pub(crate) struct Google(Emulator);

/// A service account.
pub(crate) struct Account {
    pub(crate) email: String,
    /// The content of its key file.
    pub(crate) key_json: String,
}

pub(crate) fn google() -> Option<Google> {
    or_not_run(Google::start())
}

impl Deref for Google {
    type Target = Emulator;

    fn deref(&self) -> &Emulator {
        &self.0
    }
}

impl Google {
    fn start() -> Result<Self, String> {
        let google = Self(Emulator::start("google", &HOSTS)?);
        google.control("project", &json!({"id": PROJECT, "number": NUMBER}));
        Ok(google)
    }

    /// A service account that may list and read all secrets and the metadata of their versions.
    pub(crate) fn account(&self) -> Account {
        let made = self.control("account", &json!({"project": PROJECT}));
        let account =
            Account { email: made["email"].as_str().unwrap().to_owned(), key_json: made["key"].to_string() };
        self.allow(&account.email, &json!({"list": true, "access": true, "versions": true}));
        account
    }

    /// All that an identity may do: `list`, and `access` and `versions` for all secrets or for those named.
    pub(crate) fn allow(&self, identity: &str, permissions: &Value) {
        let mut action = json!({"identity": identity});
        merge(&mut action, permissions);
        self.control("allow", &action);
    }

    /// A new version of a secret.
    pub(crate) fn put(&self, name: &str, value: &str) -> String {
        self.secret("put", name, &json!({"value": value}))["version"].as_str().unwrap().to_owned()
    }

    /// The newest version cannot be read until it is enabled.
    pub(crate) fn disable(&self, name: &str) {
        self.secret("disable", name, &json!({}));
    }

    /// The newest version is no more.
    pub(crate) fn destroy(&self, name: &str) {
        self.secret("destroy", name, &json!({}));
    }

    /// The secret is no more.
    pub(crate) fn delete(&self, name: &str) {
        self.secret("delete", name, &json!({}));
    }

    /// An action of the control port on a secret, such as `alias`, `created`, or one with a `version` or `location`.
    pub(crate) fn secret(&self, action: &str, name: &str, more: &Value) -> Value {
        let mut parameters = json!({"project": PROJECT, "name": name});
        merge(&mut parameters, more);
        self.control(action, &parameters)
    }
}
