//! References in plain variables.

use super::*;

const SECRET: &str = "[secret.TOKEN]\nrequired = true\n";

/// A declared secret's plain variable with a text, and references switched on.
fn referring(server: &Server, manifest: &str, text: &str) -> Test {
    let test = with(manifest, server, "").without("EXTERNAL_SECRET_PROVIDER");
    test.variable("CRYOKEY_REFERENCES", "true").variable("TOKEN", text)
}

#[test]
fn a_plain_variable_that_is_a_reference_is_replaced_by_what_it_refers_to() {
    let value = canary();
    let server = holding(json!({ "password": value }));
    for text in [
        "vault:secret/app#password",
        "bao:secret/data/app#password",
        "vault:secret/data/app#password#7",
        "ref+vault://secret/app#/password",
    ] {
        let outcome = referring(&server, SECRET, text).watching(&value).start();
        outcome.says("from Vault secret/").does_not_say("plain variable");
        outcome.app().has("TOKEN", value.as_bytes());
    }
    let manifest = format!("references = true\n{SECRET}");
    let test = referring(&server, &manifest, "vault:secret/app#password").without("CRYOKEY_REFERENCES");
    test.start().app().has("TOKEN", value.as_bytes());
}

#[test]
fn without_the_setting_a_reference_in_a_variable_is_65() {
    let server = holding(json!({ "password": "x" }));
    let test = referring(&server, "[secret.TOKEN]\n", "vault:secret/app#password");
    test.without("CRYOKEY_REFERENCES").start().refused(65, "resolve", "TOKEN", "reference");
    assert!(server.requests().is_empty());
}

#[test]
fn a_reference_that_comes_to_nothing_never_reaches_the_app_as_text() {
    let server = holding(json!({ "password": "x" }));
    let text = "vault:secret/app#none";
    for manifest in ["[secret.TOKEN]\n", "keep_env = [\"TOKEN\"]\n[secret.TOKEN]\n"] {
        referring(&server, manifest, text).start().app().has_no("TOKEN");
    }
    let denied = always(403, DENIED);
    let lax = |manifest| referring(&denied, manifest, text).variable("STRICT_SECRET_MODE", "false");
    lax("[secret.TOKEN]\n").start().app().has_no("TOKEN");
    lax(SECRET).start().app().has_no("TOKEN");
    let outcome = referring(&server, SECRET, text).start();
    outcome.refused(66, "resolve", "TOKEN", "missing").says("vault:secret/app#none");
}

#[test]
fn a_file_may_be_referred_to_by_a_variable_and_another_variable_may_not() {
    let server = holding(json!({}));
    let test = referring(&server, SECRET, "files:team/token").variable("CRYOKEY_ALLOW_PLAIN_ENV", "true");
    test.secret("team/token", "x").start().app().has("TOKEN", "x");
    let test = referring(&server, SECRET, "environment:HOME").variable("CRYOKEY_ALLOW_PLAIN_ENV", "true");
    test.start().app().has("TOKEN", "environment:HOME");
}

#[test]
fn b09_b10_a_variable_that_begins_like_a_reference_and_is_none_is_refused_unquoted() {
    let hidden = canary();
    let server = holding(json!({}));
    for text in [
        format!("vault:../{hidden}#x"),
        format!("vault://{hidden}/x#y"),
        format!("ref+vault://secret/x?address={hidden}#/y"),
        format!("file:/etc/{hidden}"),
        format!("vault:secret/{hidden}#x@latest"),
        format!("aws:{hidden}"),
    ] {
        let outcome = referring(&server, SECRET, &text).watching(&hidden).start();
        outcome.refused(78, "configure", "TOKEN", "configuration").says("begins like a reference");
        let literal = format!("{SECRET}allow_literal = true\n");
        let test = referring(&server, &literal, &text).variable("CRYOKEY_ALLOW_PLAIN_ENV", "true");
        test.start().app().has("TOKEN", text);
    }
    let unread = referring(&server, "[secret.TOKEN]\n", &format!("op://{hidden}/x/y")).watching(&hidden);
    unread.start().refused(65, "resolve", "TOKEN", "reference");
    assert!(server.requests().is_empty());
}

#[test]
fn a_reference_beside_a_file_variable_of_the_same_name_is_refused() {
    let server = holding(json!({ "password": "x" }));
    let test = referring(&server, SECRET, "vault:secret/app#password").variable("TOKEN_FILE", "/run/x");
    test.start().refused(78, "configure", "TOKEN", "configuration").says("TOKEN_FILE");
}

#[test]
fn development_refuses_a_variable_that_refers_to_a_remote_source() {
    let server = holding(json!({ "password": "x" }));
    let test = referring(&server, "[secret.TOKEN]\n", "vault:secret/app#password");
    let outcome = test.command(["run", "--dev", "--", "true"]);
    outcome.refused(78, "configure", "--dev", "configuration").says("Vault is configured");
    assert!(server.requests().is_empty());
}

#[test]
fn b17_a_reference_that_leads_to_a_reference_of_vault_is_refused() {
    let server = holding(json!({ "password": "vault:secret/other#password" }));
    let outcome = referring(&server, SECRET, "vault:secret/app#password").start();
    outcome.refused(78, "resolve", "TOKEN", "configuration").does_not_say("secret/other");
}

#[test]
fn a18_a_bulk_sources_declared_field_with_a_reference_is_65_and_an_undeclared_one_arrives() {
    let server = holding(json!({ "TOKEN": "op://a/b", "OTHER": "op://c/d" }));
    let outcome = with(SECRET, &server, "secret/app").start();
    outcome.refused(65, "resolve", "TOKEN", "reference").does_not_say("op://");
    let undeclared = with("[secret.X]\n", &server, "secret/app");
    undeclared.start().app().has("OTHER", "op://c/d");
}

#[test]
fn a24_a_field_that_does_not_exist_is_66_with_secret_field_and_number_of_fields() {
    let server = holding(json!({ "password": "p", "user": "u", "hidden-name": "h" }));
    let manifest = "[secret.TOKEN]\nrequired = true\nfrom = [\"vault:secret/app#none\"]\n";
    let outcome = with(manifest, &server, "").start();
    outcome.refused(66, "resolve", "TOKEN", "missing").says("vault:secret/app#none");
    outcome.says("secret/app has 3 fields").does_not_say("hidden-name");
}

#[test]
fn b08_a_reference_with_an_unknown_word_is_refused_with_the_nearest_one() {
    let server = holding(json!({}));
    let manifest = "[secret.TOKEN]\nfrom = [\"valut:secret/app#x\"]\n";
    let outcome = with(manifest, &server, "").start();
    outcome.refused(78, "configure", "secret.TOKEN.from", "configuration").says("did you mean `vault`");
}

#[test]
fn a20_a21_a_document_or_scalar_that_is_a_string_arrives_byte_for_byte() {
    for text in ["{\"a\": [1,  2.50, \"\\u00e9\"]}", "123456", "true", "null", "\"x\"", "1e400"] {
        let server = holding(json!({ "token": text }));
        with(SECRET, &server, "secret/app").start().app().has("TOKEN", text);
    }
}

#[test]
fn a22_a_field_is_decoded_once_and_a_nul_in_it_is_65() {
    let of = |raw: &'static str| {
        Server::plain(move |request| match path(request) {
            path if path.starts_with("sys/") => mount("secret/", "2"),
            _ => Reply::Status(
                200,
                format!(
                    r#"{{"data":{{"data":{{"token":"{raw}"}},"metadata":{{"version":1,"created_time":
                    "2026-01-02T03:04:05Z","deletion_time":"","destroyed":false}}}}}}"#
                ),
            ),
        })
    };
    let server = of(r"\u0026<>\\n\u0022");
    with(SECRET, &server, "secret/app").start().app().has("TOKEN", r#"&<>\n""#);
    with(SECRET, &of(r"a\u0000b"), "secret/app").start().refused(65, "resolve", "TOKEN", "nul");
}
