//! What obtaining a token needs.

use crate::provider::http::{self, Client};
use crate::provider::{Deadline, aws};

/// The scope of all tokens; IAM decides what an identity may do.
pub(super) const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";

/// What obtaining a token needs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Means<'a> {
    pub(super) client: &'a Client,
    pub(super) http: &'a http::Settings,
    pub(super) aws: Option<&'a aws::identity::Identity>,
    pub(super) deadline: Deadline,
}
