//! The strict modes: what stops startup, what is only a warning, and the exit code of several problems.

use crate::support::{REQUIRED, Test, canary};

#[test]
fn without_strict_secret_mode_an_absent_secret_is_a_warning() {
    let test = Test::with(REQUIRED).variable("STRICT_SECRET_MODE", "false");
    let outcome = test.start();
    outcome.warns(&["TOKEN is required, but does not exist", "; fix: "]).app().has_no("TOKEN");
}

#[test]
fn without_strict_secret_mode_an_unusable_secret_is_a_warning() {
    let test = Test::with(REQUIRED).variable("TOKEN_FILE", "/dev/null").variable("STRICT_SECRET_MODE", "no");
    test.start().warns(&["TOKEN", "/dev/null is a device"]).app().has_no("TOKEN");
}

#[test]
fn switches_are_read_in_any_case_and_nothing_else_is_a_switch() {
    for no in ["false", "False", "0", "no", "OFF"] {
        Test::with(REQUIRED).variable("STRICT_SECRET_MODE", no).start().app();
    }
    for yes in ["true", "TRUE", "1", "Yes", "on", ""] {
        let outcome = Test::with(REQUIRED).variable("STRICT_SECRET_MODE", yes).start();
        outcome.refused(66, "resolve", "TOKEN", "missing");
    }
    for nonsense in ["flase", "2", " ", "true ", "nein"] {
        for name in ["STRICT_SECRET_MODE", "STRICT_ENV_MODE", "STRICT_ROTATION_MODE", "CRYOKEY_ALLOW_DISK"] {
            let outcome = Test::with("").variable(name, nonsense).start();
            outcome.refused(78, "configure", name, "configuration").says("true or false");
        }
    }
}

#[test]
fn numbers_and_words_that_are_not_what_they_should_be_are_refused_together() {
    let test = Test::with("").variable("SECRET_ROTATION_THRESHOLD_DAYS", "90 days");
    let test = test.variable("CRYOKEY_START_TIMEOUT", "soon").variable("CRYOKEY_UNDECLARED", "maybe");
    let outcome = test.start();
    for name in ["SECRET_ROTATION_THRESHOLD_DAYS", "CRYOKEY_START_TIMEOUT", "CRYOKEY_UNDECLARED"] {
        outcome.refused(78, "configure", name, "configuration");
    }
    for name in ["CRYOKEY_LOG", "CRYOKEY_LOG_FORMAT"] {
        let outcome = Test::with("").variable(name, "verbose").start();
        outcome.refused(78, "configure", name, "configuration");
    }
}

#[test]
fn a_required_variable_must_be_set_and_not_empty() {
    let manifest = "[env]\nrequired = [\"FLASK_APP\"]\n";
    for test in [Test::with(manifest), Test::with(manifest).variable("FLASK_APP", "")] {
        let outcome = test.start();
        outcome.refused(66, "resolve", "FLASK_APP", "missing").says("STRICT_ENV_MODE=false");
        outcome.does_not_say("STRICT_SECRET_MODE");
        let test = test.variable("STRICT_ENV_MODE", "false");
        test.start().warns(&["FLASK_APP", "; fix: "]).app();
    }
    Test::with(manifest).variable("FLASK_APP", "app:app").start().app();
    Test::with(manifest).variable("FLASK_APP_FILE", "/etc/hostname").start().app();
}

#[test]
fn a_secret_satisfies_the_variable_of_its_name() {
    let test = Test::with(&format!("[env]\nrequired = [\"TOKEN\"]\n{REQUIRED}")).secret("TOKEN", canary());
    test.start().warns_of_nothing().app();
    let manifest = format!("[env]\nrequired = [\"TOKEN\"]\n{REQUIRED}deliver = \"file\"\n");
    Test::with(&manifest).secret("TOKEN", canary()).start().app();
}

#[test]
fn when_the_variable_stops_what_the_secret_let_pass_both_switches_are_named() {
    let outcome = Test::new().variable("STRICT_SECRET_MODE", "false").start();
    for name in ["SUPABASE_URL", "SUPABASE_KEY", "SECRET_KEY"] {
        outcome.refused(66, "resolve", name, "missing");
    }
    outcome.says("STRICT_SECRET_MODE=false").says("STRICT_ENV_MODE=false");
    let test = Test::new().variable("STRICT_SECRET_MODE", "false").variable("STRICT_ENV_MODE", "false");
    test.start().app().has_no("SUPABASE_URL");
}

#[test]
fn a_plain_variable_satisfies_the_variable_but_not_the_secret() {
    let value = canary();
    let test = Test::with(&format!("[env]\nrequired = [\"TOKEN\"]\n{REQUIRED}")).variable("TOKEN", &value);
    let outcome = test.start();
    outcome.refused(66, "resolve", "TOKEN", "plain-env").says("docker inspect");
    outcome.says("CRYOKEY_ALLOW_PLAIN_ENV").says("allow_plain_env");
    let test = test.variable("CRYOKEY_ALLOW_PLAIN_ENV", "true");
    test.start().warns_of_nothing().app().has("TOKEN", &value);
    let manifest = format!("allow_plain_env = true\n{REQUIRED}");
    Test::with(&manifest).variable("TOKEN", &value).start().app().has("TOKEN", &value);
    let test = Test::with(REQUIRED).variable("TOKEN", &value).variable("STRICT_SECRET_MODE", "false");
    test.start().warns(&["TOKEN", "plain variable"]).app().has("TOKEN", &value);
    Test::with("[secret.TOKEN]\n")
        .variable("TOKEN", &value)
        .start()
        .warns_of_nothing()
        .app()
        .has("TOKEN", value);
}

#[test]
fn name_file_satisfies_the_secret_and_is_removed() {
    let value = canary();
    let test = Test::with(REQUIRED).file("elsewhere", format!("{value}\n"), 0o400);
    let path = test.at("elsewhere");
    let outcome = test.variable("TOKEN_FILE", path).start();
    outcome.warns_of_nothing().app().has("TOKEN", value).has_no("TOKEN_FILE");
}

#[test]
fn all_problems_are_reported_together_and_the_most_severe_decides() {
    let manifest = "[secret.MISSING]\nrequired = true\n[secret.EMPTY]\nrequired = true\n\
                    [secret.DENIED]\nrequired = true\n[secret.BOTH]\n";
    let of = |names: &[&str]| {
        let test = Test::with(manifest).secret("EMPTY", "");
        let test = if names.contains(&"MISSING") { test } else { test.secret("MISSING", canary()) };
        let test =
            test.secret_with_mode("DENIED", canary(), if names.contains(&"DENIED") { 0 } else { 0o444 });
        let test = if names.contains(&"BOTH") {
            test.secret("both", canary()).secret("BOTH", canary())
        } else {
            test
        };
        test.by_nobody().start()
    };
    of(&[]).refused(65, "resolve", "EMPTY", "empty");
    let outcome = of(&["MISSING"]);
    outcome.refused(66, "resolve", "EMPTY", "empty").refused(66, "resolve", "MISSING", "missing");
    let outcome = of(&["MISSING", "DENIED"]);
    outcome.refused(77, "resolve", "EMPTY", "empty").refused(77, "resolve", "DENIED", "denied");
    let outcome = of(&["MISSING", "DENIED", "BOTH"]);
    for (name, reason) in
        [("EMPTY", "empty"), ("MISSING", "missing"), ("DENIED", "denied"), ("BOTH", "configuration")]
    {
        outcome.refused(78, "resolve", name, reason);
    }
}

#[test]
fn a_configuration_error_stops_also_without_strict_modes() {
    let test = Test::with("[secret.TOKEN]\n").secret("TOKEN", canary()).secret("token", canary());
    let test = test.variable("STRICT_SECRET_MODE", "false").variable("STRICT_ENV_MODE", "false");
    test.start().refused(78, "resolve", "TOKEN", "configuration");
}

#[test]
fn secrets_of_kubernetes_need_a_pod_and_a_name() {
    let outcome = Test::profile().variable("K8S_SECRET_NAME", "app").start();
    outcome.refused(78, "resolve", "SECRET_KEY", "configuration").says("KUBERNETES_SERVICE_HOST is not set");
    Test::profile().variable("K8S_SECRET_NAME", "").start().app();
    let outcome = Test::profile().variable("K8S_SECRET_NAMESPACE", "default").start();
    outcome.refused(78, "configure", "K8S_SECRET_NAMESPACE", "configuration");
    let outcome = Test::with("[secret.TOKEN]\nfrom = [\"k8s:db/a/b#password\"]\n").start();
    outcome.refused(78, "configure", "secret.TOKEN.from", "configuration").says("k8s:namespace/name#key");
}

#[test]
fn the_startup_timeout_bounds_reading() {
    let test = Test::profile().variable("CRYOKEY_START_TIMEOUT", "0ms");
    let outcome = test.start();
    for name in ["SUPABASE_URL", "SUPABASE_KEY", "SECRET_KEY"] {
        outcome.refused(75, "resolve", name, "timeout");
    }
    outcome.says("CRYOKEY_START_TIMEOUT");
}

#[test]
fn a_required_variable_that_is_delivered_only_as_an_ssh_key_is_refused() {
    let manifest = "[env]\nrequired = [\"KEY\"]\n[secret.KEY]\ndeliver = \"ssh\"\n";
    for strict in ["true", "false"] {
        let test = Test::with(manifest).variable("STRICT_ENV_MODE", strict);
        test.start().refused(78, "resolve", "KEY", "configuration");
        let test = test.variable("KEY", canary());
        test.start().refused(78, "resolve", "KEY", "configuration");
    }
}

#[test]
fn l02_what_cannot_be_used_does_not_take_the_lower_ones_variable() {
    let value = canary();
    for deliver in ["env", "file", "both"] {
        let manifest = format!("{REQUIRED}deliver = \"{deliver}\"\n[env]\nrequired = [\"TOKEN\"]\n");
        let test = Test::with(&manifest).file("good", &value, 0o444).variable("STRICT_SECRET_MODE", "false");
        std::fs::create_dir(test.secret_path("TOKEN")).unwrap();
        let path = test.at("good");
        let by_file = test.variable("TOKEN_FILE", &path);
        let outcome = by_file.start();
        outcome.warns(&["TOKEN is a directory"]);
        outcome.app().has("TOKEN_FILE", path.to_str().unwrap()).has_no("TOKEN");
        let plain = by_file.without("TOKEN_FILE").variable("TOKEN", &value);
        plain.start().app().has("TOKEN", &value);
    }
}

#[test]
fn an_empty_secret_that_takes_the_place_of_a_required_variable_is_refused() {
    let manifest = "[secret.FOO]\n[env]\nrequired = [\"FOO\"]\n";
    let test = Test::with(manifest).secret("FOO", "").variable("FOO", canary());
    test.start().refused(66, "resolve", "FOO", "missing");
    let test = Test::with(manifest).secret("FOO", "").file("good", canary(), 0o444);
    let path = test.at("good");
    test.variable("FOO_FILE", path).start().refused(66, "resolve", "FOO", "missing");
    let manifest = format!("{manifest}[secret.BAR]\nallow_empty = true\n");
    Test::with(&manifest.replace("\"FOO\"", "\"BAR\"")).secret("BAR", "").start().app().has("BAR", "");
}

#[test]
fn a_required_file_variable_is_the_one_that_cryokey_sets() {
    let manifest = "[secret.FOO]\ndeliver = \"file\"\n[env]\nrequired = [\"FOO_FILE\"]\n";
    Test::with(manifest).secret("FOO", canary()).start().app();
    let manifest = "[secret.FOO]\n[env]\nrequired = [\"FOO_FILE\"]\n";
    let test = Test::with(manifest).file("good", canary(), 0o444);
    let path = test.at("good");
    test.variable("FOO_FILE", path).start().refused(66, "resolve", "FOO_FILE", "missing");
}

#[test]
fn a_declared_name_that_cryokey_takes_away_is_refused() {
    for name in ["CRYOKEY_TOKEN", "CRYOKEY_"] {
        let test = Test::with(&format!("[secret.{name}]\n")).variable(name, canary());
        test.start().refused(78, "configure", &format!("secret.{name}"), "configuration");
    }
    let outcome = Test::with("environments = [\"cryokey\"]\n").start();
    outcome.refused(78, "configure", "environments", "configuration");
}

#[test]
fn strict_permissions_hold_for_the_files_of_file_variables_too() {
    for (mode, code) in [(0o666, 77), (0o440, 77), (0o400, 0)] {
        let manifest = format!("strict_permissions = true\n{REQUIRED}");
        let test = Test::with(&manifest).file("elsewhere", canary(), mode);
        let path = test.at("elsewhere");
        let test = test.variable("TOKEN_FILE", path);
        assert_eq!((test.start().code, test.command(["check"]).code), (code, code), "{mode:o}");
    }
}
