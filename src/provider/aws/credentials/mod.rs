//! Signing in at AWS: where the key that signs requests comes from.

mod error;
pub mod ini;

use self::error::IdentityError;
use super::sigv4::Credentials;
use super::wire::Wire;
use crate::provider::bootstrap::{Bootstrap, Bootstrapped, Origin};
use crate::provider::{Deadline, ProviderError};

/// The bootstrap values that sign in at AWS.
pub const NAMES: &[&str] = &["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"];

/// How cryokey signs in.
#[derive(Debug)]
pub enum Method {
    /// A key that was given.
    Keys {
        /// `AWS_ACCESS_KEY_ID`.
        id: Bootstrapped,
        /// `AWS_SECRET_ACCESS_KEY`.
        key: Bootstrapped,
        /// `AWS_SESSION_TOKEN`.
        token: Option<Bootstrapped>,
    },
}

impl Method {
    /// With what, for the log: `the key in /run/secrets/AWS_SECRET_ACCESS_KEY`.
    #[must_use]
    pub fn label(&self) -> String {
        match self {
            Self::Keys { key, .. } => format!("the key in {}", key.origin()),
        }
    }

    /// The variables that the app must not inherit once they have signed cryokey in.
    #[must_use]
    pub fn consumed(&self) -> Vec<String> {
        match self {
            Self::Keys { id, key, token } => {
                let values = [Some(id), Some(key), token.as_ref()].into_iter().flatten();
                values.filter_map(Bootstrapped::consumed).map(str::to_owned).collect()
            }
        }
    }
}

/// Chooses, without asking anybody. A value that exists and cannot be used ends the search: another one would not be
/// the one that was meant.
pub fn choose(bootstrap: &Bootstrap<'_>) -> Result<Method, ProviderError> {
    keys(bootstrap)?.ok_or_else(|| IdentityError::Nothing.at("AWS_ACCESS_KEY_ID"))
}

/// A session token belongs to the key beside it: one from another kind of place would spoil it.
fn keys(bootstrap: &Bootstrap<'_>) -> Result<Option<Method>, ProviderError> {
    let (id, key) = (bootstrap.get("AWS_ACCESS_KEY_ID")?, bootstrap.get("AWS_SECRET_ACCESS_KEY")?);
    match (id, key) {
        (Some(id), Some(key)) => {
            let token = match key.origin() {
                Origin::File(_) => bootstrap.in_file("AWS_SESSION_TOKEN")?,
                Origin::Variable(_) => bootstrap.get("AWS_SESSION_TOKEN")?,
            };
            Ok(Some(Method::Keys { id, key, token }))
        }
        (Some(_), None) => Err(IdentityError::Half.at("AWS_SECRET_ACCESS_KEY")),
        (None, Some(_)) => Err(IdentityError::Half.at("AWS_ACCESS_KEY_ID")),
        (None, None) => Ok(None),
    }
}

/// Signs in.
pub fn obtain(method: &Method, _wire: &Wire, _deadline: Deadline) -> Result<Credentials, ProviderError> {
    match method {
        Method::Keys { id, key, token } => Ok(Credentials {
            access_key_id: id.secret().duplicate(),
            secret_access_key: key.secret().duplicate(),
            session_token: token.as_ref().map(|token| token.secret().duplicate()),
        }),
    }
}
