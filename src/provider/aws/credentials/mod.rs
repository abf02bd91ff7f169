//! Signing in at AWS: where the key that signs requests comes from.

mod error;
pub mod ini;
pub mod process;
pub mod profile;
mod profile_error;
pub mod shared;
mod sso;

use self::error::IdentityError;
use self::profile::{Elsewhere, Profile};
use self::shared::Shared;
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
    /// A profile of the files that AWS's tools share.
    Profile(Profile),
}

impl Method {
    /// With what, for the log: `the key in /run/secrets/AWS_SECRET_ACCESS_KEY`.
    #[must_use]
    pub fn label(&self) -> String {
        match self {
            Self::Keys { key, .. } => format!("the key in {}", key.origin()),
            Self::Profile(profile) => profile.label(),
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
            Self::Profile(_) => Vec::new(),
        }
    }
}

/// Chooses, without asking anybody. A value that exists and cannot be used ends the search: another one would not be
/// the one that was meant.
pub fn choose(bootstrap: &Bootstrap<'_>, shared: &Shared) -> Result<Method, ProviderError> {
    if let Some(keys) = keys(bootstrap)? {
        return Ok(keys);
    }
    if let Some(profile) = named_profile(shared)? {
        return Ok(profile);
    }
    if let Some(profile) = default_profile(shared)? {
        return Ok(profile);
    }
    Err(IdentityError::Nothing.at("AWS_ACCESS_KEY_ID"))
}

/// The profile that `AWS_PROFILE` names.
fn named_profile(shared: &Shared) -> Result<Option<Method>, ProviderError> {
    if shared.profile.is_none() { Ok(None) } else { Ok(profile::find(shared)?.map(Method::Profile)) }
}

/// The profile that AWS's tools use where none is named.
fn default_profile(shared: &Shared) -> Result<Option<Method>, ProviderError> {
    if shared.profile.is_some() { Ok(None) } else { Ok(profile::find(shared)?.map(Method::Profile)) }
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
pub fn obtain(method: &Method, wire: &Wire, deadline: Deadline) -> Result<Credentials, ProviderError> {
    match method {
        Method::Keys { id, key, token } => Ok(Credentials {
            access_key_id: id.secret().duplicate(),
            secret_access_key: key.secret().duplicate(),
            session_token: token.as_ref().map(|token| token.secret().duplicate()),
        }),
        Method::Profile(profile) => profile.obtain(wire, deadline, elsewhere),
    }
}

/// What a profile takes from outside of the shared files.
fn elsewhere(source: &Elsewhere) -> Result<Credentials, ProviderError> {
    Err(IdentityError::Elsewhere { source: source.word() }.at("AWS"))
}
