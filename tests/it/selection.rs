//! Which environment's and which color's secrets count.

use crate::support::{Test, canary};

const MANIFEST: &str = "environments = [\"staging\", \"production\"]\ncolors = [\"blue\", \"green\"]\n\
                        [secret.TOKEN]\nrequired = true\n[secret.OTHER]\n";

/// Starts with these files and variables, each file's value being its name and a tail.
fn app_gets(files: &[&str], variables: &[(&str, &str)]) -> crate::support::Outcome {
    let test = files.iter().fold(Test::with(MANIFEST), |test, file| test.secret(file, value(file)));
    variables.iter().fold(test, |test, (name, value)| test.variable(name, *value)).start()
}

/// Different for each file, and nothing that a message may hold.
fn value(file: &str) -> String {
    file.bytes().map(|byte| char::from(byte ^ 0x15)).cycle().take(40).collect()
}

#[test]
fn the_color_wins_over_the_environment_and_the_environment_over_the_base() {
    let both = [("APP_ENV", "production"), ("DEPLOYMENT_COLOR", "blue")];
    let all = ["TOKEN", "PRODUCTION_TOKEN", "BLUE_TOKEN"];
    app_gets(&all, &both).app().has("TOKEN", value("BLUE_TOKEN"));
    app_gets(&all[..2], &both).app().has("TOKEN", value("PRODUCTION_TOKEN"));
    app_gets(&all[..1], &both).app().has("TOKEN", value("TOKEN"));
}

#[test]
fn the_more_specific_name_wins_whatever_its_provider() {
    let specific = canary();
    let test = Test::with(MANIFEST).file("elsewhere", &specific, 0o444).secret("TOKEN", canary());
    let path = test.at("elsewhere");
    let test = test.variable("PRODUCTION_TOKEN_FILE", path).variable("APP_ENV", "production");
    test.start().app().has("TOKEN", specific).has_no("PRODUCTION_TOKEN_FILE");
}

#[test]
fn a_secret_of_another_environment_is_not_loaded_and_satisfies_nothing() {
    let staging = [("APP_ENV", "staging")];
    app_gets(&["PRODUCTION_TOKEN"], &staging)
        .refused(66, "resolve", "TOKEN", "missing")
        .says("STAGING_TOKEN");
    let outcome = app_gets(&["PRODUCTION_TOKEN", "TOKEN"], &staging);
    outcome.warns_of_nothing().app().has("TOKEN", value("TOKEN")).has_no("PRODUCTION_TOKEN");
    // Not even an unreadable one of another environment is a problem.
    let test =
        Test::with(MANIFEST).secret("TOKEN", canary()).secret_with_mode("PRODUCTION_TOKEN", canary(), 0);
    test.variable("APP_ENV", "staging").by_nobody().start().app();
}

#[test]
fn a_secret_of_another_color_is_not_loaded_and_satisfies_nothing() {
    let green = [("DEPLOYMENT_COLOR", "green")];
    app_gets(&["BLUE_TOKEN"], &green).refused(66, "resolve", "TOKEN", "missing").says("GREEN_TOKEN");
    app_gets(&["GREEN_TOKEN"], &green).app().has("TOKEN", value("GREEN_TOKEN"));
}

#[test]
fn the_first_variable_that_names_a_declared_environment_selects_in_any_case() {
    let files = ["STAGING_TOKEN", "PRODUCTION_TOKEN"];
    let production = value("PRODUCTION_TOKEN");
    for variables in [
        &[("CRYOKEY_ENVIRONMENT", "production"), ("APP_ENV", "staging"), ("FLASK_ENV", "staging")][..],
        &[("APP_ENV", "PRODUCTION"), ("FLASK_ENV", "staging")],
        &[("FLASK_ENV", "Production")],
        &[("CRYOKEY_ENVIRONMENT", "testing"), ("APP_ENV", "production")],
        &[("CRYOKEY_ENVIRONMENT", ""), ("APP_ENV", "production")],
    ] {
        app_gets(&files, variables).app().has("TOKEN", &production);
    }
}

#[test]
fn a_value_that_is_not_declared_selects_nothing_and_is_reported() {
    let variables = [("APP_ENV", "stagin"), ("DEPLOYMENT_COLOR", "purple")];
    let outcome = app_gets(&["TOKEN"], &variables);
    outcome.says("APP_ENV=`stagin`").says("did you mean `staging`").says("DEPLOYMENT_COLOR=`purple`");
    outcome.warns_of_nothing().app().has("TOKEN", value("TOKEN"));
}

#[test]
fn without_a_selection_the_only_environment_is_used_with_a_warning() {
    let outcome = app_gets(&["PRODUCTION_TOKEN", "TOKEN"], &[]);
    outcome.warns(&["no environment is selected", "`production`", "CRYOKEY_ENVIRONMENT=production"]);
    outcome.app().has("TOKEN", value("PRODUCTION_TOKEN"));
}

#[test]
fn without_a_selection_secrets_of_several_environments_are_refused() {
    let outcome = app_gets(&["PRODUCTION_TOKEN", "STAGING_OTHER", "TOKEN"], &[]);
    outcome.refused(78, "resolve", "CRYOKEY_ENVIRONMENT", "configuration").says("production and staging");
    outcome.says("APP_ENV").says("FLASK_ENV");
}

#[test]
fn without_a_color_colored_secrets_are_not_used_and_one_warning_names_them() {
    let outcome = app_gets(&["BLUE_TOKEN", "GREEN_TOKEN", "GREEN_OTHER", "TOKEN"], &[]);
    outcome.warns(&["BLUE_TOKEN", "GREEN_TOKEN", "GREEN_OTHER", "DEPLOYMENT_COLOR"]);
    outcome.app().has("TOKEN", value("TOKEN")).has_no("OTHER").has_no("BLUE_TOKEN");
    app_gets(&["BLUE_TOKEN"], &[]).refused(66, "resolve", "TOKEN", "missing").warns(&["BLUE_TOKEN"]);
}

#[test]
fn a_prefixed_plain_variable_is_no_candidate() {
    let test = Test::with(MANIFEST).variable("PRODUCTION_TOKEN", canary()).variable("APP_ENV", "production");
    test.start().refused(66, "resolve", "TOKEN", "missing");
    let plain = canary();
    let test = Test::with(MANIFEST).variable("PRODUCTION_TOKEN", &plain).secret("TOKEN", canary());
    let outcome = test.start();
    outcome.warns_of_nothing().app().has("PRODUCTION_TOKEN", plain);
}

#[test]
fn undeclared_names_have_no_candidates() {
    let test = Test::with(MANIFEST).secret("TOKEN", canary()).secret("PRODUCTION_UNKNOWN", canary());
    let test = test.secret("STAGING_UNKNOWN", canary());
    test.start().warns_of_nothing().app().has_no("UNKNOWN").has_no("PRODUCTION_UNKNOWN");
}

#[test]
fn the_contracts_files_together_give_each_environment_its_own() {
    let files = ["STAGING_TOKEN", "PRODUCTION_TOKEN", "BLUE_OTHER", "GREEN_OTHER", "TOKEN"];
    for (environment, color) in [("staging", "blue"), ("production", "green")] {
        let outcome = app_gets(&files, &[("FLASK_ENV", environment), ("DEPLOYMENT_COLOR", color)]);
        outcome.app().has("TOKEN", value(&format!("{}_TOKEN", environment.to_uppercase())));
        outcome.app().has("OTHER", value(&format!("{}_OTHER", color.to_uppercase())));
        outcome.warns_of_nothing();
    }
}
