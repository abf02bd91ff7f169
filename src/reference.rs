//! Where a secret is: `files:db_password`, `vault:secret/data/db#password`.

use std::fmt;

use crate::name::did_you_mean;

/// The longest reference.
const LONGEST: usize = 2_048;

/// A place of one secret, as `provider:path#key`. It never names a host: where a provider is reached is the
/// operator's setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// What reads it.
    pub scheme: Scheme,
    /// The secret's name or path there.
    pub path: String,
    /// One field of it.
    pub key: Option<String>,
}

/// The provider that a reference names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// A plain variable.
    Environment,
    /// A file in the secrets folder.
    Files,
}

/// Providers whose references come with them.
const LATER: &[&str] = &["aws", "azure", "gcp", "k8s", "vault"];

/// Why a text is no reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotAReference {
    /// Neither text before a colon nor after it.
    Shape,
    /// Control characters, white space, `..`, `//`, a backslash, `@`, `?` or `%` in the path.
    Path,
    /// Longer than 2,048 bytes.
    TooLong,
    /// A provider of a later version.
    NotYet(&'static str),
    /// No provider of that name; a near one, where there is one.
    UnknownProvider(String),
    /// The provider has no fields.
    NoFields,
}

impl Scheme {
    const WORDS: [(&'static str, Self); 2] = [("environment", Self::Environment), ("files", Self::Files)];

    /// How it is written.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::Environment => "environment",
            Self::Files => "files",
        }
    }
}

impl Reference {
    /// Reads a reference.
    pub fn parse(text: &str) -> Result<Self, NotAReference> {
        if text.len() > LONGEST {
            return Err(NotAReference::TooLong);
        }
        let (scheme, rest) = text.split_once(':').ok_or(NotAReference::Shape)?;
        let scheme = parse_scheme(scheme)?;
        let (path, key) = match rest.split_once('#') {
            Some((path, key)) => (path, Some(key)),
            None => (rest, None),
        };
        if path.is_empty() || key.is_some_and(str::is_empty) {
            return Err(NotAReference::Shape);
        }
        check_path(path)?;
        if key.is_some() {
            return Err(NotAReference::NoFields);
        }
        Ok(Self { scheme, path: path.to_owned(), key: None })
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.scheme.text(), self.path)?;
        self.key.iter().try_for_each(|key| write!(formatter, "#{key}"))
    }
}

impl fmt::Display for NotAReference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shape => formatter.write_str("a reference is `provider:path` or `provider:path#key`"),
            Self::Path => formatter.write_str("its path has `..`, `//`, or a character that no path has"),
            Self::TooLong => write!(formatter, "it is longer than {LONGEST} bytes"),
            Self::NotYet(scheme) => write!(formatter, "this version cannot read from `{scheme}`"),
            Self::UnknownProvider(hint) => write!(formatter, "there is no such provider{hint}"),
            Self::NoFields => formatter.write_str("files and variables have no fields: leave `#…` out"),
        }
    }
}

fn parse_scheme(text: &str) -> Result<Scheme, NotAReference> {
    if let Some((_, scheme)) = Scheme::WORDS.iter().find(|(word, _)| *word == text) {
        return Ok(*scheme);
    }
    if let Some(later) = LATER.iter().find(|later| **later == text) {
        return Err(NotAReference::NotYet(later));
    }
    let known = Scheme::WORDS.iter().map(|(word, _)| *word).chain(LATER.iter().copied());
    Err(NotAReference::UnknownProvider(did_you_mean(text, known)))
}

/// A path stays below where it begins, and nothing in it can be taken for a host or a query.
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
    fn a_path_never_leaves_its_folder_and_never_names_a_host() {
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
