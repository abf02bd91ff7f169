//! Secret files: what is followed, what is refused, and that nothing hangs.

use std::io::Write as _;
use std::os::unix::fs::{chown, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use std::{fs, thread};

use crate::support::{
    NOBODY, Need, Outcome, REQUIRED, Test, bytes, canary, chmod, is_root, linked_to, require,
};

/// At once, on a machine that has other things to do.
const AT_ONCE: Duration = Duration::from_secs(1);

/// A required secret whose file another program makes.
fn made_by(program: &str, arguments: &[&str]) -> Test {
    let test = Test::with(REQUIRED);
    let mut command = Command::new(program);
    assert!(command.arg(test.secret_path("TOKEN")).args(arguments).status().unwrap().success());
    test
}

#[test]
fn c01_a_missing_file_is_refused_with_name_path_and_what_exists() {
    let test = Test::with(REQUIRED).secret("OTHER", canary()).secret("another", canary());
    let outcome = test.start();
    outcome.refused(66, "resolve", "TOKEN", "missing").says("looked up TOKEN; ");
    outcome.says(test.at("secrets").to_str().unwrap()).says("2 entries").says("TOKEN_FILE");
}

#[test]
fn c02_an_unreadable_file_is_refused_with_owner_mode_uid_and_both_ways_out() {
    let test = Test::with(REQUIRED).secret_with_mode("TOKEN", canary(), 0).by_nobody();
    let outcome = test.start();
    outcome.refused(77, "resolve", "TOKEN", "denied").says(test.secret_path("TOKEN").to_str().unwrap());
    let uid = if is_root() { NOBODY } else { rustix::process::geteuid().as_raw() };
    let owner = rustix::process::geteuid().as_raw();
    outcome.says(&format!("owner is uid {owner}")).says("mode 0000").says(&format!("uid {uid}"));
    outcome.says("with Swarm").says(&format!("`uid: \"{uid}\"`")).says("Compose ignores uid, gid and mode");
}

#[test]
fn c02_a_file_of_root_with_mode_0600_is_refused_for_another_user() {
    if !require(Need::Root) {
        return;
    }
    let test = Test::with(REQUIRED).secret_with_mode("TOKEN", canary(), 0o600).by_nobody();
    let outcome = test.start();
    outcome.refused(77, "resolve", "TOKEN", "denied").says("owner is uid 0").says("mode 0600");
}

#[test]
fn c02_a_file_that_we_may_not_read_is_no_absence_also_where_it_is_optional() {
    let test = Test::with("[secret.TOKEN]\n").secret_with_mode("TOKEN", canary(), 0).by_nobody();
    test.start().refused(77, "resolve", "TOKEN", "denied");
    let test = test.variable("STRICT_SECRET_MODE", "false");
    test.start().warns(&["TOKEN", "cannot read"]).app().has_no("TOKEN");
}

#[test]
fn c02_a_lower_place_never_stands_in_for_one_that_cannot_be_read() {
    let test = Test::with(REQUIRED).secret_with_mode("TOKEN", canary(), 0).file("elsewhere", canary(), 0o444);
    let path = test.at("elsewhere");
    test.variable("TOKEN_FILE", path).by_nobody().start().refused(77, "resolve", "TOKEN", "denied");
}

#[test]
fn c03_a_directory_is_refused() {
    let test = Test::with(REQUIRED);
    fs::create_dir(test.secret_path("TOKEN")).unwrap();
    let outcome = test.start();
    outcome.refused(65, "resolve", "TOKEN", "invalid").says("is a directory");
    outcome.says(test.secret_path("TOKEN").to_str().unwrap());
}

#[test]
fn c04_a_fifo_without_a_writer_is_refused_at_once() {
    let outcome = made_by("mkfifo", &[]).start();
    outcome.refused(65, "resolve", "TOKEN", "invalid").says("is a FIFO");
    assert!(outcome.took < AT_ONCE, "{:?}", outcome.took);
}

#[test]
fn c04_a_fifo_whose_writer_sends_a_byte_each_200_ms_is_refused_at_once_wherever_a_file_is_read() {
    let test = Test::with(REQUIRED);
    let path = test.at("fifo");
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    trickle(path.clone());
    let refused = |outcome: Outcome, code| {
        assert_eq!(outcome.code, code, "{}", outcome.stderr);
        outcome.says("is a FIFO");
        assert!(outcome.took < AT_ONCE, "{:?}", outcome.took);
    };
    let fifo = path.to_str().unwrap();
    let init = |option: &str| Test::new().command(["init", option, fifo]);
    refused(Test::with(REQUIRED).variable("TOKEN_FILE", fifo).start(), 65);
    refused(Test::with(REQUIRED).variable("CRYOKEY_MANIFEST", fifo).start(), 78);
    refused(init("--compose"), 78);
    refused(init("--env-example"), 78);
    fs::hard_link(&path, test.secret_path("TOKEN")).unwrap();
    refused(test.start(), 65);
}

/// Keeps a FIFO open for ten seconds, and writes a byte to it each 200 ms.
fn trickle(fifo: PathBuf) {
    thread::spawn(move || {
        let mut fifo = fs::File::options().read(true).write(true).open(fifo).unwrap();
        for _ in 0..50 {
            fifo.write_all(b"x").unwrap();
            thread::sleep(Duration::from_millis(200));
        }
    });
}

#[test]
fn c06_endless_devices_are_refused_and_nothing_is_read() {
    for device in ["/dev/zero", "/dev/random"] {
        let outcome = Test::with(REQUIRED).variable("TOKEN_FILE", device).start();
        outcome.refused(65, "resolve", "TOKEN", "invalid").says(&format!("TOKEN_FILE={device} is a device"));
        assert!(outcome.took < AT_ONCE, "{:?}", outcome.took);
    }
}

#[test]
fn c06_a_device_in_the_directory_is_refused() {
    if !require(Need::Root) {
        return;
    }
    for kind in [["c", "1", "5"], ["b", "7", "200"]] {
        let outcome = made_by("mknod", &kind).start();
        outcome.refused(65, "resolve", "TOKEN", "invalid").says("device");
    }
}

#[test]
fn c07_a_socket_is_refused() {
    let test = Test::with(REQUIRED);
    let _socket = UnixListener::bind(test.secret_path("TOKEN")).unwrap();
    test.start().refused(65, "resolve", "TOKEN", "invalid").says("socket");
}

#[test]
fn c08_links_inside_the_directory_are_followed() {
    let value = canary();
    let test = linked_to("inner/deeper/../file").file("secrets/inner/file", &value, 0o444);
    fs::create_dir(test.secret_path("inner/deeper")).unwrap();
    test.start().app().has("TOKEN", value);
}

#[test]
fn c08_a_kubernetes_volume_is_read_through_its_links() {
    let value = canary();
    let test = Test::with(REQUIRED).file("secrets/..2026_11_23_1/TOKEN", &value, 0o444);
    symlink("..2026_11_23_1", test.secret_path("..data")).unwrap();
    symlink("..data/TOKEN", test.secret_path("TOKEN")).unwrap();
    test.start().app().has("TOKEN", value);
}

#[test]
fn c08_a_secrets_directory_that_is_a_link_is_followed() {
    let value = canary();
    let test = Test::with(REQUIRED).secret("TOKEN", &value);
    symlink("secrets", test.at("link")).unwrap();
    let link = test.at("link");
    test.variable("CRYOKEY_SECRETS_DIR", link).start().app().has("TOKEN", value);
}

#[test]
fn c09_links_out_of_the_directory_and_into_proc_are_refused() {
    let test = Test::with(REQUIRED).file("outside", canary(), 0o444);
    let outside = test.at("outside");
    for target in
        [Path::new("../outside"), &outside, Path::new("/etc/hostname"), Path::new("/proc/self/environ")]
    {
        let _ = fs::remove_file(test.secret_path("TOKEN"));
        symlink(target, test.secret_path("TOKEN")).unwrap();
        let outcome = test.start();
        outcome.refused(77, "resolve", "TOKEN", "denied").says("EXDEV");
        outcome.says(test.secret_path("TOKEN").to_str().unwrap());
    }
    linked_to("/proc/1/root/etc/hostname").start().refused(77, "resolve", "TOKEN", "denied").says("EXDEV");
}

#[test]
fn c10_a_link_to_itself_is_denied_and_a_link_to_nothing_is_missing() {
    linked_to("TOKEN").start().refused(77, "resolve", "TOKEN", "denied").says("ELOOP");
    let outcome = linked_to("nothing").start();
    outcome.refused(66, "resolve", "TOKEN", "missing").says("does not lead to a file");
}

#[test]
fn c11_a_hard_link_to_another_users_file_in_a_writable_directory_is_a_warning_and_denied_by_strict_permissions()
 {
    if !require(Need::Root) {
        return;
    }
    let value = canary();
    let test = Test::with(REQUIRED).file("work/theirs", &value, 0o444);
    chown(test.at("work/theirs"), Some(NOBODY), Some(NOBODY)).unwrap();
    fs::hard_link(test.at("work/theirs"), test.secret_path("TOKEN")).unwrap();
    test.start().warns_of_nothing().app().has("TOKEN", &value);
    for mode in [0o777, 0o1777] {
        chmod(&test.at("secrets"), mode);
        test.start().warns(&["TOKEN", "hard link"]).app().has("TOKEN", &value);
    }
    let test = test.variable("CRYOKEY_STRICT_PERMISSIONS", "true");
    test.start().refused(77, "resolve", "TOKEN", "denied");
}

#[test]
fn c12_a_loose_mode_is_advice_and_denied_by_strict_permissions() {
    for mode in [0o444, 0o644, 0o666, 0o600, 0o440] {
        let test = Test::with(REQUIRED).secret_with_mode("TOKEN", canary(), mode);
        test.start().warns_of_nothing().app();
        let advice = format!("advice: TOKEN has mode {mode:04o}");
        assert!(test.command(["check"]).text().contains(&advice), "{advice}");
        let outcome = test.variable("CRYOKEY_STRICT_PERMISSIONS", "true").start();
        outcome.refused(77, "resolve", "TOKEN", "denied").says(&format!("mode {mode:04o}")).says("0400");
    }
    let test = Test::with(&format!("strict_permissions = true\n{REQUIRED}"));
    let test = test.secret_with_mode("TOKEN", canary(), 0o400);
    test.start().app();
    assert!(!test.command(["check"]).text().contains("advice: TOKEN"));
}

#[test]
fn c13_a_directory_that_every_user_can_write_is_advice_and_denied_by_strict_permissions() {
    let test = Test::with(REQUIRED).secret_with_mode("TOKEN", canary(), 0o400);
    chmod(&test.at("secrets"), 0o777);
    test.start().app();
    assert!(test.command(["check"]).text().contains("has mode 0777"));
    let directory = test.at("secrets");
    let outcome = test.variable("CRYOKEY_STRICT_PERMISSIONS", "true").start();
    outcome.refused(77, "resolve", "TOKEN", "denied").says("mode 0777").says(directory.to_str().unwrap());
}

#[test]
fn c17_long_and_non_utf_8_file_names_are_taken_as_bytes() {
    let value = canary();
    let odd = bytes(&[b"odd\xff\n".as_slice(), "n".repeat(200).as_bytes()].concat());
    let test = Test::with(REQUIRED).secret("OTHER", canary()).watch(&value);
    fs::write(test.secret_path("").join(&odd), &value).unwrap();
    test.start().refused(66, "resolve", "TOKEN", "missing").says("2 entries");
    let path = test.secret_path("").join(&odd);
    let test = test.variable("TOKEN_FILE", path);
    test.start().app().has("TOKEN", &value);
    chmod(&test.secret_path("").join(&odd), 0);
    let outcome = test.by_nobody().start();
    outcome.refused(77, "resolve", "TOKEN", "denied").says("odd\\xff\\u{a}nnn");
}

#[test]
fn c25_no_secrets_directory_is_a_problem_only_when_something_in_it_is_required() {
    let test = Test::with("[secret.TOKEN]\n").variable("CRYOKEY_SECRETS_DIR", "/nonexistent/secrets");
    test.start().warns_of_nothing().app();
    let test = Test::with(REQUIRED).variable("CRYOKEY_SECRETS_DIR", "/nonexistent/secrets");
    test.start().refused(66, "resolve", "TOKEN", "missing").says("/nonexistent/secrets");
}

#[test]
fn a_secrets_directory_that_cannot_be_opened_is_not_reported_as_absence() {
    let test = Test::with(REQUIRED).file("flat", "", 0o444);
    let path = test.at("flat");
    let outcome = test.variable("CRYOKEY_SECRETS_DIR", &path).start();
    outcome.refused(65, "resolve", "TOKEN", "invalid").says(path.to_str().unwrap());
    let test = Test::with(REQUIRED).file("closed/inner/TOKEN", canary(), 0o444);
    chmod(&test.at("closed"), 0);
    let path = test.at("closed/inner");
    let test = test.variable("CRYOKEY_SECRETS_DIR", &path).by_nobody();
    test.start().refused(77, "resolve", "TOKEN", "denied").says(path.to_str().unwrap());
    chmod(&test.at("closed"), 0o700);
}

#[test]
fn a_directory_that_may_be_searched_but_not_listed_is_enough() {
    let value = canary();
    let test = Test::with("[secret.TOKEN]\nrequired = true\n[secret.OTHER]\n").secret("TOKEN", &value);
    chmod(&test.at("secrets"), 0o111);
    let test = test.by_nobody();
    test.start().app().has("TOKEN", value).has_no("OTHER");
    chmod(&test.at("secrets"), 0o755);
}

#[test]
fn c27_a_uid_without_a_passwd_entry_and_without_home_works() {
    if !require(Need::Root) {
        return;
    }
    let value = canary();
    let test = Test::with(REQUIRED).secret("TOKEN", &value).without("HOME");
    let outcome = test.by_user(54_321).shell("id -u; printf %s \"$TOKEN\"");
    assert_eq!(outcome.text(), format!("54321\n{value}"));
}
