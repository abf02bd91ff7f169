//! `docker stop`, `kill`, `pause` and `restart` of a container in which cryokey is PID 1.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use crate::support::{Container, Directory, Engine, Run, engine, says};

/// A container that has begun to run this app.
fn start<'a>(engine: &'a Engine, options: &[&str], app: &[&str]) -> Container<'a> {
    let secrets = engine.contract_directory();
    let run = Run::hardened(engine).secrets(&secrets).options(options);
    let container = run.app(&[&["probe"], app].concat()).start();
    container.first_report();
    container
}

#[track_caller]
fn took_about(seconds: u64, took: Duration) {
    // Twice the time, or 3 s more, on a busy machine.
    let most = Duration::from_secs(seconds + seconds.max(3));
    assert!(took >= Duration::from_secs(seconds) && took < most, "{took:?}, not about {seconds} s");
}

#[test]
fn an_app_that_ignores_term_is_killed_after_the_grace_and_before_docker_does_it() {
    let Some(engine) = engine() else { return };
    let container = start(engine, &["--env=CRYOKEY_GRACE=2s"], &["--ignore-term", "--daemons", "1"]);
    took_about(2, container.docker(&["stop"]));
    let ended = container.wait().with(137);
    says(&ended.stderr, &[" warn ", "did not end within the grace", "CRYOKEY_GRACE"]);
    assert!(!ended.stderr.contains("memory"), "{}", ended.stderr);
    // There was time left for the rest.
    assert_eq!(container.said(), ["daemon TERM"]);
}

#[test]
fn without_a_grace_docker_kills_the_app_that_ignores_term() {
    let Some(engine) = engine() else { return };
    let container = start(engine, &[], &["--ignore-term"]);
    took_about(1, container.docker(&["stop", "--time=1"]));
    let ended = container.wait().with(137);
    assert!(!ended.stderr.contains("grace"), "{}", ended.stderr);
}

#[test]
fn signals_of_docker_kill_reach_the_app_once_and_in_order() {
    let Some(engine) = engine() else { return };
    let container = start(engine, &[], &["--on-term", "4"]);
    for (count, signal) in [(1, "USR1"), (2, "HUP"), (3, "USR2"), (4, "HUP")] {
        container.docker(&["kill", "--signal", signal]);
        container.logs_when("the signal", |_| container.said().len() == count);
    }
    took_about(0, container.docker(&["kill", "--signal=TERM"]));
    container.wait().with(4);
    assert_eq!(container.said(), ["USR1", "HUP", "USR2", "HUP"]);
}

#[test]
fn g23_a_container_that_was_paused_stops_as_any_other() {
    let Some(engine) = engine() else { return };
    let container = start(engine, &[], &["--on-term", "6"]);
    container.docker(&["pause"]);
    assert_eq!(engine.must(&["inspect", "--format={{.State.Paused}}", &container.id]), "true");
    container.docker(&["unpause"]);
    took_about(0, container.docker(&["stop"]));
    container.wait().with(6);
}

/// The app gets its key as a file.
const MANIFEST: &str = "version = 1\n[secret.SECRET_KEY]\nrequired = true\ndeliver = \"file\"\n";

/// A tmpfs of the host, which stays when the container stops. Every user can write to it.
fn host_tmpfs() -> tempfile::TempDir {
    let directory = tempfile::Builder::new().prefix("cryokey-e2e-").tempdir_in("/dev/shm").unwrap();
    fs::set_permissions(&directory, Permissions::from_mode(0o1777)).unwrap();
    directory
}

fn start_with_file<'a>(engine: &'a Engine, run_directory: &Path, secrets: &Directory) -> Container<'a> {
    Run::hardened(engine)
        .secrets(secrets)
        .manifest(MANIFEST)
        .options(&[&format!("--volume={}:/run/app", run_directory.display())])
        .variable("CRYOKEY_RUN_DIR", "/run/app")
        .app(&["probe", "--on-term", "0", "--file", "@SECRET_KEY_FILE"])
        .start()
}

fn entries(directory: &Path) -> usize {
    fs::read_dir(directory).unwrap().count()
}

#[test]
fn g17_docker_restart_delivers_the_present_value_and_leaves_nothing_of_the_run_before() {
    let Some(engine) = engine() else { return };
    let run_directory = host_tmpfs();
    let secrets = engine.contract_directory();
    let container = start_with_file(engine, run_directory.path(), &secrets);
    container.first_report().file("@SECRET_KEY_FILE").is("file 0400 65534:65534");
    assert_eq!(entries(run_directory.path()), 1);

    secrets.put("SECRET_KEY", "Uj4mK8wQ1xZ6");
    container.docker(&["restart"]);
    let reports = container.reports(2);
    let file = reports[1].file("@SECRET_KEY_FILE");
    file.holds("Uj4mK8wQ1xZ6").is("file 0400 65534:65534").is_in("directory 0500 65534:65534");
    assert_ne!(reports[0].path("SECRET_KEY_FILE"), reports[1].path("SECRET_KEY_FILE"));
    assert_eq!(entries(run_directory.path()), 1, "directories of both runs");

    container.docker(&["stop"]);
    container.wait().with(0);
    assert_eq!(entries(run_directory.path()), 0, "a directory without an app");
}

#[test]
fn g17_a_container_killed_by_docker_starts_again_with_its_files() {
    let Some(engine) = engine() else { return };
    let run_directory = host_tmpfs();
    let container = start_with_file(engine, run_directory.path(), &engine.contract_directory());
    container.first_report();
    took_about(0, container.docker(&["kill"]));
    container.wait().with(137);
    container.docker(&["start"]);
    container.reports(2)[1].file("@SECRET_KEY_FILE").is("file 0400 65534:65534");
    container.docker(&["stop"]);
    container.wait().with(0);
}
