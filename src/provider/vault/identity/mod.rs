//! Signing in at Vault with the first method that applies, and revoking the token afterwards.

mod choose;
mod cloud;
mod error;
mod sign_in;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::api::Api;
use crate::environ::{Environ, variable};
use crate::provider::aws::credentials;
use crate::provider::aws::identity::Identity;
use crate::provider::bootstrap::{Bootstrap, Bootstrapped, read_line};
use crate::provider::http::Method as HttpMethod;
use crate::provider::{Cause as _, ProviderError, Session};
use crate::secret::Secret;
use crate::syntax::Choice;
pub use choose::choose;
pub use cloud::CloudIdentity;
use error::IdentityError;
pub use sign_in::{SingleUse, sign_in};

/// The names of the bootstrap values for Vault.
pub const NAMES: &[&str] = &[
    "VAULT_TOKEN",
    "VAULT_WRAPPED_TOKEN",
    "VAULT_ROLE_ID",
    "VAULT_SECRET_ID",
    "VAULT_WRAPPED_SECRET_ID",
    "VAULT_USERNAME",
    "VAULT_PASSWORD",
    "VAULT_TOKEN_FILE",
    "VAULT_TOKEN_PATH",
];

/// The sign-in methods that `CRYOKEY_VAULT_AUTH` accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Auth {
    /// A role id with a secret id.
    AppRole,
    /// AWS IAM: Vault forwards a signed `GetCallerIdentity` request to AWS.
    Aws,
    /// A token of an application or a managed identity in Azure.
    Azure,
    /// The client certificate of the TLS connection.
    Cert,
    /// A token of a service account in Google.
    Gcp,
    /// A JSON Web Token read from a file.
    Jwt,
    /// The service account token of the pod.
    Kubernetes,
    /// An existing token.
    Token,
    /// A user name with a password.
    Userpass,
}

impl Choice for Auth {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("approle", Self::AppRole),
        ("aws", Self::Aws),
        ("azure", Self::Azure),
        ("cert", Self::Cert),
        ("gcp", Self::Gcp),
        ("jwt", Self::Jwt),
        ("kubernetes", Self::Kubernetes),
        ("token", Self::Token),
        ("userpass", Self::Userpass),
    ];
}

/// The settings for signing in.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// The method to use if neither a token nor a role id is given.
    pub auth: Option<Auth>,
    /// The mount path of that method, without `auth/`; by default the method's name.
    pub mount: Option<String>,
    /// The role to log in with.
    pub role: Option<String>,
    /// The token file of `jwt` and `kubernetes`.
    pub jwt_file: Option<PathBuf>,
    /// Whether a client certificate is configured for TLS.
    pub has_certificate: bool,
    /// The value of `X-Vault-AWS-IAM-Server-ID`, for auth mounts that require that header.
    pub aws_server_id: Option<String>,
}

/// A bootstrap value, `None` if it is not set, or why it is unusable.
pub type Offer = Result<Option<Bootstrapped>, ProviderError>;

/// Everything that [`choose()`] bases its decision on.
#[derive(Debug)]
pub struct Offered {
    /// The settings.
    pub settings: Settings,
    /// The AWS identity, if `auth` is `aws`.
    pub aws: Option<Identity>,
    /// The identity in another cloud, if `auth` is `azure` or `gcp`.
    pub cloud: Option<CloudIdentity>,
    /// `VAULT_TOKEN`.
    pub token: Offer,
    /// `VAULT_WRAPPED_TOKEN`.
    pub wrapped_token: Offer,
    /// `VAULT_ROLE_ID`.
    pub role_id: Offer,
    /// `VAULT_SECRET_ID`.
    pub secret_id: Offer,
    /// `VAULT_WRAPPED_SECRET_ID`.
    pub wrapped_secret_id: Offer,
    /// `VAULT_USERNAME`.
    pub username: Offer,
    /// `VAULT_PASSWORD`.
    pub password: Offer,
    /// The content of the token file: written by `vault login` or by an agent.
    pub token_file: Offer,
}

impl Offered {
    /// Reads all values. Errors are kept, since they matter only if [`choose()`] gets to the value.
    #[must_use]
    pub fn new(
        settings: Settings,
        aws: Option<Identity>,
        cloud: Option<CloudIdentity>,
        bootstrap: &Bootstrap<'_>,
        environ: &Environ,
    ) -> Self {
        Self {
            settings,
            aws,
            cloud,
            token: bootstrap.get("VAULT_TOKEN"),
            wrapped_token: bootstrap.get("VAULT_WRAPPED_TOKEN"),
            role_id: bootstrap.get("VAULT_ROLE_ID"),
            secret_id: bootstrap.get("VAULT_SECRET_ID"),
            wrapped_secret_id: bootstrap.get("VAULT_WRAPPED_SECRET_ID"),
            username: bootstrap.get("VAULT_USERNAME"),
            password: bootstrap.get("VAULT_PASSWORD"),
            token_file: token_file(bootstrap, environ),
        }
    }
}

/// The file that a variable names, otherwise `~/.vault-token`, written by `vault login` and `bao login`.
fn token_file(bootstrap: &Bootstrap<'_>, environ: &Environ) -> Offer {
    for name in ["VAULT_TOKEN_FILE", "VAULT_TOKEN_PATH"] {
        if let Some(path) = bootstrap.get(name)? {
            return read_line(Path::new(path.text()));
        }
    }
    let Some(home) = environ.path(variable::HOME) else { return Ok(None) };
    let path = home.join(".vault-token");
    if path.exists() { read_line(&path) } else { Ok(None) }
}

/// The chosen sign-in method with its values.
#[derive(Debug)]
pub enum Method {
    /// A token that is used as it is.
    Token(Bootstrapped),
    /// A wrapping token whose response holds the token.
    WrappedToken(Bootstrapped),
    /// A role id with a secret id.
    AppRole {
        /// The mount path, without `auth/`.
        mount: String,
        /// The role id.
        role_id: Bootstrapped,
        /// The secret id.
        secret_id: Bootstrapped,
        /// Whether `secret_id` is a wrapping token.
        is_wrapped: bool,
    },
    /// A JSON Web Token from a file. The file is read when signing in, since it may be rotated at any time.
    Jwt {
        /// [`Auth::Jwt`] or [`Auth::Kubernetes`].
        auth: Auth,
        /// The mount path, without `auth/`.
        mount: String,
        /// The role. Optional for `jwt`, whose mount may have a `default_role`.
        role: Option<String>,
        /// The file that holds the token.
        file: PathBuf,
    },
    /// An AWS identity.
    Aws {
        /// The mount path, without `auth/`.
        mount: String,
        /// The role. By default, Vault uses the role named like the IAM principal.
        role: Option<String>,
        /// The value of `X-Vault-AWS-IAM-Server-ID`.
        server_id: Option<String>,
        /// The identity that signs the request.
        identity: Box<Identity>,
    },
    /// An identity in another cloud.
    Cloud {
        /// [`Auth::Azure`] or [`Auth::Gcp`].
        auth: Auth,
        /// The mount path, without `auth/`.
        mount: String,
        /// The role, which both methods require.
        role: String,
        /// The identity.
        identity: CloudIdentity,
    },
    /// The client certificate of the TLS connection.
    Cert {
        /// The mount path, without `auth/`.
        mount: String,
        /// The role. By default, Vault tries every role of the mount.
        role: Option<String>,
    },
    /// A user name with a password.
    Userpass {
        /// The mount path, without `auth/`.
        mount: String,
        /// Part of the login path.
        username: Bootstrapped,
        /// Sent in the body.
        password: Bootstrapped,
    },
}

impl Method {
    /// A description for the log, such as `the token in /run/secrets/VAULT_TOKEN`.
    #[must_use]
    pub fn label(&self) -> String {
        let at = |word: &str, mount: &str| format!("{word} at auth/{}", crate::escape::escaped(mount));
        match self {
            Self::Token(token) => format!("the token in {}", token.origin()),
            Self::WrappedToken(token) => format!("the wrapped token in {}", token.origin()),
            Self::AppRole { mount, .. } => at("approle", mount),
            Self::Jwt { auth, mount, .. } => at(auth.text(), mount),
            Self::Aws { mount, identity, .. } => {
                let who = identity.method.as_ref().map(|method| format!(", as {}", method.label()));
                format!("{}{}", at("aws", mount), who.unwrap_or_default())
            }
            Self::Cloud { auth, mount, identity, .. } => {
                let who = identity.label().map(|label| format!(", as {label}"));
                format!("{}{}", at(auth.text(), mount), who.unwrap_or_default())
            }
            Self::Cert { mount, .. } => at("cert", mount),
            Self::Userpass { mount, .. } => at("userpass", mount),
        }
    }

    /// The variables that were used to sign in, which the app must not inherit.
    #[must_use]
    pub fn consumed(&self) -> Vec<String> {
        let values: &[&Bootstrapped] = match self {
            Self::Token(token) | Self::WrappedToken(token) => &[token],
            Self::AppRole { role_id, secret_id, .. } => &[role_id, secret_id],
            Self::Userpass { username, password, .. } => &[username, password],
            Self::Aws { identity, .. } => {
                return identity.method.as_ref().map(credentials::Method::consumed).unwrap_or_default();
            }
            Self::Cloud { identity, .. } => return identity.consumed(),
            Self::Jwt { .. } | Self::Cert { .. } => &[],
        };
        values.iter().filter_map(|value| value.consumed()).map(str::to_owned).collect()
    }
}

/// A token that signing in produced.
#[derive(Debug)]
pub struct Token {
    /// Sent as `X-Vault-Token`.
    pub value: Secret,
    /// Whether cryokey obtained the token itself and revokes it after startup. A token that the operator provided is
    /// never revoked.
    pub is_made: bool,
    /// A remark for `check` to show.
    pub advice: Option<String>,
}

impl Token {
    /// Revokes the token at the end of the session, if cryokey obtained it.
    #[must_use]
    pub fn session(&self, api: &Arc<Api>) -> Option<Session> {
        let (token, api) = (self.value.duplicate(), Arc::clone(api));
        self.is_made.then(|| {
            Session::new(move |deadline| {
                let path = "auth/token/revoke-self";
                let revoked = api.call(HttpMethod::Post, path, Some(&token), None, deadline);
                revoked.map(drop).map_err(|error| IdentityError::NotRevoked(error).at(path))
            })
        })
    }
}
