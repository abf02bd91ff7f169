//! Google's own client for Python in front of the emulator of Google Cloud, without cryokey: what it accepts with all its
//! checks on, and reports as Google's, is what cryokey meets in the other tests.

use serde_json::{Value, json};

use crate::support::google::{
    AUDIENCE, Account, Google, HOSTS, LOCATION, MANAGER, NUMBER, PRINCIPAL, PROJECT, google,
};
use crate::support::{Sandbox, canary};

const ACCESS: [&str; 4] = ["access", PROJECT, "api-token", "latest"];
const KEY_FILE: &str = "/run/secrets/google.json";

fn sandbox(google: &Google) -> Sandbox {
    let sandbox = Sandbox::new(google.network());
    HOSTS.into_iter().fold(sandbox, |sandbox, name| sandbox.host(name, google.tls().ip()))
}

/// With a file of credentials.
fn with_file(google: &Google, content: &str) -> Sandbox {
    sandbox(google).file(KEY_FILE, content).variable("GOOGLE_APPLICATION_CREDENTIALS", KEY_FILE)
}

fn reads_as(google: &Google, account: &Account, words: &[&str]) -> Value {
    google.judge(with_file(google, &account.key_json), words)
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
fn a_service_account_lists_and_reads_with_a_token_that_it_signs_itself() {
    let Some(google) = google() else { return };
    let value = canary();
    google.put("api-token", &value);
    let account = google.account();
    let name = format!("projects/{NUMBER}/secrets/api-token");
    assert_eq!(reads_as(&google, &account, &["list", PROJECT]), json!([name]));
    let read = reads_as(&google, &account, &ACCESS);
    assert_eq!(
        (&read["value"], &read["name"]),
        (&json!(value), &json!(format!("{name}/versions/1"))),
        "{read}"
    );
    assert!(google.seen().iter().all(|seen| !seen.line.contains("oauth2")), "it asked for a token");
    assert_eq!(google.seen().len(), 2, "{:?}", google.seen());
    assert!(google.seen()[0].line.starts_with(&format!("GET {MANAGER}/v1/projects/{PROJECT}/secrets?")));
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

/// Whoever this is reads a secret.
#[track_caller]
fn reads_a_secret(google: &Google, sandbox: Sandbox) {
    let value = canary();
    google.put("api-token", &value);
    let read = google.judge(sandbox, &ACCESS);
    assert_eq!(read["value"], Value::from(value), "{read}");
}

/// It got no token, for this reason.
#[track_caller]
fn is_refused(read: &Value, reason: &str) {
    const KINDS: [&str; 3] = ["RefreshError", "OAuthError", "DefaultCredentialsError"];
    assert!(KINDS.contains(&read["error"].as_str().unwrap_or_default()), "{read}");
    assert!(read["message"].as_str().unwrap().contains(reason), "{read}");
}

#[test]
fn an_account_that_is_not_known_is_unauthenticated() {
    let Some(google) = google() else { return };
    let (account, other) = (google.account(), google.account());
    google.control("reset", &json!({}));
    google.control("project", &json!({"id": PROJECT, "number": NUMBER}));
    for account in [account, other] {
        is_error(
            &reads_as(&google, &account, &ACCESS),
            401,
            "Request had invalid authentication credentials.",
        );
    }
}

#[test]
fn a_user_comes_with_a_refresh_token() {
    let Some(google) = google() else { return };
    let user = google.user();
    reads_a_secret(&google, with_file(&google, &user.key_json));
    let adc = "/run/home/.config/gcloud/application_default_credentials.json";
    reads_a_secret(&google, sandbox(&google).variable("HOME", "/run/home").file(adc, &user.key_json));
    for (right, error) in [("1//refresh-token", "invalid_grant"), ("client-secret", "invalid_client")] {
        let wrong = user.key_json.replace(right, "wrong");
        is_refused(&google.judge(with_file(&google, &wrong), &ACCESS), error);
    }
}

/// With credentials for who has a token of another issuer. Without the variable, the client asks for the project's id.
fn with_external(google: &Google, subject_token_type: &str, source: &Value, more: &Value) -> Sandbox {
    let mut file = json!({
        "type": "external_account",
        "audience": AUDIENCE,
        "subject_token_type": format!("urn:ietf:params:{subject_token_type}"),
        "token_url": "https://sts.googleapis.com/v1/token",
        "credential_source": source,
    });
    file.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    with_file(google, &file.to_string()).variable("GOOGLE_CLOUD_PROJECT", PROJECT)
}

const TOKEN_FILE: &str = "/run/secrets/tokens/google";

fn workload(google: &Google, token: &str, more: &Value) -> Sandbox {
    let sandbox = with_external(google, "oauth:token-type:jwt", &json!({"file": TOKEN_FILE}), more);
    sandbox.file(TOKEN_FILE, token)
}

#[test]
fn a_workload_exchanges_the_token_of_another_issuer() {
    let Some(google) = google() else { return };
    google.workload("header.claims.signature");
    reads_a_secret(&google, workload(&google, "header.claims.signature", &json!({})));
    let form = google.seen().into_iter().find(|seen| seen.line.contains("sts.googleapis.com")).unwrap().form;
    let expected =
        ["audience", "grant_type", "requested_token_type", "scope", "subject_token", "subject_token_type"];
    assert!(expected.iter().all(|name| form.contains(&(*name).to_owned())), "{form:?}");
    is_refused(
        &google.judge(workload(&google, "header.other.signature", &json!({})), &ACCESS),
        "invalid_grant",
    );
}

#[test]
fn a_workload_becomes_a_service_account_if_it_may() {
    let Some(google) = google() else { return };
    let account = google.account();
    google.workload("header.claims.signature");
    let url = format!(
        "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/{}:generateAccessToken",
        account.email
    );
    let more = json!({"service_account_impersonation_url": url});
    let become_it = || workload(&google, "header.claims.signature", &more);
    is_refused(&google.judge(become_it(), &ACCESS), "iam.serviceAccounts.getAccessToken");
    google.allow(PRINCIPAL, &json!({"impersonate": [account.email]}));
    reads_a_secret(&google, become_it());
}

#[test]
fn a_user_becomes_a_service_account() {
    let Some(google) = google() else { return };
    let (user, account) = (google.user(), google.account());
    google.allow(&user.email, &json!({"impersonate": [account.email]}));
    let source: Value = serde_json::from_str(&user.key_json).unwrap();
    let url = format!(
        "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/{}:generateAccessToken",
        account.email
    );
    let file = json!({
        "type": "impersonated_service_account",
        "service_account_impersonation_url": url,
        "source_credentials": source,
    });
    reads_a_secret(&google, with_file(&google, &file.to_string()));
}

#[test]
fn a_workload_of_aws_sends_a_signed_request_for_its_identity() {
    let Some(google) = google() else { return };
    google.workload_of_aws("AKIAIOSFODNN7EXAMPLE", "right");
    let source = json!({
        "environment_id": "aws1",
        "regional_cred_verification_url":
            "https://sts.{region}.amazonaws.com?Action=GetCallerIdentity&Version=2011-06-15",
    });
    let workload = |secret: &str, key: &str| {
        with_external(&google, "aws:token-type:aws4_request", &source, &json!({}))
            .variable("AWS_REGION", "eu-central-1")
            .variable("AWS_ACCESS_KEY_ID", key)
            .variable("AWS_SECRET_ACCESS_KEY", secret)
    };
    reads_a_secret(&google, workload("right", "AKIAIOSFODNN7EXAMPLE"));
    let temporary = workload("right", "AKIAIOSFODNN7EXAMPLE").variable("AWS_SESSION_TOKEN", "session");
    reads_a_secret(&google, temporary);
    is_refused(&google.judge(workload("wrong", "AKIAIOSFODNN7EXAMPLE"), &ACCESS), "does not match");
    is_refused(&google.judge(workload("right", "AKIAI44QH8DHBEXAMPLE"), &ACCESS), "invalid_grant");
}

fn machine(google: &Google) -> Sandbox {
    sandbox(google).host("metadata.google.internal", [169, 254, 169, 254].into())
}

#[test]
fn a_machine_has_a_service_account() {
    let Some(google) = google() else { return };
    google.attach(&google.account(), 300);
    let _metadata = google.metadata();
    reads_a_secret(&google, machine(&google));
    assert!(google.seen().iter().any(|seen| seen.line.contains("/service-accounts/default/token")));
}

#[test]
fn a_machine_without_a_service_account_gets_no_token() {
    let Some(google) = google() else { return };
    let _metadata = google.metadata();
    is_refused(&google.judge(machine(&google), &ACCESS), "404");
}

#[test]
fn a_metadata_service_may_fail_at_first_and_then_works() {
    let Some(google) = google() else { return };
    google.attach(&google.account(), 3599);
    let _metadata = google.metadata();
    google.fail(".*/token", &json!({"status": 503, "times": 2}));
    reads_a_secret(&google, machine(&google));
    google.fail(".*", &json!({"status": 0, "times": 1}));
    reads_a_secret(&google, machine(&google));
}

#[test]
fn what_answers_without_the_header_is_no_metadata_service() {
    let Some(google) = google() else { return };
    google.attach(&google.account(), 3599);
    let _metadata = google.metadata();
    google.fail("/", &json!({"status": 200, "body": "computeMetadata/", "times": 9}));
    is_refused(&google.judge(machine(&google), &ACCESS), "credentials were not found");
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
