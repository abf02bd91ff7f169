//! Exchanges credentials for an access token.

use jiff::Timestamp;

use super::error::{CredentialError, SignInError};
use super::file::{Credential, External, Impersonated, Kind, ServiceAccount, User};
use super::means::{Means, SCOPE};
use crate::provider::http::{FORM, HttpError, Method, Request, form};
use crate::provider::jwt::Algorithm;
use crate::provider::oauth::{self, OauthError};
use crate::provider::{Cause as _, ProviderError};
use crate::secret::Secret;

/// The lifetime of a token in seconds, which is the maximum that Google accepts.
const LIFETIME: i64 = 3_600;

/// The seconds by which the issue time is set back, in case the local clock is ahead of Google's.
const LEEWAY: i64 = 10;

/// Obtains a token. `label` describes the credentials in messages.
pub(super) fn token(
    credential: &Credential,
    label: &str,
    means: &Means<'_>,
) -> Result<Secret, ProviderError> {
    match &credential.kind {
        Kind::ServiceAccount(account) => {
            self_signed(account).ok_or_else(|| CredentialError::Signature.at(label))
        }
        Kind::User(user) => refreshed(user, means).map_err(|error| error.at(label)),
        Kind::External(external) => exchanged(external, label, means),
        Kind::Impersonated(impersonated) => {
            let source = token(&impersonated.source, label, means)?;
            self::impersonated(impersonated, &source, means).map_err(|error| error.at(label))
        }
    }
}

/// Signs a token locally, without a request (AIP-4111).
fn self_signed(account: &ServiceAccount) -> Option<Secret> {
    let now = Timestamp::now().as_second() - LEEWAY;
    let claims = serde_json::json!({
        "iss": account.email, "sub": account.email, "scope": SCOPE, "iat": now, "exp": now + LIFETIME,
    });
    let token = account.signer.sign(Algorithm::Rs256, ("kid", &account.key_id), &claims)?;
    Some(Secret::new(token.as_bytes().to_vec()))
}

/// A token for Vault is valid for 15 minutes at most, unless its role says otherwise.
pub(super) fn proof_for_vault(account: &ServiceAccount, role: &str) -> Option<Secret> {
    let now = Timestamp::now().as_second() - LEEWAY;
    let claims = serde_json::json!({
        "sub": account.email, "aud": format!("vault/{role}"), "iat": now, "exp": now + 600,
    });
    let token = account.signer.sign(Algorithm::Rs256, ("kid", &account.key_id), &claims)?;
    Some(Secret::new(token.as_bytes().to_vec()))
}

fn refreshed(user: &User, means: &Means<'_>) -> Result<Secret, SignInError> {
    let fields = [
        ("grant_type", "refresh_token"),
        ("client_id", user.client_id.as_str()),
        ("client_secret", plain(&user.client_secret)),
        ("refresh_token", plain(&user.refresh_token)),
    ];
    let request = posted(&user.token_url, FORM, &form(fields)).map_err(SignInError::of)?;
    ask(&request, user.refresh_token.expose(), means)
}

fn exchanged(external: &External, label: &str, means: &Means<'_>) -> Result<Secret, ProviderError> {
    let subject = external.source.token(&external.audience, means)?;
    let fields = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
        ("audience", external.audience.as_str()),
        ("scope", SCOPE),
        ("requested_token_type", "urn:ietf:params:oauth:token-type:access_token"),
        ("subject_token_type", external.subject_token_type.as_str()),
        ("subject_token", plain(&subject)),
    ];
    let request = posted(&external.token_url, FORM, &form(fields)).map_err(SignInError::of);
    let token = request.and_then(|request| ask(&request, subject.expose(), means));
    let token = token.map_err(|error| error.at(label))?;
    match &external.impersonation_url {
        None => Ok(token),
        Some(url) => impersonate(url, &[], &token, means).map_err(|error| error.at(label)),
    }
}

fn impersonated(through: &Impersonated, source: &Secret, means: &Means<'_>) -> Result<Secret, SignInError> {
    impersonate(&through.url, &through.delegates, source, means)
}

fn impersonate(
    url: &str,
    delegates: &[String],
    token: &Secret,
    means: &Means<'_>,
) -> Result<Secret, SignInError> {
    let body = serde_json::json!({
        "scope": [SCOPE], "lifetime": format!("{LIFETIME}s"), "delegates": delegates,
    });
    let bearer = [b"Bearer ", token.expose()].concat();
    let request = posted(url, "application/json", body.to_string().as_bytes());
    let request =
        request.and_then(|request| request.header("authorization", bearer)).map_err(SignInError::of)?;
    oauth::token(means.client, &request, token.expose(), means.deadline).map_err(SignInError::Impersonation)
}

fn ask(request: &Request, sent: &[u8], means: &Means<'_>) -> Result<Secret, SignInError> {
    oauth::token(means.client, request, sent, means.deadline).map_err(SignInError::Token)
}

fn posted(url: &str, content_type: &str, body: &[u8]) -> Result<Request, HttpError> {
    Ok(Request::new(Method::Post, url)?.header("content-type", content_type)?.body(body))
}

/// The secret as text. Parsing JSON and the checks on subject tokens guarantee valid UTF-8.
fn plain(secret: &Secret) -> &str {
    std::str::from_utf8(secret.expose()).unwrap_or_default()
}

impl SignInError {
    fn of(error: HttpError) -> Self {
        Self::Token(OauthError::Http(error))
    }
}
