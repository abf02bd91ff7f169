//! Which environment's and which color's secrets count.

use crate::support::{REQUIRED, Test, canary};

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
        &[("APP_ENV", "testing"), ("FLASK_ENV", "production")],
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
    outcome.warns(&["PRODUCTION_TOKEN", "plain variable"]).app().has("PRODUCTION_TOKEN", plain);
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

#[test]
fn l01_an_undeclared_environment_of_cryokeys_own_variable_is_refused_with_the_declared_ones() {
    for files in [&["PRODUCTION_TOKEN"][..], &["PRODUCTION_TOKEN", "STAGING_TOKEN"], &["TOKEN"], &[]] {
        let refused = |value: &str| {
            let outcome = app_gets(files, &[("CRYOKEY_ENVIRONMENT", value), ("APP_ENV", "production")]);
            outcome.refused(78, "configure", "CRYOKEY_ENVIRONMENT", "configuration");
            outcome
        };
        refused("stagin").says("did you mean `staging`");
        refused("prod").says("`prod` is not one of staging, production");
        refused(" ").says("is not one of staging, production");
    }
    let test = Test::with(REQUIRED).secret("TOKEN", canary()).variable("CRYOKEY_ENVIRONMENT", "production");
    let outcome = test.start();
    outcome.refused(78, "configure", "CRYOKEY_ENVIRONMENT", "configuration").says("declares no environments");
}

#[test]
fn an_undeclared_environment_of_another_variable_selects_nothing_and_nothing_is_assumed() {
    for variable in ["APP_ENV", "FLASK_ENV"] {
        for files in [&["PRODUCTION_TOKEN"][..], &["PRODUCTION_TOKEN", "STAGING_TOKEN"]] {
            let outcome = app_gets(files, &[(variable, "development")]);
            outcome.refused(66, "resolve", "TOKEN", "missing");
            outcome
                .says(&format!("PRODUCTION_TOKEN exists but is not used, because {variable}=`development`"));
        }
        let outcome = app_gets(&["PRODUCTION_TOKEN", "TOKEN"], &[(variable, "development")]);
        outcome.warns_of_nothing().app().has("TOKEN", value("TOKEN"));
    }
    // What was not selected is not even read.
    let test = Test::with(MANIFEST).secret("TOKEN", canary()).variable("APP_ENV", "development");
    test.secret_with_mode("PRODUCTION_TOKEN", canary(), 0).by_nobody().start().app();
}

#[test]
fn a_file_variable_of_an_environment_that_nothing_selects_is_not_assumed_either() {
    let test = Test::with(MANIFEST).file("elsewhere", canary(), 0o444).variable("FLASK_ENV", "dev");
    let path = test.at("elsewhere");
    let outcome = test.variable("PRODUCTION_TOKEN_FILE", path).start();
    outcome.refused(66, "resolve", "TOKEN", "missing").says("PRODUCTION_TOKEN_FILE exists but is not used");
}

#[test]
fn a_declared_name_in_quotes_or_with_blanks_is_refused() {
    for name in ["CRYOKEY_ENVIRONMENT", "APP_ENV", "FLASK_ENV"] {
        for value in
            ["\"production\"", "'Production'", " production", "production ", "production\r", "production\n"]
        {
            let outcome = app_gets(&["PRODUCTION_TOKEN", "TOKEN"], &[(name, value)]);
            outcome.refused(78, "configure", name, "configuration").says("production");
        }
    }
    for value in ["'blue'", "blue\r", "\tblue", "\"blue\"\r"] {
        let outcome = app_gets(&["BLUE_TOKEN", "TOKEN"], &[("DEPLOYMENT_COLOR", value)]);
        outcome.refused(78, "configure", "DEPLOYMENT_COLOR", "configuration").says("`blue`");
    }
}

#[test]
fn an_undeclared_color_uses_no_color_and_the_warning_says_which_value_it_was() {
    let outcome = app_gets(&["BLUE_TOKEN", "TOKEN"], &[("DEPLOYMENT_COLOR", "purple")]);
    outcome.warns(&["DEPLOYMENT_COLOR=`purple`", "BLUE_TOKEN"]).app().has("TOKEN", value("TOKEN"));
    let outcome = app_gets(&["BLUE_TOKEN"], &[("DEPLOYMENT_COLOR", "bleu")]);
    outcome.refused(66, "resolve", "TOKEN", "missing").says("BLUE_TOKEN exists but is not used");
}

#[test]
fn plain_variables_with_a_prefix_are_one_warning_whatever_is_selected() {
    for environment in ["production", "staging", "development", ""] {
        let test =
            Test::with(MANIFEST).variable("PRODUCTION_TOKEN", canary()).variable("BLUE_OTHER", canary());
        let test = test.secret("TOKEN", value("TOKEN")).variable("APP_ENV", environment);
        let outcome = test.start();
        outcome.warns(&["PRODUCTION_TOKEN", "BLUE_OTHER", "_FILE"]);
        outcome.app().has("TOKEN", value("TOKEN"));
    }
    // A name that no declared secret is behind is none of cryokey's.
    let test = Test::with(MANIFEST).variable("PRODUCTION_HOST", "db").secret("TOKEN", canary());
    test.start().warns_of_nothing().app().has("PRODUCTION_HOST", "db");
}

#[test]
fn an_ssh_key_in_a_plain_variable_does_not_reach_the_app_under_any_prefix() {
    let manifest = format!("{MANIFEST}[secret.SSH_KEY]\ndeliver = \"ssh\"\n");
    for environment in ["production", "staging", ""] {
        let test = Test::with(&manifest).secret("TOKEN", canary()).variable("APP_ENV", environment);
        let outcome = test.variable("PRODUCTION_SSH_KEY", canary()).start();
        outcome.warns(&["PRODUCTION_SSH_KEY", "plain variable"]).app().has_no("PRODUCTION_SSH_KEY");
    }
}
