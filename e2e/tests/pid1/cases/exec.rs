//! An app that cannot be started: the exit code of a shell, and the program's name on standard error.

use crate::container::{Setup, words};
use crate::subject::Subject;
use crate::suite::{Case, Outcome, ensure};

/// Name, exit code, program, and the shell commands that prepare it.
const CASES: [(&str, i32, &str, &str); 10] = [
    ("a_name_that_is_not_in_path_is_127", 127, "no-such-app", ""),
    ("a_path_that_does_not_exist_is_127", 127, "/nowhere/app", ""),
    ("a_missing_interpreter_is_127", 127, "./app", "printf '#!/nowhere/sh\\n' >app; chmod 755 app"),
    ("a_file_without_permission_is_126", 126, "./app", "printf '#!/bin/sh\\n' >app; chmod 644 app"),
    ("a_directory_is_126", 126, "./app", "mkdir app"),
    ("a_script_without_interpreter_is_126", 126, "./app", "echo 'echo ran >log' >app; chmod 755 app"),
    ("an_empty_file_is_126", 126, "./app", ": >app; chmod 755 app"),
    ("a_path_through_a_file_is_126", 126, "/etc/passwd/app", ""),
    ("a_loop_of_links_is_126", 126, "./app", "ln -s app app"),
    (
        "a_mount_without_exec_is_126",
        126,
        "mount/app",
        "mkdir mount; mount -t tmpfs -o noexec none mount; cp /bin/true mount/app",
    ),
];

pub(super) fn cases() -> Vec<Case> {
    let case = |(name, code, program, prologue)| {
        Case::new("exec", name, move |subject| fails(subject, code, program, prologue))
    };
    CASES.into_iter().map(case).collect()
}

fn fails(subject: &Subject, code: i32, program: &str, prologue: &str) -> Outcome {
    let mut container = Setup::new(subject).prologue(prologue).start(&words([program]));
    container.ends_with(code)?;
    ensure(container.log().is_empty(), || "a shell ran it".to_owned())?;
    let said = container.text("err");
    ensure(said.contains(program), || format!("{program} is not named: {said}"))
}
