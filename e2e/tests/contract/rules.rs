//! What the contract says of secrets, wherever they come from.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::support::canary;
use crate::{REQUIRED, bare, values, with_files};

const OPTIONAL: [&str; 13] = [
    "SUPABASE_SERVICE_KEY",
    "SUPABASE_SERVICE_ROLE_KEY",
    "SUPABASE_DB_PASSWORD",
    "DATABASE_URL",
    "REDIS_URL",
    "NOTIFY_SMTP_PASSWORD",
    "MAIL_PASSWORD",
    "API_KEY",
    "JWT_SECRET",
    "ENCRYPTION_KEY",
    "BACKUP_ENCRYPTION_KEY",
    "MONITORING_API_KEY",
    "HEALTH_CHECK_TOKEN",
];

const KEY: &str = include_str!("../../../tests/data/id_ed25519");

type Shown = Option<Vec<&'static str>>;

pub(crate) fn required() -> Shown {
    let values = values();
    let outcome = with_files(bare()?, &values).start();
    for (name, value) in &values {
        outcome.app().has(name, value);
    }
    for (at, name) in REQUIRED.iter().enumerate() {
        let rest: Vec<_> = values.iter().enumerate().filter(|(other, _)| *other != at).collect();
        let rest: Vec<_> = rest.into_iter().map(|(_, value)| value.clone()).collect();
        with_files(bare()?, &rest).start().refused(66, "resolve", name, "missing");
    }
    Some(vec![
        "with all three, the app starts and has them",
        "without any one of them, it does not start: 66",
    ])
}

pub(crate) fn optional() -> Shown {
    let optional = OPTIONAL.map(|name| (name, canary()));
    let outcome = with_files(with_files(bare()?, &values()), &optional).start();
    for (name, value) in &optional {
        outcome.app().has(name, value);
    }
    let outcome = with_files(bare()?, &values()).start();
    for name in OPTIONAL {
        outcome.app().has_no(name);
    }
    Some(vec!["all thirteen arrive", "without all of them, the app starts"])
}

pub(crate) fn environments() -> Shown {
    let special =
        ["STAGING_API_KEY", "PRODUCTION_API_KEY", "BLUE_API_KEY", "GREEN_API_KEY"].map(|it| (it, canary()));
    let all =
        || Some(with_files(with_files(with_files(bare()?, &values()), &special), &[("API_KEY", canary())]));
    for (variables, winner) in [
        ([("APP_ENV", "staging"), ("DEPLOYMENT_COLOR", "")], 0),
        ([("FLASK_ENV", "production"), ("DEPLOYMENT_COLOR", "")], 1),
        ([("APP_ENV", "production"), ("DEPLOYMENT_COLOR", "blue")], 2),
        ([("APP_ENV", "staging"), ("DEPLOYMENT_COLOR", "green")], 3),
    ] {
        let sandbox = variables.iter().fold(all()?, |sandbox, (name, value)| sandbox.variable(name, value));
        let outcome = sandbox.start();
        outcome.app().has("API_KEY", &special[winner].1);
        for (name, _) in &special {
            outcome.app().has_no(name);
        }
    }
    Some(vec![
        "STAGING_ and PRODUCTION_ override in their environment, BLUE_ and GREEN_ in their deployment",
        "what belongs to another environment or color never reaches the app",
    ])
}

pub(crate) fn ssh_keys() -> Shown {
    let show = [
        "/bin/sh",
        "-c",
        "stat -c %a ~/.ssh/id_ed25519; ssh-keygen -y -P '' -f ~/.ssh/id_ed25519 >/dev/null && echo read",
    ];
    let both = [("STAGING_SSH_KEY", KEY.to_owned()), ("PRODUCTION_SSH_KEY", "of production".to_owned())];
    let sandbox = with_files(with_files(bare()?, &values()), &both);
    let outcome = sandbox
        .variable("APP_ENV", "staging")
        .variable("HOME", "/run/home")
        .file("/run/home/keep", "")
        .file("/etc/passwd", "root:x:0:0:root:/root:/bin/sh\n")
        .run(show);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    assert_eq!(String::from_utf8_lossy(&outcome.stdout), "600\nread\n");
    Some(vec![
        "in staging, STAGING_SSH_KEY is a file with mode 0600 that ssh reads; that of production is not written",
    ])
}

pub(crate) fn rotation() -> Shown {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let stamped = |days: u64| {
        let stamp = (now - days * 86_400).to_string();
        Some(
            with_files(bare()?, &values())
                .file("/run/secrets/SECRET_ROTATION_TIMESTAMP", stamp)
                .variable("SECRET_ROTATION_THRESHOLD_DAYS", "90"),
        )
    };
    let young = stamped(89)?.variable("STRICT_ROTATION_MODE", "true").start();
    young.app().has_no("SECRET_ROTATION_TIMESTAMP");
    let lenient = stamped(91)?.start();
    lenient.app();
    lenient.says("SECRET_ROTATION_TIMESTAMP").says("90 days");
    let strict = stamped(91)?.variable("STRICT_ROTATION_MODE", "true").start();
    strict.refused(78, "resolve", "SUPABASE_URL", "rotation");
    Some(vec![
        "secrets within the threshold start the app, older ones with a warning",
        "with STRICT_ROTATION_MODE=true, older ones do not: 78",
    ])
}

pub(crate) fn options() -> Shown {
    let with = |name: &str, value: &str| Some(with_files(bare()?, &values()[1..]).variable(name, value));
    with("STRICT_ENV_MODE", "false")?.start().refused(66, "resolve", "SUPABASE_URL", "missing");
    with("STRICT_SECRET_MODE", "false")?.start().refused(66, "resolve", "SUPABASE_URL", "missing");
    let neither = with("STRICT_SECRET_MODE", "false")?.variable("STRICT_ENV_MODE", "false").start();
    neither.app().has_no("SUPABASE_URL");
    neither.says("SUPABASE_URL");
    let unknown = with("EXTERNAL_SECRET_PROVIDER", "valut")?.start();
    unknown.refused(78, "configure", "EXTERNAL_SECRET_PROVIDER", "configuration").says("vault");
    for (provider, scope) in
        [("aws", "AWS_SECRET_PREFIX"), ("vault", "VAULT_SECRET_PATH"), ("gcp", "GCP_SECRET_PREFIX")]
    {
        let outcome = with("EXTERNAL_SECRET_PROVIDER", provider)?
            .variable("VAULT_ADDR", "https://127.0.0.1:1")
            .variable("VAULT_TOKEN", "t")
            .variable("GCP_PROJECT_ID", "my-project")
            .variable("AWS_REGION", "eu-west-1")
            .variable("AWS_ACCESS_KEY_ID", "a")
            .variable("AWS_SECRET_ACCESS_KEY", "b")
            .start();
        outcome.refused(78, "resolve", "SUPABASE_URL", "configuration").says(scope);
    }
    let namespace = with("K8S_SECRET_NAMESPACE", "production")?.start();
    namespace.refused(78, "configure", "K8S_SECRET_NAMESPACE", "configuration").says("K8S_SECRET_NAME");
    Some(vec![
        "either strict mode alone keeps an app without a required secret from starting; with both off it starts",
        "an unknown provider and a missing prefix, path or name are said by their variables: 78",
    ])
}

pub(crate) fn practices() -> Shown {
    let outcome = with_files(bare()?, &values()[..2]).variable("SECRET_KEY", &canary()).start();
    outcome.refused(66, "resolve", "SECRET_KEY", "plain-env").says("`docker inspect` shows");
    Some(vec!["a required secret that is only a plain variable, as of a Dockerfile, is refused: 66"])
}

pub(crate) fn troubleshooting() -> Shown {
    let outcome = bare()?.start();
    outcome.refused(66, "resolve", "SUPABASE_URL", "missing");
    for name in REQUIRED {
        outcome.says(name);
    }
    outcome.says("/run/secrets");
    Some(vec!["the log names each missing secret, where it was looked for and what to do"])
}

pub(crate) fn security() -> Shown {
    let values = values();
    let sandbox = with_files(bare()?, &values);
    let outcome = sandbox.start();
    for (name, value) in &values {
        let lines = || outcome.stderr.lines().filter(|line| line.contains(" info "));
        assert!(
            lines().any(|line| line.contains(name)),
            "no line says that {name} was loaded: {}",
            outcome.stderr
        );
        assert!(!outcome.stderr.contains(value.as_str()), "a value is in the log");
    }
    outcome.says("the app will run as root");
    let advice = sandbox.command(&["check"]);
    assert!(advice.stderr.contains("0400") || advice.printed().contains("0400"), "{}", advice.printed());
    let strict = sandbox.variable("CRYOKEY_STRICT_PERMISSIONS", "true").start();
    strict.refused(77, "resolve", "SUPABASE_URL", "denied").says("0400");
    Some(vec![
        "an info line for each secret, never its value",
        "files with a wider mode than 0400 are read, since Swarm's default is 0444: check advises, and strict permissions end with 77",
        "an app that runs as root is a warning",
        "mode 0700 of /run/secrets is the platform's to set; cryokey never changes a mount",
    ])
}
