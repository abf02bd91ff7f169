//! The subject of AWS: moto, which verifies signatures.

use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::conformance::{Store, Subject, suite};
use crate::support::{Authority, Moto, Network, REGION, SECRETS_MANAGER, Sandbox, User, moto};

suite!(moto, super::Account::open);

const PREFIX: &str = "app/";

/// What cryokey needs to read everything below a prefix.
fn reading() -> Value {
    let actions =
        ["secretsmanager:ListSecrets", "secretsmanager:BatchGetSecretValue", "secretsmanager:GetSecretValue"];
    json!({"Effect": "Allow", "Action": actions, "Resource": "*"})
}

pub(crate) struct Account {
    moto: Moto,
    user: User,
}

impl Account {
    pub(crate) fn open() -> Option<Self> {
        let moto = moto()?;
        let user = moto.user(&reading());
        moto.enforce(true);
        Some(Self { moto, user })
    }

    fn set_up(&self, work: impl FnOnce(&Moto)) {
        self.moto.enforce(false);
        work(&self.moto);
        self.moto.enforce(true);
    }
}

impl Subject for Account {
    fn store(&self) -> Store {
        Store {
            is_binary: true,
            has_empty_values: false,
            has_dates: true,
            twins: Some(["db-password", "DB_PASSWORD"]),
            many: 120,
            largest_value: 65_536,
            separator: '_',
        }
    }

    fn put(&self, secrets: &[(&str, &[u8])]) {
        self.set_up(|moto| {
            for (key, value) in secrets {
                moto.put(&format!("{PREFIX}{key}"), value);
            }
        });
    }

    fn delete(&self, key: &str) {
        self.set_up(|moto| {
            moto.secrets("DeleteSecret", &json!({"SecretId": format!("{PREFIX}{key}")}));
        });
    }

    fn deny(&self) {
        self.set_up(|moto| {
            moto.allow(&self.user, &[json!({"Effect": "Deny", "Action": "*", "Resource": "*"})]);
        });
    }

    fn server(&self) -> SocketAddr {
        self.moto.tls()
    }

    fn network(&self) -> &'static Network {
        self.moto.network()
    }

    fn names(&self) -> &'static [&'static str] {
        &[SECRETS_MANAGER]
    }

    fn authority(&self) -> &Authority {
        self.moto.authority()
    }

    fn configure(&self, sandbox: Sandbox) -> Sandbox {
        let authority = std::fs::read(self.moto.authority().certificate()).unwrap();
        sandbox
            .file("/etc/aws-authority.pem", authority)
            .variable("EXTERNAL_SECRET_PROVIDER", "aws")
            .variable("AWS_CA_BUNDLE", "/etc/aws-authority.pem")
            .variable("AWS_SECRET_PREFIX", PREFIX)
            .file("/run/secrets/AWS_REGION", REGION)
            .credential_file("AWS_ACCESS_KEY_ID", &self.user.id)
            .credential_file("AWS_SECRET_ACCESS_KEY", &self.user.key)
    }
}
