//! Google's own client for Python in front of the emulator of Google Cloud, without cryokey: what it accepts with all its
//! checks on, and reports as Google's, is what cryokey meets in the other tests.

use serde_json::{Value, json};

use crate::support::google::{Account, Google, LOCATION, NUMBER, PROJECT, google};

const ACCESS: [&str; 4] = ["access", PROJECT, "api-token", "latest"];

fn reads_as(google: &Google, account: &Account, words: &[&str]) -> Value {
    google.judge(google.sandbox_with(&account.key_json), words)
}

fn read(google: &Google, words: &[&str]) -> Value {
    reads_as(google, &google.account(), words)
}

#[track_caller]
fn is_error(read: &Value, status: u16, told: &str) {
    assert_eq!(read["status"], status, "{read}");
    assert!(read["message"].as_str().unwrap().contains(told), "{read}");
}

#[test]
fn a_disabled_a_destroyed_and_a_deleted_secret_are_told_apart() {
    let Some(google) = google() else { return };
    google.put("api-token", "value");
    let account = google.account();
    let name = format!("projects/{NUMBER}/secrets/api-token");
    google.disable("api-token");
    let read = reads_as(&google, &account, &ACCESS);
    is_error(&read, 400, &format!("Secret Version [{name}/versions/1] is in DISABLED state."));
    google.enable("api-token");
    assert_eq!(reads_as(&google, &account, &ACCESS)["value"], "value");
    google.destroy("api-token");
    is_error(&reads_as(&google, &account, &ACCESS), 400, "is in DESTROYED state.");
    google.delete("api-token");
    let read = reads_as(&google, &account, &ACCESS);
    is_error(&read, 404, &format!("Secret [{name}] not found or has no versions."));
}

#[test]
fn a_regional_secret_is_in_a_space_of_its_own() {
    let Some(google) = google() else { return };
    google.put("api-token", "global");
    google.secret("put", "api-token", &json!({"value": "regional", "location": LOCATION}));
    let account = google.account();
    let read = reads_as(&google, &account, &[&ACCESS[..], &[LOCATION]].concat());
    let name = format!("projects/{NUMBER}/locations/{LOCATION}/secrets/api-token/versions/1");
    assert_eq!((&read["value"], &read["name"]), (&json!("regional"), &json!(name)), "{read}");
    assert_eq!(reads_as(&google, &account, &ACCESS)["value"], "global");
    google.delete("api-token");
    is_error(&reads_as(&google, &account, &ACCESS), 404, "not found");
    assert_eq!(reads_as(&google, &account, &["list", PROJECT, "", LOCATION]).as_array().unwrap().len(), 1);
}

#[test]
fn an_account_without_permissions_is_refused() {
    let Some(google) = google() else { return };
    google.put("api-token", "value");
    let account = google.account();
    google.allow(&account.email, &json!({"access": ["api-token"]}));
    let read = reads_as(&google, &account, &["list", PROJECT]);
    is_error(&read, 403, "Permission 'secretmanager.secrets.list' denied");
    assert_eq!(read["reason"], "IAM_PERMISSION_DENIED");
    assert_eq!(reads_as(&google, &account, &ACCESS)["value"], "value");
    let version = ["version", PROJECT, "api-token", "1"];
    is_error(&reads_as(&google, &account, &version), 403, "'secretmanager.versions.get' denied");
    google.allow(&account.email, &json!({"list": true, "access": ["other-token"]}));
    is_error(&reads_as(&google, &account, &ACCESS), 403, "'secretmanager.versions.access' denied");
}

#[test]
fn a_number_an_alias_and_the_latest_name_versions() {
    let Some(google) = google() else { return };
    google.put("api-token", "old");
    google.put("api-token", "new");
    google.secret("alias", "api-token", &json!({"alias": "stable", "version": 1}));
    google.secret("created", "api-token", &json!({"time": 1_600_000_000}));
    let account = google.account();
    let read = |version: &str| reads_as(&google, &account, &["access", PROJECT, "api-token", version]);
    assert_eq!(
        [&read("1"), &read("stable"), &read("latest")].map(|read| read["value"].clone()),
        ["old", "old", "new"]
    );
    is_error(&read("3"), 404, "versions/3] not found.");
    google.disable("api-token");
    is_error(&read("latest"), 400, "versions/2] is in DISABLED state.");
    let version = reads_as(&google, &account, &["version", NUMBER, "api-token", "latest"]);
    let name = format!("projects/{NUMBER}/secrets/api-token/versions/2");
    assert_eq!(version, json!({"name": name, "state": "DISABLED", "created": 1_600_000_000}));
}

#[test]
fn a_list_has_the_newest_first_and_can_be_filtered_and_is_in_pages() {
    let Some(google) = google() else { return };
    for name in ["app_first", "app_second", "other", "app_third"] {
        google.put(name, "value");
    }
    let account = google.account();
    let names = |words: &[&str]| -> Vec<String> {
        let listed = reads_as(&google, &account, &[&["list", PROJECT], words].concat());
        let name = |name: &Value| name.as_str().unwrap().rsplit('/').next().unwrap().to_owned();
        listed.as_array().unwrap_or_else(|| panic!("{listed}")).iter().map(name).collect()
    };
    assert_eq!(names(&[]), ["app_third", "other", "app_second", "app_first"]);
    google.control("pages", &json!({"size": 2}));
    let before = google.seen().len();
    assert_eq!(names(&["name:app_"]), ["app_third", "app_second", "app_first"]);
    assert_eq!(google.seen().len() - before, 2, "{:?}", google.seen());
    assert_eq!(names(&["name:first OR name:oth"]), ["other", "app_first"]);
    assert_eq!(names(&["name:unknown"]).len(), 0);
}

#[test]
fn a_payload_may_be_any_bytes_and_has_a_checksum() {
    let Some(google) = google() else { return };
    google.secret("put", "api-token", &json!({"data": "AAH+/w=="}));
    google.put("check", "123456789");
    assert_eq!(read(&google, &ACCESS)["data"], "AAH+/w==");
    // The check value of the algorithm's catalogue.
    assert_eq!(read(&google, &["access", PROJECT, "check", "1"])["checksum"], 0xE306_9283_u32);
}

#[test]
fn a_project_that_does_not_use_secret_manager_is_told_so() {
    let Some(google) = google() else { return };
    google.control("project", &json!({"id": PROJECT, "number": NUMBER, "is_enabled": false}));
    let read = read(&google, &ACCESS);
    is_error(&read, 403, "Secret Manager API has not been used in project 123456789012 before");
    assert_eq!(read["reason"], "SERVICE_DISABLED");
}

#[test]
fn a_project_that_does_not_exist_is_a_missing_permission() {
    let Some(google) = google() else { return };
    let account = google.account();
    let read = reads_as(&google, &account, &["access", "unknown", "api-token", "latest"]);
    is_error(&read, 403, "'projects/unknown/secrets/api-token/versions/latest' (or it may not exist)");
}

#[test]
fn an_illegal_name_and_an_unknown_filter_are_invalid() {
    let Some(google) = google() else { return };
    let account = google.account();
    let read = reads_as(&google, &account, &["access", PROJECT, "api.token", "latest"]);
    is_error(&read, 400, "Resource ID [projects/123456789012/secrets/api.token] is not in a valid format.");
    is_error(&reads_as(&google, &account, &["list", PROJECT, "name ~ app"]), 400, "invalid argument");
}

#[test]
fn a_secret_without_versions_is_listed_and_not_found() {
    let Some(google) = google() else { return };
    google.secret("empty", "api-token", &json!({}));
    let account = google.account();
    assert_eq!(reads_as(&google, &account, &["list", PROJECT]).as_array().unwrap().len(), 1);
    is_error(&reads_as(&google, &account, &ACCESS), 404, "not found or has no versions.");
}

#[test]
fn faults_reach_the_client_once_and_then_end() {
    let Some(google) = google() else { return };
    google.put("api-token", "value");
    let account = google.account();
    let rules = [
        json!({"status": 429}),
        json!({"status": 500}),
        json!({"status": 503}),
        json!({"wrong": "html"}),
        json!({"wrong": "truncated"}),
    ];
    for rule in rules {
        google.fail(".*:access", &rule);
        let read = reads_as(&google, &account, &ACCESS);
        assert_eq!(read["value"], Value::Null, "{rule}: {read}");
        assert_eq!(read["status"], rule["status"], "{read}");
        assert_eq!(reads_as(&google, &account, &ACCESS)["value"], "value", "{rule}");
    }
}

#[test]
fn a_project_is_named_by_its_number_and_the_client_sets_the_size_of_pages() {
    let Some(google) = google() else { return };
    for name in ["first", "second", "third"] {
        google.put(name, "value");
    }
    let account = google.account();
    let sandbox = google.sandbox_with(&account.key_json).variable("JUDGE_PAGE", "1");
    assert_eq!(google.judge(sandbox, &["list", NUMBER]).as_array().unwrap().len(), 3);
    assert_eq!(google.seen().len(), 3, "{:?}", google.seen());
}
