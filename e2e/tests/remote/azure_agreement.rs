//! Microsoft's own client and cryokey read the same secret of the same emulator with the same variables, or are refused
//! for the same reason.

use std::fs;

use serde_json::{Value, json};

use crate::support::{
    Azure, Certified, HOSTS, OTHER_LOGIN, OTHER_VAULT_HOST, Outcome, Proof, Sandbox, TENANT, VAULT,
    VAULT_HOST, azure, canary,
};

const TOKEN_FILE: &str = "/run/secrets/azure/tokens/azure-identity-token";
const UNKNOWN: &str = "00000000-0000-4000-8000-999999999999";

fn sandbox(azure: &Azure) -> Sandbox {
    let authority = fs::read(azure.authority().certificate()).unwrap();
    let sandbox = Sandbox::new(azure.network())
        .file("/etc/azure-authority.pem", authority)
        .variable("SSL_CERT_FILE", "/etc/azure-authority.pem")
        .variable("EXTERNAL_SECRET_PROVIDER", "azure")
        .variable("AZURE_KEYVAULT_NAME", VAULT)
        .manifest("[secret.API_TOKEN]\nrequired = true\n");
    HOSTS.into_iter().fold(sandbox, |sandbox, name| sandbox.host(name, azure.tls().ip()))
}

/// An application of the tenant.
fn as_client(azure: &Azure, client: &str) -> Sandbox {
    sandbox(azure).variable("AZURE_TENANT_ID", TENANT).variable("AZURE_CLIENT_ID", client)
}

/// An application with a secret.
fn with_secret(azure: &Azure) -> Sandbox {
    let secret = canary();
    let client = azure.client(&Proof::Secret(&secret));
    as_client(azure, &client).credential("AZURE_CLIENT_SECRET", &secret)
}

/// Both read the value; what cryokey said.
#[track_caller]
fn both_read(azure: &Azure, sandbox: Sandbox, words: &[&str], value: &str) -> Outcome {
    let sandbox = sandbox.watch(value);
    let outcome = sandbox.start();
    outcome.app().has("API_TOKEN", value);
    azure.keeps_credentials(&outcome);
    let judged = azure.judge(sandbox, words);
    assert_eq!(judged["value"], Value::from(value), "Microsoft's client: {judged}");
    let version = judged["version"].as_str().unwrap();
    outcome.says(version);
    outcome
}

const GET: [&str; 2] = ["get", "api-token"];

/// Both are refused: with this status and code there, and with this exit code and reason here.
#[track_caller]
fn both_refused(azure: &Azure, sandbox: Sandbox, theirs: (u16, &str), ours: (i32, &str)) -> Outcome {
    let outcome = sandbox.start();
    outcome.refused(ours.0, "resolve", "API_TOKEN", ours.1);
    let judged = azure.judge(sandbox, &GET);
    assert_eq!((&judged["status"], &judged["code"]), (&json!(theirs.0), &json!(theirs.1)), "{judged}");
    outcome
}

/// Neither signs in, and both show the same number of Entra's.
#[track_caller]
fn neither_signs_in(azure: &Azure, sandbox: Sandbox, code: &str) -> Outcome {
    let outcome = sandbox.start();
    outcome.refused(77, "resolve", "API_TOKEN", "denied").says(code);
    azure.keeps_credentials(&outcome);
    let judged = azure.judge(sandbox, &GET);
    assert!(judged["message"].as_str().unwrap().contains(code), "{judged}");
    outcome
}

#[test]
fn an_application_with_a_secret() {
    let Some(azure) = azure() else { return };
    let value = canary();
    azure.put("api-token", &value);
    both_read(&azure, with_secret(&azure), &GET, &value);
    let ours = azure.seen();
    let first = ours.iter().find(|seen| seen.line.contains("/secrets")).unwrap();
    assert!(first.has_authorization && first.status == 200, "no request without a token: {ours:?}");
}

#[test]
fn an_application_with_a_certificate() {
    let Some(azure) = azure() else { return };
    let value = canary();
    azure.put("api-token", &value);
    let (own, other) = (azure.authority().application("own"), azure.authority().application("other"));
    let client = azure.client(&Proof::Certificate(&own.pem()));
    let with = |certified: &Certified| {
        let key = fs::read_to_string(&certified.key).unwrap();
        let path = "/run/secrets/application.pem";
        as_client(&azure, &client)
            .watch(key.lines().nth(3).unwrap())
            .file(path, key.clone() + &certified.pem())
            .variable("AZURE_CLIENT_CERTIFICATE_PATH", path)
    };
    both_read(&azure, with(&own), &GET, &value).says("the certificate in /run/secrets/application.pem");
    neither_signs_in(&azure, with(&other), "AADSTS700027").says("upload the certificate");
}

#[test]
fn a_pod_with_the_token_of_its_service_account() {
    let Some(azure) = azure() else { return };
    let value = canary();
    azure.put("api-token", &value);
    let token = format!("header.{}.signature", "a".repeat(40));
    let client = azure.client(&Proof::Federated(&token));
    let pod = |token: &str| {
        let sandbox = as_client(&azure, &client).file(TOKEN_FILE, token).watch(token);
        sandbox.variable("AZURE_FEDERATED_TOKEN_FILE", TOKEN_FILE)
    };
    both_read(&azure, pod(&token), &GET, &value);
    let other = format!("header.{}.signature", "b".repeat(40));
    neither_signs_in(&azure, pod(&other), "AADSTS70021").says("federated credential");
}

#[test]
fn a_machine_with_its_own_identity_or_an_assigned_one() {
    let Some(azure) = azure() else { return };
    let value = canary();
    azure.put("api-token", &value);
    let (_, assigned) = (azure.identity(true), azure.identity(false));
    let _metadata = azure.metadata();
    both_read(&azure, sandbox(&azure), &GET, &value).says("from http://169.254.169.254");
    let chosen = sandbox(&azure).variable("AZURE_CLIENT_ID", &assigned.client);
    both_read(&azure, chosen, &GET, &value).says(&assigned.client);
    let unknown = sandbox(&azure).variable("AZURE_CLIENT_ID", UNKNOWN);
    let outcome = unknown.start();
    outcome.refused(77, "resolve", "API_TOKEN", "denied").says("no such identity");
    let judged = azure.judge(unknown, &GET);
    assert!(judged["message"].as_str().unwrap().contains("Identity not found"), "{judged}");
}

#[test]
fn an_app_of_app_service_with_its_identity() {
    let Some(azure) = azure() else { return };
    let value = canary();
    azure.put("api-token", &value);
    azure.identity(true);
    let (endpoint, header) = azure.app_service();
    let app = |header: &str| {
        let sandbox = sandbox(&azure).variable("IDENTITY_ENDPOINT", &endpoint);
        sandbox.variable("IDENTITY_HEADER", header)
    };
    both_read(&azure, app(&header), &GET, &value).says("of this container");
    app("wrong").start().refused(77, "resolve", "API_TOKEN", "denied");
}

#[test]
fn an_application_of_another_cloud() {
    let Some(azure) = azure() else { return };
    let (tenant, client, value) = ("99999999-2222-4333-8444-555555555555", UNKNOWN, canary());
    azure.control("tenant", &json!({"tenant": tenant, "authority": OTHER_LOGIN}));
    azure.control("client", &json!({"tenant": tenant, "client": client, "secrets": ["secret"]}));
    azure.control("vault", &json!({"host": OTHER_VAULT_HOST, "tenant": tenant}));
    azure.control("allow", &json!({"host": OTHER_VAULT_HOST, "client": client, "get": true, "list": true}));
    azure.control("put", &json!({"host": OTHER_VAULT_HOST, "name": "api-token", "value": value}));
    let there = || {
        let sandbox = as_client(&azure, client).variable("AZURE_TENANT_ID", tenant);
        sandbox.variable("AZURE_CLIENT_SECRET", "secret").variable("AZURE_AUTHORITY_HOST", OTHER_LOGIN)
    };
    let by_url = there().variable("AZURE_KEYVAULT_NAME", &format!("https://{OTHER_VAULT_HOST}"));
    both_read(&azure, by_url, &GET, &value);
    there().start().app().has("API_TOKEN", &value);
}

#[test]
fn the_newest_version_and_a_named_one() {
    let Some(azure) = azure() else { return };
    let (old, new) = (canary(), canary());
    let version = azure.put_with("api-token", &old, &json!({"attributes": {"created": 1_600_000_000}}));
    azure.put("API-TOKEN", &new);
    both_read(&azure, with_secret(&azure), &GET, &new);
    for reference in [format!("azure:{VAULT}/api-token/{version}"), format!("azure:api-token@{version}")] {
        let text = format!("[secret.API_TOKEN]\nfrom = [\"{reference}\"]\n");
        let named = with_secret(&azure).manifest(&text);
        both_read(&azure, named, &["get", "api-token", &version], &old);
    }
    let limit = "rotate_every = \"90d\"\n";
    let text = format!("[secret.API_TOKEN]\nfrom = [\"azure:api-token@{version}\"]\n{limit}");
    let outcome = with_secret(&azure).manifest(&text).variable("STRICT_ROTATION_MODE", "true").start();
    outcome.refused(78, "resolve", "API_TOKEN", "rotation");
}

#[test]
fn sixty_secrets_on_three_pages_without_those_of_certificates() {
    let Some(azure) = azure() else { return };
    for number in 0..60 {
        azure.put(&format!("secret-{number:02}"), &format!("value {number}"));
    }
    azure.put_with("web-server", "key", &json!({"is_managed": true, "contentType": "application/x-pkcs12"}));
    azure.put("off", "off");
    azure.set("off", &json!({"enabled": false}));
    let sandbox = with_secret(&azure).manifest("");
    let outcome = sandbox.start();
    let app = outcome.app();
    let judged = azure.judge(sandbox, &["list"]);
    let listed = judged.as_array().unwrap().iter().filter(|entry| entry["value"].is_string());
    let readable: Vec<(String, String)> = listed
        .map(|entry| {
            let text = |name: &str| entry[name].as_str().unwrap().to_owned();
            (text("name").replace('-', "_").to_uppercase(), text("value"))
        })
        .collect();
    assert_eq!(readable.len(), 60, "{judged}");
    for (name, value) in readable {
        app.has(&name, value);
    }
    app.has_no("WEB_SERVER");
    app.has_no("OFF");
}

#[test]
fn a_certificates_key_by_reference() {
    let Some(azure) = azure() else { return };
    let value = canary();
    azure.put_with("web-server", &value, &json!({"is_managed": true, "contentType": "application/x-pkcs12"}));
    let sandbox = with_secret(&azure).manifest("[secret.API_TOKEN]\nfrom = [\"azure:web-server\"]\n");
    both_read(&azure, sandbox, &["get", "web-server"], &value);
}

#[test]
fn a_secret_before_and_after_the_time_in_its_attributes() {
    let Some(azure) = azure() else { return };
    let value = canary();
    azure.put_with("api-token", &value, &json!({"attributes": {"exp": 1_600_000_000}}));
    both_read(&azure, with_secret(&azure), &GET, &value).warns(&["API_TOKEN", "expired on 2020-09-13"]);
    let strict = with_secret(&azure).variable("STRICT_ROTATION_MODE", "true");
    strict.start().refused(78, "resolve", "API_TOKEN", "rotation").says("expired");
    azure.put_with("api-token", &value, &json!({"attributes": {"nbf": 4_000_000_000_u64}}));
    both_read(&azure, with_secret(&azure), &GET, &value)
        .warns(&["API_TOKEN", "not to be used before 2096-10-02"]);
}

#[test]
fn d13_a_disabled_secret() {
    let Some(azure) = azure() else { return };
    azure.put("api-token", &canary());
    azure.set("api-token", &json!({"enabled": false}));
    let told = both_refused(&azure, with_secret(&azure), (403, "SecretDisabled"), (66, "missing"));
    told.says("api-token is disabled");
    let by_reference =
        with_secret(&azure).manifest("[secret.API_TOKEN]\nrequired = true\nfrom = [\"azure:api-token\"]\n");
    by_reference.start().refused(66, "resolve", "API_TOKEN", "missing").says("disabled");
}

#[test]
fn a_deleted_or_unknown_secret() {
    let Some(azure) = azure() else { return };
    both_refused(&azure, with_secret(&azure), (404, "SecretNotFound"), (66, "missing"));
    azure.put("api-token", &canary());
    azure.delete("api-token");
    both_refused(&azure, with_secret(&azure), (404, "SecretNotFound"), (66, "missing"));
}

#[test]
fn an_identity_that_may_not_list_or_read() {
    let Some(azure) = azure() else { return };
    let (value, secret) = (canary(), canary());
    azure.put("api-token", &value);
    azure.put("other-token", &canary());
    let client = azure.client(&Proof::Secret(&secret));
    let sandbox = || as_client(&azure, &client).credential("AZURE_CLIENT_SECRET", &secret);
    azure.allow(&client, &json!({"list": false, "get": ["api-token"]}));
    both_read(&azure, sandbox(), &GET, &value).warns(&["may not be listed", "Key Vault Secrets User"]);
    azure.allow(&client, &json!({"list": true, "get": false}));
    let told = both_refused(&azure, sandbox(), (403, "ForbiddenByRbac"), (77, "denied"));
    told.says("az role assignment create --role 'Key Vault Secrets User'").says(&format!("--name {VAULT}"));
    azure.control("vault", &json!({"host": VAULT_HOST, "tenant": TENANT, "model": "policies"}));
    azure.allow(&client, &json!({"list": false, "get": false}));
    let told = both_refused(&azure, sandbox(), (403, "AccessDenied"), (77, "denied"));
    told.says("az keyvault set-policy");
}

#[test]
fn e18_a_wrong_secret_an_unknown_client_and_an_unknown_tenant() {
    let Some(azure) = azure() else { return };
    azure.put("api-token", &canary());
    let known = azure.client(&Proof::Secret("right"));
    let as_client = |tenant: &str, client: &str| {
        let sandbox = as_client(&azure, client).variable("AZURE_TENANT_ID", tenant);
        sandbox.credential("AZURE_CLIENT_SECRET", &canary())
    };
    neither_signs_in(&azure, as_client(TENANT, &known), "AADSTS7000215").says("not its id");
    neither_signs_in(&azure, as_client(TENANT, UNKNOWN), "AADSTS700016").says("AZURE_CLIENT_ID");
    as_client(UNKNOWN, &known).start().refused(77, "resolve", "API_TOKEN", "denied").says("AADSTS90002");
}

#[test]
fn check_and_explain_show_the_vault_the_sign_in_the_version_and_the_age() {
    let Some(azure) = azure() else { return };
    let value = canary();
    let version = azure.put_with("api-token", &value, &json!({"attributes": {"created": 1_600_000_000}}));
    let sandbox = with_secret(&azure).watch(&value);
    for line in [&["check"][..], &["explain", "API_TOKEN"]] {
        let outcome = sandbox.command(line);
        assert_eq!(outcome.code, 0, "{}", outcome.stderr);
        for told in [&version, "api-token"] {
            assert!(outcome.printed().contains(told), "{told} is not in {}", outcome.printed());
        }
        azure.keeps_credentials(&outcome);
    }
    let table = sandbox.command(&["check"]);
    for told in [&format!("https://{VAULT_HOST}"), "by the client secret in AZURE_CLIENT_SECRET"] {
        assert!(table.printed().contains(told), "{told} is not in {}", table.printed());
    }
    azure.set("api-token", &json!({"enabled": false}));
    assert_eq!(sandbox.command(&["check"]).code, 66, "as run");
}
