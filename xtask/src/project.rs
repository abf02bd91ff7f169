//! Where the project is, what state it is in, and what machine this is.

use std::path::{Path, PathBuf};
use std::thread::available_parallelism;

use xshell::{Shell, cmd};

use crate::run::Result;

/// The product and the workspaces beside it, whose dependencies never enter its lockfile.
pub(crate) const WORKSPACES: [&str; 4] = [".", "bench", "e2e", "fuzz"];

/// Everything runs in the project's directory. Cargo tells it to what it starts.
pub(crate) fn shell() -> Result<Shell> {
    let shell = Shell::new()?;
    if let Some(root) =
        std::env::var_os("CARGO_MANIFEST_DIR").as_deref().map(Path::new).and_then(Path::parent)
    {
        shell.change_dir(root);
    }
    Ok(shell)
}

/// Where cargo builds a workspace: `CARGO_TARGET_DIR` and cargo's configuration can change it.
pub(crate) fn target(shell: &Shell, workspace: &str) -> Result<PathBuf> {
    let manifest = format!("{workspace}/Cargo.toml");
    let metadata =
        cmd!(shell, "cargo metadata --locked --no-deps --format-version 1 --manifest-path {manifest}");
    let metadata = metadata.quiet().read()?;
    let (_, rest) =
        metadata.split_once("\"target_directory\":\"").ok_or("cargo names no target directory")?;
    Ok(rest.split('"').next().unwrap_or_default().into())
}

/// `CI=true` is the one convention that all CI systems share.
pub(crate) fn in_ci() -> bool {
    std::env::var("CI").is_ok_and(|value| value == "true")
}

/// In UTC, by the format of `date`: the standard library has no calendar.
pub(crate) fn date(shell: &Shell, format: &str) -> Result<String> {
    Ok(cmd!(shell, "date -u {format}").quiet().read()?)
}

/// The short commit, with `-dirty` when the tree differs from it, so that no result claims a commit it was not made of.
pub(crate) fn commit(shell: &Shell) -> String {
    let commit = cmd!(shell, "git describe --always --dirty --exclude *").quiet().read();
    commit.unwrap_or_else(|_| "uncommitted".to_owned())
}

/// What a figure or a duration was measured on.
pub(crate) fn machine(shell: &Shell) -> String {
    let cores = available_parallelism().map_or(0, usize::from);
    let model = field(shell, "/proc/cpuinfo", "model name");
    let memory = field(shell, "/proc/meminfo", "MemTotal");
    let kernel = shell.read_file("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!("{cores} cores ({model}), memory {memory}, Linux {}", kernel.trim())
}

fn field(shell: &Shell, path: &str, name: &str) -> String {
    let text = shell.read_file(path).unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with(name));
    line.and_then(|line| line.split_once(':')).map_or("unknown", |(_, value)| value.trim()).to_owned()
}

/// The load averages of the last 1, 5 and 15 minutes.
pub(crate) fn load(shell: &Shell) -> String {
    shell.read_file("/proc/loadavg").unwrap_or_default().split(' ').take(3).collect::<Vec<_>>().join(" ")
}
