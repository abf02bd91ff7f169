//! `cryokey install`: a copy of the binary for another container.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use crate::support::{CRYOKEY, Need, Test, canary, chmod, executable, mode, require};

fn same(path: &Path) -> bool {
    fs::read(path).unwrap() == fs::read(&*CRYOKEY).unwrap()
}

/// The binary as an image for init containers has it: everyone can read it.
fn readable(test: Test) -> Test {
    executable(&test.at("tools/cryokey"), &fs::read(&*CRYOKEY).unwrap(), 0o755);
    test
}

#[test]
fn the_copy_is_whole_executable_by_all_and_alone_in_the_directory() {
    let test = Test::new();
    let outcome = test.command(["install", "."]);
    outcome.succeeded().says("installed as ./cryokey");
    assert!(outcome.stdout.is_empty(), "{}", outcome.printed());
    let copy = test.at("work/cryokey");
    assert_eq!(mode(&copy), 0o711);
    assert!(same(&copy));
    assert_eq!(fs::read_dir(test.at("work")).unwrap().count(), 1);
}

#[test]
fn the_copy_starts_an_app_as_a_user_who_cannot_read_it() {
    if !require(Need::Root) {
        return;
    }
    let installed = Test::new();
    installed.command(["install", "."]).succeeded();
    chmod(installed.at("work").parent().unwrap(), 0o755);
    let copy = installed.at("work/cryokey").into_os_string();
    let test = Test::with("[secret.TOKEN]\nrequired = true\n").secret("TOKEN", canary()).by_nobody();
    let script = "shift; exec setpriv --reuid 65534 --regid 65534 --clear-groups \"$COPY\" run -- env -0";
    let app = test.variable("COPY", copy).through_shell(script).start().app();
    assert!(app.get("TOKEN").is_some());
}

#[test]
fn an_older_copy_a_symbolic_link_and_a_running_copy_are_replaced() {
    let test = Test::new().public_file("work/cryokey", "old", 0o600);
    test.command(["install", "."]).succeeded();
    assert!(same(&test.at("work/cryokey")));
    fs::remove_file(test.at("work/cryokey")).unwrap();
    fs::write(test.at("home/other"), "other").unwrap();
    symlink("../home/other", test.at("work/cryokey")).unwrap();
    for _ in 0..2 {
        test.command(["install", "."]).succeeded();
        assert!(fs::symlink_metadata(test.at("work/cryokey")).unwrap().is_file());
    }
    assert_eq!(fs::read(test.at("home/other")).unwrap(), b"other");
}

#[test]
fn it_needs_neither_a_manifest_nor_secrets_nor_a_valid_configuration() {
    let test = Test::new().variable("CRYOKEY_MANIFEST", "/nonexistent").variable("STRICT_ENV_MODE", "maybe");
    test.command(["install", "."]).succeeded().warns_of_nothing();
}

#[test]
fn another_user_than_root_installs_it_where_the_directory_allows() {
    let test = readable(Test::new()).by_nobody();
    test.command(["install", "."]).succeeded();
    assert!(same(&test.at("work/cryokey")));
}

#[test]
fn a_binary_that_cannot_be_read_cannot_be_copied() {
    if !require(Need::Root) {
        return;
    }
    let outcome = Test::new().by_nobody().command(["install", "."]);
    outcome.refused(77, "deliver", "cryokey", "denied").nothing_happened().says("mode 0755");
}

#[test]
fn a_directory_that_cannot_be_used_is_73_and_stays_as_it_is() {
    let test = readable(Test::new()).by_nobody().public_file("home/file", "x", 0o644);
    fs::create_dir(test.at("secrets/cryokey")).unwrap();
    for directory in ["../nothing", "../home/file", "/etc", "/proc"] {
        let outcome = test.command(["install", directory]);
        outcome.refused(73, "deliver", directory, "cannot-create").nothing_happened();
    }
    let outcome = Test::new();
    fs::create_dir(outcome.at("work/cryokey")).unwrap();
    outcome.command(["install", "."]).refused(73, "deliver", ".", "cannot-create").nothing_happened();
}

#[test]
fn a_full_disk_leaves_nothing_behind_and_an_old_copy_whole() {
    if !require(Need::Mounts) {
        return;
    }
    for before in ["", "echo old > cryokey;"] {
        let script = format!(
            "mount -t tmpfs -o size=64k none \"$HOME\" && cd \"$HOME\" && {before} ls > /dev/shm/$$; \
             \"$@\"; code=$?; ls -A | diff - /dev/shm/$$ >&2 || code=99; rm /dev/shm/$$; exit $code"
        );
        let outcome = Test::new().through_mounts(&script).command(["install", "."]);
        assert_eq!(outcome.code, 73, "{}", outcome.stderr);
        outcome.says("No space left on device").says("fix: raise the volume's `sizeLimit`");
    }
}

#[test]
fn a_read_only_root_is_enough_if_the_directory_can_be_written() {
    if !require(Need::Mounts) {
        return;
    }
    let script = "for at in / /tmp; do mount --bind $at $at; mount -o remount,bind,ro $at; done; \
                  mount -t tmpfs none /media && ! touch /root/x 2> /dev/null && ! touch \"$HOME\"/x 2> /dev/null && exec \"$@\"";
    let outcome = Test::new().through_mounts(script).command(["install", "/media"]);
    outcome.succeeded().says("installed as /media/cryokey");
}
