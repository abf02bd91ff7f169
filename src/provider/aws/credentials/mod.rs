//! Choosing and obtaining AWS credentials.

pub mod container;
mod error;
pub mod ini;
pub mod metadata;
pub mod process;
pub mod profile;
mod profile_error;
mod service;
pub mod shared;
mod sso;
pub mod web_identity;

use std::path::PathBuf;

use self::container::Container;
use self::error::IdentityError;
use self::metadata::Metadata;
use self::profile::{Elsewhere, Profile};
use self::shared::Shared;
use self::web_identity::WebIdentity;
use super::sigv4::Credentials;
use super::sts::{Role, SESSION};
use super::wire::Wire;
use crate::provider::bootstrap::{Bootstrap, Bootstrapped, Origin};
use crate::provider::{Cause as _, Deadline, ProviderError, http};

/// The names of the bootstrap values for AWS.
pub const NAMES: &[&str] = &["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"];

/// The chosen source of credentials.
#[derive(Debug)]
pub enum Method {
    /// An access key that the operator provided.
    Keys {
        /// `AWS_ACCESS_KEY_ID`.
        id: Bootstrapped,
        /// `AWS_SECRET_ACCESS_KEY`.
        key: Bootstrapped,
        /// `AWS_SESSION_TOKEN`.
        token: Option<Bootstrapped>,
    },
    /// A profile of the shared files, and the external source of credentials that it refers to, if any.
    Profile(Profile, Option<Box<Self>>),
    /// A role assumed with a web identity token.
    WebIdentity(WebIdentity),
    /// The role of the ECS task or EKS pod.
    Container(Container),
    /// The role of the EC2 instance.
    Metadata(Metadata),
}

/// The settings for signing in.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// `AWS_WEB_IDENTITY_TOKEN_FILE`.
    pub token_file: Option<PathBuf>,
    /// `AWS_ROLE_ARN`.
    pub role: Option<String>,
    /// `AWS_ROLE_SESSION_NAME`.
    pub session_name: Option<String>,
    /// The endpoint for containers.
    pub container: container::Settings,
    /// The EC2 instance metadata service.
    pub metadata: metadata::Settings,
}

impl Method {
    /// A description for the log, such as `the key in /run/secrets/AWS_SECRET_ACCESS_KEY`.
    #[must_use]
    pub fn label(&self) -> String {
        match self {
            Self::Keys { key, .. } => format!("the key in {}", key.origin()),
            Self::Profile(profile, _) => profile.label(),
            Self::WebIdentity(identity) => identity.label(),
            Self::Container(container) => container.label(),
            Self::Metadata(metadata) => metadata.label(),
        }
    }

    /// The variables that were used to sign in, which the app must not inherit.
    #[must_use]
    pub fn consumed(&self) -> Vec<String> {
        match self {
            Self::Keys { id, key, token } => {
                let values = [Some(id), Some(key), token.as_ref()].into_iter().flatten();
                values.filter_map(Bootstrapped::consumed).map(str::to_owned).collect()
            }
            Self::Profile(_, elsewhere) => elsewhere.as_ref().map(|it| it.consumed()).unwrap_or_default(),
            // The platform provides these to the app as well.
            Self::WebIdentity(_) | Self::Container(_) | Self::Metadata(_) => Vec::new(),
        }
    }
}

/// Chooses without sending a request. The order is: access key, named profile, web identity token, container
/// endpoint, default profile, and finally the metadata service, the only source that may not exist. A value that
/// exists but is unusable ends the search, because falling back to another identity would hide the mistake.
pub fn choose(
    settings: &Settings,
    bootstrap: &Bootstrap<'_>,
    shared: &Shared,
) -> Result<Method, ProviderError> {
    if let Some(keys) = keys(bootstrap)? {
        return Ok(keys);
    }
    let profile = || profile(settings, bootstrap, shared);
    if let Some(profile) = if shared.profile.is_some() { profile()? } else { None } {
        return Ok(profile);
    }
    if let Some(identity) = web_identity(settings)? {
        return Ok(Method::WebIdentity(identity));
    }
    bootstrap.without_files(NAMES)?;
    if let Some(container) = Container::choose(&settings.container, bootstrap)? {
        return Ok(Method::Container(container));
    }
    if let Some(profile) = profile()? {
        return Ok(profile);
    }
    metadata(settings)
}

fn profile(
    settings: &Settings,
    bootstrap: &Bootstrap<'_>,
    shared: &Shared,
) -> Result<Option<Method>, ProviderError> {
    let Some(profile) = profile::find(shared)? else { return Ok(None) };
    let elsewhere = profile.elsewhere().map(|source| elsewhere(source, settings, bootstrap));
    Ok(Some(Method::Profile(profile, elsewhere.transpose()?.map(Box::new))))
}

/// The external source of credentials that a profile refers to.
fn elsewhere(
    source: &Elsewhere,
    settings: &Settings,
    bootstrap: &Bootstrap<'_>,
) -> Result<Method, ProviderError> {
    match source {
        Elsewhere::Environment => {
            keys(bootstrap)?.ok_or_else(|| IdentityError::Nothing.at("AWS_ACCESS_KEY_ID"))
        }
        Elsewhere::EcsContainer => {
            let container = Container::choose(&settings.container, bootstrap)?.map(Method::Container);
            container.ok_or_else(|| IdentityError::Nothing.at("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"))
        }
        Elsewhere::Ec2InstanceMetadata => metadata(settings),
        Elsewhere::WebIdentity { role, token_file } => {
            Ok(Method::WebIdentity(WebIdentity { token_file: token_file.clone(), role: role.clone() }))
        }
    }
}

fn metadata(settings: &Settings) -> Result<Method, ProviderError> {
    let metadata = Metadata::choose(&settings.metadata).map(Method::Metadata);
    metadata.ok_or_else(|| IdentityError::Nothing.at("AWS_ACCESS_KEY_ID"))
}

fn web_identity(settings: &Settings) -> Result<Option<WebIdentity>, ProviderError> {
    let Some(token_file) = settings.token_file.clone() else { return Ok(None) };
    let arn = settings.role.clone().ok_or_else(|| IdentityError::NoRole.at("AWS_ROLE_ARN"))?;
    let session = settings.session_name.clone().unwrap_or_else(|| SESSION.to_owned());
    let role = Role { arn, session, external_id: None, duration: None };
    Ok(Some(WebIdentity { token_file, role }))
}

/// The access key. Its session token must come from the same kind of place, because a token works only with its own
/// key.
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

/// Obtains credentials from the chosen source.
pub fn obtain(
    method: &Method,
    wire: &Wire,
    http: &http::Settings,
    deadline: Deadline,
) -> Result<Credentials, ProviderError> {
    match method {
        Method::Keys { id, key, token } => Ok(Credentials {
            access_key_id: id.secret().duplicate(),
            secret_access_key: key.secret().duplicate(),
            session_token: token.as_ref().map(|token| token.secret().duplicate()),
        }),
        Method::Profile(profile, elsewhere) => {
            let base = elsewhere.as_ref().map(|method| obtain(method, wire, http, deadline)).transpose()?;
            profile.obtain(base, wire, deadline)
        }
        Method::WebIdentity(identity) => identity.obtain(wire, deadline),
        Method::Container(container) => container.obtain(http, deadline),
        Method::Metadata(metadata) => metadata.obtain(http, deadline),
    }
}
