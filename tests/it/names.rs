//! Names: which files stand for a name, which may not, and what a manifest may say.

use crate::support::{Need, REQUIRED, Test, bytes, canary, declared, require};

/// Names that change what a process does before it looks at them.
const STEERING: [&str; 19] = [
    "LD_PRELOAD",
    "LD_LIBRARY_PATH",
    "LD_AUDIT",
    "GCONV_PATH",
    "PATH",
    "HOME",
    "IFS",
    "SHELL",
    "BASH_ENV",
    "ENV",
    "PS4",
    "PROMPT_COMMAND",
    "NODE_OPTIONS",
    "PYTHONPATH",
    "PERL5OPT",
    "RUBYOPT",
    "JAVA_TOOL_OPTIONS",
    "GIT_SSH_COMMAND",
    "DOTNET_STARTUP_HOOKS",
];

#[test]
fn b01_b02_b03_files_with_dangerous_names_are_not_delivered() {
    let test = STEERING.iter().fold(Test::profile(), |test, name| test.secret(name, canary()));
    let test = test.secret("BASH_FUNC_x%%", "() { id; }");
    let outcome = test.start();
    let app = outcome.app();
    for name in STEERING.iter().filter(|name| !["PATH", "HOME"].contains(name)) {
        app.has_no(name);
    }
    app.has_no("BASH_FUNC_x%%").has("PATH", "/usr/bin:/bin");
    outcome.warns_of_nothing();
}

#[test]
fn b01_b02_b03_declaring_such_a_name_allows_it() {
    let manifest = declared(STEERING, "");
    // The loader and the C library look at these two: they do not exist.
    let harmless = |name: &str| if name == "PATH" { "/usr/bin" } else { "/nonexistent" };
    let test = STEERING.iter().fold(Test::with(&manifest), |test, name| test.secret(name, harmless(name)));
    let outcome = test.start();
    let app = outcome.app();
    for name in STEERING {
        app.has(name, harmless(name));
    }
}

#[test]
fn b01_b02_b03_init_leaves_such_names_out_and_says_so() {
    let test = STEERING.iter().fold(Test::new(), |test, name| test.secret(name, canary()));
    let test = test.secret("API_KEY", canary());
    let directory = test.at("secrets");
    let line = ["init", "--output", "-", "--secrets-dir", directory.to_str().unwrap()];
    let written = test.command(line).text().to_owned();
    assert!(written.contains("[secret.API_KEY]"), "{written}");
    for name in STEERING {
        assert!(!written.contains(&format!("[secret.{name}]")), "{written}");
        assert!(written.contains(&format!("# left out: {name} ")), "{name}: {written}");
    }
}

#[test]
fn b04_a_declared_name_that_is_no_variable_is_refused_escaped_and_with_its_place() {
    let long = "N".repeat(300);
    let names =
        ["a=b", "a b", "a\\nb", "db-password", "db.password", "lower", "1ST", &long, "NAÏVE", "\\u001b[2J"];
    for name in names {
        let outcome = Test::with(&format!("[secret.\"{name}\"]\n")).start();
        assert_eq!(outcome.code, 78, "{name}: {}", outcome.stderr);
        outcome.nothing_happened().says("cryokey.toml:2:").says("invalid name").says("upper-case letters");
        assert!(!outcome.stderr.contains('\u{1b}'), "{}", outcome.stderr);
    }
}

#[test]
fn b04_a_nul_in_a_declared_name_is_refused() {
    let outcome = Test::with("[secret.\"a\\u0000b\"]\n").start();
    assert_eq!(outcome.code, 78, "{}", outcome.stderr);
    outcome.nothing_happened().says("a\\u{0}b");
}

#[test]
fn b05_two_files_that_stand_for_one_name_are_refused_with_both() {
    let test = Test::with("[secret.DB_PASSWORD]\n").secret("DB_PASSWORD", canary());
    let outcome = test.secret("db_password", canary()).start();
    outcome.refused(78, "resolve", "DB_PASSWORD", "configuration");
    outcome.says("files DB_PASSWORD and files db_password map to DB_PASSWORD");
    let test = Test::with("name_prefix = \"app_\"\n[secret.DB_PASSWORD]\n").secret("DB_PASSWORD", canary());
    let outcome = test.secret("app_db_password", canary()).start();
    outcome.refused(78, "resolve", "DB_PASSWORD", "configuration").says("app_db_password");
}

#[test]
fn b05_init_refuses_keys_of_one_place_that_become_one_name() {
    let test = Test::new().secret("db-password", canary()).secret("DB_PASSWORD", canary());
    let directory = test.at("secrets");
    let outcome = test.command(["init", "--output", "-", "--secrets-dir", directory.to_str().unwrap()]);
    outcome.refused(78, "configure", "DB_PASSWORD", "configuration").says("db-password");
}

#[test]
fn b06_of_two_providers_the_later_in_the_fixed_order_wins() {
    let (plain, by_path, file) = (canary(), canary(), canary());
    let test = Test::with(REQUIRED).file("elsewhere", &by_path, 0o444);
    let path = test.at("elsewhere");
    test.variable("TOKEN_FILE", &path).start().app().has("TOKEN", &by_path);
    let test = Test::with(REQUIRED).file("elsewhere", &by_path, 0o444).secret("TOKEN", &file);
    let path = test.at("elsewhere");
    test.variable("TOKEN_FILE", &path).start().app().has("TOKEN", &file).has_no("TOKEN_FILE");
    let test = Test::with(REQUIRED).variable("TOKEN", &plain).variable("CRYOKEY_ALLOW_PLAIN_ENV", "true");
    test.start().app().has("TOKEN", plain);
}

#[test]
fn b06_a_declared_order_counts_before_the_fixed_one() {
    let order = "[secret.TOKEN]\nfrom = [\"files:first\", \"files:inner/second\", \"environment:THIRD\"]\n";
    let (first, second, third) = (canary(), canary(), canary());
    let test = || Test::with(order).secret("TOKEN", canary()).variable("THIRD", &third);
    test().start().app().has("TOKEN", &third);
    let with_second = || test().file("secrets/inner/second", &second, 0o444);
    with_second().start().app().has("TOKEN", &second);
    with_second().secret("first", &first).start().app().has("TOKEN", &first);
}

#[test]
fn b07_a_secret_wins_over_a_plain_variable_with_a_warning() {
    let (plain, file) = (canary(), canary());
    let test = Test::with(REQUIRED).variable("TOKEN", &plain).secret("TOKEN", &file);
    let outcome = test.start();
    outcome.warns(&["TOKEN", "plain variable", "files TOKEN"]).app().has("TOKEN", &file);
    let times = outcome.app().entries.iter().filter(|entry| entry.starts_with(b"TOKEN=")).count();
    assert_eq!(times, 1);
    let test = Test::with(REQUIRED).variable("TOKEN", &file).secret("TOKEN", &file);
    let outcome = test.start();
    outcome.app().has("TOKEN", &file);
    outcome.warns_of_nothing();
}

#[test]
fn files_match_by_the_name_that_theirs_maps_to_also_behind_the_prefix() {
    let cases = ["TOKEN", "token", "Token", "shop_TOKEN", "shop_token", "shop_Token"];
    for file in cases {
        let value = canary();
        let test = Test::with(&format!("name_prefix = \"shop_\"\n{REQUIRED}")).secret(file, &value);
        let outcome = test.start();
        outcome.app().has("TOKEN", value);
        outcome.says(&format!("TOKEN: from files {file}"));
    }
    for file in ["shop-token", "token.txt", "tokens", "to_ken"] {
        let test = Test::with(&format!("name_prefix = \"shop_\"\n{REQUIRED}")).secret(file, canary());
        test.start().refused(66, "resolve", "TOKEN", "missing").says("has 1 entry");
    }
}

#[test]
fn the_prefix_stands_before_the_environment() {
    let value = canary();
    let test = Test::with(&format!("environments = [\"production\"]\n{REQUIRED}"));
    let test = test.secret("shop_production_token", &value).variable("APP_ENV", "production");
    test.variable("CRYOKEY_NAME_PREFIX", "shop_").start().app().has("TOKEN", value);
}

#[test]
fn name_and_name_file_both_set_is_refused_with_both() {
    let test = Test::with(REQUIRED).file("elsewhere", canary(), 0o444);
    let path = test.at("elsewhere");
    let test = test.variable("TOKEN", canary()).variable("TOKEN_FILE", path);
    test.start().refused(78, "resolve", "TOKEN", "configuration").says("TOKEN and TOKEN_FILE are both set");
    // Also where nothing is required and nothing strict.
    let test = Test::with("[secret.TOKEN]\n").file("elsewhere", canary(), 0o444);
    let path = test.at("elsewhere");
    let test = test.variable("TOKEN", canary()).variable("TOKEN_FILE", path);
    let test = test.variable("STRICT_SECRET_MODE", "false");
    test.start().refused(78, "resolve", "TOKEN", "configuration");
}

#[test]
fn an_empty_name_beside_name_file_is_not_set() {
    let value = canary();
    let test = Test::with(REQUIRED).file("elsewhere", &value, 0o444);
    let path = test.at("elsewhere");
    test.variable("TOKEN", "").variable("TOKEN_FILE", path).start().app().has("TOKEN", value);
}

#[test]
fn name_file_that_leads_nowhere_names_the_variable_and_the_path() {
    let test = Test::with(REQUIRED).variable("TOKEN_FILE", "/nonexistent/token");
    test.start().refused(66, "resolve", "TOKEN", "missing").says("TOKEN_FILE=/nonexistent/token");
    let test = Test::with(REQUIRED).variable("TOKEN_FILE", "/etc");
    test.start().refused(65, "resolve", "TOKEN", "invalid").says("TOKEN_FILE=/etc").says("directory");
}

#[test]
fn what_is_not_declared_is_neither_opened_nor_changed() {
    let value = canary();
    let test = Test::with(REQUIRED).secret("TOKEN", &value).secret_with_mode("rhsm", canary(), 0);
    let test = test.file("secrets/kubernetes.io/serviceaccount/token", canary(), 0o400);
    std::os::unix::fs::symlink("/nonexistent", test.secret_path("broken")).unwrap();
    let test = test.variable("SSL_CERT_FILE", "/nonexistent/ca.pem").variable("OTHER_FILE", "/etc/shadow");
    let outcome = test.by_nobody().start();
    outcome.warns_of_nothing();
    let app = outcome.app();
    app.has("TOKEN", value).has("SSL_CERT_FILE", "/nonexistent/ca.pem").has("OTHER_FILE", "/etc/shadow");
    app.has_no("rhsm").has_no("RHSM").has_no("OTHER");
}

#[test]
fn b18_a_manifest_with_mistakes_is_refused_with_line_column_and_a_proposal() {
    let cases = [
        ("[secret.TOKEN]\nrequierd = true\n", "cryokey.toml:3:1: ", "did you mean `required`"),
        ("[secret.TOKEN]\nrequired = true\nrequired = false\n", "cryokey.toml:4:", "duplicate"),
        ("[secret.TOKEN]\nrequired = \"yes\"\n", "cryokey.toml:3:12: ", "true or false"),
        ("[secret.TOKEN]\nformat = \"uri\"\n", "cryokey.toml:3:10: ", "\"url\""),
        ("[secret.TOKEN\n", "cryokey.toml:2:", "TOML"),
        ("colours = []\n", "cryokey.toml:2:1: ", "did you mean `colors`"),
        ("[secret.TOKEN]\nmin_length = -1\n", "cryokey.toml:3:14: ", "whole number"),
        ("[secret.TOKEN]\nrotate_every = \"soon\"\n", "cryokey.toml:3:16: ", "90d"),
        ("[secret.TOKEN]\nfrom = [\"fiels:x\"]\n", "cryokey.toml:3:8: ", "did you mean `files`"),
        ("[secret.TOKEN]\nfrom = [\"files:../x\"]\n", "cryokey.toml:3:8: ", "`..`"),
        ("[env]\nrequired = [\"a b\"]\n", "cryokey.toml:3:12: ", "upper-case"),
        ("environments = [\"x\"]\ncolors = [\"x\"]\n", "cryokey.toml:3:10: ", "an environment and a color"),
    ];
    for (manifest, place, hint) in cases {
        let outcome = Test::with(manifest).start();
        assert_eq!(outcome.code, 78, "{manifest}: {}", outcome.stderr);
        outcome.nothing_happened().says(place).says(hint);
    }
}

#[test]
fn b18_all_mistakes_of_a_manifest_are_reported_together() {
    let outcome = Test::with("colours = []\n[secret.A]\nrequierd = true\n[secret.b]\n").start();
    outcome.refused(78, "configure", "colours", "configuration").says(":2:1: ").says(":4:1: ").says(":5:");
}

#[test]
fn b18_a_manifest_of_ten_mebibytes_or_of_no_text_is_refused() {
    let outcome = Test::with(&"# nothing\n".repeat(1 << 20)).start();
    assert_eq!(outcome.code, 78, "{}", outcome.stderr);
    outcome.nothing_happened().says("larger than 1048576 bytes");
    let test = Test::with("").public_file("cryokey.toml", b"version = 1\n# \xff\n", 0o644);
    let outcome = test.start();
    assert_eq!(outcome.code, 78, "{}", outcome.stderr);
    outcome.nothing_happened().says("not UTF-8 at byte 14");
}

#[test]
fn variables_with_odd_names_and_bytes_pass_as_they_are() {
    let test = Test::profile().variable("lower-case.name", bytes(b"\xff\xfe"));
    let odd = bytes(b"odd\xffname");
    let outcome =
        test.variable("UTF", "naïve").through([bytes(b"/usr/bin/env"), bytes(b"odd\xffname=1")]).start();
    let app = outcome.app();
    app.has("lower-case.name", b"\xff\xfe").has("UTF", "naïve");
    assert!(app.map().contains_key(std::os::unix::ffi::OsStrExt::as_bytes(odd.as_os_str())));
}

#[test]
fn l03_two_declarations_that_meet_are_refused_and_both_are_named() {
    for (manifest, first, second) in [
        ("[secret.DB]\ndeliver = \"file\"\n[secret.DB_FILE]\n", "DB", "DB_FILE"),
        ("[secret.DB]\ndeliver = \"both\"\n[secret.DB_FILE]\ndeliver = \"file\"\n", "DB", "DB_FILE"),
        ("environments = [\"pre\", \"pre-prod\"]\n[secret.X]\n[secret.PROD_X]\n", "X", "PROD_X"),
        ("environments = [\"pre-prod\", \"pre\"]\n[secret.PROD_X]\n[secret.X]\n", "X", "PROD_X"),
        ("environments = [\"pre\"]\ncolors = [\"pre-a-b\"]\n[secret.X]\n[secret.A_B_X]\n", "X", "A_B_X"),
        ("colors = [\"blue\"]\n[secret.X]\n[secret.BLUE_X]\n", "X", "BLUE_X"),
    ] {
        let outcome = Test::with(manifest).start();
        outcome.refused(78, "configure", &format!("secret.{second}"), "configuration");
        outcome.says(&format!("`{first}`"));
    }
    for apart in [
        "environments = [\"pre\", \"pre-prod\"]\n[secret.X]\n[secret.PROD]\n",
        "[secret.DB]\n[secret.DB_FILE]\n",
        "[secret.DB_FILE]\ndeliver = \"file\"\n",
    ] {
        Test::with(apart).start().warns_of_nothing().app();
    }
}

#[test]
fn an_environment_or_color_listed_twice_is_refused() {
    for (list, key) in
        [("environments = [\"a\", \"A\"]\n", "environments"), ("colors = [\"b\", \"b\"]\n", "colors")]
    {
        Test::with(list).start().refused(78, "configure", key, "configuration").says("twice");
    }
}

#[test]
fn a_file_variable_that_is_a_declared_secret_itself_stays() {
    let value = canary();
    let test = Test::with("[secret.DB]\n[secret.DB_FILE]\n").file("elsewhere", &value, 0o444);
    let path = test.at("elsewhere");
    let outcome = test.variable("DB_FILE", &path).start();
    outcome.app().has("DB", value).has("DB_FILE", path.to_str().unwrap());
}

#[test]
fn a_setting_is_found_behind_a_string_of_its_name_without_a_value() {
    // dash and env cannot make such a string, execve can.
    if !require(Need::Python) {
        return;
    }
    let script = "import ctypes, os, sys\nlibc = ctypes.CDLL(None)\n\
        line = [word.encode() for word in sys.argv[1:]]\n\
        strings = [b'TOKEN', b'CRYOKEY_SECRETS_DIR'] + [k + b'=' + v for k, v in os.environb.items()]\n\
        array = lambda words: (ctypes.c_char_p * (len(words) + 1))(*words)\n\
        libc.execve(line[0], array(line), array(strings))\n";
    let value = canary();
    let test = Test::with(REQUIRED).secret("TOKEN", &value);
    let outcome = test.through(["/usr/bin/python3", "-c", script]).start();
    outcome.app().has("TOKEN", value);
}

#[test]
fn a_file_variable_that_holds_the_value_itself_is_not_quoted() {
    for value in
        ["sk_live_4eC39HqLyjWDarjtT1zdp7dc", "postgres://app:hunter2hunter2@db/app", "two\nlines/of-a-key"]
    {
        for command in ["run", "check", "explain"] {
            let test = Test::with(REQUIRED).watch(value).variable("TOKEN_FILE", value);
            let outcome = match command {
                "run" => test.start(),
                "check" => test.command(["check"]),
                _ => test.command(["explain", "TOKEN", "--format", "json"]),
            };
            outcome.leaks_nothing_into(outcome.stderr.as_bytes());
            outcome.leaks_nothing_into(&outcome.stdout);
            if command == "run" {
                outcome.refused(66, "resolve", "TOKEN", "missing").says("TOKEN_FILE");
            }
        }
    }
    let outcome = Test::with(REQUIRED).variable("TOKEN_FILE", "/run/secretss/token").start();
    outcome.refused(66, "resolve", "TOKEN", "missing").says("/run/secretss/token");
}

/// Processor time that is enough by far, and wall time is not: other tests run beside these.
const IN_TWO_SECONDS: &str = "ulimit -t 2; exec \"$@\"";

#[test]
fn l05_more_names_than_can_be_looked_for_are_refused_at_once() {
    let environments: Vec<String> = (0..1_000).map(|at| format!("\"e{at}\"")).collect();
    let environments = format!("environments = [{}]\n", environments.join(","));
    let secrets = |count| declared((0..count).map(|at| format!("S{at}")), "");
    let required: Vec<String> = (0..20_000).map(|at| format!("\"S{at}\"")).collect();
    let required = format!("[env]\nrequired = [{}]\n", required.join(","));
    for (manifest, name) in [
        (environments.clone() + &secrets(2_000), "secret"),
        (environments, "environments"),
        (secrets(60_000), "secret"),
        (required, "env.required"),
    ] {
        let outcome = Test::with(&manifest).through_shell(IN_TWO_SECONDS).start();
        outcome.refused(78, "configure", name, "configuration");
    }
}

#[test]
fn as_many_names_as_can_be_looked_for_take_little_time() {
    let lists = "environments = [\"staging\", \"production\"]\ncolors = [\"blue\", \"green\"]\n";
    let manifest = format!("{lists}{}", declared((0..10_000).map(|at| format!("S{at}")), ""));
    Test::with(&manifest).through_shell(IN_TWO_SECONDS).start().app();
    let names: Vec<String> = (0..10_000).map(|at| format!("\"S{at}\"")).collect();
    let manifest = format!("[env]\nrequired = [{}]\n", names.join(","));
    let test = Test::with(&manifest).variable("STRICT_ENV_MODE", "false").variable("CRYOKEY_LOG", "error");
    test.through_shell(IN_TWO_SECONDS).start().app();
}

#[test]
fn variables_by_the_ten_thousand_that_look_like_ours_take_little_time() {
    if !require(Need::Python) {
        return;
    }
    for start in ["CRYOKEY_UNKNOWN_", "STRICT_SECRET_MODE"] {
        let script = format!(
            "import os, resource, sys\nos.environ.update(('{start}%d' % at, '') for at in range(40000))\n\
             resource.setrlimit(resource.RLIMIT_CPU, (4, 4))\nos.execv(sys.argv[1], sys.argv[1:])\n"
        );
        let test = Test::with("").through(["/usr/bin/python3", "-c", &script]);
        let outcome = test.run(["/bin/true"]);
        outcome.succeeded();
        assert!(outcome.stderr.lines().count() < 100, "{}", outcome.stderr.lines().count());
    }
}

#[test]
fn a_name_prefix_behind_which_two_secrets_meet_is_refused() {
    let manifest = "[secret.APP_KEY]\n[secret.KEY]\n";
    for prefix in ["app_", "app", "APP-", "app."] {
        let outcome = Test::with(manifest).variable("CRYOKEY_NAME_PREFIX", prefix).start();
        outcome.refused(78, "configure", "CRYOKEY_NAME_PREFIX", "configuration");
        outcome.says("APP_KEY and KEY");
    }
    for prefix in ["ap_", "", "key"] {
        Test::with(manifest).variable("CRYOKEY_NAME_PREFIX", prefix).start().app();
    }
}

#[test]
fn two_names_of_one_file_are_one_secret() {
    let value = canary();
    let test = Test::with(REQUIRED).secret("TOKEN", &value);
    std::fs::hard_link(test.secret_path("TOKEN"), test.secret_path("token")).unwrap();
    std::os::unix::fs::symlink("TOKEN", test.secret_path("Token")).unwrap();
    test.start().warns_of_nothing().app().has("TOKEN", value);
}

#[test]
fn variables_with_names_of_a_hundred_kilobytes_take_little_time() {
    let name = |at: usize| format!("CRYOKEY_{}", "A".repeat(100_000 + at));
    let test = (0..15).fold(Test::with(""), |test, at| test.variable(&name(at), "x"));
    let test = test.variable("CRYOKEY_MANIFEST_", "x");
    test.through_shell(IN_TWO_SECONDS).start().says("did you mean `CRYOKEY_MANIFEST`").app();
    let test = Test::with("environments = [\"a\"]\n").variable("APP_ENV", "a".repeat(130_000));
    test.through_shell(IN_TWO_SECONDS).start().app();
}
