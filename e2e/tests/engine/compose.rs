//! File secrets of Compose: bind mounts that keep the owner and mode of the host's file.

use std::fs;

use e2e::secrecy::tells_no_value;

use crate::support::{
    CONTRACT, Compose, Directory, Engine, FIX, NOBODY, Project, Report, contract_values, engine, refuses,
};

/// `mode:` and `uid:` are there to show that Compose ignores them.
const FILE: &str = r#"
services:
  app:
    image: probe
    user: "65534:65534"
    read_only: true
    cap_drop: [ALL]
    security_opt: ["no-new-privileges:true"]
    network_mode: none
    secrets:
      - supabase_url
      - supabase_key
      - source: secret_key
        target: SECRET_KEY
        uid: "65534"
        gid: "65534"
        mode: 0400
secrets:
  supabase_url:
    file: ./.secrets/SUPABASE_URL
  supabase_key:
    file: ./.secrets/SUPABASE_KEY
  secret_key:
    file: ./.secrets/SECRET_KEY
"#;

/// The project, whose secrets have this mode and owner on the host.
fn up<'a>(compose: Compose, engine: &'a Engine, name: &'static str, mode: u32, owner: u32) -> Project<'a> {
    let directory = engine.scratch();
    fs::create_dir(directory.join(".secrets")).unwrap();
    Directory::with_mode(directory.join(".secrets"), mode, owner).put_all(&*CONTRACT);
    let file = directory.join("compose.yaml");
    fs::write(&file, FILE).unwrap();
    compose.up(engine, name, &file, &[])
}

#[test]
fn file_secrets_in_the_short_syntax_reach_the_app() {
    let Some(engine) = engine() else { return };
    let Some(compose) = Compose::find() else { return };
    let ended = up(compose, engine, "readable", 0o400, NOBODY).wait("app").with(0);
    Report::parse(&ended.stdout).has_contract();
    tells_no_value("the log", &ended.stderr, contract_values());
}

#[test]
fn c02_a_file_secret_of_root_is_refused_with_owner_mode_uid_and_both_ways_out() {
    let Some(engine) = engine() else { return };
    let Some(compose) = Compose::find() else { return };
    let ended = up(compose, engine, "unreadable", 0o600, 0).wait("app");
    let ways_out = ["Swarm", "`uid: \"65534\"`", "Compose ignores", "chown 65534"];
    let facts = [
        "SUPABASE_URL",
        "SUPABASE_KEY",
        "SECRET_KEY",
        "owner is uid 0",
        "0600",
        "uid 65534 cannot read",
        FIX,
    ];
    refuses(&ended, 77, &[&facts[..], &ways_out].concat());
}
