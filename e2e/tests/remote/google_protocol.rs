//! What the emulator of Google Cloud answers where Google's client never asks, or does not show the answer: by the REST
//! reference of Secret Manager and AIP-4111.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::google::{Account, Google, LOCATION, MANAGER, NUMBER, PROJECT, google};

const CLOUD_PLATFORM: &str = "https://www.googleapis.com/auth/cloud-platform";
const OTHER_KEY_FILE: &str = "/run/secrets/other.json";

/// A request; `more` is its method, its headers and its body.
fn ask(google: &Google, url: &str, more: &Value) -> Value {
    google.ask(google.sandbox(), &["request", url, &more.to_string()])
}

/// A request for a path of Secret Manager's with a token that the account signs, and what is otherwise in it.
fn ask_as(google: &Google, account: &Account, path: &str, changes: &Value) -> Value {
    let url = format!("https://{MANAGER}/v1/projects/{PROJECT}/{path}");
    google.ask(google.sandbox_with(&account.key_json), &["signed", &url, &changes.to_string()])
}

fn list_as(google: &Google, account: &Account, changes: &Value) -> Value {
    ask_as(google, account, "secrets", changes)
}

#[track_caller]
fn is_error(told: &Value, status: u16, code: &str) {
    let error = &told["body"]["error"];
    assert_eq!((&told["status"], &error["code"]), (&json!(status), &json!(status)), "{told}");
    assert_eq!(error["status"], code, "{told}");
}

fn now() -> u64 {
    std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs()
}

#[test]
fn a_request_without_a_token_or_with_an_unknown_one_is_unauthenticated() {
    let Some(google) = google() else { return };
    let url = format!("https://{MANAGER}/v1/projects/{PROJECT}/secrets");
    let missing = ask(&google, &url, &json!({}));
    is_error(&missing, 401, "UNAUTHENTICATED");
    assert_eq!(missing["body"]["error"]["details"][0]["reason"], "CREDENTIALS_MISSING");
    let unknown = ask(&google, &url, &json!({"headers": {"Authorization": "Bearer ya29.unknown"}}));
    is_error(&unknown, 401, "UNAUTHENTICATED");
}

#[test]
fn a_token_that_a_service_account_signed_must_be_sound() {
    let Some(google) = google() else { return };
    let account = google.account();
    assert_eq!(list_as(&google, &account, &json!({}))["status"], 200);
    let audience = json!({"scope": null, "aud": format!("https://{MANAGER}/")});
    assert_eq!(list_as(&google, &account, &json!({"claims": audience}))["status"], 200);
    let claims = [
        json!({"iss": "other@example.com"}),
        json!({"sub": "other@example.com"}),
        json!({"exp": now() - 3600, "iat": now() - 7000}),
        json!({"exp": now() + 4000, "iat": now()}),
        json!({"exp": now() + 4000, "iat": now() + 3000}),
        json!({"scope": null}),
        json!({"scope": null, "aud": "https://oauth2.googleapis.com/token"}),
        json!({"aud": format!("https://{MANAGER}/")}),
    ];
    for claims in claims {
        is_error(&list_as(&google, &account, &json!({"claims": claims})), 401, "UNAUTHENTICATED");
    }
    is_error(&list_as(&google, &account, &json!({"header": {"kid": "other"}})), 401, "UNAUTHENTICATED");
    let scope = json!({"claims": {"scope": "https://www.googleapis.com/auth/devstorage.read_only"}});
    is_error(&list_as(&google, &account, &scope), 403, "PERMISSION_DENIED");
}

#[test]
fn a_token_that_another_key_signed_is_refused() {
    let Some(google) = google() else { return };
    let (account, other) = (google.account(), google.account());
    let sandbox = google.sandbox_with(&account.key_json).file(OTHER_KEY_FILE, &other.key_json);
    let url = format!("https://{MANAGER}/v1/projects/{PROJECT}/secrets");
    let told = google.ask(sandbox, &["signed", &url, &json!({"key": OTHER_KEY_FILE}).to_string()]);
    is_error(&told, 401, "UNAUTHENTICATED");
}

/// A token of a user who may list and read.
fn token(google: &Google) -> Value {
    let user: Value = serde_json::from_str(&google.user().key_json).unwrap();
    let form = json!({
        "grant_type": "refresh_token",
        "refresh_token": user["refresh_token"],
        "client_id": user["client_id"],
        "client_secret": user["client_secret"],
    });
    ask(google, "https://oauth2.googleapis.com/token", &json!({"method": "POST", "data": form}))
}

fn list_with(google: &Google, token: &Value) -> Value {
    let header = format!("Bearer {}", token["body"]["access_token"].as_str().unwrap());
    let url = format!("https://{MANAGER}/v1/projects/{PROJECT}/secrets");
    ask(google, &url, &json!({"headers": {"Authorization": header}}))
}

#[test]
fn a_token_holds_as_long_as_was_said() {
    let Some(google) = google() else { return };
    let sound = token(&google);
    let body = &sound["body"];
    assert_eq!((&body["token_type"], &body["expires_in"]), (&json!("Bearer"), &json!(3599)), "{sound}");
    assert_eq!(list_with(&google, &sound)["status"], 200);
    google.control("tokens", &json!({"lifetime": -1}));
    let expired = list_with(&google, &token(&google));
    is_error(&expired, 401, "UNAUTHENTICATED");
    assert_eq!(expired["body"]["error"]["details"][0]["reason"], "ACCESS_TOKEN_EXPIRED");
    google.control("tokens", &json!({"revoke": true}));
    is_error(&list_with(&google, &sound), 401, "UNAUTHENTICATED");
}

#[test]
fn the_token_endpoints_want_their_forms() {
    let Some(google) = google() else { return };
    let post = |url: &str, form: &Value| ask(&google, url, &json!({"method": "POST", "data": form}));
    let told = post("https://oauth2.googleapis.com/token", &json!({"grant_type": "password"}));
    assert_eq!((&told["status"], &told["body"]["error"]), (&json!(400), &json!("unsupported_grant_type")));
    let told = post("https://sts.googleapis.com/v1/token", &json!({"grant_type": "password"}));
    assert_eq!((&told["status"], &told["body"]["error"]), (&json!(400), &json!("invalid_request")));
}

#[test]
fn a_service_account_may_ask_for_a_token_too() {
    let Some(google) = google() else { return };
    let account = google.account();
    let assertion = json!({"claims": {"aud": "https://oauth2.googleapis.com/token"}});
    let sandbox = google.sandbox_with(&account.key_json);
    let url = "https://oauth2.googleapis.com/token";
    let told = google.ask(sandbox, &["exchanged", url, &assertion.to_string()]);
    assert_eq!(told["body"]["scope"], CLOUD_PLATFORM, "{told}");
    assert_eq!(list_with(&google, &told)["status"], 200);
}

#[test]
fn an_impersonated_account_s_token_has_a_lifetime_and_a_time_of_its_end() {
    let Some(google) = google() else { return };
    let (user, account) = (token(&google), google.account());
    google.allow("user@example.com", &json!({"impersonate": [account.email]}));
    let url = account.impersonation_url();
    let ask = |body: &Value| {
        let header = format!("Bearer {}", user["body"]["access_token"].as_str().unwrap());
        ask(&google, &url, &json!({"method": "POST", "json": body, "headers": {"Authorization": header}}))
    };
    let told = ask(&json!({"scope": [CLOUD_PLATFORM], "lifetime": "600s"}));
    assert!(told["body"]["expireTime"].as_str().unwrap().ends_with('Z'), "{told}");
    let token = json!({"body": {"access_token": told["body"]["accessToken"]}});
    assert_eq!(list_with(&google, &token)["status"], 200);
    is_error(&ask(&json!({"scope": [], "lifetime": "600s"})), 400, "INVALID_ARGUMENT");
    is_error(&ask(&json!({"scope": [CLOUD_PLATFORM], "lifetime": "3601s"})), 400, "INVALID_ARGUMENT");
}

#[test]
fn a_number_of_64_bits_is_text_and_a_state_is_a_word() {
    let Some(google) = google() else { return };
    google.put("check", "123456789");
    let account = google.account();
    let read = ask_as(&google, &account, "secrets/check/versions/latest:access", &json!({}));
    let name = format!("projects/{NUMBER}/secrets/check/versions/1");
    let payload = json!({"data": "MTIzNDU2Nzg5", "dataCrc32c": "3808858755"});
    assert_eq!(read["body"], json!({"name": name, "payload": payload}));
    let version = ask_as(&google, &account, "secrets/check/versions/1", &json!({}));
    assert_eq!(version["body"]["state"], "ENABLED", "{version}");
    assert!(version["body"]["createTime"].as_str().unwrap().ends_with('Z'), "{version}");
}

#[test]
fn a_list_tells_its_total_unless_it_is_filtered() {
    let Some(google) = google() else { return };
    let account = google.account();
    assert_eq!(list_as(&google, &account, &json!({}))["body"], json!({}));
    for name in ["first", "second", "third"] {
        google.put(name, "value");
    }
    let list =
        |query: &str| ask_as(&google, &account, &format!("secrets?{query}"), &json!({}))["body"].clone();
    let page = list("pageSize=2");
    assert_eq!((&page["totalSize"], page["secrets"].as_array().unwrap().len()), (&json!(3), 2), "{page}");
    let next = list(&format!("pageSize=2&pageToken={}", page["nextPageToken"].as_str().unwrap()));
    assert_eq!(next["secrets"][0]["name"], format!("projects/{NUMBER}/secrets/first"), "{next}");
    assert_eq!(next["nextPageToken"], Value::Null);
    assert_eq!(list("filter=name%3Afirst")["totalSize"], Value::Null);
    for wrong in ["pageSize=-1", "pageSize=x", "pageToken=x"] {
        let told = ask_as(&google, &account, &format!("secrets?{wrong}"), &json!({}));
        is_error(&told, 400, "INVALID_ARGUMENT");
    }
}

#[test]
fn a_region_is_asked_at_its_own_host_only() {
    let Some(google) = google() else { return };
    let account = google.account();
    let url = format!("https://{MANAGER}/v1/projects/{PROJECT}/locations/{LOCATION}/secrets");
    let sandbox = google.sandbox_with(&account.key_json);
    is_error(&google.ask(sandbox, &["signed", &url, "{}"]), 400, "INVALID_ARGUMENT");
}

#[test]
fn the_metadata_service_wants_its_header_and_shows_it() {
    let Some(google) = google() else { return };
    google.attach(&google.account(), 300);
    let _metadata = google.metadata();
    let url = "http://metadata.google.internal/computeMetadata/v1/instance/service-accounts/default/token";
    let header = json!({"headers": {"Metadata-Flavor": "Google"}});
    let told = ask(&google, url, &header);
    assert_eq!(told["headers"]["Metadata-Flavor"], "Google");
    assert_eq!((&told["body"]["expires_in"], &told["body"]["token_type"]), (&json!(300), &json!("Bearer")));
    assert_eq!(list_with(&google, &told)["status"], 200);
    assert_eq!(ask(&google, url, &json!({}))["status"], 403);
    let narrow = format!("{url}?scopes=https://www.googleapis.com/auth/devstorage.read_only");
    is_error(&list_with(&google, &ask(&google, &narrow, &header)), 403, "PERMISSION_DENIED");
}

#[test]
fn answers_can_be_wrong() {
    let Some(google) = google() else { return };
    google.put("api-token", "value");
    let account = google.account();
    let payload = |body: &Value| body["payload"].clone();
    let spoilt = |wrong: &str, path: &str| {
        google.fail(".*", &json!({"wrong": wrong}));
        ask_as(&google, &account, path, &json!({}))["body"].clone()
    };
    let access = "secrets/api-token/versions/latest:access";
    let sound = ask_as(&google, &account, access, &json!({}))["body"].clone();
    assert_ne!(payload(&spoilt("other checksum", access))["dataCrc32c"], sound["payload"]["dataCrc32c"]);
    assert_eq!(payload(&spoilt("no checksum", access)), json!({"data": sound["payload"]["data"]}));
    assert_eq!(payload(&spoilt("no payload", access)), Value::Null);
    assert_eq!(payload(&spoilt("no base64", access))["data"], "*");
    let other = |number: &str, name: &str| json!(format!("projects/{number}/secrets/{name}/versions/1"));
    assert_eq!(spoilt("other name", access)["name"], other(NUMBER, "another-secret"));
    assert_eq!(spoilt("other project", access)["name"], other("999999999999", "api-token"));
    let name = format!("projects/{NUMBER}/secrets/another-secret");
    assert_eq!(spoilt("other name", "secrets")["secrets"][0]["name"], name);
    assert!(spoilt("html", access).is_string() && spoilt("truncated", access).is_null());
}

#[test]
fn a_list_can_be_without_end() {
    let Some(google) = google() else { return };
    google.put("api-token", "value");
    let account = google.account();
    for (wrong, is_repeated) in [("endless", false), ("repeated token", true), ("empty page", true)] {
        google.fail(".*/secrets", &json!({"wrong": wrong, "times": 3}));
        let mut tokens = vec![String::new()];
        for _ in 0..3 {
            let query = format!("secrets?pageToken={}", tokens.last().unwrap());
            let page = ask_as(&google, &account, &query, &json!({}));
            assert_eq!(page["status"], 200, "{page}");
            tokens.push(page["body"]["nextPageToken"].as_str().unwrap().replace('=', "%3D"));
        }
        assert_eq!(tokens[2] == tokens[3], is_repeated, "{wrong}: {tokens:?}");
        google.control("heal", &json!({}));
    }
}

#[test]
fn answers_can_be_late() {
    let Some(google) = google() else { return };
    let account = google.account();
    google.fail(".*", &json!({"wait": 1}));
    let start = Instant::now();
    assert_eq!(list_as(&google, &account, &json!({}))["status"], 200);
    assert!(start.elapsed() >= Duration::from_secs(1));
}

#[test]
fn the_log_of_requests_has_no_values() {
    let Some(google) = google() else { return };
    google.put("api-token", "a-secret-value");
    let token = token(&google);
    list_with(&google, &token);
    let log = google.control("log", &json!({})).to_string();
    for secret in
        ["a-secret-value", "client-secret", "1//refresh", token["body"]["access_token"].as_str().unwrap()]
    {
        assert!(!log.contains(secret), "{log}");
    }
}
