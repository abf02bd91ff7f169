//! The source of a subject token, which another identity provider issued: a file, a URL, or AWS. Source: "Workload
//! identity federation", Google Cloud documentation.

use std::path::PathBuf;
use std::time::Duration;

use super::error::CredentialError;
use super::means::Means;
use super::member::{optional, path, text};
use crate::escape::escaped_path;
use crate::provider::http::{self, Client, Method, Request, percent_encoded};
use crate::provider::json::Json;
use crate::provider::retry::persist;
use crate::provider::{Cause as _, ProviderError, files};
use crate::secret::Secret;
use crate::system::read;

/// The limit for connecting to a service of the platform, and for each read.
const LIMIT: Duration = Duration::from_secs(2);

/// The `credential_source` member of the credentials.
#[derive(Debug)]
pub struct Source {
    place: Place,
    /// The member that holds the token, if the source is a JSON document; `None` if the token is the whole content.
    field: Option<String>,
}

#[derive(Debug)]
enum Place {
    File(PathBuf),
    Url {
        url: String,
        headers: Vec<(String, Secret)>,
    },
    /// A signed `GetCallerIdentity` request, with which Google verifies the AWS identity.
    Aws,
}

impl Source {
    pub(super) fn parse(json: Json<'_>) -> Result<Self, CredentialError> {
        let field = match optional_format(json)?.as_deref() {
            None | Some("text") => None,
            Some("json") => {
                let name = json.at(&["format", "subject_token_field_name"]).and_then(Json::text);
                Some(name.ok_or(CredentialError::Member("subject_token_field_name"))?)
            }
            Some(_) => return Err(CredentialError::Member("format")),
        };
        let place = if let Some(path) = path(json, "file") {
            Place::File(path)
        } else if optional(json, "environment_id").is_some() {
            if text(json, "environment_id")? != "aws1" {
                return Err(CredentialError::Member("environment_id"));
            }
            Place::Aws
        } else if json.at(&["executable"]).is_some() {
            return Err(CredentialError::Executable);
        } else {
            Place::Url { url: text(json, "url")?, headers: headers(json)? }
        };
        Ok(Self { place, field })
    }

    pub(super) fn is_aws(&self) -> bool {
        matches!(self.place, Place::Aws)
    }

    pub(super) fn label(&self) -> String {
        match &self.place {
            Place::File(path) => format!("the token in {}", escaped_path(path)),
            Place::Url { url, .. } => {
                format!("the token from {}", http::shown(url))
            }
            Place::Aws => "the identity at AWS".to_owned(),
        }
    }

    /// Reads the subject token. This happens at every sign-in, since the platform rotates it.
    pub(super) fn token(&self, audience: &str, means: &Means<'_>) -> Result<Secret, ProviderError> {
        let document = match &self.place {
            Place::File(path) => read_file(path)?,
            Place::Url { url, headers } => self.download(url, headers, means)?,
            Place::Aws => return aws(audience, means),
        };
        let token = match &self.field {
            None => Some(document),
            Some(field) => Json::parse(document.expose()).and_then(|json| json.at(&[field])?.secret()),
        };
        let token = token.map(|token| Secret::new(token.expose().trim_ascii().to_vec()));
        let token = token.filter(|token| !token.expose().is_empty() && token.expose().is_ascii());
        token.ok_or_else(|| CredentialError::NoToken.at(self.label()))
    }

    fn download(
        &self,
        url: &str,
        headers: &[(String, Secret)],
        means: &Means<'_>,
    ) -> Result<Secret, ProviderError> {
        let failed = |error| CredentialError::Source(error).at(self.label());
        let client = Client::new(means.http.nearby(LIMIT, LIMIT))
            .map_err(|error| crate::provider::google::error::GoogleError::Tls(error).at("Google"))?;
        let mut request = Request::new(Method::Get, url).map_err(failed)?.for_metadata();
        for (name, value) in headers {
            request = request.named_header(name, value.expose()).map_err(failed)?;
        }
        let deadline = means.deadline;
        let response = persist(deadline, || client.send(&request, deadline)?.successful()).map_err(failed)?;
        Ok(Secret::new(response.body().to_vec()))
    }
}

fn optional_format(json: Json<'_>) -> Result<Option<String>, CredentialError> {
    match json.at(&["format"]) {
        None => Ok(None),
        Some(format) => text(format, "type").map(Some),
    }
}

fn headers(json: Json<'_>) -> Result<Vec<(String, Secret)>, CredentialError> {
    let Some(headers) = json.at(&["headers"]).filter(|json| !json.is_null()) else { return Ok(Vec::new()) };
    let members = headers.members().ok_or(CredentialError::Member("headers"))?;
    let header = |(name, value): (String, Json<'_>)| Some((name, value.secret()?));
    members.into_iter().map(header).collect::<Option<_>>().ok_or(CredentialError::Member("headers"))
}

fn read_file(path: &std::path::Path) -> Result<Secret, ProviderError> {
    read::read_path(path).map(|(bytes, _)| Secret::new(bytes)).map_err(|error| {
        let stat = rustix::fs::stat(path).ok();
        files::error::FileError::from((error, stat.as_ref())).at(escaped_path(path))
    })
}

/// A signed `GetCallerIdentity` request as percent-encoded JSON, which Google forwards to AWS.
fn aws(audience: &str, means: &Means<'_>) -> Result<Secret, ProviderError> {
    let identity = means.aws.ok_or_else(|| CredentialError::NoToken.at("the identity at AWS"))?;
    let introduction = identity.introduction_by_url(audience, means.deadline)?;
    let header = |(name, value): &(&'static str, zeroize::Zeroizing<Vec<u8>>)| serde_json::json!({ "key": name, "value": String::from_utf8_lossy(value) });
    let headers: Vec<_> = introduction.headers.iter().map(header).collect();
    let request = serde_json::json!({ "url": introduction.url, "method": "POST", "headers": headers });
    Ok(Secret::new(percent_encoded(&request.to_string()).into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(json: &str) -> Result<Source, CredentialError> {
        Source::parse(Json::parse(json.as_bytes()).unwrap())
    }

    #[test]
    fn a_source_is_a_file_an_address_or_aws() {
        assert_eq!(parse(r#"{"file":"/token"}"#).unwrap().label(), "the token in /token");
        let url = r#"{"url":"http://169.254.169.254/token?a=b","headers":{"Metadata":"True"},
            "format":{"type":"json","subject_token_field_name":"access_token"}}"#;
        let source = parse(url).unwrap();
        assert_eq!(
            (source.label().as_str(), source.field.as_deref()),
            ("the token from http://169.254.169.254:80", Some("access_token"))
        );
        assert!(parse(r#"{"environment_id":"aws1","region_url":"x"}"#).unwrap().is_aws());
    }

    #[test]
    fn a_program_is_never_started_and_an_odd_source_is_refused() {
        assert_eq!(parse(r#"{"executable":{"command":"/bin/x"}}"#).unwrap_err(), CredentialError::Executable);
        for (json, member) in [
            ("{}", "url"),
            (r#"{"environment_id":"aws2"}"#, "environment_id"),
            (r#"{"file":"/t","format":{"type":"xml"}}"#, "format"),
            (r#"{"file":"/t","format":{"type":"json"}}"#, "subject_token_field_name"),
            (r#"{"url":"https://x","headers":{"a":1}}"#, "headers"),
        ] {
            assert_eq!(parse(json).unwrap_err(), CredentialError::Member(member), "{json}");
        }
    }
}
