//! Many cold starts at once against a server that answers few requests a second.

use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::support::{Proxy, READ, Sandbox, openbao};

/// What the server answers in a second.
const RATE: u32 = 50;

/// Tries of a start, on average, where the server says when to come back.
const TRIES: f64 = 2.5;

/// `cargo xtask verify` asks for the long form.
fn starts() -> usize {
    if std::env::var_os("CRYOKEY_VERIFY").is_some() { 500 } else { 60 }
}

#[test]
fn verify_d30_all_of_many_starts_at_once_succeed_within_a_quota() {
    let Some(bao) = openbao() else { return };
    let root = bao.root();
    let mount = root.mount(2);
    let keys: Map<String, Value> = (0..16).map(|number| (format!("KEY_{number}"), "value".into())).collect();
    root.write(&format!("{mount}/data/app"), &json!({ "data": keys }));
    let token = root.token(&[&root.policy(&format!("{mount}/*"), READ)], &json!({"ttl": "1h"}));
    root.quota(&mount, RATE);
    let proxy = Proxy::start(bao.network(), bao.plain());
    let server = proxy.address();
    let sandbox = Sandbox::new(bao.network())
        .manifest("[secret.KEY_7]\nrequired = true\n")
        .variable("EXTERNAL_SECRET_PROVIDER", "vault")
        .variable("VAULT_ADDR", &format!("http://{server}"))
        .variable("CRYOKEY_ALLOW_HTTP", &server.to_string())
        .variable("VAULT_SECRET_PATH", &format!("{mount}/data/app"))
        .variable("CRYOKEY_START_TIMEOUT", "60s")
        .credential("VAULT_TOKEN", &token);
    let running: Vec<_> = (0..starts()).map(|_| sandbox.spawn(["/bin/true"])).collect();
    for start in running {
        let outcome = start.wait();
        assert_eq!(outcome.code, 0, "{}", outcome.stderr);
        assert!(outcome.took < Duration::from_secs(65), "{:?}", outcome.took);
    }
    let requests = String::from_utf8_lossy(&proxy.traffic().to_server).matches("GET /v1/").count();
    let tries = f64::from(u32::try_from(requests).unwrap()) / f64::from(u32::try_from(starts()).unwrap());
    println!("{} starts, {tries:.2} tries each", starts());
    assert!((1.0..=TRIES).contains(&tries), "{tries:.2} tries a start");
}
