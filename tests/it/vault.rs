//! Vault through the real binary. The server is a scripted one, which can lie; what a real server does is tested
//! elsewhere.

mod references;

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::support::server::{Reply, Server};
use crate::support::{Need, Outcome, Test, canary, proc, require};

const MANIFEST: &str = "[secret.DB_PASSWORD]\nrequired = true\n[env]\nrequired = [\"DB_PASSWORD\"]\n";
const DENIED: &str = r#"{"errors":["1 error occurred:\n\t* permission denied\n\n"]}"#;
const ABSENT: &str = r#"{"errors":[]}"#;

fn test(server: &Server, path: &str) -> Test {
    with(MANIFEST, server, path)
}

fn with(manifest: &str, server: &Server, path: &str) -> Test {
    Test::with(manifest)
        .variable("EXTERNAL_SECRET_PROVIDER", "vault")
        .variable("VAULT_ADDR", server.url())
        .variable("VAULT_TOKEN", canary())
        .variable("VAULT_SECRET_PATH", path)
        .variable("CRYOKEY_START_TIMEOUT", "1500ms")
}

/// The path of a request below `/v1/`.
fn path(request: &str) -> &str {
    request.split_whitespace().nth(1).and_then(|path| path.strip_prefix("/v1/")).unwrap_or_default()
}

fn ok(body: &Value) -> Reply {
    Reply::Status(200, body.to_string())
}

fn version_2(data: &Value) -> Reply {
    ok(&json!({ "data": { "data": data, "metadata": {
        "created_time": "2026-01-02T03:04:05.123456789Z", "deletion_time": "", "destroyed": false, "version": 7,
    }}}))
}

fn mount(path: &str, version: &str) -> Reply {
    ok(&json!({ "data": { "type": "kv", "path": path, "options": { "version": version } } }))
}

/// A mount `secret` of version 2 with one secret, `secret/app`.
fn holding(data: Value) -> Server {
    Server::plain(move |request| match path(request) {
        path if path.starts_with("sys/internal/ui/mounts/secret/") => mount("secret/", "2"),
        "secret/data/app" | "secret/data/app?version=7" => version_2(&data),
        _ => Reply::Status(404, ABSENT.to_owned()),
    })
}

fn always(status: u16, body: &str) -> Server {
    let body = body.to_owned();
    Server::plain(move |_| Reply::Status(status, body.clone()))
}

#[test]
fn b15_version_2_is_read_with_and_without_data_in_the_path() {
    let value = canary();
    for (path, requests) in [("secret/app", 2), ("secret/data/app", 1)] {
        let server = holding(json!({ "db-password": value }));
        let test = test(&server, path).watching(&value);
        test.start().app().has("DB_PASSWORD", value.as_bytes());
        let seen = server.requests();
        assert_eq!(seen.len(), requests, "{seen:?}");
        assert!(seen.iter().all(|request| request.contains("x-vault-request: true")), "{seen:?}");
    }
}

#[test]
fn check_and_explain_show_how_vault_was_reached_and_which_version_was_read() {
    let server = holding(json!({ "DB_PASSWORD": canary() }));
    let token = canary();
    let test = test(&server, "secret/app").variable("VAULT_TOKEN", &token).watching(&token);
    let checked = test.command(["check"]);
    prints(&checked, &["sign-in: the token in VAULT_TOKEN", &server.url(), "(version 7)"]);
    let explained = test.command(["explain", "DB_PASSWORD"]);
    prints(&explained, &["version: 7", "age: ", "sign-in: the token in VAULT_TOKEN"]);
    let report = test.command(["check", "--format", "json"]).json();
    let remote = &report["remote"][0];
    assert_eq!(remote["source"], "Vault");
    assert_eq!(remote["endpoint"], server.url());
    assert!(remote["milliseconds"].as_u64().is_some_and(|spent| spent < 1_500), "{remote}");
    assert_eq!(report["secrets"][0]["version"], "7");
    let report = test.command(["explain", "--format", "json", "DB_PASSWORD"]).json();
    assert_eq!(report[0]["remote"][0]["sign_in"], "the token in VAULT_TOKEN");
    assert_eq!(report[0]["version"], "7");
    assert!(report[0]["age_days"].as_u64().is_some(), "{report}");
}

#[test]
fn check_shows_how_vault_is_reached_also_where_that_failed_and_never_a_password_in_its_address() {
    let hanging = Server::plain(|_| Reply::Hang);
    let report = test(&hanging, "secret/app").command(["check", "--format", "json"]).json();
    let spent = report["remote"][0]["milliseconds"].as_u64();
    assert!(spent.is_some_and(|spent| spent >= 1_400), "{report}");
    let password = canary();
    let address = format!("https://u:{password}@vault.example");
    let test = test(&hanging, "secret/app").variable("VAULT_ADDR", address).watching(&password);
    prints(&test.command(["check"]), &["Vault: none   sign-in: the token"]);
}

fn prints(outcome: &Outcome, texts: &[&str]) {
    let printed = outcome.printed();
    for text in texts {
        assert!(printed.contains(text), "`{text}` is not in:\n{printed}");
    }
}

#[test]
fn version_1_is_read_where_the_mount_says_so() {
    let server = Server::plain(|request| match path(request) {
        path if path.starts_with("sys/internal/ui/mounts/apps/kv/") => mount("apps/kv/", "1"),
        "apps/kv/app" => ok(&json!({ "data": { "db_password": "old" } })),
        _ => Reply::Status(404, ABSENT.to_owned()),
    });
    test(&server, "apps/kv/app").start().app().has("DB_PASSWORD", b"old");
}

#[test]
fn undeclared_fields_are_delivered_and_values_that_are_no_strings_are_as_json_writes_them() {
    let server = Server::plain(|request| {
        match path(request) {
        path if path.starts_with("sys/") => mount("secret/", "2"),
        _ => Reply::Status(
            200,
            r#"{"data":{"data":{"db-password":"p","n":12345678901234567890,"f":1e400,"t":true,"o":{"a": [1, "x y"]},
                "nil":null},"metadata":{"version":1,"created_time":"2026-01-02T03:04:05Z","deletion_time":"",
                "destroyed":false}}}"#
                .to_owned(),
        ),
    }
    });
    let outcome = test(&server, "secret/app").start();
    let app = outcome.warns(&["nil is null"]).app();
    for (name, value) in [
        ("N", "12345678901234567890"),
        ("F", "1e400"),
        ("T", "true"),
        ("O", r#"{"a":[1,"x y"]}"#),
        ("DB_PASSWORD", "p"),
    ] {
        app.has(name, value.as_bytes());
    }
    app.has_no("NIL");
}

#[test]
fn d12_a_secret_that_does_not_exist_is_66_and_a_directory_says_what_it_holds() {
    let server = Server::plain(|request| match path(request) {
        path if path.starts_with("sys/") => mount("secret/", "2"),
        "secret/metadata/team?list=true" => ok(&json!({ "data": { "keys": ["app", "db/"] } })),
        _ => Reply::Status(404, ABSENT.to_owned()),
    });
    let outcome = test(&server, "secret/nope").start();
    outcome.refused(66, "resolve", "DB_PASSWORD", "missing").says("secret/nope does not exist");
    let outcome = test(&server, "secret/team").start();
    outcome.refused(66, "resolve", "DB_PASSWORD", "missing").says("a directory, which holds app, db/");
}

#[test]
fn d13_a_deleted_version_is_66_unless_its_deletion_lies_in_the_future() {
    let deleted = |time: &'static str, data: Value, status| {
        Server::plain(move |request| match path(request) {
            path if path.starts_with("sys/") => mount("secret/", "2"),
            _ => Reply::Status(
                status,
                json!({ "data": { "data": data, "metadata": { "version": 3, "deletion_time": time,
                    "created_time": "2026-01-02T03:04:05Z", "destroyed": false } } })
                .to_string(),
            ),
        })
    };
    let outcome = test(&deleted("2026-01-03T00:00:00Z", json!(null), 404), "secret/app").start();
    outcome.refused(66, "resolve", "DB_PASSWORD", "missing").says("version 3 of secret/app is deleted");
    let alive = deleted("2999-01-01T00:00:00Z", json!({ "DB_PASSWORD": "x" }), 200);
    test(&alive, "secret/app").start().app();
}

#[test]
fn a_denied_secret_is_77_with_the_policy_to_paste() {
    let server = Server::plain(|request| match path(request) {
        path if path.starts_with("sys/") => mount("secret/", "2"),
        "auth/token/lookup-self" => ok(&json!({ "data": {} })),
        _ => Reply::Status(403, DENIED.to_owned()),
    });
    let outcome = test(&server, "secret/app").start();
    outcome.refused(77, "resolve", "DB_PASSWORD", "denied");
    outcome.says(r#"path "secret/data/app" { capabilities = ["read"] }"#).does_not_say("does not exist");
}

#[test]
fn a_denied_look_up_of_the_mount_does_not_keep_a_readable_secret_from_being_read() {
    let server = Server::plain(|request| match path(request) {
        "secret/data/app" => version_2(&json!({ "DB_PASSWORD": "x" })),
        _ => Reply::Status(403, DENIED.to_owned()),
    });
    test(&server, "secret/app").start().app();
    let denying = Server::plain(|request| match path(request) {
        "auth/token/lookup-self" => ok(&json!({ "data": {} })),
        _ => Reply::Status(403, DENIED.to_owned()),
    });
    let outcome = test(&denying, "secret/app").start();
    outcome.refused(77, "resolve", "DB_PASSWORD", "denied").says("denied, or no such mount");
}

#[test]
fn a_token_that_vault_does_not_know_is_77_and_no_policy_is_blamed() {
    let outcome = test(&always(403, DENIED), "secret/app").start();
    outcome.refused(77, "resolve", "DB_PASSWORD", "denied").says("does not accept the token");
    outcome.does_not_say("policy");
}

#[test]
fn d10_a_sealed_vault_is_tried_until_the_budget_ends_in_75_and_nothing_is_said_to_be_missing() {
    let server = always(503, r#"{"errors":["Vault is sealed"]}"#);
    for strict in ["true", "false"] {
        let outcome = test(&server, "secret/app").variable("STRICT_SECRET_MODE", strict).start();
        outcome.refused(75, "resolve", "DB_PASSWORD", "unreachable");
        outcome.says("Vault is sealed").does_not_say("does not exist").does_not_say("not found");
        assert!(outcome.took > Duration::from_millis(1_400), "{:?}", outcome.took);
    }
    assert!(server.requests().len() > 8, "it was not tried again");
}

#[test]
fn d10_a_node_that_is_not_ready_yet_is_tried_again() {
    let server = {
        let tries = std::sync::atomic::AtomicU32::new(0);
        Server::plain(move |_| match tries.fetch_add(1, std::sync::atomic::Ordering::SeqCst) {
            0 => Reply::Status(412, ABSENT.to_owned()),
            1 => Reply::Status(473, String::new()),
            2 => Reply::Status(500, "<html>".to_owned()),
            _ => version_2(&json!({ "DB_PASSWORD": "x" })),
        })
    };
    test(&server, "secret/data/app").variable("CRYOKEY_START_TIMEOUT", "10s").start().app();
}

#[test]
fn e01_a_wrong_certificate_is_69_at_once() {
    let server = Server::tls("selfsigned", |_| version_2(&json!({ "DB_PASSWORD": "x" })));
    let outcome = test(&server, "secret/app").variable("CRYOKEY_START_TIMEOUT", "15s").start();
    outcome.refused(69, "resolve", "DB_PASSWORD", "untrusted").says("VAULT_CACERT");
    assert!(outcome.took < Duration::from_secs(10), "{:?}", outcome.took);
    let ca = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/tls/ca.pem");
    let server = Server::tls("server", |_| version_2(&json!({ "DB_PASSWORD": "x" })));
    test(&server, "secret/data/app").variable("BAO_CACERT", ca).start().app();
}

#[test]
fn d16_nonsense_is_76_and_a_page_with_404_is_no_proof_of_absence() {
    let secret = canary();
    for (status, body) in [
        (200, "<html>".to_owned()),
        (404, "<html>not found</html>".to_owned()),
        (200, String::new()),
        (200, "{}".to_owned()),
        (200, format!(r#"{{"data":{{"data":{{"a":{},"a":1}},"metadata":{{"version":1}}}}}}"#, json!(secret))),
        (200, format!(r#"{{"data":{{"data":{},"metadata":{{"version":1}}}}}}"#, json!(secret))),
        (200, r#"{"data":{"data":{},"metadata":{"version":1,"created_time":"soon"}}}"#.to_owned()),
        (200, r#"{"data":{"data":{},"metadata":{"version":"1"}}}"#.to_owned()),
    ] {
        let server = Server::plain(move |request| match path(request) {
            path if path.starts_with("sys/") => mount("secret/", "2"),
            _ => Reply::Status(status, body.clone()),
        });
        let outcome = test(&server, "secret/data/app").watching(&secret).start();
        outcome.refused(76, "resolve", "DB_PASSWORD", "nonsense").does_not_say("does not exist");
    }
}

#[test]
fn d03_a_body_that_breaks_off_is_tried_again_and_never_used() {
    let server = Server::plain(|_| {
        Reply::Raw("HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n{\"data\":{}".to_owned())
    });
    let outcome = test(&server, "secret/data/app").start();
    outcome.refused(75, "resolve", "DB_PASSWORD", "unreachable").does_not_say("does not exist");
}

#[test]
fn d19_an_answer_for_another_version_is_76() {
    let server = Server::plain(|_| version_2(&json!({ "password": "x" })));
    let manifest = "[secret.DB_PASSWORD]\nrequired = true\nfrom = [\"vault:secret/data/app#password@3\"]\n";
    let outcome = with(manifest, &server, "").start();
    outcome.refused(76, "resolve", "DB_PASSWORD", "nonsense");
}

#[test]
fn d28_a_standby_that_redirects_is_69_and_names_the_leader() {
    let server = Server::plain(|_| {
        Reply::Raw(
            "HTTP/1.1 307 X\r\nLocation: https://leader.example:8200/v1/x\r\nContent-Length: 0\r\n\r\n"
                .into(),
        )
    });
    let outcome = test(&server, "secret/app").start();
    outcome.refused(69, "resolve", "DB_PASSWORD", "untrusted").says("leader leader.example:8200");
}

#[test]
fn a_later_path_overrides_and_one_that_fails_keeps_the_others_from_being_used() {
    let server = Server::plain(|request| match path(request) {
        "secret/data/base" => version_2(&json!({ "DB_PASSWORD": "base", "ONLY": "base" })),
        "secret/data/app" => version_2(&json!({ "db-password": "app" })),
        _ => Reply::Status(403, DENIED.to_owned()),
    });
    let app = test(&server, "secret/data/base, secret/data/app").start().app();
    app.has("DB_PASSWORD", b"app");
    app.has("ONLY", b"base");
    let outcome = test(&server, "secret/data/base,secret/data/other").start();
    outcome.refused(77, "resolve", "DB_PASSWORD", "denied");
}

#[test]
fn a_reference_brings_in_vault_for_itself_alone() {
    let server = holding(json!({ "password": "p", "user": "u", "more": "m" }));
    let manifest = "[secret.DB_PASSWORD]\nrequired = true\nfrom = [\"vault:secret/app#password\"]\n\
                    [secret.DB_USER]\nfrom = [\"bao:secret/data/app#none\", \"vault:secret/app#user\"]\n\
                    [secret.OLD]\nfrom = [\"vault:secret/data/app#user#7\"]\n";
    let app = with(manifest, &server, "").without("EXTERNAL_SECRET_PROVIDER").start().app();
    for (name, value) in [("DB_PASSWORD", "p"), ("DB_USER", "u"), ("OLD", "u")] {
        app.has(name, value.as_bytes());
    }
    app.has_no("MORE");
    let reads = server.requests().iter().filter(|request| path(request) == "secret/data/app").count();
    assert_eq!(reads, 1, "{:?}", server.requests());
}

#[test]
fn a_reference_without_a_field_is_for_a_secret_with_one_field() {
    let manifest = "[secret.TOKEN]\nrequired = true\nfrom = [\"vault:secret/app\"]\n";
    let one = holding(json!({ "any": "x" }));
    with(manifest, &one, "").start().app().has("TOKEN", b"x");
    let two = holding(json!({ "any": "x", "other": "y" }));
    with(manifest, &two, "").start().refused(78, "resolve", "TOKEN", "configuration").says("has 2 fields");
}

#[test]
fn e05_e06_what_is_missing_or_forbidden_in_the_settings_is_78_and_says_which_variable() {
    let server = holding(json!({}));
    let refused = |test: Test, text: &str| {
        test.start().refused(78, "resolve", "DB_PASSWORD", "configuration").says(text);
    };
    refused(test(&server, "secret/app").without("VAULT_ADDR"), "VAULT_ADDR is not set");
    refused(test(&server, "secret/app").without("VAULT_TOKEN"), "set VAULT_TOKEN");
    refused(test(&server, ""), "set VAULT_SECRET_PATH");
    refused(test(&server, "secret"), "`secret` is not the path of a secret");
    refused(test(&server, "secret/app").variable("BAO_SKIP_VERIFY", "1"), "always verifies");
    refused(test(&server, "secret/app").variable("VAULT_CLIENT_CERT", "/x"), "VAULT_CLIENT_KEY");
    refused(test(&server, "secret/app").variable("VAULT_CACERT", "/nowhere.pem"), "/nowhere.pem");
    refused(
        test(&server, "secret/app").variable("VAULT_ADDR", "http://vault:8200"),
        "CRYOKEY_ALLOW_HTTP=vault:8200",
    );
    let password = test(&server, "secret/app").variable("VAULT_ADDR", format!("https://u:{}@v", "hunter22"));
    password.start().refused(78, "resolve", "DB_PASSWORD", "configuration").does_not_say("hunter22");
    assert!(server.requests().is_empty());
}

#[test]
fn d22_one_of_five_required_that_is_missing_stops_all_and_is_named_alone() {
    let data = json!({"A": canary(), "B": canary(), "C": canary(), "D": canary()});
    let manifest: String =
        ["A", "B", "C", "D", "E"].map(|it| format!("[secret.{it}]\nrequired = true\n")).concat();
    let outcome = with(&manifest, &holding(data), "secret/app").start();
    outcome.refused(66, "resolve", "E", "missing");
}

#[test]
fn d23_an_outage_of_what_is_optional_is_told_and_stops_nothing_where_strictness_is_off() {
    let server = always(503, "{}");
    let strict = with("[secret.DB_PASSWORD]\n", &server, "secret/app");
    strict.start().refused(75, "resolve", "Vault", "unreachable");
    let lenient =
        with("[secret.DB_PASSWORD]\n", &server, "secret/app").variable("STRICT_SECRET_MODE", "false");
    let outcome = lenient.start();
    outcome.app().has_no("DB_PASSWORD");
    outcome.says("cannot read secrets from Vault");
}

#[test]
fn e08_an_empty_token_file_is_never_sent() {
    let server = holding(json!({}));
    let outcome = test(&server, "secret/app").without("VAULT_TOKEN").secret("VAULT_TOKEN", "\n").start();
    outcome.refused(78, "resolve", "DB_PASSWORD", "configuration").says("VAULT_TOKEN");
    assert!(server.requests().is_empty());
}

#[test]
fn plain_http_to_an_allowed_host_is_a_warning_at_each_start() {
    let test = test(&holding(json!({})), "secret/app").variable("VAULT_ADDR", "http://vault.invalid:8200");
    let outcome = test.variable("CRYOKEY_ALLOW_HTTP", "vault.invalid:8200").start();
    outcome.refused(69, "resolve", "DB_PASSWORD", "untrusted").says("does not resolve");
    outcome.warns(&["without TLS"]);
}

#[test]
fn d04_an_answer_that_never_comes_is_75_when_the_budget_ends_and_local_secrets_are_still_read() {
    let server = Server::plain(|_| Reply::Hang);
    let outcome = test(&server, "secret/app").secret("DB_PASSWORD", "local-value-of-some-length").start();
    outcome.refused(75, "resolve", "DB_PASSWORD", "timeout").does_not_say("does not exist");
    assert!(outcome.took < Duration::from_secs(4), "{:?}", outcome.took);
}

#[test]
fn d05_term_ends_a_hanging_read_at_once() {
    told_to_stop(&[]);
}

#[test]
fn d05_term_ends_a_hanging_read_at_once_also_as_pid_1() {
    if require(Need::PidNamespace) {
        told_to_stop(&["unshare", "--pid", "--fork", "--mount-proc"]);
    }
}

fn told_to_stop(before: &[&str]) {
    let server = Server::plain(|_| Reply::Hang);
    let test = test(&server, "secret/app").variable("CRYOKEY_START_TIMEOUT", "1h");
    let test = test.through(before.iter().copied());
    let running = test.spawn(["true"]);
    let started = Instant::now();
    while server.requests().is_empty() {
        assert!(started.elapsed() < Duration::from_secs(20), "cryokey asks nothing");
        thread::sleep(Duration::from_millis(1));
    }
    let child = proc::children(running.child.id()).first().copied();
    let child = child.and_then(|child| Pid::from_raw(i32::try_from(child).unwrap()));
    let asked = Instant::now();
    kill_process(child.unwrap_or_else(|| Pid::from_child(&running.child)), Signal::TERM).unwrap();
    let outcome = test.finish(running, false);
    assert_eq!(outcome.code, 143, "{}", outcome.stderr);
    assert!(asked.elapsed() < Duration::from_millis(200), "{:?}", asked.elapsed());
}
