//! What is measured: a program that brings secrets to an app and becomes it, or starts it.

use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::names::NAMES;
use crate::secrets::{self, Secrets};

/// A command line that lacks only the app, which comes last.
pub(crate) struct Subject {
    pub(crate) name: String,
    program: Option<PathBuf>,
    arguments: Vec<OsString>,
    variables: Vec<(OsString, OsString)>,
    directory: PathBuf,
}

impl Subject {
    pub(crate) fn new(name: &str, program: &Path, directory: &Path) -> Self {
        Self {
            name: name.to_owned(),
            program: Some(program.to_owned()),
            arguments: Vec::new(),
            variables: Vec::new(),
            directory: directory.to_owned(),
        }
    }

    pub(crate) fn args(mut self, arguments: &[&str]) -> Self {
        self.arguments.extend(arguments.iter().map(Into::into));
        self
    }

    pub(crate) fn arg(mut self, argument: impl Into<OsString>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    pub(crate) fn env(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.variables.push((name.into(), value.into()));
        self
    }

    /// Ready to start: an environment that holds nothing but what is set here, all output thrown away.
    pub(crate) fn command(&self, app: &Path) -> Result<Command, String> {
        let mut command = Command::new(self.program.as_deref().unwrap_or(app));
        command.args(&self.arguments).args(self.program.is_some().then_some(app));
        command
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", &self.directory)
            .envs(self.variables.iter().cloned());
        command.current_dir(&self.directory).stdin(null()?).stdout(null()?).stderr(null()?);
        Ok(command)
    }

    /// A tool that is fast because it delivers nothing must not enter the table.
    pub(crate) fn must_deliver(&self, secrets: &Secrets) -> Result<(), String> {
        let output = self
            .command(Path::new("/usr/bin/env"))?
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .output()
            .map_err(|error| format!("{}: {error}", self.name))?;
        let seen = String::from_utf8_lossy(&output.stdout);
        let missing = NAMES.iter().filter(|name| {
            let line = format!("{name}={}", secrets::value(name));
            !seen.lines().any(|seen| seen == line)
        });
        match missing.collect::<Vec<_>>().as_slice() {
            [] => Ok(()),
            missing => Err(format!(
                "{} ({}) did not deliver {missing:?} of {}: {}",
                self.name,
                output.status,
                secrets.directory.display(),
                String::from_utf8_lossy(&output.stderr)
            )),
        }
    }
}

/// Opened before the clock runs.
fn null() -> Result<File, String> {
    File::options().read(true).write(true).open("/dev/null").map_err(|error| format!("/dev/null: {error}"))
}

pub(crate) fn ours(program: &Path, secrets: &Secrets) -> Subject {
    Subject::new("cryokey", program, &secrets.directory)
        .args(&["run", "--exec", "--"])
        .env("CRYOKEY_SECRETS_DIR", &secrets.directory)
}

pub(crate) fn floor(program: &Path, secrets: &Secrets) -> Subject {
    Subject::new("floor", program, &secrets.directory).arg(&secrets.directory)
}

pub(crate) fn shell(script: &Path, secrets: &Secrets) -> Subject {
    Subject::new("shell entrypoint", Path::new("/bin/sh"), &secrets.directory)
        .arg(script)
        .arg(&secrets.directory)
}

/// The app by itself.
pub(crate) fn alone() -> Subject {
    let (name, program, directory) = ("the app alone".to_owned(), None, PathBuf::from("/"));
    Subject { name, program, arguments: Vec::new(), variables: Vec::new(), directory }
}
