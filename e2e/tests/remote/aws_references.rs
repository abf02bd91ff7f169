//! References to secrets in AWS: fields, stages, versions, ARNs, and what other tools write.

use serde_json::{Value, json};

use crate::support::{Moto, REGION, SECRETS_MANAGER, Sandbox, User, canary, moto};

struct Account {
    moto: Moto,
    user: User,
}

impl Account {
    fn open() -> Option<Self> {
        let moto = moto()?;
        let user = moto.user(&json!({"Effect": "Allow", "Action": ["secretsmanager:*"], "Resource": "*"}));
        Some(Self { moto, user })
    }

    fn sandbox(&self, manifest: &str) -> Sandbox {
        self.moto.enforce(true);
        let authority = std::fs::read(self.moto.authority().certificate()).unwrap();
        Sandbox::new(self.moto.network())
            .manifest(manifest)
            .file("/etc/aws-authority.pem", authority)
            .host(SECRETS_MANAGER, self.moto.tls().ip())
            .variable("AWS_CA_BUNDLE", "/etc/aws-authority.pem")
            .variable("AWS_REGION", REGION)
            .credential("AWS_ACCESS_KEY_ID", &self.user.id)
            .credential("AWS_SECRET_ACCESS_KEY", &self.user.key)
    }

    /// The ARN of a secret.
    fn arn(&self, name: &str) -> String {
        self.moto.secrets("DescribeSecret", &json!({"SecretId": name}))["ARN"].as_str().unwrap().to_owned()
    }
}

fn referring(references: &[(&str, &str)]) -> String {
    let table =
        |(name, from): &(&str, &str)| format!("[secret.{name}]\nrequired = true\nfrom = [\"{from}\"]\n");
    references.iter().map(table).collect()
}

#[test]
fn a_field_a_pointer_an_older_version_and_an_arn_lead_to_their_values() {
    let Some(account) = Account::open() else { return };
    let (old, new) = (canary(), canary());
    account.moto.put("plain", old.as_bytes());
    let first = account.moto.secrets("GetSecretValue", &json!({"SecretId": "plain"}));
    account.moto.put("plain", new.as_bytes());
    let document: Value = json!({"password": new, "users": [{"name": "a"}, {"name": old}], "port": 5432});
    account.moto.put("app/db", document.to_string().as_bytes());
    let (arn, id) = (account.arn("app/db"), first["VersionId"].as_str().unwrap());
    let manifest = referring(&[
        ("FIELD", "aws:app/db#password"),
        ("NUMBER", "aws:app/db#port"),
        ("POINTER", "aws:app/db#/users/1/name"),
        ("CURRENT", "aws:plain"),
        ("PREVIOUS", "aws:plain@AWSPREVIOUS"),
        ("BY_ID", &format!("aws:plain@{id}")),
        ("BY_ARN", &format!("aws:{arn}#password")),
        ("AS_ECS", &format!("{arn}:password::")),
        ("AS_VALS", "ref+awssecrets://app/db#/users/0/name"),
    ]);
    let outcome = account.sandbox(&manifest).watch(&old).watch(&new).start();
    outcome.says("account at AWS: 123456789012");
    let app = outcome.app();
    for (name, value) in [("FIELD", &new), ("POINTER", &old), ("CURRENT", &new), ("PREVIOUS", &old)] {
        app.has(name, value);
    }
    for (name, value) in
        [("BY_ID", old.as_str()), ("BY_ARN", &new), ("AS_ECS", &new), ("AS_VALS", "a"), ("NUMBER", "5432")]
    {
        app.has(name, value);
    }
}

#[test]
fn a_variable_that_is_a_reference_is_replaced() {
    let Some(account) = Account::open() else { return };
    let value = canary();
    account.moto.put("plain", value.as_bytes());
    let arn = account.arn("plain");
    let sandbox = account.sandbox("references = true\n[secret.A]\n[secret.B]\n");
    let sandbox = sandbox.variable("A", &arn).variable("B", "ref+awssecrets://plain");
    let outcome = sandbox.start();
    outcome.app().has("A", &value);
    outcome.app().has("B", &value);
}

#[test]
fn b12_an_arn_of_another_region_is_refused_before_any_request() {
    let Some(account) = Account::open() else { return };
    let manifest = referring(&[("X", "arn:aws:secretsmanager:us-west-2:123456789012:secret:x-AbCdEf")]);
    let outcome = account.sandbox(&manifest).start();
    outcome.refused(78, "resolve", "X", "configuration").says("us-west-2");
}

#[test]
fn d12_d13_what_does_not_exist_or_is_to_be_deleted_is_missing_and_called_so() {
    let Some(account) = Account::open() else { return };
    account.moto.put("gone", b"value");
    account.moto.secrets("DeleteSecret", &json!({"SecretId": "gone"}));
    account.moto.put("here", br#"{"a":"b"}"#);
    for (reference, told) in [
        ("aws:gone", "scheduled for deletion"),
        ("aws:never", "does not exist"),
        ("aws:here#other", "does not exist"),
        ("aws:here@AWSPREVIOUS", "does not exist"),
    ] {
        let outcome = account.sandbox(&referring(&[("X", reference)])).start();
        outcome.refused(66, "resolve", "X", "missing").says(told);
    }
}

#[test]
fn a25_a_field_of_what_is_no_object_is_invalid() {
    let Some(account) = Account::open() else { return };
    account.moto.put("text", b"123456");
    let outcome = account.sandbox(&referring(&[("X", "aws:text#key")])).start();
    outcome.refused(65, "resolve", "X", "invalid").says("not a JSON object");
}

#[test]
fn a_secret_of_the_prefixs_own_name_is_taken_apart() {
    let Some(account) = Account::open() else { return };
    let value = canary();
    account.moto.put("app", json!({"DB_PASSWORD": value, "port": 1, "none": null}).to_string().as_bytes());
    account.moto.put("app/API_KEY", value.as_bytes());
    account.moto.put("application/OTHER", value.as_bytes());
    account.moto.put("App/UPPER", value.as_bytes());
    let sandbox = account.sandbox("[secret.DB_PASSWORD]\nrequired = true\n");
    let sandbox = sandbox.variable("EXTERNAL_SECRET_PROVIDER", "aws").variable("AWS_SECRET_PREFIX", "app");
    let outcome = sandbox.watch(&value).start();
    let app = outcome.app();
    app.has("DB_PASSWORD", &value);
    app.has("PORT", "1");
    app.has("API_KEY", &value);
    for name in ["OTHER", "UPPER", "NONE", "APP"] {
        app.has_no(name);
    }
}

#[test]
fn a_secret_of_the_prefixs_own_name_that_is_no_object_is_left_out_with_a_warning() {
    let Some(account) = Account::open() else { return };
    let value = canary();
    account.moto.put("app", b"no object");
    account.moto.put("app/DB_PASSWORD", value.as_bytes());
    let sandbox = account.sandbox("[secret.DB_PASSWORD]\nrequired = true\n");
    let sandbox = sandbox.variable("EXTERNAL_SECRET_PROVIDER", "aws").variable("AWS_SECRET_PREFIX", "app");
    let outcome = sandbox.watch(&value).start();
    outcome.app().has("DB_PASSWORD", &value);
    outcome.says("has the name of the prefix, but is not a JSON object");
}
