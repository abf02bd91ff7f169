//! The exit code is the app's, or 128+n.

use crate::container::{Container, sh};
use crate::suite::Case;

const CODES: [i32; 13] = [0, 1, 2, 7, 42, 63, 64, 77, 99, 126, 127, 200, 255];

const SIGNALS: [&str; 15] = [
    "hup", "int", "quit", "ill", "trap", "abrt", "bus", "fpe", "kill", "usr1", "segv", "usr2", "pipe",
    "alrm", "term",
];

pub(super) fn cases() -> Vec<Case> {
    let code = |code: i32| ends(format!("code_{code}"), format!("exit {code}"), code);
    let signal = |(number, name)| ends(format!("{name}_is_{}", 128 + number), kill(number), 128 + number);
    let codes = CODES.into_iter().map(code);
    codes.chain((1..).zip(SIGNALS).map(signal)).collect()
}

/// Without a core file.
fn kill(number: i32) -> String {
    format!("ulimit -c 0; kill -{number} $$")
}

fn ends(name: String, script: String, code: i32) -> Case {
    Case::new("exit", name, move |subject| Container::start(subject, &sh(&script)).ends_with(code))
}
