//! A container that is started as root, and whose app runs as another user: `[process] user`.

use std::fs;

use e2e::secrecy::tells_no_value;

use crate::support::{
    CONTRACT, Compose, Directory, Engine, FIX, Report, Run, Service, contract, contract_values, engine,
    external, refuses,
};

const MANIFEST: &str = r#"
version = 1

[process]
user = "10001:10001"

[secret.SUPABASE_URL]
[secret.SUPABASE_KEY]
[secret.SECRET_KEY]
deliver = "both"
"#;

const FILE: &str = "@SECRET_KEY_FILE";

/// A container of root without any capability but these; its secrets are files of root, which no other user can read.
fn of_root<'a>(engine: &'a Engine, capabilities: &[&str]) -> Run<'a> {
    let secrets = Directory::with_mode(engine.scratch(), 0o600, 0).put_all(&*CONTRACT);
    let added = capabilities.iter().map(|name| format!("--cap-add={name}"));
    let added: Vec<_> = added.chain(["--cap-drop=ALL".to_owned()]).collect();
    let run = Run::plain(engine).secrets(&secrets).manifest(MANIFEST);
    run.options(&["--read-only", "--security-opt=no-new-privileges", "--entrypoint=cryokey"])
        .options(&added.iter().map(String::as_str).collect::<Vec<_>>())
}

/// The app has its secrets, and nothing of root's.
#[track_caller]
fn is_the_user(report: &Report) {
    report.has_contract().has_nothing_of_ours();
    for (fact, wanted) in [
        ("all_uids", "10001\t10001\t10001\t10001"),
        ("all_gids", "10001\t10001\t10001\t10001"),
        ("groups", "10001"),
        ("capabilities", "0000000000000000"),
        ("can_become_root", "false"),
    ] {
        assert_eq!(report.process(fact), wanted, "{fact}");
    }
    let of_others: Vec<_> =
        report.processes().into_iter().filter(|process| !process.ends_with(" 10001")).collect();
    assert!(of_others.is_empty(), "{of_others:?}");
}

#[track_caller]
fn has_its_file(report: &Report) {
    let file = report.file(FILE);
    file.holds(contract("SECRET_KEY")).is("file 0400 10001:10001").is_in("directory 0500 10001:10001");
}

#[test]
fn files_of_root_reach_an_app_that_is_not_root_and_cannot_become_it() {
    let Some(engine) = engine() else { return };
    for flags in [&["run"][..], &["run", "--exec"]] {
        let app = [flags, &["--", "probe", "--file", FILE]].concat();
        let (report, ended) = of_root(engine, &["SETUID", "SETGID", "CHOWN"]).app(&app).report(0);
        is_the_user(&report);
        has_its_file(&report);
        tells_no_value("the log", &ended.stderr, contract_values());
    }
}

#[test]
fn without_the_capabilities_the_app_is_not_started_and_cap_add_is_named() {
    let Some(engine) = engine() else { return };
    for (given, missing) in [(&[][..], "[CHOWN, SETGID, SETUID]"), (&["SETUID", "SETGID"], "[CHOWN]")] {
        let ended = of_root(engine, given).app(&["run", "--", "probe"]).run();
        refuses(&ended, 77, &["process.user", "uid 10001", FIX, &format!("cap_add: {missing}")]);
    }
}

/// Compose mounts the host's files with their owner and mode.
const COMPOSE: &str = r#"
services:
  app:
    image: probe
    command: [probe, --file, "@SECRET_KEY_FILE"]
    read_only: true
    cap_drop: [ALL]
    cap_add: [SETUID, SETGID, CHOWN]
    security_opt: ["no-new-privileges:true"]
    network_mode: none
    volumes:
      - ./cryokey.toml:/etc/cryokey/cryokey.toml:ro
    secrets: [SUPABASE_URL, SUPABASE_KEY, SECRET_KEY]
secrets:
  SUPABASE_URL:
    file: ./SUPABASE_URL
  SUPABASE_KEY:
    file: ./SUPABASE_KEY
  SECRET_KEY:
    file: ./SECRET_KEY
"#;

#[test]
fn file_secrets_of_compose_with_mode_0600_need_no_chown_on_the_host() {
    let Some(engine) = engine() else { return };
    let Some(compose) = Compose::find() else { return };
    let directory = engine.scratch();
    Directory::with_mode(directory.clone(), 0o600, 0).put_all(&*CONTRACT);
    fs::write(directory.join("cryokey.toml"), MANIFEST).unwrap();
    let file = directory.join("compose.yaml");
    fs::write(&file, COMPOSE).unwrap();
    let ended = compose.up(engine, "user", &file, &[]).wait("app").with(0);
    let report = Report::parse(&ended.stdout);
    is_the_user(&report);
    has_its_file(&report);
}

#[test]
fn swarm_secrets_with_mode_0400_need_no_uid() {
    let Some(engine) = engine() else { return };
    let secrets = CONTRACT.iter().map(|(name, _)| {
        let source = external(name);
        format!("--secret=source={source},target={name},mode=0400")
    });
    let others = ["--user=0:0", "--env=CRYOKEY_USER=10001:10001", "--cap-add=SETUID", "--cap-add=SETGID"];
    let others = others.into_iter().chain(["--cap-add=CHOWN"]).map(str::to_owned);
    let options: Vec<_> = secrets.chain(others).collect();
    is_the_user(&Service::create(engine, "user", &options, &[]).report());
}
