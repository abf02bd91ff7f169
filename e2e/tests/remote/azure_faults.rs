//! What goes wrong at Azure: answers of the emulator that no real vault gives, or seldom.

use std::fs;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{
    Azure, HOSTS, LOGIN, Outcome, Proof, Sandbox, Service, TENANT, VAULT, VAULT_HOST, azure, canary,
};

/// A vault with one secret, and an application that may read it.
struct Scene {
    azure: Azure,
    client: String,
    secret: String,
    value: String,
}

impl Scene {
    fn open() -> Option<Self> {
        let (azure, secret, value) = (azure()?, canary(), canary());
        let client = azure.client(&Proof::Secret(&secret));
        azure.put("api-token", &value);
        Some(Self { azure, client, secret, value })
    }

    fn without_identity(&self) -> Sandbox {
        let authority = fs::read(self.azure.authority().certificate()).unwrap();
        let sandbox = Sandbox::new(self.azure.network())
            .manifest("[secret.API_TOKEN]\nrequired = true\n")
            .file("/etc/azure-authority.pem", authority)
            .variable("SSL_CERT_FILE", "/etc/azure-authority.pem")
            .variable("EXTERNAL_SECRET_PROVIDER", "azure")
            .variable("AZURE_KEYVAULT_NAME", VAULT)
            .watch(&self.value);
        HOSTS.into_iter().fold(sandbox, |sandbox, name| sandbox.host(name, self.azure.tls().ip()))
    }

    fn sandbox(&self) -> Sandbox {
        self.without_identity()
            .variable("AZURE_TENANT_ID", TENANT)
            .variable("AZURE_CLIENT_ID", &self.client)
            .credential("AZURE_CLIENT_SECRET", &self.secret)
    }

    /// What cryokey says where requests to a path fail by this rule, always.
    fn with(&self, path: &str, rule: &Value) -> Outcome {
        let mut rule = rule.clone();
        rule["times"] = json!(1_000_000);
        self.azure.control("heal", &json!({}));
        self.azure.fail(path, &rule);
        self.sandbox().variable("CRYOKEY_START_TIMEOUT", "2s").start()
    }
}

#[test]
fn d16_d17_d19_an_answer_that_is_none_is_nonsense() {
    for (path, rule) in [
        ("/secrets", json!({"wrong": "html"})),
        ("/secrets", json!({"wrong": "truncated"})),
        ("/secrets/api-token/", json!({"wrong": "html"})),
        ("/secrets/api-token/", json!({"wrong": "truncated"})),
        ("/secrets/api-token/", json!({"wrong": "other id"})),
        ("/secrets/api-token/", json!({"wrong": "other vault", "to": "other.vault.azure.net"})),
        ("/secrets/api-token/", json!({"wrong": "without", "field": "value"})),
        ("/secrets/api-token/", json!({"wrong": "fields", "fields": {"value": null}})),
    ] {
        let Some(scene) = Scene::open() else { return };
        let outcome = scene.with(path, &rule);
        outcome.refused(76, "resolve", "API_TOKEN", "nonsense").does_not_say("does not exist");
    }
}

#[test]
fn d21_a_list_that_does_not_end_is_nonsense() {
    for rule in
        [json!({"wrong": "endless"}), json!({"wrong": "repeated link"}), json!({"wrong": "empty page"})]
    {
        let Some(scene) = Scene::open() else { return };
        let mut rule = rule;
        rule["times"] = json!(1_000_000);
        scene.azure.fail("/secrets", &rule);
        let outcome = scene.sandbox().start();
        outcome.refused(76, "resolve", "API_TOKEN", "nonsense").says("does not come to an end");
    }
}

#[test]
fn d28_a_page_at_another_host_gets_no_token() {
    let Some(scene) = Scene::open() else { return };
    let outcome = scene.with("/secrets", &json!({"wrong": "foreign link", "to": "login.microsoftonline.us"}));
    outcome.refused(76, "resolve", "API_TOKEN", "nonsense").says("another host");
    let foreign =
        scene.azure.seen().into_iter().filter(|seen| seen.line.contains("login.microsoftonline.us"));
    assert_eq!(foreign.count(), 0);
}

#[test]
fn d07_d10_a_throttled_or_failing_vault_is_waited_for_and_is_temporary_at_the_end() {
    let Some(scene) = Scene::open() else { return };
    let throttled = json!({"status": 429, "headers": {"Retry-After": "1"}, "body": "{}"});
    for rule in [throttled, json!({"status": 503}), json!({"status": 500, "body": "<html>"})] {
        scene.azure.fail("/secrets.*", &rule);
        scene.sandbox().start().app().has("API_TOKEN", &scene.value);
        scene.with("/secrets.*", &rule).refused(75, "resolve", "API_TOKEN", "unreachable");
        scene.azure.control("heal", &json!({}));
    }
}

#[test]
fn the_authority_may_fail_for_a_while() {
    let Some(scene) = Scene::open() else { return };
    for status in [429, 500, 503] {
        scene.azure.fail("/.*/oauth2/v2.0/token", &json!({"status": status}));
        scene.sandbox().start().app().has("API_TOKEN", &scene.value);
    }
    let outcome = scene.with("/.*/oauth2/v2.0/token", &json!({"status": 503}));
    outcome.refused(75, "resolve", "API_TOKEN", "unreachable");
}

#[test]
fn e18_a_vault_of_another_tenant_names_it() {
    let Some(scene) = Scene::open() else { return };
    let other = "99999999-2222-4333-8444-555555555555";
    scene.azure.control("tenant", &json!({"tenant": other}));
    scene.azure.control("vault", &json!({"host": VAULT_HOST, "tenant": other}));
    let outcome = scene.sandbox().start();
    outcome.refused(77, "resolve", "API_TOKEN", "denied").says(&format!("set AZURE_TENANT_ID={other}"));
}

#[test]
fn a_challenge_that_leads_elsewhere_is_not_followed() {
    let texts = [
        r#"Bearer authorization="https://login.evil.example/x", resource="https://vault.azure.net""#,
        r#"Bearer authorization="https://login.microsoftonline.com/x", resource="https://vault.example""#,
        r#"Bearer authorization="https://login.microsoftonline.com/x", resource="https://management.azure.com""#,
    ];
    for text in texts {
        let Some(scene) = Scene::open() else { return };
        scene.azure.control("challenge", &json!({"host": VAULT_HOST, "text": text}));
        scene
            .azure
            .fail("/secrets.*", &json!({"status": 401, "headers": {"WWW-Authenticate": text}, "times": 9}));
        let outcome = scene.sandbox().start();
        outcome.refused(69, "resolve", "API_TOKEN", "untrusted");
        let tokens = scene.azure.seen().into_iter().filter(|seen| seen.line.contains("/oauth2/v2.0/token"));
        assert_eq!(tokens.count(), 1, "no second token: {text}");
    }
}

#[test]
fn a_token_that_a_vault_never_takes_ends_the_start() {
    let Some(scene) = Scene::open() else { return };
    let text = format!(
        r#"Bearer authorization="https://login.microsoftonline.com/{TENANT}", resource="https://vault.azure.net""#
    );
    let outcome = scene.with("/secrets.*", &json!({"status": 401, "headers": {"WWW-Authenticate": text}}));
    outcome.refused(77, "resolve", "API_TOKEN", "denied").says("does not accept the token");
    let without = scene.with("/secrets.*", &json!({"status": 401}));
    without.refused(76, "resolve", "API_TOKEN", "nonsense");
}

#[test]
fn the_network_rules_of_a_vault_are_told_from_its_roles() {
    let Some(scene) = Scene::open() else { return };
    let error = json!({"code": "Forbidden", "message": "x", "innererror": {"code": "ForbiddenByFirewall"}});
    let body = json!({ "error": error }).to_string();
    let outcome = scene.with("/secrets.*", &json!({"status": 403, "body": body}));
    outcome.refused(77, "resolve", "API_TOKEN", "denied").says("az keyvault network-rule add");
}

#[test]
fn e13_a_machine_without_a_metadata_service_is_told_what_to_set() {
    let Some(scene) = Scene::open() else { return };
    let _nobody = Service::nobody();
    let outcome = scene.without_identity().start();
    outcome.refused(77, "resolve", "API_TOKEN", "denied").says("AZURE_CLIENT_SECRET").says("169.254.169.254");
    assert!(outcome.took < Duration::from_secs(5), "{:?}", outcome.took);
}

#[test]
fn a_metadata_service_that_is_updated_is_waited_for() {
    let Some(scene) = Scene::open() else { return };
    scene.azure.identity(true);
    let _metadata = scene.azure.metadata();
    for status in [404, 410, 429, 500] {
        scene.azure.fail("/metadata/identity/oauth2/token", &json!({"status": status}));
        scene.without_identity().start().app().has("API_TOKEN", &scene.value);
    }
}

#[test]
fn e08_e16_half_a_sign_in_stops_the_start_and_names_the_other_half() {
    let Some(scene) = Scene::open() else { return };
    let refused = |sandbox: Sandbox, told: &str| {
        sandbox.start().refused(78, "resolve", "API_TOKEN", "configuration").says(told);
    };
    let bare = || scene.without_identity();
    refused(bare().credential("AZURE_CLIENT_SECRET", &canary()), "AZURE_CLIENT_ID");
    let half = bare().variable("AZURE_CLIENT_ID", "a").credential("AZURE_CLIENT_SECRET", &canary());
    refused(half, "AZURE_TENANT_ID");
    let tenant = scene.sandbox().variable("AZURE_TENANT_ID", "a/../b");
    refused(tenant, "neither the id nor a domain");
    let named =
        || scene.without_identity().variable("AZURE_TENANT_ID", TENANT).variable("AZURE_CLIENT_ID", "a");
    let token = named().variable("AZURE_FEDERATED_TOKEN_FILE", "/run/secrets/token");
    refused(token.file("/run/secrets/token", "\n"), "is empty");
    let certificate = named().variable("AZURE_CLIENT_CERTIFICATE_PATH", "/run/secrets/pem");
    refused(certificate.file("/run/secrets/pem", "no certificate"), "no certificate in PEM form");
    refused(bare().variable("IDENTITY_ENDPOINT", "http://127.0.0.1:1/msi/token"), "IDENTITY_HEADER");
    refused(bare().credential("IDENTITY_HEADER", &canary()), "IDENTITY_ENDPOINT is not");
    refused(scene.sandbox().variable("AZURE_KEYVAULT_NAME", "a_b"), "neither the name of a vault");
    refused(scene.sandbox().variable("AZURE_KEYVAULT_NAME", ""), "AZURE_KEYVAULT_NAME is not set");
    let unknown = scene.sandbox().variable("AZURE_TOKEN_CREDENTIALS", "AzureCli").start();
    unknown.refused(78, "configure", "AZURE_TOKEN_CREDENTIALS", "configuration").says("AzureCliCredential");
}

#[test]
fn e08_an_application_without_its_credential_never_becomes_the_identity_of_the_machine() {
    let Some(scene) = Scene::open() else { return };
    scene.azure.identity(true);
    let _metadata = scene.azure.metadata();
    let refused = |sandbox: Sandbox, told: &str| {
        sandbox.start().refused(78, "resolve", "API_TOKEN", "configuration").says(told);
    };
    let bare = || scene.without_identity();
    refused(
        bare().file("/run/secrets/AZURE_CLIENT_SECRET", "\n"),
        "/run/secrets/AZURE_CLIENT_SECRET is empty",
    );
    let named = || bare().variable("AZURE_TENANT_ID", TENANT);
    refused(named(), "AZURE_TENANT_ID is set, but no AZURE_CLIENT_SECRET");
    refused(
        named().variable("AZURE_CLIENT_ID", &scene.client),
        "AZURE_TOKEN_CREDENTIALS=ManagedIdentityCredential",
    );
    let meant = named().variable("AZURE_TOKEN_CREDENTIALS", "ManagedIdentityCredential").start();
    meant.app().has("API_TOKEN", &scene.value);
}

#[test]
fn e14_a_container_s_header_is_never_sent_in_the_open_to_another_host() {
    let Some(scene) = Scene::open() else { return };
    let header = canary();
    let sandbox = scene
        .without_identity()
        .variable("IDENTITY_ENDPOINT", "http://198.18.0.1/msi/token")
        .variable("IDENTITY_HEADER", &header)
        .watch(&header);
    let outcome = sandbox.start();
    outcome
        .refused(78, "resolve", "API_TOKEN", "configuration")
        .says("plain http")
        .says("CRYOKEY_ALLOW_HTTP");
}

#[test]
fn b10_b14_a_reference_to_another_cloud_or_with_an_illegal_name_is_refused() {
    let Some(scene) = Scene::open() else { return };
    let with = |reference: &str| {
        let text = format!("[secret.API_TOKEN]\nrequired = true\nfrom = [\"{reference}\"]\n");
        scene.sandbox().manifest(&text).start()
    };
    with("azure:other.vault.azure.cn/api-token").refused(78, "resolve", "API_TOKEN", "configuration");
    let name = with("azure:cryokey-tests/API_TOKEN");
    name.refused(78, "configure", "secret.API_TOKEN.from", "configuration").says("DB-PASSWORD");
    with("azure:evil.example/x").refused(78, "configure", "secret.API_TOKEN.from", "configuration");
}

#[test]
fn the_azure_cli_signs_in_only_where_it_is_named() {
    let Some(scene) = Scene::open() else { return };
    let script = "#!/bin/sh\necho \"$@\" >/run/asked\nprintf '{\"accessToken\":\"%s\"}' \"$TOKEN_OF_TEST\"\n";
    let form = json!({
        "grant_type": "client_credentials", "scope": "https://vault.azure.net/.default",
        "client_id": scene.client, "client_secret": scene.secret,
    });
    let url = format!("https://{LOGIN}/{TENANT}/oauth2/v2.0/token");
    let more = json!({"method": "POST", "data": form}).to_string();
    let told = scene.azure.ask(scene.without_identity(), &["request", &url, &more]);
    let token = told["body"]["access_token"].as_str().unwrap();
    let sandbox = scene
        .without_identity()
        .executable("/run/tools/az", script)
        .variable("PATH", "/run/tools:/usr/bin:/bin")
        .variable("TOKEN_OF_TEST", token)
        .watch(token)
        .variable("AZURE_TOKEN_CREDENTIALS", "AzureCliCredential");
    sandbox.start().says("the account of the Azure CLI").app().has("API_TOKEN", &scene.value);
}
