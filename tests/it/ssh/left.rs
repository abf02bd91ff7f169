//! What a home directory already holds: keys of earlier startups, of other environments, and of somebody else.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;
use std::thread;
use std::time::Duration;

use super::{ECDSA, ED25519, MANIFEST, key_path, placed, staging};
use crate::support::{Need, Test, chmod, mode, require};

/// The same sandbox with production selected instead of staging.
fn production(test: Test) -> Test {
    test.variable("APP_ENV", "production")
}

/// The names in `.ssh`, sorted.
fn names(test: &Test) -> Vec<String> {
    let entries = fs::read_dir(test.at("home/.ssh")).into_iter().flatten();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn when_the_environment_changes_the_key_of_the_former_one_is_removed() {
    let test =
        staging(ECDSA).secret("PRODUCTION_SSH_KEY", ED25519).file("home/.ssh/config", "theirs\n", 0o600);
    chmod(&test.at("home/.ssh"), 0o700);
    test.start().app();
    let test = production(test);
    test.start().says("id_ecdsa: removed").app();
    let kept = [".id_ed25519.cryokey", ".id_ed25519.pub.cryokey", "config", "id_ed25519", "id_ed25519.pub"];
    assert_eq!(names(&test), kept);
}

#[test]
fn a_key_that_has_no_value_any_more_is_removed_and_one_that_somebody_changed_is_not() {
    let test = staging(ED25519);
    test.start().app();
    fs::write(test.at("home/.ssh/id_ed25519.pub"), "theirs\n").unwrap();
    fs::remove_file(test.secret_path("STAGING_SSH_KEY")).unwrap();
    test.start().app();
    assert_eq!(names(&test), [".id_ed25519.pub.cryokey", "id_ed25519.pub"]);
}

#[test]
fn a_key_that_cryokey_only_found_is_not_removed_when_the_environment_changes() {
    let test = staging(ECDSA).secret("PRODUCTION_SSH_KEY", ED25519).file("home/.ssh/id_ecdsa", ECDSA, 0o600);
    chmod(&test.at("home/.ssh"), 0o700);
    test.start().app();
    let test = production(test);
    test.start().app();
    assert_eq!(fs::read_to_string(test.at("home/.ssh/id_ecdsa")).unwrap(), ECDSA);
}

#[test]
fn an_app_that_does_not_start_leaves_the_keys_of_the_last_start_as_they_were() {
    let other = include_str!("../../data/id_ed25519.pkcs8");
    let test = staging(ED25519).secret("PRODUCTION_SSH_KEY", ECDSA);
    test.start().app();
    let before = names(&test);
    let test = test.secret("STAGING_SSH_KEY", other);
    test.run(["/nonexistent"]).says("exit code=127");
    assert_eq!((placed(&test).as_str(), mode(key_path(&test))), (ED25519, 0o600));
    let test = production(test);
    test.run(["/nonexistent"]).says("exit code=127");
    assert_eq!((placed(&test).as_str(), names(&test)), (ED25519, before));
    // They are still known as cryokey's own.
    test.start().app();
    assert!(!key_path(&test).exists());
}

/// Somebody writes a key while the system call that strace delays has not yet placed cryokey's.
fn a_key_that_appears_meanwhile_stays(test: Test, delay: &str) {
    let path = key_path(&test);
    let test = test.traced(["-e", delay]);
    let outcome = thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(Duration::from_millis(400));
            fs::write(&path, "theirs\n").unwrap();
        });
        test.start()
    });
    outcome.says("exit code=73 phase=deliver names=SSH_KEY reason=foreign-file");
    assert_eq!(fs::read_to_string(&path).unwrap(), "theirs\n");
}

#[test]
fn c20_a_foreign_key_that_appears_between_look_and_link_stays() {
    if !require(Need::Strace) {
        return;
    }
    let test = staging(ED25519);
    fs::create_dir(test.at("home/.ssh")).unwrap();
    a_key_that_appears_meanwhile_stays(test, "inject=linkat:delay_enter=700000");
}

#[test]
fn c20_a_foreign_key_that_appears_while_an_own_one_is_replaced_stays() {
    if !require(Need::Strace) {
        return;
    }
    let test = staging(ED25519);
    test.start().app();
    let test = test.secret("STAGING_SSH_KEY", include_str!("../../data/id_ed25519.pkcs8"));
    a_key_that_appears_meanwhile_stays(test, "inject=renameat2:delay_enter=700000:when=1");
}

#[test]
fn what_a_killed_start_had_not_renamed_is_removed_by_the_next() {
    let test = staging(ED25519)
        .file("home/.ssh/.id_ed25519.0123456789abcdef", ED25519, 0o600)
        .file("home/.ssh/.id_rsa.0123456789abcdef", "half", 0o600)
        .file("home/.ssh/..id_rsa.cryokey.0123456789abcdef", "half", 0o600)
        .file("home/.ssh/.theirs.0123456789abcdef", "theirs", 0o600)
        .file("home/.ssh/.id_ed25519.old", "theirs", 0o600);
    chmod(&test.at("home/.ssh"), 0o700);
    test.start().app();
    let left = names(&test);
    let hidden: Vec<&String> = left.iter().filter(|name| !name.ends_with(".cryokey")).collect();
    assert_eq!(hidden, [".id_ed25519.old", ".theirs.0123456789abcdef", "id_ed25519", "id_ed25519.pub"]);
}

#[test]
fn a_directory_that_ssh_is_a_link_to_keeps_its_mode() {
    let test = staging(ED25519).file("home/elsewhere/other", "", 0o644);
    chmod(&test.at("home/elsewhere"), 0o755);
    symlink("elsewhere", test.at("home/.ssh")).unwrap();
    test.start().warns(&[".ssh", "is a link", "0755"]).app();
    assert_eq!((mode(test.at("home/elsewhere")), placed(&test).as_str()), (0o755, ED25519));
}

#[test]
fn a_directory_that_ssh_is_a_link_to_is_no_warning_if_others_are_kept_out() {
    let test = staging(ED25519).file("home/elsewhere/other", "", 0o644);
    chmod(&test.at("home/elsewhere"), 0o700);
    symlink("elsewhere", test.at("home/.ssh")).unwrap();
    test.start().does_not_say("is a link").app();
}

#[test]
fn two_keys_for_one_path_are_refused_by_both_names() {
    let two = "[secret.DEPLOY_KEY]\ndeliver = \"ssh\"\n[secret.BACKUP_KEY]\ndeliver = \"ssh\"\n";
    let test = Test::with(two).secret("DEPLOY_KEY", ED25519).secret("BACKUP_KEY", ED25519);
    let outcome = test.start();
    outcome.refused(78, "deliver", "DEPLOY_KEY", "configuration").says("BACKUP_KEY").says("`path`");
    assert!(!test.at("home/.ssh").exists());
    test.command(["check"]).says("BACKUP_KEY and DEPLOY_KEY").says("`path`");
    // Two kinds of key have two names.
    let test = test.secret("BACKUP_KEY", ECDSA);
    test.start().app();
    // The public half of one has the place of the other.
    let path = |name: &str| test.at(name).display().to_string();
    let manifest = |one: &str, other: &str| {
        format!(
            "version = 1\n[secret.DEPLOY_KEY]\ndeliver = \"ssh\"\npath = \"{}\"\n[secret.BACKUP_KEY]\n\
             deliver = \"ssh\"\npath = \"{}\"\n",
            path(one),
            path(other)
        )
    };
    for (one, other) in [("work/key", "work/key.pub"), ("work/key", "work/./key"), ("work/key", "link/key")] {
        let text = manifest(one, other);
        let test = Test::with("").secret("DEPLOY_KEY", ED25519).secret("BACKUP_KEY", ECDSA).manifest(&text);
        let _ = symlink("work", path("link"));
        test.start().refused(78, "deliver", "DEPLOY_KEY", "configuration").says("`path`");
    }
}

#[test]
fn a_key_that_the_file_system_does_not_keep_from_others_is_refused() {
    if !require(Need::Strace) {
        return;
    }
    // A file system without modes says that it changed them.
    let test = staging(ED25519).file("home/.ssh/id_ed25519", ED25519, 0o644);
    chmod(&test.at("home/.ssh"), 0o700);
    let test = test.traced(["-e", "inject=fchmod:retval=0"]);
    test.start()
        .refused(73, "deliver", "SSH_KEY", "cannot-create")
        .says("mode 0644")
        .says("Unix permissions");
}

#[test]
fn check_sees_what_stands_in_the_way_of_a_key() {
    let test = staging(ED25519).file("home/.ssh/id_ed25519.pub", "theirs\n", 0o644);
    test.command(["check"]).says("id_ed25519.pub").says("cryokey did not write it");
    let test = staging(ED25519).by_nobody();
    let closed = test.at("closed");
    fs::create_dir(&closed).unwrap();
    chmod(&closed, 0o555);
    test.variable("HOME", &closed).command(["check"]).says("cannot be placed").says("closed/.ssh");
}

#[test]
fn an_ssh_directory_that_is_a_fifo_a_file_or_a_link_to_nothing_is_refused_also_by_check() {
    for made_by in ["mkfifo", "touch", "ln -s nothing"] {
        let test = staging(ED25519);
        let script = format!("{made_by} {}", test.at("home/.ssh").display());
        assert!(Command::new("sh").args(["-c", &script]).status().unwrap().success());
        let outcome = test.command(["check"]);
        assert_eq!(outcome.code, 73, "{made_by}: {}", outcome.stderr);
        outcome.says("SSH_KEY cannot be placed as");
        test.start().refused(73, "deliver", "SSH_KEY", "cannot-create");
    }
}

#[test]
fn c20_an_own_key_is_replaced_also_where_the_file_system_cannot_exchange_two_files() {
    if !require(Need::Strace) {
        return;
    }
    for error in ["EINVAL", "ENOSYS"] {
        let test = staging(ED25519);
        let path = test.at("home/deploy");
        let test = test.manifest(&format!("version = 1\n{MANIFEST}path = \"{}\"\n", path.display()));
        test.start().app();
        let inject = format!("inject=renameat2:error={error}");
        let test = test.secret("STAGING_SSH_KEY", ECDSA);
        let test = test.traced(["-e", "trace=renameat2", "-e", &inject]);
        test.start().app();
        assert_eq!((fs::read_to_string(&path).unwrap().as_str(), mode(&path)), (ECDSA, 0o600), "{error}");
        let left = fs::read_dir(path.parent().unwrap()).unwrap().count();
        assert_eq!(left, 4, "two halves and their notes");
    }
}

#[test]
fn a_key_that_is_in_its_place_needs_no_directory_that_can_be_written() {
    let test = staging(ED25519).by_nobody();
    let keys = test.at("work/keys");
    fs::create_dir(&keys).unwrap();
    chmod(&keys, 0o777);
    let text = format!("version = 1\n{MANIFEST}path = \"{}\"\n", keys.join("deploy").display());
    let test = test.manifest(&text);
    test.start().app();
    chmod(&keys, 0o555);
    assert_eq!(test.command(["check"]).code, 0);
    test.start().app();
}
