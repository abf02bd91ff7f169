//! cryokey and the servers that hold secrets, in a network of their own.

mod conformance;
mod support;

mod aws;
mod aws_profile;
mod server;
mod sign_in;
mod surroundings;
mod vault;
