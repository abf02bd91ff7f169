//! Finds the manifest, and checks that it can be trusted.

use std::path::{Path, PathBuf};

use rustix::fs::Stat;
use rustix::process::geteuid;

use super::Manifest;
use crate::environ::{Environ, variable};
use crate::error::{Problem, Reason};
use crate::escape::escaped_path;
use crate::profile;
use crate::system::read::{self, ReadError};

/// Beside the app's code, for development.
const LOCAL: &str = "./cryokey.toml";
/// For images.
const SYSTEM: &str = "/etc/cryokey/cryokey.toml";

/// Where the manifest comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// No manifest was found: the built-in profile.
    BuiltIn,
    File(PathBuf),
}

#[derive(Debug)]
pub struct Located {
    pub manifest: Manifest,
    pub origin: Origin,
    /// Whether a `./cryokey.toml` was ignored.
    pub skipped: bool,
}

/// Reads the configured manifest, or else `./cryokey.toml`, or else the image's, or else the built-in profile.
pub fn locate(named: Option<&Path>, environ: &Environ) -> Result<Located, Vec<Problem>> {
    if let Some(path) = named.map(Path::to_owned).or_else(|| environ.path(variable::MANIFEST)) {
        return Ok(found(read(&path)?, path, false));
    }
    let is_trusted = !init::is_pid_1() && !geteuid().is_root();
    let skipped = !is_trusted && Path::new(LOCAL).exists();
    let searched = [LOCAL, SYSTEM].into_iter().skip(usize::from(!is_trusted));
    for path in searched.map(Path::new) {
        if path.symlink_metadata().is_ok() {
            return Ok(found(read(path)?, path.to_owned(), skipped));
        }
    }
    Ok(Located { manifest: profile::built_in(), origin: Origin::BuiltIn, skipped })
}

fn found(manifest: Manifest, path: PathBuf, skipped: bool) -> Located {
    Located { manifest, origin: Origin::File(path), skipped }
}

fn read(path: &Path) -> Result<Manifest, Vec<Problem>> {
    let shown = escaped_path(path);
    let (bytes, stat) = read::read_path(path).map_err(|error| vec![unreadable(&shown, error)])?;
    if let Some(problem) = untrusted(&shown, &stat) {
        return Err(vec![problem]);
    }
    let text = String::from_utf8(bytes).map_err(|error| vec![not_utf8(&shown, &error)])?;
    Manifest::parse(&text, &shown)
}

fn unreadable(path: &str, error: ReadError) -> Problem {
    Problem::new(
        error.reason(),
        path,
        format!("the manifest {path} cannot be read: {error}"),
        "correct --manifest or CRYOKEY_MANIFEST, or the file's owner and mode",
    )
}

/// If root used a manifest that another user can change, that user could make root do anything.
fn untrusted(path: &str, stat: &Stat) -> Option<Problem> {
    let is_foreign = stat.st_uid != 0 && stat.st_uid != geteuid().as_raw();
    let is_open = stat.st_mode & 0o022 != 0;
    (geteuid().is_root() && (is_foreign || is_open)).then(|| {
        Problem::new(
            Reason::Denied,
            path,
            format!(
                "the manifest {path} can be changed by other users (owner uid {}, mode {:04o}), and cryokey runs as root",
                stat.st_uid,
                stat.st_mode & 0o7777
            ),
            format!("run `chown root {path}; chmod go-w {path}` in the image's build"),
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
