//! What is missing.

use std::ffi::OsString;

use crate::container::{PATIENCE, Setup, python, sh, words};
use crate::process::until;
use crate::subject::Subject;
use crate::suite::{Case, Outcome, cases, ensure};

/// A user that has no other process: the limit of processes does not bind root.
const ALONE: &str = "setpriv --reuid=61743 --regid=61743 --clear-groups -- prlimit --nproc=1:1 --";

const USR1: i32 = 10;

/// `EX_OSERR`
const CANNOT_FORK: i32 = 71;

pub(super) fn cases() -> Vec<Case> {
    cases!["resource"; g22_without_another_process_it_ends_with_an_error, without_proc_it_works]
}

/// cryokey's own code for that is 71; others have others.
fn g22_without_another_process_it_ends_with_an_error(subject: &Subject) -> Outcome {
    let setup = Setup::new(subject).copied().started_by(words(ALONE.split(' ')));
    let mut container = setup.start(&sh("exit 0"));
    let code = container.ends_within(PATIENCE).ok_or("did not end")?;
    let is_right = if subject.is_cryokey() { code == CANNOT_FORK } else { code != 0 };
    let said = container.text("err");
    ensure(is_right && !said.is_empty(), || format!("ended with {code}: {said}"))
}

fn without_proc_it_works(subject: &Subject) -> Outcome {
    let start = |app: &[OsString]| Setup::new(subject).prologue("mount -t tmpfs none /proc").start(app);
    start(&sh("exit 7")).ends_with(7)?;
    let container = start(&python("receive")).when_ready()?;
    container.signal(USR1)?;
    let has_arrived = || (container.log().len() > 1).then_some(());
    until(PATIENCE / 5, has_arrived).ok_or_else(|| "USR1 did not arrive".to_owned())
}
