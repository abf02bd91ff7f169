//! Logging in with the chosen method.

use base64ct::{Base64, Encoding as _};
use zeroize::Zeroizing;

use super::error::IdentityError;
use super::{Auth, Method, Token};
use crate::escape::{escaped, escaped_path};
use crate::provider::aws::sigv4::Header;
use crate::provider::bootstrap::{Bootstrapped, read_line};
use crate::provider::http::Method as HttpMethod;
use crate::provider::json::Json;
use crate::provider::vault::api::{Api, Reply};
use crate::provider::vault::error::VaultError;
use crate::provider::{Cause as _, Deadline, ProviderError};
use crate::secret::Secret;
use crate::syntax::Choice as _;

/// Whether single-use values, such as wrapping tokens, may be used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SingleUse {
    /// Yes: this run starts the app.
    Allowed,
    /// No: `check` must leave the value for the startup that it was issued for.
    Kept,
}

/// Logs in at Vault and returns the token.
pub fn sign_in(
    method: &Method,
    api: &Api,
    single_use: SingleUse,
    deadline: Deadline,
) -> Result<Token, ProviderError> {
    let vault = Vault { api, single_use, deadline };
    match method {
        Method::Token(token) => Ok(given(token.secret().duplicate())),
        Method::WrappedToken(token) => vault.unwrap_token(token),
        Method::AppRole { mount, role_id, secret_id, is_wrapped } => {
            let unwrapped = is_wrapped.then(|| vault.unwrap_secret_id(secret_id, mount)).transpose()?;
            let secret_id = unwrapped.as_ref().unwrap_or(secret_id);
            let path = format!("auth/{mount}/login");
            let token = vault.log_in(
                Auth::AppRole,
                &path,
                &[("role_id", role_id.text()), ("secret_id", secret_id.text())],
            )?;
            let advice =
                "signing in at Vault used the secret id once, which counts where its uses are limited";
            Ok(Token { advice: Some(advice.into()), ..token })
        }
        Method::Jwt { auth, mount, role, file } => {
            let token = read_line(file)?;
            let token = token.ok_or_else(|| IdentityError::Empty.at(escaped_path(file)))?;
            let role = role.iter().map(|role| ("role", role.as_str()));
            let body: Vec<_> = role.chain([("jwt", token.text())]).collect();
            vault.log_in(*auth, &format!("auth/{mount}/login"), &body)
        }
        Method::Aws { mount, role, server_id, identity } => {
            let asked = identity.introduction(server_id.as_deref(), deadline)?;
            let headers = headers(&asked.headers);
            let encoded = [asked.url.as_bytes(), asked.body.as_bytes(), &headers].map(Base64::encode_string);
            let [url, body, headers] = encoded.map(Zeroizing::new);
            let role = role.iter().map(|role| ("role", role.as_str()));
            let members = [
                ("iam_http_request_method", "POST"),
                ("iam_request_url", &url),
                ("iam_request_body", &body),
                ("iam_request_headers", &headers),
            ];
            let body: Vec<_> = role.chain(members).collect();
            vault.log_in(Auth::Aws, &format!("auth/{mount}/login"), &body)
        }
        Method::Cloud { auth, mount, role, identity } => {
            let proof = identity.proof(role, deadline)?;
            let text = |secret| std::str::from_utf8(Secret::expose(secret)).unwrap_or_default();
            let proof = proof.iter().map(|(name, secret)| (*name, text(secret)));
            let body: Vec<_> = [("role", role.as_str())].into_iter().chain(proof).collect();
            vault.log_in(*auth, &format!("auth/{mount}/login"), &body)
        }
        Method::Cert { mount, role } => {
            let body: Vec<_> = role.iter().map(|role| ("name", role.as_str())).collect();
            vault.log_in(Auth::Cert, &format!("auth/{mount}/login"), &body)
        }
        Method::Userpass { mount, username, password } => {
            let path = format!("auth/{mount}/login/{}", username.text());
            vault.log_in(Auth::Userpass, &path, &[("password", password.text())])
        }
    }
}

fn given(value: Secret) -> Token {
    Token { value, is_made: false, advice: None }
}

struct Vault<'a> {
    api: &'a Api,
    single_use: SingleUse,
    deadline: Deadline,
}

impl Vault<'_> {
    fn log_in(&self, auth: Auth, path: &str, body: &[(&str, &str)]) -> Result<Token, ProviderError> {
        let place = escaped(path);
        let rejected = |status| IdentityError::Rejected { status, auth: auth.text() }.at(place.clone());
        let reply = match self.api.call(HttpMethod::Post, path, None, Some(&json(body)), self.deadline) {
            Ok(reply) if reply.is_found() => reply,
            Ok(reply) => return Err(rejected(reply.status())),
            Err(VaultError::Refused { status, .. }) => return Err(rejected(status)),
            Err(error) => return Err(error.at(place)),
        };
        let json = reply.json().map_err(|error| error.at(place.clone()))?;
        let value = client_token(json).map_err(|error| error.at(place))?;
        // Batch tokens are not stored by Vault and cannot be revoked.
        let kind = json.at(&["auth", "token_type"]).and_then(Json::text);
        Ok(Token { value, is_made: kind.as_deref() != Some("batch"), advice: None })
    }

    fn unwrap_token(&self, wrapped: &Bootstrapped) -> Result<Token, ProviderError> {
        let reply = self.unwrap(wrapped, "auth/…", |made_by| made_by.starts_with("auth/"))?;
        let token = reply.json().and_then(client_token);
        let token = token.map_err(|error| error.at(wrapped.origin().to_string()))?;
        Ok(given(token))
    }

    fn unwrap_secret_id(&self, wrapped: &Bootstrapped, mount: &str) -> Result<Bootstrapped, ProviderError> {
        let (before, after) = (format!("auth/{mount}/role/"), "secret-id");
        let expected = format!("{before}…/{after}");
        let reply = self
            .unwrap(wrapped, &expected, |made_by| made_by.starts_with(&before) && made_by.ends_with(after))?;
        let secret = reply.json().ok().and_then(|json| json.at(&["data", "secret_id"])?.secret());
        let absent = || VaultError::member("secret_id").at(wrapped.origin().to_string());
        wrapped.replaced(&secret.ok_or_else(absent)?)?.ok_or_else(absent)
    }

    /// Unwraps a response after checking where it was created. The preceding lookup does not use the token up, and
    /// distinguishes a used token from one that an attacker substituted.
    fn unwrap(
        &self,
        wrapped: &Bootstrapped,
        expected: &str,
        is_expected: impl Fn(&str) -> bool,
    ) -> Result<Reply, ProviderError> {
        let place = || wrapped.origin().to_string();
        if self.single_use == SingleUse::Kept {
            return Err(IdentityError::NotTried.at(place()));
        }
        let refused = |error, otherwise: IdentityError| match error {
            VaultError::Refused { .. } => otherwise.at(place()),
            error => error.at(place()),
        };
        let body = json(&[("token", wrapped.text())]);
        let lookup = self.api.call(HttpMethod::Post, "sys/wrapping/lookup", None, Some(&body), self.deadline);
        let lookup = lookup.map_err(|error| refused(error, IdentityError::Used))?;
        let made_by = lookup.json().ok().and_then(|json| json.at(&["data", "creation_path"])?.text());
        let made_by = made_by.unwrap_or_default();
        if !is_expected(&made_by) {
            let substituted =
                IdentityError::Substituted { made_by: escaped(made_by), expected: escaped(expected) };
            return Err(substituted.at(place()));
        }
        // Only in the header: if it were in the body too, Vault would use it up and lose the response.
        let token = Some(wrapped.secret());
        let reply = self.api.call(HttpMethod::Post, "sys/wrapping/unwrap", token, None, self.deadline);
        reply.map_err(|error| refused(error, IdentityError::Lost))
    }
}

/// Headers as a JSON object, the form that Vault's `iam_request_headers` has before it is base64-encoded.
fn headers(headers: &[Header]) -> Zeroizing<Vec<u8>> {
    let text = |value| std::str::from_utf8(value).unwrap_or_default();
    let members: Vec<_> = headers.iter().map(|(name, value)| (*name, text(value))).collect();
    json(&members)
}

fn client_token(json: Json<'_>) -> Result<Secret, VaultError> {
    let token = json.at(&["auth", "client_token"]).and_then(Json::secret);
    let token = token.filter(|token| !token.expose().is_empty());
    token.ok_or(VaultError::member("auth.client_token"))
}

/// A JSON object of strings. Its buffer is large enough from the start, since reallocation would leave an unwiped
/// copy.
fn json(members: &[(&str, &str)]) -> Zeroizing<Vec<u8>> {
    // An escaped byte takes at most six bytes; quotes, colon and comma take five.
    let room = members.iter().map(|(name, value)| 6 * (name.len() + value.len()) + 5).sum::<usize>() + 2;
    let mut text = Zeroizing::new(Vec::with_capacity(room));
    let map = members.iter().copied();
    // Serializing strings into memory cannot fail.
    let _ = serde::Serializer::collect_map(&mut serde_json::Serializer::new(&mut *text), map);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_escaped_and_never_outgrows_its_buffer() {
        let hostile = "\"\\\u{1}\u{7f}</script>ä\u{2028}";
        let text = json(&[("role", "a"), ("jwt", hostile)]);
        let back: serde_json::Value = serde_json::from_slice(&text).unwrap();
        assert_eq!(back, serde_json::json!({ "role": "a", "jwt": hostile }));
        assert_eq!(&**json(&[]), b"{}");
        let worst = "\u{1}".repeat(1000);
        assert!(json(&[("a", &worst)]).len() <= 6 * (worst.len() + 1) + 7);
    }
}
