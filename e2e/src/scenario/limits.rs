//! Containers that are kept short.

use std::fmt::Write as _;

use crate::container::Run;
use crate::expect::Done;
use crate::scenario::delivery::write_manifest;
use crate::scenario::run::contract_folder;
use crate::secret::{CONTRACT, Folder};
use crate::world::World;

const SECRETS: usize = 50;

/// A container of 16 MiB starts with 50 secrets.
pub(super) fn h01_sixteen_mib(world: &World) -> Done {
    let engine = world.engine()?;
    let secrets = Folder::readable(engine.scratch("memory")?);
    let folder = engine.scratch("memory-manifest")?;
    let mut manifest = "version = 1\n".to_owned();
    let value = |number: usize| format!("value {number} ").repeat(100);
    for number in 0..SECRETS {
        secrets.put(&format!("SECRET_{number}"), value(number))?;
        // Writing into a String does not fail.
        let _ = write!(manifest, "[secret.SECRET_{number}]\nrequired = true\n");
    }
    write_manifest(&folder, &manifest)?;
    let (report, _) = Run::hardened(engine)
        .secrets(&secrets)
        .mount(&folder, "/etc/cryokey")
        .options(&["--memory=16m", "--memory-swap=16m"])
        .report(0)?;
    Ok((0..SECRETS).try_for_each(|number| report.has(&format!("SECRET_{number}"), value(number)))?)
}

/// cryokey needs no process beside the app.
pub(super) fn pids(world: &World) -> Done {
    let engine = world.engine()?;
    let secrets = contract_folder(engine, "pids")?;
    let limit = |limit: u32| format!("--pids-limit={limit}");
    // The runtime itself may need more than one while it starts the container: as few as the app alone can do with.
    let alone = |least: &u32| {
        Run::hardened(engine)
            .options(&[&limit(*least), "--entrypoint=probe"])
            .run()
            .is_ok_and(|ended| ended.code == 0)
    };
    let least =
        (1..=16).find(alone).ok_or_else(|| "not even the probe alone starts with 16 processes".to_owned())?;
    let (report, _) = Run::hardened(engine).secrets(&secrets).options(&[&limit(least)]).report(0)?;
    Ok(CONTRACT.iter().try_for_each(|(name, value)| report.has(name, value))?)
}
