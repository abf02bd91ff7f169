//! Microsoft Entra ID: tokens for applications, by the client credentials flow. Source: "Microsoft identity platform and
//! the OAuth 2.0 client credentials flow", Microsoft Learn.

use crate::escape::escaped;
use crate::provider::http::{
    Client, FORM, HttpError, HttpFault, Method, Request, Response, TlsFault, form, hint,
};
use crate::provider::json::Json;
use crate::provider::retry::{Retryable, Temporary, persist};
use crate::provider::{Cause, Deadline, Kind};
use crate::secret::Secret;

/// What proves that cryokey is the application.
pub(super) enum Proof<'a> {
    /// A password of the application.
    Password(&'a str),
    /// A token that the application's certificate signed, or that a trusted issuer gave it.
    Assertion(&'a str),
}

/// Why there is no token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntraError {
    /// There is no response.
    Http(HttpError),
    /// Entra refused, with the number of an `AADSTS` code where it told one.
    Refused {
        /// The number.
        code: Option<u32>,
        /// What it said; escaped and cut. Never with the secret or the assertion.
        said: String,
    },
    /// The response has no token.
    Nonsense,
}

/// Asks for a token of an application for a resource, until there is one or the answer is final.
pub(super) fn token(
    client: &Client,
    url: &str,
    application: &str,
    proof: &Proof<'_>,
    resource: &str,
    deadline: Deadline,
) -> Result<Secret, EntraError> {
    const BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
    let scope = format!("{resource}/.default");
    let mut fields =
        vec![("client_id", application), ("scope", scope.as_str()), ("grant_type", "client_credentials")];
    match proof {
        Proof::Password(secret) => fields.push(("client_secret", secret)),
        Proof::Assertion(assertion) => {
            fields.extend([("client_assertion_type", BEARER), ("client_assertion", assertion)]);
        }
    }
    let body = form(fields.iter().copied());
    let request = Request::new(Method::Post, url).and_then(|it| it.header("content-type", FORM));
    let request = request.map_err(EntraError::Http)?.body(body.as_slice());
    persist(deadline, || answer(client.send(&request, deadline).map_err(EntraError::Http)?, proof))
}

fn answer(response: Response, proof: &Proof<'_>) -> Result<Secret, EntraError> {
    if matches!(response.status(), 400 | 401 | 403)
        && let Some(refused) = refused(response.body(), proof)
    {
        return Err(refused);
    }
    let response = response.successful().map_err(EntraError::Http)?;
    access_token(response.body()).ok_or(EntraError::Nonsense)
}

/// The token in a reply, which Entra, metadata services and the Azure CLI call alike.
#[must_use]
pub fn access_token(body: &[u8]) -> Option<Secret> {
    let json = Json::parse(body)?;
    let token = json.at(&["access_token"]).or_else(|| json.at(&["accessToken"]))?.secret()?;
    (!token.expose().is_empty()).then_some(token)
}

/// What a refusal says of itself: the first sentence, unless it quotes what was sent.
fn refused(body: &[u8], proof: &Proof<'_>) -> Option<EntraError> {
    let json = Json::parse(body)?;
    let error = json.at(&["error"])?.text()?;
    let description = json.at(&["error_description"]).and_then(Json::text).unwrap_or_default();
    let code = code_of(&description);
    let (Proof::Password(sent) | Proof::Assertion(sent)) = proof;
    let sentence = description.split([';', '\r', '\n']).next().unwrap_or_default();
    let sentence = sentence.split(" Trace ID").next().unwrap_or_default();
    let is_safe = !sentence.is_empty() && !description.contains(*sent) && !error.contains(*sent);
    let said = if is_safe { hint(sentence.trim().as_bytes()) } else { word(&error) };
    Some(EntraError::Refused { code, said })
}

/// The number in `AADSTS7000215: Invalid client secret …`.
fn code_of(description: &str) -> Option<u32> {
    let rest = description.split_once("AADSTS")?.1;
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    rest.get(..digits)?.parse().ok()
}

fn word(error: &str) -> String {
    let is_word = error.len() <= 64 && error.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    if is_word { escaped(error) } else { "an unknown error".to_owned() }
}

impl Retryable for EntraError {
    fn temporary(&self) -> Option<Temporary> {
        match self {
            Self::Http(error) => error.temporary(),
            Self::Refused { .. } | Self::Nonsense => None,
        }
    }
}

impl Cause for EntraError {
    fn kind(&self) -> Kind {
        match self {
            Self::Http(error) => error.kind(),
            Self::Refused { .. } => Kind::Denied,
            Self::Nonsense => Kind::Nonsense,
        }
    }

    fn what(&self, place: &str) -> String {
        match self {
            Self::Http(error) => format!("sign-in at Azure by {place}: {error}"),
            Self::Refused { said, .. } => format!("Microsoft Entra ID refuses {place}: {said}"),
            Self::Nonsense => format!("sign-in at Azure by {place}: the response has no token"),
        }
    }

    fn fix(&self) -> String {
        match self {
            Self::Http(HttpError { fault: HttpFault::Tls(TlsFault::UnknownIssuer), .. }) => {
                "set SSL_CERT_FILE to the CA that signed the server's certificate".into()
            }
            Self::Http(error) => error.fix(),
            Self::Refused { code, .. } => refusal(*code).into(),
            Self::Nonsense => "check AZURE_AUTHORITY_HOST, and what is between this machine and it".into(),
        }
    }
}

/// What to do about the usual codes. Source: "Microsoft Entra authentication and authorization error codes".
fn refusal(code: Option<u32>) -> &'static str {
    match code {
        Some(7_000_215) => {
            "write the value of the application's client secret, not its id, to AZURE_CLIENT_SECRET"
        }
        Some(7_000_222) => "create a new client secret for the application: this one has expired",
        Some(700_016) => {
            "check AZURE_CLIENT_ID and AZURE_TENANT_ID: the application is not one of that tenant"
        }
        Some(90_002 | 900_023) => "check AZURE_TENANT_ID: there is no such tenant in this cloud",
        Some(700_027) => {
            "upload the certificate to the application, and check that the clock of this machine is right"
        }
        Some(70_021 | 700_211 | 700_212 | 700_213 | 700_223 | 700_024) => {
            "add a federated credential to the application with the issuer, subject and audience of this token"
        }
        Some(500_011) => {
            "check AZURE_AUTHORITY_HOST: the vault is not known in this cloud, or not in this tenant"
        }
        _ => "look up the code at https://login.microsoftonline.com/error",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(body: &str, secret: &str) -> (Option<u32>, String) {
        match refused(body.as_bytes(), &Proof::Password(secret)).unwrap() {
            EntraError::Refused { code, said } => (code, said),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn e18_a_refusal_shows_its_code_and_the_first_sentence() {
        let body = r#"{"error":"invalid_client","error_description":"AADSTS7000215: Invalid client secret provided. Ensure x. Trace ID: 1 Correlation ID: 2"}"#;
        let (code, said) = told(body, "canary");
        assert_eq!(code, Some(7_000_215));
        assert_eq!(said, "AADSTS7000215: Invalid client secret provided. Ensure x.");
        let long =
            format!(r#"{{"error":"x","error_description":"AADSTS1: {}\u001b[31m"}}"#, "a".repeat(1_000));
        let (code, said) = told(&long, "canary");
        assert!(code == Some(1) && said.chars().count() < 250 && !said.contains('\u{1b}'), "{said}");
    }

    #[test]
    fn e18_a_refusal_that_quotes_the_secret_is_not_shown() {
        for body in [
            r#"{"error":"invalid_client","error_description":"AADSTS1: canary is wrong"}"#,
            r#"{"error":"invalid_client"}"#,
        ] {
            assert_eq!(told(body, "canary").1, "invalid_client", "{body}");
        }
        assert_eq!(told(r#"{"error":"canary is wrong"}"#, "canary").1, "an unknown error");
        assert!(refused(b"<html>", &Proof::Password("x")).is_none());
    }

    #[test]
    fn a_reply_without_a_token_is_no_token() {
        assert!(access_token(br#"{"access_token":"t","expires_in":3599}"#).is_some());
        assert!(access_token(br#"{"accessToken":"t"}"#).is_some());
        for body in [r#"{"access_token":""}"#, r#"{"access_token":1}"#, "{}", "", "<html>"] {
            assert!(access_token(body.as_bytes()).is_none(), "{body}");
        }
    }
}
