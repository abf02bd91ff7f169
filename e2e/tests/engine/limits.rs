//! Containers that are kept short.

use std::fmt::Write as _;

use e2e::need::or_not_run;

use crate::support::{Directory, Engine, FIX, Run, engine, refuses, says};

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
    assert!(report.processes()[0].starts_with("1 cryokey "), "{:?}", report.processes());
    for number in 0..SECRETS {
        report.has(&format!("SECRET_{number}"), value(number));
    }
}

/// The container with this limit of processes.
fn limited<'a>(engine: &'a Engine, limit: u32, app: &[&str]) -> Run<'a> {
    let limit = format!("--pids-limit={limit}");
    let run = Run::hardened(engine).secrets(&engine.contract_directory());
    run.options(&[&limit, "--entrypoint=cryokey"]).app(app)
}

/// As few as the app alone can do with: the runtime itself may need more than one while it starts the container.
fn least_alone(engine: &Engine) -> u32 {
    let works = |limit: &u32| {
        let limit = format!("--pids-limit={limit}");
        Run::hardened(engine).options(&[&limit, "--entrypoint=probe"]).try_run().code == 0
    };
    (1..=16).find(works).unwrap()
}

#[test]
fn h04_with_exec_it_needs_no_process_beside_the_app() {
    let Some(engine) = engine() else { return };
    let run = limited(engine, least_alone(engine), &["run", "--exec", "--", "probe"]);
    run.report(0).0.has_contract();
}

#[test]
fn h04_as_pid_1_it_needs_one_process_beside_the_app_and_without_it_the_message_names_the_limit() {
    let Some(engine) = engine() else { return };
    let run = ["run", "--", "probe"];
    let least = least_alone(engine);
    limited(engine, least.max(2), &run).report(0).0.has_contract();
    let one = if least == 1 { Ok(()) } else { Err("the runtime needs more than one process") };
    if or_not_run(one.map_err(|why| format!("{why}; to run it: install a newer runc"))).is_some() {
        refuses(&limited(engine, 1, &run).run(), 71, &["process", FIX, "pids_limit", "--exec"]);
    }
}

#[test]
fn g10_an_app_that_the_kernel_kills_for_its_memory_ends_with_137_and_the_log_says_why() {
    let Some(engine) = engine() else { return };
    let ended = Run::hardened(engine)
        .secrets(&engine.contract_directory())
        .options(&["--memory=32m", "--memory-swap=32m"])
        .app(&["probe", "--eat"])
        .run()
        .with(137);
    says(&ended.stderr, &[" warn ", "out of memory", FIX, "raise its memory limit"]);
}
