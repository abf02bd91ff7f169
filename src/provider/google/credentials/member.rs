//! Reads the members of a credential file.

use std::path::PathBuf;

use super::error::CredentialError;
use crate::provider::json::Json;
use crate::secret::Secret;

pub(super) fn text(json: Json<'_>, name: &'static str) -> Result<String, CredentialError> {
    optional(json, name).ok_or(CredentialError::Member(name))
}

/// The text of a member; `None` if it is missing or empty.
pub(super) fn optional(json: Json<'_>, name: &str) -> Option<String> {
    json.at(&[name]).and_then(Json::text).filter(|text| !text.is_empty())
}

pub(super) fn secret(json: Json<'_>, name: &'static str) -> Result<Secret, CredentialError> {
    let secret = json.at(&[name]).and_then(Json::secret).filter(|secret| !secret.expose().is_empty());
    secret.ok_or(CredentialError::Member(name))
}

pub(super) fn path(json: Json<'_>, name: &str) -> Option<PathBuf> {
    optional(json, name).map(PathBuf::from)
}
