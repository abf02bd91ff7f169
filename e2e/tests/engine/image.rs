//! Images that lack what most programs take for granted, or have what trips them.

use crate::delivery::new_ssh_key;
use crate::support::{Directory, Engine, FIX, FOREIGN, Run, engine, refuses, says};

#[test]
fn an_image_from_scratch_needs_no_shell_passwd_nsswitch_or_ca_bundle() {
    let Some(engine) = engine() else { return };
    let secrets = engine.contract_directory();
    // As it is in the Dockerfile: its ENTRYPOINT and its CMD, and as root.
    let (report, ended) =
        Run::plain(engine).secrets(&secrets).app(&["probe", "--directory", "/usr"]).report(0);
    report.has_contract();
    let programs = report.tree("/usr").into_iter().filter(|(_, what)| what.starts_with("file"));
    assert_eq!(programs.count(), 2, "files in the image");
    says(&ended.stderr, &["root"]);

    let ended = Run::hardened(engine).secrets(&secrets).app(&["no-such-program"]).run();
    refuses(&ended, 127, &["no-such-program", "PATH"]);
}

#[test]
fn name_services_whose_libraries_are_missing_do_no_harm() {
    let Some(engine) = engine() else { return };
    let secrets = engine.contract_directory();
    let (report, _) = Run::hardened(engine).image(FOREIGN).secrets(&secrets).report(0);
    report.has_contract();
}

/// The engine sets HOME in any case, so the probe takes it away and then becomes cryokey.
const WITHOUT_HOME: [&str; 6] = ["--without", "HOME", "cryokey", "run", "--", "probe"];

fn without_home<'a>(engine: &'a Engine, secrets: &Directory) -> Run<'a> {
    Run::hardened(engine).secrets(secrets).variable("APP_ENV", "staging").options(&["--entrypoint=probe"])
}

#[test]
fn c27_a_uid_without_a_passwd_entry_and_without_home_works_in_a_container() {
    let Some(engine) = engine() else { return };
    let secrets = engine.contract_directory();
    let (report, _) = without_home(engine, &secrets).app(&WITHOUT_HOME).report(0);
    report.has_no("HOME").has_contract();
}

#[test]
fn without_home_an_ssh_key_goes_to_the_passwd_home_or_is_refused() {
    let Some(engine) = engine() else { return };
    let Some(key) = new_ssh_key(engine) else { return };
    let secrets = engine.contract_directory();
    secrets.put("STAGING_SSH_KEY", &key.private);
    let file = "/home/nobody/.ssh/id_ed25519";
    let (report, _) = without_home(engine, &secrets)
        .image(FOREIGN)
        .options(&["--tmpfs=/home/nobody:uid=65534,gid=65534,mode=0700"])
        .app(&[&WITHOUT_HOME[..], &["--file", file]].concat())
        .report(0);
    report.has_no("HOME").file(file).is("file 0600 65534:65534");

    // Without passwd and HOME, no home directory is known.
    let ended = without_home(engine, &secrets).app(&WITHOUT_HOME).run();
    refuses(&ended, 73, &["SSH_KEY", "HOME", FIX]);
}
