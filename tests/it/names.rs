//! Names: which files stand for a name, which may not, and what a manifest may say.

use crate::support::{REQUIRED, Test, bytes, canary, declared};

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
