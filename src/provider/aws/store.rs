//! The requests that read Secrets Manager: a paginated list, batches, and single secrets.

use std::sync::OnceLock;

use super::api::{self, Api};
use super::error::{AwsError, Nonsense};
use crate::provider::Deadline;
use crate::provider::bulk::{Entry, Listed, Scope, Store, Stored};

/// At 100 secrets a page, 20,000 secrets.
const MOST_PAGES: usize = 200;

/// Secrets Manager, and the account that its responses show.
#[derive(Debug)]
pub(super) struct SecretsManager {
    pub(super) api: Api,
    account: OnceLock<String>,
}

impl SecretsManager {
    pub(super) fn new(api: Api) -> Self {
        Self { api, account: OnceLock::new() }
    }

    /// The account that owns the secrets, once one was read.
    pub(super) fn account(&self) -> Option<&str> {
        self.account.get().map(String::as_str)
    }

    /// `is_dated` is false for batches: their `CreatedDate` may be the secret's, which is never later than the version's.
    fn stored(&self, stored: api::Stored, is_dated: bool) -> Result<Stored, AwsError> {
        if let Some(account) = account(&stored.arn) {
            self.account.get_or_init(|| account.to_owned());
        }
        let api::Stored { value, version, created, .. } = stored;
        Ok(Stored {
            value: value.ok_or(AwsError::NotBase64)?,
            version,
            created,
            is_dated,
            starts: None,
            expires: None,
        })
    }
}

impl Store for SecretsManager {
    type Error = AwsError;

    const BATCH: usize = api::BATCH;

    fn list(&self, scope: &Scope, deadline: Deadline) -> Result<Vec<Listed<AwsError>>, AwsError> {
        let mut listed = Vec::new();
        let mut next: Option<String> = None;
        for _ in 0..MOST_PAGES {
            let page = self.api.list(scope.prefix(), next.as_deref(), deadline)?;
            listed.extend(page.names.into_iter().map(|secret| Listed { secret, unusable: None }));
            match page.next {
                None => return Ok(listed),
                same if same == next => break,
                other => next = other,
            }
        }
        Err(AwsError::Nonsense(Nonsense::Pages))
    }

    fn batch(&self, secrets: &[String], deadline: Deadline) -> Result<Vec<Entry<AwsError>>, AwsError> {
        let entries = self.api.batch(secrets, deadline)?.into_iter();
        Ok(entries.map(|(secret, stored)| (secret, stored.and_then(|it| self.stored(it, false)))).collect())
    }

    fn get(&self, secret: &str, version: Option<&str>, deadline: Deadline) -> Result<Stored, AwsError> {
        self.api.get(secret, version, deadline).and_then(|stored| self.stored(stored, true))
    }
}

/// The account in an ARN.
fn account(arn: &str) -> Option<&str> {
    let account = arn.split(':').nth(4)?;
    (account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit())).then_some(account)
}
