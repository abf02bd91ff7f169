//! Builds the one static, stripped binary that people copy into their images, and that e2e and bench use.

use std::fs;
use std::path::{Path, PathBuf};

use crate::elf;
use crate::line::Line;
use crate::project;

/// Where the binary is found afterwards, from the workspace's folder.
const BINARY: &str = "target/dist/cryokey";

/// Builds, copies and checks it; prints size and digest; gives its path.
pub(crate) fn dist() -> Result<PathBuf, String> {
    let triple = host_triple()?;
    static_build(&triple).arg("--bin").arg("cryokey").run()?;
    let binary = project::root().join(BINARY);
    copy(&project::root().join("target").join(&triple).join("release/cryokey"), &binary)?;
    elf::must_be_static(&binary)?;
    println!("{BINARY}: static, {} bytes, sha256 {}", size(&binary)?, sha256(&binary)?);
    Ok(binary)
}

/// A release build with glibc linked in. Also used for the programs that bench compares with, so that they differ
/// from ours in nothing but what they do.
///
/// The flags are given for the target only: build scripts and macros run here and stay dynamic. Paths of this machine
/// are written as fixed ones, so that two machines make the same bytes.
pub(crate) fn static_build(triple: &str) -> Line {
    let root = project::root();
    let flags = [
        "-Ctarget-feature=+crt-static".to_owned(),
        // 55 KB less in a position-independent program; the C library linked in must be glibc 2.36 or later.
        "-Clink-arg=-Wl,-z,pack-relative-relocs".to_owned(),
        format!("--remap-path-prefix={}=/cryokey", root.display()),
        format!("--remap-path-prefix={}=/cargo", cargo_home().display()),
    ];
    Line::cargo(&["build", "--release", "--locked", "--target", triple])
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"))
}

/// The machine we build on is the machine we build for.
pub(crate) fn host_triple() -> Result<String, String> {
    let version = Line::new("rustc", &["-vV"]).output()?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).ok_or_else(|| "`rustc -vV` names no host".to_owned())
}

fn cargo_home() -> PathBuf {
    let home = || PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".cargo");
    std::env::var_os("CARGO_HOME").map_or_else(home, PathBuf::from)
}

fn copy(from: &Path, to: &Path) -> Result<(), String> {
    let told = |error| format!("{}: {error}", to.display());
    to.parent().map_or(Ok(()), fs::create_dir_all).map_err(told)?;
    // A running program's file cannot be written, but it can be replaced.
    let fresh = to.with_extension("new");
    fs::copy(from, &fresh).map_err(|error| format!("{}: {error}", from.display()))?;
    fs::rename(&fresh, to).map_err(told)
}

pub(crate) fn size(path: &Path) -> Result<u64, String> {
    fs::metadata(path).map(|file| file.len()).map_err(|error| format!("{}: {error}", path.display()))
}

fn sha256(path: &Path) -> Result<String, String> {
    let output = Line::new("sha256sum", &[]).arg(path).output()?;
    Ok(output.split(' ').next().unwrap_or_default().to_owned())
}
