//! Extracts the wanted value from a secret: all of it, or a field of its JSON.

use super::api::Stored;
use super::error::AwsError;
use crate::provider::json::{Json, Members};
use crate::provider::{Cause, Kind, ProviderError, Reading, Value, Want};
use crate::secret::Secret;

/// Why a secret yields no value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum SecretError {
    /// The request failed.
    Api(AwsError),
    /// A binary secret does not contain valid Base64.
    NotBase64,
    /// A field is wanted, but the secret is not a JSON object or has duplicate keys.
    NoFields,
    /// The ARN belongs to another region.
    OtherRegion {
        /// The region in the ARN; escaped.
        region: String,
    },
    /// The prefix contains characters that secret names cannot have.
    Scope,
    /// No prefix is configured for the source.
    NoScope,
}

/// A secret's value, or that of a field; `None` if the field is missing or null.
pub(super) fn value(
    stored: &Stored,
    field: Option<&str>,
    want: Want,
) -> Result<Option<Reading>, SecretError> {
    let secret = stored.value.as_ref().ok_or(SecretError::NotBase64)?;
    let secret = match field {
        None => Some(secret.duplicate()),
        Some(field) => field_of(secret, field)?,
    };
    Ok(secret.map(|secret| match want {
        Want::Existence => Reading::Exists,
        Want::Value => {
            let (created, version) = (stored.created, stored.version.clone());
            Reading::Value(Box::new(Value { secret, created, version }))
        }
    }))
}

/// The names of the secret's fields.
pub(super) fn fields(stored: &Stored) -> Result<Vec<String>, SecretError> {
    let secret = stored.value.as_ref().ok_or(SecretError::NotBase64)?;
    Ok(members(secret)?.into_iter().map(|(name, _)| name).collect())
}

/// Finds a field by name; otherwise, if it starts with a slash, by JSON pointer (RFC 6901).
fn field_of(secret: &Secret, field: &str) -> Result<Option<Secret>, SecretError> {
    let members = members(secret)?;
    let named = members.iter().find(|(name, _)| name == field).map(|(_, json)| *json);
    let pointed = || Json::parse(secret.expose())?.pointer(field).filter(|_| field.starts_with('/'));
    let json = named.or_else(pointed).filter(|json| !json.is_null());
    json.map(|json| json.value().ok_or(SecretError::NoFields)).transpose()
}

fn members(secret: &Secret) -> Result<Members<'_>, SecretError> {
    Json::parse(secret.expose()).and_then(Json::members).ok_or(SecretError::NoFields)
}

impl SecretError {
    /// Turns this into a provider's error. `place` must be escaped.
    pub(super) fn at(self, place: impl Into<String>) -> ProviderError {
        ProviderError::new(place, self)
    }
}

impl From<AwsError> for SecretError {
    fn from(error: AwsError) -> Self {
        Self::Api(error)
    }
}

impl Cause for SecretError {
    fn kind(&self) -> Kind {
        match self {
            Self::Api(error) => error.kind(),
            Self::NotBase64 | Self::NoFields => Kind::Invalid,
            Self::OtherRegion { .. } | Self::Scope | Self::NoScope => Kind::Misconfigured,
        }
    }

    fn what(&self, place: &str) -> String {
        match self {
            Self::Api(error) => error.what(place),
            Self::NotBase64 => format!("{place} is binary, but not in Base64"),
            Self::NoFields => {
                format!("{place} is not a JSON object with each name once, so it has no fields")
            }
            Self::OtherRegion { region } => {
                format!("{place} is in the region {region}, which is not the one that is read")
            }
            Self::Scope => {
                format!("`{place}` cannot begin the name of a secret: letters, digits and /_+=.@-")
            }
            Self::NoScope => format!("AWS is selected, but {place} is not set"),
        }
    }

    fn fix(&self) -> String {
        match self {
            Self::Api(error) => error.fix(),
            Self::NotBase64 => "write it again by `put-secret-value --secret-binary`".into(),
            Self::NoFields => "write a JSON object, or name the secret without a field".into(),
            Self::OtherRegion { region } => format!("set AWS_REGION={region}, or name a secret of this region"),
            Self::Scope => "correct AWS_SECRET_PREFIX".into(),
            Self::NoScope => {
                "set it to what the names of the app's secrets begin with, such as app/; in a manifest, `aws_prefix = \
                 \"\"` reads all of the account"
                    .into()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(value: &str) -> Stored {
        let value = Some(Secret::new(value.as_bytes().to_vec()));
        Stored { name: String::new(), arn: String::new(), version: None, created: None, value }
    }

    fn field(json: &str, name: &str) -> Result<Option<String>, SecretError> {
        let reading = value(&stored(json), Some(name), Want::Value)?;
        Ok(reading.map(|reading| match reading {
            Reading::Value(value) => String::from_utf8(value.secret.expose().to_vec()).unwrap(),
            other => panic!("{other:?}"),
        }))
    }

    #[test]
    fn a_field_is_named_or_pointed_to() {
        let json = r#"{"a":"x & y","n":5,"o":{"b":[1, "z"]},"/a":"slash","null":null}"#;
        let of = |name| field(json, name).unwrap();
        assert_eq!((of("a").as_deref(), of("n").as_deref()), (Some("x & y"), Some("5")));
        assert_eq!((of("/o/b/1").as_deref(), of("/a").as_deref()), (Some("z"), Some("slash")));
        assert_eq!(of("o").as_deref(), Some(r#"{"b":[1,"z"]}"#));
        assert_eq!((of("null"), of("none"), of("o/b")), (None, None, None));
    }

    #[test]
    fn a_value_without_fields_is_never_taken_apart() {
        for json in ["text", "123456", "true", "[1]", r#""x""#, r#"{"a":1,"a":2}"#, ""] {
            assert_eq!(field(json, "a"), Err(SecretError::NoFields), "{json}");
            assert!(matches!(value(&stored(json), None, Want::Value), Ok(Some(Reading::Value(_)))));
        }
    }
}
