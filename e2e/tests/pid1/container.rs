//! An app under an init that is PID 1 of a namespace of its own, with its own /proc, as in a container.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, Permissions};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::process::{self, until};
use crate::subject::Subject;

/// Nothing takes a fifth of this on an idle machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// When a test program is killed, its namespaces end: `setpriv` ends `unshare`, and that ends PID 1.
const LAUNCHER: [&str; 10] = [
    "setpriv",
    "--pdeathsig=KILL",
    "unshare",
    "--pid",
    "--fork",
    "--mount",
    "--mount-proc",
    "--kill-child",
    "--",
    // PID 1 leads a session, as in a container.
    "setsid",
];

/// What cryokey delivers in every case; other inits know nothing of it.
pub(crate) const SECRET: &str = "SUITE_SECRET";
const MANIFEST: &str = "version = 1\n[secret.SUITE_SECRET]\nrequired = true\n";

/// How a container starts.
pub(crate) struct Setup {
    directory: TempDir,
    command: Vec<OsString>,
    prologue: String,
    variables: Vec<(&'static str, &'static str)>,
    terminal: Option<OwnedFd>,
    stderr: Option<OwnedFd>,
}

impl Setup {
    pub(crate) fn new(subject: &Subject) -> Self {
        let directory = tempfile::Builder::new().prefix("pid1-").tempdir().unwrap();
        let setup = Self {
            directory,
            command: subject.command.clone(),
            prologue: String::new(),
            variables: Vec::new(),
            terminal: None,
            stderr: None,
        };
        fs::set_permissions(setup.directory(), Permissions::from_mode(0o755)).unwrap();
        fs::create_dir(setup.directory().join("secrets")).unwrap();
        fs::write(setup.directory().join("secrets").join(SECRET), "1cGkVgfq9bTrWzXdQm3h").unwrap();
        fs::write(setup.directory().join("cryokey.toml"), MANIFEST).unwrap();
        setup
    }

    /// The working directory of everything in the container.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Shell commands in the namespaces, before the init takes the shell's place.
    pub(crate) fn prologue(mut self, script: impl Into<String>) -> Self {
        self.prologue = script.into();
        self
    }

    /// A program that starts the init.
    pub(crate) fn started_by(mut self, command: impl IntoIterator<Item = OsString>) -> Self {
        self.command.splice(0..0, command);
        self
    }

    /// The init is a copy that any user may run.
    pub(crate) fn copied(mut self) -> Self {
        let copy = self.directory().join("init");
        if let Some(program) = self.command.first_mut() {
            fs::copy(&program, &copy).unwrap();
            *program = copy.into_os_string();
        }
        self
    }

    pub(crate) fn variable(mut self, name: &'static str, value: &'static str) -> Self {
        self.variables.push((name, value));
        self
    }

    pub(crate) fn terminal(mut self, terminal: OwnedFd) -> Self {
        self.terminal = Some(terminal);
        self
    }

    pub(crate) fn stderr(mut self, stderr: OwnedFd) -> Self {
        self.stderr = Some(stderr);
        self
    }

    pub(crate) fn start(self, app: &[OsString]) -> Container {
        let mut command = Command::new(LAUNCHER[0]);
        command.args(&LAUNCHER[1..]).args(self.terminal.is_some().then_some("--ctty"));
        if !self.prologue.is_empty() {
            command.args(["/bin/sh", "-c", &format!("{}\nexec \"$@\"", self.prologue), "sh"]);
        }
        command.args(&self.command).args(app).current_dir(self.directory());
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("CRYOKEY_MANIFEST", self.directory().join("cryokey.toml"));
        command.env("CRYOKEY_SECRETS_DIR", self.directory().join("secrets")).envs(self.variables);
        let [input, output, errors] = stdio(&self.directory, self.terminal, self.stderr);
        let launcher = command.stdin(input).stdout(output).stderr(errors).spawn();
        Container { launcher: launcher.expect("util-linux is installed"), directory: self.directory }
    }
}

fn stdio(directory: &TempDir, terminal: Option<OwnedFd>, stderr: Option<OwnedFd>) -> [Stdio; 3] {
    if let Some(terminal) = terminal {
        let copy = || Stdio::from(terminal.try_clone().unwrap());
        return [copy(), copy(), copy()];
    }
    let file = |name| Stdio::from(File::create(directory.path().join(name)).unwrap());
    [Stdio::null(), file("out"), stderr.map_or_else(|| file("err"), Stdio::from)]
}

/// Ends with the value.
pub(crate) struct Container {
    launcher: Child,
    directory: TempDir,
}

impl Container {
    pub(crate) fn start(subject: &Subject, app: &[OsString]) -> Self {
        Setup::new(subject).start(app)
    }

    /// Starts an app that writes the line `ready`.
    pub(crate) fn ready(subject: &Subject, app: &[OsString]) -> Result<Self, String> {
        Self::start(subject, app).when_ready()
    }

    pub(crate) fn when_ready(self) -> Result<Self, String> {
        self.await_line("ready").map(|()| self)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn bytes(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap_or_default()
    }

    pub(crate) fn text(&self, name: &str) -> String {
        String::from_utf8_lossy(&self.bytes(name)).into_owned()
    }

    /// What the app noted, without a line that it is still writing.
    pub(crate) fn log(&self) -> Vec<String> {
        let text = self.text("log");
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole.lines().map(str::to_owned).collect()
    }

    pub(crate) fn await_line(&self, line: &str) -> Result<(), String> {
        let is_there = || self.log().iter().any(|noted| noted == line).then_some(());
        let missing = || format!("the app did not note `{line}`; stderr: {}", self.text("err"));
        until(PATIENCE, is_there).ok_or_else(missing)
    }

    /// PID 1 in the namespace, as this namespace sees it.
    pub(crate) fn init(&self) -> Result<Pid, String> {
        let launcher = process::pid(self.launcher.id());
        let init = until(PATIENCE, || process::children(launcher).first().copied());
        init.ok_or_else(|| format!("no PID 1; stderr: {}", self.text("err")))
    }

    /// The app: the first child of PID 1, or PID 1 itself.
    pub(crate) fn app(&self) -> Result<Pid, String> {
        let init = self.init()?;
        Ok(process::children(init).first().copied().unwrap_or(init))
    }

    /// Sends a signal from outside to PID 1.
    pub(crate) fn signal(&self, number: i32) -> Result<(), String> {
        let signal = Signal::from_named_raw(number).ok_or("an unnamed signal")?;
        kill_process(self.init()?, signal).map_err(|error| format!("kill: {error}"))
    }

    /// The exit code, 128+n for a signal; none if it did not end in time.
    pub(crate) fn ends_within(&mut self, patience: Duration) -> Option<i32> {
        let status = until(patience, || self.launcher.try_wait().unwrap())?;
        Some(status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default()))
    }

    pub(crate) fn ends_with(&mut self, code: i32) -> Result<(), String> {
        match self.ends_within(PATIENCE) {
            Some(ended) if ended == code => Ok(()),
            Some(ended) => Err(format!("ended with {ended}, not {code}; stderr: {}", self.text("err"))),
            None => Err(format!("did not end within {PATIENCE:?}")),
        }
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        // It may have ended.
        drop(self.launcher.kill());
        drop(self.launcher.wait());
    }
}

/// A shell script as the app.
pub(crate) fn sh(script: &str) -> Vec<OsString> {
    words(["/bin/sh", "-c", script])
}

pub(crate) fn words<T: AsRef<OsStr>>(words: impl IntoIterator<Item = T>) -> Vec<OsString> {
    words.into_iter().map(|word| word.as_ref().to_owned()).collect()
}

/// A mode of `app.py`.
pub(crate) fn python(mode: &str) -> Vec<OsString> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/pid1/app.py");
    let mut command = words([process::python(), "-I", "-S", script]);
    command.extend(mode.split(' ').map(OsString::from));
    command
}
