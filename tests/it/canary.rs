//! Nothing that cryokey writes holds a value, in any encoding. Every test's output is searched; here the search
//! itself is tested, and every kind of refusal is made at the most talkative level, in both forms of the log.

use std::os::unix::fs::symlink;

use crate::support::{Canaries, REQUIRED, Test, canary, canary_url, declared, encodings};

#[test]
fn the_search_finds_a_planted_value_in_every_encoding() {
    for value in [canary().into_bytes(), format!(" {}\n", canary()).into_bytes(), binary()] {
        let mut canaries = Canaries::default();
        canaries.watch(&value);
        for (name, encoded) in encodings(&value) {
            for around in [["", ""], ["x", "yz"], ["error TOKEN=`", "`; fix: nothing\n"]] {
                let text = [around[0].as_bytes(), &encoded, around[1].as_bytes()].concat();
                assert!(canaries.find(&text).is_some(), "{name} in {}", String::from_utf8_lossy(&text));
            }
        }
    }
}

#[test]
fn the_search_finds_base64_wherever_the_value_stands_in_what_was_encoded() {
    use base64ct::Encoding as _;
    let value = canary();
    let mut canaries = Canaries::default();
    canaries.watch(value.as_bytes());
    for before in ["", "u", "us", "user:", "{\"a\":\""] {
        let text = base64ct::Base64::encode_string(format!("{before}{value}\"}}").as_bytes());
        assert!(canaries.find(text.as_bytes()).is_some(), "{before}: {text}");
    }
    let text = base64ct::Base64Url::encode_string(value.as_bytes());
    assert!(canaries.find(text.as_bytes()).is_some(), "{text}");
}

#[test]
fn the_search_finds_any_eight_bytes_of_a_value() {
    let value = canary().into_bytes();
    let mut canaries = Canaries::default();
    canaries.watch(&value);
    for window in value.windows(8) {
        let text = [b"password: ", window, b"..."].concat();
        assert!(canaries.find(&text).is_some(), "{}", String::from_utf8_lossy(window));
    }
}

#[test]
fn the_search_finds_nothing_in_a_clean_text() {
    let mut canaries = Canaries::default();
    for value in [canary().into_bytes(), canary_url().into_bytes(), binary()] {
        canaries.watch(&value);
    }
    let clean =
        "2026-11-23T20:40:00Z error TOKEN (files TOKEN) is shorter than 50 bytes; fix: https://example\n";
    assert_eq!(canaries.find(clean.repeat(100).as_bytes()), None);
    assert_eq!(canaries.find(canary().as_bytes()), None, "another value");
    assert_eq!(canaries.find(include_bytes!("../../src/cli/help.txt")), None);
}

#[test]
#[should_panic(expected = "a value got out (raw)")]
fn every_start_is_searched() {
    let value = canary();
    // The shell writes to the same standard error as cryokey.
    Test::with(REQUIRED).secret("TOKEN", &value).shell("printf %s \"$TOKEN\" >&2");
}

#[test]
#[should_panic(expected = "a value got out (raw)")]
fn every_planted_file_is_searched_for() {
    let test = Test::with(REQUIRED).secret("TOKEN", canary()).file("outside", canary(), 0o444);
    let _ = test.shell("cat ../outside >&2");
}

fn binary() -> Vec<u8> {
    (0..48_u8).map(|number| number.wrapping_mul(151) ^ 0xa5).collect()
}

/// A refusal: what it is, its code, and how it is made.
type Case = (&'static str, i32, fn() -> Test);

const CASES: [Case; 31] = [
    ("missing", 66, || Test::with(&format!("{REQUIRED}[secret.OTHER]\n")).secret("OTHER", canary())),
    ("empty", 65, || two(REQUIRED).secret("TOKEN", "")),
    ("nul", 65, || two(REQUIRED).secret("TOKEN", [canary().as_bytes(), b"\0", canary().as_bytes()].concat())),
    ("too large for a variable", 65, || two(REQUIRED).secret("TOKEN", canary().repeat(4_000))),
    ("larger than the cap", 65, || two(REQUIRED).secret("TOKEN", canary().repeat(30_000))),
    ("all together too large", 65, all_together_too_large),
    ("no text", 65, || two(&format("text")).secret("TOKEN", binary())),
    ("no URL", 65, || two(&format("url")).secret("TOKEN", canary())),
    ("URL with white space", 65, || two(&format("url")).secret("TOKEN", format!("{} x", canary_url()))),
    ("no JSON", 65, || two(&format("json")).secret("TOKEN", format!("{{\"key\": {}", canary()))),
    ("no PEM", 65, || two(&format("pem")).secret("TOKEN", format!("-----BEGIN X-----\n{}", canary()))),
    ("no base64", 65, || two(&format("base64")).secret("TOKEN", canary())),
    ("no hex", 65, || two(&format("hex")).secret("TOKEN", canary())),
    ("no integer", 65, || two(&format("integer")).secret("TOKEN", canary())),
    ("no SSH key", 65, || two(&format("ssh-key")).secret("TOKEN", canary())),
    ("SSH key, spelt out", 65, || ssh(include_str!("../data/id_ed25519").replace('\n', "\\n"))),
    ("SSH key, cut", 65, || ssh(include_str!("../data/id_ed25519").chars().take(200).collect::<String>())),
    ("SSH key under a passphrase", 65, || ssh(include_str!("../data/id_ed25519.passphrase"))),
    ("too short", 65, || two(&format!("{REQUIRED}min_length = 99\n")).secret("TOKEN", canary())),
    ("only a plain variable", 66, || two(REQUIRED).variable("TOKEN", canary())),
    ("name and file variable", 78, || {
        two(REQUIRED).variable("TOKEN", canary()).variable("TOKEN_FILE", "/etc")
    }),
    ("two files", 78, || two(REQUIRED).secret("TOKEN", canary()).secret("token", canary())),
    ("several environments", 78, || {
        let manifest = format!("environments = [\"a\", \"b\"]\n{REQUIRED}");
        two(&manifest).secret("A_TOKEN", canary()).secret("B_TOKEN", canary())
    }),
    ("unreadable", 77, || two(REQUIRED).secret_with_mode("TOKEN", canary(), 0).by_nobody()),
    ("loose mode", 77, || two(&format!("strict_permissions = true\n{REQUIRED}")).secret("TOKEN", canary())),
    ("link out of the folder", 77, || {
        let test = two(REQUIRED).file("outside", canary(), 0o444);
        symlink("../outside", test.secret_path("TOKEN")).unwrap();
        test
    }),
    ("rotation stamp that is none", 78, || old(canary())),
    ("too old", 78, || old("1500000000")),
    ("manifest with a mistake beside secrets", 78, || two(&format!("{REQUIRED}requierd = true\n"))),
    ("remote provider", 78, || two(REQUIRED).secret("TOKEN", canary()).variable("K8S_SECRET_NAME", "app")),
    ("variable missing", 66, || {
        two(&format!("[env]\nrequired = [\"FLASK_APP\"]\n{REQUIRED}")).secret("TOKEN", canary())
    }),
];

/// With a second secret that nothing is wrong with.
fn two(manifest: &str) -> Test {
    Test::with(&format!("{manifest}[secret.OTHER]\n"))
        .secret("OTHER", canary())
        .variable("UNRELATED", canary())
}

fn format(format: &str) -> String {
    format!("{REQUIRED}format = \"{format}\"\n")
}

fn ssh(key: impl AsRef<[u8]>) -> Test {
    let manifest = "environments = [\"staging\"]\n[secret.TOKEN]\ndeliver = \"ssh\"\n";
    two(manifest).secret("STAGING_TOKEN", key).variable("APP_ENV", "staging")
}

fn old(stamp: impl AsRef<[u8]>) -> Test {
    let test = two(REQUIRED).secret("TOKEN", canary()).secret("SECRET_ROTATION_TIMESTAMP", stamp);
    test.variable("STRICT_ROTATION_MODE", "true").variable("SECRET_ROTATION_THRESHOLD_DAYS", "90")
}

fn all_together_too_large() -> Test {
    let value = canary().repeat(2_400);
    let names: Vec<String> = (10..40).map(|number| format!("S{number}")).collect();
    names.iter().fold(two(&declared(&names, "")), |test, name| test.secret(name, &value))
}

/// Every surface of one case: `run`, `check` and `explain`, in both forms.
fn every_surface(name: &str, code: i32, test: &Test) {
    let run = test.start();
    assert_eq!(run.code, code, "{name}: {}", run.stderr);
    run.nothing_happened();
    for format in ["table", "json"] {
        let check = test.command(["check", "--format", format]);
        assert_eq!(check.code, code, "check of {name}: {}", check.stderr);
        test.command(["explain", "TOKEN", "OTHER", "--format", format]);
    }
}

#[test]
fn no_refusal_shows_a_value_at_debug_level() {
    for (name, code, make) in CASES {
        every_surface(name, code, &make().variable("RUST_BACKTRACE", "full"));
    }
}

#[test]
fn no_refusal_shows_a_value_as_json_lines() {
    for (name, code, make) in CASES {
        let test = make().variable("CRYOKEY_LOG_FORMAT", "json");
        let run = test.start();
        assert_eq!(run.code, code, "{name}: {}", run.stderr);
        let lines: Vec<serde_json::Value> =
            run.stderr.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.last().unwrap()["code"], code, "{name}");
        let problems = || lines.iter().filter(|line| line["level"] == "error" && line["code"].is_null());
        assert!(problems().count() > 0 && problems().all(|line| line["fix"].is_string()), "{name}");
        test.command(["check", "--format", "json"]);
        test.command(["explain", "TOKEN", "OTHER"]);
    }
}

#[test]
fn no_warning_shows_a_value() {
    for (name, _, make) in CASES {
        let test = make().variable("STRICT_SECRET_MODE", "false").variable("STRICT_ENV_MODE", "false");
        let test =
            test.variable("STRICT_ROTATION_MODE", "false").variable("CRYOKEY_STRICT_PERMISSIONS", "false");
        let outcome = test.run(["/bin/true"]);
        assert!([0, 65, 77, 78].contains(&outcome.code), "{name}: {}", outcome.stderr);
    }
}

#[test]
fn help_version_and_init_show_no_value() {
    let test =
        Test::profile().variable("PLAIN", canary()).public_file("work/.env.example", "API_KEY=x\n", 0o644);
    let folder = test.at("secrets").display().to_string();
    for line in [&["--help"][..], &["--version"], &["init", "--output", "-", "--secrets-dir", &folder]] {
        assert!(!test.command(line).text().is_empty());
    }
}

#[test]
fn an_app_that_does_not_start_shows_no_value() {
    let manifest = format!("{REQUIRED}deliver = \"both\"\n");
    for form in ["text", "json"] {
        let test = two(&manifest).secret("TOKEN", canary()).variable("CRYOKEY_LOG_FORMAT", form);
        for app in ["/nonexistent", "/etc/hostname", "/etc"] {
            assert!([126, 127].contains(&test.run([app]).code));
        }
    }
}
