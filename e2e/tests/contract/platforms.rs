//! Docker Swarm and Compose, on an engine of the tests' own.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;
use std::time::Duration;

use e2e::program::{Ended, run, until};

use crate::containers::{CONTRACT, Compose, Engine, Report, contract, contract_values, engine, says};

type Shown = Option<Vec<&'static str>>;

/// The contract's command, word for word.
const CREATE: &str = r#"echo "your-secret-value" | docker secret create cryoprotect_supabase_url -"#;

/// The contract's two pieces of YAML in one file, with the other two secrets that the app needs.
const STACK: &str = r#"
version: "3.8"
services:
  cryoprotect:
    image: probe
    user: "USER"
    command: [probe, --file, /run/secrets/SUPABASE_URL]
    deploy:
      restart_policy: {condition: none}
    secrets:
      - source: supabase_url
        target: SUPABASE_URL
        mode: 0400
      - source: supabase_key
        target: SUPABASE_KEY
      - source: secret_key
        target: SECRET_KEY
secrets:
  supabase_url:
    external: true
    name: cryoprotect_supabase_url
  supabase_key:
    external: true
    name: cryoprotect_supabase_key
  secret_key:
    external: true
    name: cryoprotect_secret_key
"#;

const PROJECT: &str = "
services:
  cryoprotect:
    image: probe
    secrets: [supabase_url, SUPABASE_KEY, SECRET_KEY]
secrets:
  supabase_url:
    file: ./.secrets/SUPABASE_URL
  SUPABASE_KEY:
    file: ./.secrets/SUPABASE_KEY
  SECRET_KEY:
    file: ./.secrets/SECRET_KEY
";

pub(crate) fn swarm() -> Shown {
    let engine = engine()?;
    create(engine, CREATE);
    let as_written = deployed(engine, "contract-as-written", "0:0");
    says(&as_written.stderr, &["SUPABASE_URL", "is a placeholder", "exit code=65 "]);
    create(engine, &CREATE.replace("your-secret-value", "$VALUE"));
    let root = deployed(engine, "contract-root", "0:0");
    let report = Report::parse(&root.stdout);
    report.has_contract();
    report.file("/run/secrets/SUPABASE_URL").is("file 0400 0:0");
    let user = deployed(engine, "contract-user", "65534:65534");
    assert_eq!(user.stdout, "", "the app ran");
    says(
        &user.stderr,
        &["SUPABASE_URL", "uid 65534 cannot read", "0400", "`uid: \"65534\"`", "exit code=77 "],
    );
    Some(vec![
        "its command creates the secret; `your-secret-value` is refused as a placeholder: 65",
        "with a real value, the line end of echo is no part of it",
        "its two pieces of YAML start the app, as root, and mode 0400 is kept",
        "with another user, mode 0400 cannot be read, since Swarm gives the file to root: 77, naming uid and mode",
    ])
}

/// Creates the secret by the contract's command, in place of the one that is there.
fn create(engine: &Engine, line: &str) {
    until("the old secret is free", Duration::from_secs(20), || {
        let removed = engine.docker(&["secret", "rm", "cryoprotect_supabase_url"]);
        if removed.code == 0 { Ok(()) } else { Err(removed.said()) }
    });
    let mut shell = engine.client("bash", &["-c", line]);
    run(shell.env("VALUE", contract("SUPABASE_URL")).stdin(Stdio::null())).with(0);
}

/// Deploys the stack, and gives its log when the task has ended.
fn deployed(engine: &Engine, name: &str, user: &str) -> Ended {
    let file = engine.scratch().join("docker-compose.yml");
    fs::write(&file, STACK.replace("USER", user)).unwrap();
    engine.must(&[
        "stack",
        "deploy",
        "--resolve-image",
        "never",
        "--compose-file",
        file.to_str().unwrap(),
        name,
    ]);
    let service = format!("{name}_cryoprotect");
    let ended = until("the log of the task", Duration::from_secs(40), || {
        let logs = engine.docker(&["service", "logs", "--raw", &service]);
        let is_over = !logs.stdout.is_empty() || logs.stderr.contains("exit code=");
        if is_over { Ok(logs) } else { Err(logs.said()) }
    });
    engine.must(&["stack", "rm", name]);
    ended
}

pub(crate) fn compose() -> Shown {
    let (engine, compose) = (engine()?, Compose::find()?);
    let directory = engine.scratch();
    let secrets = directory.join(".secrets");
    fs::create_dir(&secrets).unwrap();
    for (name, value) in &*CONTRACT {
        fs::write(secrets.join(name), format!("{value}\n")).unwrap();
        fs::set_permissions(secrets.join(name), fs::Permissions::from_mode(0o400)).unwrap();
    }
    let file = directory.join("docker-compose.yml");
    fs::write(&file, PROJECT).unwrap();
    let project = compose.up(engine, "contract", &file, &[]);
    let ended = project.wait("cryoprotect").with(0);
    Report::parse(&ended.stdout).has_contract();
    for value in contract_values() {
        assert!(!ended.stderr.contains(value), "a value is in the log");
    }
    Some(vec!["its YAML starts the app, also where the secret is mounted in lower case, as supabase_url"])
}
