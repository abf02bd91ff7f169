//! Running a program: with a deadline, and with both outputs kept apart.

use std::ffi::OsStr;
use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::thread::{self, JoinHandle, sleep};
use std::time::{Duration, Instant};

/// Nothing here takes a fifth of this on an idle machine.
const DEADLINE: Duration = Duration::from_mins(2);
const POLL: Duration = Duration::from_millis(10);

/// How a program ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// The exit code, 128+n for a signal.
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    /// Standard output of a program that must not fail.
    pub(crate) fn success(self, what: &str) -> Result<String, String> {
        if self.code == 0 {
            Ok(self.stdout)
        } else {
            Err(format!("{what}: code {}: {}", self.code, self.said()))
        }
    }

    /// Both outputs, for messages.
    pub(crate) fn said(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }
}

pub(crate) fn run(command: &mut Command) -> Result<Ended, String> {
    let name = command.get_program().display().to_string();
    let told = |error| format!("{name}: {error}");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(told)?;
    let stdout = collect(child.stdout.take());
    let stderr = collect(child.stderr.take());
    let code = wait(&mut child, &name)?;
    Ok(Ended { code, stdout: text(stdout), stderr: text(stderr) })
}

/// A program that is only there or not.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    run(command).is_ok_and(|ended| ended.code == 0)
}

fn collect(stream: Option<impl Read + Send + 'static>) -> JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut stream) = stream {
            // What came before an error is kept, and is all there is to show.
            let _ = stream.read_to_end(&mut bytes);
        }
        bytes
    })
}

fn text(stream: JoinHandle<Vec<u8>>) -> String {
    String::from_utf8_lossy(&stream.join().unwrap_or_default()).into_owned()
}

fn wait(child: &mut Child, name: &str) -> Result<i32, String> {
    use std::os::unix::process::ExitStatusExt as _;
    let end = Instant::now() + DEADLINE;
    while Instant::now() < end {
        if let Some(status) = child.try_wait().map_err(|error| format!("{name}: {error}"))? {
            return Ok(status.code().unwrap_or(128 + status.signal().unwrap_or_default()));
        }
        sleep(POLL);
    }
    // It is being given up; there is nobody to tell that it could not even be killed.
    let _ = child.kill();
    let _ = child.wait();
    Err(format!("{name} did not end in {} s", DEADLINE.as_secs()))
}

/// Asks again and again until there is an answer.
pub(crate) fn until<T>(
    what: &str,
    patience: Duration,
    mut ask: impl FnMut() -> Result<Option<T>, String>,
) -> Result<T, String> {
    let end = Instant::now() + patience;
    loop {
        if let Some(answer) = ask()? {
            return Ok(answer);
        }
        if Instant::now() > end {
            return Err(format!("after {} s still not: {what}", patience.as_secs()));
        }
        sleep(Duration::from_millis(100));
    }
}

pub(crate) fn command(program: impl AsRef<OsStr>, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments);
    command
}
