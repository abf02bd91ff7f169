//! Where the manifest is, whether it can be trusted, and what happens without one.

use std::os::unix::fs::chown;
use std::path::Path;

use crate::support::{NOBODY, Need, Outcome, Test, canary, chmod, is_root, require};

fn asking_for(name: &str) -> String {
    format!("version = 1\n[secret.{name}]\nrequired = true\n")
}

/// It was this manifest that counted.
#[track_caller]
fn asks_for(outcome: &Outcome, name: &str) {
    outcome.refused(66, "resolve", name, "missing");
}

#[test]
fn a_manifest_of_nothing_but_mistakes_is_refused_at_once_with_twenty_of_them() {
    let test = Test::new().manifest(&"!\n".repeat(1 << 19));
    let outcome = test.start();
    assert_eq!(outcome.code, 78);
    assert!(outcome.took < std::time::Duration::from_secs(3), "{:?}", outcome.took);
    assert_eq!(outcome.stderr.matches("expected `=`").count(), 20);
}

#[test]
fn the_option_counts_before_the_variable() {
    let test = Test::new().manifest(&asking_for("BY_VARIABLE")).public_file(
        "other.toml",
        asking_for("BY_OPTION"),
        0o644,
    );
    asks_for(&test.start(), "BY_VARIABLE");
    let other = test.at("other.toml");
    let test = test.option("--manifest").option(other);
    asks_for(&test.start(), "BY_OPTION");
}

#[test]
fn the_manifest_in_the_working_directory_applies_to_a_user_who_is_not_root() {
    let test = Test::new().public_file("work/cryokey.toml", asking_for("LOCAL"), 0o644);
    asks_for(&test.by_nobody().start(), "LOCAL");
}

#[test]
fn the_manifest_in_the_working_directory_is_ignored_by_root_and_that_is_reported() {
    if !require(Need::Root) {
        return;
    }
    let test = Test::profile().public_file("work/cryokey.toml", asking_for("LOCAL"), 0o644);
    test.start().says("./cryokey.toml is ignored, because cryokey runs as root").app();
}

#[test]
fn the_manifest_in_the_working_directory_is_ignored_by_pid_1() {
    if !require(Need::PidNamespace) {
        return;
    }
    let test = Test::profile().public_file("work/cryokey.toml", asking_for("LOCAL"), 0o644).by_nobody();
    let test = test.through(["unshare", "--pid", "--fork", "--mount-proc"]);
    test.start().says("./cryokey.toml is ignored, because cryokey runs as root or as PID 1").app();
}

#[test]
fn the_manifest_of_the_image_counts_where_no_other_does() {
    if !require(Need::Mounts) {
        return;
    }
    let test = Test::new().public_file("other.toml", asking_for("IMAGE"), 0o644);
    let script = "mount -t tmpfs none /etc && mkdir -p /etc/cryokey && cat ../other.toml > /etc/cryokey/cryokey.toml \
                  && exec \"$@\"";
    asks_for(&test.through_mounts(script).start(), "IMAGE");
}

#[test]
fn a_configured_manifest_that_is_missing_or_unreadable_is_refused() {
    let test = Test::profile().variable("CRYOKEY_MANIFEST", "/nonexistent.toml");
    test.start().refused(78, "configure", "/nonexistent.toml", "configuration").says("does not exist");
    let test = Test::profile().variable("CRYOKEY_MANIFEST", "/dev/zero");
    test.start().refused(78, "configure", "/dev/zero", "configuration").says("device");
    let test = Test::profile().manifest(&asking_for("TOKEN"));
    chmod(&test.at("cryokey.toml"), 0);
    let path = test.at("cryokey.toml").display().to_string();
    test.by_nobody().start().refused(77, "configure", &path, "denied");
}

#[test]
fn a_manifest_that_others_can_write_is_refused_by_root() {
    if !require(Need::Root) {
        return;
    }
    let path = |test: &Test| test.at("cryokey.toml").display().to_string();
    for mode in [0o664, 0o646, 0o666] {
        let test = Test::profile().public_file("cryokey.toml", asking_for("TOKEN"), mode);
        let file = path(&test);
        let outcome = test.variable("CRYOKEY_MANIFEST", &file).start();
        outcome
            .refused(77, "configure", &file, "denied")
            .says(&format!("mode {mode:04o}"))
            .says("chmod go-w");
    }
    let test = Test::profile().public_file("cryokey.toml", asking_for("TOKEN"), 0o644);
    let file = path(&test);
    chown(Path::new(&file), Some(NOBODY), None).unwrap();
    let test = test.variable("CRYOKEY_MANIFEST", &file);
    test.start().refused(77, "configure", &file, "denied").says("owner uid 65534").says("chown root");
}

#[test]
fn a_user_who_is_not_root_may_use_any_manifest() {
    let test = Test::new().public_file("cryokey.toml", asking_for("TOKEN"), 0o666);
    let file = test.at("cryokey.toml");
    asks_for(&test.variable("CRYOKEY_MANIFEST", file).by_nobody().start(), "TOKEN");
}

#[test]
fn k03_without_a_manifest_the_built_in_profile_counts_and_its_refusal_says_so() {
    let outcome = Test::new().secret("SOMETHING", canary()).start();
    for name in ["SUPABASE_URL", "SUPABASE_KEY", "SECRET_KEY"] {
        outcome.refused(66, "resolve", name, "missing");
    }
    outcome.says("no manifest was found").says("built-in profile").says("cryokey init");
    let outcome = Test::profile().secret("SUPABASE_URL", "changeme").start();
    outcome.refused(65, "resolve", "SUPABASE_URL", "placeholder").says("no manifest was found");
    Test::with("[secret.TOKEN]\nrequired = true\n").start().does_not_say("built-in profile");
}

#[test]
fn k03_the_built_in_profile_delivers_the_contracts_secrets_and_nothing_else() {
    let optional = ["DATABASE_URL", "JWT_SECRET", "HEALTH_CHECK_TOKEN"].map(|name| (name, canary()));
    let test = optional.iter().fold(Test::profile(), |test, (name, value)| test.secret(name, value));
    let outcome = test.secret("SOMETHING", canary()).secret("STAGING_SOMETHING", canary()).start();
    outcome.warns_of_nothing();
    let app = outcome.app();
    for (name, value) in &optional {
        app.has(name, value);
    }
    app.has_no("SOMETHING").has_no("STAGING_SOMETHING");
}

#[test]
fn k05_a_manifest_of_another_version_is_refused_with_the_range() {
    for (version, says) in
        [("0", "1 to 1"), ("2", "newer than this cryokey"), ("999", "1 to 1"), ("-1", "a whole number")]
    {
        let outcome = Test::new().manifest(&format!("version = {version}\n")).start();
        outcome.refused(78, "configure", "version", "configuration").says("cryokey.toml:1:11: ").says(says);
    }
    for text in ["version = \"1\"\n", "version = 1.0\n", "[secret.A]\n", ""] {
        let outcome = Test::new().manifest(text).start();
        outcome.refused(78, "configure", "version", "configuration");
    }
}

#[test]
fn k06_running_the_app_as_root_is_one_warning() {
    let outcome = Test::profile().start();
    let times = outcome.stderr.matches("will run as root").count();
    assert_eq!(times, usize::from(is_root()), "{}", outcome.stderr);
    Test::profile().by_nobody().start().does_not_say("as root").app();
}

#[test]
fn settings_of_the_manifest_lose_to_their_variables() {
    let value = canary();
    let manifest =
        "secrets_dir = \"/nonexistent\"\nstart_timeout = \"0s\"\n[secret.TOKEN]\nrequired = true\n";
    let test = Test::with(manifest).secret("TOKEN", &value).variable("CRYOKEY_START_TIMEOUT", "10s");
    test.start().app().has("TOKEN", &value);
    let directory = test.at("secrets");
    let test =
        test.variable("CRYOKEY_SECRETS_DIR", "/nonexistent/too").option("--secrets-dir").option(directory);
    test.start().app().has("TOKEN", value);
}
