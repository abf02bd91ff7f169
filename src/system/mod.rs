//! The file system as a container has it: foreign files that may block or grow, our own that must be whole, accounts.

pub mod accounts;
pub mod read;
pub mod write;
