//! The operations of Secrets Manager that cryokey uses. Source: the Secrets Manager API Reference.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use base64ct::{Base64, Encoding as _};
use serde::Serialize;
use zeroize::Zeroizing;

use super::endpoint::Service;
use super::error::AwsError;
use super::sigv4::Credentials;
use super::wire::{Call, Wire};
use crate::provider::Deadline;
use crate::provider::bulk::next;
use crate::provider::json::Json;
use crate::secret::Secret;

/// The maximum number of secrets in a `BatchGetSecretValue` request.
pub const BATCH: usize = 20;

/// A version of a secret, as `GetSecretValue` and `BatchGetSecretValue` return it.
#[derive(Debug)]
pub struct Stored {
    /// The secret's name.
    pub name: String,
    /// The secret's ARN.
    pub arn: String,
    /// The version id.
    pub version: Option<String>,
    /// When that version was created. A batch may return the creation date of the secret instead.
    pub created: Option<SystemTime>,
    /// The value; `None` if a binary secret does not contain valid Base64.
    pub value: Option<Secret>,
}

/// A page of `ListSecrets`.
#[derive(Debug)]
pub struct Page {
    /// The names of the secrets.
    pub names: Vec<String>,
    /// The token for the next page; `None` on the last one.
    pub next: Option<String>,
}

/// The result for one requested id of a batch.
pub type Entry = (String, Result<Stored, AwsError>);

/// An authenticated client for Secrets Manager.
#[derive(Debug)]
pub struct Api {
    /// Sends the requests.
    pub wire: Wire,
    /// Signs the requests.
    pub credentials: Credentials,
}

impl Api {
    /// Requests a page of the secrets whose names start with `prefix`. Compatible servers differ in whether that is
    /// case-sensitive.
    pub fn list(&self, prefix: &str, next: Option<&str>, deadline: Deadline) -> Result<Page, AwsError> {
        let filter = Some(Filter { key: "name", values: [prefix] }).filter(|_| !prefix.is_empty());
        let body = ListSecrets { max_results: 100, filters: filter.into_iter().collect(), next_token: next };
        page(&self.call("ListSecrets", "*".to_owned(), &body, deadline)?)
    }

    /// Requests the current versions of at most [`BATCH`] secrets.
    pub fn batch(&self, ids: &[String], deadline: Deadline) -> Result<Vec<Entry>, AwsError> {
        let body = BatchGetSecretValue { secret_id_list: ids };
        let reply = self.call("BatchGetSecretValue", "*".to_owned(), &body, deadline)?;
        let resource = |id: &str| self.wire.endpoints().resource(id);
        batch(&reply, ids, &resource)
    }

    /// Requests a secret by version id or staging label, or its current version.
    pub fn get(&self, id: &str, version: Option<&str>, deadline: Deadline) -> Result<Stored, AwsError> {
        let body = GetSecretValue {
            secret_id: id,
            version_stage: version.filter(|version| !is_id(version)),
            version_id: version.filter(|version| is_id(version)),
        };
        let resource = self.wire.endpoints().resource(id);
        let reply = self.call("GetSecretValue", resource, &body, deadline)?;
        let stored = stored(Json::parse(&reply).ok_or(NOT_JSON)?)?;
        let is_same = stored.is(id) && version.is_none_or(|version| stored.has(version));
        if is_same { Ok(stored) } else { Err(OTHER_SECRET) }
    }

    fn call(
        &self,
        action: &'static str,
        resource: String,
        body: &impl Serialize,
        deadline: Deadline,
    ) -> Result<Zeroizing<Vec<u8>>, AwsError> {
        let target = format!("secretsmanager.{action}");
        let headers = vec![
            ("content-type", b"application/x-amz-json-1.1".as_slice()),
            ("x-amz-target", target.as_bytes()),
        ];
        // Serializing plain strings cannot fail.
        let body = serde_json::to_vec(body).unwrap_or_default();
        let call = Call { service: Service::SecretsManager, headers, body: &body, action, resource };
        self.wire.send(&call, Some(&self.credentials), deadline)
    }
}

const NOT_JSON: AwsError = AwsError::Nonsense(super::error::Nonsense::NotJson);
const OTHER_SECRET: AwsError = AwsError::Nonsense(super::error::Nonsense::OtherSecret);

/// Version ids have 32 to 64 characters; in practice, staging labels are shorter.
fn is_id(version: &str) -> bool {
    version.len() >= 32
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ListSecrets<'a> {
    max_results: u8,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    filters: Vec<Filter<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Filter<'a> {
    key: &'static str,
    values: [&'a str; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct BatchGetSecretValue<'a> {
    secret_id_list: &'a [String],
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct GetSecretValue<'a> {
    secret_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    version_stage: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version_id: Option<&'a str>,
}

impl Stored {
    /// A copy, for a second id of the same secret.
    fn duplicate(&self) -> Self {
        Self {
            name: self.name.clone(),
            arn: self.arn.clone(),
            version: self.version.clone(),
            created: self.created,
            value: self.value.as_ref().map(Secret::duplicate),
        }
    }

    /// Whether `id` is the secret's name, its ARN, or its ARN without the random suffix.
    fn is(&self, id: &str) -> bool {
        let is_partial = |rest: &str| rest.len() == 7 && rest.starts_with('-');
        self.name == id || self.arn.strip_prefix(id).is_some_and(|rest| rest.is_empty() || is_partial(rest))
    }

    fn has(&self, version: &str) -> bool {
        !is_id(version) || self.version.as_deref() == Some(version)
    }
}

/// Parses a response of `ListSecrets`.
pub fn page(reply: &[u8]) -> Result<Page, AwsError> {
    let json = Json::parse(reply).ok_or(NOT_JSON)?;
    let list = json.at(&["SecretList"]).and_then(Json::elements).ok_or(AwsError::member("SecretList"))?;
    let name = |entry: Json<'_>| entry.at(&["Name"])?.text();
    let names = list.into_iter().map(|entry| name(entry).ok_or(AwsError::member("Name")));
    let next = next(json, "NextToken").ok_or(AwsError::member("NextToken"))?;
    Ok(Page { names: names.collect::<Result<_, _>>()?, next })
}

/// Parses a response of `BatchGetSecretValue`, which must contain every requested id exactly once.
pub fn batch(
    reply: &[u8],
    ids: &[String],
    resource: &dyn Fn(&str) -> String,
) -> Result<Vec<Entry>, AwsError> {
    let json = Json::parse(reply).ok_or(NOT_JSON)?;
    let values =
        json.at(&["SecretValues"]).and_then(Json::elements).ok_or(AwsError::member("SecretValues"))?;
    let values = values.into_iter().map(stored).collect::<Result<Vec<_>, _>>()?;
    let mut entries = failures(json, ids, resource)?;
    // A name and an ARN can refer to the same secret, which the service may return once or twice.
    for id in ids {
        let found = values.iter().find(|stored| stored.is(id));
        entries.extend(found.map(|stored| (id.clone(), Ok(stored.duplicate()))));
    }
    let is_asked_for = |stored: &Stored| ids.iter().any(|id| stored.is(id));
    if !values.iter().all(is_asked_for) {
        return Err(OTHER_SECRET);
    }
    let answered: BTreeSet<&String> = entries.iter().map(|(id, _)| id).collect();
    let is_whole = answered.len() == entries.len() && answered.len() == ids.len();
    if is_whole { Ok(entries) } else { Err(AwsError::member("SecretValues")) }
}

/// The errors of individual secrets in a batch.
fn failures(
    json: Json<'_>,
    ids: &[String],
    resource: &dyn Fn(&str) -> String,
) -> Result<Vec<Entry>, AwsError> {
    let errors = json.at(&["Errors"]).and_then(Json::elements).unwrap_or_default();
    let failure = |error: Json<'_>| {
        let member = |name| error.at(&[name]).and_then(Json::text);
        let asked = member("SecretId").ok_or(AwsError::member("SecretId"))?;
        let id = ids.iter().find(|id| **id == asked).ok_or(OTHER_SECRET)?;
        let code = member("ErrorCode").ok_or(AwsError::member("ErrorCode"))?;
        let message = member("Message").unwrap_or_default();
        let action = "secretsmanager:GetSecretValue";
        Ok((id.clone(), Err(AwsError::of_code(&code, 400, &message, action, &resource(id)))))
    };
    errors.into_iter().map(failure).collect()
}

/// Parses a response of `GetSecretValue`, or one entry of `SecretValues` in a batch.
pub fn stored(json: Json<'_>) -> Result<Stored, AwsError> {
    let text = |name| json.at(&[name]).and_then(Json::text);
    let string = json.at(&["SecretString"]).filter(|it| !it.is_null());
    let binary = json.at(&["SecretBinary"]).filter(|it| !it.is_null());
    let value = match (string, binary) {
        (Some(string), None) => Some(string.secret().ok_or(AwsError::member("SecretString"))?),
        (None, Some(binary)) => decoded(&binary.secret().ok_or(AwsError::member("SecretBinary"))?),
        _ => return Err(AwsError::member("SecretString")),
    };
    Ok(Stored {
        name: text("Name").ok_or(AwsError::member("Name"))?,
        arn: text("ARN").ok_or(AwsError::member("ARN"))?,
        version: text("VersionId"),
        created: json.at(&["CreatedDate"]).and_then(Json::number).and_then(moment),
        value,
    })
}

fn decoded(text: &Secret) -> Option<Secret> {
    let text = std::str::from_utf8(text.expose()).ok()?;
    Base64::decode_vec(text).ok().map(Secret::new)
}

/// Converts seconds since the Unix epoch.
fn moment(seconds: f64) -> Option<SystemTime> {
    SystemTime::UNIX_EPOCH.checked_add(Duration::try_from_secs_f64(seconds).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARN: &str = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:app/db-AbCdEf";

    fn ids(ids: &[&str]) -> Vec<String> {
        ids.iter().map(|id| (*id).to_owned()).collect()
    }

    fn value(members: &str) -> String {
        format!(r#"{{"Name":"app/db","ARN":"{ARN}",{members}}}"#)
    }

    fn entries(reply: &str, asked: &[&str]) -> Result<Vec<Entry>, AwsError> {
        batch(reply.as_bytes(), &ids(asked), &|id| format!("arn:{id}"))
    }

    #[test]
    fn a_value_is_text_or_bytes_and_has_the_date_of_its_version() {
        let text = value(r#""SecretString":"x\n","VersionId":"v","CreatedDate":1.5"#);
        let read = stored(Json::parse(text.as_bytes()).unwrap()).unwrap();
        assert_eq!(read.value.unwrap().expose(), b"x\n");
        assert_eq!(read.created, SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(1_500)));
        let bytes = value(r#""SecretBinary":"AP8=""#);
        let read = stored(Json::parse(bytes.as_bytes()).unwrap()).unwrap();
        assert_eq!((read.value.unwrap().expose(), read.version), ([0_u8, 255].as_slice(), None));
    }

    #[test]
    fn a27_bytes_that_are_not_base64_are_no_value_and_two_values_are_none() {
        let read = |members: &str| stored(Json::parse(value(members).as_bytes()).unwrap());
        assert!(read(r#""SecretBinary":"A!""#).unwrap().value.is_none());
        for members in
            [r#""SecretString":"a","SecretBinary":"YQ==""#, r#""SecretString":null"#, r#""SecretString":1"#]
        {
            assert_eq!(read(members).unwrap_err(), AwsError::member("SecretString"), "{members}");
        }
    }

    #[test]
    fn a_batch_answers_each_id_once_by_name_or_arn() {
        let reply = format!(
            r#"{{"SecretValues":[{}],"Errors":[{{"SecretId":"x","ErrorCode":"ResourceNotFoundException"}}]}}"#,
            value(r#""SecretString":"a""#)
        );
        for id in ["app/db", ARN, ARN.strip_suffix("-AbCdEf").unwrap()] {
            let entries = entries(&reply, &[id, "x"]).unwrap();
            assert_eq!(entries.len(), 2);
            let of = |id: &str| entries.iter().find(|entry| entry.0 == id).unwrap();
            assert!(of(id).1.is_ok());
            assert_eq!(of("x").1.as_ref().unwrap_err(), &AwsError::Absent);
        }
    }

    #[test]
    fn d19_an_answer_about_another_secret_or_about_too_few_is_nonsense() {
        let one = format!(r#"{{"SecretValues":[{}]}}"#, value(r#""SecretString":"a""#));
        assert_eq!(entries(&one, &["app/other"]).unwrap_err(), OTHER_SECRET);
        assert!(entries(&one, &["app/db", "app/other"]).is_err());
        assert!(entries(r#"{"SecretValues":[]}"#, &["app/db"]).is_err());
        let twice = format!(r#"{{"SecretValues":[{0},{0}]}}"#, value(r#""SecretString":"a""#));
        assert!(entries(&twice, &["app/db", "app/other"]).is_err());
        for reply in [one, twice] {
            assert_eq!(entries(&reply, &["app/db", ARN]).unwrap().len(), 2, "by name and by ARN");
        }
    }

    #[test]
    fn a_page_lists_names_and_says_where_the_next_begins() {
        let read = page(br#"{"SecretList":[{"Name":"a"},{"Name":"b"}],"NextToken":"t"}"#).unwrap();
        assert_eq!((read.names, read.next.as_deref()), (ids(&["a", "b"]), Some("t")));
        assert_eq!(page(br#"{"SecretList":[],"NextToken":""}"#).unwrap().next, None);
        assert!(page(br#"{"SecretList":[],"NextToken":5}"#).is_err());
        assert!(page(br#"{"SecretList":[{}]}"#).is_err() && page(b"{}").is_err() && page(b"<html>").is_err());
    }
}
