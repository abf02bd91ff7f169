//! The part of a store that is searched for names: the secrets whose own names start with a prefix.

use super::Words;
use crate::escape::escaped;
use crate::name::EnvName;
use crate::provider::{Cause, Kind, Names, ProviderError};

/// The characters that separate a prefix from the rest of a name.
const SEPARATORS: [char; 4] = ['/', '-', '_', '.'];

/// A prefix, and the store's rules for names. An empty prefix stands for the whole store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    prefix: String,
    spelling: Spelling,
}

/// A store's rules for the names of secrets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spelling {
    /// AWS: letters, digits and `/_+=.@-`, at most 512.
    Aws,
    /// Azure: letters, digits and `-`, at most 127; not case-sensitive.
    Azure,
    /// Google: letters, digits, `-` and `_`, at most 255.
    Google,
}

/// How a secret relates to a scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place<'a> {
    /// Its name is the prefix itself: each of its fields maps to a name.
    Fields,
    /// The whole secret maps to one name, which is derived from this part of its own.
    Whole(&'a str),
}

impl Spelling {
    /// The characters allowed besides letters and digits, and the maximum length.
    const fn facts(self) -> (&'static str, usize) {
        match self {
            Self::Aws => ("/_+=.@-", 512),
            Self::Azure => ("-", 127),
            Self::Google => ("_-", 255),
        }
    }

    /// A description of the rules, for messages.
    #[must_use]
    pub fn legal(self) -> String {
        let (marks, longest) = self.facts();
        format!("letters, digits and {marks}, at most {longest}")
    }

    /// Whether a name can start with this text.
    #[must_use]
    pub fn is_legal(self, text: &str) -> bool {
        let (marks, longest) = self.facts();
        let is_legal = |byte: u8| byte.is_ascii_alphanumeric() || marks.as_bytes().contains(&byte);
        text.len() <= longest && text.bytes().all(is_legal)
    }

    /// The ways in which this store may spell a variable name.
    fn spellings(self, name: &str) -> Vec<String> {
        match self {
            Self::Aws => vec![name.to_owned(), name.to_ascii_lowercase()],
            Self::Azure => vec![name.replace('_', "-")],
            Self::Google => {
                let cases = [name.to_owned(), name.to_ascii_lowercase()];
                let hyphens = cases.each_ref().map(|name| name.replace('_', "-"));
                // Names without `_` are spelled alike in both.
                if cases == hyphens { cases.to_vec() } else { [cases, hyphens].concat() }
            }
        }
    }
}

impl Scope {
    /// The scope to search for these names. `None` if there is nothing to search for: every secret has a reference, and
    /// undeclared secrets are not requested, or no prefix is set that would find them.
    pub fn of(
        prefix: Option<&str>,
        spelling: Spelling,
        names: &Names,
        words: Words,
    ) -> Result<Option<Self>, ProviderError> {
        let is_needless = names.wanted().next().is_none();
        match prefix {
            None if is_needless => Ok(None),
            None => Err(ProviderError::new(words.prefix, ScopeError::Missing(words))),
            Some(_) if is_needless && !names.undeclared => Ok(None),
            Some(prefix) => {
                let illegal = || ProviderError::new(escaped(prefix), ScopeError::Illegal(spelling, words));
                Self::new(prefix, spelling).map(Some).ok_or_else(illegal)
            }
        }
    }

    /// `None` if no name can start with the prefix. AWS would interpret a leading `!` as a negation.
    #[must_use]
    pub fn new(prefix: &str, spelling: Spelling) -> Option<Self> {
        spelling.is_legal(prefix).then(|| Self { prefix: prefix.to_owned(), spelling })
    }

    /// Empty for the whole store.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// How a secret relates to this scope; `None` if it is outside. A prefix ends at a separator and is case-sensitive,
    /// even if the store's own filter is not.
    #[must_use]
    pub fn place<'a>(&self, secret: &'a str) -> Option<Place<'a>> {
        let rest = secret.strip_prefix(&self.prefix)?;
        if rest.is_empty() {
            return Some(Place::Fields);
        }
        let rest = if self.ends_at_boundary() { rest } else { rest.strip_prefix(SEPARATORS)? };
        (!rest.is_empty()).then_some(Place::Whole(rest))
    }

    /// The possible names of the secret that holds `name`, for stores that deny listing.
    #[must_use]
    pub fn guesses(&self, name: &str) -> Vec<String> {
        let spellings = self.spelling.spellings(name);
        let separators: &[&str] = if self.ends_at_boundary() { &[""] } else { &["/", "-", "_", "."] };
        let spell = |separator: &str| {
            let spell = |name: &String| [&self.prefix, separator, name].concat();
            spellings.iter().map(spell).collect::<Vec<_>>()
        };
        let legal = separators.iter().copied().filter(|separator| self.spelling.is_legal(separator));
        legal.flat_map(spell).collect()
    }

    fn ends_at_boundary(&self) -> bool {
        self.prefix.is_empty() || self.prefix.ends_with(SEPARATORS)
    }
}

/// Why a store cannot be searched for names.
#[derive(Debug, Clone, Copy)]
pub enum ScopeError {
    /// No prefix is set. Reading the whole store requires an explicit empty prefix.
    Missing(Words),
    /// No name can start with the prefix.
    Illegal(Spelling, Words),
}

impl Cause for ScopeError {
    fn kind(&self) -> Kind {
        Kind::Misconfigured
    }

    fn what(&self, place: &str) -> String {
        match self {
            Self::Missing(words) => format!("{} is selected, but {place} is not set", words.store),
            Self::Illegal(spelling, _) => {
                format!("`{place}` cannot begin the name of a secret: {}", spelling.legal())
            }
        }
    }

    fn fix(&self) -> String {
        match self {
            Self::Missing(words) => format!(
                "set it to what the names of the app's secrets begin with; in a manifest, `{} = \"\"` reads all of them",
                words.key
            ),
            Self::Illegal(_, words) => format!("correct {}", words.prefix),
        }
    }
}

/// The variable name that a field, or a part of a secret's own name, maps to; `None` if that is no legal name.
#[must_use]
pub fn name_of(part: &str) -> Option<String> {
    EnvName::from_key(part, "").ok().map(|name| name.as_str().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place<'a>(prefix: &str, secret: &'a str) -> Option<Place<'a>> {
        Scope::new(prefix, Spelling::Aws).unwrap().place(secret)
    }

    #[test]
    fn a_prefix_ends_at_a_boundary_and_knows_upper_from_lower_case() {
        for secret in ["app/X", "app-X", "app_X", "app.X"] {
            assert_eq!(place("app", secret), Some(Place::Whole("X")), "{secret}");
        }
        for secret in ["application/X", "App/X", "x/app/X", "ap", "app/"] {
            assert_eq!(place("app", secret), None, "{secret}");
        }
        assert_eq!(place("app/", "app/db/password"), Some(Place::Whole("db/password")));
        assert_eq!(place("app", "app-prod/X"), Some(Place::Whole("prod/X")));
        assert_eq!(place("", "X"), Some(Place::Whole("X")));
        assert_eq!(place("app", "app"), Some(Place::Fields));
    }

    #[test]
    fn b14_a_prefix_that_no_name_can_begin_with_is_none() {
        for prefix in ["!app", "app*", "ä"] {
            assert!(Scope::new(prefix, Spelling::Aws).is_none(), "{prefix}");
        }
        assert!(
            Scope::new("app/", Spelling::Google).is_none() && Scope::new("app_", Spelling::Google).is_some()
        );
        assert!(!Spelling::Azure.is_legal("DB_PASSWORD") && Spelling::Azure.is_legal("DB-PASSWORD"));
        assert!(!Spelling::Azure.is_legal(&"a".repeat(128)) && Spelling::Azure.is_legal(&"a".repeat(127)));
    }

    #[test]
    fn guesses_are_within_the_scope_and_legal() {
        for (prefix, spelling) in [
            ("app", Spelling::Aws),
            ("app/", Spelling::Aws),
            ("app", Spelling::Google),
            ("", Spelling::Google),
            ("", Spelling::Azure),
        ] {
            let scope = Scope::new(prefix, spelling).unwrap();
            let guesses = scope.guesses("DB_PASSWORD");
            assert!(
                !guesses.is_empty() && guesses.iter().all(|guess| spelling.is_legal(guess)),
                "{guesses:?}"
            );
            let names = guesses.iter().map(|guess| match scope.place(guess).unwrap() {
                Place::Whole(part) => name_of(part).unwrap(),
                Place::Fields => unreachable!(),
            });
            assert!(names.into_iter().all(|name| name == "DB_PASSWORD"), "{guesses:?}");
        }
        let guesses = |prefix, spelling| Scope::new(prefix, spelling).unwrap().guesses("A_B");
        assert_eq!(guesses("app/", Spelling::Aws), ["app/A_B", "app/a_b"]);
        assert_eq!(guesses("", Spelling::Azure), ["A-B"]);
        let google = guesses("app_", Spelling::Google);
        assert_eq!(google, ["app_A_B", "app_a_b", "app_A-B", "app_a-b"]);
    }
}
