//! What a shell with job control sees of cryokey and of the app.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use crate::support::{CRYOKEY, Test, started, terminal};

const PATIENCE: Duration = Duration::from_secs(10);

const CTRL_Z: &str = "\x1a";

/// A terminal, what was started on it, and who sits before it.
struct Shell {
    leader: Child,
    keyboard: File,
    screen: Receiver<Vec<u8>>,
    shown: String,
    test: Test,
}

impl Shell {
    /// An interactive bash, in which `run` is a cryokey that supervises.
    fn start() -> Self {
        let mut shell = Self::of(["bash", "--norc", "--noprofile", "-i"].map(OsString::from));
        let words = started(CRYOKEY.clone()).map(|word| word.into_string().unwrap());
        let words: Vec<String> = words.collect();
        shell.types(&format!("run() {{ {} run --supervise -- \"$@\"; }}\n", words.join(" ")));
        shell
    }

    fn of(words: impl IntoIterator<Item = OsString>) -> Self {
        let (keyboard, line) = terminal();
        let stream = || Stdio::from(line.try_clone().unwrap());
        let test = Test::with("");
        let leader = Command::new("setsid")
            .arg("--ctty")
            .args(words)
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("PS1", "$ ")
            .env("CRYOKEY_MANIFEST", test.at("cryokey.toml"))
            .env("CRYOKEY_SECRETS_DIR", test.at("secrets"))
            .env("CRYOKEY_LOG", "error")
            .stdin(stream())
            .stdout(stream())
            .stderr(stream())
            .spawn()
            .unwrap();
        let keyboard = File::from(keyboard);
        let screen = shown_by(keyboard.try_clone().unwrap());
        Self { leader, keyboard, screen, shown: String::new(), test }
    }

    fn types(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
    }

    /// Waits for this text; what was before it is not looked at again.
    #[track_caller]
    fn shows(&mut self, text: &str) {
        loop {
            if let Some(place) = self.shown.find(text) {
                self.shown.drain(..place + text.len());
                return;
            }
            let more = self.screen.recv_timeout(PATIENCE);
            let more = more.unwrap_or_else(|_| panic!("`{text}` is not in {:?}", self.shown));
            self.shown.push_str(&String::from_utf8_lossy(&more));
        }
    }
}

impl Drop for Shell {
    /// The terminal is hung up, which ends what is left on it.
    fn drop(&mut self) {
        let _ = self.leader.kill();
        let _ = self.leader.wait();
    }
}

fn shown_by(mut keyboard: File) -> Receiver<Vec<u8>> {
    let (sender, screen) = channel();
    thread::spawn(move || {
        let mut bytes = [0; 4_096];
        while let Ok(length) = keyboard.read(&mut bytes) {
            if length == 0 || sender.send(bytes[..length].to_vec()).is_err() {
                return;
            }
        }
    });
    screen
}

#[test]
fn an_app_that_was_sent_to_the_background_ends_without_taking_the_terminal_from_the_shell() {
    let mut shell = Shell::start();
    shell.types("run sh -c 'echo ru\"\"ns; exec sleep 1'\n");
    shell.shows("\nruns");
    shell.types(CTRL_Z);
    shell.shows("Stopped");
    shell.types("bg; cat\n");
    thread::sleep(Duration::from_millis(1_500));
    // `cat` still has the terminal, and after it the shell.
    for line in ["once", "again"] {
        shell.types(&format!("{line}\n"));
        shell.shows(&format!("{line}\r\n{line}\r\n"));
    }
    shell.types("\x04");
    shell.types("echo a\"\"live\n");
    shell.shows("Done");
    shell.shows("alive");
}

#[test]
fn an_app_in_the_background_that_reads_the_terminal_is_stopped_with_cryokey_and_goes_on_in_the_foreground() {
    let mut shell = Shell::start();
    shell.types("run sh -c 'read x; echo g\"\"ot $x; exit 6' &\n");
    shell.types("while ! jobs | grep -q Stopped; do sleep 0.1; done; echo st\"\"ops\n");
    shell.shows("\nstops");
    shell.types("fg\n");
    shell.shows("\nrun sh");
    shell.types("hello\n");
    shell.shows("got hello");
    shell.types("echo code $?\n");
    shell.shows("code 6");
}

/// One process, because a shell that is just making another one does not stop before that runs.
const WAITS: &str = "import signal, time
signal.signal(signal.SIGINT, lambda *_: (print('told', flush=True), exit()))
print('runs', flush=True)
time.sleep(20)
";

#[test]
fn ctrl_z_stops_the_whole_pipeline_with_the_app_and_the_shell_gets_the_terminal_back() {
    let mut shell = Shell::start();
    fs::write(shell.test.at("work/waits.py"), WAITS).unwrap();
    let script = shell.test.at("work/waits.py").display().to_string();
    shell.types(&format!("run python3 {script} | cat\n"));
    shell.shows("\nruns");
    shell.types(CTRL_Z);
    shell.shows("Stopped");
    shell.types("echo a\"\"live; fg\n");
    shell.shows("\nalive");
    thread::sleep(Duration::from_millis(100));
    shell.types("\x03");
    shell.shows("told\r\n");
}

#[test]
fn ctrl_z_does_not_stop_an_app_that_no_shell_could_continue() {
    let app = "import time; print('runs', flush=True); time.sleep(1); print('goes on', flush=True)";
    let words = ["run", "--supervise", "--", "/usr/bin/python3", "-c", app].map(OsString::from);
    let mut shell = Shell::of(started(CRYOKEY.clone()).chain(words));
    shell.shows("runs");
    shell.types(CTRL_Z);
    shell.shows("goes on");
}
