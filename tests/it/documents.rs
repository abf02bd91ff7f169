//! The documentation's tables say what the code says, and the code keeps the rules of `ARCHITECTURE.md`.

mod links;
mod providers;

use std::collections::{BTreeMap, BTreeSet};
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
fn the_documentation_lists_every_variable_and_no_unknown_one() {
    let text = read("docs/settings.md");
    for name in variable::ALL {
        assert!(row(&text, name).is_some(), "no row for `{name}`");
    }
    let known: Vec<&str> = VARIABLES.iter().chain(variable::ALL).copied().collect();
    let is_own = |name: &&str| name.starts_with(variable::OWN_PREFIX) && *name != variable::OWN_PREFIX;
    let unknown: Vec<&str> = rows(&text)
        .flat_map(|cells| cells.into_iter().take(2).flat_map(quoted).collect::<Vec<_>>())
        .filter(is_own)
        .filter(|name| !known.contains(name))
        .collect();
    assert!(unknown.is_empty(), "docs/settings.md has {unknown:?}, which the code does not know");
}

#[test]
fn the_documentation_lists_every_placeholder_and_every_dangerous_name() {
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

/// The Rust files below a directory, with their text.
fn sources(directory: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut directories = vec![root().join(directory)];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
            } else if path.extension().is_some_and(|end| end == "rs") {
                let text = read(&path);
                found.push((path.strip_prefix(root()).unwrap().to_owned(), text));
            }
        }
    }
    assert!(!found.is_empty(), "{directory} has no sources");
    found
}

/// A file without the modules of its tests.
fn without_tests(text: &str) -> &str {
    text.split("\n#[cfg(test)]\nmod tests").next().unwrap()
}

fn code(text: &str) -> String {
    let lines = without_tests(text).lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.collect::<Vec<_>>().join("\n")
}

/// The path that a text begins with; of `a::{b, c::{d, e}}` the paths `a::b`, `a::c::d` and `a::c::e`.
fn paths(text: &str) -> Vec<String> {
    let end = text.find(|it: char| !it.is_alphanumeric() && !"_:".contains(it)).unwrap_or(text.len());
    let (path, rest) = text.split_at(end);
    match rest.strip_prefix('{') {
        Some(list) if path.is_empty() || path.ends_with("::") => {
            items(list).into_iter().flat_map(paths).map(|item| format!("{path}{item}")).collect()
        }
        _ => vec![path.to_owned()],
    }
}

/// The items of a list in braces, without its opening brace.
fn items(list: &str) -> Vec<&str> {
    let (mut items, mut depth, mut start) = (Vec::new(), 0, 0);
    for (at, character) in list.char_indices() {
        match character {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' if depth > 0 => {}
            ',' | '}' => {
                items.push(list[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
        if character == '}' && depth == 0 && start == at + 1 {
            break;
        }
    }
    items
}

/// What stands behind every `crate::` or `super::`, in `use` or anywhere else.
fn paths_behind(text: &str, start: &str) -> Vec<String> {
    code(text).split(start).skip(1).flat_map(paths).collect()
}

/// The modules that a file uses, without their items.
fn used(text: &str) -> BTreeSet<String> {
    let first = |path: String| path.split("::").next().unwrap_or_default().to_owned();
    paths_behind(text, "crate::").into_iter().map(first).collect()
}

#[test]
fn paths_in_lists_are_found_with_what_stands_before_them() {
    let text = "use crate::a;\nuse crate::{b, c::{D, e::F}};\nfn f(x: &crate::g::H) {}\n// crate::i";
    assert_eq!(paths_behind(text, "crate::"), ["a", "b", "c::D", "c::e::F", "g::H"]);
    assert_eq!(used(text), ["a", "b", "c", "g"].map(str::to_owned).into());
}

/// A source file as a module, such as `provider::files`; the root has an empty name.
fn module(path: &Path) -> String {
    let inside = path.iter().skip_while(|part| *part != "src").skip(1).map(|part| part.to_str().unwrap());
    let parts = inside.map(|part| part.trim_end_matches(".rs")).filter(|part| !["mod", "lib"].contains(part));
    parts.collect::<Vec<_>>().join("::")
}

/// Which files use which, as modules. That a file uses the one it is below is left out: together they are one
/// subject, and the upper one holds what those below have in common.
fn uses(directory: &str) -> BTreeMap<String, BTreeSet<String>> {
    let sources: Vec<(String, String)> =
        sources(directory).into_iter().map(|(path, text)| (module(&path), text)).collect();
    let is_below = |name: &str, other: &str| name.starts_with(&format!("{other}::"));
    let owner = |path: &str| {
        let owners =
            sources.iter().map(|(name, _)| name).filter(|name| path == *name || is_below(path, name));
        owners.max_by_key(|name| name.len()).cloned()
    };
    let used = |(name, text): &(String, String)| {
        let parent = name.rsplit_once("::").map_or("", |(parent, _)| parent);
        let beside = paths_behind(text, "super::").into_iter().map(|path| format!("{parent}::{path}"));
        let named = paths_behind(text, "crate::").into_iter().chain(beside).filter_map(|path| owner(&path));
        let words = code(text);
        let words: Vec<&str> = words.split(|it: char| !it.is_alphanumeric() && !"_:".contains(it)).collect();
        let is_child_used = |other: &str| {
            let child = other.strip_prefix(&format!("{name}::")).unwrap_or_default();
            words.iter().any(|word| word.starts_with(&format!("{child}::")))
        };
        let below = sources.iter().map(|(other, _)| other).filter(|other| is_below(other, name));
        let below = below.filter(|other| is_child_used(other)).cloned();
        let used = named.filter(|other| other != name && !is_below(name, other)).chain(below).collect();
        (name.clone(), used)
    };
    sources.iter().filter(|(name, _)| !name.is_empty() && name != "main").map(used).collect()
}

/// The files from which a chain of uses leads back to them.
fn circles(uses: &BTreeMap<String, BTreeSet<String>>) -> Vec<&str> {
    let mut open: BTreeMap<&str, BTreeSet<&str>> =
        uses.iter().map(|(name, used)| (name.as_str(), used.iter().map(String::as_str).collect())).collect();
    // A file that uses nothing, or is not used, is not part of a circle.
    loop {
        let is_used = |name: &str| open.values().any(|used| used.contains(name));
        let Some(done) = open.iter().find(|(name, used)| used.is_empty() || !is_used(name)) else {
            return open.into_keys().collect();
        };
        let done = *done.0;
        open.remove(done);
        for used in open.values_mut() {
            used.remove(done);
        }
    }
}

#[test]
fn files_do_not_use_each_other_in_circles() {
    assert_eq!(circles(&uses("crates/init/src")), [""; 0]);
    assert_eq!(circles(&uses("src")), [""; 0]);
}

#[test]
fn a_circle_is_found_and_what_leads_to_it_or_away_from_it_is_not_in_it() {
    let uses = [("start", "a"), ("a", "b"), ("b", "c"), ("c", "a"), ("c", "end"), ("end", "")];
    let mut graph = BTreeMap::<String, BTreeSet<String>>::new();
    for (name, used) in uses {
        let used = Some(used.to_owned()).filter(|used| !used.is_empty());
        graph.entry(name.to_owned()).or_default().extend(used);
    }
    assert_eq!(circles(&graph), ["a", "b", "c"]);
}

#[test]
fn modules_are_used_in_one_direction() {
    for (path, text) in sources("src") {
        let used = used(&text);
        let is_in = |directory: &str| path.starts_with(format!("src/{directory}"));
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
            "ssh_key",
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
fn crates_init_depends_on_no_other_module() {
    let words = ["cryokey::", "Secret", "Provider", "Manifest", "Config"];
    for (path, text) in sources("crates/init/src") {
        let code = without_tests(&text).lines().filter(|line| !line.trim_start().starts_with("//"));
        let found: Vec<&str> = code.filter(|line| words.iter().any(|word| line.contains(word))).collect();
        assert!(found.is_empty(), "{}: {found:?}", path.display());
    }
    let manifest = read("crates/init/Cargo.toml");
    let (_, dependencies) = manifest.split_once("[dependencies]").unwrap();
    assert!(!dependencies.contains("path ="), "crates/init depends on another crate of the workspace");
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

/// The names of all test functions and their helpers.
fn functions() -> BTreeSet<String> {
    let places =
        ["src", "crates/init/src", "tests/it", "e2e/tests", "xtask/src"].into_iter().flat_map(sources);
    let names = |(_, text): (PathBuf, String)| -> Vec<String> {
        let after = text.split("fn ").skip(1).filter_map(|rest| rest.split('(').next());
        after.map(str::to_owned).collect()
    };
    places.flat_map(names).collect()
}

#[test]
fn every_test_that_the_security_page_names_exists() {
    let text = read("docs/security-tests.md");
    let known = functions();
    let is_name = |name: &&str| name.contains('_') && name.len() > 12;
    let named: Vec<&str> = quoted(&text).into_iter().filter(is_name).collect();
    let unknown: Vec<&&str> = named.iter().filter(|name| !known.contains(**name)).collect();
    assert!(named.len() > 40 && unknown.is_empty(), "docs/security-tests.md names {unknown:?}");
}
