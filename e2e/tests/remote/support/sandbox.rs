//! cryokey in the network, with an /etc and a /run of its own: real paths and real names, and nothing of this machine.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs;
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::{Duration, Instant};

use e2e::program::until;
use e2e::{program, project};
use rustix::process::{Pid, Signal, kill_process};

use super::{Canaries, Dns, Network, Outcome, Tree};

/// Shows the app's environment, byte for byte.
pub(crate) const SHOW: [&str; 2] = ["/usr/bin/env", "-0"];

/// In $0 is what takes the place of directories of this machine.
const MOUNT: &str =
    r#"mount --bind "$0/etc" /etc && mount --bind "$0/run" /run && cd "$0/work" && exec "$@""#;

/// Without a further word: no resolver, no CA file, no users, no secrets, and a manifest that declares nothing.
pub(crate) struct Sandbox {
    network: &'static Network,
    directory: PathBuf,
    variables: Vec<(String, String)>,
    canaries: Canaries,
    credentials: Canaries,
    is_pid_1: bool,
}

impl Sandbox {
    pub(crate) fn new(network: &'static Network) -> Self {
        let directory = network.scratch();
        for below in ["etc", "run/secrets", "work"] {
            fs::create_dir_all(directory.join(below)).unwrap();
        }
        let sandbox = Self {
            network,
            directory,
            variables: Vec::new(),
            canaries: Canaries::default(),
            credentials: Canaries::default(),
            is_pid_1: false,
        };
        sandbox.variable("PATH", "/usr/bin:/bin").variable("CRYOKEY_LOG", "debug").manifest("")
    }

    /// The manifest; the version is written for it.
    pub(crate) fn manifest(self, text: &str) -> Self {
        let path = "/etc/cryokey.toml";
        self.file(path, format!("version = 1\n{text}")).variable("CRYOKEY_MANIFEST", path)
    }

    /// A variable; one that was there is replaced.
    pub(crate) fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.retain(|(there, _)| there != name);
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// A variable that only cryokey may have.
    pub(crate) fn credential(self, name: &str, value: &str) -> Self {
        self.watch_credential(value).variable(name, value)
    }

    /// A file in `/run/secrets` that only cryokey may read.
    pub(crate) fn credential_file(self, name: &str, value: &str) -> Self {
        self.watch_credential(value).file(&format!("/run/secrets/{name}"), value)
    }

    fn watch_credential(mut self, value: &str) -> Self {
        self.credentials.watch_any(value.as_bytes());
        self.watch(value)
    }

    /// A value that the log must not show.
    pub(crate) fn watch(mut self, value: impl AsRef<[u8]>) -> Self {
        self.canaries.watch(value.as_ref());
        self
    }

    /// All of these values, to search for them elsewhere.
    pub(crate) fn canaries(&self) -> &Canaries {
        &self.canaries
    }

    /// A file below /etc or /run, as cryokey sees it.
    pub(crate) fn file(self, path: &str, content: impl AsRef<[u8]>) -> Self {
        self.write(path, content);
        self
    }

    /// The same while cryokey runs.
    pub(crate) fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        let path = self.at(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// The same, for a program.
    pub(crate) fn executable(self, path: &str, content: &str) -> Self {
        let sandbox = self.file(path, content);
        fs::set_permissions(sandbox.at(path), fs::Permissions::from_mode(0o755)).unwrap();
        sandbox
    }

    /// A symbolic link in place of a file.
    pub(crate) fn link(self, path: &str, target: &str) -> Self {
        let path = self.at(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink(target, path).unwrap();
        self
    }

    pub(crate) fn resolver(self, dns: &Dns) -> Self {
        self.file("/etc/resolv.conf", format!("nameserver {}\n", dns.address()))
    }

    /// A line in /etc/hosts.
    pub(crate) fn host(self, name: &str, address: IpAddr) -> Self {
        let mut hosts = fs::read_to_string(self.at("/etc/hosts")).unwrap_or_default();
        writeln!(hosts, "{address} {name}").unwrap();
        self.file("/etc/hosts", hosts)
    }

    /// cryokey is the first process, as in a container.
    pub(crate) fn pid_1(mut self) -> Self {
        self.is_pid_1 = true;
        self
    }

    fn at(&self, path: &str) -> PathBuf {
        self.directory.join(path.trim_start_matches('/'))
    }

    /// Starts the app that shows its environment.
    pub(crate) fn start(&self) -> Outcome {
        self.run(SHOW)
    }

    /// Starts an app and waits for its end.
    pub(crate) fn run<T: AsRef<OsStr>>(&self, app: impl IntoIterator<Item = T>) -> Outcome {
        let outcome = self.spawn(app).wait();
        self.credentials.refuse(&outcome.stdout);
        outcome
    }

    /// `check`, `explain`; their standard output is cryokey's own.
    pub(crate) fn command(&self, line: &[&str]) -> Outcome {
        let outcome = self.launch(line.iter().map(AsRef::as_ref)).wait();
        self.canaries.refuse(&outcome.stdout);
        outcome
    }

    /// Starts an app, and does not wait.
    pub(crate) fn spawn<T: AsRef<OsStr>>(&self, app: impl IntoIterator<Item = T>) -> Running<'_> {
        let app: Vec<_> = app.into_iter().collect();
        self.launch(["run", "--"].map(OsStr::new).into_iter().chain(app.iter().map(AsRef::as_ref)))
    }

    /// Runs another program in place of cryokey. What it shows is not searched for values.
    pub(crate) fn program<T: AsRef<OsStr>>(
        &self,
        program: &Path,
        line: impl IntoIterator<Item = T>,
    ) -> Outcome {
        self.launch_program(program, line).wait()
    }

    fn launch<'a>(&self, line: impl IntoIterator<Item = &'a OsStr>) -> Running<'_> {
        self.launch_program(&project::binary(), line)
    }

    fn launch_program<T: AsRef<OsStr>>(
        &self,
        program: &Path,
        line: impl IntoIterator<Item = T>,
    ) -> Running<'_> {
        let mut command = self.network.command("unshare");
        command.args(["--mount", "--propagation=private"]);
        if self.is_pid_1 {
            command.args(["--pid", "--fork", "--kill-child", "--mount-proc"]);
        }
        command.args(["--", "/bin/sh", "-c", MOUNT]);
        command.arg(&self.directory).arg(program).args(line);
        command.env_clear().envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.process_group(0);
        let (before, started) = (self.tree(), Instant::now());
        Running { sandbox: self, child: program::start(&mut command).unwrap(), started, before }
    }

    /// What is in the sandbox, to see what was left there.
    fn tree(&self) -> Tree {
        let mut tree = Tree::default();
        tree.add(&self.directory);
        tree
    }
}

/// cryokey or, later, the app.
pub(crate) struct Running<'a> {
    sandbox: &'a Sandbox,
    child: Child,
    started: Instant,
    before: Tree,
}

impl Running<'_> {
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.pid().unwrap(), signal).unwrap();
    }

    /// Until then, a shell prepares its directories, and is no first process that obeys signals.
    pub(crate) fn wait_for_cryokey(&self) {
        until("the shell has become cryokey", Duration::from_secs(20), || {
            let name = self
                .pid()
                .and_then(|pid| fs::read_to_string(format!("/proc/{}/comm", pid.as_raw_nonzero())).ok());
            if name.as_deref().is_some_and(|name| name.trim() == "cryokey") { Ok(()) } else { Err(name) }
        });
    }

    fn pid(&self) -> Option<Pid> {
        if self.sandbox.is_pid_1 { self.first_process() } else { Some(Pid::from_child(&self.child)) }
    }

    /// What unshare forked. Otherwise, no process stands between the test and cryokey.
    fn first_process(&self) -> Option<Pid> {
        let parent = self.child.id();
        let children = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).ok()?;
        Pid::from_raw(children.trim().parse().ok()?)
    }

    #[track_caller]
    pub(crate) fn wait(self) -> Outcome {
        let Self { sandbox, child, started, before } = self;
        let output = program::finish(child).unwrap();
        sandbox.canaries.refuse(&output.stderr);
        Outcome {
            code: output.code,
            stdout: output.stdout,
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            took: started.elapsed(),
            before,
            after: sandbox.tree(),
            canaries: sandbox.canaries.clone(),
        }
    }
}
