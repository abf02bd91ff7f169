//! Signing in at Vault, where the server does what no real one does. The ways to sign in at a real one are tested with
//! a real server.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::server::{Reply, Server};
use crate::support::{Test, canary};

const MANIFEST: &str = "[secret.API_KEY]\nrequired = true\n";
const REVOKE: &str = "post /v1/auth/token/revoke-self";

/// A role id and a secret id for a Vault that holds one secret; the script answers what is left.
struct World {
    server: Server,
    test: Test,
}

impl World {
    /// `login` answers the sign-in, `revoke` the end.
    fn new(
        login: impl Fn() -> Reply + Send + Sync + 'static,
        revoke: impl Fn() -> Reply + Send + Sync + 'static,
    ) -> Self {
        let server = Server::plain(move |request| {
            let line = request.lines().next().unwrap_or_default();
            match line.split_whitespace().nth(1).unwrap_or_default() {
                "/v1/auth/approle/login" => login(),
                "/v1/auth/token/revoke-self" => revoke(),
                "/v1/secret/data/app" => Reply::Status(
                    200,
                    json!({"data": {"data": {"API_KEY": "value"}, "metadata": {
                        "created_time": "2026-01-02T03:04:05Z", "deletion_time": "", "destroyed": false, "version": 1,
                    }}})
                    .to_string(),
                ),
                _ => Reply::Status(404, r#"{"errors":[]}"#.to_owned()),
            }
        });
        let test = Test::with(MANIFEST)
            .variable("EXTERNAL_SECRET_PROVIDER", "vault")
            .variable("VAULT_ADDR", server.url())
            .variable("VAULT_SECRET_PATH", "secret/data/app")
            .variable("VAULT_ROLE_ID", "role")
            .variable("VAULT_SECRET_ID", canary())
            .variable("CRYOKEY_START_TIMEOUT", "1500ms");
        Self { server, test }
    }

    fn count(&self, request: &str) -> usize {
        let seen = self.server.requests();
        seen.iter().filter(|seen| seen.to_lowercase().starts_with(request)).count()
    }
}

fn token(value: &str) -> Reply {
    Reply::Status(200, json!({"auth": {"client_token": value, "token_type": "service"}}).to_string())
}

fn done() -> Reply {
    Reply::Status(204, String::new())
}

#[test]
fn a_token_that_was_made_is_revoked_once_and_before_the_app_runs() {
    let value = canary();
    let made = value.clone();
    let World { server, test } = World::new(move || token(&made), done);
    let outcome = test.watching(&value).start();
    outcome.says("sign-in at Vault: approle at auth/approle");
    outcome.app().has("API_KEY", "value").has_no("VAULT_SECRET_ID").has("VAULT_ROLE_ID", "role");
    let seen = server.requests();
    let last = seen.last().unwrap().to_lowercase();
    assert!(last.starts_with(REVOKE) && last.contains(&value.to_lowercase()), "{seen:?}");
    assert_eq!(seen.len(), 3, "sign in, read, revoke: {seen:?}");
}

#[test]
fn a_token_that_was_given_is_not_revoked() {
    let world = World::new(|| token("x"), done);
    let test = world.test.variable("VAULT_TOKEN", canary());
    let outcome = test.start();
    outcome.says("sign-in at Vault: the token in VAULT_TOKEN");
    outcome.app().has("API_KEY", "value").has_no("VAULT_TOKEN").has("VAULT_ROLE_ID", "role");
    assert_eq!(world.server.requests().len(), 1);
}

#[test]
fn a_revocation_that_hangs_holds_the_app_up_for_a_second_and_is_a_warning() {
    let world = World::new(|| token("x"), || Reply::Hang);
    let started = Instant::now();
    let outcome = world.test.start();
    outcome.warns(&["was not"]).app().has("API_KEY", "value");
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
}

#[test]
fn a_startup_that_fails_after_signing_in_revokes_the_token() {
    let world = World::new(|| token("x"), done);
    let manifest = "[secret.ABSENT]\nrequired = true\n";
    let test = Test::with(manifest)
        .variable("EXTERNAL_SECRET_PROVIDER", "vault")
        .variable("VAULT_ADDR", world.server.url())
        .variable("VAULT_SECRET_PATH", "secret/data/app")
        .variable("VAULT_ROLE_ID", "role")
        .variable("VAULT_SECRET_ID", canary());
    test.start().refused(66, "resolve", "ABSENT", "missing");
    assert_eq!(world.count(REVOKE), 1);
    assert_eq!(test.command(["check"]).code, 66);
    assert_eq!(world.count(REVOKE), 2, "so does check");
}

#[test]
fn what_cannot_be_an_answer_to_a_sign_in_is_refused_without_showing_it() {
    let hidden = canary();
    let nonsense = [
        "<html>portal</html>".to_owned(),
        "{}".to_owned(),
        json!({"auth": null}).to_string(),
        json!({"auth": {"client_token": ""}}).to_string(),
        json!({"auth": {"client_token": 7}}).to_string(),
        json!({"auth": {"token": hidden}}).to_string(),
        format!(r#"{{"auth":{{"client_token":"{hidden}"#),
    ];
    for body in nonsense {
        let world = World::new(move || Reply::Status(200, body.clone()), done);
        world.test.watching(&hidden).start().refused(76, "resolve", "API_KEY", "nonsense");
    }
}

#[test]
fn a_token_that_no_header_can_hold_is_refused() {
    let world = World::new(|| token("a\r\nx-injected: b"), done);
    let outcome = world.test.start();
    assert_ne!(outcome.code, 0);
    outcome.nothing_happened();
    assert!(world.server.requests().iter().all(|request| !request.contains("x-injected")));
}

#[test]
fn a_sign_in_that_is_refused_is_denied_and_the_servers_own_words_stay_out() {
    let hidden = canary();
    let refusal = json!({"errors": [format!("invalid secret id {hidden}")]}).to_string();
    let world = World::new(move || Reply::Status(400, refusal.clone()), done);
    let outcome = world.test.watching(&hidden).start();
    outcome.refused(77, "resolve", "API_KEY", "denied").says("auth/approle/login");
    assert_eq!(world.server.requests().len(), 1, "and not tried again");
}

#[test]
fn a_sealed_vault_is_waited_for_when_signing_in() {
    let sealed = r#"{"errors":["Vault is sealed"]}"#;
    let world = World::new(|| Reply::Status(503, sealed.to_owned()), done);
    world.test.start().refused(75, "resolve", "API_KEY", "unreachable").says("sealed");
}

#[test]
fn e12_a_wrapped_token_that_is_lost_on_the_way_is_told_as_that() {
    let server = Server::plain(|request| match request.split_whitespace().nth(1).unwrap_or_default() {
        "/v1/sys/wrapping/lookup" => {
            Reply::Status(200, json!({"data": {"creation_path": "auth/token/create"}}).to_string())
        }
        _ => Reply::Status(400, r#"{"errors":["wrapping token is not valid or does not exist"]}"#.to_owned()),
    });
    let test = Test::with(MANIFEST)
        .variable("EXTERNAL_SECRET_PROVIDER", "vault")
        .variable("VAULT_ADDR", server.url())
        .variable("VAULT_SECRET_PATH", "secret/data/app")
        .variable("VAULT_WRAPPED_TOKEN", canary());
    test.start().refused(77, "resolve", "API_KEY", "denied").says("the response was lost");
    let seen = server.requests();
    assert!(!seen[0].to_lowercase().contains("x-vault-token"), "the look-up has it in its body: {seen:?}");
    assert!(seen[1].to_lowercase().contains("content-length: 0"), "unwrapping has no body: {seen:?}");
    assert_eq!(test.command(["check"]).code, 75);
    assert_eq!(server.requests().len(), 2, "check asks nothing");
}

#[test]
fn the_address_may_be_a_secret_file_and_a_bad_token_file_is_named() {
    let world = World::new(|| token("x"), done);
    let url = world.server.url();
    let test = world.test.without("VAULT_ADDR").secret("vault_addr", format!("{url}\n"));
    test.start().app().has("API_KEY", "value");
    let test = test.secret("VAULT_TOKEN", "two\nlines");
    let outcome = test.start();
    outcome
        .refused(78, "resolve", "API_KEY", "configuration")
        .says("secrets/VAULT_TOKEN has more than one line");
    let test = test.secret("vault-token", "x");
    test.start().refused(78, "resolve", "API_KEY", "configuration").says("map to the same name");
}

#[test]
fn an_unknown_way_to_sign_in_is_refused_by_its_variable() {
    let world = World::new(|| token("x"), done);
    let outcome = world.test.variable("VAULT_AUTH_METHOD", "kubernets").start();
    outcome.refused(78, "configure", "VAULT_AUTH_METHOD", "configuration");
}
