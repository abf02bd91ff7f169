//! Delivery by file: in sealed memory, or in a directory in memory.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::{Need, Test, canary, chmod, disk, make_removable, mode, require};

const FILE: &str = "[secret.TOKEN]\nrequired = true\ndeliver = \"file\"\n";
const BOTH: &str = "[secret.TOKEN]\nrequired = true\ndeliver = \"both\"\n";

/// What is in the delivery directory.
fn delivered(test: &Test) -> Vec<PathBuf> {
    fs::read_dir(test.run_dir()).unwrap().map(|entry| entry.unwrap().path()).collect()
}

fn is_our_directory(path: &Path) -> bool {
    let uid = rustix::process::geteuid().as_raw();
    let name = path.file_name().unwrap().to_str().unwrap();
    let random = name.strip_prefix(&format!("cryokey-{uid}-"));
    random.is_some_and(|random| random.len() == 16 && random.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

#[test]
fn a_file_in_memory_has_the_exact_bytes_and_the_name_is_no_variable() {
    if !require(Need::Mounts) {
        return;
    }
    let value = format!("{}\n\0\n", canary());
    let test = Test::with(FILE).secret("TOKEN", &value).without_tmpfs();
    let outcome = test.start();
    let app = outcome.app();
    let path = String::from_utf8(app.get("TOKEN_FILE").unwrap().to_vec()).unwrap();
    let descriptor = path.strip_prefix("/proc/self/fd/").unwrap().parse::<u32>().unwrap();
    assert!(descriptor >= 1_000, "{path}");
    app.has_no("TOKEN");
    // In the app, in its child, and again from the start.
    let outcome = test.shell("cat \"$TOKEN_FILE\"; read -r line < \"$TOKEN_FILE\"; cat \"$TOKEN_FILE\"");
    assert_eq!(outcome.succeeded().stdout, format!("{value}{value}").into_bytes());
}

#[test]
fn a_file_in_memory_is_0400_and_sealed_against_its_owner_too() {
    if !require(Need::Mounts) {
        return;
    }
    for test in [Test::with(FILE), Test::with(FILE).by_nobody()] {
        let test = test.secret("TOKEN", canary()).without_tmpfs();
        assert_eq!(test.shell("stat -Lc %a \"$TOKEN_FILE\"").text().trim(), "400");
        let write = "chmod 600 \"$TOKEN_FILE\"; (echo x >> \"$TOKEN_FILE\") 2>/dev/null && exit 3; \
                     (: > \"$TOKEN_FILE\") 2>/dev/null && exit 4; exec wc -c < \"$TOKEN_FILE\"";
        assert_eq!(test.shell(write).text().trim(), canary().len().to_string());
    }
}

#[test]
fn a_variable_and_a_file_where_both_are_asked_for() {
    let value = canary();
    let test = Test::with(BOTH).secret("TOKEN", format!("{value}\n"));
    let outcome = test.shell("printf '%s|' \"$TOKEN\"; cat \"$TOKEN_FILE\"");
    assert_eq!(outcome.text(), format!("{value}|{value}\n"));
    let test = test.in_run_dir();
    assert_eq!(
        test.shell("printf '%s|' \"$TOKEN\"; cat \"$TOKEN_FILE\"").text(),
        format!("{value}|{value}\n")
    );
}

#[test]
fn a_plain_variable_does_not_reach_an_app_that_gets_a_file() {
    let test = Test::with(FILE).secret("TOKEN", canary()).variable("TOKEN", canary());
    test.start().app().has_no("TOKEN");
    let value = canary();
    let test = Test::with(&format!("allow_plain_env = true\n{FILE}")).variable("TOKEN", &value);
    assert_eq!(test.shell("printf '%s|' \"$TOKEN\"; cat \"$TOKEN_FILE\"").text(), format!("|{value}"));
}

#[test]
fn name_file_is_replaced_by_where_the_file_is_delivered() {
    let value = canary();
    let test = Test::with(FILE).file("elsewhere", &value, 0o400);
    let path = test.at("elsewhere");
    let test = test.variable("TOKEN_FILE", &path).in_run_dir();
    let outcome = test.shell("echo \"$TOKEN_FILE\"; cat \"$TOKEN_FILE\"");
    let (shown, content) = outcome.text().split_once('\n').unwrap();
    assert!(Path::new(shown).starts_with(test.run_dir()), "{shown}");
    assert_eq!(content, value);
}

#[test]
fn a_directory_in_memory_is_0500_and_its_files_are_0400() {
    for umask in ["0", "027", "077"] {
        let value = format!("{}\n", canary());
        let test = Test::with(FILE).secret("TOKEN", &value).in_run_dir();
        let test = test.through_shell(&format!("umask {umask}; exec \"$@\""));
        let shown = test.shell("echo \"$TOKEN_FILE\"");
        let path = PathBuf::from(shown.text().trim());
        let [directory] = &delivered(&test)[..] else { panic!("one directory") };
        assert!(is_our_directory(directory), "{}", directory.display());
        assert_eq!(path, directory.join("TOKEN"));
        assert_eq!((mode(directory), mode(&path)), (0o500, 0o400));
        assert_eq!(fs::read(&path).unwrap(), value.as_bytes());
        shown.says(path.to_str().unwrap());
    }
}

#[test]
fn a_stale_directory_is_removed_by_the_next_startup_and_one_in_use_stays() {
    let test = Test::with(FILE).secret("TOKEN", canary()).in_run_dir();
    let mut alive = test.spawn(["/bin/sleep", "60"]);
    while !delivered(&test).iter().any(|path| mode(path) == 0o500) {
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    let first = delivered(&test);
    test.start().app();
    let second: Vec<PathBuf> = delivered(&test).into_iter().filter(|path| !first.contains(path)).collect();
    assert_eq!((first.len(), second.len()), (1, 1));
    assert!(first[0].join("TOKEN").exists(), "the living one stays");
    fs::create_dir(test.run_dir().join("cryokey-999999-0123456789abcdef")).unwrap();
    fs::write(test.run_dir().join("theirs"), "").unwrap();
    alive.child.kill().unwrap();
    alive.child.wait().unwrap();
    test.start().app();
    let left = delivered(&test);
    assert!(!left.contains(&first[0]) && !left.contains(&second[0]), "{left:?}");
    assert_eq!(left.len(), 3, "foreign files stay: {left:?}");
}

#[test]
fn a_directory_of_a_process_that_proc_hides_is_left_alone() {
    if !require(Need::Mounts) {
        return;
    }
    let test = Test::with(FILE).secret("TOKEN", canary()).in_run_dir().by_nobody();
    let directory = test.run_dir().join("cryokey-65534-0123456789abcdef");
    fs::create_dir(&directory).unwrap();
    let namespace = fs::read_link("/proc/self/ns/pid").unwrap();
    fs::write(directory.join(".owner"), format!("1 1 {}", namespace.display())).unwrap();
    std::os::unix::fs::chown(&directory, Some(65_534), Some(65_534)).unwrap();
    let test = test.through_mounts("mount -t proc -o hidepid=2 none /proc && exec \"$@\"");
    test.start().app();
    assert!(directory.join(".owner").exists(), "the process of pid 1 lives");
}

#[test]
fn directories_of_other_users_with_such_names_are_not_touched_and_cost_no_time() {
    if !require(Need::Root) {
        return;
    }
    let test = Test::with(FILE).secret("TOKEN", canary()).in_run_dir();
    for number in 0..20_000 {
        fs::write(test.run_dir().join(format!("cryokey-0-{number}")), "").unwrap();
    }
    // A tmpfs lists the newest file first.
    let theirs = test.run_dir().join("cryokey-0-0123456789abcdef");
    fs::create_dir(&theirs).unwrap();
    let ours = fs::read_link("/proc/self/ns/pid").unwrap();
    fs::write(theirs.join(".owner"), format!("4194305 1 {}", ours.display())).unwrap();
    chmod(&theirs, 0o555);
    std::os::unix::fs::chown(&theirs, Some(65_534), None).unwrap();
    let outcome = test.start();
    outcome.app();
    assert!(outcome.took < std::time::Duration::from_secs(1), "{:?}", outcome.took);
    assert_eq!((mode(&theirs), theirs.join(".owner").exists()), (0o555, true));
}

#[test]
fn nothing_is_left_after_an_app_that_does_not_start() {
    let test = Test::with(FILE).secret("TOKEN", canary()).in_run_dir();
    test.run(["/nonexistent/app"]).refused(127, "exec", "/nonexistent/app", "not-found");
    test.run(["/etc/hostname"]).refused(126, "exec", "/etc/hostname", "cannot-execute");
    assert!(delivered(&test).is_empty());
}

#[test]
fn nothing_is_written_before_all_secrets_are_resolved() {
    let manifest = format!("{FILE}[secret.OTHER]\nrequired = true\n");
    let test = Test::with(&manifest).secret("TOKEN", canary()).in_run_dir();
    test.start().refused(66, "resolve", "OTHER", "missing");
    if !require(Need::Trace) {
        return;
    }
    // What is created and removed again leaves no trace in the file system.
    let test = test.traced(["-e", "trace=mkdir,mkdirat,memfd_create,linkat,/unlink.*"]);
    test.start().refused(66, "resolve", "OTHER", "missing");
    assert!(!test.trace().contains("cryokey"), "{}", test.trace());
}

#[test]
fn check_makes_no_file_and_shows_how_it_would_be_delivered() {
    let test = Test::with(FILE).secret("TOKEN", canary()).in_run_dir();
    let outcome = test.command(["check"]);
    assert!(
        outcome.text().lines().any(|line| line.contains("TOKEN") && line.ends_with("file")),
        "{}",
        outcome.text()
    );
    assert!(delivered(&test).is_empty());
}

#[test]
fn check_shows_and_advises_against_in_memory_files() {
    if !require(Need::Mounts) {
        return;
    }
    let outcome = Test::with(FILE).secret("TOKEN", canary()).without_tmpfs().command(["check"]);
    assert!(outcome.text().contains("in-memory file (lost if the app closes descriptors"));
    assert!(outcome.text().contains("advice: no tmpfs is writable"), "{}", outcome.text());
}

#[test]
fn without_a_run_directory_files_go_to_the_first_usual_one_in_memory() {
    let value = canary();
    let session = crate::support::memory();
    let test = Test::with(FILE).secret("TOKEN", &value);
    let path = |test: &Test| PathBuf::from(test.shell("echo \"$TOKEN_FILE\"").text().trim());
    let shown =
        test.shell("cat \"$TOKEN_FILE\"; dirname \"$TOKEN_FILE\"; rm -r \"$(dirname \"$TOKEN_FILE\")\"");
    let (content, directory) = shown.text().split_once('/').unwrap();
    assert_eq!(content, value);
    assert!(
        directory.starts_with("run/cryokey-") || directory.starts_with("dev/shm/cryokey-"),
        "{directory}"
    );
    let test = test.variable("XDG_RUNTIME_DIR", session.path());
    assert!(path(&test).starts_with(session.path()));
    // A user who can rename the directory could put another in its place.
    chmod(session.path(), 0o777);
    assert!(!path(&test).starts_with(session.path()));
    make_removable(&session);
}

#[test]
fn if_the_usual_directory_is_full_in_memory_files_are_delivered() {
    if !require(Need::Mounts) {
        return;
    }
    let value = canary().repeat(400);
    let script = "mount -t tmpfs -o size=8k none /dev/shm && mount --bind /etc /run && exec \"$@\"";
    let test = Test::with(FILE).secret("TOKEN", &value).through_mounts(script);
    assert_eq!(test.shell("cat \"$TOKEN_FILE\"; ls /dev/shm").text(), value);
}

#[test]
fn a_child_that_opened_files_of_its_own_still_reads_the_secret() {
    if !require(Need::Python) || !require(Need::Mounts) {
        return;
    }
    let value = canary();
    let child = "import os, subprocess, sys\n\
                 own = [open('/etc/hostname') for _ in range(20)]\n\
                 sys.stdout.write(open(os.environ['TOKEN_FILE']).read())";
    for test in [Test::with(FILE), Test::with(FILE).without_tmpfs()] {
        let test = test.secret("TOKEN", &value);
        let script = format!("exec 3</etc/hostname; /usr/bin/python3 -c \"{child}\"");
        assert_eq!(test.shell(&script).text(), value);
    }
}

#[test]
fn the_option_wins_over_the_variable_and_the_variable_over_the_manifest() {
    let (low, high) = (crate::support::memory(), crate::support::memory());
    let test =
        Test::with(&format!("run_dir = \"{}\"\n{FILE}", low.path().display())).secret("TOKEN", canary());
    let path = |test: &Test| PathBuf::from(test.shell("echo \"$TOKEN_FILE\"").text().trim());
    assert!(path(&test).starts_with(low.path()));
    let test = test.in_run_dir();
    assert!(path(&test).starts_with(test.run_dir()));
    let test = test.option("--run-dir").option(high.path());
    assert!(path(&test).starts_with(high.path()));
    [&low, &high].into_iter().for_each(make_removable);
}

#[test]
fn c18_a_directory_that_cannot_be_written_is_refused_with_the_mount_to_add() {
    let test = Test::with(FILE).secret("TOKEN", canary()).in_run_dir();
    chmod(test.run_dir(), 0o555);
    let test = test.by_nobody().through_shell("chmod 555 \"$CRYOKEY_RUN_DIR\"; exec \"$@\"");
    let outcome = test.start();
    assert_eq!(outcome.code, 73, "{}", outcome.stderr);
    outcome.says("TOKEN").says(&format!("--tmpfs {}", test.run_dir().display())).says("names=TOKEN");
    assert!(delivered(&test).is_empty() && outcome.stdout.is_empty());
}

#[test]
fn c18_a_read_only_file_system_or_no_directory_at_all_is_refused_with_the_mount_to_add() {
    let test = Test::with(FILE).secret("TOKEN", canary()).variable("CRYOKEY_RUN_DIR", "/nonexistent/run");
    let outcome = test.start();
    outcome.refused(73, "deliver", "TOKEN", "cannot-create").says("--tmpfs /nonexistent/run");
    if !require(Need::Mounts) {
        return;
    }
    let test = Test::with(FILE).secret("TOKEN", canary()).in_run_dir();
    let test = test.through_mounts("mount -t tmpfs -o ro none \"$CRYOKEY_RUN_DIR\" && exec \"$@\"");
    let outcome = test.start();
    outcome.refused(73, "deliver", "TOKEN", "cannot-create").says("Read-only file system").says("--tmpfs ");
}

#[test]
fn c18_memory_needs_no_directory_at_all() {
    if !require(Need::Mounts) {
        return;
    }
    let value = canary();
    let test = Test::with(FILE).secret("TOKEN", &value);
    let test = test.without_tmpfs();
    assert_eq!(test.shell("cat \"$TOKEN_FILE\"").text(), value);
}

#[test]
fn c19_a_directory_on_a_disk_is_refused_unless_a_disk_is_allowed() {
    let Some(directory) = disk() else { return };
    let value = canary();
    let test = Test::with(FILE).secret("TOKEN", &value).deliver_to(directory);
    let outcome = test.start();
    outcome.refused(73, "deliver", "TOKEN", "disk").says(test.run_dir().to_str().unwrap());
    outcome.says("CRYOKEY_ALLOW_DISK=true");
    let test = test.variable("CRYOKEY_ALLOW_DISK", "true");
    let outcome = test.shell("cat \"$TOKEN_FILE\"");
    outcome.warns(&["TOKEN", "disk", "; fix: "]);
    assert_eq!(outcome.text(), value);
}

#[test]
fn c21_a_full_file_system_is_refused_and_no_piece_of_a_file_stays() {
    if !require(Need::Mounts) {
        return;
    }
    for limit in ["size=8k", "nr_inodes=1", "nr_inodes=3"] {
        let test = Test::with(FILE).secret("TOKEN", canary().repeat(400)).in_run_dir();
        let script = format!(
            "mount -t tmpfs -o {limit} none \"$CRYOKEY_RUN_DIR\" || exit 3; run=$CRYOKEY_RUN_DIR; \"$@\"; code=$?; \
             find \"$run\" -mindepth 1 >&2; exit $code"
        );
        let outcome = test.through_mounts(&script).start();
        outcome.refused(73, "deliver", "TOKEN", "cannot-create").says("No space left on device");
    }
}

#[test]
fn c21_a_key_that_does_not_fit_leaves_the_old_one() {
    if !require(Need::Mounts) {
        return;
    }
    let manifest = "environments = [\"staging\"]\n[secret.SSH_KEY]\ndeliver = \"ssh\"\n";
    let test =
        Test::with(manifest).secret_with_mode("STAGING_SSH_KEY", include_str!("../data/id_ed25519"), 0o644);
    let path = test.at("home/key");
    let test = test.manifest(&format!("version = 1\n{manifest}path = \"{}\"\n", path.display()));
    let test = test.file("new", include_str!("../data/id_ecdsa"), 0o644).variable("APP_ENV", "staging");
    let script = "mount -t tmpfs -o size=64k none \"$HOME\" || exit 3; \"$@\" > /dev/null 2>&1 || exit 4; \
                  cat ../new > ../secrets/STAGING_SSH_KEY; cat /dev/zero > \"$HOME/fill\" 2> /dev/null; \
                  ls -A \"$HOME\" > before; \"$@\"; code=$?; ls -A \"$HOME\" > after; cp \"$HOME/key\" .; exit $code";
    let test = test.through_mounts(script);
    let outcome = test.start();
    assert_eq!(outcome.code, 73, "{}", outcome.stderr);
    outcome.says("SSH_KEY").says("No space left on device").says("names=SSH_KEY reason=cannot-create");
    assert_eq!(fs::read_to_string(test.at("work/key")).unwrap(), include_str!("../data/id_ed25519"));
    let listed = |name: &str| fs::read_to_string(test.at("work").join(name)).unwrap();
    assert_eq!(listed("before"), listed("after"));
}

#[test]
fn c22_a_target_that_is_noexec_and_nosuid_works() {
    if !require(Need::Mounts) {
        return;
    }
    let value = canary();
    let test = Test::with(FILE).secret("TOKEN", &value).in_run_dir();
    let mount = "mount -t tmpfs -o noexec,nosuid,nodev none \"$CRYOKEY_RUN_DIR\" && exec \"$@\"";
    assert_eq!(test.through_mounts(mount).shell("cat \"$TOKEN_FILE\"").text(), value);
}

#[test]
fn c28_an_owner_for_a_delivered_file_is_refused_before_anything_is_written() {
    for setting in ["owner = \"app\"", "mode = \"0440\"", "group = 10"] {
        let test = Test::with(&format!("{FILE}{setting}\n")).secret("TOKEN", canary()).in_run_dir();
        let key = format!("secret.TOKEN.{}", setting.split(' ').next().unwrap());
        test.start().refused(78, "configure", &key, "configuration").says("cryokey.toml:5:1: ");
    }
}

#[test]
fn a_limit_of_file_sizes_is_named_by_check_and_run_and_no_file_remains() {
    let key = "[secret.KEY]\nrequired = true\ndeliver = \"ssh\"\n";
    let tests = [
        Test::with(FILE).secret("TOKEN", canary()).in_run_dir(),
        Test::with(FILE).secret("TOKEN", canary()),
        Test::with(key).public_file("secrets/KEY", include_str!("../data/id_ed25519"), 0o444),
    ];
    for test in tests {
        let test = test.through_shell("ulimit -f 0; exec \"$@\"");
        assert_eq!(test.command(["check"]).code, 73);
        let outcome = test.start();
        assert_eq!(outcome.code, 73, "{}", outcome.stderr);
        outcome.nothing_happened().says("RLIMIT_FSIZE").says("exit code=73 phase=deliver");
    }
}

#[test]
fn stopped_right_before_the_app_is_started_it_removes_the_files() {
    if !require(Need::Trace) {
        return;
    }
    let test = || Test::with(FILE).secret("TOKEN", canary()).in_run_dir();
    let calls = "trace=rt_sigaction,execve";
    let counted = test().traced(["-e", calls]);
    counted.run(["/bin/true"]).succeeded();
    let trace = counted.trace();
    let main = trace.split(' ').next().unwrap();
    let of_main: Vec<&str> = trace.lines().filter(|line| line.starts_with(main)).collect();
    let last = of_main.iter().rposition(|line| line.contains("execve(\"/bin/true\"")).unwrap();
    let when = of_main[..last].iter().filter(|line| line.contains("rt_sigaction(")).count();
    let inject = format!("inject=rt_sigaction:signal=SIGTERM:when={when}");
    let outcome = test().traced(["-e", calls, "-e", &inject]).run(["/bin/true"]);
    assert_eq!(outcome.code, 143, "{}", outcome.stderr);
    outcome.nothing_happened().says("exit code=143 phase=deliver").says("reason=stopped");
}

#[test]
fn stopped_while_files_are_written_it_removes_them_again() {
    if !require(Need::Strace) {
        return;
    }
    for (call, signal, code) in
        [("mkdir,mkdirat", "SIGTERM", 143), ("linkat", "SIGINT", 130), ("fchmod", "SIGTERM", 143)]
    {
        let test = Test::with(FILE).secret("TOKEN", canary()).in_run_dir();
        let inject = format!("inject={call}:signal={signal}");
        let outcome = test.traced(["-e", &format!("trace={call}"), "-e", &inject]).start();
        assert_eq!(outcome.code, code, "{call}: {}", outcome.stderr);
        outcome.nothing_happened().says("stopped by signal");
        outcome.says(&format!("exit code={code} phase=deliver")).says("reason=stopped");
    }
}
