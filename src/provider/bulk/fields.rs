//! Extracts a whole secret, or a field of its JSON. A value is parsed as JSON only if a reference names a field, or if
//! the secret's name is the prefix.

use super::{StoreError, Stored};
use crate::provider::json::{Json, Members};
use crate::provider::{Cause, Kind, ProviderError, Reading, Value, Want};
use crate::secret::Secret;

/// The secret has no fields, because it is not a JSON object or contains a duplicate name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoFields;

impl Cause for NoFields {
    fn kind(&self) -> Kind {
        Kind::Invalid
    }

    fn what(&self, place: &str) -> String {
        format!("{place} is not a JSON object with each name once, so it has no fields")
    }

    fn fix(&self) -> String {
        "write a JSON object, or name the secret without a field".into()
    }
}

/// Reads a secret or one of its fields. `None` if the field does not exist or is null.
pub fn value(stored: &Stored, field: Option<&str>, want: Want) -> Result<Option<Reading>, NoFields> {
    let secret = match field {
        None => Some(stored.value.duplicate()),
        Some(field) => field_of(&stored.value, field)?,
    };
    Ok(secret.map(|secret| match want {
        Want::Existence => Reading::Exists,
        Want::Value => Reading::Value(Box::new(Value {
            secret,
            created: stored.created,
            version: stored.version.clone(),
            starts: stored.starts,
            expires: stored.expires,
        })),
    }))
}

/// Reads a whole secret, or returns why it could not be read.
pub fn whole<E: StoreError>(stored: &Result<Stored, E>, want: Want, place: String) -> Reading {
    match stored {
        Ok(stored) => match value(stored, None, want) {
            Ok(reading) => reading.unwrap_or(Reading::Exists),
            Err(error) => Reading::Failed(error.at(place)),
        },
        Err(error) => Reading::Failed(ProviderError::new(place, error.clone())),
    }
}

/// The names of the secret's fields.
pub fn names(secret: &Secret) -> Result<Vec<String>, NoFields> {
    Ok(members(secret)?.into_iter().map(|(name, _)| name).collect())
}

/// Looks up a field by name. If no field has that name and it starts with a slash, it is a JSON pointer (RFC 6901).
fn field_of(secret: &Secret, field: &str) -> Result<Option<Secret>, NoFields> {
    let members = members(secret)?;
    let named = members.iter().find(|(name, _)| name == field).map(|(_, json)| *json);
    let pointed = || Json::parse(secret.expose())?.pointer(field).filter(|_| field.starts_with('/'));
    let json = named.or_else(pointed).filter(|json| !json.is_null());
    json.map(|json| json.value().ok_or(NoFields)).transpose()
}

fn members(secret: &Secret) -> Result<Members<'_>, NoFields> {
    Json::parse(secret.expose()).and_then(Json::members).ok_or(NoFields)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(value: &str) -> Stored {
        let value = Secret::new(value.as_bytes().to_vec());
        Stored { value, version: None, created: None, is_dated: true, starts: None, expires: None }
    }

    fn field(json: &str, name: &str) -> Result<Option<String>, NoFields> {
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
            assert_eq!(field(json, "a"), Err(NoFields), "{json}");
            assert!(matches!(value(&stored(json), None, Want::Value), Ok(Some(Reading::Value(_)))));
        }
    }
}
