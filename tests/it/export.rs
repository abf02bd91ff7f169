//! `cryokey export`: the variables as the env file that the kubelet reads.

use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt as _, symlink};

use crate::support::{Need, Outcome, REQUIRED, Test, canary, disk, is_root, memory, mode, require};

const LINE: [&str; 4] = ["export", "--format", "kube-env", "--output"];

/// Writes the env file to `app.env` in the delivery directory, which is in memory.
fn export(test: &Test) -> Outcome {
    let path = test.run_dir().join("app.env");
    test.command(LINE.into_iter().chain([path.to_str().unwrap()]))
}

fn written(test: &Test) -> String {
    fs::read_to_string(test.run_dir().join("app.env")).unwrap()
}

#[test]
fn every_variable_is_a_line_and_nothing_is_printed() {
    let value = canary();
    let multi = format!("{}\n$HOME \"x\" \\\n", canary());
    let manifest =
        "[secret.TOKEN]\nrequired = true\n[secret.KEY]\n[secret.NONE]\n[secret.BOTH]\ndeliver = \"both\"\n";
    let test = Test::with(manifest).secret("TOKEN", format!("{value}\n")).secret("KEY", &multi);
    let test = test.secret("BOTH", &value).in_run_dir();
    let outcome = export(&test);
    outcome.succeeded().says("TOKEN: from files TOKEN").says("3 variables written to ");
    assert!(outcome.stdout.is_empty(), "{}", outcome.printed());
    let multi = multi.trim_end();
    assert_eq!(written(&test), format!("BOTH='{value}'\nKEY='{multi}'\nTOKEN='{value}'\n"));
    assert_eq!(mode(test.run_dir().join("app.env")), 0o600);
    assert_eq!(fs::read_dir(test.run_dir()).unwrap().count(), 1);
}

#[test]
fn a_plain_variable_is_written_too_because_the_other_container_does_not_inherit_it() {
    let value = canary();
    let test =
        Test::with("allow_plain_env = true\n[secret.TOKEN]\nrequired = true\n").variable("TOKEN", &value);
    let test = test.in_run_dir();
    export(&test).succeeded();
    assert_eq!(written(&test), format!("TOKEN='{value}'\n"));
}

#[test]
fn an_older_file_is_replaced_as_a_name_and_nothing_else_is_left() {
    let test = Test::with(REQUIRED).secret("TOKEN", canary()).in_run_dir();
    export(&test).succeeded();
    let before = fs::metadata(test.run_dir().join("app.env")).unwrap().ino();
    let open = File::open(test.run_dir().join("app.env")).unwrap();
    export(&test).succeeded();
    assert_ne!(fs::metadata(test.run_dir().join("app.env")).unwrap().ino(), before);
    assert_eq!(open.metadata().unwrap().nlink(), 0);
    assert_eq!(fs::read_dir(test.run_dir()).unwrap().count(), 1);
}

#[test]
fn files_and_keys_are_left_out_with_one_warning() {
    let manifest =
        format!("{REQUIRED}[secret.CERT]\ndeliver = \"file\"\n[secret.OTHER]\ndeliver = \"file\"\n");
    let test = Test::with(&manifest).secret("TOKEN", canary()).secret("CERT", canary());
    let test = test.secret("OTHER", canary()).in_run_dir();
    let outcome = export(&test);
    outcome.succeeded().warns(&["delivered as files or SSH keys: CERT, OTHER"]);
    assert!(written(&test).starts_with("TOKEN='"), "{}", written(&test));
    assert_eq!(written(&test).lines().count(), 1);
}

#[test]
fn a_value_that_the_format_cannot_hold_is_65_for_every_secret_and_no_file_exists() {
    let long = vec![b'x'; 65_530];
    let values: [&[u8]; 5] = [b"it's", b"a\r\nb", b"\xff", &long, b""];
    for value in values {
        let manifest = "[secret.TOKEN]\nallow_empty = true\n[secret.FINE]\n";
        let value = if value.is_empty() { Vec::new() } else { [canary().as_bytes(), value].concat() };
        let test = Test::with(manifest).secret("TOKEN", &value).secret("FINE", canary()).in_run_dir();
        let outcome = export(&test);
        outcome.refused(65, "deliver", "TOKEN", "env-file");
        outcome.says("TOKEN (files TOKEN) cannot be in an env file");
    }
    let both = "[secret.A]\n[secret.B]\n";
    let test = Test::with(both).secret("A", "it's").secret("B", "it's").in_run_dir();
    export(&test).says("exit code=65 phase=deliver names=A,B reason=env-file").nothing_happened();
}

#[test]
fn it_exits_as_run_does() {
    let tests = [
        (Test::with(REQUIRED), 66),
        (Test::with(REQUIRED).secret("TOKEN", "changeme"), 65),
        (Test::with("[secret.TOKEN]\nrequired = true\nformat = \"hex\"\n").secret("TOKEN", canary()), 65),
        (Test::with("[secret.TOKEN]\nrequired = 1\n"), 78),
        (Test::with(REQUIRED).secret("TOKEN", canary()).variable("STRICT_ROTATION_MODE", "true"), 78),
    ];
    for (test, code) in tests {
        let test = test.in_run_dir();
        assert_eq!(test.start().code, code);
        let outcome = export(&test);
        assert_eq!(outcome.code, code, "{}", outcome.stderr);
        outcome.nothing_happened();
    }
}

#[test]
fn a_file_on_a_disk_is_refused_before_any_secret_is_read_unless_a_disk_is_allowed() {
    let Some(disk) = disk() else { return };
    let test = Test::with(REQUIRED).secret("TOKEN", canary()).deliver_to(disk);
    let outcome = export(&test);
    let path = test.run_dir().join("app.env");
    outcome.refused(73, "deliver", path.to_str().unwrap(), "disk").does_not_say("TOKEN: from");
    let test = test.variable("CRYOKEY_ALLOW_DISK", "true");
    export(&test).succeeded().warns(&["is on a disk"]);
    assert!(written(&test).starts_with("TOKEN='"));
}

#[test]
fn a_link_a_directory_or_a_device_of_that_name_is_refused_and_stays() {
    let test = Test::with(REQUIRED).secret("TOKEN", canary()).in_run_dir();
    let path = test.run_dir().join("app.env");
    symlink("other", &path).unwrap();
    export(&test).refused(73, "deliver", path.to_str().unwrap(), "cannot-create");
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    export(&test).refused(73, "deliver", path.to_str().unwrap(), "cannot-create");
    for path in ["/dev/stdout", "/dev/null", "/nonexistent/app.env", "/"] {
        let outcome = test.command(LINE.into_iter().chain([path]));
        assert_eq!(outcome.code, 73, "{path}: {}", outcome.stderr);
        outcome.nothing_happened();
    }
}

#[test]
fn another_user_than_root_writes_it_and_only_that_user_can_read_it() {
    let test = Test::with(REQUIRED).secret("TOKEN", canary()).in_run_dir().by_nobody();
    export(&test).succeeded();
    if is_root() {
        assert_eq!(fs::metadata(test.run_dir().join("app.env")).unwrap().uid(), 65_534);
    }
    let closed = Test::with(REQUIRED).secret("TOKEN", canary()).by_nobody();
    let directory = memory();
    let path = directory.path().join("app.env");
    let outcome = closed.command(LINE.into_iter().chain([path.to_str().unwrap()]));
    assert_eq!(outcome.code, 73, "{}", outcome.stderr);
}

#[test]
fn a_full_file_system_leaves_nothing_behind() {
    if !require(Need::Mounts) {
        return;
    }
    let test = Test::with(REQUIRED).secret("TOKEN", canary().repeat(1_000)).in_run_dir();
    let script = "mount -t tmpfs -o size=8k none \"$CRYOKEY_RUN_DIR\" || exit 3; \"$@\"; code=$?; \
                  [ -z \"$(ls -A \"$CRYOKEY_RUN_DIR\")\" ] || code=99; exit $code";
    let outcome = export(&test.through_mounts(script));
    assert_eq!(outcome.code, 73, "{}", outcome.stderr);
    outcome.says("No space left on device");
}

#[test]
fn standard_output_gets_it_only_if_it_is_a_pipe() {
    let value = canary();
    let test = Test::with(REQUIRED).secret("TOKEN", &value);
    let piped = Test::with(REQUIRED).secret("TOKEN", &value).through_shell("\"$@\" | cat > ../tools/out");
    piped.command(LINE.into_iter().chain(["-"])).says("1 variables written to standard output");
    assert_eq!(fs::read_to_string(piped.at("tools/out")).unwrap(), format!("TOKEN='{value}'\n"));
    let file = test.at("tools/out");
    let test = test.stdout(File::create(&file).unwrap().into());
    test.command(LINE.into_iter().chain(["-"])).says("code=73 phase=deliver names=stdout");
    assert_eq!(fs::metadata(file).unwrap().len(), 0);
}

#[test]
fn a_terminal_never_shows_it() {
    if !require(Need::Python) {
        return;
    }
    let script = "import pty, sys; sys.exit(pty.spawn(sys.argv[1:]) >> 8)";
    let test = Test::with(REQUIRED).secret("TOKEN", canary()).through(["/usr/bin/python3", "-c", script]);
    for output in ["-", "/dev/tty", "/dev/stdout", "/proc/self/fd/1"] {
        let outcome = test.command(LINE.into_iter().chain([output]));
        assert_eq!(outcome.code, 73, "{output}: {}", outcome.printed());
    }
}

#[test]
fn a_reader_that_is_gone_is_74() {
    let test = Test::with(REQUIRED).secret("TOKEN", canary());
    let (reader, writer) = rustix::pipe::pipe().unwrap();
    drop(reader);
    let outcome = test.stdout(writer).command(LINE.into_iter().chain(["-"]));
    outcome.says("exit code=74 phase=deliver names=stdout reason=io").nothing_happened();
}
