//! Images that lack what most programs take for granted, or have what trips them.

use crate::container::Run;
use crate::engine::Engine;
use crate::expect::{Done, equal, says};
use crate::images::FOREIGN;
use crate::scenario::delivery::new_ssh_key;
use crate::scenario::run::{contract_folder, refuses};
use crate::secret::{CONTRACT, Folder};
use crate::world::World;

const TMPFS: &str = "uid=65534,gid=65534,mode=0700";

/// No shell, passwd, nsswitch.conf or CA bundle is needed.
pub(super) fn from_scratch(world: &World) -> Done {
    let engine = world.engine()?;
    let secrets = contract_folder(engine, "from-scratch")?;
    // As it is in the Dockerfile: its ENTRYPOINT and its CMD, and as root.
    let (report, ended) =
        Run::plain(engine).secrets(&secrets).app(&["probe", "--folder", "/usr"]).report(0)?;
    CONTRACT.iter().try_for_each(|(name, value)| report.has(name, value))?;
    let programs: Vec<_> =
        report.tree("/usr")?.into_iter().filter(|(_, what)| what.starts_with("file")).collect();
    equal("the number of files in the image", &programs.len(), &2)?;
    says("the log", &ended.stderr, &["root"])?;

    let ended = Run::hardened(engine).secrets(&secrets).app(&["no-such-program"]).run()?;
    Ok(refuses(&ended, 127, &["no-such-program", "PATH"])?)
}

/// Name services whose libraries are not there do no harm.
pub(super) fn foreign_nsswitch(world: &World) -> Done {
    let engine = world.engine()?;
    let secrets = contract_folder(engine, "foreign-nsswitch")?;
    let (report, _) = Run::hardened(engine).image(FOREIGN).secrets(&secrets).report(0)?;
    Ok(CONTRACT.iter().try_for_each(|(name, value)| report.has(name, value))?)
}

/// A uid without an entry, and no HOME.
pub(super) fn c27_no_passwd_and_no_home(world: &World) -> Done {
    let engine = world.engine()?;
    let secrets = contract_folder(engine, "no-home")?;
    let app = ["--without", "HOME", "cryokey", "run", "--", "probe"];
    let (report, _) = without_home(engine, &secrets).app(&app).report(0)?;
    report.has_no("HOME")?;
    Ok(CONTRACT.iter().try_for_each(|(name, value)| report.has(name, value))?)
}

/// Without HOME an SSH key goes to the passwd home; without that too it is refused.
pub(super) fn home_from_passwd(world: &World) -> Done {
    let engine = world.engine()?;
    let secrets = contract_folder(engine, "home")?;
    let key = new_ssh_key(engine)?;
    secrets.put("STAGING_SSH_KEY", &key.private)?;

    let (report, _) = without_home(engine, &secrets)
        .image(FOREIGN)
        .options(&[&format!("--tmpfs=/home/nobody:{TMPFS}")])
        .app(&[
            "--without",
            "HOME",
            "cryokey",
            "run",
            "--",
            "probe",
            "--file",
            "/home/nobody/.ssh/id_ed25519",
        ])
        .report(0)?;
    report.file("/home/nobody/.ssh/id_ed25519")?.is("file 0600 65534:65534")?;
    report.has_no("HOME")?;

    // No passwd, no HOME: nobody can know where.
    let ended =
        without_home(engine, &secrets).app(&["--without", "HOME", "cryokey", "run", "--", "probe"]).run()?;
    Ok(refuses(&ended, 73, &["SSH_KEY", "HOME", "; to do: "])?)
}

/// The engine sets HOME in any case, so the probe takes it away and then becomes cryokey.
fn without_home<'a>(engine: &'a Engine, secrets: &Folder) -> Run<'a> {
    Run::hardened(engine).secrets(secrets).variable("APP_ENV", "staging").options(&["--entrypoint=probe"])
}
