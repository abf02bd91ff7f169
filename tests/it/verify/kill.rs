//! Kills at every step of delivery, and many startups at once: a file with its final name is complete, and no startup
//! removes what another one needs.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::Instant;

use tempfile::TempDir;

use super::times;
use crate::support::{CRYOKEY, Need, disk, memory, mode, require, started};

const OLD_KEY: &str = include_str!("../../data/id_ecdsa");
const NEW_KEY: &str = include_str!("../../data/id_ed25519");

/// The system calls that change something: before each of them the process is killed once. The last is the one with
/// which it becomes the app.
const STEPS: [&str; 16] = [
    "openat",
    "mkdir",
    "mkdirat",
    "write",
    "chmod",
    "fchmod",
    "fchmodat",
    "link",
    "linkat",
    "rename",
    "renameat",
    "renameat2",
    "unlink",
    "unlinkat",
    "rmdir",
    "execve",
];

/// Prints what was delivered.
const PRINT: &str = r#"cat "$DB_PASSWORD_FILE" "$API_KEY_FILE" "$HOME/.ssh/deploy""#;

/// A run directory in memory, a home on a disk, and what is to be delivered to them.
struct Place {
    run_dir: TempDir,
    home: TempDir,
    inputs: TempDir,
}

impl Place {
    /// `None` on a machine whose every directory is in memory.
    fn new() -> Option<Self> {
        let place = Self { run_dir: memory(), home: disk()?, inputs: tempfile::tempdir().unwrap() };
        let manifest = format!(
            "version = 1\nenvironments = [\"staging\"]\n[secret.DB_PASSWORD]\ndeliver = \"file\"\n[secret.API_KEY]\n\
             deliver = \"both\"\n[secret.SSH_KEY]\ndeliver = \"ssh\"\npath = \"{}/.ssh/deploy\"\n",
            place.home.path().display()
        );
        fs::write(place.at("manifest"), manifest).unwrap();
        fs::write(place.at("DB_PASSWORD"), password()).unwrap();
        fs::write(place.at("API_KEY"), "key\n").unwrap();
        fs::write(place.at("STAGING_SSH_KEY"), NEW_KEY).unwrap();
        Some(place)
    }

    /// A home with the key of an earlier start in it, and a run directory with that start's files.
    fn with_predecessor() -> Option<Self> {
        let place = Self::new()?;
        fs::write(place.at("STAGING_SSH_KEY"), OLD_KEY).unwrap();
        assert!(place.start("exit 0").status.success());
        fs::write(place.at("STAGING_SSH_KEY"), NEW_KEY).unwrap();
        Some(place)
    }

    fn at(&self, name: &str) -> PathBuf {
        self.inputs.path().join(name)
    }

    fn command(&self, before: &[String], script: &str) -> Command {
        let line = ["run", "--", "/bin/sh", "-c", script].map(OsString::from);
        let words = before.iter().map(OsString::from).chain(started(&*CRYOKEY)).chain(line);
        let words: Vec<OsString> = words.collect();
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).env_clear().current_dir(self.inputs.path()).stdin(Stdio::null());
        command.env("PATH", "/usr/bin:/bin").env("HOME", self.home.path());
        command.env("CRYOKEY_ENVIRONMENT", "staging").env("CRYOKEY_MANIFEST", self.at("manifest"));
        command.env("CRYOKEY_SECRETS_DIR", self.inputs.path()).env("CRYOKEY_RUN_DIR", self.run_dir.path());
        command
    }

    fn start(&self, script: &str) -> Output {
        self.command(&[], script).output().unwrap()
    }

    /// What must hold whenever and wherever a start was killed: what has its name has its mode and all of its content.
    fn assert_whole(&self, when: &str) {
        for directory in entries(self.run_dir.path()) {
            assert!([0o700, 0o500].contains(&mode(&directory)), "{when}: {}", directory.display());
            for file in entries(&directory) {
                assert_delivered(&file, when);
            }
        }
        let keys = self.home.path().join(".ssh");
        if keys.exists() {
            assert_eq!(mode(&keys), 0o700, "{when}");
            for file in entries(&keys) {
                assert_key(&file, when);
            }
        }
    }

    /// A start after that works, and takes away what the killed ones left. A directory that was not signed yet has no
    /// secret in it; it may stay.
    fn assert_next_start_works(&self, when: &str) {
        let output = self.start(PRINT);
        let expected = [password().as_bytes(), b"key\n", NEW_KEY.as_bytes()].concat();
        let log = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && output.stdout == expected, "{when}: {log}");
        let is_secret = |file: &PathBuf| !name(file).trim_start_matches('.').starts_with("owner");
        let directories = entries(self.run_dir.path());
        let with_secrets = directories.iter().filter(|directory| entries(directory).iter().any(is_secret));
        assert_eq!(with_secrets.count(), 1, "{when}: {directories:?}");
        let keys = entries(&self.home.path().join(".ssh"));
        assert!(!keys.iter().any(|file| is_temporary(file)), "{when}: {keys:?}");
        self.assert_whole(when);
    }
}

/// More than one page, so that half of it would be noticed.
fn password() -> String {
    "0123456789abcdef".repeat(20_000)
}

fn assert_delivered(file: &Path, when: &str) {
    let shown = file.display();
    let content = fs::read(file).unwrap();
    let is_whole = match name(file) {
        "DB_PASSWORD" => content == password().as_bytes(),
        "API_KEY" => content == b"key\n",
        ".owner" => is_signature(&String::from_utf8(content).unwrap()),
        _ => {
            assert!(is_temporary(file) && is_closed(file), "{when}: {shown}");
            return;
        }
    };
    assert!(is_whole && mode(file) == 0o400, "{when}: {shown} has mode {:04o}", mode(file));
}

fn assert_key(file: &Path, when: &str) {
    let content = fs::read_to_string(file).unwrap();
    let (is_whole, right) = match name(file) {
        "deploy" => ([OLD_KEY, NEW_KEY].contains(&content.as_str()), 0o600),
        "deploy.pub" => {
            let is_key = content.starts_with("ssh-ed25519 ") || content.starts_with("ecdsa-sha2-");
            (is_key && content.ends_with('\n') && content.lines().count() == 1, 0o644)
        }
        ".deploy.cryokey" | ".deploy.pub.cryokey" => {
            (content.split_whitespace().count() == 3 && content.ends_with('\n'), 0o600)
        }
        _ => {
            let is_public = name(file).starts_with(".deploy.pub.");
            let is_right = is_closed(file) || is_public && mode(file) == 0o644;
            assert!(is_temporary(file) && is_right, "{when}: {}", file.display());
            return;
        }
    };
    assert!(is_whole && mode(file) == right, "{when}: {} has mode {:04o}", file.display(), mode(file));
}

/// Whether only its owner has access.
fn is_closed(file: &Path) -> bool {
    mode(file).trailing_zeros() >= 6
}

/// `.NAME.` and sixteen hexadecimal digits: what a killed start may leave beside whole files.
fn is_temporary(file: &Path) -> bool {
    name(file)
        .strip_prefix('.')
        .and_then(|name| name.rsplit_once('.'))
        .is_some_and(|(_, suffix)| suffix.len() == 16 && suffix.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

fn is_signature(text: &str) -> bool {
    let words: Vec<&str> = text.split(' ').collect();
    words.len() == 3 && words[2].starts_with("pid:[") && words[2].ends_with(']')
}

fn name(path: &Path) -> &str {
    path.file_name().and_then(OsStr::to_str).unwrap()
}

fn entries(directory: &Path) -> Vec<PathBuf> {
    fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect()
}

/// strace that leaves a log, or lets a system call fail, or kills before one.
fn strace(log: &Path, options: &[String]) -> Vec<String> {
    let start = ["strace", "-f", "-qq", "-o", log.to_str().unwrap()].map(str::to_owned);
    start.into_iter().chain(options.iter().flat_map(|option| ["-e".to_owned(), option.clone()])).collect()
}

/// Kills a start before each of its steps, every time in a new place. `injected`: what else happens to system calls.
fn kill_before_every_step(place: fn() -> Option<Place>, injected: &[&str]) {
    let Some(whole) = place() else { return };
    let injected: Vec<String> = injected.iter().map(|&it| it.to_owned()).collect();
    let log = whole.at("trace");
    let traced = [&injected[..], &[format!("trace={}", STEPS.join(","))]].concat();
    let output = whole.command(&strace(&log, &traced), "exit 0").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut count = 0;
    for (step, times) in counted(&fs::read_to_string(&log).unwrap()) {
        for nth in 1..=times {
            let when = format!("killed before {step} number {nth}, with {injected:?}");
            let place = place().unwrap();
            let kill = format!("inject={step}:signal=KILL:when={nth}");
            let output = place
                .command(&strace(&place.at("trace"), &[&injected[..], &[kill]].concat()), "exit 0")
                .output();
            let was_killed = !output.unwrap().status.success();
            place.assert_whole(&when);
            place.assert_next_start_works(&when);
            count += usize::from(was_killed);
        }
    }
    assert!(count > 20, "killed {count} times only");
    println!("killed before each of {count} steps");
}

/// How often each step is in a log, up to the start of the app.
fn counted(log: &str) -> BTreeMap<&'static str, usize> {
    let calls = log.lines().filter_map(|line| line.split_once(' ')).map(|(_, call)| call.trim_start());
    let mut count = BTreeMap::new();
    let mut starts = 0;
    for call in calls {
        let Some(step) =
            STEPS.iter().find(|step| call.strip_prefix(**step).is_some_and(|it| it.starts_with('(')))
        else {
            continue;
        };
        *count.entry(*step).or_default() += 1;
        starts += usize::from(*step == "execve");
        // The first is this startup.
        if starts == 2 {
            return count;
        }
    }
    panic!("the app never started: {log}");
}

#[test]
fn verify_killed_before_any_step_of_delivery_no_file_is_half_there() {
    if require(Need::Strace) {
        kill_before_every_step(Place::new, &[]);
    }
}

#[test]
fn verify_killed_before_any_step_of_replacing_a_key_the_old_or_the_new_one_is_whole() {
    if require(Need::Strace) {
        kill_before_every_step(Place::with_predecessor, &[]);
    }
}

/// Where files cannot be made without a name, they have a temporary one first.
#[test]
fn verify_killed_before_any_step_of_delivery_by_rename_no_file_is_half_there() {
    if require(Need::Strace) {
        kill_before_every_step(Place::new, &["inject=linkat:error=ENOENT"]);
    }
}

#[test]
fn verify_killed_at_any_time_of_delivery_no_file_is_half_there() {
    let Some(place) = Place::new() else { return };
    let before = Instant::now();
    place.assert_next_start_works("before any kill");
    let duration = before.elapsed();
    let tries = u32::try_from(times(50, 1_000)).unwrap();
    for nth in 0..tries {
        fs::write(place.at("STAGING_SSH_KEY"), NEW_KEY).unwrap();
        let mut child = place.command(&[], "exit 0").stderr(Stdio::null()).spawn().unwrap();
        thread::sleep(duration * nth / tries);
        child.kill().unwrap();
        child.wait().unwrap();
        let when = format!("killed at moment {nth} of {tries}");
        place.assert_whole(&when);
        place.assert_next_start_works(&when);
    }
}

#[test]
fn verify_of_many_starts_at_once_none_takes_anothers_files_away() {
    let Some(place) = Place::new() else { return };
    let script = |nth: usize| {
        format!(
            "before=$(cksum \"$DB_PASSWORD_FILE\") && sleep 0.{} && test \"$before\" = \"$(cksum \"$DB_PASSWORD_FILE\")\"",
            nth % 8
        )
    };
    for _ in 0..times(1, 5) {
        let start = |nth| place.command(&[], &script(nth)).stderr(Stdio::piped()).spawn().unwrap();
        let apps: Vec<Child> = (0..200).map(start).collect();
        for app in apps {
            let output = app.wait_with_output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
        place.assert_next_start_works("after 200 starts at once");
    }
}
