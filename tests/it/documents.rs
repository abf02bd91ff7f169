//! The documentation's tables say what the code says, and the code keeps the rules of `ARCHITECTURE.md`.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use cryokey::environ::variable;
use cryokey::error::Reason;
use cryokey::name::{DANGEROUS, DANGEROUS_PREFIXES};
use cryokey::rules::format::PLACEHOLDERS;
use cryokey::setting::VARIABLES;

/// A file of more lines, without its tests, is more than one subject.
const LONGEST_FILE: usize = 400;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// What stands between backticks in a text.
fn quoted(text: &str) -> Vec<&str> {
    text.lines().flat_map(|line| line.split('`').skip(1).step_by(2)).collect()
}

fn assert_quotes<'a>(document: &str, expected: impl IntoIterator<Item = &'a str>) {
    let text = read(document);
    let listed: BTreeSet<&str> = quoted(&text).into_iter().collect();
    let missing: Vec<&str> = expected.into_iter().filter(|name| !listed.contains(name)).collect();
    assert!(missing.is_empty(), "{document} does not list {missing:?}");
}

/// The cells of the table rows of a text.
fn rows(text: &str) -> impl Iterator<Item = Vec<&str>> {
    let row = |line: &'_ str| line.starts_with('|');
    text.lines()
        .filter(move |line| row(line))
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
}

/// The row whose first cell is this name.
fn row<'a>(text: &'a str, name: &str) -> Option<Vec<&'a str>> {
    rows(text).find(|cells| cells[0] == format!("`{name}`"))
}

#[test]
fn the_documentation_lists_every_variable_and_no_other_of_ours() {
    let text = read("docs/settings.md");
    for name in variable::ALL {
        assert!(row(&text, name).is_some(), "no row for `{name}`");
    }
    let known: Vec<&str> = VARIABLES.iter().chain(variable::ALL).copied().collect();
    let ours = |name: &&str| name.starts_with(variable::OURS) && *name != variable::OURS;
    let unknown: Vec<&str> = rows(&text)
        .flat_map(|cells| cells.into_iter().take(2).flat_map(quoted).collect::<Vec<_>>())
        .filter(ours)
        .filter(|name| !known.contains(name))
        .collect();
    assert!(unknown.is_empty(), "docs/settings.md has {unknown:?}, which the code does not know");
}

#[test]
fn the_documentation_lists_every_placeholder_and_every_name_that_steers() {
    assert_quotes("docs/rules.md", PLACEHOLDERS.iter().copied());
    assert_quotes("docs/names.md", DANGEROUS.iter().copied());
    assert_quotes("docs/names.md", DANGEROUS_PREFIXES.iter().copied().chain(["_PROXY"]));
}

/// The exit codes of every reason; of the signals those that end a start: HUP, INT, QUIT, TERM.
fn exit_codes() -> BTreeSet<u8> {
    let stopped = [1, 2, 3, 15].map(Reason::Stopped);
    Reason::ALL.iter().chain(&stopped).map(|reason| reason.exit().code()).collect()
}

#[test]
fn the_documentation_lists_every_reason_with_its_exit_code() {
    let text = read("docs/messages.md");
    for reason in Reason::ALL {
        let row = row(&text, reason.word()).unwrap_or_else(|| panic!("no row for `{}`", reason.word()));
        let code = match reason {
            Reason::Stopped(_) => "128 + signal".to_owned(),
            _ => reason.exit().code().to_string(),
        };
        assert!(row[1] == code || row[1] == "-", "`{}` has {code}, not {}", reason.word(), row[1]);
    }
}

/// The numbers in the first column of the table below a heading.
fn documented_codes(document: &str) -> BTreeSet<u8> {
    let text = read(document);
    let (_, section) =
        text.split_once("## Exit codes").unwrap_or_else(|| panic!("{document} has no exit codes"));
    let section = section.split("\n## ").next().unwrap();
    rows(section)
        .flat_map(|cells| cells[0].split(',').filter_map(|code| code.trim().parse().ok()).collect::<Vec<_>>())
        .collect()
}

#[test]
fn the_tables_of_exit_codes_are_those_of_the_code() {
    assert_eq!(documented_codes("README.md"), exit_codes());
    assert_eq!(documented_codes("docs/rules.md"), exit_codes());
}

/// The Rust files below a folder, with their text.
fn sources(folder: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "rs") {
                let text = read(&path);
                found.push((path.strip_prefix(root()).unwrap().to_owned(), text));
            }
        }
    }
    assert!(!found.is_empty(), "{folder} has no sources");
    found
}

/// A file without the modules of its tests.
fn without_tests(text: &str) -> &str {
    text.split("\n#[cfg(test)]\nmod tests").next().unwrap()
}

/// The modules of ours that a file uses: the first word behind every `crate::`, in `use` or anywhere else.
fn used(text: &str) -> BTreeSet<String> {
    let code = without_tests(text).lines().filter(|line| !line.trim_start().starts_with("//"));
    let word =
        |rest: &str| rest.chars().take_while(|it| it.is_alphanumeric() || *it == '_').collect::<String>();
    let mut used: BTreeSet<String> =
        code.clone().flat_map(|line| line.split("crate::").skip(1).map(word)).collect();
    // `use crate::{a, b::c}`
    for list in code.collect::<Vec<_>>().join(" ").split("crate::{").skip(1) {
        used.extend(list.split('}').next().unwrap_or_default().split(',').map(|item| word(item.trim())));
    }
    used
}

#[test]
fn modules_are_used_in_one_direction() {
    for (path, text) in sources("src") {
        let used = used(&text);
        let is_in = |folder: &str| path.starts_with(format!("src/{folder}"));
        let refuses = |modules: &[&str]| {
            let refused: Vec<&&str> = modules.iter().filter(|module| used.contains(**module)).collect();
            assert!(refused.is_empty(), "{} uses {refused:?}", path.display());
        };
        if !is_in("command") && !is_in("lib.rs") {
            refuses(&["command"]);
        }
        if is_in("provider") {
            refuses(&[
                "cli", "config", "delivery", "logger", "manifest", "plan", "report", "resolve", "rules",
            ]);
        }
        if is_in("delivery") || is_in("rules") || is_in("resolve") || is_in("plan.rs") {
            refuses(&["cli", "command", "logger", "report"]);
        }
        let foundations = [
            "environ.rs",
            "error.rs",
            "escape.rs",
            "name.rs",
            "secret.rs",
            "ssh_key.rs",
            "suggest.rs",
            "syntax.rs",
            "system",
        ];
        if foundations.iter().any(|file| is_in(file)) {
            refuses(&[
                "cli", "config", "delivery", "manifest", "plan", "provider", "report", "resolve", "rules",
            ]);
        }
    }
}

#[test]
fn crates_init_knows_nothing_of_ours() {
    let words = ["cryokey::", "Secret", "Provider", "Manifest", "Config"];
    for (path, text) in sources("crates/init/src") {
        let code = without_tests(&text).lines().filter(|line| !line.trim_start().starts_with("//"));
        let found: Vec<&str> = code.filter(|line| words.iter().any(|word| line.contains(word))).collect();
        assert!(found.is_empty(), "{}: {found:?}", path.display());
    }
    let manifest = read("crates/init/Cargo.toml");
    let (_, dependencies) = manifest.split_once("[dependencies]").unwrap();
    assert!(!dependencies.contains("path ="), "crates/init depends on a crate of ours");
}

#[test]
fn only_crates_init_has_unsafe_code() {
    for file in ["src/lib.rs", "src/main.rs"] {
        assert!(read(file).contains("#![forbid(unsafe_code)]"), "{file}");
    }
    for (path, text) in sources("src").into_iter().chain(sources("xtask/src")) {
        let is_unsafe = |line: &&str| {
            let code = line.split("//").next().unwrap_or_default();
            ["unsafe {", "unsafe fn", "unsafe impl", "unsafe extern", "unsafe("]
                .iter()
                .any(|it| code.contains(it))
        };
        let found: Vec<&str> = text.lines().filter(is_unsafe).collect();
        assert!(found.is_empty(), "{}: {found:?}", path.display());
    }
}

#[test]
fn no_file_is_longer_than_one_subject() {
    let all = ["src", "crates/init/src", "xtask/src"].into_iter().flat_map(sources);
    let lines = |text: &str| without_tests(text).lines().count();
    let long: Vec<(PathBuf, usize)> =
        all.map(|(path, text)| (path, lines(&text))).filter(|(_, lines)| *lines > LONGEST_FILE).collect();
    assert!(long.is_empty(), "more than {LONGEST_FILE} lines without tests: {long:?}");
}
