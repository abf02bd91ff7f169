//! What a test cannot do without, and what happens where it does not exist.

use std::fmt::Display;
use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::thread;

/// What the test needs; or nothing, and the reason is written down. In CI that is a failure: no test is skipped in
/// silence. A reason ends with `; to run it: ` and the line to type.
pub fn or_not_run<T>(need: Result<T, impl Display>) -> Option<T> {
    need.map_err(|reason| not_run(&reason)).ok()
}

fn not_run(reason: &impl Display) {
    let test = thread::current().name().unwrap_or("a test").to_owned();
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{test} cannot run: {reason}");
    let written = match std::env::var_os("CRYOKEY_NOT_RUN") {
        Some(path) => {
            let file = OpenOptions::new().create(true).append(true).open(path);
            file.and_then(|mut file| file.write_all(format!("{test}\t{reason}\n").as_bytes()))
        }
        // `println` would be shown for tests that fail only.
        None => io::stderr().write_all(format!("not run: {test}: {reason}\n").as_bytes()),
    };
    written.unwrap();
}
