//! The subject of Google: an emulator that Google's own client judges (`google_judge.rs`).

use std::net::SocketAddr;

use base64ct::{Base64, Encoding as _};
use serde_json::json;

use crate::conformance::{Store, Subject, suite};
use crate::support::google::{Account, Google, MANAGER, PROJECT, google};
use crate::support::{Authority, Network, Sandbox};

suite!(secret_manager, super::Project::open);

const PREFIX: &str = "app_";

/// A project, and a service account that may read all of it.
pub(crate) struct Project {
    google: Google,
    account: Account,
}

impl Project {
    pub(crate) fn open() -> Option<Self> {
        let google = google()?;
        google.control("pages", &json!({"size": 25}));
        let account = google.account();
        Some(Self { google, account })
    }
}

impl Subject for Project {
    fn store(&self) -> Store {
        Store {
            is_binary: true,
            has_empty_values: false,
            has_dates: true,
            twins: Some(["db-password", "DB_PASSWORD"]),
            many: 60,
            largest_value: 65_536,
            separator: '_',
        }
    }

    fn put(&self, secrets: &[(&str, &[u8])]) {
        for (key, value) in secrets {
            let data = Base64::encode_string(value);
            self.google.secret("put", &format!("{PREFIX}{key}"), &json!({ "data": data }));
        }
    }

    fn delete(&self, key: &str) {
        self.google.delete(&format!("{PREFIX}{key}"));
    }

    fn deny(&self) {
        self.google.allow(&self.account.email, &json!({}));
    }

    fn server(&self) -> SocketAddr {
        self.google.tls()
    }

    fn network(&self) -> &'static Network {
        self.google.network()
    }

    fn names(&self) -> &'static [&'static str] {
        &[MANAGER]
    }

    fn authority(&self) -> &Authority {
        self.google.authority()
    }

    fn configure(&self, sandbox: Sandbox) -> Sandbox {
        let authority = std::fs::read(self.google.authority().certificate()).unwrap();
        let key: serde_json::Value = serde_json::from_str(&self.account.key_json).unwrap();
        let pem = key["private_key"].as_str().unwrap();
        sandbox
            .file("/etc/google-authority.pem", authority)
            .variable("EXTERNAL_SECRET_PROVIDER", "gcp")
            .variable("SSL_CERT_FILE", "/etc/google-authority.pem")
            .variable("GCP_PROJECT_ID", PROJECT)
            .variable("GCP_SECRET_PREFIX", PREFIX)
            .watch(pem.lines().nth(3).unwrap())
            .file("/run/secrets/GOOGLE_APPLICATION_CREDENTIALS", &self.account.key_json)
    }
}
