//! A network and a mount namespace, in which servers run that must not meet those of this machine.

use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File};
use std::io::{BufRead as _, BufReader};
use std::os::fd::AsFd as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// In a session of its own, a Ctrl-C at the terminal reaches only the tests.
const START: [&str; 7] = ["setsid", "unshare", "--net", "--mount", "--propagation=private", "/bin/sh", "-c"];

const HOLD: &str = r#"ip link set lo up; "$0" "$1"; rm -rf --one-file-system "$1""#;

/// A script in namespaces of its own, with a directory for what it and the tests leave.
///
/// The test harness ends the process without dropping what its tests share. So the script ends when its standard input
/// does: the kernel closes that at the end of the tests, also if they fail or are killed.
pub struct Namespace {
    holder: Child,
    directory: PathBuf,
    scratches: AtomicUsize,
}

impl Namespace {
    /// Starts the script with the directory as its argument. Its first line is `ready`, or why it cannot be.
    pub fn start(name: &str, script: &Path) -> Result<Self, String> {
        if !rustix::process::geteuid().is_root() {
            return Err("it needs root; to run it: run the same tests as root".to_owned());
        }
        let directory = std::env::temp_dir().join(format!("cryokey-{name}-{}", std::process::id()));
        DirBuilder::new().mode(0o700).create(&directory).unwrap();
        let mut command = Command::new(START[0]);
        command.args(&START[1..]).arg(HOLD).arg(script).arg(&directory);
        let holder = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut holder =
            holder.map_err(|error| format!("setsid: {error}; to run it: apt-get install util-linux"))?;
        let mut line = String::new();
        BufReader::new(holder.stdout.take().unwrap()).read_line(&mut line).unwrap();
        match line.trim_end() {
            "ready" => Ok(Self { holder, directory, scratches: AtomicUsize::new(0) }),
            "" => Err(format!("{} ended too early", script.display())),
            reason => Err(reason.to_owned()),
        }
    }

    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// An empty directory that is removed with the namespace.
    pub fn scratch(&self) -> PathBuf {
        let number = self.scratches.fetch_add(1, Ordering::Relaxed);
        let path = self.directory.join(format!("scratch/{number}"));
        fs::create_dir_all(&path).unwrap();
        path
    }

    /// A program in the network namespace, with the mounts of this machine.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net={}", self.network())).arg("--").arg(program);
        command
    }

    fn network(&self) -> String {
        format!("/proc/{}/ns/net", self.holder.id())
    }

    /// Does something in the network namespace. Programs that are started there run in it, too.
    pub fn inside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let network = File::open(self.network()).unwrap();
        let enter = || {
            move_into_link_name_space(network.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
            work()
        };
        // The namespace is a thread's own: this one ends with the work.
        thread::scope(|scope| scope.spawn(enter).join()).unwrap()
    }
}
