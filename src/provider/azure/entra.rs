//! Requests tokens for applications from Microsoft Entra ID. Source: "Microsoft identity platform and the OAuth 2.0
//! client credentials flow", Microsoft Learn.

use crate::provider::http::{Client, FORM, HttpError, HttpFault, Method, Request, TlsFault, form};
use crate::provider::oauth::{self, OauthError};
use crate::provider::{Cause, Deadline, Kind};
use crate::secret::Secret;

/// The credential that authenticates an application.
pub(super) enum Proof<'a> {
    /// A client secret.
    Password(&'a str),
    /// A JWT signed with the application's certificate or by a federated identity provider (RFC 7523).
    Assertion(&'a str),
}

/// Why Entra returned no token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct EntraError(OauthError);

/// Requests a token for `resource` as an application. `url` is the token endpoint of the tenant.
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
    let request = request.map_err(|error| EntraError(OauthError::Http(error)))?.body(body.as_slice());
    let (Proof::Password(sent) | Proof::Assertion(sent)) = proof;
    oauth::token(client, &request, sent.as_bytes(), deadline).map_err(EntraError)
}

impl Cause for EntraError {
    fn kind(&self) -> Kind {
        self.0.kind()
    }

    fn what(&self, place: &str) -> String {
        format!("Microsoft Entra ID: {}", self.0.what(place))
    }

    fn fix(&self) -> String {
        match &self.0 {
            OauthError::Http(HttpError { fault: HttpFault::Tls(TlsFault::UnknownIssuer), .. }) => {
                "set SSL_CERT_FILE to the CA that signed the server's certificate".into()
            }
            OauthError::Refused { said } => refusal(code(said)).into(),
            other => other.fix(),
        }
    }
}

/// The error number in text such as `AADSTS7000215: Invalid client secret …`.
fn code(said: &str) -> Option<u32> {
    let rest = said.split_once("AADSTS")?.1;
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    rest.get(..digits)?.parse().ok()
}

/// The fix for the most common error numbers. Source: "Microsoft Entra authentication and authorization error codes".
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
            "upload the certificate to the application, and check that this machine's clock is right"
        }
        Some(70_021 | 700_211 | 700_212 | 700_213 | 700_223 | 700_024 | 7_002_137 | 7_002_138) => {
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

    #[test]
    fn e18_the_number_of_a_refusal_decides_what_to_do() {
        let fix = |said: &str| EntraError(OauthError::Refused { said: said.to_owned() }).fix();
        assert!(fix("AADSTS7000215: Invalid client secret.").contains("not its id"));
        assert!(fix("AADSTS90002: Tenant 'x' not found.").contains("AZURE_TENANT_ID"));
        for said in ["AADSTS: x", "invalid_client", "AADSTS99999999999999: x"] {
            assert!(fix(said).contains("login.microsoftonline.com/error"), "{said}");
        }
    }
}
