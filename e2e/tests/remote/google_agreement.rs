//! Google's own client and cryokey read the same secret of the same emulator with the same credentials, or are refused for
//! the same reason.

use std::fs;

use serde_json::{Value, json};

use crate::support::google::{AUDIENCE, Google, HOSTS, LOCATION, NUMBER, PRINCIPAL, PROJECT, google};
use crate::support::{Outcome, Sandbox, canary};

const ACCESS: [&str; 4] = ["access", PROJECT, "app_API_TOKEN", "latest"];
const KEY_FILE: &str = "/run/credentials/google.json";
const TOKEN_FILE: &str = "/run/secrets/tokens/google";
const REQUIRED: &str = "[secret.API_TOKEN]\nrequired = true\n";

fn sandbox(google: &Google) -> Sandbox {
    let authority = fs::read(google.authority().certificate()).unwrap();
    let sandbox = Sandbox::new(google.network())
        .file("/etc/google-authority.pem", authority)
        .variable("SSL_CERT_FILE", "/etc/google-authority.pem")
        .variable("EXTERNAL_SECRET_PROVIDER", "gcp")
        .variable("GCP_PROJECT_ID", PROJECT)
        // Google's client would ask for it.
        .variable("GOOGLE_CLOUD_PROJECT", PROJECT)
        .variable("GCP_SECRET_PREFIX", "app_")
        .manifest(REQUIRED);
    HOSTS.into_iter().fold(sandbox, |sandbox, name| sandbox.host(name, google.tls().ip()))
}

/// With a file of credentials that the variable names.
fn with_file(google: &Google, content: &str) -> Sandbox {
    sandbox(google).file(KEY_FILE, content).variable("GOOGLE_APPLICATION_CREDENTIALS", KEY_FILE)
}

fn with_key(google: &Google) -> Sandbox {
    with_file(google, &google.account().key_json)
}

fn stored(google: &Google) -> String {
    let value = canary();
    google.put("app_API_TOKEN", &value);
    value
}

/// Both read the value and the same version; what cryokey said.
#[track_caller]
fn both_read(google: &Google, sandbox: Sandbox, words: &[&str], value: &str) -> Outcome {
    let sandbox = sandbox.watch(value);
    let outcome = sandbox.start();
    outcome.app().has("API_TOKEN", value);
    google.keeps_credentials(&outcome);
    let judged = google.judge(sandbox, words);
    assert_eq!(judged["value"], Value::from(value), "Google's client: {judged}");
    let number = judged["name"].as_str().unwrap().rsplit_once('/').unwrap().1.to_owned();
    outcome.says(&format!("version {number}"));
    outcome
}

/// Both are refused: with this status and text there, and with this exit code and reason here.
#[track_caller]
fn both_refused(google: &Google, sandbox: Sandbox, theirs: (u16, &str), ours: (i32, &str)) -> Outcome {
    let outcome = sandbox.start();
    outcome.refused(ours.0, "resolve", "API_TOKEN", ours.1);
    let judged = google.judge(sandbox, &ACCESS);
    assert_eq!(judged["status"], json!(theirs.0), "{judged}");
    assert!(judged["message"].as_str().unwrap().contains(theirs.1), "{judged}");
    outcome
}

/// Neither signs in, for the reason that Google's service gives.
#[track_caller]
fn neither_signs_in(google: &Google, sandbox: Sandbox, reason: &str) -> Outcome {
    let outcome = sandbox.start();
    outcome.refused(77, "resolve", "API_TOKEN", "denied");
    google.keeps_credentials(&outcome);
    let judged = google.judge(sandbox, &ACCESS);
    assert!(judged["message"].as_str().unwrap().contains(reason), "{judged}");
    outcome
}

#[test]
fn a_service_account_with_its_key_as_a_secret_file_or_as_a_path() {
    let Some(google) = google() else { return };
    let (value, account) = (stored(&google), google.account());
    let path = "/run/secrets/GOOGLE_APPLICATION_CREDENTIALS";
    let mounted = sandbox(&google).file(path, &account.key_json);
    mounted.start().says(&account.email).app().has("API_TOKEN", &value);
    let tokens = google.seen().into_iter().filter(|seen| seen.line.contains("oauth2")).count();
    assert_eq!(tokens, 0, "it signs its token itself");
    let named = mounted.variable("GOOGLE_APPLICATION_CREDENTIALS", path);
    both_read(&google, named, &ACCESS, &value);
    both_read(&google, with_file(&google, &account.key_json), &ACCESS, &value).says(KEY_FILE);
}

#[test]
fn the_project_is_by_default_that_of_the_key() {
    let Some(google) = google() else { return };
    let value = stored(&google);
    let without = with_key(&google).variable("GCP_PROJECT_ID", "").variable("GOOGLE_CLOUD_PROJECT", "");
    without.start().app().has("API_TOKEN", &value);
}

#[test]
fn a_user_with_the_file_of_gcloud() {
    let Some(google) = google() else { return };
    let (value, user) = (stored(&google), google.user());
    both_read(&google, with_file(&google, &user.key_json), &ACCESS, &value);
    let path = "/run/home/.config/gcloud/application_default_credentials.json";
    let home = sandbox(&google).variable("HOME", "/run/home").file(path, &user.key_json);
    both_read(&google, home, &ACCESS, &value).says(path);
    let wrong = user.key_json.replace("1//refresh-token", "another-refresh-token");
    neither_signs_in(&google, with_file(&google, &wrong), "invalid_grant").says("gcloud auth");
}

/// Credentials for who has a token of another issuer.
fn external(subject_token_type: &str, source: &Value, more: &Value) -> String {
    let mut file = json!({
        "type": "external_account",
        "audience": AUDIENCE,
        "subject_token_type": format!("urn:ietf:params:{subject_token_type}"),
        "token_url": "https://sts.googleapis.com/v1/token",
        "credential_source": source,
    });
    file.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    file.to_string()
}

fn workload(google: &Google, token: &str, more: &Value) -> Sandbox {
    let file = external("oauth:token-type:jwt", &json!({"file": TOKEN_FILE}), more);
    with_file(google, &file).file(TOKEN_FILE, token).watch(token)
}

fn impersonation(email: &str) -> String {
    format!("https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/{email}:generateAccessToken")
}

fn issued() -> String {
    format!("header.{}.signature", "a".repeat(40))
}

#[test]
fn a_workload_with_the_token_of_another_issuer() {
    let Some(google) = google() else { return };
    let (value, token) = (stored(&google), issued());
    google.workload(&token);
    both_read(&google, workload(&google, &token, &json!({})), &ACCESS, &value).says(TOKEN_FILE);
    let other = format!("header.{}.signature", "b".repeat(40));
    neither_signs_in(&google, workload(&google, &other, &json!({})), "invalid_grant");
}

#[test]
fn a_workload_that_becomes_a_service_account() {
    let Some(google) = google() else { return };
    let (value, account, token) = (stored(&google), google.account(), issued());
    google.workload(&token);
    let more = json!({"service_account_impersonation_url": impersonation(&account.email)});
    let become_it = || workload(&google, &token, &more);
    neither_signs_in(&google, become_it(), "iam.serviceAccounts.getAccessToken")
        .says("serviceAccountTokenCreator");
    google.allow(PRINCIPAL, &json!({"impersonate": [account.email]}));
    both_read(&google, become_it(), &ACCESS, &value).says(&account.email);
}

#[test]
fn a_user_who_becomes_a_service_account() {
    let Some(google) = google() else { return };
    let (value, user, account) = (stored(&google), google.user(), google.account());
    google.allow(&user.email, &json!({"impersonate": [account.email]}));
    let source: Value = serde_json::from_str(&user.key_json).unwrap();
    let file = json!({
        "type": "impersonated_service_account",
        "service_account_impersonation_url": impersonation(&account.email),
        "source_credentials": source,
    });
    both_read(&google, with_file(&google, &file.to_string()), &ACCESS, &value).says(&account.email);
}

#[test]
fn a_workload_of_aws() {
    let Some(google) = google() else { return };
    let (value, key) = (stored(&google), canary());
    google.workload_of_aws("AKIAIOSFODNN7EXAMPLE", &key);
    let source = json!({
        "environment_id": "aws1",
        "regional_cred_verification_url":
            "https://sts.{region}.amazonaws.com?Action=GetCallerIdentity&Version=2011-06-15",
    });
    let file = external("aws:token-type:aws4_request", &source, &json!({}));
    let workload = |secret: &str| {
        with_file(&google, &file)
            .variable("AWS_REGION", "eu-central-1")
            .variable("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
            .credential("AWS_SECRET_ACCESS_KEY", secret)
    };
    both_read(&google, workload(&key), &ACCESS, &value).says("the identity at AWS");
    both_read(&google, workload(&key).variable("AWS_SESSION_TOKEN", "session"), &ACCESS, &value);
    neither_signs_in(&google, workload(&canary()), "does not match");
}

#[test]
fn a_machine_with_a_service_account() {
    let Some(google) = google() else { return };
    let value = stored(&google);
    google.attach(&google.account(), 300);
    let _metadata = google.metadata();
    let machine = || sandbox(&google).host("metadata.google.internal", [169, 254, 169, 254].into());
    both_read(&google, machine(), &ACCESS, &value).says("from http://169.254.169.254");
    let named = machine().variable("GCE_METADATA_HOST", "metadata.google.internal");
    both_read(&google, named, &ACCESS, &value);
}

#[test]
fn a_number_an_alias_and_the_latest_version() {
    let Some(google) = google() else { return };
    let (old, new) = (stored(&google), canary());
    google.put("app_API_TOKEN", &new);
    google.secret("alias", "app_API_TOKEN", &json!({"alias": "blue", "version": 1}));
    both_read(&google, with_key(&google), &ACCESS, &new);
    for (spelling, version) in [
        (format!("gcp:{PROJECT}/app_API_TOKEN@1"), "1"),
        ("gcp:app_API_TOKEN@blue".to_owned(), "blue"),
        (format!("gcp:secretmanager:projects/{NUMBER}/secrets/app_API_TOKEN/versions/1"), "1"),
        (format!("sm://{PROJECT}/app_API_TOKEN#1"), "1"),
    ] {
        let text = format!("[secret.API_TOKEN]\nfrom = [\"{spelling}\"]\n");
        let sandbox = with_key(&google).manifest(&text);
        both_read(&google, sandbox, &["access", PROJECT, "app_API_TOKEN", version], &old);
    }
}

#[test]
fn a_field_of_a_secret_and_a_secret_of_the_prefixs_own_name() {
    let Some(google) = google() else { return };
    google.put("app_db", r#"{"user":"u","password":"p & q","port":5432}"#);
    let text =
        "[secret.PASSWORD]\nfrom = [\"gcp:app_db#password\"]\n[secret.PORT]\nfrom = [\"gcp:app_db#/port\"]\n";
    let outcome = with_key(&google).manifest(text).start();
    outcome.app().has("PASSWORD", "p & q").has("PORT", "5432");
    google.put("bundle", r#"{"API_TOKEN":"from the bundle"}"#);
    let bundle = with_key(&google).variable("GCP_SECRET_PREFIX", "bundle");
    bundle.start().app().has("API_TOKEN", "from the bundle");
}

#[test]
fn a_regional_secret() {
    let Some(google) = google() else { return };
    let (global, regional) = (stored(&google), canary());
    google.secret("put", "app_API_TOKEN", &json!({"value": regional, "location": LOCATION}));
    let words = [&ACCESS[..], &[LOCATION]].concat();
    let there = with_key(&google).variable("CRYOKEY_GCP_LOCATION", LOCATION);
    both_read(&google, there, &words, &regional);
    let reference = format!("gcp:projects/{PROJECT}/locations/{LOCATION}/secrets/app_API_TOKEN");
    let text = format!("[secret.API_TOKEN]\nfrom = [\"{reference}\"]\n");
    both_read(&google, with_key(&google).manifest(&text), &words, &regional);
    both_read(&google, with_key(&google), &ACCESS, &global);
}

#[test]
fn sixty_secrets_on_pages_and_none_outside_of_the_prefix() {
    let Some(google) = google() else { return };
    google.control("pages", &json!({"size": 25}));
    for number in 0..60 {
        google.put(&format!("app_S{number:02}"), &format!("value {number}"));
    }
    for outside in ["application", "my_app_X", "App_Y", "other"] {
        google.put(outside, "outside");
    }
    let sandbox = with_key(&google).manifest("");
    let outcome = sandbox.start();
    let app = outcome.app();
    for number in 0..60 {
        app.has(&format!("S{number:02}"), format!("value {number}"));
    }
    for name in ["LICATION", "APPLICATION", "X", "Y", "OTHER"] {
        app.has_no(name);
    }
    let judged = google.judge(sandbox, &["list", PROJECT, "name:app_"]);
    assert!(judged.as_array().unwrap().len() > 60, "the filter finds names that contain it: {judged}");
}

#[test]
fn d13_a_disabled_or_destroyed_version() {
    let Some(google) = google() else { return };
    stored(&google);
    google.put("app_OTHER", "value");
    google.disable("app_OTHER");
    google.disable("app_API_TOKEN");
    let told = both_refused(&google, with_key(&google), (400, "DISABLED"), (66, "missing"));
    told.says("app_API_TOKEN is disabled");
    google.destroy("app_API_TOKEN");
    let told = both_refused(&google, with_key(&google), (400, "DESTROYED"), (66, "missing"));
    told.says("app_API_TOKEN is destroyed");
    let optional = with_key(&google).manifest("[secret.UNRELATED]\n");
    optional.start().app().has_no("OTHER");
}

#[test]
fn an_unknown_secret_and_one_without_versions() {
    let Some(google) = google() else { return };
    both_refused(&google, with_key(&google), (404, "not found"), (66, "missing"));
    google.secret("empty", "app_API_TOKEN", &json!({}));
    both_refused(&google, with_key(&google), (404, "no versions"), (66, "missing"));
}

#[test]
fn an_account_that_may_not_list_or_access() {
    let Some(google) = google() else { return };
    let (value, account) = (stored(&google), google.account());
    let sandbox = || with_file(&google, &account.key_json);
    google.allow(&account.email, &json!({"access": ["app_API_TOKEN"]}));
    both_read(&google, sandbox(), &ACCESS, &value)
        .warns(&["may not be listed", "roles/secretmanager.viewer"]);
    google.allow(&account.email, &json!({"list": true}));
    let told = both_refused(&google, sandbox(), (403, "secretmanager.versions.access"), (77, "denied"));
    told.says(&format!(
        "gcloud secrets add-iam-policy-binding app_API_TOKEN --project {PROJECT} --member serviceAccount:{}",
        account.email
    ));
    told.says("roles/secretmanager.secretAccessor");
}

#[test]
fn the_age_of_a_version_needs_a_permission_and_one_more_request() {
    let Some(google) = google() else { return };
    let (value, account) = (stored(&google), google.account());
    google.secret("created", "app_API_TOKEN", &json!({"time": 1_600_000_000}));
    let limited = format!("{REQUIRED}rotate_every = \"90d\"\n");
    let sandbox = || with_file(&google, &account.key_json).manifest(&limited);
    let outcome = sandbox().variable("STRICT_ROTATION_MODE", "true").start();
    outcome.refused(78, "resolve", "API_TOKEN", "rotation").says("days old");
    let judged = google.judge(sandbox(), &["version", PROJECT, "app_API_TOKEN", "latest"]);
    assert_eq!(judged["created"], 1_600_000_000, "{judged}");
    google.allow(&account.email, &json!({"list": true, "access": true}));
    let unknown = sandbox().variable("STRICT_ROTATION_MODE", "true").start();
    unknown.refused(78, "resolve", "API_TOKEN", "rotation").says("unknown age");
    sandbox().start().app().has("API_TOKEN", &value);
    let before = google.seen().len();
    with_file(&google, &account.key_json).start().app().has("API_TOKEN", &value);
    assert_eq!(google.seen().len() - before, 2, "without a limit there is no question");
}

#[test]
fn a_project_that_does_not_use_secret_manager() {
    let Some(google) = google() else { return };
    stored(&google);
    google.control("project", &json!({"id": PROJECT, "number": NUMBER, "is_enabled": false}));
    let outcome = with_key(&google).start();
    outcome.refused(77, "resolve", "API_TOKEN", "denied");
    outcome.says(&format!("gcloud services enable secretmanager.googleapis.com --project {PROJECT}"));
}

#[test]
fn check_and_explain_show_the_service_the_sign_in_and_the_version() {
    let Some(google) = google() else { return };
    let (value, account) = (stored(&google), google.account());
    let sandbox = with_file(&google, &account.key_json).watch(&value);
    for line in [&["check"][..], &["explain", "API_TOKEN"]] {
        let outcome = sandbox.command(line);
        assert_eq!(outcome.code, 0, "{}", outcome.stderr);
        assert!(outcome.printed().contains("app_API_TOKEN"), "{}", outcome.printed());
        google.keeps_credentials(&outcome);
    }
    let table = sandbox.command(&["check"]);
    for told in ["https://secretmanager.googleapis.com", &account.email, "(version 1)"] {
        assert!(table.printed().contains(told), "{told} is not in {}", table.printed());
    }
    google.destroy("app_API_TOKEN");
    assert_eq!(sandbox.command(&["check"]).code, 66, "as run");
}
