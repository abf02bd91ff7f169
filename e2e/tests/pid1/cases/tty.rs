//! With a terminal, as `docker run --tty` gives one.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::thread::sleep;
use std::time::Duration;

use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{Termios, Winsize, tcgetattr, tcsetwinsize};

use crate::container::{Container, PATIENCE, Setup, python, sh};
use crate::process::until;
use crate::subject::Subject;
use crate::suite::{Case, Outcome, cases, ensure};

const TTIN: i32 = 21;

/// A second one would be there by then.
const ECHO: Duration = Duration::from_millis(150);

pub(super) fn cases() -> Vec<Case> {
    cases!["tty"; g16_ctrl_c_arrives_once, g16_a_new_size_arrives_once, the_app_is_in_the_foreground,
        a_child_in_the_background_cannot_read, tostop_does_not_stop_the_init, the_terminal_is_usable_afterwards]
}

struct Terminal {
    /// Where a person would sit.
    keyboard: File,
    line: OwnedFd,
}

fn terminal() -> Terminal {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let keyboard = openpt(flags).unwrap();
    grantpt(&keyboard).unwrap();
    unlockpt(&keyboard).unwrap();
    let line = ioctl_tiocgptpeer(&keyboard, flags).unwrap();
    Terminal { keyboard: File::from(keyboard), line }
}

impl Terminal {
    fn start(&self, subject: &Subject, app: &[std::ffi::OsString]) -> Container {
        Setup::new(subject).terminal(self.line.try_clone().unwrap()).start(app)
    }
}

fn g16_ctrl_c_arrives_once(subject: &Subject) -> Outcome {
    let mut terminal = terminal();
    let container = terminal.start(subject, &python("receive")).when_ready()?;
    terminal.keyboard.write_all(b"\x03").unwrap();
    arrives_once(&container, "2 ")
}

fn g16_a_new_size_arrives_once(subject: &Subject) -> Outcome {
    let terminal = terminal();
    let container = terminal.start(subject, &python("receive")).when_ready()?;
    let size = Winsize { ws_row: 33, ws_col: 99, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(&terminal.keyboard, size).unwrap();
    arrives_once(&container, "28 ")
}

fn arrives_once(container: &Container, signal: &str) -> Outcome {
    let has_arrived = || (container.log().len() > 1).then_some(());
    until(PATIENCE / 5, has_arrived).ok_or("it did not arrive")?;
    sleep(ECHO);
    let log = container.log();
    ensure(log.len() == 2 && log[1].starts_with(signal), || format!("the app got {:?}", &log[1..]))
}

fn the_app_is_in_the_foreground(subject: &Subject) -> Outcome {
    let terminal = terminal();
    let mut container = terminal.start(subject, &python("foreground"));
    container.ends_with(0)?;
    let log = container.log();
    ensure(log == ["foreground", "own group"], || format!("{log:?}"))
}

fn a_child_in_the_background_cannot_read(subject: &Subject) -> Outcome {
    let terminal = terminal();
    let container = terminal.start(subject, &python("background"));
    container.await_line(&format!("stopped by {TTIN}"))
}

fn tostop_does_not_stop_the_init(subject: &Subject) -> Outcome {
    let terminal = terminal();
    let app = sh("stty tostop; trap 'exit 7' USR1; sleep 300 & echo ready >log; wait");
    let mut container = terminal.start(subject, &app).when_ready()?;
    container.signal(10)?;
    container.ends_with(7)
}

fn the_terminal_is_usable_afterwards(subject: &Subject) -> Outcome {
    let mut terminal = terminal();
    let before = settings(&terminal);
    terminal.start(subject, &sh("exit 7")).ends_with(7)?;
    ensure(settings(&terminal) == before, || "its settings have changed".to_owned())?;
    terminal.keyboard.write_all(b"a line\n").unwrap();
    let mut line = [0; 32];
    let length = File::from(terminal.line).read(&mut line).map_err(|error| error.to_string())?;
    ensure(&line[..length] == b"a line\n", || line[..length].escape_ascii().to_string())
}

fn settings(terminal: &Terminal) -> String {
    let Termios { input_modes, output_modes, control_modes, local_modes, .. } =
        tcgetattr(&terminal.line).unwrap();
    format!("{input_modes:?} {output_modes:?} {control_modes:?} {local_modes:?}")
}
