//! Runs a command line without a sound, unless it fails.

use std::error::Error;
use std::fmt;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use xshell::Cmd;

/// Problems here are read by a developer, so a text is all they are, but for [`NotRun`].
pub(crate) type Result<T = ()> = std::result::Result<T, Box<dyn Error>>;

/// Why a part cannot run on this machine, with the line that would change that.
#[derive(Debug)]
pub(crate) struct NotRun(pub(crate) String);

impl fmt::Display for NotRun {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl Error for NotRun {}

/// Gives what it printed, on both outputs. When it fails, that is shown.
pub(crate) fn run(line: Cmd<'_>) -> Result<String> {
    let shown = line.to_string();
    let (status, output) = capture(line)?;
    if status.success() {
        Ok(output)
    } else {
        println!("{output}");
        Err(format!("`{shown}` ended with {status}").into())
    }
}

/// The same, whatever the end means. There is no standard input: no part may ask a question.
pub(crate) fn capture(line: Cmd<'_>) -> Result<(ExitStatus, String)> {
    let shown = line.to_string();
    let (mut reader, writer) = io::pipe()?;
    let mut command = Command::from(line);
    command.stdin(Stdio::null()).stdout(writer.try_clone()?).stderr(writer);
    let mut child = command.spawn().map_err(|error| format!("`{shown}` did not start: {error}"))?;
    // It holds the pipe's other end, and reading would never end.
    drop(command);
    let mut output = Vec::new();
    reader.read_to_end(&mut output)?;
    Ok((child.wait()?, String::from_utf8_lossy(&output).into_owned()))
}

/// The program's path; where it is missing, the part does not run.
pub(crate) fn need(program: &str, to_install: &str) -> Result<PathBuf> {
    find(program).ok_or_else(|| NotRun(format!("{program} is not installed; to run it: {to_install}")).into())
}

pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).map(|directory| directory.join(program)).find(|file| Path::is_file(file))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::project::shell;

    #[test]
    fn both_outputs_are_kept_and_a_bad_end_is_named() {
        let shell = shell().unwrap();
        let line = || shell.cmd("sh").args(["-c", "echo one; echo two >&2; exit $CODE"]);
        assert_eq!(run(line().env("CODE", "0")).unwrap(), "one\ntwo\n");
        assert!(run(line().env("CODE", "3")).unwrap_err().to_string().contains("exit status: 3"));
    }

    #[test]
    fn a_missing_program_is_no_failure_and_the_line_to_type_is_reported() {
        let error = need("no-such-program", "apt-get install it").unwrap_err();
        assert!(error.downcast::<NotRun>().unwrap().0.ends_with("; to run it: apt-get install it"));
    }
}
