//! What the emulator of Azure answers where Microsoft's client never asks, or does not show the answer: by the REST
//! reference of Key Vault and the documentation of Entra ID.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{Azure, HOSTS, LOGIN, Proof, Sandbox, TENANT, VAULT_HOST, azure};

const API: &str = "api-version=7.6";

/// A request; `more` is its method, its headers and its form.
fn ask(azure: &Azure, url: &str, more: &Value) -> Value {
    let sandbox = Sandbox::new(azure.network());
    let sandbox = HOSTS.into_iter().fold(sandbox, |sandbox, name| sandbox.host(name, azure.tls().ip()));
    azure.ask(sandbox, &["request", url, &more.to_string()])
}

fn sign_in(azure: &Azure, tenant: &str, form: &Value) -> Value {
    let url = format!("https://{LOGIN}/{tenant}/oauth2/v2.0/token");
    ask(azure, &url, &json!({"method": "POST", "data": form}))
}

fn form(client: &str, secret: &str) -> Value {
    json!({
        "grant_type": "client_credentials",
        "client_id": client,
        "client_secret": secret,
        "scope": "https://vault.azure.net/.default",
    })
}

/// A token of an application that may list and read.
fn token(azure: &Azure) -> String {
    let client = azure.client(&Proof::Secret("secret"));
    let told = sign_in(azure, TENANT, &form(&client, "secret"));
    assert_eq!((&told["body"]["token_type"], &told["body"]["expires_in"]), (&json!("Bearer"), &json!(3599)));
    told["body"]["access_token"].as_str().unwrap().to_owned()
}

/// At the vault.
fn read(azure: &Azure, token: &str, path: &str) -> Value {
    let header = format!("Bearer {token}");
    ask(azure, &format!("https://{VAULT_HOST}/{path}"), &json!({"headers": {"Authorization": header}}))
}

#[track_caller]
fn is_error(told: &Value, status: u16, code: &str) {
    let shown = (&told["status"], &told["body"]["error"]["code"]);
    assert_eq!(shown, (&Value::from(status), &Value::from(code)), "{told}");
}

#[test]
fn without_a_token_that_holds_there_is_a_challenge() {
    let Some(azure) = azure() else { return };
    let expected =
        format!(r#"Bearer authorization="https://{LOGIN}/{TENANT}", resource="https://vault.azure.net""#);
    let token = token(&azure);
    let path = format!("secrets?{API}");
    assert_eq!(read(&azure, &token, &path)["status"], 200);
    azure.control("tokens", &json!({"revoke": true}));
    for told in
        [ask(&azure, &format!("https://{VAULT_HOST}/{path}"), &json!({})), read(&azure, &token, &path)]
    {
        is_error(&told, 401, "Unauthorized");
        assert_eq!(told["headers"]["WWW-Authenticate"], expected, "{told}");
    }
}

#[test]
fn a_token_for_another_tenant_or_too_old_is_challenged() {
    let Some(azure) = azure() else { return };
    let token = token(&azure);
    let path = format!("secrets?{API}");
    azure.control("vault", &json!({"host": VAULT_HOST, "tenant": "another"}));
    is_error(&read(&azure, &token, &path), 401, "Unauthorized");
    azure.control("vault", &json!({"host": VAULT_HOST, "tenant": TENANT}));
    azure.control("tokens", &json!({"lifetime": 1}));
    let client = azure.client(&Proof::Secret("secret"));
    let told = sign_in(&azure, TENANT, &form(&client, "secret"));
    thread::sleep(Duration::from_secs(1));
    is_error(&read(&azure, told["body"]["access_token"].as_str().unwrap(), &path), 401, "Unauthorized");
}

#[test]
fn a_list_needs_a_version_of_the_api_and_has_25_on_a_page_at_most() {
    let Some(azure) = azure() else { return };
    let token = token(&azure);
    for number in 0..26 {
        azure.put(&format!("secret-{number:02}"), "value");
    }
    is_error(&read(&azure, &token, "secrets"), 400, "BadParameter");
    is_error(&read(&azure, &token, "secrets?api-version=1"), 400, "BadParameter");
    is_error(&read(&azure, &token, &format!("secrets?{API}&maxresults=26")), 400, "BadParameter");
    let first = read(&azure, &token, &format!("secrets?{API}"));
    assert_eq!(first["body"]["value"].as_array().unwrap().len(), 25);
    assert_eq!(first["body"]["value"][0]["id"], format!("https://{VAULT_HOST}/secrets/secret-00"));
    let next = first["body"]["nextLink"].as_str().unwrap();
    let next = next.strip_prefix(&format!("https://{VAULT_HOST}:443/")).unwrap();
    let last = read(&azure, &token, next);
    assert_eq!(
        (last["body"]["value"].as_array().unwrap().len(), &last["body"]["nextLink"]),
        (1, &Value::Null)
    );
}

#[test]
fn a_secret_has_three_addresses_and_its_name_any_case() {
    let Some(azure) = azure() else { return };
    let token = token(&azure);
    let version = azure.put("Api-Token", "value");
    for path in ["Api-Token", "api-token/", &format!("API-TOKEN/{version}")] {
        let told = read(&azure, &token, &format!("secrets/{path}?{API}"));
        assert_eq!(told["body"]["id"], format!("https://{VAULT_HOST}/secrets/Api-Token/{version}"), "{told}");
        assert_eq!(told["body"]["value"], "value", "{told}");
    }
}

#[test]
fn a_form_that_is_wrong_is_told_with_its_number() {
    let Some(azure) = azure() else { return };
    let client = azure.client(&Proof::Secret("secret"));
    let changed = |name: &str, value: Value| {
        let mut form = form(&client, "secret");
        form[name] = value;
        form
    };
    let cases = [
        (TENANT, changed("client_secret", json!("wrong")), 401, "invalid_client", 7_000_215),
        (TENANT, changed("client_id", json!("unknown")), 400, "unauthorized_client", 700_016),
        ("unknown", form(&client, "secret"), 400, "invalid_request", 90_002),
        (TENANT, changed("scope", json!("https://vault.azure.net")), 400, "invalid_scope", 1_002_012),
        (
            TENANT,
            changed("scope", json!("https://vault.azure.cn/.default")),
            400,
            "invalid_resource",
            500_011,
        ),
        (TENANT, changed("grant_type", json!("password")), 400, "unsupported_grant_type", 70_003),
        (TENANT, changed("client_secret", json!("")), 401, "invalid_client", 7_000_218),
    ];
    for (tenant, form, status, error, number) in cases {
        let told = sign_in(&azure, tenant, &form);
        let shown = (&told["status"], &told["body"]["error"], &told["body"]["error_codes"][0]);
        assert_eq!(shown, (&json!(status), &json!(error), &json!(number)), "{told}");
        let text = told["body"]["error_description"].as_str().unwrap();
        assert!(text.starts_with(&format!("AADSTS{number}: ")), "{text}");
    }
}

#[test]
fn an_assertion_that_is_wrong_is_told_with_its_number() {
    let Some(azure) = azure() else { return };
    let (own, other) = (azure.authority().application("own"), azure.authority().application("other"));
    let client = azure.client(&Proof::Certificate(&own.pem()));
    let pem = fs::read_to_string(&own.key).unwrap() + &own.pem();
    let cases = [
        (json!({}), 200, Value::Null),
        (json!({"header": {"alg": "RS256"}}), 200, Value::Null),
        (json!({"key": other.key}), 401, json!(700_027)),
        (json!({"header": {"x5t#S256": "AAAA"}}), 401, json!(700_027)),
        (json!({"header": {"alg": "PS512"}}), 401, json!(5_002_738)),
        (json!({"claims": {"aud": "https://login.microsoftonline.com"}}), 401, json!(700_023)),
        (json!({"claims": {"sub": "another"}}), 401, json!(700_021)),
        (json!({"claims": {"exp": 1_600_000_000}}), 401, json!(700_024)),
        (json!({"claims": {"nbf": 4_000_000_000_u64}}), 401, json!(700_024)),
        (json!({"claims": {"jti": ""}}), 400, json!(50_027)),
    ];
    for (changes, status, number) in cases {
        let sandbox = Sandbox::new(azure.network())
            .file("/run/secrets/application.pem", &pem)
            .variable("AZURE_CLIENT_CERTIFICATE_PATH", "/run/secrets/application.pem")
            .variable("AZURE_CLIENT_ID", &client)
            .variable("AZURE_TENANT_ID", TENANT);
        let assertion = azure.ask(sandbox, &["assertion", &changes.to_string()]);
        let told = sign_in(&azure, TENANT, &asserted(&client, &assertion));
        let shown = (&told["status"], &told["body"]["error_codes"][0]);
        assert_eq!(shown, (&json!(status), &number), "{changes}: {told}");
    }
}

fn asserted(client: &str, assertion: &Value) -> Value {
    let mut form = form(client, "");
    form["client_assertion"] = assertion.clone();
    form["client_assertion_type"] = json!("urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
    form
}

#[test]
fn the_metadata_service_wants_its_header_and_gives_numbers_as_text() {
    let Some(azure) = azure() else { return };
    azure.identity(true);
    let _metadata = azure.metadata();
    let url = "http://169.254.169.254/metadata/identity/oauth2/token?api-version=2018-02-01";
    let (whole, header) =
        (format!("{url}&resource=https://vault.azure.net"), json!({"headers": {"Metadata": "true"}}));
    let told = ask(&azure, &whole, &header);
    assert_eq!((&told["status"], &told["body"]["expires_in"]), (&json!(200), &json!("86399")), "{told}");
    for told in [ask(&azure, &whole, &json!({})), ask(&azure, url, &header)] {
        assert_eq!(told["status"], 400, "{told}");
    }
}

#[test]
fn the_log_of_requests_has_no_values() {
    let Some(azure) = azure() else { return };
    let token = token(&azure);
    read(&azure, &token, &format!("secrets?{API}"));
    let log = azure.control("log", &json!({})).to_string();
    assert!(!log.contains(&token) && !log.contains("\"secret\""), "{log}");
    assert_eq!(azure.seen()[0].form, ["client_id", "client_secret", "grant_type", "scope"]);
}

#[test]
fn answers_can_be_wrong() {
    let Some(azure) = azure() else { return };
    let token = token(&azure);
    azure.put("api-token", "value");
    let list = format!("secrets?{API}");
    let get = format!("secrets/api-token?{API}");
    let wrong = |path: &str, rule: &Value| {
        azure.fail("/secrets.*", rule);
        read(&azure, &token, path)["body"].clone()
    };
    let other = wrong(&get, &json!({"wrong": "other id"}));
    assert!(other["id"].as_str().unwrap().contains("/secrets/another-secret/"), "{other}");
    let other = wrong(&list, &json!({"wrong": "other vault", "to": "evil.example"}));
    assert_eq!(other["value"][0]["id"], "https://evil.example/secrets/api-token");
    let other = wrong(&list, &json!({"wrong": "foreign link", "to": "evil.example"}));
    assert!(other["nextLink"].as_str().unwrap().starts_with("https://evil.example/secrets?"), "{other}");
    let other = wrong(&list, &json!({"wrong": "empty page"}));
    assert_eq!(other["value"], json!([]));
    assert_eq!(wrong(&get, &json!({"wrong": "without", "field": "value"}))["value"], Value::Null);
    assert_eq!(wrong(&get, &json!({"wrong": "fields", "fields": {"value": 1}}))["value"], 1);
    let links: Vec<_> =
        (0..2).map(|_| wrong(&list, &json!({"wrong": "repeated link"}))["nextLink"].clone()).collect();
    assert_eq!(links[0], links[1]);
    azure.fail("/secrets", &json!({"wrong": "endless", "times": 2}));
    let links: Vec<_> = (0..2).map(|_| read(&azure, &token, &list)["body"]["nextLink"].clone()).collect();
    assert_ne!(links[0], links[1]);
    assert_eq!(read(&azure, &token, &list)["body"]["nextLink"], Value::Null, "it is over");
}

#[test]
fn answers_can_be_late() {
    let Some(azure) = azure() else { return };
    let token = token(&azure);
    azure.fail("/secrets", &json!({"wait": 1.5, "host": VAULT_HOST, "method": "GET", "times": 2}));
    azure.fail("/secrets", &json!({"wait": 60, "host": LOGIN}));
    azure.fail("/secrets", &json!({"wait": 60, "method": "POST"}));
    let started = Instant::now();
    assert_eq!(read(&azure, &token, &format!("secrets?{API}"))["status"], 200);
    assert!(started.elapsed() > Duration::from_millis(1_500), "{:?}", started.elapsed());
    azure.control("heal", &json!({}));
    let started = Instant::now();
    read(&azure, &token, &format!("secrets?{API}"));
    assert!(started.elapsed() < Duration::from_millis(1_500), "{:?}", started.elapsed());
}
