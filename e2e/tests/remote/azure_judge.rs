//! Microsoft's own client for Python in front of the emulator of Azure, without cryokey: what it accepts with all its
//! checks on, and reports as Azure's, is what cryokey meets in the other tests.

use serde_json::{Value, json};

use crate::support::{Azure, LOGIN, Proof, Sandbox, TENANT, VAULT, VAULT_HOST, azure, canary};

fn sandbox(azure: &Azure) -> Sandbox {
    let sandbox = Sandbox::new(azure.network()).variable("AZURE_KEYVAULT_NAME", VAULT);
    [LOGIN, VAULT_HOST].into_iter().fold(sandbox, |sandbox, name| sandbox.host(name, azure.tls().ip()))
}

/// Signed in with a secret.
fn signed_in(azure: &Azure) -> Sandbox {
    let secret = canary();
    let client = azure.client(&Proof::Secret(&secret));
    as_client(azure, &client).variable("AZURE_CLIENT_SECRET", &secret)
}

fn as_client(azure: &Azure, client: &str) -> Sandbox {
    sandbox(azure).variable("AZURE_TENANT_ID", TENANT).variable("AZURE_CLIENT_ID", client)
}

#[test]
fn a_client_with_a_secret_reads_a_secret() {
    let Some(azure) = azure() else { return };
    let version = azure.put("api-token", "value");
    let read = azure.judge(signed_in(&azure), &["get", "api-token"]);
    assert_eq!(read["value"], "value", "{read}");
    assert_eq!(read["version"], Value::from(version), "{read}");
}

#[test]
fn sixty_secrets_are_listed_on_three_pages() {
    let Some(azure) = azure() else { return };
    let names: Vec<String> = (0..60).map(|number| format!("secret-{number:02}")).collect();
    for name in &names {
        azure.put(name, name);
    }
    let listed = azure.judge(signed_in(&azure), &["list"]);
    let listed = listed.as_array().unwrap();
    let values: Vec<_> = listed.iter().map(|secret| secret["value"].as_str().unwrap()).collect();
    assert_eq!(values, names);
    let log = azure.control("log", &json!({}));
    let log = log["requests"].as_array().unwrap();
    let pages = log.iter().filter(|asked| asked["path"].as_str().unwrap().starts_with("/secrets?"));
    assert_eq!(pages.filter(|asked| asked["status"] == 200).count(), 3, "{log:?}");
}
