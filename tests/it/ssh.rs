//! SSH keys: mended, placed, never replaced where they are somebody else's, never a variable.

mod keygen;
mod left;

use std::fs;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::PathBuf;
use std::process::Command;

use crate::support::{NOBODY, Need, Test, chmod, mode, require};

const ED25519: &str = include_str!("../data/id_ed25519");
const ECDSA: &str = include_str!("../data/id_ecdsa");
const PROTECTED: &str = include_str!("../data/id_ed25519.passphrase");

/// The contract's keys, and nothing else.
const MANIFEST: &str = "environments = [\"staging\", \"production\"]\n[secret.SSH_KEY]\ndeliver = \"ssh\"\n";

/// A start in staging with this key.
fn staging(key: impl AsRef<[u8]>) -> Test {
    Test::with(MANIFEST).secret("STAGING_SSH_KEY", key).variable("APP_ENV", "staging")
}

fn key_path(test: &Test) -> PathBuf {
    test.at("home/.ssh/id_ed25519")
}

fn placed(test: &Test) -> String {
    fs::read_to_string(key_path(test)).unwrap()
}

#[test]
fn the_selected_environments_key_is_placed_with_its_modes_and_is_no_variable() {
    let test = staging(ED25519).secret("PRODUCTION_SSH_KEY", ECDSA);
    let outcome = test.start();
    let app = outcome.app();
    app.has_no("SSH_KEY").has_no("STAGING_SSH_KEY").has_no("PRODUCTION_SSH_KEY");
    assert_eq!(placed(&test), ED25519);
    assert_eq!(mode(test.at("home/.ssh")), 0o700);
    assert_eq!(mode(key_path(&test)), 0o600);
    assert_eq!(mode(test.at("home/.ssh/id_ed25519.pub")), 0o644);
    assert!(!test.at("home/.ssh/id_ecdsa").exists());
    outcome.says(key_path(&test).to_str().unwrap());
}

#[test]
fn a_wide_umask_does_not_widen_the_key() {
    let test = staging(ED25519).through_shell("umask 0; exec \"$@\"");
    test.start().app();
    assert_eq!((mode(key_path(&test)), mode(test.at("home/.ssh"))), (0o600, 0o700));
    let test = staging(ED25519).through_shell("umask 077; exec \"$@\"");
    test.start().app();
    assert_eq!((mode(key_path(&test)), mode(test.at("home/.ssh/id_ed25519.pub"))), (0o600, 0o644));
}

#[test]
fn the_public_key_is_that_of_the_private_one() {
    let test = staging(ECDSA);
    test.start().app();
    let public = fs::read_to_string(test.at("home/.ssh/id_ecdsa.pub")).unwrap();
    assert!(public.starts_with("ecdsa-sha2-nistp256 ") && public.ends_with('\n'), "{public}");
    let derived = Command::new("ssh-keygen").arg("-yf").arg(test.at("home/.ssh/id_ecdsa")).output();
    if let Ok(derived) = derived.map(|output| String::from_utf8(output.stdout).unwrap()) {
        let two = |key: &str| key.split_whitespace().take(2).map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(two(&public), two(&derived));
    }
}

#[test]
fn keys_in_older_forms_are_placed_by_their_algorithm() {
    for (key, name) in [
        (include_str!("../data/id_rsa.pkcs1"), "id_rsa"),
        (include_str!("../data/id_ecdsa.pkcs8"), "id_ecdsa"),
    ] {
        let test = staging(key);
        test.start().app();
        assert_eq!(fs::read_to_string(test.at("home/.ssh").join(name)).unwrap(), key);
        assert!(test.at("home/.ssh").join(format!("{name}.pub")).exists());
    }
}

#[test]
fn a28_a_key_without_its_last_line_end_gets_one() {
    for key in [ED25519.trim_end().to_owned(), format!("\n{ED25519}\n\n")] {
        let test = staging(key);
        test.start().app();
        assert_eq!(placed(&test), ED25519);
    }
}

#[test]
fn a29_a_key_with_crlf_is_repaired() {
    let test = staging(ED25519.replace('\n', "\r\n"));
    test.start().app();
    assert_eq!(placed(&test), ED25519);
}

#[test]
fn a29_a_key_whose_newlines_are_spelt_out_is_refused() {
    let outcome = staging(ED25519.replace('\n', "\\n")).start();
    outcome.refused(65, "resolve", "SSH_KEY", "format").says("\\n").says("STAGING_SSH_KEY");
}

#[test]
fn a30_a_key_under_a_passphrase_is_refused() {
    let outcome = staging(PROTECTED).start();
    outcome.refused(65, "resolve", "SSH_KEY", "format").says("passphrase protected").says("STAGING_SSH_KEY");
    let manifest = "[secret.DEPLOY_KEY]\nrequired = true\nformat = \"ssh-key\"\n";
    let outcome = Test::with(manifest).secret("DEPLOY_KEY", PROTECTED).start();
    outcome.refused(65, "resolve", "DEPLOY_KEY", "format").says("passphrase protected");
}

#[test]
fn what_is_no_private_key_is_refused() {
    let public = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIL0123456789abcdefghijklmnopqrstuvwxyzABCD me@host\n";
    let cut: String = ED25519.lines().take(4).collect();
    for (value, says) in
        [(public, "is a public key"), (&cut, "not a private SSH key"), ("word", "not a private")]
    {
        staging(value).start().refused(65, "resolve", "SSH_KEY", "format").says(says);
    }
}

#[test]
fn without_a_selected_environment_no_key_is_placed_and_one_warning_says_so() {
    let test = Test::with(MANIFEST).secret("STAGING_SSH_KEY", ED25519);
    let outcome = test.start();
    outcome.warns(&["STAGING_SSH_KEY", "not placed", "CRYOKEY_ENVIRONMENT"]).app().has_no("SSH_KEY");
    assert!(!test.at("home/.ssh").exists());
    // A broken key that is not placed is nobody's problem.
    Test::with(MANIFEST).secret("STAGING_SSH_KEY", "broken").start().warns(&["not placed"]).app();
}

#[test]
fn another_environments_key_is_not_even_looked_at() {
    let test = staging(ED25519).secret("PRODUCTION_SSH_KEY", "broken");
    test.start().app();
    let test = Test::with(MANIFEST).secret("PRODUCTION_SSH_KEY", ED25519).variable("APP_ENV", "staging");
    test.start().app();
    assert!(!test.at("home/.ssh").exists());
}

#[test]
fn a_second_startup_with_the_same_key_changes_nothing() {
    let test = staging(ED25519);
    test.start().app();
    let inode = fs::metadata(key_path(&test)).unwrap().ino();
    test.start().app();
    assert_eq!(fs::metadata(key_path(&test)).unwrap().ino(), inode);
}

#[test]
fn c20_a_key_that_cryokey_wrote_is_replaced_as_a_name_after_rotation() {
    let path = |test: &Test| test.at("home/deploy");
    let manifest = |test: &Test| format!("{MANIFEST}path = \"{}\"\n", path(test).display());
    let test = staging(ED25519);
    let text = format!("version = 1\n{}", manifest(&test));
    let test = test.manifest(&text);
    test.start().app();
    fs::hard_link(path(&test), test.at("work/link")).unwrap();
    let test = test.secret("STAGING_SSH_KEY", ECDSA);
    test.start().app();
    assert_eq!(fs::read_to_string(path(&test)).unwrap(), ECDSA);
    assert_eq!(fs::read_to_string(test.at("work/link")).unwrap(), ED25519, "never written through");
    assert!(fs::read_to_string(test.at("home/deploy.pub")).unwrap().starts_with("ecdsa-"));
    assert_eq!(mode(path(&test)), 0o600);
}

#[test]
fn c20_a_foreign_file_is_never_replaced() {
    let test = staging(ED25519).file("home/.ssh/id_ed25519", "theirs\n", 0o600);
    chmod(&test.at("home/.ssh"), 0o700);
    let outcome = test.start();
    outcome.refused(73, "deliver", "SSH_KEY", "foreign-file").says(key_path(&test).to_str().unwrap());
    outcome.says("remove that file").says("`path`");
    assert_eq!(placed(&test), "theirs\n");
}

#[test]
fn c20_a_key_that_was_changed_after_cryokey_wrote_it_is_foreign() {
    let test = staging(ED25519);
    test.start().app();
    fs::write(key_path(&test), format!("{ED25519}# theirs\n")).unwrap();
    test.start().refused(73, "deliver", "SSH_KEY", "foreign-file");
}

#[test]
fn c20_a_foreign_file_with_the_same_content_is_kept_and_its_mode_narrowed() {
    let test = staging(ED25519).file("home/.ssh/id_ed25519", ED25519, 0o644);
    test.start().app();
    assert_eq!((mode(key_path(&test)), mode(test.at("home/.ssh"))), (0o600, 0o700));
}

#[test]
fn c20_a_link_or_a_directory_of_that_name_is_refused_and_nothing_is_written_through() {
    let test = staging(ED25519).file("work/target", "theirs\n", 0o600);
    fs::create_dir(test.at("home/.ssh")).unwrap();
    chmod(&test.at("home/.ssh"), 0o700);
    symlink(test.at("work/target"), key_path(&test)).unwrap();
    test.start().refused(73, "deliver", "SSH_KEY", "foreign-file");
    assert_eq!(fs::read_to_string(test.at("work/target")).unwrap(), "theirs\n");
    fs::remove_file(key_path(&test)).unwrap();
    fs::create_dir(key_path(&test)).unwrap();
    test.start().refused(73, "deliver", "SSH_KEY", "foreign-file");
}

#[test]
fn a_refusal_of_the_public_half_takes_the_private_one_back() {
    let test = staging(ED25519).file("home/.ssh/id_ed25519.pub", "theirs\n", 0o644);
    chmod(&test.at("home/.ssh"), 0o700);
    test.start().refused(73, "deliver", "SSH_KEY", "foreign-file").says("id_ed25519.pub");
}

#[test]
fn an_app_that_does_not_start_leaves_no_key_behind() {
    staging(ED25519).run(["/nonexistent"]).refused(127, "exec", "/nonexistent", "not-found");
}

#[test]
fn c18_a_home_that_cannot_be_written_is_refused_with_the_mount_to_add() {
    let test = staging(ED25519).by_nobody();
    let closed = test.at("closed");
    fs::create_dir(&closed).unwrap();
    chmod(&closed, 0o555);
    let test = test.variable("HOME", &closed);
    let outcome = test.start();
    outcome.refused(73, "deliver", "SSH_KEY", "cannot-create").says(closed.to_str().unwrap()).says("tmpfs");
}

#[test]
fn home_overrides_the_account_and_a_difference_is_reported() {
    if !require(Need::Root) {
        return;
    }
    let outcome = staging(ED25519).start();
    outcome.warns(&["SSH_KEY", "HOME=", "/etc/passwd has /root"]).app();
}

#[test]
fn without_home_the_account_counts_and_without_both_the_key_is_refused() {
    if !require(Need::Root) {
        return;
    }
    for home in [None, Some(""), Some("relative")] {
        let test = staging(ED25519).without("HOME").by_user(54_321);
        let test = home.into_iter().fold(test, |test, home| test.variable("HOME", home));
        let outcome = test.start();
        outcome.refused(73, "deliver", "SSH_KEY", "no-home").says("54321").says("HOME").says("`path`");
    }
    let passwd = format!("app:x:{NOBODY}:{NOBODY}::{{}}:/bin/sh\n");
    let test = staging(ED25519).without("HOME").by_nobody();
    let home = test.at("home").display().to_string();
    let test = test.public_file("passwd", passwd.replace("{}", &home), 0o644);
    let mount = format!("mount --bind {} /etc/passwd && exec \"$@\"", test.at("passwd").display());
    if require(Need::Mounts) {
        let test = test.through_mounts(&mount);
        test.start().app();
        assert_eq!(placed(&test), ED25519);
    }
}

#[test]
fn a_key_has_a_path_of_its_own_where_the_manifest_says_so() {
    let test = staging(ED25519).without("HOME");
    let path = test.at("work/keys/deploy");
    fs::create_dir(test.at("work/keys")).unwrap();
    let test = test.manifest(&format!("version = 1\n{MANIFEST}path = \"{}\"\n", path.display()));
    test.start().does_not_say("where ssh looks").app();
    // Where ssh looks by itself does not matter then.
    let test = test.variable("HOME", "/nonexistent");
    test.start().does_not_say("where ssh looks").app();
    assert_eq!(fs::read_to_string(&path).unwrap(), ED25519);
    assert_eq!((mode(&path), mode(test.at("work/keys"))), (0o600, 0o755));
}

#[test]
fn a_key_on_a_disk_is_one_warning_and_in_memory_none() {
    let test = staging(ED25519);
    let Some(disk) = crate::support::disk() else { return };
    let test = test.variable("HOME", disk.path());
    test.start().warns(&["SSH_KEY", "on a disk", "tmpfs"]).app();
    let memory = crate::support::memory();
    let outcome = staging(ED25519).variable("HOME", memory.path()).start();
    outcome.does_not_say("on a disk").app();
    let test = staging(ED25519).variable("HOME", disk.path()).variable("CRYOKEY_ALLOW_DISK", "true");
    test.start().does_not_say("on a disk").app();
}

#[test]
fn no_key_is_placed_for_development() {
    let test = Test::with(MANIFEST).file("work/.secrets/STAGING_SSH_KEY", ED25519, 0o600);
    let test = test.without("CRYOKEY_SECRETS_DIR").variable("APP_ENV", "staging").option("--dev");
    test.start().app().has_no("SSH_KEY");
    assert!(!test.at("home/.ssh").exists());
}

#[test]
fn c27_a_key_is_placed_for_a_uid_without_a_passwd_entry() {
    if !require(Need::Root) {
        return;
    }
    let test = staging(ED25519).by_user(54_321);
    test.start().app();
    assert_eq!(placed(&test), ED25519);
}
