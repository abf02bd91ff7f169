//! Servers that `e2e/install.sh` installed.

use std::fs;
use std::path::{Path, PathBuf};

/// A file in the packages of an environment. Its path begins with the version of Python.
pub(crate) fn installed(environment: &str, file: &str) -> Result<PathBuf, String> {
    let libraries = cache().join(environment).join("lib");
    let pythons = fs::read_dir(&libraries).into_iter().flatten().flatten();
    let found =
        pythons.map(|python| python.path().join("site-packages").join(file)).find(|path| path.is_file());
    found.ok_or_else(|| not_installed(environment))
}

/// A program of an environment.
pub(crate) fn installed_program(environment: &str, name: &str) -> Result<PathBuf, String> {
    let program = cache().join(environment).join("bin").join(name);
    if program.is_file() { Ok(program) } else { Err(not_installed(environment)) }
}

/// A program that `e2e/install.sh` built, in a directory that names its version.
pub(crate) fn built(directory: &str, name: &str) -> Result<PathBuf, String> {
    let program = cache().join(directory).join(name);
    if program.is_file() { Ok(program) } else { Err(not_installed(directory)) }
}

fn not_installed(environment: &str) -> String {
    let install = Path::new(env!("CARGO_MANIFEST_DIR")).join("install.sh");
    format!("{environment} is not installed; to run it: {}", install.display())
}

fn cache() -> PathBuf {
    let named = std::env::var_os("CRYOKEY_TEST_CACHE").map(PathBuf::from);
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache/cryokey-tests"));
    named.or_else(home).unwrap_or_default()
}
