//! OpenBao as the tests set it up: every door that cryokey may come by opens for the right token, and for no other.

use std::os::unix::net::UnixStream;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use e2e::program::{Ended, run};
use serde_json::{Value, json};

use crate::support::{
    Canaries, Certified, Issuer, NAME, OpenBao, Proxy, READ, canary, exchange, openbao, request,
    sealed_openbao, text,
};

#[test]
fn openbao_keeps_secrets_with_and_without_versions() {
    let Some(bao) = openbao() else { return };
    let root = bao.root();
    let (first, second) = (root.mount(1), root.mount(2));
    root.write(&format!("{first}/app"), &json!({"KEY": "one"}));
    assert_eq!(text(&root.read(&format!("{first}/app")), "/data/KEY"), "one");
    for value in ["old", "new"] {
        root.write(&format!("{second}/data/app"), &json!({"data": {"KEY": value}}));
    }
    let read = root.read(&format!("{second}/data/app"));
    assert_eq!(text(&read, "/data/data/KEY"), "new");
    assert_eq!(read.pointer("/data/metadata/version"), Some(&json!(2)));
}

#[test]
fn a_policy_opens_one_path_and_a_namespace_is_apart() {
    let Some(bao) = openbao() else { return };
    let Some(team) = bao.root().namespace() else { return };
    let mount = team.mount(1);
    team.write(&format!("{mount}/open"), &json!({"KEY": "value"}));
    let policy = team.policy(&format!("{mount}/open"), READ);
    let token = team.token(&[&policy], &json!({"ttl": "1h"}));
    assert_eq!(text(&team.with(&token).read(&format!("{mount}/open")), "/data/KEY"), "value");
    for someone in [team.with(&token), team.with(""), bao.root().with(&token)] {
        let response = someone.call("GET", &format!("{mount}/shut"), &Value::Null);
        assert_eq!(response.status, 403, "{}", response.json());
    }
    assert!(team.name().starts_with("team-"));
}

#[test]
fn an_approle_signs_in_and_its_secret_id_is_used_up() {
    let Some(bao) = openbao() else { return };
    let root = bao.root();
    let mount = root.sign_in("approle");
    let (role, secret) = root.approle(&mount, &["default"], &json!({"num_uses": 1}));
    let body = json!({"role_id": role, "secret_id": secret});
    let login = || root.with("").call("POST", &format!("auth/{mount}/login"), &body);
    assert_eq!(login().status, 200);
    assert_eq!(login().status, 400, "the second time");
}

#[test]
fn a_wrapped_token_is_unwrapped_once() {
    let Some(bao) = openbao() else { return };
    let root = bao.root();
    let wrapped = root.wrapped("auth/token/create", &json!({"policies": ["default"]}));
    let unwrap = || root.with(&wrapped).call("POST", "sys/wrapping/unwrap", &Value::Null);
    text(&unwrap().json(), "/auth/client_token");
    assert_eq!(unwrap().status, 400, "the second time");
}

#[test]
fn a_jwt_signs_in_if_it_is_for_this_audience_and_still_valid() {
    let Some(bao) = openbao() else { return };
    let root = bao.root();
    let issuer = Issuer::new(bao.network().scratch());
    let mount = root.sign_in("jwt");
    root.write(&format!("auth/{mount}/config"), &json!({"jwt_validation_pubkeys": [issuer.public_key()]}));
    let role = json!({"role_type": "jwt", "user_claim": "sub", "bound_audiences": ["vault"]});
    root.write(&format!("auth/{mount}/role/app"), &role);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let login = |audience: &str, expiry: u64| {
        let claims =
            json!({"sub": "system:serviceaccount:a:b", "aud": audience, "iat": now - 600, "exp": expiry});
        let body = json!({"role": "app", "jwt": issuer.token(&claims)});
        root.with("").call("POST", &format!("auth/{mount}/login"), &body).status
    };
    assert_eq!(login("vault", now + 600), 200);
    assert_eq!(login("another", now + 600), 400);
    assert_eq!(login("vault", now - 500), 400);
}

#[test]
fn a_user_signs_in_with_the_password() {
    let Some(bao) = openbao() else { return };
    let root = bao.root();
    let mount = root.sign_in("userpass");
    root.write(&format!("auth/{mount}/users/app"), &json!({"password": "right"}));
    let login = |password: &str| {
        let path = format!("auth/{mount}/login/app");
        root.with("").call("POST", &path, &json!({ "password": password })).status
    };
    assert_eq!(login("right"), 200);
    assert_eq!(login("wrong"), 400);
}

#[test]
fn a_client_certificate_signs_in() {
    let Some(bao) = openbao() else { return };
    let root = bao.root();
    let mount = root.sign_in("cert");
    let client = bao.authority().client("app");
    root.write(&format!("auth/{mount}/certs/app"), &json!({"certificate": client.pem()}));
    let login = |client| over_tls(bao, NAME, client, &format!("POST /v1/auth/{mount}/login")).stdout;
    assert!(login(Some(&client)).contains("client_token"));
    assert!(login(None).starts_with("HTTP/1.0 400"));
}

#[test]
fn the_certificate_is_for_the_name_of_the_server() {
    let Some(bao) = openbao() else { return };
    let good = over_tls(bao, NAME, None, "GET /v1/sys/health").with(0);
    assert!(good.stdout.starts_with("HTTP/1.0 200"), "{}", good.said());
    let wrong = over_tls(bao, "other.example", None, "GET /v1/sys/health");
    assert!(wrong.stderr.contains("hostname mismatch"), "{}", wrong.said());
    assert_eq!(wrong.stdout, "");
}

/// What openssl gets from the listener with TLS, if it has the certificate of this name.
fn over_tls(bao: &OpenBao, name: &str, client: Option<&Certified>, line: &str) -> Ended {
    const ASK: &str =
        r#"printf '%s HTTP/1.0\r\n\r\n' "$0" | openssl s_client -quiet -ign_eof -verify_return_error "$@""#;
    let mut command = bao.network().command("/bin/sh");
    command.args(["-c", ASK, line, "-verify_hostname", name]);
    command.args(["-connect", &bao.tls().to_string(), "-CAfile"]).arg(bao.authority().certificate());
    if let Some(Certified { certificate, key }) = client {
        command.arg("-cert").arg(certificate).arg("-key").arg(key);
    }
    run(&mut command)
}

#[test]
fn a_quota_answers_429_and_says_when_to_come_back() {
    let Some(bao) = openbao() else { return };
    let root = bao.root();
    let mount = root.mount(1);
    root.write(&format!("{mount}/app"), &json!({"KEY": "value"}));
    root.quota(&mount, 1, true);
    let answers = (0..5).map(|_| root.call("GET", &format!("{mount}/app"), &Value::Null));
    let refused = answers.into_iter().find(|answer| answer.status == 429).expect("one of five is too many");
    assert!(refused.head.contains("\r\nretry-after: "), "{}", refused.head);
}

#[test]
fn a_sealed_server_answers_503_until_it_is_unsealed() {
    let Some(bao) = sealed_openbao() else { return };
    let status = || bao.root().call("GET", "sys/mounts", &Value::Null).status;
    assert_eq!(status(), 503);
    bao.unseal();
    assert_eq!(status(), 200);
}

#[test]
fn the_unix_socket_is_a_listener_too() {
    let Some(bao) = openbao() else { return };
    let mut stream = UnixStream::connect(bao.socket()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    assert_eq!(exchange(&mut stream, "GET /v1/sys/health", &[], b"").unwrap().status, 200);
}

#[test]
fn a_value_that_crosses_the_wire_in_the_open_is_found_in_the_capture() {
    let Some(bao) = openbao() else { return };
    let (value, mount) = (canary(), bao.root().mount(1));
    let proxy = Proxy::start(bao.network(), bao.plain());
    let path = format!("PUT /v1/{mount}/app");
    let body = json!({ "KEY": value }).to_string();
    request(bao.network(), proxy.address(), &path, &[], body.as_bytes()).unwrap();
    let mut canaries = Canaries::default();
    canaries.watch(value.as_bytes());
    assert!(canaries.find(&proxy.traffic().to_server).is_some());
}
