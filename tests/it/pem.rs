//! `format = "pem"`: `openssl` is the judge of what an app can read.

use std::io::Write as _;
use std::process::{Command, Stdio};

use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{Config, TestRunner};

use crate::support::{Need, Test, require};

const CASES: u32 = 300;

/// What `openssl` makes, and the command that reads it.
#[derive(Debug, Clone)]
struct Made {
    text: String,
    reader: &'static str,
}

/// How people and programs change the text, to good or bad effect.
#[derive(Debug, Clone)]
enum Change {
    LineEnds(&'static str),
    Around(&'static str, &'static str),
    Wrapped(usize),
    BlankLine(Index),
    LineLost(Index),
    LetterLost(Index),
    NoBase64(Index, char),
    Cut(Index),
    Label(&'static str, &'static str),
}

#[test]
fn a_pem_value_is_refused_if_and_only_if_openssl_cannot_read_it() {
    if !require(Need::SshKeygen) {
        return;
    }
    let made = made();
    let strategy = (select(made), prop::collection::vec(change(), 0..3));
    let config = Config { cases: CASES, failure_persistence: None, ..Config::default() };
    let judged = TestRunner::new(config).run(&strategy, |(made, changes)| {
        let text = changes.iter().fold(made.text, |text, change| change.made_to(&text));
        prop_assert_eq!(is_accepted(&text), is_read(made.reader, &text), "{:?}\n{}", changes, text);
        Ok(())
    });
    judged.unwrap();
}

#[test]
fn several_sections_are_accepted_and_one_that_is_broken_is_refused() {
    if !require(Need::SshKeygen) {
        return;
    }
    let all: String = made().into_iter().map(|made| made.text).chain([encrypted()]).collect();
    assert!(is_accepted(&all));
    assert!(!is_accepted(&all.replacen("-----END PRIVATE", "-----END PUBLIC", 1)));
}

fn made() -> Vec<Made> {
    let key = |arguments: &[&str]| openssl(arguments, "").unwrap();
    let ec = key(&["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"]);
    let rsa = key(&["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024"]);
    let request = ["req", "-x509", "-key", "/dev/stdin", "-subj", "/CN=app", "-days", "9"];
    let certificate = |key: &str| Made { text: openssl(&request, key).unwrap(), reader: "x509" };
    let old = openssl(&["pkey", "-traditional"], &rsa).unwrap();
    let keys = [ec.clone(), rsa.clone(), old, key(&["genpkey", "-algorithm", "ED25519"])];
    let keys = keys.into_iter().map(|text| Made { text, reader: "pkey" });
    keys.chain([certificate(&ec), certificate(&rsa)]).collect()
}

/// What is inside only its password shows, so a line that is lost there is not noticed.
fn encrypted() -> String {
    let key = openssl(&["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024"], "").unwrap();
    openssl(&["rsa", "-traditional", "-aes128", "-passout", "pass:word"], &key).unwrap()
}

fn change() -> impl Strategy<Value = Change> {
    let around = [("", "\n\n"), ("\u{feff}", ""), ("Bag Attributes\n", "# end\n"), (" ", ""), ("x", "")];
    prop_oneof![
        select(["\r\n", "\n", " \t\n", "\n ", "\r", " "].as_slice()).prop_map(Change::LineEnds),
        select(around.to_vec()).prop_map(|(before, after)| Change::Around(before, after)),
        (1_usize..100).prop_map(Change::Wrapped),
        any::<Index>().prop_map(Change::BlankLine),
        any::<Index>().prop_map(Change::LineLost),
        any::<Index>().prop_map(Change::LetterLost),
        (any::<Index>(), select(['!', '_', '*', 'é'].as_slice()))
            .prop_map(|(at, to)| Change::NoBase64(at, to)),
        any::<Index>().prop_map(Change::Cut),
        select(
            [("-----END ", "-----END X"), ("-----BEGIN ", "----BEGIN "), ("-----\n", "----\n")].as_slice()
        )
        .prop_map(|(from, to)| Change::Label(from, to)),
    ]
}

impl Change {
    fn made_to(&self, text: &str) -> String {
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let at = |index: &Index| index.index(lines.len());
        if lines.is_empty() {
            return text.to_owned();
        }
        match self {
            Self::LineEnds(end) => return lines.join(end),
            Self::Around(before, after) => return format!("{before}{text}{after}"),
            Self::Label(from, to) => return text.replacen(from, to, 1),
            Self::Wrapped(width) => lines = lines.iter().flat_map(|line| wrapped(line, *width)).collect(),
            Self::BlankLine(index) => lines.insert(at(index), String::new()),
            Self::LineLost(index) => drop(lines.remove(at(index))),
            Self::Cut(index) => lines.truncate(at(index)),
            Self::LetterLost(index) => replace(&mut lines, *index, ""),
            Self::NoBase64(index, to) => replace(&mut lines, *index, &to.to_string()),
        }
        lines.iter().flat_map(|line| [line.as_str(), "\n"]).collect()
    }
}

/// Replaces one letter of one line. Behind the padding, where white space can be, OpenSSL takes anything, and cryokey
/// nothing.
fn replace(lines: &mut [String], index: Index, to: &str) {
    let at = index.index(lines.len());
    let places: Vec<usize> = lines[at].trim_end().char_indices().map(|(at, _)| at).collect();
    if !places.is_empty() {
        let place = places[index.index(places.len())];
        let width = lines[at][place..].chars().next().unwrap().len_utf8();
        lines[at].replace_range(place..place + width, to);
    }
}

fn wrapped(line: &str, width: usize) -> Vec<String> {
    if line.is_empty() || line.contains([':', '-']) {
        return vec![line.to_owned()];
    }
    let letters: Vec<char> = line.chars().collect();
    letters.chunks(width).map(|line| line.iter().collect()).collect()
}

fn is_accepted(text: &str) -> bool {
    let test = Test::with("[secret.TOKEN]\nformat = \"pem\"\nrequired = true\ndeliver = \"file\"\n");
    let test = test.in_run_dir().public_file("secrets/TOKEN", text, 0o444);
    let outcome = test.run(["/bin/true"]);
    assert!([0, 65].contains(&outcome.code), "{}", outcome.stderr);
    outcome.code == 0
}

fn is_read(reader: &str, text: &str) -> bool {
    openssl(&[reader, "-noout", "-inform", "PEM"], text).is_some()
}

/// What it prints, where it succeeds.
fn openssl(arguments: &[&str], input: &str) -> Option<String> {
    let mut command = Command::new("openssl");
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    // It may have seen enough before the end.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
}
