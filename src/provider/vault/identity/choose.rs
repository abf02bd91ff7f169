//! Choosing the sign-in method: the first one whose values are all present.

use std::path::PathBuf;

use super::error::IdentityError;
use super::{Auth, CloudIdentity, Method, Offer, Offered, Settings};
use crate::provider::aws::identity::Identity;
use crate::provider::bootstrap::Bootstrapped;
use crate::provider::json::Json;
use crate::provider::{Cause as _, ProviderError};
use crate::syntax::Choice as _;

/// Where Kubernetes mounts the pod's service account token.
const SERVICE_ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";

/// Chooses without I/O. The order is: token, wrapped token, role id with secret id, the configured method, user name
/// with password, token file. A value that exists but is unusable ends the search, because falling back to another
/// identity would hide the mistake.
pub fn choose(offered: Offered) -> Result<Method, ProviderError> {
    let Offered { settings, token, wrapped_token, role_id, secret_id, wrapped_secret_id, .. } = offered;
    if let Some(token) = token? {
        return Ok(Method::Token(token));
    }
    if let Some(token) = wrapped_token? {
        return Ok(Method::WrappedToken(token));
    }
    let missing = match (role_id?, secret_id_of(secret_id, wrapped_secret_id)?) {
        (Some(role_id), Some((secret_id, is_wrapped))) => {
            let mount = settings.mount(Auth::AppRole)?;
            return Ok(Method::AppRole { mount, role_id, secret_id, is_wrapped });
        }
        (Some(_), None) => IdentityError::Half { has: "VAULT_ROLE_ID", lacks: "VAULT_SECRET_ID" },
        (None, Some(_)) => IdentityError::Half { has: "VAULT_SECRET_ID", lacks: "VAULT_ROLE_ID" },
        (None, None) => IdentityError::Nothing,
    };
    let users = (offered.username, offered.password);
    let identities = (offered.aws, offered.cloud);
    configured(&settings, users, identities, offered.token_file)?.ok_or_else(|| missing.at("VAULT_TOKEN"))
}

/// The secret id, and whether it must be unwrapped.
fn secret_id_of(plain: Offer, wrapped: Offer) -> Result<Option<(Bootstrapped, bool)>, ProviderError> {
    match plain? {
        Some(plain) => Ok(Some((plain, false))),
        None => Ok(wrapped?.map(|wrapped| (wrapped, true))),
    }
}

/// The configured method; otherwise user name and password; otherwise the token file.
fn configured(
    settings: &Settings,
    (username, password): (Offer, Offer),
    (aws, cloud): (Option<Identity>, Option<CloudIdentity>),
    token_file: Offer,
) -> Result<Option<Method>, ProviderError> {
    let auth = settings.auth;
    match auth {
        Some(Auth::Kubernetes) => return kubernetes(settings).map(Some),
        Some(Auth::Jwt) => return jwt(settings).map(Some),
        Some(Auth::Cert) => return cert(settings).map(Some),
        Some(Auth::Aws) => return by_aws(settings, aws).map(Some),
        Some(auth @ (Auth::Azure | Auth::Gcp)) => return by_cloud(auth, settings, cloud).map(Some),
        Some(Auth::AppRole) => return Err(missing("VAULT_ROLE_ID and VAULT_SECRET_ID", Auth::AppRole)),
        Some(Auth::Token) => return token_file.and_then(from_file),
        Some(Auth::Userpass) | None => {}
    }
    match (username?, password?) {
        (Some(username), Some(password)) => userpass(settings, username, password).map(Some),
        _ if auth == Some(Auth::Userpass) => {
            Err(missing("VAULT_USERNAME and VAULT_PASSWORD", Auth::Userpass))
        }
        _ => token_file.and_then(from_file),
    }
}

fn kubernetes(settings: &Settings) -> Result<Method, ProviderError> {
    let auth = Auth::Kubernetes;
    if settings.role.is_none() {
        return Err(missing("VAULT_ROLE", auth));
    }
    let file = settings.jwt_file.clone().unwrap_or_else(|| PathBuf::from(SERVICE_ACCOUNT));
    Ok(Method::Jwt { auth, mount: settings.mount(auth)?, role: settings.role.clone(), file })
}

fn jwt(settings: &Settings) -> Result<Method, ProviderError> {
    let auth = Auth::Jwt;
    let file = settings.jwt_file.clone().ok_or_else(|| missing("CRYOKEY_VAULT_JWT_FILE", auth))?;
    Ok(Method::Jwt { auth, mount: settings.mount(auth)?, role: settings.role.clone(), file })
}

fn by_aws(settings: &Settings, identity: Option<Identity>) -> Result<Method, ProviderError> {
    let identity = identity.ok_or_else(|| missing("AWS_ACCESS_KEY_ID", Auth::Aws))?;
    let (role, server_id) = (settings.role.clone(), settings.aws_server_id.clone());
    Ok(Method::Aws { mount: settings.mount(Auth::Aws)?, role, server_id, identity: Box::new(identity) })
}

fn by_cloud(
    auth: Auth,
    settings: &Settings,
    identity: Option<CloudIdentity>,
) -> Result<Method, ProviderError> {
    let identity =
        identity.ok_or_else(|| missing("AZURE_CLIENT_ID or GOOGLE_APPLICATION_CREDENTIALS", auth))?;
    let role = settings.role.clone().ok_or_else(|| missing("VAULT_ROLE", auth))?;
    Ok(Method::Cloud { auth, mount: settings.mount(auth)?, role, identity })
}

fn cert(settings: &Settings) -> Result<Method, ProviderError> {
    if !settings.has_certificate {
        return Err(missing("VAULT_CLIENT_CERT and VAULT_CLIENT_KEY", Auth::Cert));
    }
    Ok(Method::Cert { mount: settings.mount(Auth::Cert)?, role: settings.role.clone() })
}

fn userpass(
    settings: &Settings,
    username: Bootstrapped,
    password: Bootstrapped,
) -> Result<Method, ProviderError> {
    if is_segment(username.text()) {
        return Ok(Method::Userpass { mount: settings.mount(Auth::Userpass)?, username, password });
    }
    Err(IdentityError::NoPath.at(username.origin().to_string()))
}

/// A file that holds a plain token, or the JSON that Vault Agent writes if its sink has `wrap_ttl`.
fn from_file(file: Option<Bootstrapped>) -> Result<Option<Method>, ProviderError> {
    let Some(file) = file else { return Ok(None) };
    if !file.text().starts_with('{') {
        return Ok(Some(Method::Token(file)));
    }
    let token = Json::parse(file.text().as_bytes()).and_then(|json| json.at(&["token"])?.secret());
    let refused = || IdentityError::Sink.at(file.origin().to_string());
    let token = file.replaced(&token.ok_or_else(refused)?)?.ok_or_else(refused)?;
    Ok(Some(Method::WrappedToken(token)))
}

impl Settings {
    /// The mount path of a method. The setting applies only to the configured method; others use their default mount.
    pub(super) fn mount(&self, auth: Auth) -> Result<String, ProviderError> {
        let is_meant = self.auth.is_none_or(|asked| asked == auth);
        let Some(mount) = self.mount.as_deref().filter(|_| is_meant) else {
            return Ok(auth.text().to_owned());
        };
        let mount = mount.trim_matches('/');
        let mount = mount.strip_prefix("auth/").unwrap_or(mount);
        if mount.split('/').all(is_segment) {
            return Ok(mount.to_owned());
        }
        Err(IdentityError::NoPath.at("CRYOKEY_VAULT_AUTH_MOUNT"))
    }
}

/// Whether a text is a single path segment that stays within its parent.
fn is_segment(text: &str) -> bool {
    !matches!(text, "" | "." | "..") && !text.contains(['/', '?', '#'])
}

fn missing(names: &'static str, auth: Auth) -> ProviderError {
    IdentityError::MissingFor { names, auth: auth.text() }.at(names)
}
