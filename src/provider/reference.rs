//! Where a secret is: `files:db_password`, `vault:secret/data/db#password`.

use std::fmt;

use super::{Key, Source};
use crate::suggest::did_you_mean;

const LONGEST: usize = 2_048;

/// The location of one secret, as `provider:path#field`. It never names a host: the operator configures how a provider
/// is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    pub source: Source,
    pub key: Key,
}

/// Why a text is not a reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotAReference {
    /// It lacks a colon, or text before or after it.
    Shape,
    /// Control characters, white space, `..`, `//`, a backslash, `@`, `?` or `%` in the path.
    Path,
    TooLong,
    /// The provider is not implemented yet.
    NotYet(&'static str),
    /// With `; did you mean X?`, or nothing.
    UnknownProvider(String),
    NoFields,
}

impl Reference {
    pub fn parse(text: &str) -> Result<Self, NotAReference> {
        if text.len() > LONGEST {
            return Err(NotAReference::TooLong);
        }
        let (word, rest) = text.split_once(':').ok_or(NotAReference::Shape)?;
        let source = parse_source(word)?;
        let (path, field) = match rest.split_once('#') {
            Some((path, field)) => (path, Some(field)),
            None => (rest, None),
        };
        if path.is_empty() || field.is_some_and(str::is_empty) {
            return Err(NotAReference::Shape);
        }
        check_path(path)?;
        if field.is_some() && !source.is_remote() {
            return Err(NotAReference::NoFields);
        }
        Ok(Self { source, key: Key { path: path.to_owned(), field: field.map(str::to_owned) } })
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.source.word(), self.key.path)?;
        self.key.field.iter().try_for_each(|field| write!(formatter, "#{field}"))
    }
}

impl fmt::Display for NotAReference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shape => formatter.write_str("a reference is `provider:path` or `provider:path#field`"),
            Self::Path => {
                formatter.write_str("its path contains `..`, `//`, or a character that is not allowed")
            }
            Self::TooLong => write!(formatter, "it is longer than {LONGEST} bytes"),
            Self::NotYet(word) => write!(formatter, "cryokey cannot read from `{word}` yet"),
            Self::UnknownProvider(hint) => write!(formatter, "unknown provider{hint}"),
            Self::NoFields => formatter.write_str("files and variables have no fields: remove `#…`"),
        }
    }
}

fn parse_source(text: &str) -> Result<Source, NotAReference> {
    let known = || Source::ALL.into_iter().filter(|source| !source.word().is_empty());
    match known().find(|source| source.word() == text) {
        Some(source) if source.is_remote() => Err(NotAReference::NotYet(source.word())),
        Some(source) => Ok(source),
        None => Err(NotAReference::UnknownProvider(did_you_mean(text, known().map(Source::word)))),
    }
}

/// A path must stay below its root, and nothing in it may look like a host or a query.
fn check_path(path: &str) -> Result<(), NotAReference> {
    let is_foreign = |character: char| {
        character.is_control() || character.is_whitespace() || matches!(character, '\\' | '@' | '?' | '%')
    };
    let bad_part = path.split('/').any(|part| part.is_empty() || part == "." || part == "..");
    if bad_part || path.contains(is_foreign) { Err(NotAReference::Path) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_is_written_as_it_is_read() {
        for text in ["files:db_password", "environment:DB", "files:kubernetes.io/token"] {
            assert_eq!(Reference::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_path_never_leaves_its_root_and_never_names_a_host() {
        for path in [
            "../x",
            "a/../b",
            "/etc/shadow",
            "a//b",
            "a\\b",
            "%2e%2e/x",
            "//evil/x",
            "u@h/x",
            "x?y",
            "a\0",
            "",
        ] {
            assert!(Reference::parse(&format!("files:{path}")).is_err(), "{path:?}");
        }
    }

    #[test]
    fn a_reference_has_at_most_2048_bytes() {
        let of = |length: usize| Reference::parse(&format!("files:{}", "a".repeat(length - "files:".len())));
        assert!(of(2_048).is_ok());
        assert_eq!(of(2_049), Err(NotAReference::TooLong));
    }

    #[test]
    fn neither_path_nor_field_is_empty() {
        assert_eq!(Reference::parse("files:"), Err(NotAReference::Shape));
        assert_eq!(Reference::parse("files:a#"), Err(NotAReference::Shape));
        assert_eq!(Reference::parse("files:a#b"), Err(NotAReference::NoFields));
    }

    #[test]
    fn a_misspelt_provider_is_never_taken_for_text() {
        let why = Reference::parse("valut:a#b").unwrap_err().to_string();
        assert!(why.contains("did you mean `vault`"), "{why}");
        assert!(Reference::parse("vault:a#b").unwrap_err().to_string().contains("vault"));
    }
}
