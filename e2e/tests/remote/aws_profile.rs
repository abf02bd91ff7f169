//! Signing in at AWS by the files that its tools share, against moto, which verifies signatures and permissions. boto3
//! judges which identity a profile stands for.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::support::{
    Moto, PORTAL, Portal, REGION, Role, SECRETS_MANAGER, STS, Sandbox, Session, User, canary,
    installed_program, moto,
};

const HOME: &str = "/etc/home";

fn statement(actions: &[&str]) -> Value {
    json!({"Effect": "Allow", "Action": actions, "Resource": "*"})
}

/// What cryokey needs to read one secret.
fn reading() -> Value {
    statement(&["secretsmanager:GetSecretValue", "secretsmanager:BatchGetSecretValue", "sts:AssumeRole"])
}

/// What leads to a role, and reads nothing.
fn assuming() -> Value {
    statement(&["sts:AssumeRole"])
}

/// A secret in moto.
struct Stored {
    moto: Moto,
    value: String,
}

impl Stored {
    fn new() -> Option<Self> {
        let (moto, value) = (moto()?, canary());
        moto.put("app", value.as_bytes());
        Some(Self { moto, value })
    }

    /// cryokey, which wants the secret, and has nothing to sign in with.
    fn sandbox(&self) -> Sandbox {
        let authority = fs::read(self.moto.authority().certificate()).unwrap();
        let address = self.moto.tls().ip();
        Sandbox::new(self.moto.network())
            .manifest("[secret.API_KEY]\nrequired = true\nfrom = [\"aws:app\"]\n")
            .host(SECRETS_MANAGER, address)
            .host(STS, address)
            .file("/etc/aws-authority.pem", authority)
            .variable("AWS_CA_BUNDLE", "/etc/aws-authority.pem")
            .variable("AWS_REGION", REGION)
            .variable("HOME", HOME)
            .watch(&self.value)
    }

    fn with(&self, config: &str, credentials: &str) -> Sandbox {
        self.sandbox()
            .file(&format!("{HOME}/.aws/config"), config)
            .file(&format!("{HOME}/.aws/credentials"), credentials)
    }
}

fn keys(user: &User) -> String {
    format!("aws_access_key_id = {}\naws_secret_access_key = {}\n", user.id, user.key)
}

fn keys_of_session(session: &Session) -> String {
    format!(
        "aws_access_key_id = {}\naws_secret_access_key = {}\naws_session_token = {}\n",
        session.id, session.key, session.token
    )
}

/// A `credential_process` that prints these keys, with the quotation marks that a command line needs for that.
fn printed(user: &User) -> String {
    let json = json!({"Version": 1, "AccessKeyId": user.id, "SecretAccessKey": user.key});
    format!("credential_process = \"/bin/echo\" '{json}'\n")
}

#[test]
fn a_profile_gives_key_and_region_and_the_app_keeps_its_variables() {
    let Some(stored) = Stored::new() else { return };
    let user = stored.moto.user(&reading());
    stored.moto.enforce(true);
    let config = format!("[profile app]\nregion = {REGION}\n");
    let sandbox = stored.with(&config, &format!("[app]\n{}", keys(&user))).watch(&user.key);
    let outcome = sandbox.variable("AWS_REGION", "").variable("AWS_PROFILE", "app").start();
    outcome.warns_of_nothing().says("profile `app`: the key in /etc/home/.aws/credentials");
    outcome.app().has("API_KEY", &stored.value).has("AWS_PROFILE", "app");
}

#[test]
fn a_temporary_key_needs_its_token() {
    let Some(stored) = Stored::new() else { return };
    let session = stored.moto.session(&stored.moto.role(&reading()));
    stored.moto.enforce(true);
    let all = format!("[default]\n{}", keys_of_session(&session));
    stored.with("", &all).start().app().has("API_KEY", &stored.value);
    let without = all.replace("aws_session_token", "other");
    stored.with("", &without).start().refused(77, "resolve", "API_KEY", "denied");
}

#[test]
fn roles_are_assumed_one_after_the_other() {
    let Some(stored) = Stored::new() else { return };
    let user = stored.moto.user(&assuming());
    let (between, reader) = (stored.moto.role(&assuming()), stored.moto.role(&reading()));
    stored.moto.enforce(true);
    let config = format!(
        "[profile reader]\nrole_arn = {}\nsource_profile = between\nexternal_id = a&b=c\nduration_seconds = 900\n\
         [profile between]\nrole_arn = {}\nsource_profile = default\nrole_session_name = build-7\n",
        reader.arn, between.arn
    );
    let sandbox = stored.with(&config, &format!("[default]\n{}", keys(&user)));
    let sandbox = sandbox.variable("AWS_PROFILE", "reader").watch(&user.key);
    let outcome = sandbox.start();
    outcome.app().has("API_KEY", &stored.value);
    outcome.says(&format!(", as role {}, as role {}", between.arn, reader.arn));
}

#[test]
fn a_role_that_may_not_be_assumed_is_77_and_the_trust_policy_is_printed() {
    let Some(stored) = Stored::new() else { return };
    let (user, role) = (stored.moto.user(&reading()), stored.moto.role(&reading()));
    stored.moto.allow(&user, &[statement(&["secretsmanager:GetSecretValue"])]);
    stored.moto.enforce(true);
    let config = format!("[profile app]\nrole_arn = {}\nsource_profile = default\n", role.arn);
    let sandbox = stored.with(&config, &format!("[default]\n{}", keys(&user)));
    let outcome = sandbox.variable("AWS_PROFILE", "app").start();
    outcome.refused(77, "resolve", "API_KEY", "denied").says(&role.arn).says("\"Principal\"");
    outcome.says(&format!("user/{}", user.name)).says("sts:AssumeRole");
}

#[test]
fn a_program_signs_in_also_as_pid_1_and_leaves_no_process_and_no_zombie() {
    let Some(stored) = Stored::new() else { return };
    let user = stored.moto.user(&reading());
    stored.moto.enforce(true);
    let json = json!({"Version": 1, "AccessKeyId": user.id, "SecretAccessKey": user.key}).to_string();
    let helper = "#!/bin/sh\ntest -z \"$VAULT_TOKEN\" || exit 9\nread nothing && exit 8\n\
                  (sleep 60 & sleep 60) >/dev/null &\nsleep 60 >/dev/null &\ntest \"$HOME\" = /etc/home && cat /etc/printed\n";
    let config = "[default]\ncredential_process = sh '/etc/my helper'\n";
    let sandbox = stored.with(config, "").file("/etc/my helper", helper).file("/etc/printed", json);
    let sandbox = sandbox.variable("VAULT_TOKEN", "not-for-helpers").watch(&user.key).pid_1();
    let outcome = sandbox.run(["/bin/sh", "-c", "echo $API_KEY; cat /proc/[0-9]*/stat"]);
    let (value, processes) = outcome.text().split_once('\n').unwrap();
    assert_eq!(value, stored.value);
    // The shell lists them before it starts anything.
    assert!(processes.starts_with("1 (cryokey) ") && processes.contains(" (sh) "), "{processes}");
    assert_eq!(processes.lines().count(), 2, "{processes}");
}

#[test]
fn a_program_that_does_not_end_is_75_and_is_ended() {
    let Some(stored) = Stored::new() else { return };
    let sandbox = stored.with("[default]\ncredential_process = sh -c 'sleep 60 & sleep 60'\n", "");
    let outcome = sandbox.variable("CRYOKEY_START_TIMEOUT", "1s").pid_1().start();
    outcome.refused(75, "resolve", "API_KEY", "timeout").says("credential_process");
    assert!(outcome.took.as_secs() < 10, "{:?}", outcome.took);
}

/// echo -n team | sha1sum
const CACHE: &str = "/etc/home/.aws/sso/cache/d25187dc137f35c88bc80ec8c3ffbdb17b5eb873.json";

fn signed_on(role: &str) -> String {
    format!(
        "[profile app]\nsso_session = team\nsso_account_id = 123456789012\nsso_role_name = {role}\n\
         [sso-session team]\nsso_region = {REGION}\nsso_start_url = https://team.awsapps.com/start\n"
    )
}

#[test]
fn a_sign_on_reads_by_its_cached_token() {
    let Some(stored) = Stored::new() else { return };
    let role = stored.moto.role(&reading());
    let session = stored.moto.session(&role);
    // A token is any text that can be a header.
    let [token, revoked] = [(); 2].map(|()| stored.moto.session(&role).token);
    stored.moto.enforce(true);
    let portal = Portal::start(stored.moto.network(), stored.moto.authority(), &token, &session);
    let with = |role: &str, token: &str| {
        let cached = json!({"accessToken": token, "expiresAt": "2999-01-01T00:00:00Z"}).to_string();
        let sandbox = stored.with(&signed_on(role), "").file(CACHE, cached).host(PORTAL, portal.address());
        sandbox.variable("AWS_PROFILE", "app").watch(token).watch(&session.key).watch(&session.token).start()
    };
    with("reader all", &token).app().has("API_KEY", &stored.value);
    let other = with("writer", &token);
    other.refused(77, "resolve", "API_KEY", "denied").says("`writer` in the account 123456789012");
    let revoked = with("reader all", &revoked);
    revoked.refused(77, "resolve", "API_KEY", "denied").says("aws sso login --profile app");
}

/// A file of each kind, and which profile.
struct Case {
    config: String,
    credentials: String,
    profile: Option<&'static str>,
}

fn case(profile: Option<&'static str>, config: String, credentials: String) -> Case {
    Case { config, credentials, profile }
}

fn cases([a, b]: [&User; 2], [one, two]: [&Role; 2]) -> Vec<Case> {
    let (a_keys, b_keys, by_b) = (keys(a), keys(b), printed(b));
    let default_a = format!("[default]\n{a_keys}");
    let (one, two) = (&one.arn, &two.arn);
    let role = |name: &str, arn: &str, source: &str| {
        format!("[profile {name}]\nrole_arn = {arn}\nsource_profile = {source}\n")
    };
    let none = String::new;
    vec![
        case(None, none(), default_a.clone()),
        case(None, format!("[default]\n{b_keys}"), default_a.clone()),
        case(None, format!("[default]\n{b_keys}[profile default]\n{a_keys}"), none()),
        case(None, format!("[profile x]\n{b_keys}"), none()),
        case(Some("x"), format!("[profile x]\n{b_keys}"), default_a.clone()),
        case(Some("x"), format!("[x]\n{b_keys}"), default_a.clone()),
        case(Some("x y"), format!("[profile \"x y\"]\n{b_keys}"), default_a.clone()),
        case(Some("x y"), format!("[profile 'x y']\n{b_keys}"), default_a.clone()),
        case(Some("x"), none(), format!("[profile x]\n{b_keys}")),
        case(Some("x"), none(), default_a.clone()),
        case(None, none(), default_a.replace('\n', "\r\n")),
        case(None, none(), default_a.replace("aws_", "AWS_").replace(" = ", "=")),
        case(None, format!("[default]\ns3 =\n  aws_access_key_id = {}\n{a_keys}", b.id), none()),
        case(
            None,
            format!("# x\n[default]\n  s3 =\n    x = 1\n\n  ; y\n{}", a_keys.replace("aws_", "  aws_")),
            none(),
        ),
        case(None, none(), format!("[default]\naws_access_key_id = {}\n", a.id)),
        case(None, none(), format!("{default_a}aws_session_token =\n")),
        case(None, format!("[default]\n{by_b}{a_keys}"), none()),
        case(None, format!("[default]\n{by_b}"), default_a.clone()),
        case(None, none(), format!("[default]\n{by_b}")),
        case(Some("x"), role("x", one, "default"), default_a.clone()),
        case(Some("x"), role("x", two, "y") + &role("y", one, "default"), default_a.clone()),
        case(Some("x"), role("x", one, "x") + &b_keys, default_a.clone()),
        case(Some("x"), role("x", two, "y") + &role("y", one, "nobody") + &b_keys, default_a.clone()),
        case(Some("x"), role("x", two, "y") + &role("y", one, "x"), default_a.clone()),
        case(Some("x"), role("x", one, "default"), format!("[x]\nrole_arn = {two}\n{default_a}")),
        case(Some("x"), role("x", one, "x"), default_a.clone()),
        case(Some("x"), role("x", one, "y"), default_a.clone()),
        case(Some("x"), role("x", one, "y") + &format!("[profile y]\n{by_b}"), default_a.clone()),
        case(Some("x"), format!("[profile x]\nrole_arn = {one}\n{b_keys}"), default_a.clone()),
        case(
            None,
            format!("[default]\nrole_arn = {one}\nsource_profile = y\n"),
            format!("[y]\n{b_keys}{default_a}"),
        ),
        case(Some("x"), none(), format!("[x]\nrole_arn = {one}\nsource_profile = default\n{default_a}")),
        case(Some("x"), role("x", one, "default") + "credential_source = Environment\n", default_a.clone()),
        case(Some("x"), role("x", one, "default") + "duration_seconds = 900\nexternal_id = x\n", default_a),
    ]
}

/// Whom boto3 signs as, by case: an ARN or `nobody`.
fn judged(moto: &Moto, cases: &[Case]) -> Vec<String> {
    let scratch = moto.network().scratch();
    let write = |(number, case): (usize, &Case)| {
        let directory = scratch.join(number.to_string());
        fs::create_dir(&directory).unwrap();
        fs::write(directory.join("config"), &case.config).unwrap();
        fs::write(directory.join("credentials"), &case.credentials).unwrap();
        case.profile.iter().for_each(|name| fs::write(directory.join("profile"), name).unwrap());
        directory
    };
    let directories: Vec<_> = cases.iter().enumerate().map(write).collect();
    let python = installed_program("moto", "python").unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("profiles.py");
    let mut command = moto.network().command(python.to_str().unwrap());
    command.arg(script).arg(format!("http://{}", moto.server)).args(directories).env("HOME", scratch);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn a_profile_stands_for_whom_boto3_takes_it_for() {
    let Some(stored) = Stored::new() else { return };
    let moto = &stored.moto;
    let users = [moto.user(&assuming()), moto.user(&assuming())];
    let roles = [moto.role(&assuming()), moto.role(&assuming())];
    let cases = cases(users.each_ref(), roles.each_ref());
    let judged = judged(moto, &cases);
    assert_eq!(judged.len(), cases.len());
    assert!(judged.iter().filter(|arn| *arn != "nobody").count() >= 20, "{judged:?}");
    for (case, arn) in cases.iter().zip(&judged) {
        // Only the identity that boto3 signs as may read.
        let policy = |name: &str| if arn.contains(&format!("/{name}")) { reading() } else { assuming() };
        moto.enforce(false);
        for user in &users {
            moto.allow(user, &[policy(&user.name)]);
        }
        for role in &roles {
            moto.allow_role(role, &policy(&role.name));
        }
        moto.enforce(true);
        let sandbox = stored.with(&case.config, &case.credentials);
        let outcome = sandbox.variable("AWS_PROFILE", case.profile.unwrap_or_default()).start();
        let is_signed_in = outcome.code == 0;
        assert_eq!(
            is_signed_in,
            arn != "nobody",
            "{arn}: {}\n{}\n{}",
            case.config,
            case.credentials,
            outcome.stderr
        );
    }
}
