//! What goes wrong at Google: answers of the emulator that no real service gives, or seldom, and credentials that cannot
//! be used.

use std::fs;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::google::{Account, Google, HOSTS, NUMBER, PROJECT, google};
use crate::support::{Outcome, Sandbox, Service, canary};

const MOUNTED: &str = "/run/secrets/GOOGLE_APPLICATION_CREDENTIALS";

/// A project with one secret, and a service account that may read it.
struct Scene {
    google: Google,
    account: Account,
    value: String,
}

impl Scene {
    fn open() -> Option<Self> {
        let (google, value) = (google()?, canary());
        let account = google.account();
        google.put("app_API_TOKEN", &value);
        Some(Self { google, account, value })
    }

    fn without_identity(&self) -> Sandbox {
        let authority = fs::read(self.google.authority().certificate()).unwrap();
        let sandbox = Sandbox::new(self.google.network())
            .manifest("[secret.API_TOKEN]\nrequired = true\n")
            .file("/etc/google-authority.pem", authority)
            .variable("SSL_CERT_FILE", "/etc/google-authority.pem")
            .variable("EXTERNAL_SECRET_PROVIDER", "gcp")
            .variable("GCP_PROJECT_ID", PROJECT)
            .variable("GCP_SECRET_PREFIX", "app_")
            .watch(&self.value);
        HOSTS.into_iter().fold(sandbox, |sandbox, name| sandbox.host(name, self.google.tls().ip()))
    }

    fn sandbox(&self) -> Sandbox {
        self.without_identity().file(MOUNTED, &self.account.key_json)
    }

    /// What cryokey says where requests to a path fail by this rule, always.
    fn with(&self, path: &str, rule: &Value) -> Outcome {
        let mut rule = rule.clone();
        rule["times"] = json!(1_000_000);
        self.google.control("heal", &json!({}));
        self.google.fail(path, &rule);
        self.sandbox().variable("CRYOKEY_START_TIMEOUT", "2s").start()
    }
}

const LIST: &str = "/v1/projects/[^/]+/secrets";
const VALUE: &str = ".*:access";

#[test]
fn d16_d17_d19_an_answer_that_is_none_is_nonsense() {
    let Some(scene) = Scene::open() else { return };
    for (path, wrong) in [
        (LIST, "html"),
        (LIST, "truncated"),
        (VALUE, "html"),
        (VALUE, "truncated"),
        (VALUE, "other name"),
        (VALUE, "no payload"),
        (VALUE, "no base64"),
    ] {
        let outcome = scene.with(path, &json!({ "wrong": wrong }));
        outcome.refused(76, "resolve", "API_TOKEN", "nonsense").does_not_say("does not exist");
    }
}

#[test]
fn d19_an_answer_of_another_project_is_noticed_where_the_project_is_known_by_its_number() {
    let Some(scene) = Scene::open() else { return };
    scene.google.fail(VALUE, &json!({"wrong": "other project", "times": 9}));
    let outcome = scene.sandbox().variable("GCP_PROJECT_ID", NUMBER).start();
    outcome.refused(76, "resolve", "API_TOKEN", "nonsense");
}

#[test]
fn d20_a_wrong_checksum_is_worth_one_more_request() {
    let Some(scene) = Scene::open() else { return };
    scene.google.fail(VALUE, &json!({"wrong": "other checksum"}));
    scene.sandbox().start().app().has("API_TOKEN", &scene.value);
    let outcome = scene.with(VALUE, &json!({"wrong": "other checksum"}));
    outcome.refused(76, "resolve", "API_TOKEN", "nonsense").says("checksum");
    let missing = scene.with(VALUE, &json!({"wrong": "no checksum"}));
    missing.app().has("API_TOKEN", &scene.value);
}

#[test]
fn d21_a_list_that_does_not_end_is_nonsense() {
    let Some(scene) = Scene::open() else { return };
    for wrong in ["endless", "repeated token", "empty page"] {
        scene.google.control("heal", &json!({}));
        scene.google.fail(LIST, &json!({"wrong": wrong, "times": 1_000_000}));
        let outcome = scene.sandbox().start();
        outcome.refused(76, "resolve", "API_TOKEN", "nonsense").says("does not come to an end");
    }
}

#[test]
fn d07_d10_a_throttled_or_failing_service_is_waited_for_and_is_temporary_at_the_end() {
    let Some(scene) = Scene::open() else { return };
    let throttled = json!({"status": 429, "headers": {"Retry-After": "1"}});
    for rule in [throttled, json!({"status": 503}), json!({"status": 500, "body": "<html>"})] {
        scene.google.fail("/v1/.*", &rule);
        scene.sandbox().start().app().has("API_TOKEN", &scene.value);
        scene.with("/v1/.*", &rule).refused(75, "resolve", "API_TOKEN", "unreachable");
        scene.google.control("heal", &json!({}));
    }
}

#[test]
fn e19_a_key_that_google_does_not_know_is_denied() {
    let Some(scene) = Scene::open() else { return };
    let key: Value = serde_json::from_str(&scene.account.key_json).unwrap();
    let id = key["private_key_id"].as_str().unwrap();
    let unknown = scene.account.key_json.replace(id, "0000000000000000000000000000000000000000");
    let outcome = scene.without_identity().file(MOUNTED, unknown).start();
    outcome
        .refused(77, "resolve", "API_TOKEN", "denied")
        .says("rejects the token")
        .says("service-accounts keys list");
}

#[test]
fn e17_what_answers_without_the_header_is_no_metadata_service() {
    let Some(scene) = Scene::open() else { return };
    let token = canary();
    let body = json!({"access_token": token, "expires_in": 3599}).to_string();
    let answer = move |_: &_| (200, body.clone());
    let _service = Service::start(scene.google.network(), [169, 254, 169, 254], Duration::ZERO, answer);
    let outcome = scene.without_identity().watch(&token).start();
    outcome.refused(69, "resolve", "API_TOKEN", "untrusted").says("Metadata-Flavor");
    let asked = scene.google.seen().into_iter().filter(|seen| seen.line.contains("secretmanager")).count();
    assert_eq!(asked, 0, "its token is not used");
}

#[test]
fn a_metadata_service_that_starts_late_or_fails_at_first_is_waited_for() {
    let Some(scene) = Scene::open() else { return };
    scene.google.attach(&scene.account, 300);
    {
        let _metadata = scene.google.metadata();
        scene.google.fail(".*/token", &json!({"status": 503, "times": 2}));
        scene.without_identity().start().app().has("API_TOKEN", &scene.value);
    }
    let sandbox = scene.without_identity();
    let running = sandbox.spawn(crate::support::SHOW);
    std::thread::sleep(Duration::from_secs(1));
    let _metadata = scene.google.metadata();
    running.wait().app().has("API_TOKEN", &scene.value);
}

#[test]
fn e13_a_machine_without_a_service_account_or_a_metadata_service_is_told_what_to_do() {
    let Some(scene) = Scene::open() else { return };
    {
        let _metadata = scene.google.metadata();
        let outcome = scene.without_identity().start();
        outcome.refused(77, "resolve", "API_TOKEN", "denied").says("no service account is attached");
    }
    let _nobody = Service::nobody();
    let outcome = scene.without_identity().variable("CRYOKEY_START_TIMEOUT", "3s").start();
    outcome.refused(75, "resolve", "API_TOKEN", "unreachable").says("GOOGLE_APPLICATION_CREDENTIALS");
}

#[test]
fn credentials_that_cannot_be_used_stop_the_start_and_are_not_shown() {
    let Some(scene) = Scene::open() else { return };
    let refused = |content: &str, told: &str| {
        let outcome = scene.without_identity().file(MOUNTED, content).start();
        outcome.refused(78, "resolve", "API_TOKEN", "configuration").says(told).says(MOUNTED);
    };
    let changed = |name: &str, value: &str| {
        let mut key: Value = serde_json::from_str(&scene.account.key_json).unwrap();
        key[name] = value.into();
        key.to_string()
    };
    refused("no JSON", "is not a JSON object");
    refused(&changed("private_key", "canary"), "no valid `private_key`");
    refused(&changed("type", "gdch_service_account"), "does not support");
    refused(&changed("client_email", ""), "no valid `client_email`");
    let external = |source: Value, url: &str| {
        let file = json!({
            "type": "external_account", "audience": "x", "subject_token_type": "x",
            "token_url": url, "credential_source": source,
        });
        file.to_string()
    };
    let sts = "https://sts.googleapis.com/v1/token";
    refused(&external(json!({"executable": {"command": "/bin/true"}}), sts), "does not start");
    refused(
        &external(json!({"file": "/token"}), "https://evil.example/token"),
        "not an https address of Google",
    );
    let variable = scene.without_identity().credential("GOOGLE_APPLICATION_CREDENTIALS", "{\"type\": \"x\"}");
    variable.start().refused(78, "resolve", "API_TOKEN", "configuration").says("contains JSON");
    let missing = scene.without_identity().variable("GOOGLE_APPLICATION_CREDENTIALS", "/run/none.json");
    missing.start().refused(66, "resolve", "API_TOKEN", "missing").says("/run/none.json");
}

#[test]
fn e08_credentials_that_are_there_and_broken_never_become_the_account_of_the_machine() {
    let Some(scene) = Scene::open() else { return };
    let _metadata = scene.google.metadata();
    scene.google.attach(&scene.account, 300);
    scene.without_identity().start().app().has("API_TOKEN", &scene.value);
    let empty = scene.without_identity().file(MOUNTED, "\n").start();
    empty.refused(78, "resolve", "API_TOKEN", "configuration").says(MOUNTED).says("is empty");
    let configured = scene.without_identity().variable("CLOUDSDK_CONFIG", "/etc/gcloud");
    let dangling = configured.link("/etc/gcloud/application_default_credentials.json", "/etc/none.json");
    dangling
        .start()
        .refused(66, "resolve", "API_TOKEN", "missing")
        .says("application_default_credentials.json");
    let other = scene.sandbox().variable("GOOGLE_CLOUD_UNIVERSE_DOMAIN", "example-cloud.goog").start();
    other.refused(78, "resolve", "API_TOKEN", "configuration").says("another universe");
}

#[test]
fn e08_e16_a_token_file_that_is_empty_or_missing_stops_the_start() {
    let Some(scene) = Scene::open() else { return };
    let file = json!({
        "type": "external_account", "audience": "x", "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": "https://sts.googleapis.com/v1/token", "credential_source": {"file": "/run/secrets/token"},
    });
    let sandbox = || scene.without_identity().file(MOUNTED, file.to_string());
    sandbox().start().refused(66, "resolve", "API_TOKEN", "missing").says("/run/secrets/token");
    let empty = sandbox().file("/run/secrets/token", "\n").start();
    empty.refused(65, "resolve", "API_TOKEN", "invalid").says("is not a token");
}

#[test]
fn a_token_from_an_address_is_read_from_this_machine_or_by_https_only() {
    let Some(scene) = Scene::open() else { return };
    let token = format!("header.{}.signature", "a".repeat(40));
    scene.google.workload(&token);
    let body = json!({"value": token}).to_string();
    let answer = move |asked: &crate::support::Asked| {
        if asked.header("metadata") == Some("True") { (200, body.clone()) } else { (400, String::new()) }
    };
    let _service = Service::start(scene.google.network(), [169, 254, 169, 254], Duration::ZERO, answer);
    let with = |url: &str| {
        let file = json!({
            "type": "external_account", "audience": crate::support::google::AUDIENCE,
            "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
            "token_url": "https://sts.googleapis.com/v1/token",
            "credential_source": {
                "url": url, "headers": {"Metadata": "True"},
                "format": {"type": "json", "subject_token_field_name": "value"},
            },
        });
        scene.without_identity().file(MOUNTED, file.to_string()).watch(&token).start()
    };
    with("http://169.254.169.254/metadata/identity?resource=x").app().has("API_TOKEN", &scene.value);
    with("http://198.18.0.1/token").refused(78, "resolve", "API_TOKEN", "configuration").says("plain http");
}

#[test]
fn a_place_that_cannot_be_one_is_refused() {
    let Some(scene) = Scene::open() else { return };
    let refused = |name: &str, value: &str, told: &str| {
        let outcome = scene.sandbox().variable(name, value).start();
        outcome.refused(78, "resolve", "API_TOKEN", "configuration").says(told);
    };
    refused("GCP_PROJECT_ID", "evil.example/x", "not the id or number of a project");
    refused("CRYOKEY_GCP_LOCATION", "eu.evil.example", "not the name of a location");
    refused("GOOGLE_CLOUD_UNIVERSE_DOMAIN", "evil.example/x", "not a domain");
    refused("GCP_SECRET_PREFIX", "app/", "cannot begin the name of a secret");
    refused("GCP_SECRET_PREFIX", "", "GCP_SECRET_PREFIX is not set");
}
