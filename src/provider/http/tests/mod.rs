//! The client against a server that does what a script says.

mod encryption;
mod exchange;
mod paths;
mod server;
