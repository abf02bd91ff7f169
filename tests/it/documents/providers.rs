//! The pages about the sources of secrets: all have the same sections, and what they say about tests is so.

use std::fs;

use super::{functions, read, root, rows, sources};

const TABLE: &str = "docs/providers/sign-in.tsv";
const INDEX: &str = "docs/providers/README.md";
const PAGES: [&str; 7] = ["files", "kubernetes-volumes", "vault", "aws", "azure", "google", "kubernetes"];
const KINDS: [&str; 4] = ["real server", "other emulator", "own emulator", "documentation"];
const SECTIONS: [&str; 7] = [
    "What it reads",
    "Signing in",
    "Settings",
    "Names",
    "Permissions",
    "Limits",
    "What each failure looks like",
];

#[test]
fn every_source_has_a_page_with_the_same_sections() {
    for page in PAGES {
        let text = read(format!("docs/providers/{page}.md"));
        let sections: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("## ")).collect();
        assert_eq!(sections, SECTIONS, "docs/providers/{page}.md");
        assert!(read(INDEX).contains(&format!("]({page}.md)")), "{INDEX} does not list {page}.md");
    }
}

/// The rows of the table: provider, sign-in, how it was verified, test.
fn verified() -> Vec<[String; 4]> {
    let row = |line: &str| -> [String; 4] {
        let cells: Vec<String> = line.split('\t').map(str::to_owned).collect();
        cells.try_into().unwrap_or_else(|_| panic!("{TABLE} has not four columns: {line}"))
    };
    read(TABLE).lines().skip(1).map(row).collect()
}

/// Whether a path such as `sign_in::a_jwt_signs_in` is that of a test: of a function in the file `sign_in.rs`, or of a
/// case of the suite that this file runs.
fn is_test(path: &str) -> bool {
    let (file, rest) = path.split_once("::").unwrap_or_default();
    let (suite, name) = rest.rsplit_once("::").unwrap_or(("", rest));
    let in_file = |(path, text): &(std::path::PathBuf, String)| {
        let is_named = path.file_stem().is_some_and(|stem| stem == file);
        let is_run = match suite {
            "" => text.contains(&format!("#[test]\nfn {name}(")),
            suite => text.contains(&format!("suite!({suite}, ")) && is_case(name),
        };
        is_named && is_run
    };
    ["tests/it", "e2e/tests"].into_iter().flat_map(sources).any(|source| in_file(&source))
}

/// Whether the suite that all remote sources share has this case.
fn is_case(name: &str) -> bool {
    let text = read("e2e/tests/remote/conformance.rs");
    text.lines().any(|line| line.trim() == name) && functions().contains(name)
}

#[test]
fn every_sign_in_names_a_test_that_exists_or_that_there_is_none() {
    assert!(verified().len() > 30, "{} rows", verified().len());
    for [provider, sign_in, how, test] in verified() {
        let is_proven = if test == "-" { how == "documentation" } else { is_test(&test) };
        assert!(is_proven, "{TABLE}: {provider}, {sign_in}: there is no test `{test}`");
    }
}

#[test]
fn every_way_of_verifying_is_explained() {
    let text = read(INDEX);
    let legend = text.split("| in the table |").nth(1).and_then(|rest| rest.split("\n\n").next()).unwrap();
    let explained: Vec<&str> = rows(legend).map(|cells| cells[0]).collect();
    for [provider, sign_in, how, _] in verified() {
        for word in how.split(", ") {
            let is_explained = explained.iter().any(|known| known.len() > 3 && word.starts_with(known));
            assert!(is_explained, "{TABLE}: {provider}, {sign_in}: {INDEX} does not explain `{word}`");
        }
    }
}

#[test]
fn a_test_is_found_by_its_path_and_nothing_else_is_taken_for_one() {
    assert!(is_test("documents::every_test_that_the_security_page_names_exists"));
    assert!(is_test("kubernetes::kubernetes_api::a_deleted_secret_is_missing"));
    for path in [
        "",
        "documents::quoted",
        "files::every_test_that_the_security_page_names_exists",
        "kubernetes::other::a_deleted_secret_is_missing",
        "kubernetes::kubernetes_api::a_secret_arrives",
    ] {
        assert!(!is_test(path), "{path}");
    }
}

#[test]
fn the_documentation_s_table_of_sign_ins_is_that_of_the_list() {
    let row = |[provider, sign_in, how, test]: [String; 4]| {
        let test = if test == "-" { "none".to_owned() } else { format!("`{test}`") };
        format!("| {provider} | {sign_in} | {how} | {test} |\n")
    };
    let rows: String = verified().into_iter().map(row).collect();
    assert_made(INDEX, &format!("| source | sign-in | verified by | test |\n|---|---|---|---|\n{rows}"));
}

#[test]
fn the_readme_s_summary_of_sign_ins_is_that_of_the_list() {
    let ways = verified();
    let mut providers: Vec<&String> = ways.iter().map(|[provider, ..]| provider).collect();
    providers.dedup();
    let row = |provider: &&String| {
        let of_it = || ways.iter().filter(|way| way[0] == **provider);
        let by = |kind: &&str| of_it().filter(|way| way[2].starts_with(*kind)).count();
        let counts = KINDS.iter().map(|kind| by(kind).to_string()).collect::<Vec<_>>().join(" | ");
        assert_eq!(KINDS.iter().map(by).sum::<usize>(), of_it().count(), "{provider}");
        format!("| {provider} | {counts} |\n")
    };
    let rows: String = providers.iter().map(row).collect();
    let head = format!("| ways to sign in | {} |\n|{}\n", KINDS.join(" | "), "---|".repeat(KINDS.len() + 1));
    assert_made("README.md", &format!("{head}{rows}"));
}

/// Whether the part of the document that is made from the list is this table; or makes it so.
fn assert_made(document: &str, table: &str) {
    const BEGIN: &str = "<!-- made by CRYOKEY_BLESS=1 cargo test --test it documents -->\n";
    const END: &str = "<!-- end -->\n";
    let text = read(document);
    let (before, rest) = text.split_once(BEGIN).unwrap();
    let (_, after) = rest.split_once(END).unwrap();
    let expected = format!("{before}{BEGIN}\n{table}\n{END}{after}");
    if std::env::var_os("CRYOKEY_BLESS").is_some() {
        fs::write(root().join(document), &expected).unwrap();
    }
    assert!(
        read(document) == expected,
        "{document} is out of date: CRYOKEY_BLESS=1 cargo test --test it documents"
    );
}
