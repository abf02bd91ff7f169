//! Many cold starts at once against a server that answers few requests a second.

use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::support::{Proxy, READ, Sandbox, sealed_openbao};

/// What the server answers in a second.
const RATE: u32 = 50;

/// `cargo xtask verify` asks for the long form.
fn starts() -> usize {
    if std::env::var_os("CRYOKEY_VERIFY").is_some() { 500 } else { 60 }
}

#[test]
fn verify_d30_all_of_many_starts_at_once_succeed_within_a_quota_that_says_when_to_come_back() {
    all_start(true, 3.5);
}

#[test]
fn verify_d30_all_of_many_starts_at_once_succeed_within_a_quota_that_does_not() {
    all_start(false, 4.0);
}

/// At a server of its own, since what it tells holds for all of it. `most` is of tries of a start, on average.
fn all_start(is_told: bool, most: f64) {
    let Some(bao) = sealed_openbao() else { return };
    bao.unseal();
    let root = bao.root();
    let mount = root.mount(2);
    let keys: Map<String, Value> = (0..16).map(|number| (format!("KEY_{number}"), "value".into())).collect();
    root.write(&format!("{mount}/data/app"), &json!({ "data": keys }));
    let token = root.token(&[&root.policy(&format!("{mount}/*"), READ)], &json!({"ttl": "1h"}));
    root.quota(&mount, RATE, is_told);
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
    println!("{} starts, told {is_told}: {tries:.2} tries each", starts());
    assert!((1.0..=most).contains(&tries), "{tries:.2} tries a start");
}
