//! What the end-to-end tests share, whatever servers they start.

pub mod namespace;
pub mod need;
pub mod program;
pub mod project;
pub mod secrecy;

/// The search for values that the product's own tests use.
#[path = "../../tests/it/support/leak.rs"]
#[allow(dead_code, reason = "the product's tests use more of it")]
mod leak;
