//! Signing in at Vault: with what there is, in one fixed order, and giving the token back.

mod choose;
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
use crate::provider::{ProviderError, Session};
use crate::secret::Secret;
use crate::syntax::Choice;
pub use choose::choose;
use error::IdentityError;
pub use sign_in::{SingleUse, sign_in};

/// The bootstrap values that sign in at Vault.
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

/// A way to sign in that the settings ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Auth {
    /// A role id and a secret id.
    AppRole,
    /// An identity at AWS, which Vault asks AWS about.
    Aws,
    /// The client certificate of the TLS connection.
    Cert,
    /// A JSON Web Token from a file.
    Jwt,
    /// The pod's service account.
    Kubernetes,
    /// A token that exists already.
    Token,
    /// A user name and a password.
    Userpass,
}

impl Choice for Auth {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("approle", Self::AppRole),
        ("aws", Self::Aws),
        ("cert", Self::Cert),
        ("jwt", Self::Jwt),
        ("kubernetes", Self::Kubernetes),
        ("token", Self::Token),
        ("userpass", Self::Userpass),
    ];
}

/// What the settings say about signing in.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// How, where no token and no role id is given.
    pub auth: Option<Auth>,
    /// Where that method is mounted, without `auth/`; by default it is mounted under its own name.
    pub mount: Option<String>,
    /// The role to take on.
    pub role: Option<String>,
    /// The file that holds the token of `jwt` and `kubernetes`.
    pub jwt_file: Option<PathBuf>,
    /// Whether the TLS connection has a client certificate.
    pub has_certificate: bool,
    /// What Vault's AWS method expects in a header, if it is configured to.
    pub aws_server_id: Option<String>,
}

/// A bootstrap value, its absence, or why it cannot be used.
pub type Offer = Result<Option<Bootstrapped>, ProviderError>;

/// Everything that there is to sign in with.
#[derive(Debug)]
pub struct Offered {
    /// What the settings say.
    pub settings: Settings,
    /// The identity at AWS, where the settings ask for that.
    pub aws: Option<Identity>,
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
    /// What the token file holds: a person's, or one that an agent writes.
    pub token_file: Offer,
}

impl Offered {
    /// Looks at everything. What cannot be read matters only if its turn comes.
    #[must_use]
    pub fn new(
        settings: Settings,
        aws: Option<Identity>,
        bootstrap: &Bootstrap<'_>,
        environ: &Environ,
    ) -> Self {
        Self {
            settings,
            aws,
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

/// The file that a variable names, else the one that `vault login` and `bao login` write.
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

/// How cryokey signs in.
#[derive(Debug)]
pub enum Method {
    /// A token that was given.
    Token(Bootstrapped),
    /// A token that was given wrapped.
    WrappedToken(Bootstrapped),
    /// A role id and a secret id.
    AppRole {
        /// Where the method is mounted.
        mount: String,
        /// The role id.
        role_id: Bootstrapped,
        /// The secret id.
        secret_id: Bootstrapped,
        /// Whether the secret id has to be unwrapped.
        is_wrapped: bool,
    },
    /// A JSON Web Token from a file, which may be renewed there at any time.
    Jwt {
        /// Whether it is `jwt` or `kubernetes`.
        auth: Auth,
        /// Where the method is mounted.
        mount: String,
        /// The role; `jwt` can have a default one.
        role: Option<String>,
        /// The file.
        file: PathBuf,
    },
    /// An identity at AWS.
    Aws {
        /// Where the method is mounted.
        mount: String,
        /// The role; without one, Vault takes that of the same name as the identity.
        role: Option<String>,
        /// What Vault expects in a header.
        server_id: Option<String>,
        /// The identity.
        identity: Box<Identity>,
    },
    /// The client certificate of the TLS connection.
    Cert {
        /// Where the method is mounted.
        mount: String,
        /// The role; without one, Vault tries all.
        role: Option<String>,
    },
    /// A user name and a password.
    Userpass {
        /// Where the method is mounted.
        mount: String,
        /// The user name.
        username: Bootstrapped,
        /// The password.
        password: Bootstrapped,
    },
}

impl Method {
    /// With what, for the log: `the token in /run/secrets/VAULT_TOKEN`.
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
            Self::Cert { mount, .. } => at("cert", mount),
            Self::Userpass { mount, .. } => at("userpass", mount),
        }
    }

    /// The variables that the app must not inherit once they have signed cryokey in.
    #[must_use]
    pub fn consumed(&self) -> Vec<String> {
        let values: &[&Bootstrapped] = match self {
            Self::Token(token) | Self::WrappedToken(token) => &[token],
            Self::AppRole { role_id, secret_id, .. } => &[role_id, secret_id],
            Self::Userpass { username, password, .. } => &[username, password],
            Self::Aws { identity, .. } => {
                return identity.method.as_ref().map(credentials::Method::consumed).unwrap_or_default();
            }
            Self::Jwt { .. } | Self::Cert { .. } => &[],
        };
        values.iter().filter_map(|value| value.consumed()).map(str::to_owned).collect()
    }
}

/// What signing in gave.
#[derive(Debug)]
pub struct Token {
    /// The token.
    pub value: Secret,
    /// Whether it exists for this startup only, and is to be revoked after it. One that was given never is.
    pub is_made: bool,
    /// What `check` should tell about it.
    pub advice: Option<String>,
}

impl Token {
    /// What ends the session: revoking the token, if cryokey made it.
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
