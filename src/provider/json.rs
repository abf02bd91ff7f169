//! JSON that holds values. It stays where it was received, in a buffer that is wiped, and is looked at in place: no
//! tree of copies is built. What remains unwiped: a string with escapes passes through a buffer of the parser, and the
//! names of members are plain text, since they are shown.

use std::borrow::Cow;
use std::fmt;

use serde::Deserializer as _;
use serde::de::{Error as _, MapAccess, Visitor};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use crate::secret::Secret;

/// A JSON value: its text, which is known to be JSON.
#[derive(Clone, Copy)]
pub struct Json<'a>(&'a str);

/// The members of an object, in their order.
pub type Members<'a> = Vec<(String, Json<'a>)>;

impl<'a> Json<'a> {
    /// Reads a body: one JSON value and nothing after it.
    #[must_use]
    pub fn parse(body: &'a [u8]) -> Option<Self> {
        serde_json::from_slice::<&RawValue>(body).ok().map(|raw| Self(raw.get()))
    }

    /// The members of an object; `None` for anything else, and for one that has a name twice.
    #[must_use]
    pub fn members(self) -> Option<Members<'a>> {
        let mut parser = serde_json::Deserializer::from_str(self.0);
        parser.deserialize_map(Object).ok()
    }

    /// What is behind a path of names; `None` where one of them is missing or is not an object's.
    #[must_use]
    pub fn at(self, names: &[&str]) -> Option<Self> {
        names.iter().try_fold(self, |json, name| {
            json.members()?.into_iter().find_map(|(other, json)| (other == *name).then_some(json))
        })
    }

    /// The elements of an array; `None` for anything else.
    #[must_use]
    pub fn elements(self) -> Option<Vec<Self>> {
        let elements: Vec<&'a RawValue> = serde_json::from_str(self.0).ok()?;
        Some(elements.into_iter().map(|raw| Self(raw.get())).collect())
    }

    /// A string that is a secret.
    #[must_use]
    pub fn secret(self) -> Option<Secret> {
        self.string().map(|text| Secret::new(text.as_bytes().to_vec()))
    }

    /// A string that is none.
    #[must_use]
    pub fn text(self) -> Option<String> {
        serde_json::from_str(self.0).ok()
    }

    fn string(self) -> Option<Zeroizing<String>> {
        let Borrowed(text) = serde_json::from_str(self.0).ok()?;
        Some(Zeroizing::new(text.into_owned()))
    }

    /// A whole number.
    #[must_use]
    pub fn integer(self) -> Option<u64> {
        serde_json::from_str(self.0).ok()
    }

    /// A number, as far as its digits fit.
    #[must_use]
    pub fn number(self) -> Option<f64> {
        serde_json::from_str(self.0).ok()
    }

    /// What a JSON pointer leads to, such as `/users/0/password` (RFC 6901).
    #[must_use]
    pub fn pointer(self, pointer: &str) -> Option<Self> {
        pointer.split('/').skip(1).try_fold(self, |json, token| {
            let name = token.replace("~1", "/").replace("~0", "~");
            let element = || json.elements()?.into_iter().nth(index(&name)?);
            json.at(&[&name]).or_else(element)
        })
    }

    /// A value as the app gets it: the text of a string, and everything else as compact JSON. `None` for a string that no
    /// text can be, such as half of a surrogate pair.
    #[must_use]
    pub fn value(self) -> Option<Secret> {
        if self.is_string() { self.secret() } else { Some(self.compact()) }
    }

    /// true or false.
    #[must_use]
    pub fn boolean(self) -> Option<bool> {
        serde_json::from_str(self.0).ok()
    }

    /// Whether it is `null`.
    #[must_use]
    pub fn is_null(self) -> bool {
        self.0 == "null"
    }

    /// Whether it is a string.
    #[must_use]
    pub fn is_string(self) -> bool {
        self.0.starts_with('"')
    }

    /// The text as it was sent, without the white space between its parts: numbers keep all their digits.
    #[must_use]
    pub fn compact(self) -> Secret {
        let mut is_inside = false;
        let mut is_escaped = false;
        let mut compact = Vec::with_capacity(self.0.len());
        for byte in self.0.bytes() {
            if is_inside || !byte.is_ascii_whitespace() {
                compact.push(byte);
            }
            is_inside ^= byte == b'"' && !is_escaped;
            is_escaped = byte == b'\\' && !is_escaped;
        }
        Secret::new(compact)
    }
}

/// An array index: digits without a sign or a leading zero (RFC 6901 §4).
fn index(token: &str) -> Option<usize> {
    let is_index = token == "0" || token.starts_with(|first: char| matches!(first, '1'..='9'));
    token.parse().ok().filter(|_| is_index)
}

impl fmt::Debug for Json<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Json(hidden)")
    }
}

/// A string that is copied only where it has escapes.
#[derive(serde::Deserialize)]
struct Borrowed<'a>(#[serde(borrow)] Cow<'a, str>);

/// Collects the members of an object, each name once.
struct Object;

impl<'a> Visitor<'a> for Object {
    type Value = Members<'a>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut access: A) -> Result<Members<'a>, A::Error> {
        let mut members = Members::new();
        let mut names = std::collections::HashSet::new();
        while let Some((name, raw)) = access.next_entry::<String, &'a RawValue>()? {
            if !names.insert(name.clone()) {
                return Err(A::Error::custom("a name twice"));
            }
            members.push((name, Json(raw.get())));
        }
        Ok(members)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> Json<'_> {
        Json::parse(text.as_bytes()).unwrap()
    }

    fn shown(secret: Option<Secret>) -> String {
        String::from_utf8(secret.unwrap().expose().to_vec()).unwrap()
    }

    #[test]
    fn d16_what_is_not_one_json_value_is_refused() {
        let deep = "[".repeat(100_000);
        for text in ["", " ", "<html>", "{", "{\"a\":1", "{\"a\":1}}", "nul", "01", "\"a", &deep] {
            assert!(Json::parse(text.as_bytes()).is_none(), "{text:.20}");
        }
        assert!(Json::parse(b"\"\xff\"").is_none());
    }

    #[test]
    fn a_pointer_leads_through_objects_and_arrays() {
        let text = r#"{"users":[{"name":"a"},{"name":"b","x/y":{"~":1}}],"":2,"0":3}"#;
        let at = |pointer| json(text).pointer(pointer).map(Json::compact);
        let shown = |pointer| shown(at(pointer));
        assert_eq!(shown("/users/1/name"), r#""b""#);
        assert_eq!(shown("/users/1/x~1y/~0"), "1");
        assert_eq!((shown("/"), shown("/0")), ("2".to_owned(), "3".to_owned()));
        for pointer in
            ["/users/2", "/users/x", "/users/-1", "/users/+1", "/users/01", "/none", "/users/0/name/a"]
        {
            assert!(at(pointer).is_none(), "{pointer}");
        }
    }

    #[test]
    fn a26_an_object_with_a_name_twice_has_no_members() {
        assert!(json(r#"{"a":1,"b":2,"a":3}"#).members().is_none());
        assert!(json(r#"{"a":1,"\u0061":3}"#).at(&["a"]).is_none());
    }

    #[test]
    fn members_of_what_is_no_object_do_not_exist() {
        for text in ["null", "1", "\"{}\"", "[{}]"] {
            assert!(json(text).members().is_none() && json(text).at(&["a"]).is_none(), "{text}");
        }
        assert!(json("{}").members().unwrap().is_empty());
    }

    #[test]
    fn a22_a_string_is_decoded_once() {
        let text = json(r#" {"a" : "&<>\"\\n\u0026\u0000\ud83d\ude00\/"} "#).at(&["a"]).unwrap();
        assert_eq!(shown(text.secret()), "&<>\"\\n&\0😀/");
        for text in [r#""\ud800""#, "1", "null", "{}"] {
            assert!(json(text).secret().is_none(), "{text}");
        }
    }

    #[test]
    fn a23_numbers_keep_all_their_digits() {
        for text in ["1e400", "12345678901234567890", "-0.10", "true"] {
            assert_eq!(shown(Some(json(text).compact())), text);
        }
        assert_eq!(json("1e400").integer(), None);
        assert_eq!(json("7").integer(), Some(7));
    }

    #[test]
    fn objects_and_arrays_lose_the_white_space_between_their_parts_only() {
        let text = "{ \"a b\" : [ 1.0 , \"x \\\" y\\\\\" , { } ] ,\n\t\"c\" : null }";
        assert_eq!(shown(Some(json(text).compact())), r#"{"a b":[1.0,"x \" y\\",{}],"c":null}"#);
    }

    #[test]
    fn debug_shows_nothing() {
        assert!(!format!("{:?}", json("\"canary\"")).contains("canary"));
    }
}
