//! Links between the documents lead to files and headings that exist.

use std::fs;
use std::path::{Path, PathBuf};

use super::{read, root};

/// The documents, as paths from the root.
fn documents() -> Vec<PathBuf> {
    let below = |directory: &str| {
        let entries = fs::read_dir(root().join(directory)).unwrap().map(|entry| entry.unwrap().file_name());
        let files = entries.filter(|name| Path::new(name).extension().is_some_and(|end| end == "md"));
        files.map(|name| Path::new(directory).join(name)).collect::<Vec<_>>()
    };
    ["", "docs", "docs/providers", "docs/verification", "examples", "e2e"]
        .into_iter()
        .flat_map(below)
        .collect()
}

/// The text without its blocks of code, whose `#` begins no heading.
fn prose(text: &str) -> String {
    text.split("```").step_by(2).collect()
}

/// The targets of the links in a text, without those to other hosts.
fn links(text: &str) -> Vec<&str> {
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    targets.filter(|target| !target.contains("://")).collect()
}

/// What GitHub makes of a heading for links.
fn anchor(heading: &str) -> String {
    let is_kept = |it: &char| it.is_alphanumeric() || " -_".contains(*it);
    heading.to_lowercase().chars().filter(is_kept).map(|it| if it == ' ' { '-' } else { it }).collect()
}

fn has_heading(text: &str, wanted: &str) -> bool {
    let text = prose(text);
    let headings = text.lines().filter(|line| line.starts_with('#'));
    headings.map(|line| anchor(line.trim_start_matches('#').trim())).any(|heading| heading == wanted)
}

#[test]
fn every_link_leads_to_a_file_and_to_a_heading_in_it() {
    let mut broken = Vec::new();
    for document in documents() {
        let text = prose(&read(&document));
        for link in links(&text) {
            let (file, heading) = link.split_once('#').unwrap_or((link, ""));
            let target =
                if file.is_empty() { document.clone() } else { document.parent().unwrap().join(file) };
            let is_there = root().join(&target).exists();
            if !is_there || !heading.is_empty() && !has_heading(&read(&target), heading) {
                broken.push(format!("{}: {link}", document.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn links_and_headings_are_read_as_github_reads_them() {
    assert_eq!(links("[a](b.md#c) ![d](e.svg) [f](https://g)"), ["b.md#c", "e.svg"]);
    assert_eq!(anchor("`cryokey init`, and more"), "cryokey-init-and-more");
    assert!(has_heading("# A b\n", "a-b") && !has_heading("```\n# A b\n```\n", "a-b"));
}
