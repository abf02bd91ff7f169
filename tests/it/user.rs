//! `[process] user`: started as root, the app runs as another user, with its files and keys, and no way back.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::path::{Path, PathBuf};

use rustix::pty::ptsname;

use crate::support::{NOBODY, Need, Outcome, Test, canary, chmod, memory, mode, require, terminal};

const UID: u32 = 10_001;
const KEY: &str = include_str!("../data/id_ed25519");
const TOKEN: &str = "[secret.TOKEN]\nrequired = true\n";
const FILE: &str = "[secret.TOKEN]\nrequired = true\ndeliver = \"file\"\n";
const SSH: &str = "[secret.SSH_KEY]\nrequired = true\ndeliver = \"ssh\"\n";

/// What Compose's `cap_drop: ALL` and `cap_add: [SETUID, SETGID, CHOWN]` leave.
const THREE: &str = "-all,+setuid,+setgid,+chown";

/// What the kernel says about the app: ids, groups, capabilities.
const STATUS: &str = "grep -E '^(Uid|Gid|Groups|CapPrm|CapEff|CapAmb):' /proc/self/status";

const ACCOUNTS: &str =
    "mount --bind ../passwd /etc/passwd && mount --bind ../group /etc/group && exec \"$@\"";
const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\napp:x:10001:10002:The app:/srv/app:/bin/sh\n";
const GROUP: &str = "root:x:0:\napp:x:10002:\nwww:x:33:other,app\naudio:x:29:other\nvideo:x:44:app\n";

/// The settings of `[process]`, and the rest of a manifest.
fn process(settings: &str, rest: &str) -> Test {
    Test::with(&format!("[process]\n{settings}\n{rest}"))
}

/// An app that runs as uid 10001, which has no account.
fn user(rest: &str) -> Test {
    process("user = 10001", rest)
}

/// With a passwd and a group file of the test's own.
fn with_accounts(test: Test) -> Test {
    test.public_file("passwd", PASSWD, 0o644).public_file("group", GROUP, 0o644).through_mounts(ACCOUNTS)
}

/// With these capabilities only.
fn limited(test: Test, capabilities: &str) -> Test {
    let (bounding, inheritable) =
        (format!("--bounding-set={capabilities}"), format!("--inh-caps={capabilities}"));
    test.through(["setpriv".to_owned(), bounding, inheritable])
}

/// With a home directory that the user owns.
fn with_home(settings: &str, rest: &str) -> Test {
    let test = Test::new();
    let home = test.at("home");
    chown(&home, Some(UID), Some(UID)).unwrap();
    let home = home.display();
    test.manifest(&format!("version = 1\n[process]\n{settings}\nhome = \"{home}\"\n{rest}"))
}

/// The app has these ids and groups, and no capability.
#[track_caller]
fn has_ids(outcome: &Outcome, uid: u32, gid: u32, groups: &[u32]) {
    let text = outcome.text();
    let of = |name: &str| -> Vec<&str> {
        let line = text.lines().find_map(|line| line.strip_prefix(&format!("{name}:")));
        line.unwrap_or_else(|| panic!("no {name} in {text}")).split_whitespace().collect()
    };
    assert_eq!(of("Uid"), vec![uid.to_string(); 4], "{text}");
    assert_eq!(of("Gid"), vec![gid.to_string(); 4], "{text}");
    let mut groups: Vec<String> = groups.iter().map(u32::to_string).collect();
    let mut found = of("Groups");
    groups.sort();
    found.sort_unstable();
    assert_eq!(found, groups, "{text}");
    for set in ["CapPrm", "CapEff", "CapAmb"] {
        assert_eq!(of(set), ["0000000000000000"], "{text}");
    }
}

fn owner(path: impl AsRef<Path>) -> (u32, u32) {
    let state = fs::symlink_metadata(path).unwrap();
    (state.uid(), state.gid())
}

fn entries(directory: &Path) -> Vec<PathBuf> {
    fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn a_named_user_has_its_group_its_supplementary_groups_and_its_home() {
    if !require(Need::Mounts) {
        return;
    }
    for settings in ["user = \"app\"", "user = \"10001\"", "user = 10001"] {
        let test = with_accounts(process(settings, ""));
        has_ids(&test.shell(STATUS), 10_001, 10_002, &[10_002, 33, 44]);
        test.start().app().has("HOME", "/srv/app");
    }
}

#[test]
fn a_uid_whose_entry_is_not_valid_does_not_get_the_group_of_root() {
    if !require(Need::Mounts) {
        return;
    }
    let test = process("user = 10001", "").public_file("passwd", "app:x:10001:4294967296::/h:\n", 0o644);
    let test = test.public_file("group", GROUP, 0o644).through_mounts(ACCOUNTS);
    test.start().refused(78, "configure", "process.user", "configuration").says("is not valid");
}

#[test]
fn a_group_that_is_named_is_the_only_one() {
    if !require(Need::Mounts) {
        return;
    }
    for settings in ["user = \"app:www\"", "user = \"app\"\ngroup = \"www\"", "user = \"10001:33\""] {
        let test = with_accounts(process(settings, ""));
        has_ids(&test.shell(STATUS), 10_001, 33, &[33]);
        test.start().app().has("HOME", "/srv/app");
    }
}

#[test]
fn a_number_without_an_account_has_group_0_and_the_root_as_home_as_docker_has_it() {
    if !require(Need::Root) {
        return;
    }
    let test = user("");
    has_ids(&test.shell(STATUS), UID, 0, &[0]);
    test.start().app().has("HOME", "/");
    has_ids(&process("user = \"10001:10002\"", "").shell(STATUS), UID, 10_002, &[10_002]);
}

#[test]
fn groups_of_the_container_are_given_up() {
    if !require(Need::Root) {
        return;
    }
    let test = process("user = \"10001:10002\"", "").through(["setpriv", "--groups", "0,27,3000"]);
    has_ids(&test.shell(STATUS), UID, 10_002, &[10_002]);
}

#[test]
fn variables_override_the_manifest_and_home_is_set_once() {
    if !require(Need::Root) {
        return;
    }
    let test = process("user = 1\nhome = \"/m\"", "")
        .variable("CRYOKEY_USER", "10001:10002")
        .variable("CRYOKEY_HOME", "/v")
        .variable("USER", "kept")
        .variable("LOGNAME", "kept");
    has_ids(&test.shell(STATUS), UID, 10_002, &[10_002]);
    let outcome = test.start();
    let app = outcome.app();
    app.has("HOME", "/v").has("USER", "kept").has("LOGNAME", "kept").has_no("CRYOKEY_USER");
    assert_eq!(app.entries.iter().filter(|entry| entry.starts_with(b"HOME=")).count(), 1);
}

#[test]
fn root_cannot_be_taken_back() {
    if !require(Need::Root) {
        return;
    }
    let test = user("");
    let outcome = test.shell(
        "for way in '--reuid 0' '--regid 0 --euid 0' '--clear-groups' '--ruid 0'; do \
           setpriv $way true 2>/dev/null && echo \"$way\"; done; \
         cat /etc/shadow 2>/dev/null; kill -0 1 2>/dev/null && echo kill; exit 0",
    );
    assert_eq!(outcome.text(), "");
}

#[test]
fn the_groups_are_changed_first_and_the_program_is_not_readable_afterwards() {
    if !require(Need::Trace) {
        return;
    }
    let test = user("").traced(["-e", "trace=setgroups,setresgid,setresuid,prctl,execve"]);
    test.run(["/bin/true"]).succeeded();
    let trace = test.trace();
    let position = |call: &str| trace.find(call).unwrap_or_else(|| panic!("no {call} in {trace}"));
    let calls = [
        "setgroups(1, [0])",
        "setresgid(0, 0, 0)",
        "setresuid(10001, 10001, 10001)",
        "setresuid(-1, 0, -1) ",
        "execve(\"/bin/true\"",
    ];
    assert!(calls.map(position).is_sorted(), "{trace}");
    let after = &trace[position("setresuid(10001")..position("execve(\"/bin/true\"")];
    assert!(after.contains("prctl(PR_SET_DUMPABLE, SUID_DUMP_DISABLE"), "{trace}");
    assert!(after.contains("setresuid(-1, 0, -1)") && after.contains("EPERM"), "{trace}");
}

#[test]
fn a_secret_that_only_root_can_read_reaches_the_app() {
    if !require(Need::Root) {
        return;
    }
    let value = canary();
    for mode in [0o600, 0o400] {
        let test = user(TOKEN).secret_with_mode("TOKEN", &value, mode);
        test.start().app().has("TOKEN", &value);
    }
    let test = user(TOKEN).secret_with_mode("TOKEN", &value, 0o600);
    chown(test.secret_path("TOKEN"), Some(1_000), Some(1_000)).unwrap();
    test.start().app().has("TOKEN", &value);
}

#[test]
fn a_delivered_file_and_its_directory_belong_to_the_user() {
    if !require(Need::Root) {
        return;
    }
    let value = canary();
    let test = process("user = \"10001:10002\"", FILE).secret_with_mode("TOKEN", &value, 0o600).in_run_dir();
    let outcome = test.shell("cat \"$TOKEN_FILE\"");
    assert_eq!(outcome.text(), value);
    let [directory] = &entries(test.run_dir())[..] else { panic!("one directory") };
    let name = directory.file_name().unwrap().to_str().unwrap();
    assert!(name.starts_with("cryokey-10001-"), "{name}");
    assert_eq!((owner(directory), mode(directory)), ((10_001, 10_002), 0o500));
    let mut names: Vec<String> = entries(directory)
        .iter()
        .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned())
        .collect();
    names.sort();
    assert_eq!(names, [".owner", "TOKEN"]);
    for file in entries(directory) {
        assert_eq!((owner(&file), mode(&file)), ((10_001, 10_002), 0o400), "{}", file.display());
    }
}

#[test]
fn a_file_in_memory_can_be_opened_by_the_user() {
    if !require(Need::Mounts) {
        return;
    }
    let value = canary();
    let test = user(FILE).secret_with_mode("TOKEN", &value, 0o600).without_tmpfs();
    let outcome = test.shell("case $TOKEN_FILE in /proc/self/fd/*) cat \"$TOKEN_FILE\";; *) exit 3;; esac");
    assert_eq!(outcome.text(), value);
    assert_eq!(test.shell("stat -Lc '%u %g %a' \"$TOKEN_FILE\"").text(), "10001 0 400\n");
}

#[test]
fn a_run_directory_that_the_user_cannot_enter_is_refused_by_run_and_check() {
    if !require(Need::Root) {
        return;
    }
    let test = user(FILE).secret("TOKEN", canary()).in_run_dir();
    chmod(test.run_dir(), 0o700);
    test.start().refused(73, "deliver", "TOKEN", "cannot-create").says("the app's uid 10001 cannot enter it");
    let check = test.command(["check"]);
    assert_eq!(check.code, 73, "{}", check.printed());
    assert!(check.printed().contains("the app's uid 10001 cannot enter it"), "{}", check.printed());
}

#[test]
fn the_next_startup_removes_the_directory_of_the_user() {
    if !require(Need::Root) {
        return;
    }
    let test = user(FILE).secret("TOKEN", canary()).deliver_to(memory());
    test.start().app();
    let first = entries(test.run_dir());
    test.start().app();
    let second = entries(test.run_dir());
    assert_eq!((first.len(), second.len()), (1, 1));
    assert_ne!(first, second, "root removes what the user was given");
    // The user itself, in a container that has `user:` now.
    let test = test.by_user(UID);
    test.start().app();
    let third = entries(test.run_dir());
    assert!(third.len() == 1 && third != second, "{third:?}");
}

#[test]
fn a_directory_that_a_living_app_uses_stays() {
    if !require(Need::Root) {
        return;
    }
    let test = user(FILE).secret("TOKEN", canary()).in_run_dir();
    let mut alive = test.spawn(["/bin/sleep", "60"]);
    while !entries(test.run_dir()).iter().any(|path| owner(path).0 == UID) {
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    let first = entries(test.run_dir());
    test.start().app();
    assert!(first[0].join("TOKEN").exists());
    alive.child.kill().unwrap();
    alive.child.wait().unwrap();
}

#[test]
fn an_ssh_key_is_placed_in_the_home_of_the_user_and_belongs_to_it() {
    if !require(Need::Root) {
        return;
    }
    let test = with_home("user = \"10001:10001\"", SSH).secret_with_mode("SSH_KEY", KEY, 0o400);
    test.start().app().has("HOME", test.at("home").to_str().unwrap()).has_no("SSH_KEY");
    for (path, expected) in [(".ssh", 0o700), (".ssh/id_ed25519", 0o600), (".ssh/id_ed25519.pub", 0o644)] {
        let path = test.at("home").join(path);
        assert_eq!((owner(&path), mode(&path)), ((UID, UID), expected), "{}", path.display());
    }
    assert_eq!(fs::read_to_string(test.at("home/.ssh/id_ed25519")).unwrap(), KEY);
    // The record of the first key is the user's too: the second startup replaces the file.
    let test = test.secret("SSH_KEY", include_str!("../data/id_ecdsa"));
    test.start().app();
    assert!(!test.at("home/.ssh/id_ed25519").exists() && test.at("home/.ssh/id_ecdsa").exists());
}

#[test]
fn if_a_key_cannot_be_placed_the_files_that_were_given_to_the_user_are_removed() {
    if !require(Need::Root) {
        return;
    }
    let manifest = format!("home = \"/nonexistent\"\n{FILE}{SSH}");
    let test = user(&manifest).secret("TOKEN", canary()).secret("SSH_KEY", KEY).in_run_dir();
    // Root could create that directory; the app's user cannot.
    let refused = |outcome: &Outcome| assert_eq!(outcome.code, 73, "{}", outcome.stderr);
    refused(&test.start());
    let [left] = &entries(test.run_dir())[..] else { panic!("the empty directory is left") };
    assert!(entries(left).is_empty(), "nothing is in it");
    let test = user(&manifest).secret("TOKEN", canary()).secret("SSH_KEY", KEY).in_run_dir();
    chown(test.run_dir(), Some(UID), Some(UID)).unwrap();
    test.start().refused(73, "deliver", "SSH_KEY", "cannot-create");
    let check = test.command(["check"]);
    assert_eq!(check.code, 73, "{}", check.printed());
}

#[test]
fn if_the_app_cannot_be_started_the_files_that_were_given_to_the_user_are_removed() {
    if !require(Need::Root) {
        return;
    }
    let test = user(FILE).secret("TOKEN", canary()).in_run_dir();
    assert_eq!(test.run(["/nonexistent"]).code, 127);
    assert!(entries(test.run_dir()).iter().all(|left| entries(left).is_empty()));
    let test = user(FILE).secret("TOKEN", canary()).in_run_dir();
    chown(test.run_dir(), Some(UID), Some(UID)).unwrap();
    test.run(["/nonexistent"]).refused(127, "exec", "/nonexistent", "not-found");
}

#[test]
fn three_capabilities_are_enough_for_files_of_root() {
    if !require(Need::Root) {
        return;
    }
    let value = canary();
    let manifest = format!("{FILE}{SSH}[secret.VARIABLE]\nrequired = true\n");
    let test = with_home("user = \"10001:10001\"", &manifest)
        .secret_with_mode("TOKEN", &value, 0o600)
        .secret_with_mode("VARIABLE", &value, 0o400)
        .secret_with_mode("SSH_KEY", KEY, 0o400)
        .in_run_dir();
    let test = limited(test, THREE);
    let check = test.command(["check"]);
    assert_eq!(check.code, 0, "{}{}", check.printed(), check.stderr);
    has_ids(&test.shell(STATUS), UID, UID, &[UID]);
    let shown = "cat \"$TOKEN_FILE\"; printf '|%s|' \"$VARIABLE\"; cat ~/.ssh/id_ed25519";
    assert_eq!(test.shell(shown).text(), format!("{value}|{value}|{KEY}"));
}

#[test]
fn what_was_written_is_removed_by_root_with_three_capabilities_too() {
    if !require(Need::Root) {
        return;
    }
    // The kernel allows strings of a quarter of the stack, which is noticed when the files are written.
    let limit = format!("--bounding-set={THREE}");
    let test = user(&format!("{FILE}[secret.LARGE]\nrequired = true\n"))
        .secret("TOKEN", canary())
        .secret("LARGE", vec![b'x'; 130_000])
        .in_run_dir()
        .through(["prlimit", "--stack=524288", "setpriv", &limit, "--inh-caps=-all"]);
    test.start().refused(65, "deliver", "LARGE", "size");
}

#[test]
fn a_directory_that_was_given_away_is_taken_back_if_the_kernel_refuses_the_change() {
    if !require(Need::Trace) {
        return;
    }
    let limit = format!("--bounding-set={THREE}");
    for call in ["setgroups", "setresgid", "setresuid"] {
        let inject = format!("inject={call}:error=EPERM:when=1");
        let test = user(FILE).secret("TOKEN", canary()).in_run_dir();
        let test = test.traced(["-e", &inject, "setpriv", &limit, "--inh-caps=-all"]);
        test.start().refused(77, "deliver", "process.user", "denied").says(call);
    }
    let test = user(FILE).secret("TOKEN", canary()).in_run_dir();
    let test = test.traced(["-e", "inject=setresuid:retval=0:when=2"]);
    assert_eq!(test.start().code, 77, "a way back to root is noticed");
}

#[test]
fn a_missing_capability_is_named_by_run_and_check() {
    if !require(Need::Root) {
        return;
    }
    for missing in ["chown", "setgid", "setuid"] {
        let rest = THREE.replace(&format!(",+{missing}"), "");
        let test = limited(user(TOKEN).secret("TOKEN", canary()), &rest);
        let says = format!("`cap_add: [{}]`", missing.to_uppercase());
        test.start().refused(77, "configure", "process.user", "denied").says(&says);
        test.command(["check"]).refused(77, "configure", "process.user", "denied").says(&says);
    }
}

#[test]
fn an_id_that_does_not_exist_in_the_user_namespace_is_named_by_run_and_check() {
    if !require(Need::Root) {
        return;
    }
    // As in a rootless container: only root exists.
    let test = user(TOKEN).secret("TOKEN", canary()).through(["unshare", "--user", "--map-root-user"]);
    let says = "uid 10001 does not exist in this user namespace";
    test.start().refused(77, "configure", "process.user", "denied").says(says);
    test.command(["check"]).refused(77, "configure", "process.user", "denied").says(says);
}

#[test]
fn a_file_of_another_user_that_root_cannot_read_names_the_capability() {
    if !require(Need::Root) {
        return;
    }
    let test = || {
        let test = user(TOKEN).secret_with_mode("TOKEN", canary(), 0o600);
        chown(test.secret_path("TOKEN"), Some(UID), Some(UID)).unwrap();
        test
    };
    let refused = limited(test(), THREE).start();
    refused.refused(77, "resolve", "TOKEN", "denied").says("DAC_READ_SEARCH").says("chown");
    limited(test(), &format!("{THREE},+dac_read_search")).start().app();
}

#[test]
fn another_user_than_root_stays_what_it_is_or_is_refused() {
    if !require(Need::Root) {
        return;
    }
    let start = |settings: &str| process(settings, TOKEN).secret("TOKEN", canary()).by_user(UID);
    let other = start("user = 10002");
    other.start().refused(78, "configure", "process.user", "configuration").says("user_if_root");
    other.command(["check"]).refused(78, "configure", "process.user", "configuration");
    start("user = \"10001:10002\"").start().refused(78, "configure", "process.user", "configuration");
    has_ids(&start("user = 10001").shell(STATUS), UID, UID, &[]);
    start("user = \"10001:10001\"\nhome = \"/srv\"").start().app().has("HOME", "/srv");
    for settings in ["user = 10002", "user = \"no-such-user\""] {
        let test = start(&format!("{settings}\nhome = \"/srv\"\nuser_if_root = true"));
        test.start().app().has("HOME", test.at("home").to_str().unwrap());
    }
    start("user = 10002").variable("CRYOKEY_USER_IF_ROOT", "yes").start().app();
    start("user = 10002").option("--dev").start().app();
}

#[test]
fn k06_the_warning_about_root_stands_only_where_the_app_runs_as_root() {
    if !require(Need::Root) {
        return;
    }
    user("").start().does_not_say("as root").app();
    process("user = \"root\"", "").start().warns(&["the app will run as root"]).app().has("HOME", "/root");
}

#[test]
fn unknown_names_are_refused_by_run_and_check() {
    if !require(Need::Mounts) {
        return;
    }
    for (settings, key) in [
        ("user = \"nobody\"", "process.user"),
        ("user = \"app:nogroup\"", "process.group"),
        ("user = \"app\"\ngroup = \"nogroup\"", "process.group"),
    ] {
        let test = with_accounts(process(settings, ""));
        test.start().refused(78, "configure", key, "configuration");
        test.command(["check"]).refused(78, "configure", key, "configuration");
    }
    let empty = "mount -t tmpfs none /etc && exec \"$@\"";
    let test = user(TOKEN).secret("TOKEN", canary()).through_mounts(empty);
    has_ids(&test.shell(STATUS), UID, 0, &[0]);
    let test = process("user = \"root\"", "").through_mounts(empty);
    test.start().refused(78, "configure", "process.user", "configuration");
}

#[test]
fn check_reports_the_user() {
    if !require(Need::Mounts) {
        return;
    }
    let test = with_accounts(process("user = \"app\"", ""));
    let report = test.command(["check", "--format", "json"]);
    let expected =
        serde_json::json!({ "uid": 10_001, "gid": 10_002, "groups": [10_002, 33, 44], "home": "/srv/app" });
    assert_eq!(report.json()["user"], expected);
    let table = test.command(["check"]).printed();
    assert!(table.contains("user: uid 10001, gid 10002, groups 10002 33 44, HOME=/srv/app"), "{table}");
    let table = test.by_user(NOBODY).variable("CRYOKEY_USER_IF_ROOT", "1").command(["check"]).printed();
    assert!(!table.contains("user:"), "{table}");
}

#[test]
fn pipes_and_terminals_of_the_standard_streams_are_given_to_the_user_and_nothing_else() {
    if !require(Need::Root) {
        return;
    }
    let owners = "stat -Lc %u /dev/fd/0 /dev/fd/1; echo written > /dev/stdout; stat -Lc %u /dev/null";
    assert_eq!(user("").shell(owners).text(), "0\n10001\nwritten\n0\n");
    let file = tempfile::tempfile().unwrap();
    let state = file.try_clone().unwrap();
    user("").stdout(file.into()).run(["/bin/true"]).succeeded();
    assert_eq!(state.metadata().unwrap().uid(), 0, "a file stays whose it is");
    let (keyboard, terminal) = terminal();
    let path = ptsname(&keyboard, Vec::new()).unwrap().into_string().unwrap();
    let group = owner(&path).1;
    user("").stdout(terminal).run(["/bin/true"]).succeeded();
    assert_eq!(owner(&path), (UID, group), "the terminal's group stays");
}
