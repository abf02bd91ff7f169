//! Runs helper programs that the operator configured, such as `credential_process`: without a shell, and with limits on
//! time and output. Their output never appears in a message.

use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, WaitOptions, kill_process_group, waitid, waitpgid,
};
use zeroize::Zeroizing;

use super::{Cause, Deadline, Kind};
use crate::escape::escaped;

/// The output limit in bytes. Credentials and tokens take a few kilobytes.
const LIMIT: usize = 64 << 10;

/// Time reserved at the end of the startup timeout to stop the program and report it.
const MARGIN: Duration = Duration::from_millis(100);

/// The interval for polling the exit of a program that has closed its output.
const PAUSE: Duration = Duration::from_millis(2);

/// The part of cryokey's environment that helper programs inherit.
pub type Variables = Vec<(&'static OsStr, &'static OsStr)>;

/// A program, its arguments and its environment.
#[derive(Clone)]
pub struct Helper {
    /// The program, followed by its arguments, which may contain secrets.
    pub words: Vec<String>,
    /// The part of cryokey's environment that the program inherits.
    pub environment: Variables,
    /// Variables in addition, which override those. Their values may be secret.
    pub more: Vec<(String, String)>,
}

impl Helper {
    /// Runs the program and returns its standard output.
    pub fn run(&self, deadline: Deadline) -> Result<Zeroizing<Vec<u8>>, HelperError> {
        let deadline = Deadline::after(deadline.remaining().saturating_sub(MARGIN));
        let (mut running, stdout) = Running::start(&mut self.command())?;
        let output = read(&stdout, deadline)?;
        running.end(deadline)?;
        Ok(output)
    }

    /// The program without its arguments, escaped for messages.
    #[must_use]
    pub fn program(&self) -> String {
        self.words.first().map(escaped).unwrap_or_default()
    }

    /// Standard error is discarded; a process group of its own allows stopping the program's children too.
    fn command(&self) -> Command {
        let (program, arguments) = self.words.split_first().map_or(("", &[][..]), |(it, rest)| (it, rest));
        #[expect(
            clippy::disallowed_methods,
            reason = "a helper program runs beside cryokey, which it cannot become"
        )]
        let mut command = Command::new(program);
        command.args(arguments).env_clear().envs(self.environment.iter().copied()).process_group(0);
        command.envs(self.more.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        command
    }
}

impl fmt::Debug for Helper {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Helper").field("program", &self.program()).finish_non_exhaustive()
    }
}

/// A running program. Dropping it kills its process group and reaps the children that cryokey inherits as PID 1, so
/// that no zombies remain.
struct Running {
    child: Child,
    is_over: bool,
}

impl Running {
    fn start(command: &mut Command) -> Result<(Self, ChildStdout), HelperError> {
        let mut child = command.spawn().map_err(|error| HelperError::NotStarted(error.kind()))?;
        let stdout = child.stdout.take();
        let running = Self { child, is_over: false };
        Ok((running, stdout.ok_or(HelperError::NotStarted(io::ErrorKind::BrokenPipe))?))
    }

    fn end(&mut self, deadline: Deadline) -> Result<(), HelperError> {
        while !self.has_ended() {
            if deadline.has_passed() {
                return Err(HelperError::TimedOut);
            }
            thread::sleep(PAUSE);
        }
        self.stop().map_or(Ok(()), judged)
    }

    /// Whether the program has exited. It is not reaped, so its PID stays reserved.
    fn has_ended(&self) -> bool {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        !matches!(waitid(WaitId::Pid(self.group()), options), Ok(None))
    }

    /// Kills the process group and reaps it. `None` if SIGCHLD is ignored, since the kernel then discards the exit
    /// status.
    fn stop(&mut self) -> Option<ExitStatus> {
        let group = self.group();
        self.is_over = true;
        // Fails only if no process of the group remains.
        let _ = kill_process_group(group, Signal::KILL);
        let status = self.child.wait().ok();
        while let Ok(Some(_)) | Err(Errno::INTR) = waitpgid(group, WaitOptions::empty()) {}
        status
    }

    fn group(&self) -> Pid {
        Pid::from_child(&self.child)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // After reaping, the PID may belong to another process.
        if !self.is_over {
            self.stop();
        }
    }
}

fn judged(status: ExitStatus) -> Result<(), HelperError> {
    match (status.code(), status.signal()) {
        (Some(0), _) => Ok(()),
        (Some(code), _) => Err(HelperError::Failed { code }),
        (None, signal) => Err(HelperError::Killed { signal: signal.unwrap_or_default() }),
    }
}

/// Reads the complete output. The buffer has its full size from the start, since reallocation would leave an unwiped
/// copy.
fn read(stdout: &ChildStdout, deadline: Deadline) -> Result<Zeroizing<Vec<u8>>, HelperError> {
    let mut output = Zeroizing::new(vec![0; LIMIT + 1]);
    let mut length = 0;
    while let Some(room) = output.get_mut(length..).filter(|room| !room.is_empty()) {
        wait(stdout, deadline)?;
        match rustix::io::read(stdout, room) {
            Ok(0) => {
                output.truncate(length);
                return Ok(output);
            }
            Ok(count) => length += count,
            Err(Errno::INTR) => {}
            Err(_) => return Err(HelperError::Io),
        }
    }
    Err(HelperError::TooMuch)
}

fn wait(stdout: &ChildStdout, deadline: Deadline) -> Result<(), HelperError> {
    loop {
        let left = deadline.remaining();
        if left.is_zero() {
            return Err(HelperError::TimedOut);
        }
        let mut polled = [PollFd::new(stdout, PollFlags::IN)];
        // A timeout beyond the kernel's range means no timeout.
        let left = Timespec::try_from(left).ok();
        if matches!(poll(&mut polled, left.as_ref()), Ok(1..)) {
            return Ok(());
        }
    }
}

/// What platforms put into the environment to sign a container in: the app keeps it, a helper program does not get it.
const OF_PLATFORMS: [&str; 2] = ["AWS_CONTAINER_AUTHORIZATION_TOKEN", "IDENTITY_HEADER"];

/// Whether a helper program may receive the variable. Values that sign cryokey in are withheld.
#[must_use]
pub fn may_know(name: &[u8]) -> bool {
    let is_withheld = |name| super::bootstrap::is_secret(name) || OF_PLATFORMS.contains(&name);
    !std::str::from_utf8(name).is_ok_and(is_withheld)
}

/// Why a helper program returned no usable output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HelperError {
    /// The program could not be started.
    NotStarted(io::ErrorKind),
    /// The program exited with a code other than 0.
    Failed {
        /// The code.
        code: i32,
    },
    /// A signal terminated the program.
    Killed {
        /// The signal.
        signal: i32,
    },
    /// The program did not exit before the startup timeout expired.
    TimedOut,
    /// The program printed more than 64 KiB.
    TooMuch,
    /// Reading the program's output failed.
    Io,
}

impl Cause for HelperError {
    fn kind(&self) -> Kind {
        match self {
            Self::NotStarted(_) => Kind::Misconfigured,
            Self::Failed { .. } | Self::Killed { .. } => Kind::Denied,
            Self::TimedOut => Kind::TimedOut,
            Self::TooMuch => Kind::Nonsense,
            Self::Io => Kind::Io,
        }
    }

    fn what(&self, place: &str) -> String {
        match self {
            Self::NotStarted(io::ErrorKind::NotFound) => format!("{place}, does not exist"),
            Self::NotStarted(io::ErrorKind::PermissionDenied) => format!("{place}, may not be executed"),
            Self::NotStarted(kind) => format!("{place}, cannot be started: {kind}"),
            Self::Failed { code } => format!("{place}, exited with {code}"),
            Self::Killed { signal } => format!("{place}, was stopped by signal {signal}"),
            Self::TimedOut => format!("{place}, did not end before the startup timeout expired"),
            Self::TooMuch => format!("{place}, printed more than {LIMIT} bytes"),
            Self::Io => format!("{place}: its output cannot be read"),
        }
    }

    fn fix(&self) -> String {
        match self {
            Self::NotStarted(_) => "install the program in the image, or correct what names it".into(),
            Self::Failed { .. } | Self::Killed { .. } | Self::TooMuch | Self::Io => {
                "run it by hand as the same user: cryokey shows nothing that it prints".into()
            }
            Self::TimedOut => "find out what it waits for, or raise CRYOKEY_START_TIMEOUT".into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    fn helper(words: &[&str]) -> Helper {
        let words = words.iter().map(|word| (*word).to_owned()).collect();
        Helper { words, environment: vec![("PATH".as_ref(), "/usr/bin:/bin".as_ref())], more: Vec::new() }
    }

    fn script(text: &str) -> Helper {
        helper(&["sh", "-c", text])
    }

    fn soon() -> Deadline {
        Deadline::after(Duration::from_secs(20))
    }

    fn error(text: &str, deadline: Deadline) -> HelperError {
        script(text).run(deadline).unwrap_err()
    }

    #[test]
    fn output_is_read_to_its_end_and_only_standard_output() {
        let output = script("cat; echo one; echo canary >&2; sleep 0.05; echo two").run(soon()).unwrap();
        assert_eq!(&output[..], b"one\ntwo\n");
    }

    #[test]
    fn a_program_that_fails_or_prints_too_much_is_refused() {
        assert_eq!(error("echo '{}'; exit 3", soon()), HelperError::Failed { code: 3 });
        assert_eq!(error("kill -9 $$", soon()), HelperError::Killed { signal: 9 });
        assert_eq!(error("cat /dev/zero", soon()), HelperError::TooMuch);
        let nothing = helper(&["/nonexistent/helper"]).run(soon()).unwrap_err();
        assert_eq!(nothing, HelperError::NotStarted(io::ErrorKind::NotFound));
        let all = script(&format!("head -c {LIMIT} /dev/zero")).run(soon()).unwrap();
        assert_eq!(all.len(), LIMIT);
    }

    #[test]
    fn a_program_is_ended_at_the_deadline_with_what_it_started() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pid");
        for rest in ["wait", "exec >&-; wait"] {
            let started = Instant::now();
            let text = format!("sleep 60 & echo $! > {}; {rest}", path.display());
            assert_eq!(error(&text, Deadline::after(Duration::from_millis(400))), HelperError::TimedOut);
            assert!(started.elapsed() < Duration::from_secs(10));
            let pid = String::from_utf8(crate::system::read::read_path(&path).unwrap().0).unwrap();
            assert!(is_gone(pid.trim()), "{rest}");
        }
    }

    #[test]
    fn output_that_trickles_does_not_move_the_deadline() {
        let started = Instant::now();
        let text = "for byte in $(seq 30); do sleep 0.2; printf x; done";
        assert_eq!(error(text, Deadline::after(Duration::from_secs(1))), HelperError::TimedOut);
        assert!(started.elapsed() < Duration::from_secs(5));
    }

    /// Whether the process no longer exists, or is a zombie that its new parent has not reaped yet.
    fn is_gone(pid: &str) -> bool {
        let path = format!("/proc/{pid}/stat");
        (0..100).any(|_| {
            thread::sleep(Duration::from_millis(20));
            let stat =
                crate::system::read::read_path(path.as_ref()).map(|(bytes, _)| bytes).unwrap_or_default();
            stat.is_empty() || String::from_utf8_lossy(&stat).contains(") Z ")
        })
    }

    #[test]
    fn what_a_program_leaves_behind_ends_with_it() {
        let output = script("sleep 60 >&- 2>&- & echo $!").run(soon()).unwrap();
        assert!(is_gone(String::from_utf8_lossy(&output).trim()));
    }

    #[test]
    fn a_program_gets_the_variables_that_are_given_and_no_others() {
        assert_eq!(&helper(&["env"]).run(soon()).unwrap()[..], b"PATH=/usr/bin:/bin\n");
        let more = vec![("PATH".to_owned(), "/bin".to_owned()), ("A".to_owned(), "canary".to_owned())];
        let helper = Helper { more, ..helper(&["/usr/bin/env"]) };
        assert_eq!(&helper.run(soon()).unwrap()[..], b"A=canary\nPATH=/bin\n");
        assert!(!format!("{helper:?}").contains("canary"));
        assert!(may_know(b"HOME") && may_know(b"AWS_PROFILE") && may_know(b"\xff"));
        for name in
            ["AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "VAULT_TOKEN", "BAO_TOKEN", "IDENTITY_HEADER"]
        {
            assert!(!may_know(name.as_bytes()), "{name}");
        }
    }
}
