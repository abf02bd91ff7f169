//! Microsoft's own client for Python in front of the emulator of Azure, without cryokey: what it accepts with all its
//! checks on, and reports as Azure's, is what cryokey meets in the other tests.

use std::fs;

use serde_json::{Value, json};

use crate::support::{
    Azure, Certified, HOSTS, OTHER_LOGIN, OTHER_VAULT_HOST, Proof, Sandbox, TENANT, VAULT, VAULT_HOST, azure,
    canary,
};

const GET: [&str; 2] = ["get", "api-token"];
const TOKEN_FILE: &str = "/run/secrets/azure/tokens/azure-identity-token";

fn sandbox(azure: &Azure) -> Sandbox {
    let sandbox = Sandbox::new(azure.network()).variable("AZURE_KEYVAULT_NAME", VAULT);
    HOSTS.into_iter().fold(sandbox, |sandbox, name| sandbox.host(name, azure.tls().ip()))
}

fn as_client(azure: &Azure, client: &str) -> Sandbox {
    sandbox(azure).variable("AZURE_TENANT_ID", TENANT).variable("AZURE_CLIENT_ID", client)
}

/// An application that signs in with a secret.
struct Application {
    client: String,
    secret: String,
}

impl Application {
    fn of(azure: &Azure) -> Self {
        let secret = canary();
        Self { client: azure.client(&Proof::Secret(&secret)), secret }
    }

    fn reads(&self, azure: &Azure, words: &[&str]) -> Value {
        azure.judge(as_client(azure, &self.client).variable("AZURE_CLIENT_SECRET", &self.secret), words)
    }
}

fn read(azure: &Azure, words: &[&str]) -> Value {
    Application::of(azure).reads(azure, words)
}

/// The sandbox's identity reads a secret.
#[track_caller]
fn reads_a_secret(azure: &Azure, sandbox: Sandbox) {
    let value = canary();
    azure.put("api-token", &value);
    let read = azure.judge(sandbox, &GET);
    assert_eq!(read["value"], Value::from(value), "{read}");
}

#[track_caller]
fn is_error(read: &Value, status: u16, code: &str) {
    assert_eq!((&read["status"], &read["code"]), (&Value::from(status), &Value::from(code)), "{read}");
}

/// It did not sign in, for this reason.
#[track_caller]
fn is_refused(read: &Value, reason: &str) {
    const KINDS: [&str; 2] = ["ClientAuthenticationError", "CredentialUnavailableError"];
    assert!(KINDS.contains(&read["error"].as_str().unwrap()), "{read}");
    assert!(read["message"].as_str().unwrap().contains(reason), "{read}");
}

#[test]
fn an_application_signs_in_with_its_secret_after_the_challenge() {
    let Some(azure) = azure() else { return };
    azure.put("api-token", "value");
    assert_eq!(read(&azure, &GET)["value"], "value");
    let seen = azure.seen();
    assert_eq!((seen[0].has_authorization, seen[0].status), (false, 401), "{seen:?}");
    let token = seen.iter().find(|seen| seen.line.ends_with("/oauth2/v2.0/token")).unwrap();
    assert!(token.form.contains(&"client_secret".to_owned()), "{token:?}");
    let last = seen.last().unwrap();
    assert!(last.line.starts_with("GET cryokey-tests.vault.azure.net/secrets/api-token/?"), "{last:?}");
    assert_eq!((last.has_authorization, last.status), (true, 200));
}

#[test]
fn an_application_signs_in_with_its_certificate() {
    let Some(azure) = azure() else { return };
    let own = azure.authority().application("own");
    let client = azure.client(&Proof::Certificate(&own.pem()));
    reads_a_secret(&azure, with_certificate(&azure, &client, &own));
    let told = azure.judge(with_certificate(&azure, &client, &own), &["sign-in"]);
    assert!(told.as_array().unwrap().contains(&Value::from("access_token")), "{told}");
}

#[test]
fn a_certificate_that_the_application_does_not_have_is_refused() {
    let Some(azure) = azure() else { return };
    let own = azure.authority().application("own");
    let client = azure.client(&Proof::Certificate(&own.pem()));
    let other = azure.authority().application("other");
    is_refused(&azure.judge(with_certificate(&azure, &client, &other), &GET), "AADSTS700027");
}

fn with_certificate(azure: &Azure, client: &str, certified: &Certified) -> Sandbox {
    let path = "/run/secrets/application.pem";
    let pem = fs::read_to_string(&certified.key).unwrap() + &certified.pem();
    as_client(azure, client).file(path, pem).variable("AZURE_CLIENT_CERTIFICATE_PATH", path)
}

#[test]
fn a_pod_signs_in_with_the_token_of_its_service_account() {
    let Some(azure) = azure() else { return };
    let client = azure.client(&Proof::Federated("header.claims.signature"));
    let pod = |token: &str| {
        let sandbox = as_client(&azure, &client).file(TOKEN_FILE, token);
        sandbox.variable("AZURE_FEDERATED_TOKEN_FILE", TOKEN_FILE)
    };
    reads_a_secret(&azure, pod("header.claims.signature"));
    is_refused(&azure.judge(pod("header.other.signature"), &GET), "AADSTS70021");
}

#[test]
fn a_machine_signs_in_with_its_own_identity_or_an_assigned_one() {
    let Some(azure) = azure() else { return };
    let (own, assigned) = (azure.identity(true), azure.identity(false));
    let _metadata = azure.metadata();
    reads_a_secret(&azure, sandbox(&azure));
    let chosen = [
        ("AZURE_CLIENT_ID", &own.client),
        ("AZURE_CLIENT_ID", &assigned.client),
        ("JUDGE_OBJECT_ID", &assigned.object),
        ("JUDGE_RESOURCE_ID", &assigned.resource),
    ];
    for (variable, id) in chosen {
        reads_a_secret(&azure, sandbox(&azure).variable(variable, id));
        assert!(azure.seen().iter().any(|seen| seen.line.contains(id)), "{id} was not asked for");
    }
    let unknown = sandbox(&azure).variable("AZURE_CLIENT_ID", "00000000-0000-4000-8000-999999999999");
    is_refused(&azure.judge(unknown, &GET), "Identity not found");
}

#[test]
fn a_metadata_service_that_is_updated_fails_for_a_while() {
    let Some(azure) = azure() else { return };
    azure.identity(true);
    let _metadata = azure.metadata();
    for status in [404, 410, 429, 500] {
        azure.fail("/metadata/identity/oauth2/token", &json!({"status": status}));
        assert_ne!(azure.judge(sandbox(&azure), &GET)["error"], Value::Null, "{status}");
        reads_a_secret(&azure, sandbox(&azure));
    }
}

#[test]
fn an_app_of_app_service_signs_in_with_its_identity() {
    let Some(azure) = azure() else { return };
    azure.identity(true);
    let (endpoint, header) = azure.app_service();
    let app = |header: &str| {
        sandbox(&azure).variable("IDENTITY_ENDPOINT", &endpoint).variable("IDENTITY_HEADER", header)
    };
    reads_a_secret(&azure, app(&header));
    is_refused(&azure.judge(app("wrong"), &GET), "Unauthorized");
}

#[test]
fn an_application_of_another_cloud_reads_a_vault_of_that_cloud() {
    let Some(azure) = azure() else { return };
    let (tenant, client) = ("99999999-2222-4333-8444-555555555555", "99999999-0000-4000-8000-000000000000");
    azure.control("tenant", &json!({"tenant": tenant, "authority": OTHER_LOGIN}));
    azure.control("client", &json!({"tenant": tenant, "client": client, "secrets": ["secret"]}));
    azure.control("vault", &json!({"host": OTHER_VAULT_HOST, "tenant": tenant}));
    azure.control("allow", &json!({"host": OTHER_VAULT_HOST, "client": client, "get": true}));
    azure.control("put", &json!({"host": OTHER_VAULT_HOST, "name": "api-token", "value": "there"}));
    let sandbox = as_client(&azure, client)
        .variable("AZURE_TENANT_ID", tenant)
        .variable("AZURE_CLIENT_SECRET", "secret")
        .variable("AZURE_AUTHORITY_HOST", OTHER_LOGIN)
        .variable("AZURE_KEYVAULT_NAME", &format!("https://{OTHER_VAULT_HOST}"));
    assert_eq!(azure.judge(sandbox, &GET)["value"], "there");
}

#[test]
fn a_wrong_secret_an_unknown_client_and_an_unknown_tenant_are_told_apart() {
    let Some(azure) = azure() else { return };
    let known = azure.client(&Proof::Secret("right"));
    let unknown = "00000000-0000-4000-8000-999999999999";
    let cases = [(TENANT, known.as_str(), "AADSTS7000215"), (TENANT, unknown, "AADSTS700016")];
    for (tenant, client, told) in cases.into_iter().chain([(unknown, known.as_str(), unknown)]) {
        // The client signs in only where the vault says.
        azure.control("vault", &json!({"host": VAULT_HOST, "tenant": tenant}));
        let sandbox = as_client(&azure, client).variable("AZURE_TENANT_ID", tenant);
        is_refused(&azure.judge(sandbox.variable("AZURE_CLIENT_SECRET", "wrong"), &GET), told);
    }
}

#[test]
fn sixty_secrets_are_listed_on_three_pages() {
    let Some(azure) = azure() else { return };
    let names: Vec<String> = (0..60).map(|number| format!("secret-{number:02}")).collect();
    for name in &names {
        azure.put(name, name);
    }
    let listed = read(&azure, &["list"]);
    let values: Vec<_> =
        listed.as_array().unwrap().iter().map(|secret| secret["value"].as_str().unwrap()).collect();
    assert_eq!(values, names);
    let seen = azure.seen();
    let is_page = |line: &str| line.starts_with("GET cryokey-tests.vault.azure.net/secrets?");
    assert_eq!(seen.iter().filter(|seen| is_page(&seen.line) && seen.status == 200).count(), 3, "{seen:?}");
}

#[test]
fn the_newest_version_is_read_unless_another_is_named() {
    let Some(azure) = azure() else { return };
    let old = azure.put_with("api-token", "old", &json!({"attributes": {"created": 1_600_000_000}}));
    let new = azure.put("API-TOKEN", "new");
    let application = Application::of(&azure);
    let read = application.reads(&azure, &GET);
    assert_eq!((&read["value"], &read["version"]), (&Value::from("new"), &Value::from(new)), "{read}");
    let read = application.reads(&azure, &["get", "api-token", &old]);
    assert_eq!(read, json!({"value": "old", "version": old, "created": 1_600_000_000}));
    is_error(&application.reads(&azure, &["get", "api-token", &"0".repeat(32)]), 404, "SecretNotFound");
}

#[test]
fn the_client_makes_disables_and_deletes_secrets() {
    let Some(azure) = azure() else { return };
    let application = Application::of(&azure);
    let all = json!({"list": true, "get": true, "set": true, "delete": true});
    azure.allow(&application.client, &all);
    let old = azure.put_with("api-token", "old", &json!({"attributes": {"created": 1_600_000_000}}));
    let made = application.reads(&azure, &["put", "api-token", "new"]);
    assert_eq!(application.reads(&azure, &GET)["version"], made["version"]);
    // Versions have states of their own.
    assert_eq!(application.reads(&azure, &["disable", "api-token"]), json!({"enabled": false}));
    is_error(&application.reads(&azure, &GET), 403, "SecretDisabled");
    assert_eq!(application.reads(&azure, &["get", "api-token", &old])["value"], "old");
    let versions = json!([
        {"version": old, "enabled": true},
        {"version": made["version"], "enabled": false},
    ]);
    assert_eq!(application.reads(&azure, &["versions", "api-token"]), versions);
    assert_eq!(application.reads(&azure, &["delete", "api-token"])["name"], "api-token");
    is_error(&application.reads(&azure, &GET), 404, "SecretNotFound");
    let again = application.reads(&azure, &["put", "api-token", "newest"]);
    is_error(&again, 409, "ObjectIsDeletedButRecoverable");
    azure.allow(&application.client, &json!({"list": true, "get": true}));
    is_error(&application.reads(&azure, &["put", "api-token", "newest"]), 403, "ForbiddenByRbac");
}

#[test]
fn a_disabled_secret_is_listed_and_not_read() {
    let Some(azure) = azure() else { return };
    azure.put("api-token", "value");
    azure.set("api-token", &json!({"enabled": false}));
    let application = Application::of(&azure);
    assert_eq!(application.reads(&azure, &["list"])[0]["enabled"], false);
    is_error(&application.reads(&azure, &GET), 403, "SecretDisabled");
}

#[test]
fn a_secret_is_read_before_and_after_the_time_in_its_attributes() {
    let Some(azure) = azure() else { return };
    azure.put_with("api-token", "old", &json!({"attributes": {"exp": 1_600_000_000}}));
    azure.put_with("other-token", "new", &json!({"attributes": {"nbf": 4_000_000_000_u64}}));
    let listed = read(&azure, &["list"]);
    assert_eq!((&listed[0]["exp"], &listed[0]["value"]), (&json!(1_600_000_000), &json!("old")), "{listed}");
    assert_eq!((&listed[1]["nbf"], &listed[1]["value"]), (&json!(4_000_000_000_u64), &json!("new")));
}

#[test]
fn the_key_of_a_certificate_is_listed_as_managed() {
    let Some(azure) = azure() else { return };
    azure.put("api-token", "value");
    azure.put_with("web-server", "key", &json!({"is_managed": true, "contentType": "application/x-pkcs12"}));
    let listed = read(&azure, &["list"]);
    assert_eq!((&listed[0]["managed"], &listed[1]["managed"]), (&json!(false), &json!(true)), "{listed}");
}

#[test]
fn list_and_get_are_allowed_apart_and_get_also_by_secret() {
    let Some(azure) = azure() else { return };
    azure.put("api-token", "value");
    azure.put("other-token", "value");
    let application = Application::of(&azure);
    azure.allow(&application.client, &json!({"get": ["api-token"]}));
    is_error(&application.reads(&azure, &["list"]), 403, "ForbiddenByRbac");
    assert_eq!(application.reads(&azure, &GET)["value"], "value");
    is_error(&application.reads(&azure, &["get", "other-token"]), 403, "ForbiddenByRbac");
    azure.allow(&application.client, &json!({"list": true}));
    let listed = application.reads(&azure, &["list"]);
    is_error(&listed[0], 403, "ForbiddenByRbac");
}

#[test]
fn a_vault_with_access_policies_names_them() {
    let Some(azure) = azure() else { return };
    let application = Application::of(&azure);
    azure.control("vault", &json!({"host": VAULT_HOST, "tenant": TENANT, "model": "policies"}));
    let read = application.reads(&azure, &GET);
    is_error(&read, 403, "AccessDenied");
    assert!(read["message"].as_str().unwrap().contains("does not have secrets get permission"), "{read}");
}

#[test]
fn a_deleted_an_unknown_and_an_illegal_name_are_told_apart() {
    let Some(azure) = azure() else { return };
    azure.put("api-token", "value");
    azure.delete("api-token");
    let application = Application::of(&azure);
    assert_eq!(application.reads(&azure, &["list"]), json!([]));
    is_error(&application.reads(&azure, &GET), 404, "SecretNotFound");
    is_error(&application.reads(&azure, &["get", "unknown"]), 404, "SecretNotFound");
    is_error(&application.reads(&azure, &["get", "under_score"]), 400, "BadParameter");
}

#[test]
fn a_challenge_for_another_resource_is_not_followed() {
    let Some(azure) = azure() else { return };
    azure.put("api-token", "value");
    let text =
        r#"Bearer authorization="https://login.microsoftonline.com/x", resource="https://vault.example""#;
    azure.control("challenge", &json!({"host": VAULT_HOST, "text": text}));
    assert_eq!(read(&azure, &GET)["error"], "ValueError");
    assert!(azure.seen().iter().all(|seen| !seen.line.contains("/oauth2/")), "it asked for a token");
}

#[test]
fn faults_reach_the_client_once_and_then_end() {
    let Some(azure) = azure() else { return };
    azure.put("api-token", "value");
    let application = Application::of(&azure);
    let rules = [
        json!({"status": 429, "headers": {"Retry-After": "1"}}),
        json!({"status": 503}),
        json!({"status": 0}),
        json!({"wrong": "html"}),
        json!({"wrong": "truncated"}),
    ];
    for rule in rules {
        azure.fail("/secrets/api-token/", &rule);
        assert_eq!(application.reads(&azure, &GET)["value"], Value::Null, "{rule}");
        assert_eq!(application.reads(&azure, &GET)["value"], "value", "{rule}");
    }
}
