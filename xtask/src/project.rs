//! Where the project is, what state it is in, and what machine this is.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::thread::available_parallelism;

use crate::line::Line;

/// Folders that hold other people's or generated files.
const NOT_OURS: [&str; 4] = [".git", "target", "corpus-found", "artifacts"];

/// The workspace's folder. Cargo tells it to what it runs; a binary that was started by hand uses the current folder.
pub(crate) fn root() -> PathBuf {
    std::env::var_os("CARGO_MANIFEST_DIR")
        .and_then(|xtask| Path::new(&xtask).parent().map(Path::to_owned))
        .or_else(|| std::env::current_dir().ok())
        .unwrap_or_default()
}

/// `CI=true` is the one convention that all CI systems share.
pub(crate) fn in_ci() -> bool {
    std::env::var("CI").is_ok_and(|value| value == "true")
}

/// A folder of `/proc` belongs to the effective user of the process.
pub(crate) fn user_is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}

/// Today in UTC, as in file names: 2026-11-23. The standard library has no calendar; `date` is on every machine.
pub(crate) fn today() -> Result<String, String> {
    Line::new("date", &["-u", "+%Y-%m-%d"]).output()
}

/// The short commit, with `-dirty` when the tree differs from it, so that no result claims a commit it was not made of.
pub(crate) fn commit() -> String {
    let Ok(commit) = Line::new("git", &["rev-parse", "--short", "HEAD"]).output() else {
        return "uncommitted".to_owned();
    };
    match Line::new("git", &["status", "--porcelain"]).output() {
        Ok(changes) if changes.is_empty() => commit,
        _ => format!("{commit}-dirty"),
    }
}

/// What a figure or a duration was measured on.
pub(crate) fn machine() -> String {
    let cores = available_parallelism().map_or(0, usize::from);
    let kernel = read_trimmed("/proc/sys/kernel/osrelease");
    let model = field("/proc/cpuinfo", "model name").unwrap_or_else(|| std::env::consts::ARCH.to_owned());
    let memory = field("/proc/meminfo", "MemTotal").unwrap_or_default();
    format!("{cores} cores ({model}), memory {memory}, Linux {kernel}")
}

/// The load averages of the last 1, 5 and 15 minutes.
pub(crate) fn load() -> String {
    read_trimmed("/proc/loadavg").split(' ').take(3).collect::<Vec<_>>().join(" ")
}

fn read_trimmed(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default().trim().to_owned()
}

fn field(path: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// Every file below `folder` with one of these extensions, in a fixed order. A folder that is not there has no files.
pub(crate) fn files(folder: &Path, extensions: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    collect(folder, extensions, &mut found);
    found.sort();
    found
}

fn collect(folder: &Path, extensions: &[&str], found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let ours = !NOT_OURS.iter().any(|name| path.file_name() == Some(OsStr::new(name)));
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            if ours {
                collect(&path, extensions, found);
            }
        } else if path.extension().and_then(OsStr::to_str).is_some_and(|end| extensions.contains(&end)) {
            found.push(path);
        }
    }
}

/// A path as it is written in reports: from the workspace's folder.
pub(crate) fn relative(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}
