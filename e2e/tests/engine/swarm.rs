//! Swarm services with external secrets.

use e2e::secrecy::{canary, tells_no_value};

use crate::support::{
    CONTRACT, FIX, Report, Service, contract, contract_values, create_secret, engine, external, says,
};

/// The contract's secret under its name, readable for the container's user.
fn owned(name: &str) -> String {
    mounted(&external(name), name)
}

fn mounted(source: &str, target: &str) -> String {
    format!("--secret=source={source},target={target},uid=65534,gid=65534,mode=0400")
}

/// The options that mount these of the contract's secrets.
fn all_but(left_out: &str) -> Vec<String> {
    CONTRACT.iter().filter(|(name, _)| *name != left_out).map(|(name, _)| owned(name)).collect()
}

#[test]
fn external_secrets_with_target_mode_and_uid_reach_the_app() {
    let Some(engine) = engine() else { return };
    let app = ["probe", "--file", "/run/secrets/SECRET_KEY"];
    let service = Service::create(engine, "contract", &all_but(""), &app);
    let report = service.report();
    report.has_contract();
    let file = report.file("/run/secrets/SECRET_KEY");
    file.holds(contract("SECRET_KEY")).is("file 0400 65534:65534");
    assert_eq!(report.descriptors(), [0, 1, 2]);
    tells_no_value("the log", &service.logs().said(), contract_values());
    let shown = engine.must(&["service", "inspect", "contract"]);
    tells_no_value("docker service inspect", &shown, contract_values());
}

#[test]
fn a_secret_without_target_is_found_by_the_name_prefix() {
    let Some(engine) = engine() else { return };
    let secrets = CONTRACT.iter().map(|(name, _)| format!("--secret={}", external(name)));
    let options: Vec<_> = secrets.chain(["--env=CRYOKEY_NAME_PREFIX=cryoprotect_".to_owned()]).collect();
    Service::create(engine, "name-prefix", &options, &[]).report().has_contract();
}

#[test]
fn c02_a_secret_with_mode_0400_and_without_uid_is_refused_with_both_ways_out() {
    let Some(engine) = engine() else { return };
    let mut options = all_but("SECRET_KEY");
    options.push(format!("--secret=source={},target=SECRET_KEY,mode=0400", external("SECRET_KEY")));
    let log = Service::create(engine, "mode-without-uid", &options, &[]).refusal(77);
    says(&log, &["SECRET_KEY", "owner is uid 0", "0400", "uid 65534 cannot read"]);
    says(&log, &[FIX, "`uid: \"65534\"`", "`gid:`", "Compose ignores", "chown 65534"]);
}

#[test]
fn c01_k03_a_missing_secret_stops_the_service_and_the_log_says_what_to_do() {
    let Some(engine) = engine() else { return };
    let service = Service::create(engine, "missing-secret", &all_but("SUPABASE_KEY"), &[]);
    let log = service.refusal(66);
    says(line_about(&log, "SUPABASE_KEY"), &["error", "required", "/run/secrets", FIX, "mount"]);
    // The contract's user sees this first, and has no manifest.
    says(&log, &["built-in", "cryokey init"]);
    assert_eq!(service.logs().stdout, "", "the app ran");
    let state = ["service", "ps", "--format", "{{.CurrentState}} {{.Error}}", "missing-secret"];
    says(&engine.must(&state), &["Failed", "66"]);
    tells_no_value("the log", &log, contract_values());
}

#[track_caller]
fn line_about<'a>(log: &'a str, name: &str) -> &'a str {
    let mut lines = log.lines().filter(|line| line.contains(" error ") && line.contains(name));
    lines.next().unwrap_or_else(|| panic!("no error line names {name}: {log}"))
}

#[test]
fn secrets_that_are_too_old_are_a_warning_and_stop_the_service_in_strict_mode() {
    let Some(engine) = engine() else { return };
    // 2020-01-01.
    create_secret(engine, "rotated-long-ago", "1577836800\n");
    let mut options = all_but("");
    options.push(mounted("rotated-long-ago", "SECRET_ROTATION_TIMESTAMP"));
    options.push("--env=SECRET_ROTATION_THRESHOLD_DAYS=90".into());
    let strict = [&options[..], &["--env=STRICT_ROTATION_MODE=True".to_owned()]].concat();
    let log = Service::create(engine, "rotation-strict", &strict, &[]).refusal(78);
    let words = ["90", "days", FIX, "rotate", "SECRET_ROTATION_TIMESTAMP"];
    says(line_about(&log, "SUPABASE_KEY"), &words);

    let service = Service::create(engine, "rotation-lenient", &options, &[]);
    service.report().has("SECRET_KEY", contract("SECRET_KEY"));
    service.logs_when("the warning", |logs| {
        [" warn ", "90", "SECRET_ROTATION_TIMESTAMP"].iter().all(|word| logs.stderr.contains(word))
    });
}

#[test]
fn one_trailing_newline_is_stripped_and_everything_else_arrives() {
    let Some(engine) = engine() else { return };
    let cases = [
        ("API_KEY", "crlf", "Zx4cV8\r\n", "Zx4cV8"),
        ("JWT_SECRET", "one", "Qw2eR6\n", "Qw2eR6"),
        ("ENCRYPTION_KEY", "two", "Ty9uI3\n\n", "Ty9uI3\n"),
        ("MAIL_PASSWORD", "inside", "Op7aS1\r\nDf5gH0", "Op7aS1\r\nDf5gH0"),
        ("REDIS_URL", "spaces", " redis://h:1/0 \n", " redis://h:1/0 "),
    ];
    let mut options = all_but("");
    for (name, secret, content, _) in cases {
        let secret = format!("line-end-{secret}");
        create_secret(engine, &secret, content);
        options.push(mounted(&secret, name));
    }
    let report = Service::create(engine, "line-ends", &options, &[]).report();
    for (name, _, _, arrives) in cases {
        report.has(name, arrives);
    }
}

/// A Swarm secret never changes in place: a new one takes its target, and the task is replaced.
#[test]
fn a_new_version_of_a_secret_reaches_the_task_that_replaces_the_old_one() {
    let Some(engine) = engine() else { return };
    let new = canary();
    create_secret(engine, "supabase_key_2", &new);
    let options = [&all_but("")[..], &["--stop-grace-period=5s".to_owned()]].concat();
    let service = Service::create(engine, "new-version", &options, &["probe", "--on-term", "0"]);
    let reports = |count: usize| {
        service.logs_when("the app's report", |logs| logs.stdout.lines().count() == count).stdout
    };
    Report::parse(&reports(1)).has("SUPABASE_KEY", contract("SUPABASE_KEY"));
    let remove = format!("--secret-rm={}", external("SUPABASE_KEY"));
    let add = "--secret-add=source=supabase_key_2,target=SUPABASE_KEY,uid=65534,gid=65534,mode=0400";
    engine.must(&["service", "update", "--detach", &remove, add, "new-version"]);
    let both = reports(2);
    let newest = both.lines().map(Report::parse).find(|report| report.is("SUPABASE_KEY", &new));
    newest
        .unwrap_or_else(|| panic!("no app got the new value: {both}"))
        .has("SUPABASE_URL", contract("SUPABASE_URL"));
}
