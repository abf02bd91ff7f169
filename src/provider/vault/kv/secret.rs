//! What the KV engine answers for one secret.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use super::KvError;
use crate::provider::json::{Json, Members};
use crate::provider::vault::api::Reply;

/// A secret that was read.
pub struct Stored {
    reply: Arc<Reply>,
    /// The path of its fields in the reply.
    fields: &'static [&'static str],
    /// Which version it is; version 1 of the engine has none.
    pub version: Option<u64>,
    /// When that version was made.
    pub created: Option<SystemTime>,
}

impl Stored {
    /// Its fields.
    pub fn fields(&self) -> Result<Members<'_>, KvError> {
        let data = self.reply.json()?.at(self.fields);
        data.and_then(Json::members).ok_or(KvError::member("data"))
    }

    /// What version 1 answers. `None`: not there.
    pub(super) fn of_version_1(reply: Arc<Reply>) -> Result<Option<Self>, KvError> {
        if !reply.is_found() {
            return Ok(None);
        }
        let stored = Self { reply, fields: &["data"], version: None, created: None };
        stored.fields()?;
        Ok(Some(stored))
    }

    /// What version 2 answers, if this is an answer of version 2: also a 404 for a deleted version is one.
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
        // One in the future is the end that `delete_version_after` sets; the version is alive until then.
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

/// A time stamp of the metadata; empty or missing where there is none.
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
