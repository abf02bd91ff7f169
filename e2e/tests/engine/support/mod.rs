//! What the tests of the engine share.

mod container;
mod engine;
mod images;
mod project;
mod report;
mod secret;
mod service;

use std::time::Duration;

use e2e::program::{Ended, until};

pub(crate) use container::{Container, Run};
pub(crate) use engine::{Engine, engine};
pub(crate) use images::{FLASK, FOREIGN, built_examples};
pub(crate) use project::{Compose, Project};
pub(crate) use report::Report;
pub(crate) use secret::{CONTRACT, Directory, NOBODY, contract, contract_values};
pub(crate) use service::{Service, create_secret, external};

/// What stands before the second part of a message.
pub(crate) const FIX: &str = "; fix: ";

/// The logs as soon as they are so.
#[track_caller]
fn logs_when(
    what: &str,
    patience: Duration,
    logs: impl Fn() -> Ended,
    is_so: impl Fn(&Ended) -> bool,
) -> Ended {
    until(what, patience, || {
        let logs = logs();
        if is_so(&logs) { Ok(logs) } else { Err(logs) }
    })
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
