//! A Secret as the API returns it. Source: "Secret v1 core", Kubernetes API reference.

use std::time::{Duration, SystemTime};

use base64ct::{Base64, Encoding as _};
use jiff::Timestamp;

use super::cluster::is_key;
use super::error::{KubernetesError, Nonsense};
use crate::provider::json::Json;
use crate::secret::Secret as Bytes;

/// A Secret.
#[derive(Debug)]
pub struct Secret {
    /// Its keys and values. `None` is a value that is not valid Base64.
    pub data: Vec<(String, Option<Bytes>)>,
    /// `resourceVersion`, which changes with every modification.
    pub version: Option<String>,
    /// The last time that `data` was written; `None` if the API does not show that.
    pub created: Option<SystemTime>,
}

impl Secret {
    /// Parses a response, which must be about this Secret.
    pub fn parse(reply: &[u8], namespace: &str, name: &str) -> Result<Self, KubernetesError> {
        let json = Json::parse(reply).ok_or(KubernetesError::Nonsense(Nonsense::NotJson))?;
        let text = |path: &[&str]| json.at(path).and_then(Json::text);
        let is_same = text(&["kind"]).as_deref() == Some("Secret")
            && text(&["metadata", "name"]).as_deref() == Some(name)
            && text(&["metadata", "namespace"]).as_deref() == Some(namespace);
        if !is_same {
            return Err(KubernetesError::Nonsense(Nonsense::OtherSecret));
        }
        // A Secret without keys has no member `data`.
        let members = match json.at(&["data"]).filter(|data| !data.is_null()) {
            None => Vec::new(),
            Some(data) => data.members().ok_or(KubernetesError::member("data"))?,
        };
        let value = |(key, value): (String, Json<'_>)| {
            if !is_key(&key) {
                return Err(KubernetesError::member("data"));
            }
            let encoded = value.secret().ok_or(KubernetesError::member("data"))?;
            let text = std::str::from_utf8(encoded.expose()).unwrap_or_default();
            Ok((key, Base64::decode_vec(text).ok().map(Bytes::new)))
        };
        Ok(Self {
            data: members.into_iter().map(value).collect::<Result<_, _>>()?,
            version: text(&["metadata", "resourceVersion"]),
            created: written(json),
        })
    }

    /// The names of its keys.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.data.iter().map(|(key, _)| key.as_str())
    }
}

/// When a manager last wrote `data`. An immutable Secret without that is as old as it is.
fn written(json: Json<'_>) -> Option<SystemTime> {
    let managers = json.at(&["metadata", "managedFields"]).and_then(Json::elements).unwrap_or_default();
    let of_data = managers.into_iter().filter(|manager| manager.at(&["fieldsV1", "f:data"]).is_some());
    let latest = of_data.filter_map(|manager| moment(manager.at(&["time"])?)).max();
    let is_immutable = json.at(&["immutable"]).and_then(Json::boolean) == Some(true);
    latest.or_else(|| is_immutable.then(|| moment(json.at(&["metadata", "creationTimestamp"])?)).flatten())
}

fn moment(json: Json<'_>) -> Option<SystemTime> {
    let seconds = json.text()?.parse::<Timestamp>().ok()?.as_second();
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(u64::try_from(seconds).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(more: &str) -> Result<Secret, KubernetesError> {
        let metadata = r#""metadata":{"name":"app","namespace":"prod","resourceVersion":"7","creationTimestamp":"2026-01-01T00:00:00Z","managedFields":[
            {"time":"2026-03-01T00:00:00Z","fieldsV1":{"f:metadata":{}}},
            {"time":"2026-02-01T00:00:00Z","fieldsV1":{"f:data":{"f:a":{}}}}]}"#;
        let json = format!(r#"{{"kind":"Secret","apiVersion":"v1",{metadata}{more}}}"#);
        Secret::parse(json.as_bytes(), "prod", "app")
    }

    #[test]
    fn values_are_bytes_and_a_secret_may_have_none() {
        let secret = parse(r#","data":{"tls.crt":"AP8=","empty":"","odd":"A!"}"#).unwrap();
        let value = |at: usize| secret.data[at].1.as_ref().map(|value| value.expose().to_vec());
        assert_eq!((value(0), value(1), value(2)), (Some(vec![0, 255]), Some(Vec::new()), None));
        assert_eq!(secret.version.as_deref(), Some("7"));
        assert!(parse("").unwrap().data.is_empty() && parse(r#","data":null"#).unwrap().data.is_empty());
        for odd in
            [r#","data":[]"#, r#","data":{"a":1}"#, r#","data":{"a":"","a":""}"#, r#","data":{"../a":""}"#]
        {
            assert_eq!(parse(odd).unwrap_err(), KubernetesError::member("data"), "{odd}");
        }
    }

    #[test]
    fn the_age_is_that_of_the_data_and_not_of_a_label() {
        let february = "2026-02-01T00:00:00Z".parse::<Timestamp>().unwrap().as_second();
        let created = parse("").unwrap().created.unwrap().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        assert_eq!(created.as_secs(), u64::try_from(february).unwrap());
        let bare = |more: &str| {
            let json = format!(
                r#"{{"kind":"Secret","metadata":{{"name":"app","namespace":"prod","creationTimestamp":"2026-01-01T00:00:00Z"}}{more}}}"#
            );
            Secret::parse(json.as_bytes(), "prod", "app").unwrap().created
        };
        assert!(bare("").is_none() && bare(r#","immutable":true"#).is_some());
    }

    #[test]
    fn d19_an_answer_about_another_secret_is_nonsense() {
        let other = KubernetesError::Nonsense(Nonsense::OtherSecret);
        for json in [
            r#"{"kind":"Secret","metadata":{"name":"other","namespace":"prod"}}"#,
            r#"{"kind":"Secret","metadata":{"name":"app","namespace":"other"}}"#,
            r#"{"kind":"ConfigMap","metadata":{"name":"app","namespace":"prod"}}"#,
            "{}",
        ] {
            assert_eq!(Secret::parse(json.as_bytes(), "prod", "app").unwrap_err(), other, "{json}");
        }
        assert!(Secret::parse(b"<html>", "prod", "app").is_err());
    }
}
