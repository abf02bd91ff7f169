//! The inits that the suite knows, each with the command line that makes it start an app.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;

/// Name, program, arguments before the app's. Without a program, the app itself is PID 1.
const KNOWN: [(&str, &str, &[&str]); 8] = [
    ("cryokey", "cryokey", &["run", "--"]),
    ("tini", "tini", &["--"]),
    ("tini-g", "tini", &["-g", "--"]),
    ("docker-init", "docker-init", &["--"]),
    ("dumb-init", "dumb-init", &["--"]),
    ("dumb-init-c", "dumb-init", &["-c", "--"]),
    ("catatonit", "catatonit", &["--"]),
    ("none", "", &[]),
];

#[derive(Clone, PartialEq)]
pub(crate) struct Subject {
    pub(crate) name: &'static str,
    /// What stands before the app's name.
    pub(crate) command: Vec<OsString>,
}

impl Subject {
    pub(crate) fn named(name: &str) -> Result<Self, String> {
        let known = KNOWN.iter().find(|known| known.0 == name);
        let (name, program, arguments) =
            known.ok_or_else(|| format!("{name} is none of {}", Self::names()))?;
        let program = if program.is_empty() { Vec::new() } else { vec![find(program)?.into_os_string()] };
        let command = program.into_iter().chain(arguments.iter().map(OsString::from)).collect();
        Ok(Self { name, command })
    }

    /// No init: what every other one is compared with.
    pub(crate) fn none() -> Self {
        Self { name: "none", command: Vec::new() }
    }

    pub(crate) fn installed() -> Vec<Self> {
        KNOWN.iter().filter_map(|(name, ..)| Self::named(name).ok()).collect()
    }

    pub(crate) fn is_cryokey(&self) -> bool {
        self.name == "cryokey"
    }

    /// The first number in what `--version` prints.
    pub(crate) fn version(&self) -> String {
        let Some(program) = self.command.first() else { return "-".to_owned() };
        let Ok(output) = Command::new(program).arg("--version").output() else { return "?".to_owned() };
        let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        let is_number =
            |word: &&str| word.trim_start_matches('v').starts_with(|it: char| it.is_ascii_digit());
        let word = text.split_whitespace().find(is_number).unwrap_or("?").trim_start_matches('v');
        word.split('_').next().unwrap_or(word).to_owned()
    }

    fn names() -> String {
        KNOWN.map(|(name, ..)| name).join(", ")
    }
}

fn find(program: &str) -> Result<PathBuf, String> {
    if program == "cryokey" {
        return std::panic::catch_unwind(e2e::project::binary)
            .map_err(|_| "cryokey is not built; to run it: cargo xtask dist".to_owned());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut files = std::env::split_paths(&path).map(|directory| directory.join(program));
    let missing = || format!("{program} is not installed; to run it: apt-get install {program}");
    files.find(|file| file.is_file()).ok_or_else(missing)
}
