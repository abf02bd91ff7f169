//! What the probe sees, as JSON.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::{self, Metadata};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::acts;

pub(crate) fn arguments() -> Vec<String> {
    std::env::args_os().map(|argument| argument.to_string_lossy().into_owned()).collect()
}

/// Names with length and fingerprint; paths also as text, since tests need to know where they lead.
pub(crate) fn environment() -> BTreeMap<String, Value> {
    std::env::vars_os()
        .map(|(name, value)| (name.to_string_lossy().into_owned(), value))
        .map(|(name, value)| {
            let is_path = name == "HOME" || name == "PATH" || name.ends_with("_FILE");
            let text = is_path.then(|| value.to_string_lossy().into_owned());
            let seen = content(value.as_bytes());
            (name, json!({ "length": seen.0, "fingerprint": seen.1, "text": text }))
        })
        .collect()
}

/// Every open descriptor and what it is, but for the one that lists them.
pub(crate) fn descriptors() -> BTreeMap<String, String> {
    let listed = fs::read_dir("/proc/self/fd").into_iter().flatten().flatten();
    listed
        .filter_map(|entry| Some((entry.file_name().to_str()?.to_owned(), fs::read_link(entry.path()).ok()?)))
        .filter(|(_, target)| !target.starts_with("/proc"))
        .map(|(number, target)| (number, target.display().to_string()))
        .collect()
}

pub(crate) fn process() -> Value {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.unwrap_or_default().trim().to_owned()
    };
    let first = |name: &str| field(name).split_whitespace().next().unwrap_or_default().to_owned();
    json!({
        "pid": std::process::id(),
        "uid": first("Uid"),
        "gid": first("Gid"),
        "all_uids": field("Uid"),
        "all_gids": field("Gid"),
        "can_become_root": acts::become_root(),
        "groups": field("Groups"),
        "capabilities": field("CapEff"),
        "no_new_privileges": field("NoNewPrivs"),
        "signals_blocked": field("SigBlk"),
        "signals_ignored": field("SigIgn"),
        "processes": processes().len(),
        "all_processes": processes(),
    })
}

/// What the container has: `1 cryokey S 10001`, by number, name, state and uid.
fn processes() -> Vec<String> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| described(&entry.path())).collect()
}

fn described(directory: &Path) -> Option<String> {
    let number: u32 = directory.file_name()?.to_str()?.parse().ok()?;
    let status = fs::read_to_string(directory.join("status")).ok()?;
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        line.split_whitespace().next()
    };
    Some(format!("{number} {} {} {}", field("Name")?, field("State")?, field("Uid")?))
}

pub(crate) fn files(asked: &[OsString]) -> BTreeMap<String, Value> {
    asked.iter().map(|path| (path.to_string_lossy().into_owned(), file(&resolve(path)))).collect()
}

/// `@NAME` stands for the path in a variable.
fn resolve(path: &OsStr) -> PathBuf {
    let name = path.as_bytes().strip_prefix(b"@").map(OsStr::from_bytes);
    name.and_then(std::env::var_os).unwrap_or_else(|| path.to_owned()).into()
}

fn file(path: &Path) -> Value {
    match fs::metadata(path).and_then(|state| Ok((state, fs::read(path)?))) {
        Ok((state, bytes)) => {
            let (length, fingerprint) = content(&bytes);
            let parent = path.parent().and_then(|parent| fs::metadata(parent).ok());
            json!({
                "state": state_text(&state),
                "length": length,
                "fingerprint": fingerprint,
                "directory": parent.as_ref().map(state_text),
            })
        }
        Err(error) => json!({ "error": error.to_string() }),
    }
}

/// What is in each directory, with everything below it.
pub(crate) fn directories(asked: &[OsString]) -> BTreeMap<String, Value> {
    let tree = |path: &OsString| {
        let mut found = BTreeMap::new();
        let outcome = collect(Path::new(path), &mut found);
        outcome.map_or_else(|error| json!({ "error": error.to_string() }), |()| json!(found))
    };
    asked.iter().map(|path| (path.to_string_lossy().into_owned(), tree(path))).collect()
}

fn collect(directory: &Path, found: &mut BTreeMap<String, String>) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let state = fs::symlink_metadata(&path)?;
        found.insert(path.display().to_string(), state_text(&state));
        if state.is_dir() {
            collect(&path, found)?;
        }
    }
    Ok(())
}

/// `file 0400 65534:65534`
fn state_text(state: &Metadata) -> String {
    let kind = match state.file_type() {
        kind if kind.is_file() => "file",
        kind if kind.is_dir() => "directory",
        kind if kind.is_symlink() => "link",
        kind if kind.is_fifo() => "pipe",
        _ => "other",
    };
    format!("{kind} {:04o} {}:{}", state.mode() & 0o7777, state.uid(), state.gid())
}

/// Length and fingerprint. The hasher without random keys gives the same number in the test, which is built by the
/// same compiler; it proves equality of our own test values and nothing more.
fn content(bytes: &[u8]) -> (usize, String) {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    (bytes.len(), format!("{:016x}", hasher.finish()))
}
