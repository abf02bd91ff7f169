//! `HashiCorp` Vault and `OpenBao`.

pub mod api;
pub mod error;
pub mod identity;
pub mod json;
