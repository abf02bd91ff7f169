//! The operating system: reading files that may block or grow, writing files that must be complete, accounts.

pub mod accounts;
pub mod memory;
pub mod output;
pub mod read;
pub mod write;
