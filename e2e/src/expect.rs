//! How a scenario says that something is not as it must be.

use std::fmt::Debug;

/// Why a scenario ended early.
#[derive(Clone)]
pub(crate) enum Stop {
    /// This machine cannot run it.
    NotRun(String),
    Failed(String),
}

pub(crate) type Done = Result<(), Stop>;

impl From<String> for Stop {
    fn from(what: String) -> Self {
        Self::Failed(what)
    }
}

pub(crate) fn expect(holds: bool, otherwise: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(otherwise()) }
}

pub(crate) fn equal<T: PartialEq + Debug>(what: &str, got: &T, wanted: &T) -> Result<(), String> {
    expect(got == wanted, || format!("{what} is {got:?}, not {wanted:?}"))
}

/// Every one of these must be in the text. The words are the stable parts of a message, not whole sentences.
pub(crate) fn says(what: &str, text: &str, words: &[&str]) -> Result<(), String> {
    let lacking: Vec<_> = words.iter().filter(|word| !text.contains(**word)).collect();
    expect(lacking.is_empty(), || format!("{what} does not say {lacking:?}: {text}"))
}
