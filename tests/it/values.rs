//! Values: what arrives, byte for byte, and what is refused.

use std::fs;
use std::fs::File;

use crate::support::{REQUIRED, Test, bytes, canary, canary_url, declared};

const OPTIONAL: &str = "[secret.TOKEN]\n";
const FILE: &str = "[secret.TOKEN]\nrequired = true\ndeliver = \"file\"\n";

/// Delivers one required value by variable.
fn arrives(value: impl AsRef<[u8]>, expected: impl AsRef<[u8]>) {
    Test::with(REQUIRED).secret("TOKEN", value).start().app().has("TOKEN", expected);
}

/// Delivers one required value by file and shows the file.
fn arrives_as_file(value: &[u8]) {
    let outcome = Test::with(FILE).secret("TOKEN", value).shell("cat \"$TOKEN_FILE\"");
    assert_eq!(outcome.succeeded().stdout, value);
}

#[test]
fn a_file_in_utf_16_is_called_that_with_what_to_do() {
    for (mark, order) in [(b"\xff\xfe", [true, false]), (b"\xfe\xff", [false, true])] {
        let units = canary()
            .into_bytes()
            .into_iter()
            .flat_map(|byte| order.map(|is_first| if is_first { byte } else { 0 }));
        let value: Vec<u8> = mark.iter().copied().chain(units).collect();
        for rule in
            ["", "format = \"url\"\n", "format = \"url\"\ndeliver = \"file\"\n", "deliver = \"both\"\n"]
        {
            let test =
                Test::with(&format!("[secret.TOKEN]\nrequired = true\n{rule}")).secret("TOKEN", &value);
            let outcome = test.start();
            assert_eq!(outcome.code, 65, "{rule}: {}", outcome.stderr);
            outcome.says("is UTF-16").says("save the file as UTF-8 without BOM");
        }
    }
}

#[test]
fn a01_an_empty_required_secret_is_refused_by_name() {
    let test = Test::with(REQUIRED).secret("TOKEN", "");
    test.start().refused(65, "resolve", "TOKEN", "empty").says("files TOKEN").says("allow_empty");
}

#[test]
fn a01_an_empty_optional_secret_is_not_set() {
    let test = Test::with(OPTIONAL).secret("TOKEN", "");
    test.start().says("TOKEN: empty").app().has_no("TOKEN");
}

#[test]
fn a02_an_empty_secret_that_may_be_empty_is_set_and_empty() {
    for rule in ["", "required = true\n"] {
        let test = Test::with(&format!("[secret.TOKEN]\nallow_empty = true\n{rule}")).secret("TOKEN", "");
        test.start().app().has("TOKEN", "");
    }
}

#[test]
fn a03_a_value_that_is_only_a_line_end_is_empty() {
    for line_end in ["\n", "\r\n"] {
        let test = Test::with(REQUIRED).secret("TOKEN", line_end);
        test.start().refused(65, "resolve", "TOKEN", "empty");
    }
    Test::with(OPTIONAL).secret("TOKEN", "\n").start().app().has_no("TOKEN");
}

#[test]
fn a04_a_nul_in_a_variable_is_refused_with_its_place() {
    let value = [canary().as_bytes(), b"\0", canary().as_bytes()].concat();
    let at = value.iter().position(|byte| *byte == 0).unwrap();
    for manifest in [REQUIRED, OPTIONAL] {
        let test = Test::with(manifest).secret("TOKEN", &value);
        let outcome = test.start();
        outcome.refused(65, "resolve", "TOKEN", "nul").says(&format!("NUL at byte {at}"));
        outcome.says("deliver = \"file\"").says("files TOKEN");
    }
}

#[test]
fn a05_a_nul_in_a_file_arrives() {
    arrives_as_file(b"before\0after\0");
}

#[test]
fn a06_bytes_that_are_no_utf_8_arrive_in_a_variable() {
    arrives(b"\xff\xfe caf\xe9 \x80\xc3", b"\xff\xfe caf\xe9 \x80\xc3");
}

#[test]
fn a06_bytes_that_are_no_utf_8_are_refused_where_text_is_asked_for() {
    let test = Test::with("[secret.TOKEN]\nrequired = true\nformat = \"text\"\n");
    let value = [canary().as_bytes(), b"\xff"].concat();
    let test = test.secret("TOKEN", &value);
    let at = format!("not UTF-8 at byte {}", value.len() - 1);
    test.start().refused(65, "resolve", "TOKEN", "format").says(&at);
}

#[test]
fn a07_bytes_that_are_no_utf_8_arrive_in_a_file() {
    let all: Vec<u8> = (0..=255).chain((0..=255).rev()).collect();
    arrives_as_file(&all);
}

#[test]
fn a08_one_trailing_newline_is_stripped_for_a_variable_and_kept_in_a_file() {
    let value = canary();
    arrives(format!("{value}\n"), &value);
    arrives(&value, &value);
    arrives_as_file(format!("{value}\n").as_bytes());
}

#[test]
fn a08_a_secret_may_keep_its_line_end_in_a_variable() {
    let test = Test::with("[secret.TOKEN]\nnewline = \"keep\"\n").secret("TOKEN", "word\n");
    test.start().app().has("TOKEN", "word\n");
}

#[test]
fn a08_explain_says_that_a_trailing_newline_is_stripped() {
    let test = Test::with(REQUIRED).secret("TOKEN", format!("{}\n", canary()));
    assert!(test.command(["explain", "TOKEN"]).text().contains("one trailing newline (LF) is stripped"));
    let test = Test::with(REQUIRED).secret("TOKEN", canary());
    assert!(!test.command(["explain", "TOKEN"]).text().contains("stripped"));
}

#[test]
fn a09_of_two_trailing_newlines_one_is_stripped() {
    arrives("word\n\n", "word\n");
    arrives("word\r\n\r\n", "word\r\n");
    arrives("word \t", "word \t");
}

#[test]
fn a10_one_trailing_crlf_is_stripped_as_one_and_reported() {
    let test = Test::with(REQUIRED).secret("TOKEN", format!("{}\r\n", "w".repeat(9)));
    let outcome = test.start();
    outcome.warns(&["TOKEN", "CRLF"]).app().has("TOKEN", "w".repeat(9));
    assert!(test.command(["explain", "TOKEN"]).text().contains("one trailing newline (CRLF) is stripped"));
    arrives("word\r", "word\r");
}

#[test]
fn a11_a_byte_order_mark_arrives_with_a_warning() {
    for format in ["", "format = \"text\"\n"] {
        let value = format!("\u{feff}{}", canary());
        let test = Test::with(&format!("{REQUIRED}{format}")).secret("TOKEN", &value);
        test.start().warns(&["TOKEN", "byte order mark"]).app().has("TOKEN", value);
    }
}

#[test]
fn a13_the_largest_variable_that_the_kernel_takes_arrives() {
    let value = "v".repeat(131_071 - "TOKEN=".len());
    arrives(&value, &value);
}

#[test]
fn a14_one_byte_more_is_refused_before_exec_with_its_size_and_the_limit() {
    let value = "v".repeat(131_072 - "TOKEN=".len());
    let test = Test::with(REQUIRED).secret("TOKEN", &value);
    let outcome = test.start();
    outcome.refused(65, "resolve", "TOKEN", "size").says("131072 bytes").says("131071");
    outcome.says("deliver = \"file\"").says("files TOKEN");
    // The line end does not count.
    arrives(format!("{}\n", &value[1..]), &value[1..]);
}

#[test]
fn a15_too_much_for_the_kernel_is_refused_with_the_three_largest() {
    let manifest = declared((0..30).map(|number| format!("S{number:02}")), "");
    let secrets = (0..30).map(|number| (format!("S{number:02}"), "v".repeat(100_000 + number)));
    let test = secrets.fold(Test::with(&manifest), |test, (name, value)| test.secret(&name, value));
    let outcome = test.start();
    outcome.refused(65, "deliver", "S29", "size").says("S29 (100029 bytes), S28 (100028 bytes), S27");
    outcome.does_not_say("S26 (").says("deliver = \"file\"");
}

#[test]
fn a15_the_limit_follows_the_stack() {
    let manifest = declared((0..10).map(|number| format!("S{number}")), "");
    let start = |stack: &str| {
        let test = (0..10).fold(Test::with(&manifest), |test, number| {
            test.secret(&format!("S{number}"), "v".repeat(100_000))
        });
        test.through_shell(&format!("ulimit -s {stack}; exec \"$@\"")).start()
    };
    start("2048").refused(65, "deliver", "S9", "size");
    start("8192").app();
}

#[test]
fn a16_a_file_of_one_gibibyte_is_refused_at_the_cap_with_little_memory() {
    let test = Test::with(REQUIRED).secret_with_mode("TOKEN", "", 0o644);
    File::options().write(true).open(test.secret_path("TOKEN")).unwrap().set_len(1 << 30).unwrap();
    let path = test.secret_path("TOKEN");
    let test = test.through_shell("ulimit -v 32768; exec \"$@\"");
    let outcome = test.start();
    outcome.refused(65, "resolve", "TOKEN", "invalid").says(path.to_str().unwrap()).says("1048576 bytes");
}

#[test]
fn a16_a_file_of_exactly_the_cap_is_taken() {
    let test = Test::with(FILE).secret("TOKEN", vec![b'v'; 1 << 20]);
    assert_eq!(test.shell("wc -c < \"$TOKEN_FILE\"").text().trim(), "1048576");
    Test::with(FILE)
        .secret("TOKEN", vec![b'v'; (1 << 20) + 1])
        .start()
        .refused(65, "resolve", "TOKEN", "invalid");
}

#[test]
fn a17_what_looks_like_shell_or_a_reference_arrives_literally() {
    for value in ["$HOME", "$(id)", "`id`", "${vault:secret/data#key}", "%HOME%", "a\\nb", "'x' \"y\""] {
        arrives(value, value);
    }
}

/// References of other tools, each with a part that no message may show.
fn references(canary: &str) -> [String; 8] {
    [
        format!("vault:secret/{canary}#password"),
        format!("bao:secret/data/{canary}#password"),
        format!("ref+awssecrets://{canary}"),
        format!("op://{canary}/item/field"),
        format!("se://{canary}"),
        format!("sm://{canary}"),
        format!("arn:aws:secretsmanager:eu-west-1:1:secret:{canary}"),
        format!("@Microsoft.KeyVault(SecretUri=https://{canary})"),
    ]
}

#[test]
fn a18_a_value_that_is_a_tools_reference_never_reaches_the_app_unless_that_is_allowed() {
    let canary = canary();
    for value in references(&canary) {
        for manifest in [REQUIRED, "[secret.TOKEN]\n", FILE] {
            let test = Test::with(manifest).variable("STRICT_SECRET_MODE", "false").watching(&canary);
            let outcome = test.secret("TOKEN", &value).start();
            outcome.refused(65, "resolve", "TOKEN", "reference").says("files TOKEN").says("allow_literal");
        }
        let allowed = Test::with("[secret.TOKEN]\nrequired = true\nallow_literal = true\n");
        allowed.secret("TOKEN", &value).start().app().has("TOKEN", value);
    }
}

#[test]
fn a18_a_plain_variable_of_a_declared_secret_is_not_inherited_with_a_reference_in_it() {
    let canary = canary();
    for manifest in ["[secret.TOKEN]\n", "[secret.TOKEN]\nfrom = [\"files:none\"]\n"] {
        for value in references(&canary) {
            let test = Test::with(manifest).variable("TOKEN", value).watching(&canary);
            let outcome = test.start();
            outcome.refused(65, "resolve", "TOKEN", "reference");
            outcome.says("environment TOKEN");
        }
    }
    // A variable that no declared secret has the name of is the app's own affair.
    let test = Test::with("[secret.TOKEN]\n").variable("OTHER", "vault:secret/x#y");
    test.start().app().has("OTHER", "vault:secret/x#y");
}

#[test]
fn b16_a_reference_inside_longer_text_arrives_with_a_warning() {
    let value = "postgres://u:${vault:secret/db#password}@h/db";
    let test = Test::with(REQUIRED).secret("TOKEN", value);
    test.start().warns(&["TOKEN", "contains a reference"]).app().has("TOKEN", value);
}

#[test]
fn b17_a_reference_that_leads_to_a_reference_is_refused() {
    let canary = canary();
    let manifest = "[secret.TOKEN]\nrequired = true\nfrom = [\"files:OTHER\"]\n";
    let test = Test::with(manifest).secret("OTHER", format!("vault:secret/{canary}#x")).watching(&canary);
    test.start().refused(78, "resolve", "TOKEN", "configuration").says("files OTHER");
}

#[test]
fn a19_a_leading_dash_and_equals_signs_arrive() {
    for value in ["-rf", "--dev", "=", "a=b=c", "=leading", "@file", "#no-comment"] {
        arrives(value, value);
    }
}

#[test]
fn a32_a_value_shorter_than_its_least_length_is_refused_where_it_is_required() {
    let manifest = "[secret.TOKEN]\nrequired = true\nmin_length = 50\n";
    let outcome = Test::with(manifest).secret("TOKEN", canary()).start();
    outcome.refused(65, "resolve", "TOKEN", "format").says("shorter than 50 bytes").says("files TOKEN");
    let value = "v".repeat(50);
    Test::with(manifest).secret("TOKEN", format!("{value}\n")).start().app().has("TOKEN", value);
    // The line end is no part of the value.
    let outcome = Test::with(manifest).secret("TOKEN", format!("{}\n", "v".repeat(49))).start();
    outcome.refused(65, "resolve", "TOKEN", "format");
}

#[test]
fn a32_a_value_shorter_than_its_least_length_is_reported_where_it_is_optional() {
    let test = Test::with("[secret.TOKEN]\nmin_length = 50\n").secret("TOKEN", "short");
    test.start().warns(&["TOKEN", "shorter than 50"]).app().has("TOKEN", "short");
}

#[test]
fn a32_a_placeholder_is_refused_where_a_value_is_required_and_reported_elsewhere() {
    for placeholder in ["changeme", "ChangeMe", "TODO", "xxx\n"] {
        let outcome = Test::with(REQUIRED).secret("TOKEN", placeholder).start();
        outcome.refused(65, "resolve", "TOKEN", "placeholder").says("placeholder").says("files TOKEN");
        let outcome = Test::with(OPTIONAL).secret("TOKEN", placeholder).start();
        outcome.warns(&["TOKEN", "placeholder"]).app().has("TOKEN", placeholder.trim_end());
    }
}

#[test]
fn a32_only_a_whole_value_is_a_placeholder() {
    for value in ["changeme!", "my-todo-app", "${TOKEN}", "xx"] {
        arrives(value, value);
    }
}

#[test]
fn a33_terminal_escapes_in_quoted_text_are_escaped() {
    let value = "\u{1b}[2J\u{202e}tset";
    let test = Test::with(REQUIRED).secret("TOKEN", canary()).variable("APP_ENV", value);
    let test = test.manifest(&format!("version = 1\nenvironments = [\"production\"]\n{REQUIRED}"));
    let outcome = test.start();
    outcome.says("APP_ENV").says("\\u{1b}[2J\\u{202e}tset").app();
    assert!(!outcome.stderr.contains(['\u{1b}', '\u{202e}']), "{}", outcome.stderr);
    let name = bytes(b"\x1b]0;title\x07\xff");
    Test::profile().run([&name]).refused(127, "exec", "\\u{1b}]0;title\\u{7}\\xff", "not-found");
}

#[test]
fn formats_are_checked_for_required_names_and_reported_for_optional_ones() {
    let cases: [(&str, &[u8], &[u8]); 8] = [
        ("url", b"postgres://user:p%40ss@db:5432/app", b"no-url"),
        ("json", b"{\"a\": [1, null]}", b"{\"a\": "),
        ("pem", b"-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n", b"MIIB"),
        ("base64", b"aGVsbG8=", b"a$b"),
        ("hex", b"00ffAA", b"0f0"),
        ("integer", b"-42", b"4.2"),
        ("text", "naïve".as_bytes(), b"\xff"),
        ("ssh-key", include_bytes!("../data/id_ed25519"), b"ssh-ed25519 AAAA"),
    ];
    for (format, good, bad) in cases {
        let optional = format!("[secret.TOKEN]\nformat = \"{format}\"\n");
        let required = format!("{optional}required = true\n");
        Test::with(&required).secret("TOKEN", good).start().app().has("TOKEN", good.trim_ascii_end());
        let outcome = Test::with(&required).secret("TOKEN", bad).start();
        outcome.refused(65, "resolve", "TOKEN", "format").says("files TOKEN").says(&format!("\"{format}\""));
        Test::with(&optional).secret("TOKEN", bad).start().warns(&["TOKEN"]).app().has("TOKEN", bad);
    }
}

#[test]
fn the_built_in_profile_asks_for_a_url() {
    let test = Test::profile().secret("SUPABASE_URL", canary());
    test.start().refused(65, "resolve", "SUPABASE_URL", "format").says("not contain `://`");
    let url = canary_url();
    Test::profile().secret("SUPABASE_URL", &url).start().app().has("SUPABASE_URL", url);
}

#[test]
fn a_broken_rule_and_a_nul_stop_also_without_strict_mode() {
    let lax = |test: Test| test.variable("STRICT_SECRET_MODE", "false").variable("STRICT_ENV_MODE", "false");
    lax(Test::with(REQUIRED).secret("TOKEN", "changeme")).start().refused(
        65,
        "resolve",
        "TOKEN",
        "placeholder",
    );
    lax(Test::with(REQUIRED).secret("TOKEN", "")).start().refused(65, "resolve", "TOKEN", "empty");
    lax(Test::with(OPTIONAL).secret("TOKEN", b"a\0b")).start().refused(65, "resolve", "TOKEN", "nul");
}

#[test]
fn secret_files_are_never_changed() {
    let test = Test::profile();
    let path = test.secret_path("SECRET_KEY");
    let before = fs::metadata(&path).unwrap();
    test.start().app();
    let after = fs::metadata(&path).unwrap();
    assert_eq!(before.modified().unwrap(), after.modified().unwrap());
    assert_eq!(before.permissions(), after.permissions());
}
