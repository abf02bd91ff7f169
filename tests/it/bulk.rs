//! Bulk sources: what they hold beyond the declared names, and how far that goes. The source is one in memory.

use std::time::Duration;

use cryokey::config::{Config, Flags};
use cryokey::delivery::{Delivery, Starter};
use cryokey::environ::Environ;
use cryokey::plan::Plan;
use cryokey::provider::{Deadline, Source};
use cryokey::resolve::{Accepted, Place, Resolution, resolve};
use cryokey::rules::rotation::Ages;
use cryokey::rules::{self, Findings};
use cryokey::run_as::RunAs;

use crate::support::memory::{Held, Memory};

const MANIFEST: &str = "version = 1\nenvironments = [\"staging\", \"production\"]\ncolors = [\"blue\", \"green\"]\n\
                        [secret.DB_PASSWORD]\nrequired = true\n";

struct Outcome {
    resolution: Resolution,
    config: Config,
    environ: Environ,
    run_as: RunAs,
}

impl Outcome {
    /// What comes of a manifest, variables, and the keys that Vault holds; a value is its own key.
    fn new(manifest: &str, variables: &[&str], keys: &[&str]) -> Self {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), manifest).unwrap();
        let environ = Environ::new(variables.iter().copied().chain(["EXTERNAL_SECRET_PROVIDER=vault"]));
        let flags = Flags { manifest: Some(file.path().into()), ..Flags::default() };
        let config = Config::load(flags, &environ).unwrap();
        let held = keys.iter().map(|key| Held::new(key, key)).collect();
        let mut memory = Memory::new(held, "");
        memory.consumed = vec!["VAULT_TOKEN".to_owned(), "VAULT_SECRET_ID".to_owned()];
        let opened = vec![(Source::Vault, Ok(Place::Local(Box::new(memory))))];
        let resolution = resolve(Plan::new(&config), opened, Deadline::after(Duration::from_mins(1)));
        Self { resolution, config, environ, run_as: RunAs::default() }
    }

    fn findings(&self) -> Findings {
        let ages = Ages::new(&self.resolution, std::time::SystemTime::now());
        let delivery = Delivery::new(&self.resolution, &self.config, &self.environ, &self.run_as);
        rules::judge(&self.resolution, &delivery, &self.config, ages)
    }

    /// The line about what the app does not inherit.
    fn removed(&self) -> String {
        let delivery = Delivery::new(&self.resolution, &self.config, &self.environ, &self.run_as);
        let mut delivered = delivery.deliver_files(Starter::ThisProcess).unwrap();
        delivery.deliver_keys(&mut delivered).unwrap();
        delivered.notes.concat()
    }

    /// What the app gets.
    fn app(&self) -> Vec<String> {
        let delivery = Delivery::new(&self.resolution, &self.config, &self.environ, &self.run_as);
        let shown = |secret: Accepted<'_>| {
            assert!(delivery.sets(secret.name.as_str()));
            format!("{}={}", secret.name, String::from_utf8_lossy(secret.variable_bytes()))
        };
        let mut app: Vec<String> = self.resolution.accepted().map(shown).collect();
        app.sort();
        app
    }
}

#[test]
fn undeclared_keys_are_delivered_under_the_names_that_they_map_to() {
    let outcome = Outcome::new(MANIFEST, &[], &["db-password", "smtp.host", "Api_Key"]);
    assert_eq!(outcome.app(), ["API_KEY=Api_Key", "DB_PASSWORD=db-password", "SMTP_HOST=smtp.host"]);
    assert!(outcome.findings().errors.is_empty());
}

#[test]
fn undeclared_keys_are_left_alone_where_the_manifest_says_so() {
    let manifest = format!("undeclared = \"ignore\"\n{MANIFEST}");
    let outcome = Outcome::new(&manifest, &[], &["db-password", "smtp.host", "LD_PRELOAD", "1x"]);
    assert_eq!(outcome.app(), ["DB_PASSWORD=db-password"]);
    assert!(outcome.findings().warnings.is_empty());
}

#[test]
fn two_keys_that_map_to_one_name_are_refused_naming_both() {
    let errors = Outcome::new(MANIFEST, &[], &["db-password", "smtp-host", "smtp.host"]).findings().errors;
    let [error] = errors.as_slice() else { panic!("{errors:?}") };
    assert_eq!(error.reason.exit().code(), 78);
    assert!(error.what.contains("smtp-host") && error.what.contains("smtp.host"), "{}", error.what);
}

#[test]
fn dangerous_and_nameless_keys_are_left_out_with_one_warning_each() {
    let outcome = Outcome::new(MANIFEST, &[], &["db-password", "ld-preload", "PATH", "1x", "CRYOKEY_LOG"]);
    assert_eq!(outcome.app(), ["DB_PASSWORD=db-password"]);
    let warnings = outcome.findings().warnings;
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    let dangerous = &warnings[0].what;
    assert!(["ld-preload", "PATH", "CRYOKEY_LOG"].iter().all(|key| dangerous.contains(key)), "{dangerous}");
    assert!(warnings[1].what.contains("1x"));
}

#[test]
fn a_dangerous_name_is_delivered_once_it_is_declared() {
    let manifest = format!("{MANIFEST}[secret.NODE_OPTIONS]\n");
    let outcome = Outcome::new(&manifest, &[], &["db-password", "node-options"]);
    assert_eq!(outcome.app(), ["DB_PASSWORD=db-password", "NODE_OPTIONS=node-options"]);
}

#[test]
fn an_undeclared_key_of_a_selected_environment_or_color_is_delivered_under_the_name_behind_it() {
    let keys = ["db-password", "production-smtp", "staging-smtp", "smtp", "blue-only", "green-only"];
    let outcome = Outcome::new(MANIFEST, &["APP_ENV=production", "DEPLOYMENT_COLOR=blue"], &keys);
    assert_eq!(outcome.app(), ["DB_PASSWORD=db-password", "ONLY=blue-only", "SMTP=production-smtp"]);
    let unselected = Outcome::new(MANIFEST, &[], &["db-password", "production-smtp", "blue-only"]);
    assert_eq!(unselected.app(), ["DB_PASSWORD=db-password"]);
}

#[test]
fn a_declared_secret_with_references_is_never_taken_from_a_bulk_read() {
    let manifest = "version = 1\n[secret.DB_PASSWORD]\nfrom = [\"environment:ELSEWHERE\"]\n";
    let outcome = Outcome::new(manifest, &[], &["db-password", "other"]);
    assert_eq!(outcome.app(), ["OTHER=other"]);
}

#[test]
fn two_secrets_with_one_reference_both_get_its_value() {
    let manifest = "version = 1\n[secret.A]\nfrom = [\"environment:SHARED\"]\n[secret.B]\nfrom = [\"environment:SHARED\"]\n";
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), manifest).unwrap();
    let environ = Environ::new(["SHARED=x"]);
    let flags = Flags { manifest: Some(file.path().into()), ..Flags::default() };
    let config = Config::load(flags, &environ).unwrap();
    let opened = vec![(
        Source::Environment,
        Ok(Place::Local(Box::new(Memory::new(vec![Held::new("SHARED", "x")], "")))),
    )];
    let resolution = resolve(Plan::new(&config), opened, Deadline::after(Duration::from_mins(1)));
    let values: Vec<&[u8]> = resolution.accepted().map(|secret| secret.value.secret.expose()).collect();
    assert_eq!(values, [b"x", b"x"]);
}

#[test]
fn the_app_does_not_inherit_what_signed_cryokey_in() {
    let outcome = |manifest: &str, keep: &str| {
        let variables = ["VAULT_TOKEN=a", "VAULT_SECRET_ID=b", "VAULT_PASSWORD=c", keep];
        Outcome::new(manifest, &variables, &["DB_PASSWORD"]).removed()
    };
    let removed = "the app does not inherit VAULT_SECRET_ID, VAULT_TOKEN";
    assert_eq!(outcome(MANIFEST, "X="), removed, "a password that nobody signed in with stays");
    let kept = outcome(MANIFEST, "CRYOKEY_KEEP_ENV=VAULT_TOKEN");
    assert_eq!(kept, "the app does not inherit CRYOKEY_KEEP_ENV, VAULT_SECRET_ID");
    let declared = format!("{MANIFEST}[secret.VAULT_TOKEN]\n");
    assert_eq!(outcome(&declared, "X="), "the app does not inherit VAULT_SECRET_ID");
}

#[test]
fn an_undeclared_key_is_delivered_under_the_name_of_a_variable_that_signed_cryokey_in() {
    let outcome = Outcome::new(MANIFEST, &["VAULT_TOKEN=a"], &["DB_PASSWORD", "vault-token"]);
    assert_eq!(outcome.app(), ["DB_PASSWORD=DB_PASSWORD", "VAULT_TOKEN=vault-token"]);
}
