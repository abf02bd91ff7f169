//! The context for obtaining a token.

use crate::provider::http::{self, Client};
use crate::provider::{Deadline, aws};

/// The scope of every token. It does not restrict the token; IAM decides what an identity may do.
pub(super) const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";

/// The context for obtaining a token.
#[derive(Debug, Clone, Copy)]
pub(super) struct Means<'a> {
    pub(super) client: &'a Client,
    pub(super) http: &'a http::Settings,
    pub(super) aws: Option<&'a aws::identity::Identity>,
    pub(super) deadline: Deadline,
}
