//! `cargo xtask bench`: builds what is measured, lets the driver in bench/ measure it, and writes bench/RESULTS.md.

use std::fs;
use std::path::{Path, PathBuf};

use crate::arguments::Bench;
use crate::dist;
use crate::line::Line;
use crate::project;
use crate::side;
use crate::tools;

const RESULTS: &str = "bench/RESULTS.md";
const PEERS: [&str; 3] = ["secretspec", "teller", "fnox"];

pub(crate) fn bench(options: &Bench) -> Result<(), String> {
    let ours = dist::dist()?;
    let folder = build()?;
    let line = driver(&folder, &ours, options);
    let before = project::load();
    let mut measured = String::new();
    line.run_watched(|line| measured.extend([line, "\n"]))?;
    let text = format!("{}\n{measured}", head(options, &before)?);
    let path = project::root().join(RESULTS);
    fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))?;
    println!("written: {RESULTS}");
    Ok(())
}

/// The driver, the floor and the trivial program, built with the same flags as ours.
fn build() -> Result<PathBuf, String> {
    let triple = dist::host_triple()?;
    dist::static_build(&triple).arg("--manifest-path").arg(side::manifest("bench")).run()?;
    Ok(project::root().join("bench/target").join(triple).join("release"))
}

fn driver(folder: &Path, ours: &Path, options: &Bench) -> Line {
    let line = Line::new(folder.join("driver"), &["--ours"])
        .arg(ours)
        .arg("--floor")
        .arg(folder.join("floor"))
        .arg("--trivial")
        .arg(folder.join("trivial"))
        .arg("--shell")
        .arg(project::root().join("bench/entrypoint.sh"));
    let asked = PEERS.iter().filter(|_| options.peers);
    asked.fold(line, |line, name| match peer(name, options) {
        Some(path) => line.arg(format!("--{name}")).arg(path),
        None => line.arg("--absent").arg(*name),
    })
}

fn peer(name: &str, options: &Bench) -> Option<PathBuf> {
    let given = options.peers_dir.as_ref().map(|folder| folder.join(name));
    given.filter(|path| path.is_file()).or_else(|| tools::find(name))
}

/// The peers' folder is left out: it is somebody's own, and its path says nothing about the figures.
fn head(options: &Bench, before: &str) -> Result<String, String> {
    let peers = if options.peers { " --peers" } else { "" };
    let lines = [
        "# Figures".to_owned(),
        String::new(),
        "Written by the command below; edits by hand are lost.".to_owned(),
        String::new(),
        format!("- command: `cargo xtask bench{peers}`"),
        format!("- date: {}", project::today()?),
        format!("- commit: {}", project::commit()),
        format!("- machine: {}", project::machine()),
        format!("- load average before: {before}; after: {}", project::load()),
    ];
    Ok(lines.join("\n") + "\n")
}
