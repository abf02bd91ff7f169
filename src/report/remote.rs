//! How the remote sources were reached.

use serde::Serialize;

use crate::resolve::Visit;

/// One remote source that was read.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Remote {
    /// The provider.
    pub source: &'static str,
    /// Its address, if it is usable.
    pub endpoint: Option<String>,
    /// What cryokey signs in with; never the token itself.
    pub sign_in: Option<String>,
    /// How long it took to answer, in milliseconds.
    pub milliseconds: u64,
}

impl Remote {
    pub(super) fn new(visit: &Visit) -> Self {
        Self {
            source: visit.source.text(),
            endpoint: visit.access.endpoint.clone(),
            sign_in: visit.access.sign_in.clone(),
            milliseconds: u64::try_from(visit.took.as_millis()).unwrap_or(u64::MAX),
        }
    }

    /// One line of the table.
    pub(super) fn text(&self) -> String {
        let or_none = |text: &Option<String>| text.clone().unwrap_or_else(|| "none".into());
        format!(
            "{}: {}   sign-in: {}   time: {} ms",
            self.source,
            or_none(&self.endpoint),
            or_none(&self.sign_in),
            self.milliseconds
        )
    }
}
