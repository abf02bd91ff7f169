//! The programs that the checks need beside Rust: which are missing, and how to get them.
//!
//! This is the one list; `.ci/run` and a contributor's machine are served from it.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use crate::line::Line;
use crate::project;
use crate::report::{NotRun, Outcome};

/// Where a program comes from.
#[derive(Clone, Copy, PartialEq)]
enum From {
    /// Debian's packages.
    Apt,
    /// The crate registry.
    Cargo,
    /// A part of the Rust toolchain.
    Rustup,
}

/// A program to look for on PATH, or by its full path, and the package that brings it.
pub(crate) struct Tool {
    probe: &'static str,
    package: &'static str,
    from: From,
}

pub(crate) const CARGO_DENY: Tool = Tool { probe: "cargo-deny", package: "cargo-deny", from: From::Cargo };
pub(crate) const CARGO_FUZZ: Tool = Tool { probe: "cargo-fuzz", package: "cargo-fuzz", from: From::Cargo };
pub(crate) const CARGO_MUTANTS: Tool =
    Tool { probe: "cargo-mutants", package: "cargo-mutants", from: From::Cargo };
pub(crate) const CLIPPY: Tool = Tool { probe: "cargo-clippy", package: "clippy", from: From::Rustup };
pub(crate) const RUSTFMT: Tool = Tool { probe: "cargo-fmt", package: "rustfmt", from: From::Rustup };

/// What `cargo xtask test` uses: the first three for what the repository says, the rest for what containers do.
const FOR_TEST: [Tool; 11] = [
    CLIPPY,
    RUSTFMT,
    CARGO_DENY,
    apt("dockerd", "docker.io"),
    apt("docker-compose", "docker-compose"),
    apt("ip", "iproute2"),
    apt("iptables", "iptables"),
    apt("pip", "python3-pip"),
    apt("/usr/bin/python3", "python3"),
    apt("ssh-keygen", "openssh-client"),
    apt("strace", "strace"),
];

const fn apt(probe: &'static str, package: &'static str) -> Tool {
    Tool { probe, package, from: From::Apt }
}

impl Tool {
    pub(crate) fn is_there(&self) -> bool {
        find(self.probe).is_some()
    }

    /// Does the work when the tool is there; else the part goes into the table of what was not exercised.
    pub(crate) fn or_not_run(&self, work: impl FnOnce() -> Outcome) -> Outcome {
        if self.is_there() { work() } else { Outcome::NotRun(self.not_run()) }
    }

    pub(crate) fn not_run(&self) -> NotRun {
        NotRun::new(format!("{} is not installed", self.package), self.how().to_string())
    }

    /// The error of a command that cannot do without it.
    pub(crate) fn demand(&self) -> Result<(), String> {
        if self.is_there() {
            Ok(())
        } else {
            Err(format!("{} is not installed; run: {}", self.package, self.how()))
        }
    }

    fn how(&self) -> Line {
        install_line(self.from).arg(self.package)
    }
}

fn install_line(from: From) -> Line {
    match from {
        From::Apt => Line::new("apt-get", &["install", "--yes", "--no-install-recommends"]),
        From::Cargo => Line::cargo(&["install", "--locked"]),
        From::Rustup => Line::new("rustup", &["component", "add"]),
    }
}

/// A program on PATH, or in the folders of the system's daemons, which an ordinary user's PATH leaves out.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let daemons = ["/usr/sbin", "/sbin"].map(PathBuf::from);
    std::env::split_paths(&path)
        .chain(daemons)
        .map(|folder| folder.join(OsStr::new(program)))
        .find(|file| Path::is_file(file))
}

/// Installs what `test` lacks. A failure is told and not fatal: the parts that need the tool then say so themselves.
pub(crate) fn install_for_test() {
    for from in [From::Rustup, From::Apt, From::Cargo] {
        let missing = missing(from);
        if missing.is_empty() {
            continue;
        }
        if let Err(problem) = install(from, &missing) {
            eprintln!("not installed: {}: {problem}", missing.join(", "));
        }
    }
}

/// Prints the lines that would install what `test` lacks.
pub(crate) fn advise_for_test() {
    for from in [From::Rustup, From::Apt, From::Cargo] {
        let missing = missing(from);
        if !missing.is_empty() {
            println!("missing; to install: {}", with_packages(from, &missing));
        }
    }
}

fn missing(from: From) -> Vec<&'static str> {
    FOR_TEST.iter().filter(|tool| tool.from == from && !tool.is_there()).map(|tool| tool.package).collect()
}

fn install(from: From, packages: &[&str]) -> Result<(), String> {
    if from == From::Apt {
        if !project::user_is_root() {
            return Err(format!("only root may: {}", with_packages(from, packages)));
        }
        Line::new("apt-get", &["update"]).run()?;
    }
    with_packages(from, packages).env("DEBIAN_FRONTEND", "noninteractive").run()
}

fn with_packages(from: From, packages: &[&str]) -> Line {
    packages.iter().fold(install_line(from), |line, package| line.arg(*package))
}
