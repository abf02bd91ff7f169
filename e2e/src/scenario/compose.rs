//! File secrets of Compose: bind mounts that keep the owner and mode of the host's file.

use std::fs;

use crate::compose::{Compose, Project};
use crate::engine::Engine;
use crate::expect::Done;
use crate::report::Report;
use crate::scenario::run::refuses;
use crate::secret::{CONTRACT, Folder, NOBODY, contract_values, tells_no_value};
use crate::world::World;

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
fn up<'a>(compose: &'a Compose, engine: &'a Engine, mode: u32, owner: u32) -> Result<Project<'a>, String> {
    let folder = engine.scratch("compose")?;
    let secrets = Folder::with_mode(folder.join(".secrets"), mode, owner);
    let told = |error| format!("{}: {error}", folder.display());
    fs::create_dir(secrets.path()).map_err(told)?;
    secrets.put_all(CONTRACT)?;
    let file = folder.join("compose.yaml");
    fs::write(&file, FILE).map_err(told)?;
    compose.up(engine, &file, &[], &[])
}

/// File secrets in the short syntax, which names the file after the key.
pub(super) fn readable(world: &World) -> Done {
    let project = up(world.compose()?, world.engine()?, 0o400, NOBODY)?;
    let ended = project.wait("app")?;
    let report = Report::parse(&ended.stdout).map_err(|problem| format!("{problem}: {}", ended.stderr))?;
    CONTRACT.iter().try_for_each(|(name, value)| report.has(name, value))?;
    Ok(tells_no_value("the log", &ended.stderr, contract_values())?)
}

/// The message names owner, mode, our uid and both ways out.
pub(super) fn c02_unreadable(world: &World) -> Done {
    let project = up(world.compose()?, world.engine()?, 0o600, 0)?;
    let ended = project.wait("app")?;
    let ways_out = ["Swarm", "`uid: \"65534\"`", "Compose ignores", "chown 65534"];
    let facts = [
        "SUPABASE_URL",
        "SUPABASE_KEY",
        "SECRET_KEY",
        "owner is uid 0",
        "0600",
        "we are uid 65534",
        "; to do: ",
    ];
    Ok(refuses(&ended, 77, &[&facts[..], &ways_out].concat())?)
}
