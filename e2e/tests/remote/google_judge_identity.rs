//! How Google's own client for Python signs in, in front of the emulator of Google Cloud and without cryokey.

use serde_json::{Value, json};

use crate::support::google::{AUDIENCE, Google, MANAGER, NUMBER, PRINCIPAL, PROJECT, google};
use crate::support::{Sandbox, canary};

const ACCESS: [&str; 4] = ["access", PROJECT, "api-token", "latest"];

#[test]
fn a_service_account_lists_and_reads_with_a_token_that_it_signs_itself() {
    let Some(google) = google() else { return };
    let value = canary();
    google.put("api-token", &value);
    let account = google.account();
    let name = format!("projects/{NUMBER}/secrets/api-token");
    assert_eq!(google.judge(google.sandbox_with(&account.key_json), &["list", PROJECT]), json!([name]));
    let read = google.judge(google.sandbox_with(&account.key_json), &ACCESS);
    assert_eq!(
        (&read["value"], &read["name"]),
        (&json!(value), &json!(format!("{name}/versions/1"))),
        "{read}"
    );
    assert!(google.seen().iter().all(|seen| !seen.line.contains("oauth2")), "it asked for a token");
    assert_eq!(google.seen().len(), 2, "{:?}", google.seen());
    assert!(google.seen()[0].line.starts_with(&format!("GET {MANAGER}/v1/projects/{PROJECT}/secrets?")));
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
    let account = google.account();
    google.control("reset", &json!({}));
    google.control("project", &json!({"id": PROJECT, "number": NUMBER}));
    let read = google.judge(google.sandbox_with(&account.key_json), &ACCESS);
    assert_eq!((&read["error"], &read["status"]), (&json!("Unauthorized"), &json!(401)), "{read}");
}

#[test]
fn a_user_comes_with_a_refresh_token() {
    let Some(google) = google() else { return };
    let user = google.user();
    reads_a_secret(&google, google.sandbox_with(&user.key_json));
    let adc = "/run/home/.config/gcloud/application_default_credentials.json";
    reads_a_secret(&google, google.sandbox().variable("HOME", "/run/home").file(adc, &user.key_json));
    for (right, error) in [("1//refresh-token", "invalid_grant"), ("client-secret", "invalid_client")] {
        let wrong = user.key_json.replace(right, "wrong");
        is_refused(&google.judge(google.sandbox_with(&wrong), &ACCESS), error);
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
    google.sandbox_with(&file.to_string()).variable("GOOGLE_CLOUD_PROJECT", PROJECT)
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
    let more = json!({"service_account_impersonation_url": account.impersonation_url()});
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
    let file = json!({
        "type": "impersonated_service_account",
        "service_account_impersonation_url": account.impersonation_url(),
        "source_credentials": source,
    });
    reads_a_secret(&google, google.sandbox_with(&file.to_string()));
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

#[test]
fn a_machine_has_a_service_account() {
    let Some(google) = google() else { return };
    google.attach(&google.account(), 300);
    let _metadata = google.metadata();
    reads_a_secret(&google, google.sandbox());
    assert!(google.seen().iter().any(|seen| seen.line.contains("/service-accounts/default/token")));
}

#[test]
fn a_machine_without_a_service_account_gets_no_token() {
    let Some(google) = google() else { return };
    let _metadata = google.metadata();
    is_refused(&google.judge(google.sandbox(), &ACCESS), "404");
}

#[test]
fn a_metadata_service_may_fail_at_first_and_then_works() {
    let Some(google) = google() else { return };
    google.attach(&google.account(), 3599);
    let _metadata = google.metadata();
    google.fail(".*/token", &json!({"status": 503, "times": 2}));
    reads_a_secret(&google, google.sandbox());
    google.fail(".*", &json!({"status": 0, "times": 1}));
    reads_a_secret(&google, google.sandbox());
}

#[test]
fn what_answers_without_the_header_is_no_metadata_service() {
    let Some(google) = google() else { return };
    google.attach(&google.account(), 3599);
    let _metadata = google.metadata();
    google.fail("/", &json!({"status": 200, "body": "computeMetadata/", "times": 9}));
    is_refused(&google.judge(google.sandbox(), &ACCESS), "credentials were not found");
}
