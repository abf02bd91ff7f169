//! The contract that cryokey was asked for, section by section in its order, with its own names, commands and YAML:
//! `cargo test --test contract -- --nocapture` prints the sections with what was checked.

mod platforms;
mod providers;
mod rules;

#[path = "../engine/support/mod.rs"]
#[allow(dead_code, unused_imports, reason = "the tests of the engine use more of it")]
mod containers;
#[path = "../remote/support/mod.rs"]
#[allow(dead_code, unused_imports, reason = "the tests of remote providers use more of it")]
mod support;

use support::{Network, Sandbox, canary, network};

/// The secrets without which the app does not start.
const REQUIRED: [&str; 3] = ["SUPABASE_URL", "SUPABASE_KEY", "SECRET_KEY"];

/// What a section checks: each line is shown when it holds, and a check that fails panics. `None` is a server that is
/// not installed.
type Check = fn() -> Option<Vec<&'static str>>;

const SECTIONS: [(&str, Check); 16] = [
    ("Required Secrets", rules::required),
    ("Optional Secrets", rules::optional),
    ("Environment-Specific Secrets", rules::environments),
    ("SSH Keys", rules::ssh_keys),
    ("Using Docker Secrets: In Docker Swarm", platforms::swarm),
    ("Using Docker Secrets: In Docker Compose (Development)", platforms::compose),
    ("External Secret Providers: AWS Secrets Manager", providers::aws),
    ("External Secret Providers: HashiCorp Vault", providers::vault),
    ("External Secret Providers: Azure Key Vault", providers::azure_key_vault),
    ("External Secret Providers: Google Cloud Secret Manager", providers::google_secret_manager),
    ("Kubernetes Integration", providers::kubernetes_api),
    ("Secret Rotation", rules::rotation),
    ("Configuration Options", rules::options),
    ("Best Practices", rules::practices),
    ("Troubleshooting", rules::troubleshooting),
    ("Security Considerations", rules::security),
];

#[test]
fn every_section_of_the_contract_holds() {
    for (title, check) in SECTIONS {
        println!("{title}");
        let Some(shown) = check() else { return };
        assert!(!shown.is_empty(), "{title} checks nothing");
        for line in shown {
            println!("    {line}");
        }
    }
}

/// A container of the app: no manifest, no secrets.
fn bare() -> Option<Sandbox> {
    network().map(container)
}

fn container(network: &'static Network) -> Sandbox {
    Sandbox::new(network).variable("CRYOKEY_MANIFEST", "")
}

/// A value for each required secret.
fn values() -> [(&'static str, String); 3] {
    REQUIRED.map(|name| {
        let value = if name.ends_with("_URL") { format!("https://{}.example", canary()) } else { canary() };
        (name, value)
    })
}

/// These secrets as files in `/run/secrets`.
fn with_files(sandbox: Sandbox, secrets: &[(&str, String)]) -> Sandbox {
    let put = |sandbox: Sandbox, (name, value): &(&str, String)| {
        sandbox.file(&format!("/run/secrets/{name}"), value).watch(value)
    };
    secrets.iter().fold(sandbox, put)
}
