//! AWS Secrets Manager.

pub mod credentials;
pub mod endpoint;
pub mod sigv4;
