//! What the tests share: a sandbox in which the real binary runs, and what is asked of every outcome.

pub(crate) mod case;
mod leak;
pub(crate) mod memory;
mod need;
mod outcome;
mod place;
pub(crate) mod proc;
pub(crate) mod server;
mod tree;

use std::ffi::{OsStr, OsString};
use std::fmt::{Display, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::time::{Duration, Instant};
use std::{fs, thread};

use rustix::pipe::{PipeFlags, pipe_with};
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use tempfile::TempDir;

pub(crate) use leak::{Canaries, canary, canary_url, encodings};
pub(crate) use need::{Need, is_root, not_run, require};
pub(crate) use outcome::Outcome;
pub(crate) use place::{disk, executable, make_removable, memory};
pub(crate) use tree::Tree;

/// The binary under test: the one that cargo built, unless a variable names another, such as one for another machine.
pub(crate) static CRYOKEY: LazyLock<OsString> = LazyLock::new(|| {
    std::env::var_os("CRYOKEY_BINARY").unwrap_or_else(|| env!("CARGO_BIN_EXE_cryokey").into())
});

/// What starts it, with the binary as its first argument: an emulator, where the binary is for another machine.
static RUNNER: LazyLock<Option<OsString>> = LazyLock::new(|| std::env::var_os("CRYOKEY_RUNNER"));

/// The words that start a cryokey, the one under test or a copy of it.
pub(crate) fn started(binary: impl Into<OsString>) -> impl Iterator<Item = OsString> {
    RUNNER.iter().cloned().chain([binary.into()])
}

/// The user whom `by_nobody` runs as.
pub(crate) const NOBODY: u32 = 65_534;

/// A child that runs longer hangs.
const DEADLINE: Duration = Duration::from_secs(20);

/// Shows the app's environment, byte for byte.
pub(crate) const SHOW: [&str; 2] = ["/usr/bin/env", "-0"];

/// A manifest with one required secret.
pub(crate) const REQUIRED: &str = "[secret.TOKEN]\nrequired = true\n";

/// A sandbox: `secrets`, `home`, `work` (the working directory) and `tools`, and what the binary is started with.
/// Nothing of the tests' own environment gets in.
pub(crate) struct Test {
    sandbox: TempDir,
    run_dir: Option<TempDir>,
    variables: Vec<(OsString, OsString)>,
    before: Vec<OsString>,
    options: Vec<OsString>,
    canaries: Canaries,
    user: Option<u32>,
    stderr: Option<OwnedFd>,
    stdout: Option<OwnedFd>,
}

impl Test {
    /// An empty sandbox with the built-in profile.
    pub(crate) fn new() -> Self {
        let sandbox = tempfile::tempdir().unwrap();
        chmod(sandbox.path(), 0o755);
        for directory in ["secrets", "home", "work", "tools"] {
            fs::create_dir(sandbox.path().join(directory)).unwrap();
            chmod(&sandbox.path().join(directory), 0o755);
        }
        let test = Self {
            run_dir: None,
            variables: Vec::new(),
            before: Vec::new(),
            options: Vec::new(),
            canaries: Canaries::default(),
            user: None,
            stderr: None,
            stdout: None,
            sandbox,
        };
        let (secrets, home) = (test.at("secrets"), test.at("home"));
        test.variable("PATH", "/usr/bin:/bin")
            .variable("HOME", home)
            .variable("CRYOKEY_SECRETS_DIR", secrets)
            .variable("CRYOKEY_LOG", "debug")
    }

    /// A sandbox with a manifest; the version is written for it.
    pub(crate) fn with(manifest: &str) -> Self {
        Self::new().manifest(&format!("version = 1\n{manifest}"))
    }

    /// A sandbox with the built-in profile and its three required secrets.
    pub(crate) fn profile() -> Self {
        Self::new()
            .secret("SUPABASE_URL", canary_url())
            .secret("SUPABASE_KEY", canary())
            .secret("SECRET_KEY", canary())
    }

    /// A path in the sandbox.
    pub(crate) fn at(&self, path: impl AsRef<Path>) -> PathBuf {
        self.sandbox.path().join(path)
    }

    /// The path of a secret's file.
    pub(crate) fn secret_path(&self, name: &str) -> PathBuf {
        self.at("secrets").join(name)
    }

    /// A file in the secrets directory, readable by all as Swarm has it.
    pub(crate) fn secret(self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.secret_with_mode(name, value, 0o444)
    }

    pub(crate) fn secret_with_mode(self, name: &str, value: impl AsRef<[u8]>, mode: u32) -> Self {
        self.file(&format!("secrets/{name}"), value, mode)
    }

    /// Any file in the sandbox whose content must not be seen.
    pub(crate) fn file(self, path: &str, content: impl AsRef<[u8]>, mode: u32) -> Self {
        self.watch(&content).public_file(path, content, mode)
    }

    /// A value that must not be seen, written by the test itself.
    pub(crate) fn watch(mut self, value: impl AsRef<[u8]>) -> Self {
        self.canaries.watch(value.as_ref());
        self
    }

    /// Any file in the sandbox whose content messages may repeat: a manifest, a list of names.
    pub(crate) fn public_file(self, path: &str, content: impl AsRef<[u8]>, mode: u32) -> Self {
        let path = self.at(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let _ = fs::remove_file(&path);
        fs::write(&path, content).unwrap();
        chmod(&path, mode);
        self
    }

    /// A manifest, named by `CRYOKEY_MANIFEST`.
    pub(crate) fn manifest(self, text: &str) -> Self {
        let path = self.at("cryokey.toml");
        self.public_file("cryokey.toml", text, 0o644).variable("CRYOKEY_MANIFEST", path)
    }

    /// A variable; one that was there is replaced.
    pub(crate) fn variable(mut self, name: &str, value: impl Into<OsString>) -> Self {
        let value = value.into();
        self.canaries.watch_if_marked(value.as_bytes());
        self.variables.retain(|(there, _)| there != name);
        self.variables.push((name.into(), value));
        self
    }

    /// A value that another place holds: nothing of it may be seen.
    pub(crate) fn watching(mut self, value: &str) -> Self {
        self.canaries.watch(value.as_bytes());
        self
    }

    /// Takes a variable out.
    pub(crate) fn without(mut self, name: &str) -> Self {
        self.variables.retain(|(there, _)| there != name);
        self
    }

    /// An option between `run` and `--`.
    pub(crate) fn option(mut self, option: impl Into<OsString>) -> Self {
        self.options.push(option.into());
        self
    }

    /// Files are delivered to a directory in memory, which `run_dir` tells.
    pub(crate) fn in_run_dir(self) -> Self {
        self.deliver_to(memory())
    }

    /// Files are delivered to this directory.
    pub(crate) fn deliver_to(mut self, directory: TempDir) -> Self {
        chmod(directory.path(), 0o755);
        let path = directory.path().to_owned();
        self.run_dir = Some(directory);
        self.variable("CRYOKEY_RUN_DIR", path)
    }

    pub(crate) fn run_dir_if_any(&self) -> Option<&Path> {
        self.run_dir.as_ref().map(TempDir::path)
    }

    /// Where files are delivered.
    pub(crate) fn run_dir(&self) -> &Path {
        self.run_dir.as_ref().unwrap().path()
    }

    /// Runs it as another user than root; where the tests are not run by root it is one already.
    pub(crate) fn by_nobody(self) -> Self {
        if is_root() { self.by_user(NOBODY) } else { self }
    }

    /// Runs it as this user, for root.
    pub(crate) fn by_user(mut self, user: u32) -> Self {
        self.user = Some(user);
        self
    }

    /// What stands before the command line: a tracer, a namespace, a shell that prepares something.
    pub(crate) fn through<T: Into<OsString>>(mut self, words: impl IntoIterator<Item = T>) -> Self {
        self.before = words.into_iter().map(Into::into).collect();
        self
    }

    /// A shell script before the command line, which is `"$@"` in it.
    pub(crate) fn through_shell(self, script: &str) -> Self {
        self.through(["/bin/sh", "-c", script, "sh"])
    }

    /// A shell script in a mount namespace of its own, for root.
    pub(crate) fn through_mounts(self, script: &str) -> Self {
        self.through(["unshare", "-m", "/bin/sh", "-c", script, "sh"])
    }

    /// Without any directory in memory that can be written, for root.
    pub(crate) fn without_tmpfs(self) -> Self {
        self.through_mounts(
            "for at in /run /dev/shm; do mount --bind $at $at && mount -o remount,bind,ro $at || exit 3; done; \
             exec \"$@\"",
        )
    }

    /// strace with these options; the log is `tools/trace`.
    pub(crate) fn traced<T: Into<OsString>>(self, options: impl IntoIterator<Item = T>) -> Self {
        let log = self.at("tools/trace");
        let start = ["strace", "-f", "-o"].map(OsString::from).into_iter().chain([log.into_os_string()]);
        let words: Vec<OsString> = start.chain(options.into_iter().map(Into::into)).collect();
        self.through(words)
    }

    pub(crate) fn trace(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.at("tools/trace")).unwrap()).into_owned()
    }

    /// Where the log goes, instead of being read.
    pub(crate) fn stderr(mut self, file: OwnedFd) -> Self {
        self.stderr = Some(file);
        self
    }

    /// Where standard output goes, instead of being read.
    pub(crate) fn stdout(mut self, file: OwnedFd) -> Self {
        self.stdout = Some(file);
        self
    }

    /// Starts the app that shows its environment.
    pub(crate) fn start(&self) -> Outcome {
        self.run(SHOW)
    }

    /// Starts an app.
    pub(crate) fn run<T: AsRef<OsStr>>(&self, app: impl IntoIterator<Item = T>) -> Outcome {
        self.finish(self.spawn(app), false)
    }

    /// Starts an app in each mode: cryokey becomes it, or stays as its parent.
    pub(crate) fn run_in_both_modes(&self, app: &[&str]) -> [Outcome; 2] {
        ["--exec", "--supervise"].map(|mode| self.finish(self.spawn_with(&[mode], app), false))
    }

    /// Starts an app that is a shell script.
    pub(crate) fn shell(&self, script: &str) -> Outcome {
        self.run(["/bin/sh", "-c", script])
    }

    /// Starts an app, and does not wait for its end.
    pub(crate) fn spawn<T: AsRef<OsStr>>(&self, app: impl IntoIterator<Item = T>) -> Running {
        self.spawn_with(&[], app)
    }

    fn spawn_with<T: AsRef<OsStr>>(&self, options: &[&str], app: impl IntoIterator<Item = T>) -> Running {
        let mut words: Vec<OsString> = vec!["run".into()];
        words.extend(self.options.iter().cloned().chain(options.iter().map(Into::into)));
        words.push("--".into());
        words.extend(app.into_iter().map(|word| word.as_ref().to_owned()));
        self.launch(&words)
    }

    /// Any other command line of cryokey; its standard output is cryokey's own.
    pub(crate) fn command<T: AsRef<OsStr>>(&self, line: impl IntoIterator<Item = T>) -> Outcome {
        let words: Vec<OsString> = line.into_iter().map(|word| word.as_ref().to_owned()).collect();
        self.finish(self.launch(&words), true)
    }

    /// The same app in the same surroundings, without cryokey.
    pub(crate) fn directly<T: AsRef<OsStr>>(&self, app: impl IntoIterator<Item = T>) -> Vec<u8> {
        let running = self.launch_as(app.into_iter().map(|word| word.as_ref().to_owned()));
        self.finish(running, false).stdout
    }

    pub(crate) fn finish(&self, running: Running, is_own_output: bool) -> Outcome {
        let before = running.before.clone();
        let (code, stdout, stderr, took) = running.wait();
        let own = if is_own_output { [&stderr[..], &stdout].concat() } else { stderr.clone() };
        self.canaries.refuse(&own);
        let stderr = String::from_utf8_lossy(&stderr).into_owned();
        Outcome { code, stdout, stderr, took, before, after: self.tree(), canaries: self.canaries.clone() }
    }

    fn launch(&self, words: &[OsString]) -> Running {
        let binary = if self.user.is_some() { self.binary_for_all().into() } else { CRYOKEY.clone() };
        self.launch_as(started(binary).chain(words.iter().cloned()))
    }

    fn launch_as(&self, words: impl IntoIterator<Item = OsString>) -> Running {
        let mut line = self.before.clone();
        if let Some(user) = self.user {
            self.give_away(user);
            let user = user.to_string();
            line.extend(
                ["setpriv", "--reuid", &user, "--regid", &user, "--clear-groups"].map(OsString::from),
            );
        }
        line.extend(words);
        let mut command = Command::new(&line[0]);
        command.args(&line[1..]).env_clear().current_dir(self.at("work")).process_group(0);
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        let to = |file: &Option<OwnedFd>| -> Stdio {
            file.as_ref().map_or_else(Stdio::piped, |file| file.try_clone().unwrap().into())
        };
        command.stdin(Stdio::null()).stdout(to(&self.stdout)).stderr(to(&self.stderr));
        let before = self.tree();
        Running { started: Instant::now(), child: command.spawn().unwrap(), before }
    }

    /// A copy that another user may execute but not read, as images have it, wherever the build is.
    fn binary_for_all(&self) -> PathBuf {
        let path = self.at("tools/cryokey");
        if !path.exists() {
            assert!(Command::new("cp").arg(&*CRYOKEY).arg(&path).status().unwrap().success());
            // An emulator has to read the program that it runs.
            chmod(&path, if std::env::var_os("CRYOKEY_RUNNER").is_some() { 0o755 } else { 0o711 });
        }
        path
    }

    fn give_away(&self, user: u32) {
        let directories = [self.at("home"), self.at("work")];
        for path in directories.iter().map(PathBuf::as_path).chain(self.run_dir.as_ref().map(TempDir::path)) {
            chown(path, Some(user), Some(user)).unwrap();
        }
    }

    /// Everything in the sandbox and the delivery directory, to see what was left there.
    fn tree(&self) -> Tree {
        let mut tree = Tree::default();
        for directory in ["secrets", "home", "work"] {
            tree.add(&self.at(directory));
        }
        if let Some(directory) = &self.run_dir {
            tree.add(directory.path());
        }
        tree
    }
}

impl Drop for Test {
    fn drop(&mut self) {
        self.run_dir.iter().for_each(make_removable);
    }
}

/// A child, with its deadline.
pub(crate) struct Running {
    started: Instant,
    pub(crate) child: Child,
    before: Tree,
}

impl Running {
    /// The deadline counts from now on.
    pub(crate) fn with_new_deadline(mut self) -> Self {
        self.started = Instant::now();
        self
    }

    fn wait(mut self) -> (i32, Vec<u8>, Vec<u8>, Duration) {
        let stdout = self.child.stdout.take().map(reader);
        let stderr = self.child.stderr.take().map(reader);
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            if self.started.elapsed() > DEADLINE {
                let group = rustix::process::Pid::from_child(&self.child);
                let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
                let _ = self.child.wait();
                let stderr = stderr.map(|thread| thread.join().unwrap()).unwrap_or_default();
                panic!("it hangs; so far: {}", String::from_utf8_lossy(&stderr));
            }
            thread::sleep(Duration::from_millis(1));
        };
        let took = self.started.elapsed();
        let read = |thread: Option<thread::JoinHandle<Vec<u8>>>| {
            thread.map(|thread| thread.join().unwrap()).unwrap_or_default()
        };
        let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default());
        (code, read(stdout), read(stderr), took)
    }
}

/// Reads all that a pipe has until its last writer is gone.
pub(crate) fn reader(mut pipe: impl std::io::Read + Send + 'static) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        pipe.read_to_end(&mut bytes).unwrap();
        bytes
    })
}

pub(crate) fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

pub(crate) fn mode(path: impl AsRef<Path>) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
}

/// The tables of a manifest for these secrets, all with the same rule.
pub(crate) fn declared<T: Display>(names: impl IntoIterator<Item = T>, rule: &str) -> String {
    let mut text = String::new();
    for name in names {
        write!(text, "[secret.{name}]\n{rule}").unwrap();
    }
    text
}

/// Bytes as an argument or a value.
pub(crate) fn bytes(bytes: &[u8]) -> OsString {
    OsString::from_vec(bytes.to_vec())
}

/// A pipe that takes nothing more, with its reader.
pub(crate) fn full_pipe() -> (OwnedFd, OwnedFd) {
    let (reader, writer) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK).unwrap();
    while rustix::io::write(&writer, &[b'x'; 4_096]).is_ok() {}
    while rustix::io::write(&writer, b"x").is_ok() {}
    for end in [&reader, &writer] {
        rustix::fs::fcntl_setfl(end, rustix::fs::OFlags::empty()).unwrap();
    }
    (reader, writer)
}

/// Both ends of a terminal: the one where a person would sit, and the one that a process gets.
pub(crate) fn terminal() -> (OwnedFd, OwnedFd) {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let keyboard = openpt(flags).unwrap();
    grantpt(&keyboard).unwrap();
    unlockpt(&keyboard).unwrap();
    let line = ioctl_tiocgptpeer(&keyboard, flags).unwrap();
    (keyboard, line)
}

/// A required secret that is a link to this.
pub(crate) fn linked_to(target: impl AsRef<Path>) -> Test {
    let test = Test::with(REQUIRED);
    symlink(target, test.secret_path("TOKEN")).unwrap();
    test
}
