//! Nothing that cryokey writes holds a value, in any encoding. Every test's output is searched; here the search
//! itself is tested, and every recorded refusal is repeated at the highest log level, in both forms of the log.

use crate::support::case::{Case, cases};
use crate::support::{Canaries, REQUIRED, Test, canary, canary_url, encodings, is_root};

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

/// The recorded cases in which an app is not started. Those about the log's own settings say nothing else.
fn refusals() -> Vec<Case> {
    let cases = cases()
        .into_iter()
        .filter(|case| case.is_run() && case.has_value() && (is_root() || !case.needs_root));
    cases.filter(|case| case.code() != 0 && !case.name().starts_with("setting-log")).collect()
}

/// With a second secret that nothing is wrong with.
fn two(manifest: &str) -> Test {
    Test::with(&format!("{manifest}[secret.OTHER]\n"))
        .secret("OTHER", canary())
        .variable("UNRELATED", canary())
}

/// Every surface of one case: `run`, `check` and `explain`, in both forms.
fn every_surface(case: &Case, test: &Test) {
    let run = test.command(case.words(test));
    assert_eq!(run.code, case.code(), "{}: {}", case.name(), run.stderr);
    for format in ["table", "json"] {
        let check = test.command(["check", "--format", format]);
        if case.output.contains("phase=resolve") {
            assert_eq!(check.code, case.code(), "check of {}: {}", case.name(), check.stderr);
        }
        test.command(["explain", "TOKEN", "OTHER", "--format", format]);
    }
}

#[test]
fn no_refusal_shows_a_value_at_debug_level() {
    for case in refusals() {
        let test = case.test().variable("UNRELATED", canary()).variable("RUST_BACKTRACE", "full");
        every_surface(&case, &test.variable("CRYOKEY_LOG", "debug"));
    }
}

#[test]
fn no_refusal_shows_a_value_as_json_lines() {
    for case in refusals() {
        let test = case.test().variable("CRYOKEY_LOG_FORMAT", "json").variable("CRYOKEY_LOG", "debug");
        let (name, run) = (case.name(), test.command(case.words(&test)));
        assert_eq!(run.code, case.code(), "{name}: {}", run.stderr);
        let lines: Vec<serde_json::Value> =
            run.stderr.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.last().unwrap()["code"], case.code(), "{name}");
        let problems = || lines.iter().filter(|line| line["level"] == "error" && line["code"].is_null());
        assert!(problems().count() > 0 && problems().all(|line| line["fix"].is_string()), "{name}");
        test.command(["check", "--format", "json"]);
        test.command(["explain", "TOKEN", "OTHER"]);
    }
}

#[test]
fn no_warning_shows_a_value() {
    for case in refusals() {
        let test = case.test().variable("STRICT_SECRET_MODE", "false").variable("STRICT_ENV_MODE", "false");
        let test =
            test.variable("STRICT_ROTATION_MODE", "false").variable("CRYOKEY_STRICT_PERMISSIONS", "false");
        test.command(case.words(&test));
    }
}

#[test]
fn help_version_and_init_show_no_value() {
    let test =
        Test::profile().variable("PLAIN", canary()).public_file("work/.env.example", "API_KEY=x\n", 0o644);
    let directory = test.at("secrets").display().to_string();
    for line in [&["--help"][..], &["--version"], &["init", "--output", "-", "--secrets-dir", &directory]] {
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
