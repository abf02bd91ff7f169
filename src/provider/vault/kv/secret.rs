//! The replies of the KV engine for a single secret.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use super::KvError;
use crate::provider::json::{Json, Members};
use crate::provider::vault::api::Reply;

/// A secret that was read.
pub struct Stored {
    reply: Arc<Reply>,
    /// The path of the fields within the reply.
    fields: &'static [&'static str],
    /// The version of the secret; `None` in KV version 1.
    pub version: Option<u64>,
    /// When that version was created.
    pub created: Option<SystemTime>,
}

impl Stored {
    /// The secret's fields.
    pub fn fields(&self) -> Result<Members<'_>, KvError> {
        let data = self.reply.json()?.at(self.fields);
        data.and_then(Json::members).ok_or(KvError::member("data"))
    }

    /// Parses a reply of KV version 1. `None` if the secret does not exist.
    pub(super) fn of_version_1(reply: Arc<Reply>) -> Result<Option<Self>, KvError> {
        if !reply.is_found() {
            return Ok(None);
        }
        let stored = Self { reply, fields: &["data"], version: None, created: None };
        stored.fields()?;
        Ok(Some(stored))
    }

    /// Parses a reply of KV version 2, which can be the 404 for a deleted version. `None` if it is not one of version
    /// 2.
    pub(super) fn of_version_2(reply: &Arc<Reply>, now: SystemTime) -> Option<Result<Self, KvError>> {
        let json = reply.json().ok()?;
        let metadata = json.at(&["data", "metadata"])?;
        let version = metadata.at(&["version"])?.integer()?;
        Some(Self::live(reply, json, metadata, version, now))
    }

    fn live(
        reply: &Arc<Reply>,
        json: Json<'_>,
        metadata: Json<'_>,
        version: u64,
        now: SystemTime,
    ) -> Result<Self, KvError> {
        if metadata.at(&["destroyed"]).and_then(Json::boolean) == Some(true) {
            return Err(KvError::Destroyed { version });
        }
        let data = json.at(&["data", "data"]).ok_or(KvError::member("data"))?;
        let deletion = moment(metadata, "deletion_time")?;
        // With `delete_version_after`, the deletion time lies in the future; until then the version is alive.
        if data.is_null() || deletion.is_some_and(|moment| moment <= now) {
            return Err(KvError::Deleted { version });
        }
        let created = moment(metadata, "created_time")?;
        let stored =
            Self { reply: Arc::clone(reply), fields: &["data", "data"], version: Some(version), created };
        stored.fields()?;
        Ok(stored)
    }
}

/// A timestamp of the metadata; `None` if it is empty or missing.
fn moment(metadata: Json<'_>, name: &'static str) -> Result<Option<SystemTime>, KvError> {
    let Some(json) = metadata.at(&[name]).filter(|json| !json.is_null()) else { return Ok(None) };
    let text = json.text().ok_or(KvError::member(name))?;
    if text.is_empty() {
        return Ok(None);
    }
    let parsed: Option<jiff::Timestamp> = text.parse().ok();
    parsed.and_then(|moment| SystemTime::try_from(moment).ok()).map(Some).ok_or(KvError::member(name))
}

impl fmt::Debug for Stored {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Stored").field("version", &self.version).finish_non_exhaustive()
    }
}
