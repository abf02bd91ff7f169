//! What cryokey does as a process: it notes the state it was started in, and becomes the app in that state.
//!
//! The only crate with unsafe code. It knows no secret, no provider and no configuration.

mod exec;
mod launch;
mod search;
mod startup;
mod stop;

pub use exec::{ExecError, Reason, exec};
pub use launch::{Launch, NulInside};
pub use startup::{environment, is_pid_1};
pub use stop::StopSignals;
