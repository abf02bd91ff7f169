//! Everything that needs the real binary, and properties over the library. One binary, so that it links once.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "these are tests"
)]

mod support;

mod bulk;
mod canary;
mod command_line;
mod compile;
mod delivery;
mod development;
mod documents;
mod export;
mod files;
mod inheritance;
mod init;
mod install;
mod manifest;
mod messages;
mod modes;
mod names;
mod pem;
mod process;
mod properties;
mod reading;
mod resources;
mod rotation;
mod secrecy;
mod selection;
mod sign_in;
mod ssh;
mod supervise;
mod user;
mod values;
mod vault;
mod verify;
