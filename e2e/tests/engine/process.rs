//! Who is who in the container: cryokey as PID 1, or behind another init.

use e2e::program::until;
use std::time::Duration;

use crate::support::{Container, Report, Run, engine};

/// The names of the container's processes, by their numbers.
fn names(report: &Report) -> Vec<&str> {
    report.processes().into_iter().filter_map(|process| process.split(' ').nth(1)).collect()
}

#[test]
fn as_pid_1_cryokey_stays_beside_the_app_and_behind_another_init_it_becomes_the_app() {
    let Some(engine) = engine() else { return };
    let secrets = engine.contract_directory();
    let (alone, _) = Run::hardened(engine).options(&["--entrypoint=probe"]).report(0);
    let cases: [(&[&str], &[&str], &[&str]); 3] = [
        (&[], &[], &["cryokey", "probe"]),
        (&["--init"], &[], &["docker-init", "probe"]),
        (&["--init"], &["--supervise"], &["docker-init", "cryokey", "probe"]),
    ];
    for (options, flags, wanted) in cases {
        let run = Run::hardened(engine).secrets(&secrets).options(&["--entrypoint=cryokey"]).options(options);
        let container = run.app(&[&["run"], flags, &["--", "probe", "--on-term", "3"]].concat()).start();
        let report = container.first_report();
        report.has_contract();
        assert_eq!(names(&report), wanted);
        assert!(report.processes()[0].starts_with("1 "));
        // As without cryokey.
        for fact in ["groups", "capabilities", "no_new_privileges", "signals_blocked", "signals_ignored"] {
            assert_eq!(report.process(fact), alone.process(fact), "{fact} with {wanted:?}");
        }
        assert_eq!(report.descriptors(), [0, 1, 2]);
        container.docker(&["stop"]);
        container.wait().with(3);
    }
}

/// Daemons and orphans have lost their parent, so PID 1 gets them.
fn with_daemons(container: &Container<'_>, wanted: usize) {
    until("no zombie, and the daemons", Duration::from_secs(10), || {
        let report = Report::parse(&container.exec("65534:65534", &["probe"]).with(0).stdout);
        let zombies = report.processes().iter().filter(|process| process.contains(" Z ")).count();
        let probes = names(&report).iter().filter(|name| **name == "probe").count();
        // The app, and the one that looks.
        if zombies == 0 && probes == wanted + 2 { Ok(()) } else { Err(report) }
    });
}

#[test]
fn orphans_are_reaped_and_daemons_get_term_when_the_app_has_ended() {
    let Some(engine) = engine() else { return };
    let secrets = engine.contract_directory();
    let app = ["probe", "--orphans", "20", "--daemons", "3", "--on-term", "5"];
    let container = Run::hardened(engine).secrets(&secrets).app(&app).start();
    container.first_report();
    with_daemons(&container, 3);
    let took = container.docker(&["stop"]);
    container.wait().with(5);
    assert_eq!(container.said(), ["daemon TERM"; 3]);
    assert!(took < Duration::from_secs(5), "{took:?}");
}

#[test]
fn a_container_whose_app_has_ended_by_itself_does_not_wait_for_its_daemons() {
    let Some(engine) = engine() else { return };
    let secrets = engine.contract_directory();
    let app = ["probe", "--daemons", "2", "--exit", "9"];
    let container = Run::hardened(engine).secrets(&secrets).app(&app).start();
    container.wait().with(9);
    assert_eq!(container.said(), ["daemon TERM"; 2]);
}
