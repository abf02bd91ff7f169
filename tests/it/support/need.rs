//! What a test requires, and what happens if it is missing.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

/// What not every machine has.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Need {
    /// To be root, with the right to mount.
    Mounts,
    /// To be root, with PID namespaces.
    PidNamespace,
    /// python3 in /usr/bin.
    Python,
    /// To be root.
    Root,
    /// ssh-keygen and openssl.
    SshKeygen,
    /// strace, and the right to trace.
    Strace,
    /// The same, and to be root: cryokey is not dumpable, so other users cannot see the strings and paths in its calls.
    Trace,
}

/// Whether the test can run. If not, that is written down, and it is a failure in CI: no test is skipped in
/// silence.
pub(crate) fn require(need: Need) -> bool {
    if need.is_met() {
        return true;
    }
    let test = thread::current().name().unwrap_or("a test").to_owned();
    not_run(&test, need.reason());
    false
}

/// Writes down that a test was not run.
pub(crate) fn not_run(test: &str, reason: &str) {
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{test} cannot run: {reason}");
    println!("not run: {test}: {reason}");
    if let Some(path) = std::env::var_os("CRYOKEY_NOT_RUN") {
        let mut file = OpenOptions::new().create(true).append(true).open(path).unwrap();
        file.write_all(format!("{test}\t{reason}\n").as_bytes()).unwrap();
    }
}

pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

impl Need {
    fn is_met(self) -> bool {
        match self {
            Self::Mounts => is_root() && succeeds("unshare -m true"),
            Self::PidNamespace => is_root() && succeeds("unshare --pid --fork --mount-proc true"),
            Self::Python => Path::new("/usr/bin/python3").exists(),
            Self::Root => is_root() && succeeds("setpriv --version"),
            Self::SshKeygen => succeeds("command -v ssh-keygen && command -v openssl"),
            Self::Strace => can_trace(),
            Self::Trace => is_root() && can_trace(),
        }
    }

    fn reason(self) -> &'static str {
        match self {
            Self::Mounts => {
                "it mounts file systems; to run it: run the tests as root, with util-linux installed"
            }
            Self::PidNamespace => {
                "it needs a PID namespace; to run it: run the tests as root, with util-linux installed"
            }
            Self::Python => "there is no /usr/bin/python3; to run it: apt-get install python3",
            Self::Root => "it changes users; to run it: run the tests as root, with util-linux installed",
            Self::Trace => {
                "it reads strings with strace; to run it: run the tests as root, with strace installed"
            }
            Self::SshKeygen => {
                "ssh-keygen or openssl is missing; to run it: apt-get install openssh-client openssl"
            }
            Self::Strace => "strace cannot trace here; to run it: apt-get install strace",
        }
    }
}

fn can_trace() -> bool {
    succeeds("strace -o /dev/null -e inject=openat2:error=ENOSYS true")
}

fn succeeds(line: &str) -> bool {
    let status =
        Command::new("/bin/sh").args(["-c", line]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}
