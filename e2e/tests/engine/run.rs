//! `docker run` with secrets mounted from files.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};

use e2e::program::{command, run, until};
use e2e::secrecy::{canary, tells_no_value};

use crate::support::{CONTRACT, Directory, FIX, Run, contract, contract_values, engine, refuses, says};

#[test]
fn secrets_reach_an_app_without_any_right_and_of_cryokey_nothing_is_left() {
    let Some(engine) = engine() else { return };
    let secrets = engine.contract_directory();
    let (report, ended) = Run::hardened(engine)
        .secrets(&secrets)
        .options(&["--entrypoint=cryokey"])
        .app(&["run", "--exec", "--", "probe", "--exit", "42", "--", "a b", "*"])
        .report(42);
    report.has_contract().has_nothing_of_ours();
    assert_eq!(report.arguments(), ["probe", "--exit", "42", "--", "a b", "*"]);
    // cryokey has become the app: same process, and no other.
    for (fact, wanted) in [("pid", "1"), ("processes", "1"), ("uid", "65534"), ("gid", "65534")] {
        assert_eq!(report.process(fact), wanted, "{fact}");
    }
    // As without cryokey.
    let (alone, _) = Run::hardened(engine).options(&["--entrypoint=probe"]).report(0);
    for fact in ["groups", "capabilities", "no_new_privileges", "signals_blocked", "signals_ignored"] {
        assert_eq!(report.process(fact), alone.process(fact), "{fact}");
    }
    assert_eq!(report.process("no_new_privileges"), "1");
    assert_eq!(report.descriptors(), [0, 1, 2]);
    says(&ended.stderr, &["SUPABASE_URL", "SUPABASE_KEY", "SECRET_KEY"]);
    tells_no_value("the log", &ended.stderr, contract_values());
}

#[test]
fn neither_the_debug_log_nor_what_docker_keeps_of_the_container_holds_a_value() {
    let Some(engine) = engine() else { return };
    let secrets = engine.contract_directory();
    let container = Run::hardened(engine).secrets(&secrets).variable("CRYOKEY_LOG", "debug").start();
    let ended = container.wait().with(0);
    tells_no_value("docker logs", &ended.said(), contract_values());
    for subcommand in ["inspect", "diff"] {
        tells_no_value(subcommand, &engine.must(&[subcommand, &container.id]), contract_values());
    }
    let files = engine.scratch().join("files.tar");
    let files = files.to_str().unwrap();
    engine.must(&["export", "--output", files, &container.id]);
    for value in contract_values() {
        let grep = ["--quiet", "--text", "--fixed-strings", "-e", value, files];
        // Not found; 2 would be an error.
        run(&mut command("grep", grep)).with(1);
    }
}

#[test]
fn term_reaches_the_app_whose_exit_code_is_the_containers() {
    let Some(engine) = engine() else { return };
    let secrets = engine.contract_directory();
    let container = Run::hardened(engine).secrets(&secrets).app(&["probe", "--on-term", "7"]).start();
    until("the app runs", Duration::from_secs(10), || {
        let logs = container.logs();
        if logs.stdout.is_empty() { Err(logs) } else { Ok(()) }
    });
    let start = Instant::now();
    engine.must(&["stop", "--time", "10", &container.id]);
    let took = start.elapsed();
    container.wait().with(7);
    assert!(took < Duration::from_secs(5), "{took:?}, as if TERM had been lost");
}

#[test]
fn of_secrets_mounted_together_the_selected_environments_count_and_none_selected_is_refused() {
    let Some(engine) = engine() else { return };
    let (staging, production) = (canary(), canary());
    let secrets = Directory::readable(engine.scratch()).put_all(&[
        ("SUPABASE_URL", contract("SUPABASE_URL")),
        ("SUPABASE_KEY", contract("SUPABASE_KEY")),
        ("STAGING_SECRET_KEY", &staging),
        ("PRODUCTION_SECRET_KEY", &production),
        ("STAGING_REDIS_URL", "redis://staging.invalid"),
    ]);
    let run = || Run::hardened(engine).secrets(&secrets);

    let (report, ended) = run().variable("APP_ENV", "production").report(0);
    report.has("SECRET_KEY", &production).has("SUPABASE_URL", contract("SUPABASE_URL"));
    // Staging's alone has no effect, also where production has none.
    for name in ["REDIS_URL", "STAGING_SECRET_KEY", "PRODUCTION_SECRET_KEY", "STAGING_REDIS_URL"] {
        report.has_no(name);
    }
    tells_no_value("the log", &ended.stderr, [staging, production]);

    // The choice would be ambiguous.
    refuses(&run().run(), 78, &["CRYOKEY_ENVIRONMENT", "APP_ENV", "FLASK_ENV", FIX]);
}

#[test]
fn of_secrets_mounted_together_each_color_gets_its_own() {
    let Some(engine) = engine() else { return };
    let (blue, green) = (canary(), canary());
    let secrets = engine.contract_directory().put_all(&[
        ("BLUE_SUPABASE_KEY", &blue),
        ("GREEN_SUPABASE_KEY", &green),
        ("PRODUCTION_SUPABASE_KEY", &canary()),
    ]);
    for (color, value) in [("blue", blue), ("green", green)] {
        // The color is more specific than the environment.
        let run = Run::hardened(engine).secrets(&secrets).variable("DEPLOYMENT_COLOR", color);
        let (report, _) = run.variable("APP_ENV", "production").report(0);
        report.has("SUPABASE_KEY", value).has("SECRET_KEY", contract("SECRET_KEY"));
        report.has("DEPLOYMENT_COLOR", color).has_no("BLUE_SUPABASE_KEY").has_no("GREEN_SUPABASE_KEY");
    }
}

/// The secrets directory of a developer is 0700. Mounted as it is, it is closed to another user.
#[test]
fn a_closed_secrets_directory_is_one_problem_and_not_one_per_secret() {
    let Some(engine) = engine() else { return };
    let secrets = engine.contract_directory();
    fs::set_permissions(secrets.path(), Permissions::from_mode(0o700)).unwrap();
    let ended = Run::hardened(engine).secrets(&secrets).run();
    refuses(&ended, 77, &["/run/secrets", "uid 0", "0700", "uid 65534", FIX]);
    let errors = ended.stderr.lines().filter(|line| line.contains(" error ")).count();
    assert!(errors <= 1 + CONTRACT.len(), "{errors} error lines: {}", ended.stderr);
}

#[test]
fn k02_check_reports_on_an_image_that_does_not_start_and_runs_no_app() {
    let Some(engine) = engine() else { return };
    let secrets = engine.contract_directory();
    let check = |arguments: &[&str]| {
        let app = [&["check"], arguments].concat();
        Run::hardened(engine).secrets(&secrets).options(&["--entrypoint=cryokey"]).app(&app).run()
    };
    let table = check(&[]).with(0);
    says(&table.stdout, &["SUPABASE_URL", "SUPABASE_KEY", "SECRET_KEY"]);
    let json = check(&["--format", "json"]).with(0);
    serde_json::from_str::<serde_json::Value>(&json.stdout).unwrap();
    tells_no_value("check", &(table.said() + &json.stdout), contract_values());

    secrets.put("SUPABASE_URL", "no-url-Bk2zN5vR");
    tells_no_value("check", &check(&[]).with(65).said(), ["no-url-Bk2zN5vR"]);
}

/// They are visible to everyone who can call `docker inspect`.
#[test]
fn secrets_that_are_plain_variables_need_a_word_of_consent() {
    let Some(engine) = engine() else { return };
    let run = || CONTRACT.iter().fold(Run::hardened(engine), |run, (name, value)| run.variable(name, value));
    let ended = run().run();
    let names = ["SUPABASE_URL", "SUPABASE_KEY", "SECRET_KEY"];
    refuses(&ended, 66, &[&names[..], &["CRYOKEY_ALLOW_PLAIN_ENV", "docker inspect"]].concat());
    tells_no_value("the log", &ended.stderr, contract_values());
    let (report, _) = run().variable("CRYOKEY_ALLOW_PLAIN_ENV", "yes").report(0);
    report.has_nothing_of_ours().has_contract();
}
