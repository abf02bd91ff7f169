//! Requests for OAuth access tokens (RFC 6749), with the extensions of Microsoft Entra ID and Google.

use super::http::{Client, HttpError, Request, Response, hint};
use super::json::Json;
use super::retry::{Retryable, Temporary, persist};
use super::{Cause, Deadline, Kind};
use crate::secret::Secret;

/// Why no token was received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OauthError {
    /// No response was received, or one without an OAuth error.
    Http(HttpError),
    /// The service rejected the request.
    Refused {
        /// Its reason, escaped and shortened. It never contains the secret that was sent.
        said: String,
    },
    /// The response contains no token.
    Nonsense,
}

/// Sends a request, retrying until it succeeds, fails permanently, or the deadline passes. `sent` is the secret in the
/// request, which no error may quote.
pub fn token(
    client: &Client,
    request: &Request,
    sent: &[u8],
    deadline: Deadline,
) -> Result<Secret, OauthError> {
    persist(deadline, || answer(client.send(request, deadline).map_err(OauthError::Http)?, sent))
}

fn answer(response: Response, sent: &[u8]) -> Result<Secret, OauthError> {
    if matches!(response.status(), 400 | 401 | 403 | 404)
        && let Some(said) = reason(response.body(), sent)
    {
        return Err(OauthError::Refused { said });
    }
    let response = response.successful().map_err(OauthError::Http)?;
    access_token(response.body()).ok_or(OauthError::Nonsense)
}

/// The token in a response: `access_token` (RFC 6749 §5.1), or `accessToken`, the spelling of Google's IAM API and of
/// the Azure CLI.
#[must_use]
pub fn access_token(body: &[u8]) -> Option<Secret> {
    let json = Json::parse(body)?;
    let token = json.at(&["access_token"]).or_else(|| json.at(&["accessToken"]))?.secret()?;
    (!token.expose().is_empty()).then_some(token)
}

/// The reason for a rejection: the first sentence of `error_description`, unless it quotes the secret that was sent;
/// otherwise the OAuth error code (RFC 6749 §5.2), or the status word of a Google API error.
fn reason(body: &[u8], sent: &[u8]) -> Option<String> {
    let error = Json::parse(body)?.at(&["error"])?;
    let word = error.text().or_else(|| error.at(&["status"])?.text())?;
    let description = Json::parse(body)?.at(&["error_description"]).and_then(Json::text).unwrap_or_default();
    let sentence = description.split([';', '\r', '\n']).next().unwrap_or_default();
    let sentence = sentence.split(" Trace ID").next().unwrap_or_default().trim();
    let is_quoted =
        |text: &str| !sent.is_empty() && text.as_bytes().windows(sent.len()).any(|part| part == sent);
    let is_safe = !sentence.is_empty() && !is_quoted(&description);
    Some(if is_safe { hint(sentence.as_bytes()) } else { code(&word) })
}

fn code(word: &str) -> String {
    let is_code =
        (1..=64).contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'_');
    if is_code { word.to_owned() } else { "an unknown error".to_owned() }
}

impl Retryable for OauthError {
    fn temporary(&self) -> Option<Temporary> {
        match self {
            Self::Http(error) => error.temporary(),
            Self::Refused { .. } | Self::Nonsense => None,
        }
    }
}

/// The messages that Entra and Google share. Their own error types wrap this one and add fixes.
impl Cause for OauthError {
    fn kind(&self) -> Kind {
        match self {
            Self::Http(error) => error.kind_of_service(),
            Self::Refused { .. } => Kind::Denied,
            Self::Nonsense => Kind::Nonsense,
        }
    }

    fn what(&self, place: &str) -> String {
        match self {
            Self::Http(error) => format!("sign-in with {place}: {error}"),
            Self::Refused { said } => format!("{place} is refused: {said}"),
            Self::Nonsense => format!("sign-in with {place}: the response contains no token"),
        }
    }

    fn fix(&self) -> String {
        match self {
            Self::Http(error) => error.fix(),
            Self::Refused { .. } => "use credentials that are in force".into(),
            Self::Nonsense => {
                "check that the address is the service's, and not that of a gateway in between".into()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(body: &str) -> String {
        reason(body.as_bytes(), b"canary").unwrap()
    }

    #[test]
    fn e18_a_refusal_shows_its_first_sentence_escaped_and_cut() {
        let body = r#"{"error":"invalid_client","error_description":"AADSTS7000215: Invalid client secret provided. Ensure x. Trace ID: 1 Correlation ID: 2"}"#;
        assert_eq!(said(body), "AADSTS7000215: Invalid client secret provided. Ensure x.");
        let long =
            format!(r#"{{"error":"x","error_description":"AADSTS1: {}\u001b[31m"}}"#, "a".repeat(1_000));
        let long = said(&long);
        assert!(long.chars().count() < 250 && !long.contains('\u{1b}'), "{long}");
    }

    #[test]
    fn a_refusal_that_quotes_what_was_sent_shows_its_code_only() {
        for body in [
            r#"{"error":"invalid_client","error_description":"canary is wrong"}"#,
            r#"{"error":"invalid_client"}"#,
        ] {
            assert_eq!(said(body), "invalid_client", "{body}");
        }
        assert_eq!(said(r#"{"error":"canary is wrong"}"#), "an unknown error");
        assert_eq!(said(r#"{"error":{"code":403,"status":"PERMISSION_DENIED"}}"#), "PERMISSION_DENIED");
        assert!(reason(b"<html>", b"x").is_none() && reason(b"{}", b"x").is_none());
    }

    #[test]
    fn a_response_without_a_token_contains_none() {
        assert!(access_token(br#"{"access_token":"t","expires_in":3599}"#).is_some());
        assert!(access_token(br#"{"accessToken":"t"}"#).is_some());
        for body in [r#"{"access_token":""}"#, r#"{"access_token":1}"#, "{}", "", "<html>"] {
            assert!(access_token(body.as_bytes()).is_none(), "{body}");
        }
    }
}
