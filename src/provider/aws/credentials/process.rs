//! `credential_process`: a program of the operator's that prints credentials. It is started without a shell, and what it
//! prints gets into no message.

use std::fmt;
use std::io;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

use jiff::Timestamp;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, WaitOptions, kill_process_group, waitid, waitpgid,
};
use zeroize::Zeroizing;

use super::profile_error::ProfileError;
use super::shared::{Said, Variables};
use crate::escape::escaped;
use crate::provider::aws::sigv4::Credentials;
use crate::provider::json::Json;
use crate::provider::{Cause, Deadline, Kind, ProviderError};

/// Credentials have a few kilobytes; a program that prints more prints something else.
const LIMIT: usize = 64 << 10;

/// What is kept of the startup timeout to stop the program, and to say so.
const MARGIN: Duration = Duration::from_millis(100);

/// How often to look whether it has ended, once it prints nothing any more.
const PAUSE: Duration = Duration::from_millis(2);

/// A program, and for which profile.
pub(super) struct Helper {
    profile: String,
    words: Vec<String>,
    environment: Variables,
}

impl Helper {
    /// The program of a profile.
    pub(super) fn of(said: Said<'_>, environment: &Variables) -> Result<Option<Self>, ProviderError> {
        const KEY: &str = "credential_process";
        let Some(line) = said.get(KEY) else { return Ok(None) };
        if let Some(file) = said.foreign(KEY) {
            return Err(ProfileError::Foreign { file }.at(said.shown()));
        }
        let wrong = ProfileError::Value { key: KEY, expected: "a command line: a quotation mark is missing" };
        let words = split(line).ok_or_else(|| wrong.at(said.shown()))?;
        Ok(Some(Self { profile: said.shown(), words, environment: environment.clone() }))
    }

    /// Runs it, and reads what it prints.
    pub(super) fn obtain(&self, deadline: Deadline) -> Result<Credentials, ProviderError> {
        let deadline = Deadline::after(deadline.remaining().saturating_sub(MARGIN));
        let keys = self.run(deadline).and_then(|output| credentials(&output, Timestamp::now()));
        keys.map_err(|error| ProviderError::new(self.place(), error))
    }

    fn run(&self, deadline: Deadline) -> Result<Zeroizing<Vec<u8>>, ProcessError> {
        let (mut running, stdout) = Running::start(&mut self.command())?;
        let output = read(&stdout, deadline)?;
        running.end(deadline)?;
        Ok(output)
    }

    /// Its output cannot be mixed up with the app's, and what it leaves behind can be ended with it.
    fn command(&self) -> Command {
        let (program, arguments) = self.words.split_first().map_or(("", &[][..]), |(it, rest)| (it, rest));
        #[expect(
            clippy::disallowed_methods,
            reason = "a helper program runs beside cryokey, which it cannot become"
        )]
        let mut command = Command::new(program);
        command.args(arguments).env_clear().envs(self.environment.iter().copied()).process_group(0);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        command
    }

    /// The program without its arguments, which may be secrets.
    fn place(&self) -> String {
        let program = self.words.first().map(escaped).unwrap_or_default();
        format!("`{program}`, the credential_process of the AWS profile `{}`", self.profile)
    }
}

impl fmt::Debug for Helper {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Helper").field("profile", &self.profile).finish_non_exhaustive()
    }
}

/// A program that is ended, with all of its process group, when it is dropped. No zombie stays, also where cryokey is
/// PID 1 and inherits the orphans.
struct Running {
    child: Child,
    is_over: bool,
}

impl Running {
    fn start(command: &mut Command) -> Result<(Self, ChildStdout), ProcessError> {
        let mut child = command.spawn().map_err(|error| ProcessError::NotStarted(error.kind()))?;
        let stdout = child.stdout.take();
        let running = Self { child, is_over: false };
        Ok((running, stdout.ok_or(ProcessError::NotStarted(io::ErrorKind::BrokenPipe))?))
    }

    fn end(&mut self, deadline: Deadline) -> Result<(), ProcessError> {
        while !self.has_ended() {
            if deadline.has_passed() {
                return Err(ProcessError::TimedOut);
            }
            thread::sleep(PAUSE);
        }
        self.stop().map_or(Ok(()), judged)
    }

    /// Whether it has ended, which leaves its number in use.
    fn has_ended(&self) -> bool {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        !matches!(waitid(WaitId::Pid(self.group()), options), Ok(None))
    }

    /// Ends what still runs of it. Without a status where the children of cryokey vanish, because SIGCHLD is ignored.
    fn stop(&mut self) -> Option<ExitStatus> {
        let group = self.group();
        self.is_over = true;
        // That nothing is left of it is no failure.
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
        // Once it is over, its number can be another program's.
        if !self.is_over {
            self.stop();
        }
    }
}

fn judged(status: ExitStatus) -> Result<(), ProcessError> {
    match (status.code(), status.signal()) {
        (Some(0), _) => Ok(()),
        (Some(code), _) => Err(ProcessError::Failed { code }),
        (None, signal) => Err(ProcessError::Killed { signal: signal.unwrap_or_default() }),
    }
}

/// All of its output. The buffer has its final size from the start: growing would leave copies behind.
fn read(stdout: &ChildStdout, deadline: Deadline) -> Result<Zeroizing<Vec<u8>>, ProcessError> {
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
            Err(_) => return Err(ProcessError::NoCredentials),
        }
    }
    Err(ProcessError::TooMuch)
}

fn wait(stdout: &ChildStdout, deadline: Deadline) -> Result<(), ProcessError> {
    loop {
        let left = deadline.remaining();
        if left.is_zero() {
            return Err(ProcessError::TimedOut);
        }
        let mut polled = [PollFd::new(stdout, PollFlags::IN)];
        // One too long for the kernel never ends.
        let left = Timespec::try_from(left).ok();
        if matches!(poll(&mut polled, left.as_ref()), Ok(1..)) {
            return Ok(());
        }
    }
}

/// What it printed, as AWS's tools want it.
fn credentials(output: &[u8], now: Timestamp) -> Result<Credentials, ProcessError> {
    let json = Json::parse(output).ok_or(ProcessError::NoCredentials)?;
    let is_known = json.at(&["Version"]).and_then(Json::integer) == Some(1);
    if !is_known {
        return Err(ProcessError::Version);
    }
    let present = |name| json.at(&[name]).filter(|json| !json.is_null());
    let member = |name| present(name)?.secret().filter(|secret| !secret.expose().is_empty());
    if let Some(expiration) = present("Expiration") {
        let expiration = expiration.text().and_then(|text| text.parse::<Timestamp>().ok());
        if expiration.ok_or(ProcessError::NoCredentials)? <= now {
            return Err(ProcessError::Expired);
        }
    }
    Ok(Credentials {
        access_key_id: member("AccessKeyId").ok_or(ProcessError::NoCredentials)?,
        secret_access_key: member("SecretAccessKey").ok_or(ProcessError::NoCredentials)?,
        session_token: member("SessionToken"),
    })
}

/// The words of a command line as a POSIX shell splits it, without anything else that a shell does; `None` if it has no
/// word, or a quotation has no end.
fn split(line: &str) -> Option<Vec<String>> {
    let (mut words, mut word) = (Vec::new(), None::<String>);
    let mut rest = line.chars();
    while let Some(character) = rest.next() {
        if character.is_ascii_whitespace() {
            words.extend(word.take());
            continue;
        }
        let word = word.get_or_insert_default();
        match character {
            '\'' => quoted(&mut rest, word)?,
            '"' => double_quoted(&mut rest, word)?,
            '\\' => word.push(rest.next()?),
            _ => word.push(character),
        }
    }
    words.extend(word);
    Some(words).filter(|words| words.first().is_some_and(|program| !program.is_empty()))
}

fn quoted(rest: &mut impl Iterator<Item = char>, word: &mut String) -> Option<()> {
    loop {
        match rest.next()? {
            '\'' => return Some(()),
            character => word.push(character),
        }
    }
}

/// A backslash stands for itself here, except before a quotation mark or another one.
fn double_quoted(rest: &mut impl Iterator<Item = char>, word: &mut String) -> Option<()> {
    loop {
        match rest.next()? {
            '"' => return Some(()),
            '\\' => match rest.next()? {
                character @ ('"' | '\\') => word.push(character),
                character => word.extend(['\\', character]),
            },
            character => word.push(character),
        }
    }
}

/// Whether a helper program may know a variable: it does not sign cryokey in somewhere.
pub fn may_know(name: &[u8]) -> bool {
    !std::str::from_utf8(name).is_ok_and(crate::provider::bootstrap::is_secret)
}

/// Why a program gave no credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ProcessError {
    NotStarted(io::ErrorKind),
    Failed { code: i32 },
    Killed { signal: i32 },
    TimedOut,
    TooMuch,
    NoCredentials,
    Version,
    Expired,
}

impl Cause for ProcessError {
    fn kind(&self) -> Kind {
        match self {
            Self::NotStarted(_) => Kind::Misconfigured,
            Self::Failed { .. } | Self::Killed { .. } | Self::Expired => Kind::Denied,
            Self::TimedOut => Kind::TimedOut,
            Self::TooMuch | Self::NoCredentials | Self::Version => Kind::Nonsense,
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
            Self::NoCredentials => format!("{place}, printed no credentials in the form of AWS"),
            Self::Version => format!("{place}, printed no credentials of `Version` 1"),
            Self::Expired => format!("{place}, printed credentials that have expired"),
        }
    }

    fn fix(&self) -> String {
        match self {
            Self::NotStarted(_) => "install the program in the image, or correct the command line".into(),
            Self::Failed { .. } | Self::Killed { .. } => {
                "run it by hand as the same user: cryokey shows nothing that it prints".into()
            }
            Self::TimedOut => "find out what it waits for, or raise CRYOKEY_START_TIMEOUT".into(),
            Self::TooMuch | Self::NoCredentials | Self::Version => {
                "let it print JSON with `Version` 1, `AccessKeyId` and `SecretAccessKey`".into()
            }
            Self::Expired => "renew what it signs in with, or its cache".into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use proptest::prelude::*;

    use super::*;

    fn helper(words: &[&str]) -> Helper {
        let words = words.iter().map(|word| (*word).to_owned()).collect();
        Helper { profile: "a".into(), words, environment: vec![("PATH".as_ref(), "/usr/bin:/bin".as_ref())] }
    }

    fn script(text: &str) -> Helper {
        helper(&["sh", "-c", text])
    }

    fn soon() -> Deadline {
        Deadline::after(Duration::from_secs(20))
    }

    fn error(text: &str, deadline: Deadline) -> ProcessError {
        script(text).run(deadline).unwrap_err()
    }

    fn judge(json: &str) -> Result<String, ProcessError> {
        let now = "2026-01-01T00:00:00Z".parse().unwrap();
        let keys = credentials(json.as_bytes(), now)?;
        let all = [Some(&keys.access_key_id), Some(&keys.secret_access_key), keys.session_token.as_ref()];
        let text = |secret: &crate::secret::Secret| String::from_utf8(secret.expose().to_vec()).unwrap();
        Ok(all.into_iter().flatten().map(text).collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn credentials_are_what_awss_tools_take() {
        let with = |rest| judge(&format!(r#"{{"Version":1,"AccessKeyId":"A","SecretAccessKey":"B"{rest}}}"#));
        assert_eq!(with("").unwrap(), "A B");
        assert_eq!(with(r#","SessionToken":"C","Expiration":"2026-01-01T00:00:01+00:00""#).unwrap(), "A B C");
        assert_eq!(with(r#","SessionToken":null,"Expiration":null"#).unwrap(), "A B");
        assert_eq!(with(r#","Expiration":"2026-01-01T00:00:00Z""#), Err(ProcessError::Expired));
        assert_eq!(with(r#","Expiration":"tomorrow""#), Err(ProcessError::NoCredentials));
        assert_eq!(judge(r#"{"Version":2}"#), Err(ProcessError::Version));
        assert_eq!(judge("{}"), Err(ProcessError::Version));
        assert_eq!(judge(r#"{"Version":1,"AccessKeyId":"A"}"#), Err(ProcessError::NoCredentials));
        assert_eq!(judge("canary"), Err(ProcessError::NoCredentials));
    }

    #[test]
    fn output_is_read_to_its_end_and_only_standard_output() {
        let output = script("cat; echo one; echo canary >&2; sleep 0.05; echo two").run(soon()).unwrap();
        assert_eq!(&output[..], b"one\ntwo\n");
    }

    #[test]
    fn a_program_that_fails_or_prints_too_much_is_refused() {
        assert_eq!(error("echo '{}'; exit 3", soon()), ProcessError::Failed { code: 3 });
        assert_eq!(error("kill -9 $$", soon()), ProcessError::Killed { signal: 9 });
        assert_eq!(error("cat /dev/zero", soon()), ProcessError::TooMuch);
        let nothing = helper(&["/nonexistent/helper"]).run(soon()).unwrap_err();
        assert_eq!(nothing, ProcessError::NotStarted(io::ErrorKind::NotFound));
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
            assert_eq!(error(&text, Deadline::after(Duration::from_millis(400))), ProcessError::TimedOut);
            assert!(started.elapsed() < Duration::from_secs(10));
            let pid = String::from_utf8(crate::system::read::read_path(&path).unwrap().0).unwrap();
            assert!(is_gone(pid.trim()), "{rest}");
        }
    }

    #[test]
    fn output_that_trickles_does_not_move_the_deadline() {
        let started = Instant::now();
        let text = "for byte in $(seq 30); do sleep 0.2; printf x; done";
        assert_eq!(error(text, Deadline::after(Duration::from_secs(1))), ProcessError::TimedOut);
        assert!(started.elapsed() < Duration::from_secs(5));
    }

    /// Without a process, or with one that its new parent has not looked at yet.
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
        assert!(may_know(b"HOME") && may_know(b"AWS_PROFILE") && may_know(b"\xff"));
        for name in ["AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "VAULT_TOKEN", "BAO_TOKEN"] {
            assert!(!may_know(name.as_bytes()), "{name}");
        }
    }

    #[test]
    fn no_message_shows_arguments_or_output() {
        let told = script("echo canary; exit 1").obtain(soon()).unwrap_err();
        let told = format!("{told} {told:?} {}", told.fix());
        assert!(told.contains("`sh`") && !told.contains("canary"), "{told}");
        assert!(!format!("{:?}", script("canary")).contains("canary"));
    }

    #[test]
    fn a_line_is_split_as_a_shell_does_and_nothing_is_expanded() {
        let cases: &[(&str, &[&str])] = &[
            (" a  b\tc ", &["a", "b", "c"]),
            (r#""/opt/my tool" --x='a "b"' \"c"#, &["/opt/my tool", r#"--x=a "b""#, "\"c"]),
            (r#"a"b"'c'\ d ''"#, &["abc d", ""]),
            (r#""\$x \" \\ \n""#, &[r#"\$x " \ \n"#]),
            ("a $(b) `c` | d > ~/e # f", &["a", "$(b)", "`c`", "|", "d", ">", "~/e", "#", "f"]),
        ];
        for (line, words) in cases {
            assert_eq!(split(line).unwrap(), *words, "{line}");
        }
        for line in ["", "  ", "a 'b", "a \"b", "\"a\\", "a\\", "'' a"] {
            assert!(split(line).is_none(), "{line}");
        }
    }

    proptest! {
        #[test]
        fn quoted_words_come_back(words in proptest::collection::vec("[^']{1,20}", 1..6)) {
            let line = words.iter().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(" ");
            prop_assert_eq!(split(&line), Some(words));
        }

        #[test]
        fn any_line_is_split_or_refused(line in "[ab \"'\\\\\t$]{0,30}") {
            let _ = split(&line);
        }
    }
}
