//! The operations of Secret Manager that cryokey uses. Source: "Secret Manager API", Google Cloud documentation.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use base64ct::{Base64, Encoding as _};
use crc::{CRC_32_ISCSI, Crc};
use jiff::Timestamp;
use zeroize::Zeroizing;

use super::error::{Action, Denial, GoogleError, Nonsense};
use super::identity::Identity;
use super::place::{Parent, Place};
use crate::provider::bulk::{Spelling, Stored, next};
use crate::provider::http::{Client, HttpError, HttpFault, Method, Request, Response, percent_encoded};
use crate::provider::json::Json;
use crate::provider::retry::persist;
use crate::provider::{Deadline, ProviderError};
use crate::secret::Secret;

/// The number of secrets to request per page; the service allows up to 25,000.
const PAGE: u32 = 5_000;

/// The size limit of a response in bytes. A page lists 5,000 secrets with their labels and replication.
const BODY_LIMIT: usize = 16 << 20;

/// The tolerated difference between the clocks in seconds. Tokens are valid for an hour, so a small one is harmless.
const TOLERANCE: i64 = 240;

/// A page of a list.
#[derive(Debug)]
pub struct Page {
    /// The names of the secrets.
    pub names: Vec<String>,
    /// The token for the next page; `None` on the last one.
    pub next: Option<String>,
}

/// An authenticated client for Secret Manager.
pub struct Api {
    identity: Arc<Identity>,
    client: Client,
    token: Secret,
}

/// A request, and what to name in the error if it is denied.
struct Call<'a> {
    parent: &'a Parent,
    secret: Option<&'a str>,
    action: Action,
    path: String,
}

impl Api {
    /// Obtains a token for the identity, and builds the client.
    pub fn sign_in(identity: Arc<Identity>, deadline: Deadline) -> Result<Self, ProviderError> {
        let client = identity.client()?;
        let token = identity.token(&client, deadline)?;
        Ok(Self { identity, client, token })
    }

    /// Requests a page of the secrets whose names contain `prefix`. The service's filter cannot match the start of a
    /// name.
    pub fn list(
        &self,
        parent: &Parent,
        prefix: &str,
        next: Option<&str>,
        deadline: Deadline,
    ) -> Result<Page, GoogleError> {
        // The service would interpret a filter that starts with a hyphen as a negation.
        let filter = Some(prefix).filter(|prefix| !prefix.is_empty() && !prefix.starts_with('-'));
        let filter = filter.map(|prefix| format!("&filter={}", percent_encoded(&format!("name:{prefix}"))));
        let token = next.map(|next| format!("&pageToken={}", percent_encoded(next)));
        let more = [filter, token].into_iter().flatten().collect::<String>();
        let path = format!("{}/secrets?pageSize={PAGE}{more}", parent.path());
        page(&self.call(&Call { parent, secret: None, action: Action::List, path }, deadline)?)
    }

    /// Reads a version: a number, an alias, or `latest`. If the checksum does not match, the version is requested once
    /// more.
    pub fn access(&self, place: &Place, version: &str, deadline: Deadline) -> Result<Stored, GoogleError> {
        const CHECKSUM: GoogleError = GoogleError::Nonsense(Nonsense::Checksum);
        let path = format!("{}/versions/{}:access", place.path(), percent_encoded(version));
        let call = Call { parent: &place.parent, secret: Some(&place.name), action: Action::Access, path };
        let ask = || stored(&self.call(&call, deadline)?, place, version);
        ask().or_else(|error| if error == CHECKSUM { ask() } else { Err(error) })
    }

    /// Requests the creation time of a version; `None` if the response contains none.
    pub fn date(
        &self,
        place: &Place,
        version: &str,
        deadline: Deadline,
    ) -> Result<Option<SystemTime>, GoogleError> {
        let path = format!("{}/versions/{}", place.path(), percent_encoded(version));
        let call = Call { parent: &place.parent, secret: Some(&place.name), action: Action::Date, path };
        let body = self.call(&call, deadline)?;
        Ok(Json::parse(&body).and_then(|json| created(json.at(&["createTime"])?.text()?.as_str())))
    }

    fn call(&self, call: &Call<'_>, deadline: Deadline) -> Result<Zeroizing<Vec<u8>>, GoogleError> {
        let url = format!("https://{}/v1/{}", call.parent.host(&self.identity.universe), call.path);
        let bearer = [b"Bearer ", self.token.expose()].concat();
        let request = Request::new(Method::Get, &url).and_then(|it| it.header("authorization", bearer));
        let request = match self.identity.quota_project() {
            Some(project) => request.and_then(|it| it.header("x-goog-user-project", project)),
            None => request,
        };
        let request = request.map_err(GoogleError::Http)?.body_limit(BODY_LIMIT);
        persist(deadline, || {
            let response = self.client.send(&request, deadline).map_err(GoogleError::Http)?;
            self.body(response, call)
        })
    }

    fn body(&self, response: Response, call: &Call<'_>) -> Result<Zeroizing<Vec<u8>>, GoogleError> {
        match response.status() {
            200..=299 => Ok(response.into_body()),
            300..=399 => Err(GoogleError::Nonsense(Nonsense::Status(response.status()))),
            401 => Err(GoogleError::Refused { offset: offset(&response) }),
            status => match failure(response.body(), status, call, self.identity.member()) {
                Some(error) => Err(error),
                None => Err(foreign(response)),
            },
        }
    }
}

/// The seconds by which the local clock is behind the server's; `None` if too few to invalidate a token. Negative if
/// the local clock is ahead.
fn offset(response: &Response) -> Option<i64> {
    let date = jiff::fmt::rfc2822::parse(response.header("date")?).ok()?;
    let offset = date.timestamp().as_second().saturating_sub(Timestamp::now().as_second());
    (offset.abs() > TOLERANCE).then_some(offset)
}

/// The error for a response that does not come from Secret Manager, but from a proxy or load balancer in front of it.
fn foreign(response: Response) -> GoogleError {
    match response.successful() {
        Err(HttpError { fault: HttpFault::Status { code: 400..=428, .. }, .. }) => {
            GoogleError::Nonsense(Nonsense::NotJson)
        }
        Err(error) => GoogleError::Http(error),
        Ok(response) => GoogleError::Nonsense(Nonsense::Status(response.status())),
    }
}

/// The error that a response describes; `None` if the HTTP status alone decides. Source: "google.rpc.Code", AIP-193.
fn failure(body: &[u8], status: u16, call: &Call<'_>, member: String) -> Option<GoogleError> {
    if status == 429 || status >= 500 {
        return None;
    }
    let error = Json::parse(body)?.at(&["error"])?;
    let word = error.at(&["status"])?.text()?;
    let message = error.at(&["message"]).and_then(Json::text).unwrap_or_default();
    let project = call.parent.project.clone();
    Some(match (status, word.as_str()) {
        (403, "PERMISSION_DENIED") if has_reason(error, "SERVICE_DISABLED") => {
            GoogleError::NotEnabled { project }
        }
        (403, "PERMISSION_DENIED") => GoogleError::Denied(Denial {
            action: call.action,
            project,
            secret: call.secret.map(str::to_owned),
            location: call.parent.location.clone(),
            member,
        }),
        // A project that does not exist is not a secret that does not exist.
        (404, "NOT_FOUND") if call.secret.is_some() => GoogleError::Absent,
        (400, "FAILED_PRECONDITION") if message.contains("DESTROYED") => GoogleError::Destroyed,
        (400, "FAILED_PRECONDITION") if message.contains("DISABLED") => GoogleError::Disabled,
        _ => GoogleError::Invalid { status: shown(&word) },
    })
}

fn has_reason(error: Json<'_>, reason: &str) -> bool {
    let details = error.at(&["details"]).and_then(Json::elements).unwrap_or_default();
    details.into_iter().any(|detail| detail.at(&["reason"]).and_then(Json::text).as_deref() == Some(reason))
}

/// A status word for a message. Text that does not look like one is replaced, since it could be anything.
fn shown(word: &str) -> String {
    let is_word =
        (1..=64).contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_');
    if is_word { word.to_owned() } else { "an unknown status".to_owned() }
}

const NOT_JSON: GoogleError = GoogleError::Nonsense(Nonsense::NotJson);
const OTHER_SECRET: GoogleError = GoogleError::Nonsense(Nonsense::OtherSecret);

/// Parses a page of a list. An empty list has no member `secrets`.
pub fn page(reply: &[u8]) -> Result<Page, GoogleError> {
    let json = Json::parse(reply).filter(|json| json.members().is_some()).ok_or(NOT_JSON)?;
    let entries = match json.at(&["secrets"]) {
        None => Vec::new(),
        Some(secrets) => secrets.elements().ok_or(GoogleError::member("secrets"))?,
    };
    let name = |entry: Json<'_>| {
        let resource = entry.at(&["name"]).and_then(Json::text).ok_or(GoogleError::member("name"))?;
        let name = resource.rsplit_once("/secrets/").map(|(_, name)| name);
        let name = name.filter(|name| !name.is_empty() && Spelling::Google.is_legal(name));
        name.map(str::to_owned).ok_or(GoogleError::member("name"))
    };
    let next = next(json, "nextPageToken").ok_or(GoogleError::member("nextPageToken"))?;
    Ok(Page { names: entries.into_iter().map(name).collect::<Result<_, _>>()?, next })
}

/// Parses a value, which must be that of the requested secret and version, and verifies its checksum, if it has one.
pub fn stored(reply: &[u8], place: &Place, version: &str) -> Result<Stored, GoogleError> {
    let json = Json::parse(reply).ok_or(NOT_JSON)?;
    let resource = json.at(&["name"]).and_then(Json::text).ok_or(GoogleError::member("name"))?;
    let number = number_of(&resource, place).ok_or(OTHER_SECRET)?;
    let is_number = version.bytes().all(|byte| byte.is_ascii_digit());
    if is_number && number != version {
        return Err(OTHER_SECRET);
    }
    let payload = json.at(&["payload"]).ok_or(GoogleError::member("payload"))?;
    let value = value(payload).ok_or(GoogleError::member("data"))?;
    if let Some(expected) = payload.at(&["dataCrc32c"]) {
        let expected = checksum(expected).ok_or(GoogleError::member("dataCrc32c"))?;
        if Crc::<u32>::new(&CRC_32_ISCSI).checksum(value.expose()) != expected {
            return Err(GoogleError::Nonsense(Nonsense::Checksum));
        }
    }
    let version = Some(number.to_owned());
    Ok(Stored { value, version, created: None, is_dated: false, starts: None, expires: None })
}

/// The version number in `projects/NUMBER/secrets/NAME/versions/N`. The project is compared only if `place` contains
/// its number, because resource names never contain its id.
fn number_of<'a>(resource: &'a str, place: &Place) -> Option<&'a str> {
    let (parent, rest) = resource.split_once("/secrets/")?;
    let (name, number) = rest.split_once("/versions/")?;
    let location = parent.split_once("/locations/").map(|(_, location)| location);
    let project = parent.strip_prefix("projects/")?.split('/').next()?;
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let own = &place.parent.project;
    let is_same = name == place.name
        && location == place.parent.location.as_deref()
        && (project == own || !is_number(own) || !is_number(project));
    (is_same && is_number(number)).then_some(number)
}

/// Decodes Base64 in either alphabet, as the JSON mapping of proto3 allows. An empty value has no `data` member.
fn value(payload: Json<'_>) -> Option<Secret> {
    let Some(data) = payload.at(&["data"]) else { return Some(Secret::new(Vec::new())) };
    let text = data.secret()?;
    let standard: Zeroizing<Vec<u8>> =
        Zeroizing::new(text.expose().iter().map(|byte| standard(*byte)).collect());
    Base64::decode_vec(std::str::from_utf8(&standard).ok()?).ok().map(Secret::new)
}

fn standard(byte: u8) -> u8 {
    match byte {
        b'-' => b'+',
        b'_' => b'/',
        byte => byte,
    }
}

/// Parses an int64, which the JSON mapping of proto3 encodes as a string.
fn checksum(json: Json<'_>) -> Option<u32> {
    let number = json.text().and_then(|text| text.parse().ok()).or_else(|| json.integer());
    number.and_then(|number| u32::try_from(number).ok())
}

fn created(text: &str) -> Option<SystemTime> {
    let seconds = text.parse::<Timestamp>().ok()?.as_second();
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(u64::try_from(seconds).ok()?))
}

impl fmt::Debug for Api {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Api").field("identity", &self.identity).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> Place {
        Place::parse("my-project/db", None).unwrap()
    }

    fn read(name: &str, payload: &str, version: &str) -> Result<Stored, GoogleError> {
        stored(format!(r#"{{"name":"{name}","payload":{payload}}}"#).as_bytes(), &place(), version)
    }

    fn told(body: &str, status: u16) -> Option<GoogleError> {
        let place = place();
        let call =
            Call { parent: &place.parent, secret: Some("db"), action: Action::Access, path: String::new() };
        failure(body.as_bytes(), status, &call, "user:EMAIL".to_owned())
    }

    const NAME: &str = "projects/123/secrets/db/versions/7";

    #[test]
    fn a_page_lists_names_and_may_be_empty() {
        let read = page(br#"{"secrets":[{"name":"projects/1/secrets/a"}],"nextPageToken":"t"}"#).unwrap();
        assert_eq!((read.names, read.next.as_deref()), (vec!["a".to_owned()], Some("t")));
        assert!(page(b"{}").unwrap().names.is_empty());
        for reply in [
            "[]",
            "<html>",
            "",
            r#"{"secrets":[{}]}"#,
            r#"{"secrets":{}}"#,
            r#"{"secrets":[{"name":"a"}]}"#,
            r#"{"secrets":[{"name":"p/secrets/.."}]}"#,
            r#"{"nextPageToken":5}"#,
        ] {
            assert!(page(reply.as_bytes()).is_err(), "{reply}");
        }
    }

    #[test]
    fn d20_a_value_is_verified_by_its_checksum_if_it_has_one() {
        // The CRC-32C of "123456789" is 0xE3069283 (RFC 3720 and the catalogue of CRC algorithms).
        let right = r#"{"data":"MTIzNDU2Nzg5","dataCrc32c":"3808858755"}"#;
        let stored = read(NAME, right, "latest").unwrap();
        assert_eq!((stored.value.expose(), stored.version.as_deref()), (b"123456789".as_slice(), Some("7")));
        assert!(read(NAME, r#"{"data":"MTIzNDU2Nzg5"}"#, "latest").is_ok());
        let wrong = read(NAME, r#"{"data":"MTIzNDU2Nzg5","dataCrc32c":"3808858756"}"#, "latest");
        assert_eq!(wrong.unwrap_err(), GoogleError::Nonsense(Nonsense::Checksum));
        for odd in [r#""-1""#, r#""x""#, "null"] {
            let payload = format!(r#"{{"data":"MTIzNDU2Nzg5","dataCrc32c":{odd}}}"#);
            assert_eq!(read(NAME, &payload, "latest").unwrap_err(), GoogleError::member("dataCrc32c"));
        }
    }

    #[test]
    fn a27_a_value_is_base64_in_either_alphabet_or_empty() {
        let bytes = |payload| read(NAME, payload, "7").unwrap().value.expose().to_vec();
        assert_eq!(bytes(r#"{"data":"+/8="}"#), bytes(r#"{"data":"-_8="}"#));
        assert!(bytes("{}").is_empty());
        assert!(read(NAME, r#"{"data":"A!"}"#, "7").is_err() && read(NAME, r#"{"data":1}"#, "7").is_err());
    }

    #[test]
    fn d19_an_answer_about_another_secret_or_version_is_nonsense() {
        for (name, version) in [
            ("projects/123/secrets/other/versions/7", "latest"),
            (NAME, "6"),
            ("projects/123/locations/eu/secrets/db/versions/7", "7"),
            ("projects/123/secrets/db/versions/latest", "latest"),
            ("canary", "latest"),
        ] {
            assert_eq!(read(name, "{}", version).unwrap_err(), OTHER_SECRET, "{name}");
        }
        assert!(read(NAME, "{}", "blue").is_ok(), "an alias");
    }

    #[test]
    fn d13_the_state_of_a_version_is_told_apart_from_absence_and_denial() {
        let error = |status: &str, message: &str| {
            let http = match status {
                "NOT_FOUND" => 404,
                "PERMISSION_DENIED" => 403,
                _ => 400,
            };
            told(&format!(r#"{{"error":{{"status":"{status}","message":"{message}"}}}}"#), http).unwrap()
        };
        let state = |state| error("FAILED_PRECONDITION", &format!("Secret Version [x] is in {state} state."));
        assert_eq!((state("DISABLED"), state("DESTROYED")), (GoogleError::Disabled, GoogleError::Destroyed));
        assert_eq!(error("NOT_FOUND", ""), GoogleError::Absent);
        assert!(matches!(error("PERMISSION_DENIED", ""), GoogleError::Denied(_)));
        assert_eq!(error("canary x", ""), GoogleError::Invalid { status: "an unknown status".to_owned() });
        let disabled =
            r#"{"error":{"status":"PERMISSION_DENIED","details":[{"reason":"SERVICE_DISABLED"}]}}"#;
        assert!(matches!(told(disabled, 403), Some(GoogleError::NotEnabled { .. })));
        let mixed = told(r#"{"error":{"status":"NOT_FOUND"}}"#, 403);
        assert!(matches!(mixed, Some(GoogleError::Invalid { .. })), "{mixed:?}");
        assert!(told("<html>", 404).is_none() && told("{}", 404).is_none());
    }

    #[test]
    fn a_date_is_rfc_3339() {
        assert!(created("2026-01-01T00:00:00.123456Z").is_some() && created("yesterday").is_none());
    }
}
