//! The command line: usage, `check`, `explain`, `init`, and the two forms of the log.

use std::fs;

use crate::support::{Need, Outcome, REQUIRED, Test, canary, mode, require};

#[test]
fn k01_a_wrong_command_line_is_64_and_nothing_runs() {
    let lines: [&[&str]; 17] = [
        &[],
        &["--"],
        &["run"],
        &["run", "--"],
        &["runn", "--", "/bin/true"],
        &["run", "--dve", "--", "/bin/true"],
        &["run", "--manifest"],
        &["run", "-x", "--", "/bin/true"],
        &["run", "--format", "json", "--", "/bin/true"],
        &["check", "TOKEN"],
        &["check", "--format", "xml"],
        &["explain"],
        &["init", "--dev"],
        &["install"],
        &["export", "--format", "kube-env"],
        &["export", "--output", "x"],
        &["install", "a", "b"],
    ];
    for line in lines {
        let outcome = Test::profile().command(line);
        assert_eq!(outcome.code, 64, "{line:?}: {}", outcome.stderr);
        assert!(outcome.stdout.is_empty() && outcome.stderr.contains("; fix: "), "{}", outcome.stderr);
        outcome.says("exit code=64 phase=usage").says("reason=usage");
    }
    Test::profile().command(["runn"]).says("did you mean `run`");
    Test::profile().command(["run", "--secret-dir", "x", "--", "y"]).says("did you mean `--secrets-dir`");
}

#[test]
fn k01_no_arguments_are_a_usage_error_in_two_parts() {
    let outcome = Test::profile().command([""; 0]);
    assert_eq!(outcome.code, 64);
    outcome.says("no command was given; fix: ");
}

#[test]
fn k01_what_follows_the_dashes_is_the_apps() {
    let app = ["/usr/bin/printf", "%s|", "--dev", "--help", "--", "run"];
    let expected = "--dev|--help|--|run|";
    assert_eq!(Test::profile().run(app).text(), expected);
    for start in [&["--"][..], &["run", "--"], &["run"], &["run", "--exec"], &["run", "--exec", "--"]] {
        assert_eq!(Test::with("").command([start, &app].concat()).text(), expected, "{start:?}");
    }
}

#[test]
fn on_a_terminal_check_shows_each_problem_once() {
    if !require(Need::Python) {
        return;
    }
    let script = "import pty, sys; sys.exit(pty.spawn(sys.argv[1:]) >> 8)";
    let outcome = Test::with(REQUIRED).through(["/usr/bin/python3", "-c", script]).command(["check"]);
    let shown = outcome.printed();
    assert_eq!(shown.matches("TOKEN is required").count(), 1, "{shown}");
    assert!(shown.contains("error exit code=66"), "{shown}");
}

#[test]
fn help_and_version_go_to_standard_output() {
    for line in [&["--help"][..], &["-h"], &["help"], &["run", "--help"]] {
        let outcome = Test::new().command(line);
        assert!(outcome.text().contains("cryokey run [OPTIONS] -- COMMAND"), "{line:?}");
        assert!(outcome.stderr.is_empty(), "{}", outcome.stderr);
    }
    for line in ["--version", "-V", "version"] {
        let expected = format!("cryokey {}\n", env!("CARGO_PKG_VERSION"));
        assert_eq!(Test::new().command([line]).text(), expected);
    }
}

#[test]
fn k04_a_misspelt_variable_of_cryokey_is_a_warning_with_a_suggestion() {
    for (wrong, right) in [
        ("CRYOKEY_SECRET_DIR", "CRYOKEY_SECRETS_DIR"),
        ("CRYOKEY_MANIFST", "CRYOKEY_MANIFEST"),
        ("STRICT_SECRETS_MODE", "STRICT_SECRET_MODE"),
        ("SECRET_ROTATION_TRESHOLD_DAYS", "SECRET_ROTATION_THRESHOLD_DAYS"),
        ("EXTERNAL_SECRET_PROVIDERS", "EXTERNAL_SECRET_PROVIDER"),
    ] {
        let outcome = Test::profile().variable(wrong, "1").start();
        outcome.warns(&[&format!("unknown variable {wrong}"), &format!("did you mean `{right}`")]).app();
    }
    let test = Test::profile().variable("STRICT_TRANSPORT_SECURITY", "1").variable("SECRET_SAUCE", "1");
    test.start().warns_of_nothing().app();
}

#[test]
fn k02_check_resolves_like_run_and_delivers_nothing() {
    let test = Test::profile().secret("API_KEY", canary()).secret("DATABASE_URL", "").in_run_dir();
    let outcome = test.command(["check"]);
    let table = outcome.text();
    assert!(table.contains("manifest: built-in   environment: none   color: none"), "{table}");
    let row = |name: &str| {
        let line = table.lines().find(|line| line.starts_with(&format!("{name} "))).unwrap();
        line.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(
        row("SECRET_KEY"),
        ["SECRET_KEY", "required", "found", "files", "SECRET_KEY", "-", "variable"]
    );
    assert_eq!(row("REDIS_URL"), ["REDIS_URL", "optional", "absent", "-", "-", "variable"]);
    assert_eq!(row("DATABASE_URL")[2], "empty");
    assert_eq!(row("SSH_KEY").last().unwrap(), "key");
    assert!(table.ends_with("The app would start.\n") && !table.contains('\u{1b}'), "{table}");
    let columns = table.lines().skip(2).take(18).map(|line| line.find("variable").or(line.find("SSH key")));
    let places: Vec<usize> = columns.flatten().collect();
    assert!(places.windows(2).all(|pair| pair[0] == pair[1]), "aligned: {table}");
}

#[test]
fn k02_check_ends_with_the_code_of_run_and_says_the_same() {
    let denied = Test::with(REQUIRED).secret_with_mode("TOKEN", canary(), 0).by_nobody();
    let cases = [
        (Test::new(), 66),
        (Test::with(REQUIRED).secret("TOKEN", ""), 65),
        (Test::with(REQUIRED).secret("TOKEN", b"a\0b"), 65),
        (Test::with(REQUIRED).secret("TOKEN", canary()).secret("token", canary()), 78),
        (Test::with(REQUIRED).variable("TOKEN", canary()), 66),
        (Test::with("[secret.token]\n"), 78),
        (denied, 77),
        (Test::profile(), 0),
    ];
    for (test, code) in cases {
        let (run, check) = (test.start(), test.command(["check"]));
        assert_eq!((run.code, check.code), (code, code), "{}{}", run.stderr, check.stderr);
        let last = |outcome: &Outcome| {
            let last = outcome.stderr.lines().last().unwrap().to_owned();
            last.split_once("Z ").unwrap().1.to_owned()
        };
        if code != 0 {
            assert_eq!(last(&run), last(&check));
        }
        if code != 0 && code != 78 {
            let printed = check.printed();
            assert!(printed.contains("problem: ") && printed.contains("  fix: "), "{printed}");
            assert!(printed.ends_with(&format!("The app would not start: exit code {code}.\n")), "{printed}");
        }
        let report = test.command(["check", "--format", "json"]);
        assert_eq!(report.code, code);
    }
}

#[test]
fn k02_check_as_json_has_every_part() {
    let manifest = format!("environments = [\"staging\"]\n{REQUIRED}[secret.OTHER]\n");
    let test = Test::with(&manifest).secret("STAGING_TOKEN", "changeme").variable("APP_ENV", "staging");
    let test =
        test.secret("SECRET_ROTATION_TIMESTAMP", "0").variable("SECRET_ROTATION_THRESHOLD_DAYS", "99999");
    let outcome = test.command(["check", "--format", "json"]);
    let report = outcome.json();
    assert_eq!(report["cryokey"], env!("CARGO_PKG_VERSION"));
    assert_eq!(report["manifest"], test.at("cryokey.toml").to_str().unwrap());
    assert_eq!(report["environment"], "staging");
    assert_eq!(report["color"], serde_json::Value::Null);
    assert_eq!(report["exit_code"], 65);
    let (other, token) = (&report["secrets"][0], &report["secrets"][1]);
    assert_eq!((&other["name"], &other["state"]), (&"OTHER".into(), &"absent".into()));
    assert_eq!((&token["name"], &token["required"]), (&"TOKEN".into(), &true.into()));
    assert_eq!((&token["source"], &token["key"]), (&"files".into(), &"STAGING_TOKEN".into()));
    assert!(token["age_days"].as_u64().unwrap() > 20_000);
    let problem = &report["problems"][0];
    assert_eq!((&problem["names"][0], &problem["reason"]), (&"TOKEN".into(), &"placeholder".into()));
    assert!(problem["what"].is_string() && problem["fix"].is_string() && problem["code"] == 65);
    assert!(report["advice"][0].as_str().unwrap().contains("0444"));
}

#[test]
fn explain_shows_every_place_and_why_it_lost() {
    let manifest = format!("environments = [\"staging\"]\ncolors = [\"blue\"]\n{REQUIRED}");
    let test =
        Test::with(&manifest).secret("STAGING_TOKEN", format!("{}\n", canary())).secret("TOKEN", canary());
    let test = test.secret("BLUE_TOKEN", canary()).variable("TOKEN", canary()).variable("APP_ENV", "staging");
    let test =
        test.secret("SECRET_ROTATION_TIMESTAMP", "0").variable("SECRET_ROTATION_THRESHOLD_DAYS", "99999");
    let outcome = test.command(["explain", "TOKEN"]);
    let text = outcome.text();
    assert!(text.starts_with("TOKEN (required): from files STAGING_TOKEN\n"), "{text}");
    let says = |place: &str, fate: &str| {
        assert!(text.lines().any(|line| line.contains(place) && line.contains(fate)), "{place}: {text}");
    };
    says("files BLUE_TOKEN ", "color or environment is not selected");
    says("files STAGING_TOKEN ", "this is the value");
    says("files TOKEN ", "more specific name");
    says("environment TOKEN ", "more specific name");
    says("file variable TOKEN_FILE ", "does not exist");
    assert!(text.contains("  age: ") && text.contains("one trailing newline (LF)"), "{text}");
    let json = test.command(["explain", "TOKEN", "--format", "json"]).json();
    assert_eq!(json[0]["name"], "TOKEN");
    assert_eq!(json[0]["places"][0]["variant"], "blue");
    assert!(json[0]["places"].as_array().unwrap().iter().any(|place| place["fate"] == "this is the value"));
}

#[test]
fn explain_of_an_undeclared_name_exits_with_78_and_the_others_are_explained() {
    let test = Test::with(REQUIRED).secret("TOKEN", canary());
    let outcome = test.command(["explain", "TOKN", "TOKEN"]);
    assert_eq!(outcome.code, 78, "{}", outcome.stderr);
    outcome.says("TOKN is not declared").says("did you mean `TOKEN`").says("names=TOKN reason=configuration");
    assert!(outcome.printed().starts_with("TOKEN (required)"), "{}", outcome.printed());
}

#[test]
fn init_writes_a_manifest_that_check_reads() {
    let compose =
        "services: {app: {secrets: [supabase_url, db-password]}}\nsecrets:\n  supabase_url:\n    file: ./x\n";
    let test = Test::new().public_file("work/compose.yaml", compose, 0o644);
    let example = "# a comment\nexport API_TOKEN=abc\nDEBUG=1\nMAIL_PASSWORD=\n";
    let test = test.public_file("work/.env.example", example, 0o644).secret("JWT_SECRET", canary());
    let directory = test.at("secrets").display().to_string();
    let outcome = test.command(["init", "--secrets-dir", &directory]);
    assert_eq!(outcome.text(), "");
    let path = test.at("work/cryokey.toml");
    let written = fs::read_to_string(&path).unwrap();
    for name in ["SUPABASE_URL", "DB_PASSWORD", "API_TOKEN", "MAIL_PASSWORD", "JWT_SECRET"] {
        assert!(written.contains(&format!("\n[secret.{name}]\n")), "{name}: {written}");
    }
    assert!(written.starts_with('#') && written.contains("undeclared = \"ignore\""), "{written}");
    outcome.leaks_nothing_into(written.as_bytes());
    assert_eq!(mode(&path), 0o644);
    let check = test.command(["check", "--manifest", path.to_str().unwrap()]);
    assert_eq!(check.code, 66, "{}", check.stderr);
    check.says("is required").says("SUPABASE_URL");
}

#[test]
fn init_replaces_no_file_without_force() {
    let test = Test::new().public_file("work/cryokey.toml", "mine", 0o644);
    let directory = test.at("secrets").display().to_string();
    let outcome = test.command(["init", "--secrets-dir", &directory]);
    outcome.refused(73, "configure", "cryokey.toml", "cannot-create").says("--force");
    assert_eq!(fs::read_to_string(test.at("work/cryokey.toml")).unwrap(), "mine");
    test.command(["init", "--force", "--secrets-dir", &directory]).text();
    assert!(fs::read_to_string(test.at("work/cryokey.toml")).unwrap().contains("version = 1"));
}

#[test]
fn init_refuses_a_compose_file_that_is_none() {
    let test = Test::new().public_file("work/broken.yaml", "secrets: [\n", 0o644);
    let outcome = test.command(["init", "--compose", "broken.yaml", "--output", "-"]);
    assert_eq!(outcome.code, 78, "{}", outcome.stderr);
    outcome.says("broken.yaml:").nothing_happened();
    let outcome = test.command(["init", "--compose", "none.yaml", "--output", "-"]);
    assert_eq!(outcome.code, 78, "{}", outcome.stderr);
    outcome.says("none.yaml").nothing_happened();
}

#[test]
fn the_log_is_text_or_json_lines_and_has_levels() {
    let test = Test::with(REQUIRED).variable("CRYOKEY_LOG_FORMAT", "json");
    let outcome = test.start();
    let lines: Vec<serde_json::Value> =
        outcome.stderr.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines.iter().all(|line| line["time"].as_str().unwrap().ends_with('Z')));
    let last = lines.last().unwrap();
    assert_eq!((&last["level"], &last["code"]), (&"error".into(), &66.into()));
    assert!(
        last["message"]
            .as_str()
            .unwrap()
            .starts_with("exit code=66 phase=resolve names=TOKEN reason=missing")
    );
    let problem = &lines[lines.len() - 2];
    assert_eq!((&problem["names"][0], &problem["reason"]), (&"TOKEN".into(), &"missing".into()));
    assert!(problem["fix"].as_str().unwrap().contains("mount it"));
    for (level, lines) in [("error", 0), ("warn", 1), ("info", 3), ("debug", 6)] {
        let test = Test::with(REQUIRED).variable("TOKEN", "plain").secret("TOKEN", "value");
        let outcome = test.variable("CRYOKEY_LOG", level).by_nobody().start();
        assert_eq!(outcome.stderr.lines().count(), lines, "{level}: {}", outcome.stderr);
        outcome.app();
    }
    let outcome = Test::with(REQUIRED).variable("CRYOKEY_LOG", "error").start();
    assert_eq!(outcome.stderr.lines().count(), 2, "{}", outcome.stderr);
}

#[test]
fn one_info_line_a_secret_names_its_place() {
    let test = Test::profile().file("elsewhere", canary(), 0o444).variable("CRYOKEY_LOG", "info");
    let path = test.at("elsewhere");
    let outcome = test.variable("API_KEY_FILE", path).start();
    for line in [
        "info API_KEY: from file variable API_KEY_FILE\n",
        "info SECRET_KEY: from files SECRET_KEY\n",
        "info SUPABASE_URL: from files SUPABASE_URL\n",
    ] {
        assert_eq!(outcome.stderr.matches(line).count(), 1, "{line}: {}", outcome.stderr);
    }
}

#[test]
fn explain_of_a_spelling_of_a_declared_name_explains_that_name() {
    let manifest = "environments = [\"staging\", \"production\"]\ncolors = [\"blue\"]\n[secret.API_KEY]\n";
    for (spelling, environment) in [
        ("PRODUCTION_API_KEY", "production"),
        ("PRODUCTION_API_KEY", "staging"),
        ("BLUE_API_KEY", ""),
        ("API_KEY_FILE", ""),
        ("PRODUCTION_API_KEY_FILE", ""),
        ("production-api-key", "production"),
    ] {
        let test =
            Test::with(manifest).secret("PRODUCTION_API_KEY", canary()).variable("APP_ENV", environment);
        let outcome = test.command(["explain", spelling]);
        let text = outcome.text();
        assert!(text.starts_with("API_KEY (optional)") && text.contains(spelling), "{text}");
        assert_eq!(text.contains("this is the value"), environment != "staging", "{text}");
    }
    let outcome = Test::with(manifest).command(["explain", "PRODUCTION_OTHER"]);
    assert_eq!(outcome.code, 78);
    outcome.says("`[secret.PRODUCTION_OTHER]`");
}

#[test]
fn l04_check_refuses_what_run_could_not_deliver() {
    let key = "[secret.KEY]\nrequired = true\ndeliver = \"ssh\"\n";
    let placed = || Test::with(key).public_file("secrets/KEY", include_str!("../data/id_ed25519"), 0o444);
    for (test, code) in [
        (placed().public_file("home/.ssh/id_ed25519.pub", "theirs", 0o644), 73),
        (placed().by_nobody().through_shell("chmod 555 $HOME; exec \"$@\""), 73),
        (placed().variable("HOME", "/nonexistent/home"), 73),
    ] {
        assert_eq!((test.command(["check"]).code, test.start().code), (code, code));
    }
}
