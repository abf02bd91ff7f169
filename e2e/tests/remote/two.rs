//! Two remote sources beside each other.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::json;

use crate::support::{
    Moto, NAME, OpenBao, READ, REGION, SECRETS_MANAGER, Sandbox, User, canary, moto, openbao,
};

/// Both hold TOKEN, each with its own value.
struct Both {
    bao: &'static OpenBao,
    path: String,
    token: String,
    in_vault: String,
    moto: Moto,
    user: User,
    in_aws: String,
}

impl Both {
    fn open() -> Option<Self> {
        let (bao, moto) = (openbao()?, moto()?);
        let (in_vault, in_aws) = (canary(), canary());
        let root = bao.root();
        let path = format!("{}/app", root.mount(1));
        root.write(&path, &json!({ "TOKEN": in_vault, "ONLY_VAULT": in_vault }));
        let token = root.token(&[&root.policy(&path, READ)], &json!({"ttl": "1h"}));
        moto.put("app/TOKEN", in_aws.as_bytes());
        moto.put("app/ONLY_AWS", in_aws.as_bytes());
        let user = moto.user(&json!({"Effect": "Allow", "Action": "secretsmanager:*", "Resource": "*"}));
        moto.enforce(true);
        Some(Self { bao, path, token, in_vault, moto, user, in_aws })
    }

    /// Each server at this address, where it is not its own.
    fn sandbox(&self, order: &str, vault: Option<SocketAddr>, aws: Option<SocketAddr>) -> Sandbox {
        let authorities =
            [self.bao.authority().certificate(), self.moto.authority().certificate()].map(std::fs::read);
        let authorities = authorities.map(Result::unwrap).concat();
        Sandbox::new(self.bao.network())
            .file("/etc/authorities.pem", authorities)
            .host(NAME, vault.unwrap_or(self.bao.tls()).ip())
            .host(SECRETS_MANAGER, aws.unwrap_or(self.moto.tls()).ip())
            .variable("SSL_CERT_FILE", "/etc/authorities.pem")
            .variable("EXTERNAL_SECRET_PROVIDER", order)
            .variable("VAULT_ADDR", &format!("https://{NAME}:{}", self.bao.tls().port()))
            .variable("VAULT_SECRET_PATH", &self.path)
            .variable("AWS_SECRET_PREFIX", "app/")
            .variable("AWS_REGION", REGION)
            .credential_file("VAULT_TOKEN", &self.token)
            .credential_file("AWS_ACCESS_KEY_ID", &self.user.id)
            .credential_file("AWS_SECRET_ACCESS_KEY", &self.user.key)
            .watch(&self.in_vault)
            .watch(&self.in_aws)
    }
}

#[test]
fn the_later_source_wins_and_both_deliver_what_only_they_have() {
    let Some(both) = Both::open() else { return };
    for (order, winner) in [("vault,aws", &both.in_aws), ("aws,vault", &both.in_vault)] {
        let outcome = both.sandbox(order, None, None).start();
        let app = outcome.app();
        app.has("TOKEN", winner).has("ONLY_VAULT", &both.in_vault).has("ONLY_AWS", &both.in_aws);
        app.has("AWS_REGION", REGION).has("AWS_SECRET_PREFIX", "app/");
    }
}

#[test]
fn d24_a_dead_source_beside_a_living_one_costs_one_budget_and_is_reported() {
    let Some(both) = Both::open() else { return };
    let nowhere = |port| SocketAddr::new(both.bao.network().address(), port);
    let manifest = "[secret.ONLY_VAULT]\nrequired = true\n[secret.ONLY_AWS]\nrequired = true\n";
    let (vault, aws) = (nowhere(both.bao.tls().port()), nowhere(443));
    for (vault, aws, told) in [
        (Some(vault), None, ["Vault"].as_slice()),
        (None, Some(aws), &["AWS"]),
        (Some(vault), Some(aws), &["Vault", "AWS"]),
    ] {
        let sandbox = both.sandbox("vault,aws", vault, aws).manifest(manifest);
        let outcome = sandbox.variable("CRYOKEY_START_TIMEOUT", "2s").start();
        assert_eq!(outcome.code, 75, "{}", outcome.stderr);
        for source in told {
            outcome.says(&format!("cannot read secrets from {source}"));
        }
        outcome.does_not_say("does not exist");
        assert!(outcome.took < Duration::from_secs(4), "one budget: {:?}", outcome.took);
    }
}

#[test]
fn a_dead_source_does_not_stop_a_start_that_needs_nothing_of_it_where_strictness_is_off() {
    let Some(both) = Both::open() else { return };
    let aws = SocketAddr::new(both.bao.network().address(), 443);
    // Vault comes last: what it has cannot be overridden by what AWS might have.
    let sandbox =
        both.sandbox("aws,vault", None, Some(aws)).manifest("[secret.ONLY_VAULT]\nrequired = true\n");
    let sandbox = sandbox.variable("CRYOKEY_START_TIMEOUT", "2s").variable("STRICT_SECRET_MODE", "false");
    let outcome = sandbox.start();
    outcome.app().has("ONLY_VAULT", &both.in_vault);
    outcome.says("cannot read secrets from AWS");
}

#[test]
fn e04_without_a_ca_bundle_the_built_in_roots_count_and_the_message_says_what_to_set() {
    let Some(both) = Both::open() else { return };
    let manifest = "[secret.ONLY_VAULT]\nrequired = true\n[secret.ONLY_AWS]\nrequired = true\n";
    let outcome =
        both.sandbox("vault,aws", None, None).manifest(manifest).variable("SSL_CERT_FILE", "").start();
    assert_eq!(outcome.code, 69, "{}", outcome.stderr);
    outcome.says("no trusted CA signed its certificate").says("VAULT_CACERT").says("AWS_CA_BUNDLE");
}
