//! The directory of generated values is kept out of the repository.

use std::path::{Component, Path};

use rustix::fs::{Mode, OFlags};

use super::GITIGNORE;
use crate::logger::Logger;
use crate::system::{read, write};

/// Adds a directory to `.gitignore`, if it is below the working directory. Git reads no `.gitignore` that is a link,
/// so what is not a file of its own is left alone.
pub(super) fn ignore(directory: &Path, log: &Logger) {
    let Some(entry) = entry(directory) else { return };
    match add(&entry) {
        Ok(false) => {}
        Ok(true) => log.info(format_args!("{entry} added to {GITIGNORE}")),
        Err(why) => log.warn(format_args!(
            "{GITIGNORE} is not changed: {why}; fix: keep {entry} out of the repository yourself"
        )),
    }
}

/// The directory as `.gitignore` has it, if it is below the working directory.
fn entry(directory: &Path) -> Option<String> {
    let inside = if directory.is_absolute() {
        directory.strip_prefix(std::env::current_dir().ok()?).ok()?
    } else {
        directory
    };
    let mut entry = String::new();
    for component in inside.components() {
        match component {
            Component::CurDir => {}
            Component::Normal(name) => entry.push_str(&(escaped(name.to_str()?)? + "/")),
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    (!entry.is_empty()).then_some(entry)
}

/// A name that stands for itself in a pattern (gitignore(5)).
fn escaped(name: &str) -> Option<String> {
    const SPECIAL: &str = "\\*?[#!";
    let escape = |character: char| {
        let before = if SPECIAL.contains(character) { "\\" } else { "" };
        format!("{before}{character}")
    };
    (!name.contains(char::is_control)).then(|| name.chars().map(escape).collect())
}

/// Says whether it was added.
fn add(entry: &str) -> Result<bool, String> {
    let flags = OFlags::RDWR | OFlags::APPEND | OFlags::CREATE;
    let flags = flags | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let mode = Mode::RUSR | Mode::WUSR | Mode::RGRP | Mode::ROTH;
    let system = |errno: rustix::io::Errno| std::io::Error::from(errno).to_string();
    let file = rustix::fs::open(GITIGNORE, flags, mode).map_err(system)?;
    let (bytes, _) = read::read(&file).map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(&bytes);
    if text.lines().any(|line| line.trim().trim_matches('/') == entry.trim_matches('/')) {
        return Ok(false);
    }
    let line_end = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
    write::write_all(&file, format!("{line_end}{entry}\n").as_bytes()).map_err(system)?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_below_the_working_directory_has_an_entry_that_stands_for_it_alone() {
        let of = |path: &str| entry(Path::new(path));
        assert_eq!(of("./.secrets"), Some(".secrets/".into()));
        assert_eq!(of("a/[b]*"), Some("a/\\[b]\\*/".into()));
        assert_eq!(of(std::env::current_dir().unwrap().join("x").to_str().unwrap()), Some("x/".into()));
        for outside in ["../dev", "a/../../b", "/etc", ".", "a\nb"] {
            assert_eq!(of(outside), None, "{outside}");
        }
    }
}
