//! What cryokey does with less than it would like to be allowed, against a server that verifies permissions by resource.

use serde_json::{Value, json};

use crate::support::{Ministack, REGION, Sandbox, User, canary, ministack, unique};

const LIST: &str = "secretsmanager:ListSecrets";
const BATCH: &str = "secretsmanager:BatchGetSecretValue";
const GET: &str = "secretsmanager:GetSecretValue";

/// Some secrets below a prefix of the test's own.
struct Account {
    stack: &'static Ministack,
    prefix: String,
    value: String,
}

impl Account {
    fn open(names: &[&str]) -> Option<Self> {
        let stack = ministack()?;
        let account = Self { stack, prefix: format!("{}/", unique("app")), value: canary() };
        for name in names {
            stack.put(&format!("{}{name}", account.prefix), account.value.as_bytes());
        }
        Some(account)
    }

    /// Everybody may do the first; the rest are the secrets that may be read.
    fn user(&self, everywhere: &[&str], readable: &[&str]) -> User {
        let arn =
            |name: &&str| format!("arn:aws:secretsmanager:{REGION}:*:secret:{}{name}-??????", self.prefix);
        let readable: Vec<String> = readable.iter().map(arn).collect();
        let statements = json!([
            {"Effect": "Allow", "Action": everywhere, "Resource": "*"},
            {"Effect": "Allow", "Action": [GET], "Resource": readable},
        ]);
        let statements: Vec<Value> = serde_json::from_value(statements).unwrap();
        self.stack.user_with(&statements)
    }

    fn sandbox(&self, user: &User, manifest: &str) -> Sandbox {
        let server = self.stack.server;
        Sandbox::new(self.stack.network)
            .manifest(manifest)
            .variable("EXTERNAL_SECRET_PROVIDER", "aws")
            .variable("AWS_SECRET_PREFIX", &self.prefix)
            .variable("AWS_REGION", REGION)
            .variable("AWS_ENDPOINT_URL", &format!("http://{server}"))
            .variable("CRYOKEY_ALLOW_HTTP", &server.to_string())
            .credential("AWS_ACCESS_KEY_ID", &user.id)
            .credential("AWS_SECRET_ACCESS_KEY", &user.key)
            .watch(&self.value)
    }
}

const TWO: &str = "[secret.ONE]\nrequired = true\n[secret.TWO]\n";

#[test]
fn secrets_that_may_not_be_listed_are_read_by_their_names() {
    let Some(account) = Account::open(&["one", "TWO", "three"]) else { return };
    for everywhere in [[BATCH].as_slice(), &["iam:GetUser"]] {
        let user = account.user(everywhere, &["one", "TWO", "three"]);
        let outcome = account.sandbox(&user, TWO).start();
        let app = outcome.app();
        app.has("ONE", &account.value);
        app.has("TWO", &account.value);
        app.has_no("THREE");
        outcome.says("may not be listed").says(LIST);
    }
}

#[test]
fn where_a_batch_is_denied_each_secret_is_asked_for() {
    let Some(account) = Account::open(&["one", "two"]) else { return };
    let user = account.user(&[LIST], &["one", "two"]);
    let app = account.sandbox(&user, TWO).start();
    app.app().has("ONE", &account.value);
    app.app().has("TWO", &account.value);
}

#[test]
fn a_denied_optional_secret_counts_as_absent_only_where_secrets_cannot_be_listed() {
    let Some(account) = Account::open(&["one", "two"]) else { return };
    let guessing = account.user(&[BATCH], &["one"]);
    let outcome = account.sandbox(&guessing, TWO).start();
    outcome.app().has("ONE", &account.value);
    outcome.app().has_no("TWO");
    outcome.says("TWO count as absent, because reading them is denied");
    let listing = account.user(&[LIST, BATCH], &["one"]);
    account.sandbox(&listing, TWO).start().refused(77, "resolve", "TWO", "denied");
}

#[test]
fn a_denied_required_secret_says_what_to_add_to_which_policy() {
    let Some(account) = Account::open(&["one"]) else { return };
    for everywhere in [[BATCH].as_slice(), &[LIST, BATCH]] {
        let user = account.user(everywhere, &["two"]);
        let outcome = account.sandbox(&user, TWO).start();
        outcome.refused(77, "resolve", "ONE", "denied");
        let statement = format!(
            r#"{{"Effect": "Allow", "Action": "{GET}", "Resource": "arn:aws:secretsmanager:{REGION}:"#,
        );
        outcome.says(&statement).does_not_say("does not exist");
        assert!(outcome.stderr.contains("-??????"), "{}", outcome.stderr);
    }
}

#[test]
fn another_environments_denied_secret_does_not_count() {
    let Some(account) = Account::open(&["one"]) else { return };
    let manifest = format!("environments = [\"staging\", \"production\"]\n{TWO}");
    let user = account.user(&[BATCH], &["one"]);
    let sandbox = account.sandbox(&user, &manifest);
    sandbox.start().app().has("ONE", &account.value);
    let production = account.sandbox(&user, &manifest).variable("APP_ENV", "production");
    production.start().app().has("ONE", &account.value);
}

#[test]
fn a_reference_needs_no_permission_but_its_own() {
    let Some(account) = Account::open(&["one", "two"]) else { return };
    let user = account.user(&["iam:GetUser"], &["two"]);
    let manifest = format!("[secret.MINE]\nrequired = true\nfrom = [\"aws:{}two\"]\n", account.prefix);
    let sandbox = account.sandbox(&user, &manifest).variable("EXTERNAL_SECRET_PROVIDER", "");
    sandbox.start().app().has("MINE", &account.value);
}
