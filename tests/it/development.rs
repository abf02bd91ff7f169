//! `run --dev`: an app on a developer's machine, with nothing set up.

use std::fs;

use crate::support::{Need, Test, canary, chmod, mode, require};

const MANIFEST: &str = "environments = [\"staging\", \"production\"]\n\
    [secret.TOKEN]\nrequired = true\nmin_length = 32\n[secret.SITE]\nrequired = true\nformat = \"url\"\n\
    [secret.DATA]\nrequired = true\nformat = \"json\"\n[secret.DIGEST]\nrequired = true\nformat = \"hex\"\n\
    [secret.OPTIONAL]\n";

fn development(manifest: &str) -> Test {
    Test::with(manifest).without("CRYOKEY_SECRETS_DIR").option("--dev")
}

#[test]
fn what_is_missing_is_generated_reported_and_kept() {
    let test = development(MANIFEST);
    let outcome = test.start();
    let app = outcome.app();
    let text = |name: &str| String::from_utf8(app.get(name).unwrap().to_vec()).unwrap();
    assert!(text("TOKEN").starts_with("dev-") && text("TOKEN").len() >= 32, "{}", text("TOKEN"));
    assert!(text("SITE").starts_with("http://localhost/dev-"), "{}", text("SITE"));
    app.has_no("OPTIONAL");
    for name in ["TOKEN", "SITE", "DATA", "DIGEST"] {
        outcome.says(&format!("{name}: generated for development in ./.secrets/{name}"));
        assert_eq!(mode(test.at("work/.secrets").join(name)), 0o600);
        outcome.does_not_say(&text(name));
    }
    assert_eq!(mode(test.at("work/.secrets")), 0o700);
    assert_eq!(fs::read_to_string(test.at("work/.gitignore")).unwrap(), ".secrets/\n");
    let again = test.start();
    again
        .does_not_say("generated for development")
        .app()
        .has("TOKEN", text("TOKEN"))
        .has("SITE", text("SITE"));
}

#[test]
fn the_directory_overrides_the_variable_and_existing_files_are_used() {
    let value = canary();
    let test = Test::with("[secret.TOKEN]\nrequired = true\n").secret("TOKEN", canary()).option("--dev");
    let test = test.file("work/.secrets/TOKEN", &value, 0o600);
    test.start().does_not_say("made for").app().has("TOKEN", value);
    assert!(!test.at("work/.gitignore").exists());
}

#[test]
fn a_file_for_a_color_that_was_not_selected_does_not_count_as_present() {
    let test = development("colors = [\"blue\"]\n[secret.TOKEN]\nrequired = true\n");
    let test = test.file("work/.secrets/BLUE_TOKEN", canary(), 0o600);
    let outcome = test.start();
    let app = outcome.says("TOKEN: generated for development in ./.secrets/TOKEN").app();
    assert!(app.get("TOKEN").unwrap().starts_with(b"dev-"));
}

#[test]
fn the_entry_in_gitignore_is_added_once_and_the_rest_stays() {
    for (there, expected) in [
        ("target", "target\n.secrets/\n"),
        ("target\n", "target\n.secrets/\n"),
        ("/.secrets\n", "/.secrets\n"),
        (".secrets/\n", ".secrets/\n"),
    ] {
        let test = development(MANIFEST).public_file("work/.gitignore", there, 0o644);
        test.start().app();
        assert_eq!(fs::read_to_string(test.at("work/.gitignore")).unwrap(), expected);
    }
}

#[test]
fn the_built_in_profile_starts_too() {
    let test = Test::new().without("CRYOKEY_SECRETS_DIR").option("--dev");
    let outcome = test.start();
    for name in ["SUPABASE_URL", "SUPABASE_KEY", "SECRET_KEY"] {
        assert!(
            outcome.app().get(name).is_some_and(|value| value.windows(4).any(|window| window == b"dev-"))
        );
    }
}

#[test]
fn production_is_refused() {
    for name in ["APP_ENV", "FLASK_ENV", "CRYOKEY_ENVIRONMENT"] {
        let outcome = development(MANIFEST).variable(name, "Production").start();
        outcome.refused(78, "configure", "--dev", "configuration").says("production");
    }
    development(MANIFEST).variable("APP_ENV", "staging").start().app();
}

#[test]
fn pid_1_is_refused() {
    if !require(Need::PidNamespace) {
        return;
    }
    let test = development(MANIFEST).through(["unshare", "--pid", "--fork", "--mount-proc"]);
    test.start().refused(78, "configure", "--dev", "configuration").says("PID 1");
}

#[test]
fn a_real_provider_is_refused() {
    let outcome = development(MANIFEST).variable("EXTERNAL_SECRET_PROVIDER", "vault").start();
    outcome.refused(78, "configure", "--dev", "configuration").says("Vault is configured");
    let manifest = "[secret.TOKEN]\nrequired = true\nfrom = [\"vault:secret/data/db#password\"]\n";
    let outcome = development(manifest).start();
    assert_eq!(outcome.code, 78, "{}", outcome.stderr);
    outcome.nothing_happened();
}

#[test]
fn what_cannot_be_generated_is_refused_by_name() {
    let manifest = "[secret.CERTIFICATE]\nrequired = true\nformat = \"pem\"\n";
    let outcome = development(manifest).start();
    assert_eq!(outcome.code, 66, "{}", outcome.stderr);
    outcome.says("CERTIFICATE is required").says("write one to ./.secrets/CERTIFICATE");
}

#[test]
fn a_directory_that_cannot_be_made_is_refused() {
    let test = development(MANIFEST).by_nobody().through_shell("chmod 555 .; exec \"$@\"");
    let outcome = test.start();
    assert_eq!(outcome.code, 73, "{}", outcome.stderr);
    outcome.says("for development: ").says("reason=cannot-create");
    assert!(!test.at("work/.secrets").exists());
    chmod(&test.at("work"), 0o755);
}

#[test]
fn check_and_explain_have_no_development_mode() {
    assert_eq!(Test::new().command(["check", "--dev"]).code, 64);
    assert_eq!(Test::new().command(["explain", "--dev", "SECRET_KEY"]).code, 64);
}

#[test]
fn l06_what_only_production_has_is_refused_and_nothing_is_made() {
    for production in ["production", "prod", "prod-eu", "live", "prd"] {
        let manifest = format!(
            "environments = [\"staging\", \"{production}\"]\n[secret.TOKEN]\nrequired = true\n[secret.OTHER]\nrequired = true\n"
        );
        let file = format!("work/.secrets/{}_TOKEN", production.to_uppercase().replace('-', "_"));
        let test = development(&manifest).file(&file, canary(), 0o600);
        test.start().refused(78, "configure", "--dev", "configuration").says(production);
        let test = test.file("work/.secrets/STAGING_TOKEN", canary(), 0o600);
        test.start().refused(78, "configure", "--dev", "configuration").says(production);
        let outcome = development(&manifest).variable("APP_ENV", production).start();
        outcome.refused(78, "configure", "--dev", "configuration").says(production);
    }
    let test = development(MANIFEST).file("work/.secrets/PRODUCTION_TOKEN", canary(), 0o600);
    let outcome = test.variable("APP_ENV", "development").start();
    assert!(outcome.app().get("TOKEN").unwrap().starts_with(b"dev-"));
}

#[test]
fn a_gitignore_that_is_no_file_of_its_own_is_left_alone_with_a_warning() {
    let test = development(MANIFEST).public_file("home/theirs", "theirs\n", 0o644);
    for make in [
        "mkfifo .gitignore",
        "ln -s ../home/theirs .gitignore",
        "ln -s nowhere .gitignore",
        "mkdir .gitignore",
    ] {
        let outcome = development(MANIFEST).through_shell(&format!("{make} && exec \"$@\"")).start();
        outcome.warns(&[".gitignore", ".secrets/"]).app();
    }
    let test = test.through_shell("ln -s ../home/theirs .gitignore && exec \"$@\"");
    test.start().app();
    assert_eq!(fs::read_to_string(test.at("home/theirs")).unwrap(), "theirs\n");
}

#[test]
fn the_entry_in_gitignore_is_there_also_when_something_cannot_be_made_up() {
    let test =
        development("[secret.CERTIFICATE]\nrequired = true\nformat = \"pem\"\n[secret.A]\nrequired = true\n");
    assert_eq!(test.start().code, 66);
    assert_eq!(fs::read_to_string(test.at("work/.gitignore")).unwrap(), ".secrets/\n");
}

#[test]
fn another_directory_is_the_one_that_is_named_and_ignored() {
    for (option, entry) in [("./dev", Some("dev/")), ("dev/keys", Some("dev/keys/")), ("../home/dev", None)] {
        let test = development(MANIFEST).option("--secrets-dir").option(option);
        let outcome = test.start();
        outcome.says(&format!("generated for development in {option}/TOKEN")).app();
        outcome.does_not_say(".secrets");
        assert!(test.at("work").join(option).join("TOKEN").is_file() && !test.at("work/.secrets").exists());
        let written = fs::read_to_string(test.at("work/.gitignore")).ok();
        assert_eq!(written, entry.map(|entry| format!("{entry}\n")));
    }
}

#[test]
fn the_developers_own_variable_replaces_a_value_that_was_made_up() {
    let own = canary();
    let test = development(MANIFEST);
    test.start().app();
    let test = test.variable("TOKEN", &own);
    let outcome = test.start();
    outcome.warns_of_nothing().app().has("TOKEN", &own);
    assert!(!test.at("work/.secrets/TOKEN").exists() && test.at("work/.secrets/SITE").exists());
    let test = test.without("TOKEN").file("own", &own, 0o400);
    test.start().app();
    let path = test.at("own");
    let test = test.variable("TOKEN_FILE", path);
    test.start().app().has("TOKEN", own);
    // What the developer wrote over it is the developer's.
    let test = test.without("TOKEN_FILE");
    test.start().app();
    let edited = canary();
    let test = test.file("work/.secrets/TOKEN", &edited, 0o600).variable("TOKEN", canary());
    test.start().app().has("TOKEN", edited);
}
