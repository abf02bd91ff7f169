//! What the tests of the engine share.

mod container;
mod engine;
mod images;
mod project;
mod report;
mod secret;
mod service;

use std::path::{Path, PathBuf};

use e2e::program::Ended;

pub(crate) use container::Run;
pub(crate) use engine::{Engine, engine};
pub(crate) use images::{FOREIGN, built_examples};
pub(crate) use project::{Compose, Project};
pub(crate) use report::Report;
pub(crate) use secret::{CONTRACT, Directory, NOBODY, contract, contract_values};
pub(crate) use service::{Service, create_secret, external};

/// What stands before the second part of a message.
pub(crate) const FIX: &str = "; fix: ";

pub(crate) fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// The binary under test.
pub(crate) fn binary() -> PathBuf {
    let target = || std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from);
    let named = std::env::var_os("CRYOKEY_BINARY").map(PathBuf::from);
    let binary = named.unwrap_or_else(|| project().join(target()).join("dist/cryokey"));
    assert!(
        binary.is_file(),
        "{} does not exist; make it with `cargo xtask dist`, or name another with CRYOKEY_BINARY",
        binary.display()
    );
    binary
}

/// Every one of these is in the text. The words are the stable parts of a message, not whole sentences.
#[track_caller]
pub(crate) fn says(text: &str, words: &[&str]) {
    let lacking: Vec<_> = words.iter().filter(|word| !text.contains(**word)).collect();
    assert!(lacking.is_empty(), "it does not say {lacking:?}: {text}");
}

/// How a container refused to start the app.
#[track_caller]
pub(crate) fn refuses(ended: &Ended, code: i32, words: &[&str]) {
    assert_eq!(ended.code, code, "{}", ended.said());
    assert_eq!(ended.stdout, "", "standard output belongs to the app");
    says(ended.stderr.lines().next_back().unwrap_or_default(), &[&format!("exit code={code} ")]);
    says(&ended.stderr, words);
}
