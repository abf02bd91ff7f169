//! What each target asks of the code. A target is a plain function, so that the tests here replay the corpora with any
//! compiler; the programs in `fuzz_targets` hand the same functions to libFuzzer.
//!
//! A finding is a panic, in the code or in an assertion here.

use std::fmt::{Debug, Write as _};

use cryokey::command::init::{Source, Sources, draft};
use cryokey::manifest::{Manifest, write};
use cryokey::name::{EnvName, Variant};
use cryokey::provider::Cause as _;
use cryokey::provider::aws::credentials::ini::Ini;
use cryokey::provider::aws::{api, xml};
use cryokey::provider::azure::challenge::Challenge;
use cryokey::provider::azure::cloud::Cloud;
use cryokey::provider::google::credentials::file::Credential;
use cryokey::provider::google::place::Place;
use cryokey::provider::json::Json;
use cryokey::provider::reference::Reference;
use cryokey::provider::{azure, google, kubernetes};
use cryokey::ssh_key::Key;
use cryokey::syntax::{Boolean, Integer, List, Syntax as _, TimeSpan};

/// The program of a target. In an ordinary build it does nothing: libFuzzer brings its own `main`, and is only there
/// when the compiler instruments the code for it.
#[macro_export]
macro_rules! program {
    ($target:ident) => {
        #[cfg(fuzzing)]
        libfuzzer_sys::fuzz_target!(|bytes: &[u8]| $crate::$target(bytes));

        #[cfg(not(fuzzing))]
        fn main() {}
    };
}

/// Any text is a manifest or has at least one problem that can be shown; a manifest is written as it is read.
pub fn manifest(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    match Manifest::parse(&text, "cryokey.toml") {
        Ok(manifest) => {
            let written = write::to_toml(&manifest);
            let read = Manifest::parse(&written, "cryokey.toml");
            assert_eq!(read.as_ref(), Ok(&manifest), "written as {written}");
        }
        Err(problems) => {
            assert!(!problems.is_empty(), "a refusal without a reason");
            for problem in problems {
                assert_readable(&problem.what);
                assert_readable(&problem.fix);
                problem.names.iter().for_each(|name| assert_readable(name));
            }
        }
    }
}

/// The first line is a prefix, the second a key. What comes out is in the grammar, or nothing does.
pub fn name(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (prefix, key) = text.split_once('\n').unwrap_or(("", &text));
    for mapped in [EnvName::from_key(key, prefix), EnvName::from_key(key, ""), EnvName::parse(key)] {
        let Ok(name) = mapped else { continue };
        assert!(is_env_name(name.as_str()), "{name:?}");
        assert_eq!(EnvName::parse(name.as_str()).as_ref(), Ok(&name));
        assert_eq!(EnvName::from_key(name.as_str(), "").as_ref(), Ok(&name), "the mapping is idempotent");
        assert_eq!(EnvName::from_key(&name.as_str().to_ascii_lowercase(), "").as_ref(), Ok(&name));
        let _ = name.is_dangerous();
    }
    if let Ok(variant) = Variant::parse(key) {
        assert_eq!(Variant::parse(variant.as_str()).as_ref(), Ok(&variant));
        let prefix = variant.prefix();
        assert!(is_env_name(&prefix) && prefix.ends_with('_'), "{prefix}");
    }
}

/// What is a reference is written in one spelling, which is read as the same, stays below where it begins, and can be shown.
pub fn reference(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    match Reference::parse(&text) {
        Ok(reference) => {
            assert_eq!(Reference::parse(&reference.to_string()).as_ref(), Ok(&reference));
            assert_readable(&text);
            assert!(!reference.key.path.starts_with('/'), "{text}");
            assert!(reference.key.path.split('/').all(|part| !["", ".", ".."].contains(&part)), "{text}");
        }
        Err(why) => assert_readable(&why.to_string()),
    }
}

/// What Vault answers: JSON or not, and compact JSON says the same and stays as it is.
pub fn vault(bytes: &[u8]) {
    let Some(json) = Json::parse(bytes) else { return };
    let compact = json.compact();
    let again = Json::parse(compact.expose()).expect("compact JSON is JSON");
    assert_eq!(again.compact(), compact);
    assert_eq!(again.secret(), json.secret());
    assert_eq!((again.integer(), again.boolean()), (json.integer(), json.boolean()));
    let count = |json: Json<'_>| (json.members().map(|it| it.len()), json.elements().map(|it| it.len()));
    assert_eq!(count(again), count(json));
    for (name, member) in json.members().unwrap_or_default() {
        assert!(json.at(&[&name]).is_some_and(|found| found.compact() == member.compact()), "{name:?}");
    }
}

/// What AWS's services answer, as JSON or XML: each that was asked for once, and nothing else.
pub fn aws_reply(bytes: &[u8]) {
    let ids = ["app/db".to_owned(), "b".to_owned()];
    if let Ok(entries) = api::batch(bytes, &ids, &str::to_owned) {
        let mut answered: Vec<&String> = entries.iter().map(|(id, _)| id).collect();
        answered.sort_unstable();
        assert!(answered.into_iter().eq(&ids));
        entries.iter().filter_map(|(_, stored)| stored.as_ref().err()).for_each(|error| {
            assert_readable(&error.what("place"));
            assert_readable(&error.fix());
        });
    }
    if let Ok(page) = api::page(bytes) {
        assert!(page.next.is_none_or(|next| !next.is_empty()));
    }
    let _ = Json::parse(bytes).map(api::stored);
    for name in ["AccessKeyId", "Code"] {
        let _ = xml::element(bytes, name);
    }
}

/// What a vault answers: a list whose names are never empty, a secret only if it is the requested one, and a challenge
/// that leads nowhere else than to this cloud.
pub fn azure_reply(bytes: &[u8]) {
    let cloud = Cloud::new(None, None);
    let Ok(vault) = cloud.vault("app") else { unreachable!("a legal name") };
    if let Ok(page) = azure::api::page(bytes, &vault) {
        assert!(page.listed.iter().all(|listed| !listed.secret.is_empty()));
    }
    match azure::api::stored(bytes, &vault, "db", "") {
        Ok(stored) => assert!(String::from_utf8_lossy(bytes).to_lowercase().contains("db"), "{stored:?}"),
        Err(error) => assert_readable(&error.what("place")),
    }
    let header = String::from_utf8_lossy(bytes);
    if let Ok(challenge) = Challenge::verified(&header, &vault, &cloud) {
        assert!(vault.host().ends_with(challenge.resource.trim_start_matches("https://")));
        assert!(!challenge.tenant.contains('/') && !challenge.tenant.is_empty());
    }
}

/// What Secret Manager answers: a value only with the right checksum, if it has one, and of the requested secret.
pub fn google_reply(bytes: &[u8]) {
    let Ok(place) = Place::parse("my-project/db", None) else { unreachable!("a legal place") };
    if let Ok(page) = google::api::page(bytes) {
        assert!(page.next.is_none_or(|next| !next.is_empty()));
    }
    match google::api::stored(bytes, &place, "7") {
        Ok(stored) => assert_eq!(stored.version.as_deref(), Some("7")),
        Err(error) => assert_readable(&error.what("place")),
    }
}

/// What the API server answers: a Secret only if it is the requested one, with legal keys or none.
pub fn kubernetes_reply(bytes: &[u8]) {
    match kubernetes::secret::Secret::parse(bytes, "prod", "app") {
        Ok(secret) => {
            assert!(String::from_utf8_lossy(bytes).contains("app"), "{secret:?}");
            assert!(secret.keys().all(|key| EnvName::from_key(key, "").is_ok() || !key.contains('/')));
            assert_eq!(secret.keys().collect::<std::collections::BTreeSet<_>>().len(), secret.data.len());
        }
        Err(error) => {
            assert_readable(&error.what("place"));
            assert_readable(&error.fix());
        }
    }
}

/// Credentials for Google, which send what signs in to Google only.
pub fn google_key(bytes: &[u8]) {
    match Credential::parse(bytes, None) {
        Ok(credential) => assert_readable(&credential.label()),
        Err(error) => {
            assert_readable(&error.what("place"));
            assert_readable(&error.fix());
        }
    }
}

/// What AWS's shared files say is read again from what it is written as, and what is wrong with them has a line.
pub fn aws_config(bytes: &[u8]) {
    let ini = match Ini::parse(bytes) {
        Ok(ini) => ini,
        Err(error) => {
            assert!(error.line >= 1, "no line");
            return assert_readable(&error.fault.to_string());
        }
    };
    let written = as_ini(&ini);
    let again = Ini::parse(written.as_bytes()).unwrap_or_else(|error| panic!("{error:?} in {written}"));
    assert_eq!(as_ini(&again), written);
}

fn as_ini(ini: &Ini) -> String {
    let mut text = String::new();
    for title in ini.titles() {
        let section = ini.section(title).expect("a title has a section");
        writeln!(text, "[{title}]").expect("a string takes everything");
        for key in section.keys() {
            let value = section.get(key).unwrap_or_default();
            writeln!(text, "{key} = {value}").expect("a string takes everything");
        }
    }
    text
}

/// What init takes from the courier is what the courier would send.
pub fn handover(bytes: &[u8]) {
    if let Some(handover) = init::decode(bytes) {
        assert_eq!(*init::encode(&handover), bytes, "other bytes mean the same");
    }
}

/// A key is a key whatever its newlines and the white space around it, and what is written is read as the same key.
pub fn ssh_key(bytes: &[u8]) {
    let unix: Vec<u8> = bytes.iter().copied().filter(|byte| *byte != b'\r').collect();
    let windows: Vec<u8> = unix
        .iter()
        .flat_map(|byte| if *byte == b'\n' { &b"\r\n"[..] } else { std::slice::from_ref(byte) })
        .copied()
        .collect();
    let surrounded = [b"\n \t", &unix[..], b"\r\n\n"].concat();
    let decided = decided(&unix);
    assert_eq!(decided, self::decided(&windows), "with Windows line ends");
    assert_eq!(decided, self::decided(&surrounded), "in white space");
    if let Ok(key) = Key::parse(bytes) {
        let again = Key::parse(key.expose());
        assert_eq!(again.map(|again| again.expose() == key.expose()).ok(), Some(true), "as it is written");
    }
}

fn decided(bytes: &[u8]) -> String {
    shown(&Key::parse(bytes))
}

fn shown(value: &impl Debug) -> String {
    format!("{value:?}")
}

/// What is written for any compose file is a manifest, or there is a problem that can be shown.
pub fn compose(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes).into_owned();
    assert_drafted(&Sources { compose: Some(source(text)), ..Sources::default() });
}

/// The same for any example of variables.
pub fn env_example(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes).into_owned();
    assert_drafted(&Sources { env_example: Some(source(text)), ..Sources::default() });
}

fn source(text: String) -> Source {
    Source { place: "the file".into(), text }
}

fn assert_drafted(sources: &Sources) {
    match draft(sources) {
        Ok(draft) => {
            let read = Manifest::parse(&draft.text, "cryokey.toml");
            let count = read.as_ref().map(|manifest| manifest.secrets.len());
            assert_eq!(count, Ok(draft.count), "{}", draft.text);
        }
        Err(problems) => problems.iter().for_each(|problem| assert_readable(&problem.what)),
    }
}

/// Durations and lists are written as they are read.
pub fn setting(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Some(span) = TimeSpan::from_text(&text) {
        let written = TimeSpan::to_toml(&span);
        assert_eq!(TimeSpan::from_text(written.trim_matches('"')), Some(span));
    }
    let list = List::from_text(&text).unwrap_or_default();
    assert_eq!(List::from_text(&list.join(",")), Some(list));
    let _ = Boolean::from_text(&text);
    let _ = Integer::<1, 100>::from_text(&text);
}

fn is_env_name(text: &str) -> bool {
    let is_legal = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
    let begins_well = text.bytes().next().is_some_and(|first| !first.is_ascii_digit());
    begins_well && text.len() <= 256 && text.bytes().all(is_legal)
}

fn assert_readable(text: &str) {
    assert!(!text.is_empty(), "an empty text in a message");
    assert!(!text.chars().any(char::is_control), "{text:?}");
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    /// Every file of a corpus goes through its target once. An empty corpus would prove nothing.
    fn replay(name: &str, target: fn(&[u8])) {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(name);
        let mut count = 0;
        for entry in fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            let bytes = fs::read(&path).unwrap();
            let outcome = std::panic::catch_unwind(|| target(&bytes));
            assert!(outcome.is_ok(), "{} is a finding", path.display());
            count += 1;
        }
        assert!(count > 0, "{} is empty", directory.display());
    }

    macro_rules! replayed {
        ($($target:ident)*) => {
            $(#[test]
            fn $target() {
                replay(stringify!($target), super::$target);
            })*

            #[test]
            fn every_program_has_a_corpus_and_a_test() {
                let programs = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz_targets");
                let stem = |path: std::path::PathBuf| path.file_stem().unwrap().to_str().unwrap().to_owned();
                let mut programs: Vec<String> =
                    fs::read_dir(programs).unwrap().map(|entry| stem(entry.unwrap().path())).collect();
                programs.sort();
                let mut tests = vec![$(stringify!($target)),*];
                tests.sort_unstable();
                assert_eq!(programs, tests);
            }
        };
    }

    replayed!(
        aws_config aws_reply azure_reply compose env_example google_key google_reply handover kubernetes_reply manifest name
        reference setting ssh_key vault
    );
}
