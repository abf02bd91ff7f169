//! Where the manifest is, and whether it can be trusted.

use std::path::{Path, PathBuf};

use rustix::fs::Stat;
use rustix::io::Errno;
use rustix::process::geteuid;

use super::Manifest;
use crate::bounded::{self, ReadError};
use crate::environ::{Environ, variable};
use crate::error::{Exit, Problem};
use crate::escape::escaped;
use crate::profile;

/// The manifest beside the app's code; for development.
const LOCAL: &str = "./cryokey.toml";
/// The manifest of an image.
const SYSTEM: &str = "/etc/cryokey/cryokey.toml";

/// Where the manifest in force comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// No manifest was found.
    BuiltIn,
    /// This file.
    File(PathBuf),
}

/// A manifest and where it comes from.
#[derive(Debug)]
pub struct Located {
    /// What it says.
    pub manifest: Manifest,
    /// Where it was.
    pub origin: Origin,
    /// A `./cryokey.toml` that was left alone.
    pub passed_over: bool,
}

/// Finds and reads the manifest: the one that is named, else `./cryokey.toml`, else the image's, else the built-in
/// profile.
pub fn locate(named: Option<&Path>, environ: &Environ) -> Result<Located, Vec<Problem>> {
    if let Some(path) = named.map(Path::to_owned).or_else(|| environ.path(variable::MANIFEST)) {
        return Ok(found(read(&path)?, path, false));
    }
    let is_trusted = !init::is_pid_1() && !geteuid().is_root();
    let passed_over = !is_trusted && Path::new(LOCAL).exists();
    let searched = [LOCAL, SYSTEM].into_iter().skip(usize::from(!is_trusted));
    for path in searched.map(Path::new) {
        if path.symlink_metadata().is_ok() {
            return Ok(found(read(path)?, path.to_owned(), passed_over));
        }
    }
    Ok(Located { manifest: profile::built_in(), origin: Origin::BuiltIn, passed_over })
}

fn found(manifest: Manifest, path: PathBuf, passed_over: bool) -> Located {
    Located { manifest, origin: Origin::File(path), passed_over }
}

fn read(path: &Path) -> Result<Manifest, Vec<Problem>> {
    let shown = escaped(path.as_os_str().as_encoded_bytes());
    let (bytes, stat) = bounded::read_path(path).map_err(|error| vec![unreadable(&shown, error)])?;
    if let Some(problem) = untrusted(&shown, &stat) {
        return Err(vec![problem]);
    }
    let text = String::from_utf8(bytes).map_err(|error| vec![not_utf8(&shown, &error)])?;
    Manifest::parse(&text, &shown)
}

fn unreadable(path: &str, error: ReadError) -> Problem {
    let (exit, why) = match error {
        ReadError::Os(Errno::ACCESS | Errno::PERM) => (Exit::Denied, "we may not read it".to_owned()),
        ReadError::Os(Errno::NOENT | Errno::NOTDIR) => (Exit::Configuration, "it does not exist".to_owned()),
        ReadError::Os(errno) => (Exit::Io, errno.to_string()),
        ReadError::NotRegular(kind) => (Exit::Configuration, format!("it is {kind}")),
        ReadError::TooLarge => (Exit::Configuration, format!("it is larger than {} bytes", bounded::LIMIT)),
        ReadError::Changing => (Exit::Io, "it changed while it was read".to_owned()),
    };
    Problem::new(
        exit,
        "manifest",
        path,
        format!("the manifest {path} cannot be read: {why}"),
        "correct --manifest or CRYOKEY_MANIFEST, or the file's owner and mode",
    )
}

/// As root, a manifest that another user can write would let that user run what he likes.
fn untrusted(path: &str, stat: &Stat) -> Option<Problem> {
    let is_foreign = stat.st_uid != 0 && stat.st_uid != geteuid().as_raw();
    let is_open = stat.st_mode & 0o022 != 0;
    (geteuid().is_root() && (is_foreign || is_open)).then(|| {
        Problem::new(
            Exit::Denied,
            "manifest",
            path,
            format!(
                "the manifest {path} can be written by others (owner {}, mode {:04o}), and we are root",
                stat.st_uid,
                stat.st_mode & 0o7777
            ),
            format!("run `chown root {path}; chmod go-w {path}` when the image is built"),
        )
    })
}

fn not_utf8(path: &str, error: &std::string::FromUtf8Error) -> Problem {
    let position = error.utf8_error().valid_up_to();
    Problem::configuration(
        path,
        format!("the manifest {path} is not UTF-8 at byte {position}"),
        "save it as UTF-8",
    )
}
