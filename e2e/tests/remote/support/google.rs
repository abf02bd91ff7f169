//! Google Cloud in memory (`google/emulator.py`), and what tests set up in it.

use std::ops::Deref;

use e2e::need::or_not_run;
use serde_json::{Value, json};

use super::Sandbox;
use super::emulator::{Emulator, merge};

/// The project of all tests, and its number, which is in the names of its secrets.
pub(crate) const PROJECT: &str = "cryokey-tests";
pub(crate) const NUMBER: &str = "123456789012";

/// Where secrets are that are in no region, and those that are in one.
pub(crate) const MANAGER: &str = "secretmanager.googleapis.com";
pub(crate) const LOCATION: &str = "europe-west3";
pub(crate) const REGIONAL_MANAGER: &str = "secretmanager.europe-west3.rep.googleapis.com";

/// What the token of a workload is for, and as whom it then asks.
pub(crate) const AUDIENCE: &str = "//iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/tests/providers/issuer";
pub(crate) const PRINCIPAL: &str = "principal://iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/tests/subject/app";

/// All names of the emulator with TLS.
pub(crate) const HOSTS: [&str; 5] = [
    MANAGER,
    REGIONAL_MANAGER,
    "oauth2.googleapis.com",
    "sts.googleapis.com",
    "iamcredentials.googleapis.com",
];

/// Where the file of credentials is in the sandbox.
const CREDENTIALS: &str = "/run/secrets/google.json";

/// An emulator with a project.
pub(crate) struct Google(Emulator);

/// A service account or a user.
pub(crate) struct Account {
    pub(crate) email: String,
    /// The content of the file of credentials.
    pub(crate) key_json: String,
}

impl Account {
    /// Where others get tokens of this service account.
    pub(crate) fn impersonation_url(&self) -> String {
        format!(
            "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/{}:generateAccessToken",
            self.email
        )
    }
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

    /// A sandbox that finds the emulator, and the metadata service when it listens.
    pub(crate) fn sandbox(&self) -> Sandbox {
        let sandbox =
            Sandbox::new(self.network()).host("metadata.google.internal", [169, 254, 169, 254].into());
        HOSTS.into_iter().fold(sandbox, |sandbox, name| sandbox.host(name, self.tls().ip()))
    }

    /// The same with a file of credentials.
    pub(crate) fn sandbox_with(&self, credentials: &str) -> Sandbox {
        let sandbox = self.sandbox().file(CREDENTIALS, credentials);
        sandbox.variable("GOOGLE_APPLICATION_CREDENTIALS", CREDENTIALS)
    }

    /// A service account that may list and read all secrets and the metadata of their versions.
    pub(crate) fn account(&self) -> Account {
        let made = self.control("account", &json!({"project": PROJECT}));
        let account =
            Account { email: made["email"].as_str().unwrap().to_owned(), key_json: made["key"].to_string() };
        self.allow(&account.email, &json!({"list": true, "access": true, "versions": true}));
        account
    }

    /// A user who signed in with gcloud, as the file that this leaves. May do the same.
    pub(crate) fn user(&self) -> Account {
        let (email, client_id, client_secret, token) =
            ("user@example.com", "app.apps.googleusercontent.com", "client-secret", "1//refresh-token");
        let client = json!({"client_id": client_id, "client_secret": client_secret, "refresh_token": token});
        let mut parameters = json!({"email": email});
        merge(&mut parameters, &client);
        self.control("user", &parameters);
        let mut file = json!({"type": "authorized_user", "quota_project_id": PROJECT});
        merge(&mut file, &client);
        self.allow(email, &json!({"list": true, "access": true, "versions": true}));
        Account { email: email.to_owned(), key_json: file.to_string() }
    }

    /// A workload that comes with this token of another issuer. It may do the same.
    pub(crate) fn workload(&self, token: &str) {
        self.federation(&json!({"token": token}));
    }

    /// The same for a workload of AWS, which signs with these keys.
    pub(crate) fn workload_of_aws(&self, access_key: &str, secret_key: &str) {
        let kind = "urn:ietf:params:aws:token-type:aws4_request";
        self.federation(&json!({"access_key": access_key, "secret_key": secret_key, "kind": kind}));
    }

    fn federation(&self, proof: &Value) {
        let mut parameters = json!({"audience": AUDIENCE, "principal": PRINCIPAL});
        merge(&mut parameters, proof);
        self.control("federation", &parameters);
        self.allow(PRINCIPAL, &json!({"list": true, "access": true, "versions": true}));
    }

    /// The service account of the machine, whose tokens hold so many seconds.
    pub(crate) fn attach(&self, account: &Account, lifetime: u32) {
        self.control("attach", &json!({"email": account.email, "lifetime": lifetime}));
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

    /// The opposite.
    pub(crate) fn enable(&self, name: &str) {
        self.secret("enable", name, &json!({}));
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
