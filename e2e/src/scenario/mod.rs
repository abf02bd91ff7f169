//! The scenarios, in the order in which they run.

mod compose;
mod delivery;
mod examples;
mod image;
mod limits;
mod run;
mod swarm;

use crate::expect::Done;
use crate::world::World;

/// One claim about cryokey in a real container; the function's comment says what holds when it passes. A function that
/// proves a case of the fault list carries the case's id in its name.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) run: fn(&World) -> Done,
}

const fn scenario(name: &'static str, run: fn(&World) -> Done) -> Scenario {
    Scenario { name, run }
}

pub(crate) const ALL: &[Scenario] = &[
    scenario("dev-example", examples::dev),
    scenario("docker-run-hardened", run::hardened),
    scenario("docker-tells-no-value", run::tells_no_value_anywhere),
    scenario("plain-variables", run::plain_variables),
    scenario("check", run::k02_check),
    scenario("folder-unreadable", run::folder_unreadable),
    scenario("docker-stop", run::stop),
    scenario("staging-and-production", run::staging_and_production),
    scenario("colors-together", run::colors_together),
    scenario("image-from-scratch", image::from_scratch),
    scenario("image-foreign-nsswitch", image::foreign_nsswitch),
    scenario("no-passwd-no-home", image::c27_no_passwd_and_no_home),
    scenario("home-from-passwd", image::home_from_passwd),
    scenario("file-by-memfd", delivery::file_by_memfd),
    scenario("file-in-run-dir", delivery::c22_file_in_run_dir),
    scenario("no-place-for-files", delivery::c18_c19_no_place_for_files),
    scenario("ssh-key", delivery::ssh_key),
    scenario("ssh-key-restart", delivery::c20_ssh_key_restart),
    scenario("memory-16m", limits::h01_sixteen_mib),
    scenario("pids-limit", limits::pids),
    scenario("compose-readable", compose::readable),
    scenario("compose-unreadable", compose::c02_unreadable),
    scenario("swarm-contract", swarm::contract),
    scenario("swarm-name-prefix", swarm::name_prefix),
    scenario("swarm-mode-without-uid", swarm::c02_mode_without_uid),
    scenario("swarm-missing-secret", swarm::c01_k03_missing_secret),
    scenario("swarm-rotation-too-old", swarm::rotation_too_old),
    scenario("swarm-line-ends", swarm::line_ends),
    scenario("swarm-new-version", swarm::new_version),
    scenario("flask-under-compose", examples::flask),
    scenario("blue-green", examples::blue_green),
    scenario("swarm-stack", examples::stack),
];

/// Those whose names begin with one of these; all when nothing was named.
pub(crate) fn chosen(only: &[String]) -> Result<Vec<&'static Scenario>, String> {
    if let Some(unknown) =
        only.iter().find(|begin| !ALL.iter().any(|scenario| scenario.name.starts_with(*begin)))
    {
        return Err(format!("no scenario `{unknown}`; --list prints them"));
    }
    let is_chosen = |name: &str| only.is_empty() || only.iter().any(|begin| name.starts_with(begin));
    Ok(ALL.iter().filter(|scenario| is_chosen(scenario.name)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_can_be_abbreviated() {
        let names: std::collections::BTreeSet<_> = ALL.iter().map(|scenario| scenario.name).collect();
        assert_eq!(names.len(), ALL.len());
        assert_eq!(chosen(&["image".into()]).unwrap().len(), 2);
        assert!(chosen(&["nonsense".into()]).is_err());
    }
}
