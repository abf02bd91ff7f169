//! Tests of the client against a scripted server.

mod encryption;
mod exchange;
mod paths;
mod server;
