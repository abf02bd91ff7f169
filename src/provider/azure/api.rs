//! The two operations of Key Vault that cryokey uses, and the token for them. Source: "Azure Key Vault REST API",
//! Microsoft Learn.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use zeroize::Zeroizing;

use super::challenge::{Challenge, ChallengeFault};
use super::cloud::Vault;
use super::error::{AzureError, Denial, Nonsense};
use super::identity::Identity;
use crate::escape::escaped;
use crate::provider::bulk::{Listed, Spelling, Stored, next};
use crate::provider::http::{Client, HttpError, HttpFault, Method, Request, Response};
use crate::provider::json::Json;
use crate::provider::retry::persist;
use crate::provider::{Deadline, ProviderError};
use crate::secret::Secret;

/// The API version, available since 2023 in all clouds.
const VERSION: &str = "7.4";

/// A page of a list, which contains at most 25 secrets.
#[derive(Debug)]
pub struct Page {
    /// The secrets, except those that Key Vault manages as part of a certificate.
    pub listed: Vec<Listed<AzureError>>,
    /// The URL of the next page; `None` on the last one.
    pub next: Option<String>,
}

/// An authenticated client for Key Vault.
pub struct Api {
    identity: Arc<Identity>,
    client: Client,
    token: Mutex<Token>,
}

/// An access token, and the resource that it was issued for.
struct Token {
    resource: String,
    secret: Secret,
}

/// A request to a vault.
struct Call<'a> {
    vault: &'a Vault,
    url: &'a str,
    /// The permission that the request requires: `list` or `get`.
    permission: &'static str,
}

impl Api {
    /// Obtains a token for `resource`, such as `https://vault.azure.net`.
    pub fn sign_in(
        identity: Arc<Identity>,
        resource: String,
        deadline: Deadline,
    ) -> Result<Self, ProviderError> {
        let client = identity.client()?;
        let secret = identity.token(&resource, &client, deadline)?;
        Ok(Self { identity, client, token: Mutex::new(Token { resource, secret }) })
    }

    /// Requests a page of the vault's secrets: the first one, or the one at `next`.
    pub fn list(&self, vault: &Vault, next: Option<&str>, deadline: Deadline) -> Result<Page, AzureError> {
        let first = format!("{}/secrets?api-version={VERSION}&maxresults=25", vault.url());
        let url = next.unwrap_or(&first);
        if !is_at(url, vault) {
            return Err(AzureError::Nonsense(Nonsense::OtherHost));
        }
        page(&self.call(&Call { vault, url, permission: "list" }, deadline)?, vault)
    }

    /// Reads a version of a secret; `None` reads the latest one.
    pub fn get(
        &self,
        vault: &Vault,
        name: &str,
        version: Option<&str>,
        deadline: Deadline,
    ) -> Result<Stored, AzureError> {
        let version = version.unwrap_or_default();
        let url = format!("{}/secrets/{name}/{version}?api-version={VERSION}", vault.url());
        let body = self.call(&Call { vault, url: &url, permission: "get" }, deadline)?;
        stored(&body, vault, name, version)
    }

    fn call(&self, call: &Call<'_>, deadline: Deadline) -> Result<Zeroizing<Vec<u8>>, AzureError> {
        persist(deadline, || {
            let (resource, response) = self.send(call, deadline)?;
            if response.status() != 401 {
                return body(response, call);
            }
            self.correct(&resource, &response, call.vault, deadline)?;
            let (_, response) = self.send(call, deadline)?;
            if response.status() == 401 { Err(AzureError::Refused) } else { body(response, call) }
        })
    }

    /// Sends a request with the current token. Also returns the resource of that token.
    fn send(&self, call: &Call<'_>, deadline: Deadline) -> Result<(String, Response), AzureError> {
        let token = self.token();
        let mut bearer = b"Bearer ".to_vec();
        bearer.extend_from_slice(token.secret.expose());
        let resource = token.resource.clone();
        drop(token);
        let request = Request::new(Method::Get, call.url).and_then(|it| it.header("authorization", bearer));
        let response = self.client.send(&request.map_err(AzureError::Http)?, deadline);
        Ok((resource, response.map_err(AzureError::Http)?))
    }

    /// Replaces a rejected token with one for the resource that the vault requests, if the vault may request it.
    fn correct(
        &self,
        refused: &str,
        response: &Response,
        vault: &Vault,
        deadline: Deadline,
    ) -> Result<(), AzureError> {
        let header =
            response.header("www-authenticate").ok_or(AzureError::Challenge(ChallengeFault::Syntax))?;
        let wanted =
            Challenge::verified(header, vault, &self.identity.cloud).map_err(AzureError::Challenge)?;
        if self.identity.is_of_another_tenant(&wanted.tenant) {
            return Err(AzureError::Tenant { vault: escaped(&wanted.tenant) });
        }
        if wanted.resource == refused {
            return Err(AzureError::Refused);
        }
        let mut token = self.token();
        // Another request may have been corrected meanwhile.
        if token.resource != wanted.resource {
            let secret = self.identity.token(&wanted.resource, &self.client, deadline);
            let secret = secret.map_err(|error| AzureError::SignIn(Box::new(error)))?;
            *token = Token { resource: wanted.resource, secret };
        }
        Ok(())
    }

    fn token(&self) -> MutexGuard<'_, Token> {
        self.token.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the URL belongs to this vault. The token must not be sent anywhere else.
fn is_at(url: &str, vault: &Vault) -> bool {
    let request = Request::new(Method::Get, url);
    url.starts_with("https://") && request.is_ok_and(|request| vault.is_at(request.authority()))
}

fn body(response: Response, call: &Call<'_>) -> Result<Zeroizing<Vec<u8>>, AzureError> {
    match response.status() {
        200..=299 => Ok(response.into_body()),
        300..=399 => Err(AzureError::Nonsense(Nonsense::Status(response.status()))),
        status => match failure(response.body(), status, call) {
            Some(error) => Err(error),
            None => Err(foreign(response)),
        },
    }
}

/// The error for a response that does not come from Key Vault, but from a proxy or load balancer in front of it.
fn foreign(response: Response) -> AzureError {
    match response.successful() {
        Err(HttpError { fault: HttpFault::Status { code: 400..=428, .. }, .. }) => {
            AzureError::Nonsense(Nonsense::NotJson)
        }
        Err(error) => AzureError::Http(error),
        Ok(response) => AzureError::Nonsense(Nonsense::Status(response.status())),
    }
}

/// The error that a response describes; `None` if the HTTP status alone decides.
fn failure(body: &[u8], status: u16, call: &Call<'_>) -> Option<AzureError> {
    if status == 429 || status >= 500 {
        return None;
    }
    let error = Json::parse(body)?.at(&["error"])?;
    let code = error.at(&["code"])?.text()?;
    let inner = error.at(&["innererror", "code"]).and_then(Json::text).unwrap_or_default();
    let message = error.at(&["message"]).and_then(Json::text).unwrap_or_default();
    let vault = call.vault.name().to_owned();
    Some(match (status, code.as_str(), inner.as_str()) {
        (403, _, "SecretDisabled") => AzureError::Disabled,
        (403, _, "ForbiddenByFirewall" | "ForbiddenByConnection") => AzureError::Firewall { vault },
        (403, "Forbidden", _) => AzureError::Denied(Denial {
            permission: call.permission,
            vault,
            object: object_id(&message),
            is_by_policy: inner == "AccessDenied",
        }),
        (404, "SecretNotFound", _) => AzureError::Absent,
        _ => AzureError::Invalid { code: word(&code) },
    })
}

/// The object id in `Caller: appid=…;oid=…;iss=…`.
fn object_id(message: &str) -> Option<String> {
    let rest = message.split_once("oid=")?.1;
    let id = rest.get(..36)?;
    let is_id = id.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    is_id.then(|| id.to_owned())
}

/// An error code for a message. Text that does not look like a code is replaced, since it could be anything.
fn word(code: &str) -> String {
    let is_word =
        !code.is_empty() && code.len() <= 64 && code.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if is_word { code.to_owned() } else { "an unknown code".to_owned() }
}

const NOT_JSON: AzureError = AzureError::Nonsense(Nonsense::NotJson);
const OTHER_SECRET: AzureError = AzureError::Nonsense(Nonsense::OtherSecret);

/// Parses a page of the list of a vault.
pub fn page(reply: &[u8], vault: &Vault) -> Result<Page, AzureError> {
    let json = Json::parse(reply).ok_or(NOT_JSON)?;
    let entries = json.at(&["value"]).and_then(Json::elements).ok_or(AzureError::member("value"))?;
    let is_of_certificate = |entry: &Json<'_>| entry.at(&["managed"]).and_then(Json::boolean) == Some(true);
    let listed = entries.into_iter().filter(|entry| !is_of_certificate(entry)).map(|it| listed(it, vault));
    let next = next(json, "nextLink").ok_or(AzureError::member("nextLink"))?;
    Ok(Page { listed: listed.collect::<Result<_, _>>()?, next })
}

fn listed(entry: Json<'_>, vault: &Vault) -> Result<Listed<AzureError>, AzureError> {
    let id = entry.at(&["id"]).and_then(Json::text).ok_or(AzureError::member("id"))?;
    let (host, name, _) = parts(&id).ok_or(AzureError::member("id"))?;
    if !vault.is_at(host) || !Spelling::Azure.is_legal(name) {
        return Err(OTHER_SECRET);
    }
    let is_disabled = entry.at(&["attributes", "enabled"]).and_then(Json::boolean) == Some(false);
    Ok(Listed { secret: name.to_owned(), unusable: is_disabled.then_some(AzureError::Disabled) })
}

/// The host, name and version in `https://HOST/secrets/NAME/VERSION`.
fn parts(id: &str) -> Option<(&str, &str, Option<&str>)> {
    let (host, path) = id.strip_prefix("https://")?.split_once('/')?;
    let mut path = path.strip_prefix("secrets/")?.split('/');
    let name = path.next().filter(|name| !name.is_empty())?;
    Some((host, name, path.next().filter(|version| !version.is_empty())))
}

/// Parses a secret, which must be the requested one. An empty `version` stands for the latest.
pub fn stored(reply: &[u8], vault: &Vault, name: &str, version: &str) -> Result<Stored, AzureError> {
    let json = Json::parse(reply).ok_or(NOT_JSON)?;
    let id = json.at(&["id"]).and_then(Json::text).ok_or(AzureError::member("id"))?;
    let (host, found, found_version) = parts(&id).ok_or(AzureError::member("id"))?;
    let is_same = found.eq_ignore_ascii_case(name)
        && vault.is_at(host)
        && (version.is_empty() || found_version.is_some_and(|it| it.eq_ignore_ascii_case(version)));
    if !is_same {
        return Err(OTHER_SECRET);
    }
    let moment = |name| json.at(&["attributes", name]).and_then(Json::integer).and_then(moment);
    Ok(Stored {
        value: json.at(&["value"]).and_then(Json::secret).ok_or(AzureError::member("value"))?,
        version: found_version.map(str::to_owned),
        created: moment("created"),
        is_dated: true,
        starts: moment("nbf"),
        expires: moment("exp"),
    })
}

/// Converts seconds since the Unix epoch.
fn moment(seconds: u64) -> Option<SystemTime> {
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}

impl fmt::Debug for Api {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Api").field("identity", &self.identity).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::super::cloud::Cloud;
    use super::*;

    fn vault() -> Vault {
        Cloud::new(None, None).vault("app").unwrap()
    }

    fn read(id: &str, name: &str, version: &str) -> Result<Stored, AzureError> {
        let reply = format!(r#"{{"value":"v","id":"{id}","attributes":{{"created":1,"nbf":2,"exp":3}}}}"#);
        stored(reply.as_bytes(), &vault(), name, version)
    }

    fn told(body: &str, status: u16) -> Option<AzureError> {
        failure(body.as_bytes(), status, &Call { vault: &vault(), url: "", permission: "get" })
    }

    #[test]
    fn a_page_lists_what_is_not_of_certificates_and_says_where_the_next_is() {
        let reply = br#"{"value":[
            {"id":"https://app.vault.azure.net/secrets/a","attributes":{"enabled":true}},
            {"id":"https://app.vault.azure.net/secrets/b","attributes":{"enabled":false}},
            {"id":"https://app.vault.azure.net/secrets/c","managed":true}],
            "nextLink":"https://app.vault.azure.net/secrets?x"}"#;
        let read = page(reply, &vault()).unwrap();
        let names: Vec<_> =
            read.listed.iter().map(|it| (it.secret.as_str(), it.unusable.is_some())).collect();
        assert_eq!(names, [("a", false), ("b", true)]);
        assert!(read.next.is_some());
        assert!(page(br#"{"value":[],"nextLink":null}"#, &vault()).unwrap().next.is_none());
        for reply in [
            "{}",
            "<html>",
            r#"{"value":[{}]}"#,
            r#"{"value":[{"id":"x"}]}"#,
            r#"{"value":[{"id":"https://other.vault.azure.net/secrets/a"}]}"#,
            r#"{"value":[{"id":"https://app.vault.azure.net/secrets/a_b"}]}"#,
            r#"{"value":{}}"#,
            r#"{"value":[],"nextLink":{}}"#,
        ] {
            assert!(page(reply.as_bytes(), &vault()).is_err(), "{reply}");
        }
    }

    #[test]
    fn a_secret_has_its_dates_and_its_version() {
        let read = read("https://APP.vault.azure.net/secrets/Db/v1", "db", "").unwrap();
        assert_eq!((read.value.expose(), read.version.as_deref()), (b"v".as_slice(), Some("v1")));
        assert_eq!((read.created, read.starts, read.expires), (moment(1), moment(2), moment(3)));
    }

    #[test]
    fn d19_an_answer_about_another_secret_version_or_vault_is_nonsense() {
        for (id, version) in [
            ("https://app.vault.azure.net/secrets/other/v1", ""),
            ("https://app.vault.azure.net/secrets/db/v2", "v1"),
            ("https://app.vault.azure.net/secrets/db", "v1"),
            ("https://other.vault.azure.net/secrets/db/v1", ""),
        ] {
            let error = read(id, "db", version).unwrap_err();
            assert!(matches!(error, AzureError::Nonsense(Nonsense::OtherSecret)), "{id}: {error:?}");
        }
        assert!(stored(b"{}", &vault(), "db", "").is_err());
        let empty = br#"{"id":"https://app.vault.azure.net/secrets/db/v1","value":null}"#;
        assert!(stored(empty, &vault(), "db", "").is_err());
    }

    #[test]
    fn d13_the_inner_code_tells_disabled_from_denied() {
        let of = |inner: &str| {
            let message = "Caller: appid=x;oid=8ae8c9f3-3a0b-4f3e-8a54-0d0b0c0d0e0f;iss=y";
            let body = format!(
                r#"{{"error":{{"code":"Forbidden","message":"{message}","innererror":{{"code":"{inner}"}}}}}}"#
            );
            told(&body, 403).unwrap()
        };
        assert!(matches!(of("SecretDisabled"), AzureError::Disabled));
        assert!(matches!(of("ForbiddenByFirewall"), AzureError::Firewall { .. }));
        let AzureError::Denied(denial) = of("AccessDenied") else { panic!() };
        assert!(denial.is_by_policy && denial.object.is_some());
        assert!(matches!(of("ForbiddenByRbac"), AzureError::Denied(Denial { is_by_policy: false, .. })));
    }

    #[test]
    fn what_is_no_answer_of_key_vault_is_not_taken_for_absence() {
        assert!(matches!(told(r#"{"error":{"code":"SecretNotFound"}}"#, 404), Some(AzureError::Absent)));
        assert!(told("<html>", 404).is_none() && told("{}", 404).is_none());
        assert!(told(r#"{"error":{"code":"SecretNotFound"}}"#, 503).is_none());
        let odd = told(r#"{"error":{"code":"canary <b>"}}"#, 400);
        assert!(matches!(odd, Some(AzureError::Invalid { code }) if code == "an unknown code"));
    }

    #[test]
    fn d28_a_next_page_elsewhere_gets_no_token() {
        assert!(is_at("https://app.vault.azure.net:443/secrets?x", &vault()));
        for url in [
            "https://app.vault.azure.net.evil.example/secrets",
            "https://app.vault.azure.net@evil.example/secrets",
            "http://app.vault.azure.net/secrets",
            "https://app.vault.azure.net:8443/secrets",
            "/secrets",
        ] {
            assert!(!is_at(url, &vault()), "{url}");
        }
    }
}
