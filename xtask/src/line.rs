//! A command line: printed, logged and run as one thing, so that what a report names can be typed again.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::process::{Command, ExitStatus, Stdio};

use crate::project;

/// A program, its arguments, and the variables it gets on top of ours. It runs in the workspace's folder, and without
/// standard input: no step may ask a question.
#[derive(Clone)]
pub(crate) struct Line {
    program: OsString,
    arguments: Vec<OsString>,
    variables: Vec<(OsString, OsString)>,
}

impl Line {
    pub(crate) fn new(program: impl Into<OsString>, arguments: &[&str]) -> Self {
        let arguments = arguments.iter().map(Into::into).collect();
        Self { program: program.into(), arguments, variables: Vec::new() }
    }

    pub(crate) fn cargo(arguments: &[&str]) -> Self {
        Self::new("cargo", arguments)
    }

    pub(crate) fn arg(mut self, argument: impl Into<OsString>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    pub(crate) fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.variables.push((name.into(), value.into()));
        self
    }

    /// Runs it with our output.
    pub(crate) fn run(&self) -> Result<(), String> {
        let status = self.command().status().map_err(|error| self.did_not_start(&error))?;
        self.judge(status)
    }

    /// Runs it, prints its standard output line by line, and shows each line to `look` as well.
    pub(crate) fn run_watched(&self, mut look: impl FnMut(&str)) -> Result<(), String> {
        let mut child =
            self.command().stdout(Stdio::piped()).spawn().map_err(|error| self.did_not_start(&error))?;
        for line in child.stdout.take().into_iter().flat_map(|out| BufReader::new(out).split(b'\n')) {
            let line = line.map_err(|error| format!("{self}: its output could not be read: {error}"))?;
            let line = String::from_utf8_lossy(&line);
            println!("{line}");
            look(&line);
        }
        let status = child.wait().map_err(|error| format!("{self}: {error}"))?;
        self.judge(status)
    }

    /// Runs it with both outputs in a file: for steps that run side by side or say more than anyone reads.
    pub(crate) fn run_into(&self, log: &File) -> Result<(), String> {
        let clone = || log.try_clone().map_err(|error| format!("{self}: {error}"));
        let status = self
            .command()
            .stdout(clone()?)
            .stderr(clone()?)
            .status()
            .map_err(|error| self.did_not_start(&error))?;
        self.judge(status)
    }

    /// Runs it silently; gives its standard output without the last newline.
    pub(crate) fn output(&self) -> Result<String, String> {
        let output = self.command().output().map_err(|error| self.did_not_start(&error))?;
        self.judge(output.status)?;
        Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).envs(self.variables.iter().cloned());
        command.current_dir(project::root()).stdin(Stdio::null());
        command
    }

    fn judge(&self, status: ExitStatus) -> Result<(), String> {
        if status.success() { Ok(()) } else { Err(format!("`{self}` ended with {status}")) }
    }

    fn did_not_start(&self, error: &std::io::Error) -> String {
        format!("`{self}` did not start: {error}")
    }
}

impl fmt::Display for Line {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in &self.variables {
            write!(out, "{}={} ", name.display(), quoted(value))?;
        }
        write!(out, "{}", quoted(&self.program))?;
        self.arguments.iter().try_for_each(|argument| write!(out, " {}", quoted(argument)))
    }
}

/// As it is typed in a shell.
fn quoted(word: &OsStr) -> String {
    let word = word.to_string_lossy();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./=:,+%@".contains(&byte);
    if !word.is_empty() && word.bytes().all(plain) {
        word.into_owned()
    } else if word.contains(char::is_control) {
        format!("$'{}'", word.chars().map(escaped).collect::<String>())
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// Inside bash's `$'…'`.
fn escaped(char: char) -> String {
    match char {
        '\'' | '\\' => format!("\\{char}"),
        control if control.is_ascii_control() => format!("\\x{:02x}", u32::from(control)),
        plain => plain.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_shown_as_it_can_be_typed() {
        let line = Line::new("env", &["-u", "it's"]).env("FLAGS", "-D warnings");
        assert_eq!(line.to_string(), r"FLAGS='-D warnings' env -u 'it'\''s'");
        assert_eq!(Line::new("echo", &["a\u{1f}b"]).to_string(), r"echo $'a\x1fb'");
    }

    #[test]
    fn output_lines_are_watched_and_a_bad_end_is_named() {
        let mut seen = Vec::new();
        let line = Line::new("sh", &["-c", "echo one; echo two; exit 3"]);
        let end = line.run_watched(|line| seen.push(line.to_owned()));
        assert_eq!(seen, ["one", "two"]);
        assert!(end.unwrap_err().contains("exit status: 3"));
    }
}
