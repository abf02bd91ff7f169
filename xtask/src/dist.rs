//! Builds the static, stripped binaries that people copy into their images, and that e2e and bench use.

use std::env::consts::ARCH;
use std::path::{Path, PathBuf};

use xshell::{Cmd, Shell, cmd};

use crate::project;
use crate::run::{Result, find, run};

struct Target {
    arch: &'static str,
    triple: &'static str,
    /// In `target/dist`.
    name: &'static str,
    /// As in `.cargo/config.toml`, and the package that brings it.
    linker: (&'static str, &'static str),
}

const TARGETS: [Target; 2] = [
    Target {
        arch: "x86_64",
        triple: "x86_64-unknown-linux-musl",
        name: "cryokey",
        linker: ("cc", "gcc musl-tools"),
    },
    Target {
        arch: "aarch64",
        triple: "aarch64-unknown-linux-musl",
        name: "cryokey-aarch64",
        linker: ("aarch64-linux-gnu-gcc", "gcc-aarch64-linux-gnu"),
    },
];

/// What was built.
pub(crate) struct Binary {
    pub(crate) arch: &'static str,
    pub(crate) triple: String,
    pub(crate) path: PathBuf,
    pub(crate) size: u64,
}

/// Builds, copies and checks them; prints size and digest. One that this machine cannot build is named; in CI that is
/// a failure.
pub(crate) fn dist() -> Result<Vec<Binary>> {
    let shell = project::shell()?;
    let mut binaries = Vec::new();
    for target in &TARGETS {
        match prepare(&shell, target) {
            Ok(()) => binaries.push(build(&shell, target, target.triple)?),
            Err(problem) if project::in_ci() => return Err(problem),
            Err(problem) => {
                println!("not built: {}: {problem}", target.triple);
                if target.arch == ARCH {
                    binaries.push(build(&shell, target, &host_triple(&shell)?)?);
                }
            }
        }
    }
    Ok(binaries)
}

/// The binary for this machine, which the containers of e2e and the bench run.
pub(crate) fn for_this_machine(binaries: &[Binary]) -> Result<&Binary> {
    binaries.iter().find(|binary| binary.arch == ARCH).ok_or_else(|| format!("no binary for {ARCH}").into())
}

/// Has the linker and the standard library ready.
fn prepare(shell: &Shell, target: &Target) -> Result {
    let (linker, package) = target.linker;
    if find(linker).is_none() {
        return Err(format!("{linker} is not installed; fix: apt-get install --yes {package}").into());
    }
    let triple = target.triple;
    let library = cmd!(shell, "rustc --print target-libdir --target {triple}").quiet().read()?;
    if !Path::new(&library).is_dir() {
        println!("...     rustup target add {triple}");
        run(cmd!(shell, "rustup target add {triple}"))?;
    }
    Ok(())
}

fn build(shell: &Shell, target: &Target, triple: &str) -> Result<Binary> {
    run(static_build(shell, triple).args(["--bin", "cryokey"]))?;
    let directory = project::target(shell, ".")?;
    let path = shell.create_dir(directory.join("dist"))?.join(target.name);
    // A running program's file cannot be written, but it can be replaced.
    let fresh = path.with_extension("new");
    shell.copy_file(directory.join(triple).join("release/cryokey"), &fresh)?;
    std::fs::rename(&fresh, &path)?;
    must_be_static(shell, &path)?;
    let size = std::fs::metadata(&path)?.len();
    let digest = cmd!(shell, "sha256sum {path}").quiet().read()?;
    let digest = digest.split(' ').next().unwrap_or_default();
    let shown = path.strip_prefix(shell.current_dir()).unwrap_or(&path).display();
    println!("{shown}: {triple}, static, {size} bytes, sha256 {digest}");
    Ok(Binary { arch: target.arch, triple: triple.to_owned(), path, size })
}

/// A release build with the C library linked in. Also used for the programs that bench compares with, so that they
/// differ from cryokey in nothing but what they do.
///
/// The flags are given for the target only: build scripts and macros run here and stay dynamic. Paths of this machine
/// are written as fixed ones, so that two machines make the same bytes.
pub(crate) fn static_build<'a>(shell: &'a Shell, triple: &str) -> Cmd<'a> {
    let home = std::env::var("HOME").unwrap_or_default();
    let cargo = std::env::var("CARGO_HOME").unwrap_or_else(|_| format!("{home}/.cargo"));
    let flags = [
        "-Ctarget-feature=+crt-static".to_owned(),
        // 155 KB less on x86_64; Debian 12's linker for aarch64 does not know it, and says so in a warning.
        "-Clink-arg=-Wl,-z,pack-relative-relocs".to_owned(),
        format!("--remap-path-prefix={}=/cryokey", shell.current_dir().display()),
        format!("--remap-path-prefix={cargo}=/cargo"),
    ];
    // Joined to what .cargo/config.toml says for the target; a variable would replace that.
    let flags = format!("target.{triple}.rustflags={flags:?}");
    cmd!(shell, "cargo build --release --locked --target {triple} --config {flags}")
}

/// Such a program needs nothing from the image it is copied into.
fn must_be_static(shell: &Shell, path: &Path) -> Result {
    let headers = run(cmd!(shell, "readelf --wide --program-headers --dynamic {path}"))?;
    let needs = ["INTERP", "(NEEDED)"].into_iter().find(|word| headers.contains(word));
    needs.map_or(Ok(()), |word| Err(format!("{} is not static: it has {word}", path.display()).into()))
}

/// The host triple, from `rustc -vV`.
pub(crate) fn host_triple(shell: &Shell) -> Result<String> {
    let version = cmd!(shell, "rustc -vV").quiet().read()?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.ok_or("`rustc -vV` names no host")?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_test_program_is_dynamic_and_seen_as_such() {
        let own = std::env::current_exe().unwrap();
        let problem = must_be_static(&project::shell().unwrap(), &own).unwrap_err();
        assert!(problem.to_string().contains("is not static"), "{problem}");
    }
}
