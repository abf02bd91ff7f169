//! cryokey as a process: it records the state in which it was started, and becomes the app in that state.
//!
//! The only crate with unsafe code. It does not know secrets, providers or configuration.
//!
//! `cargo +nightly miri test -p init` checks what handles memory: the walk over the environment's array, the strings
//! and pointers that execve gets, the search. Miri lacks the system calls for signals, descriptors, prctl,
//! statvfs, users and execve; each has one block with its argument, and the black-box tests of the workspace run it.

mod app;
mod children;
mod encoding;
mod exec;
mod exit;
mod handover;
mod harden;
mod launch;
mod machine;
mod search;
mod signals;
mod startup;
mod stop;
mod supervise;
mod terminal;
mod user;

pub use encoding::{Handover, decode, encode};
pub use exec::{ExecError, Reason, exec};
pub use exit::Exit;
pub use handover::{Courier, Directory};
pub use launch::{Launch, NulInside};
pub use machine::{Forward, Policy};
pub use startup::{environment, is_pid_1};
pub use stop::{StopSignals, obey_signals};
pub use supervise::{Ended, Ending, Told, supervise};
pub use user::{User, UserError, become_user};
