//! The subject of Azure: an emulator that Microsoft's own client judges (`azure_judge.rs`).

use std::net::SocketAddr;

use serde_json::json;

use crate::conformance::{Store, Subject, suite};
use crate::support::{
    Authority, Azure, LOGIN, Network, Proof, Sandbox, TENANT, VAULT, VAULT_HOST, azure, canary,
};

suite!(key_vault, super::Application::open);

/// An application that may read all of a vault, and its secret.
pub(crate) struct Application {
    azure: Azure,
    client: String,
    secret: String,
}

impl Application {
    pub(crate) fn open() -> Option<Self> {
        let (azure, secret) = (azure()?, canary());
        let client = azure.client(&Proof::Secret(&secret));
        Some(Self { azure, client, secret })
    }
}

impl Subject for Application {
    fn store(&self) -> Store {
        Store {
            is_binary: false,
            has_empty_values: false,
            has_dates: true,
            twins: None,
            many: 60,
            largest_value: 25_000,
            separator: '-',
        }
    }

    fn put(&self, secrets: &[(&str, &[u8])]) {
        for (key, value) in secrets {
            self.azure.put(key, std::str::from_utf8(value).unwrap());
        }
    }

    fn delete(&self, key: &str) {
        self.azure.delete(key);
    }

    fn deny(&self) {
        self.azure.allow(&self.client, &json!({"list": false, "get": false}));
    }

    fn server(&self) -> SocketAddr {
        self.azure.tls()
    }

    fn network(&self) -> &'static Network {
        self.azure.network()
    }

    fn names(&self) -> &'static [&'static str] {
        &[LOGIN, VAULT_HOST]
    }

    fn authority(&self) -> &Authority {
        self.azure.authority()
    }

    fn configure(&self, sandbox: Sandbox) -> Sandbox {
        let authority = std::fs::read(self.azure.authority().certificate()).unwrap();
        sandbox
            .file("/etc/azure-authority.pem", authority)
            .variable("EXTERNAL_SECRET_PROVIDER", "azure")
            .variable("SSL_CERT_FILE", "/etc/azure-authority.pem")
            .variable("AZURE_KEYVAULT_NAME", VAULT)
            .file("/run/secrets/AZURE_TENANT_ID", TENANT)
            .file("/run/secrets/AZURE_CLIENT_ID", &self.client)
            .credential_file("AZURE_CLIENT_SECRET", &self.secret)
    }
}
