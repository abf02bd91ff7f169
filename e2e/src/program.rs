//! Running a program: with a deadline, and with both outputs kept apart.

use std::ffi::OsStr;
use std::fmt::Debug;
use std::io::{self, Read};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, Stdio};
use std::thread::{self, JoinHandle, sleep};
use std::time::{Duration, Instant};

/// Nothing here takes a fifth of this on an idle machine.
const DEADLINE: Duration = Duration::from_mins(2);
const POLL: Duration = Duration::from_millis(10);

/// How a program ended.
#[derive(Debug)]
pub struct Ended {
    /// The exit code, 128+n for a signal.
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Ended {
    /// Panics if it ended with another code.
    #[track_caller]
    pub fn with(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{}", self.said());
        self
    }

    /// Both outputs.
    pub fn said(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }
}

pub fn command<T: AsRef<OsStr>>(
    program: impl AsRef<OsStr>,
    arguments: impl IntoIterator<Item = T>,
) -> Command {
    let mut command = Command::new(program);
    command.args(arguments);
    command
}

/// Runs a program that is installed.
#[track_caller]
pub fn run(command: &mut Command) -> Ended {
    try_run(command).unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

pub fn try_run(command: &mut Command) -> io::Result<Ended> {
    let Output { code, stdout, stderr } = finish(start(command)?)?;
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Ok(Ended { code, stdout: text(stdout), stderr: text(stderr) })
}

/// What a program left, byte for byte.
pub struct Output {
    /// The exit code, 128+n for a signal.
    pub code: i32,
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
}

/// Starts a program for [`finish`].
pub fn start(command: &mut Command) -> io::Result<Child> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()
}

/// Waits for its end.
pub fn finish(mut child: Child) -> io::Result<Output> {
    let stdout = collect(child.stdout.take());
    let stderr = collect(child.stderr.take());
    let code = wait(&mut child)?;
    Ok(Output { code, stdout: stdout.join().unwrap(), stderr: stderr.join().unwrap() })
}

fn collect(stream: Option<impl Read + Send + 'static>) -> JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        stream.unwrap().read_to_end(&mut bytes).unwrap();
        bytes
    })
}

fn wait(child: &mut Child) -> io::Result<i32> {
    let end = Instant::now() + DEADLINE;
    while Instant::now() < end {
        if let Some(status) = child.try_wait()? {
            return Ok(status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default()));
        }
        sleep(POLL);
    }
    child.kill()?;
    child.wait()?;
    Err(io::Error::other(format!("it did not end in {} s", DEADLINE.as_secs())))
}

/// Asks again and again until there is an answer; panics with the last reason for having none.
#[track_caller]
pub fn until<T, E: Debug>(what: &str, patience: Duration, mut ask: impl FnMut() -> Result<T, E>) -> T {
    let end = Instant::now() + patience;
    loop {
        match ask() {
            Ok(answer) => return answer,
            Err(reason) if Instant::now() > end => {
                panic!("after {} s still not: {what}: {reason:?}", patience.as_secs())
            }
            Err(_) => sleep(Duration::from_millis(100)),
        }
    }
}
