//! The operating system: reading files that may block or grow, writing files that must be complete, accounts and how they are named.

pub mod account_name;
pub mod accounts;
pub mod memory;
pub mod output;
pub mod read;
pub mod write;
