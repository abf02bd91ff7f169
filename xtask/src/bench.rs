//! `cargo xtask bench`: builds what is measured, lets the driver in bench/ measure it, and writes bench/RESULTS.md.

use std::path::{Path, PathBuf};

use xshell::{Shell, cmd};

use crate::run::{Result, find, run};
use crate::{dist, project};

const RESULTS: &str = "bench/RESULTS.md";
const PEERS: [&str; 3] = ["secretspec", "teller", "fnox"];

/// Other tools are measured too where a directory is named for them, which may be empty: then PATH is searched alone.
pub(crate) fn bench(peers: Option<&str>) -> Result {
    let shell = project::shell()?;
    let binaries = dist::dist()?;
    let ours = dist::for_this_machine(&binaries)?;
    // The driver, the floor and the trivial program get the same flags as cryokey.
    run(dist::static_build(&shell, &ours.triple).args(["--manifest-path", "bench/Cargo.toml"]))?;
    let built = project::target(&shell, "bench")?.join(&ours.triple).join("release");
    let before = project::load(&shell);
    println!("...     measuring");
    let measured = measure(&shell, &built, &ours.path, peers)?;
    shell.write_file(RESULTS, format!("{}\n{measured}", head(&shell, peers, &before)?))?;
    println!("{measured}\nwritten: {RESULTS}");
    Ok(())
}

fn measure(shell: &Shell, built: &Path, ours: &Path, peers: Option<&str>) -> Result<String> {
    let [driver, floor, trivial] = ["driver", "floor", "trivial"].map(|name| built.join(name));
    // The driver starts everything in a directory of its own.
    let entrypoint = shell.current_dir().join("bench/entrypoint.sh");
    let line = cmd!(shell, "{driver} --ours {ours} --floor {floor} --trivial {trivial} --shell {entrypoint}");
    let line = PEERS.iter().filter(|_| peers.is_some()).fold(line, |line, name| match peer(name, peers) {
        Some(path) => line.arg(format!("--{name}")).arg(path),
        None => line.args(["--absent", name]),
    });
    Ok(line.quiet().read()? + "\n")
}

fn peer(name: &str, directory: Option<&str>) -> Option<PathBuf> {
    let given = directory.filter(|given| !given.is_empty()).map(|given| Path::new(given).join(name));
    given.filter(|path| path.is_file()).or_else(|| find(name))
}

/// Without the peers' directory, which is specific to one machine.
fn head(shell: &Shell, peers: Option<&str>, before: &str) -> Result<String> {
    let lines = [
        "# Figures".to_owned(),
        String::new(),
        "Written by the command below; edits by hand are lost.".to_owned(),
        String::new(),
        format!("- command: `cargo xtask bench{}`", if peers.is_some() { " --peers" } else { "" }),
        format!("- date: {}", project::date(shell, "+%Y-%m-%d")?),
        format!("- commit: {}", project::commit(shell)),
        format!("- machine: {}", project::machine(shell)),
        format!("- load average before: {before}; after: {}", project::load(shell)),
    ];
    Ok(lines.join("\n") + "\n")
}
