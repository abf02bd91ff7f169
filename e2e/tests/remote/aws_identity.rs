//! Signing in at AWS as containers and machines do. The app that cryokey starts is boto3, AWS's own client for Python: it
//! signs in by the same service and reads the same secret, which shows that the service is as AWS's own.

use std::time::Duration;

use e2e::need::or_not_run;
use serde_json::{Value, json};

use crate::support::{
    Asked, Moto, Outcome, REGION, Role, SECRETS_MANAGER, STS, Sandbox, Service, Session, canary,
    installed_program, moto,
};

const EC2: [u8; 4] = [169, 254, 169, 254];
const ECS: [u8; 4] = [169, 254, 170, 2];
const EKS: [u8; 4] = [169, 254, 170, 23];
const NOW: Duration = Duration::ZERO;

/// Shows what boto3 reads, and then the environment.
const BOTO3: &str = r#"
import boto3, os
client = boto3.client("secretsmanager", region_name="eu-central-1")
print("boto3 reads " + client.get_secret_value(SecretId="app/TOKEN")["SecretString"])
print("cryokey read " + os.environ["TOKEN"])
"#;

/// An account with one secret, a role that may read it, and a key for that role.
struct Account {
    moto: Moto,
    value: String,
    role: Role,
    issued: Session,
}

impl Account {
    fn open() -> Option<Self> {
        let moto = moto()?;
        let value = canary();
        moto.put("app/TOKEN", value.as_bytes());
        let role = moto.role(&json!({"Effect": "Allow", "Action": "secretsmanager:*", "Resource": "*"}));
        let issued = moto.session(&role);
        moto.enforce(true);
        Some(Self { moto, value, role, issued })
    }

    fn sandbox(&self) -> Sandbox {
        let authority = std::fs::read(self.moto.authority().certificate()).unwrap();
        Sandbox::new(self.moto.network())
            .manifest("[secret.TOKEN]\nrequired = true\n")
            .file("/etc/aws-authority.pem", authority)
            .host(SECRETS_MANAGER, self.moto.tls().ip())
            .host(STS, self.moto.tls().ip())
            .variable("EXTERNAL_SECRET_PROVIDER", "aws")
            .variable("AWS_CA_BUNDLE", "/etc/aws-authority.pem")
            .variable("AWS_SECRET_PREFIX", "app/")
            .variable("AWS_REGION", REGION)
            .watch(&self.value)
            .watch(&self.issued.key)
            .watch(&self.issued.token)
    }

    /// What all such services answer with.
    fn issued(&self) -> Value {
        let Session { id, key, token } = &self.issued;
        json!({
            "Code": "Success", "LastUpdated": "2026-01-01T00:00:00Z", "Type": "AWS-HMAC",
            "AccessKeyId": id, "SecretAccessKey": key, "Token": token,
            "Expiration": "2036-01-01T00:00:00Z", "RoleArn": self.role.arn,
        })
    }

    /// cryokey and boto3 read the secret.
    #[track_caller]
    fn both_read(&self, sandbox: &Sandbox) -> Option<Outcome> {
        let python = or_not_run(installed_program("moto", "python"))?;
        let outcome = sandbox.run([python.as_os_str(), "-c".as_ref(), BOTO3.as_ref()]);
        let shown = String::from_utf8_lossy(&outcome.succeeded().stdout).into_owned();
        for reader in ["boto3 reads", "cryokey read"] {
            assert!(shown.contains(&format!("{reader} {}", self.value)), "{shown}");
        }
        Some(outcome)
    }
}

/// What a service answers.
type Answer = fn(&Asked) -> (u16, String);

/// The metadata service of EC2 as the user guide has it: sessions only.
fn ec2(issued: Value) -> impl Fn(&Asked) -> (u16, String) {
    const ROLES: &str = "GET /latest/meta-data/iam/security-credentials/";
    move |asked| {
        if asked.line == "PUT /latest/api/token" {
            let is_legal = asked.header("x-aws-ec2-metadata-token-ttl-seconds").is_some();
            return if is_legal { (200, "session".to_owned()) } else { (400, String::new()) };
        }
        if asked.header("x-aws-ec2-metadata-token") != Some("session") {
            return (401, String::new());
        }
        match asked.line.strip_prefix(ROLES) {
            Some("") => (200, "app-role".to_owned()),
            Some("app-role") => (200, issued.to_string()),
            _ => (404, String::new()),
        }
    }
}

#[test]
fn a_machine_signs_in_with_its_role() {
    let Some(account) = Account::open() else { return };
    let service = Service::start(account.moto.network(), EC2, NOW, ec2(account.issued()));
    let Some(outcome) = account.both_read(&account.sandbox()) else { return };
    outcome.says("the role of this machine, from http://169.254.169.254");
    assert!(service.asked().iter().any(|asked| asked.line.starts_with("PUT ")));
}

#[test]
fn e13_a_metadata_service_that_is_slow_old_or_without_a_role_ends_the_start_soon() {
    let Some(account) = Account::open() else { return };
    let cases: [(Answer, &str); 3] = [
        (|_| (0, String::new()), "--http-put-response-hop-limit 2"),
        (
            |asked| {
                if asked.line.starts_with("PUT") { (405, String::new()) } else { (200, "app".to_owned()) }
            },
            "version 1",
        ),
        (
            |asked| if asked.line.starts_with("PUT") { (200, "s".to_owned()) } else { (404, String::new()) },
            "no role",
        ),
    ];
    for (answer, told) in cases {
        let service = Service::start(account.moto.network(), EC2, NOW, answer);
        let outcome = account.sandbox().start();
        outcome.refused(77, "resolve", "TOKEN", "denied").says(told);
        assert!(outcome.took < Duration::from_secs(5), "{:?}", outcome.took);
        let asked = service.asked();
        let is_open = |asked: &Asked| {
            asked.line.starts_with("GET") && asked.header("x-aws-ec2-metadata-token").is_none()
        };
        assert!(!asked.iter().any(is_open), "never as version 1: {asked:?}");
    }
}

#[test]
fn a_machine_without_a_metadata_service_is_told_what_to_set() {
    let Some(account) = Account::open() else { return };
    let _nobody = Service::nobody();
    let outcome = account.sandbox().start();
    outcome.refused(77, "resolve", "TOKEN", "denied").says("nothing is set to sign in at AWS with");
    assert!(outcome.took < Duration::from_secs(5), "{:?}", outcome.took);
    let silent = account.sandbox().variable("AWS_EC2_METADATA_DISABLED", "true");
    silent.start().refused(78, "resolve", "TOKEN", "configuration").says("AWS_ACCESS_KEY_ID");
}

#[test]
fn a_task_signs_in_with_its_role() {
    let Some(account) = Account::open() else { return };
    let issued = account.issued().to_string();
    let _service = Service::start(account.moto.network(), ECS, NOW, move |asked| match asked.line.as_str() {
        "GET /v2/credentials/a-b?c=d" => (200, issued.clone()),
        _ => (404, String::new()),
    });
    let sandbox =
        account.sandbox().variable("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2/credentials/a-b?c=d");
    let Some(outcome) = account.both_read(&sandbox) else { return };
    outcome.says("the role of this container, from http://169.254.170.2");
}

#[test]
fn a_pod_signs_in_with_the_token_in_its_file_even_if_the_agent_starts_later() {
    let Some(account) = Account::open() else { return };
    let issued = account.issued().to_string();
    let agent = move |asked: &Asked| {
        let is_known = asked.header("authorization") == Some("token-of-the-pod");
        if is_known { (200, issued.clone()) } else { (401, String::new()) }
    };
    let _service = Service::start(account.moto.network(), EKS, Duration::from_secs(1), agent);
    let sandbox = account
        .sandbox()
        .variable("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://169.254.170.23/v1/credentials")
        .variable("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "/run/secrets/eks/token")
        .variable("AWS_CONTAINER_AUTHORIZATION_TOKEN", "another token")
        .file("/run/secrets/eks/token", "token-of-the-pod");
    account.both_read(&sandbox);
}

#[test]
fn e14_a_token_is_never_sent_in_the_open_to_another_host() {
    let Some(account) = Account::open() else { return };
    for url in ["http://198.18.0.1/v1/credentials", "http://agent.example/x", "ftp://127.0.0.1/"] {
        let sandbox = account
            .sandbox()
            .variable("AWS_CONTAINER_CREDENTIALS_FULL_URI", url)
            .credential("AWS_CONTAINER_AUTHORIZATION_TOKEN", &canary());
        sandbox.start().refused(78, "resolve", "TOKEN", "configuration");
    }
}

#[test]
fn a_service_account_signs_in_with_its_token() {
    let Some(account) = Account::open() else { return };
    // moto cannot answer this where it verifies signatures.
    account.moto.enforce(false);
    let sandbox = account
        .sandbox()
        .variable("AWS_ROLE_ARN", &account.role.arn)
        .variable("AWS_WEB_IDENTITY_TOKEN_FILE", "/run/secrets/eks.amazonaws.com/token")
        .file("/run/secrets/eks.amazonaws.com/token", "header.claims.signature");
    let Some(outcome) = account.both_read(&sandbox) else { return };
    outcome.says(&format!("the role {} by the token in /run/secrets/eks", account.role.arn));
}

#[test]
fn e16_a_token_file_that_cannot_be_read_or_is_empty_stops_the_start() {
    let Some(account) = Account::open() else { return };
    let sandbox = || {
        let path = "/run/secrets/eks.amazonaws.com/token";
        account
            .sandbox()
            .variable("AWS_ROLE_ARN", &account.role.arn)
            .variable("AWS_WEB_IDENTITY_TOKEN_FILE", path)
    };
    let outcome = sandbox().start();
    outcome.refused(66, "resolve", "TOKEN", "missing").says("eks.amazonaws.com/token");
    let empty = sandbox().file("/run/secrets/eks.amazonaws.com/token", "\n");
    empty.start().refused(78, "resolve", "TOKEN", "configuration").says("empty");
    let key = account.sandbox().file("/run/secrets/AWS_SECRET_ACCESS_KEY", "\n");
    key.start().refused(78, "resolve", "TOKEN", "configuration").says("AWS_SECRET_ACCESS_KEY is empty");
    let without = account.sandbox().variable("AWS_WEB_IDENTITY_TOKEN_FILE", "/token");
    without.start().refused(78, "resolve", "TOKEN", "configuration").says("AWS_ROLE_ARN");
}

#[test]
fn a_wrong_or_unknown_key_is_denied_and_told_apart() {
    let Some(account) = Account::open() else { return };
    let Session { id, key, token } = &account.issued;
    let sandbox = |id: &str, key: &str, token: &str| {
        let sandbox =
            account.sandbox().credential("AWS_ACCESS_KEY_ID", id).credential("AWS_SECRET_ACCESS_KEY", key);
        sandbox.credential("AWS_SESSION_TOKEN", token)
    };
    sandbox(id, key, token).start().app().has("TOKEN", &account.value);
    let wrong = sandbox(id, &canary(), token).start();
    wrong.refused(77, "resolve", "TOKEN", "denied").says("AWS_SECRET_ACCESS_KEY");
    let unknown = sandbox("ASIAUNKNOWN000000000", key, token).start();
    unknown.refused(77, "resolve", "TOKEN", "denied").says("does not know the access key");
}
