//! Containers that are kept short.

use std::fmt::Write as _;

use crate::support::{Directory, Run, engine, refuses};

const SECRETS: usize = 50;

#[test]
fn h01_a_container_of_16_mib_starts_with_50_secrets() {
    let Some(engine) = engine() else { return };
    let secrets = Directory::readable(engine.scratch());
    let mut manifest = "version = 1\n".to_owned();
    let value = |number: usize| format!("value {number} ").repeat(100);
    for number in 0..SECRETS {
        secrets.put(&format!("SECRET_{number}"), value(number));
        write!(manifest, "[secret.SECRET_{number}]\nrequired = true\n").unwrap();
    }
    let (report, _) = Run::hardened(engine)
        .secrets(&secrets)
        .manifest(&manifest)
        .options(&["--memory=16m", "--memory-swap=16m"])
        .report(0);
    for number in 0..SECRETS {
        report.has(&format!("SECRET_{number}"), value(number));
    }
}

#[test]
fn as_pid_1_it_needs_one_process_beside_the_app_and_says_so_if_there_is_none() {
    let Some(engine) = engine() else { return };
    let limit = |limit: u32| format!("--pids-limit={limit}");
    // The runtime itself may need more than one while it starts the container: as few as the app alone can do with.
    let alone = |least: &u32| {
        Run::hardened(engine).options(&[&limit(*least), "--entrypoint=probe"]).try_run().code == 0
    };
    let least = (1..=16).find(alone).unwrap();
    let secrets = engine.contract_directory();
    let (report, _) = Run::hardened(engine).secrets(&secrets).options(&[&limit(least + 1)]).report(0);
    report.has_contract();
    let ended = Run::hardened(engine).secrets(&secrets).options(&[&limit(least)]).try_run();
    refuses(&ended, 71, &["limit of processes", "--exec"]);
}
