//! The scope of a search for names: the secrets whose names start with a prefix.

use crate::name::EnvName;

/// The characters that separate a prefix from the rest of a name.
const SEPARATORS: [char; 4] = ['/', '-', '_', '.'];

/// A prefix. The empty prefix covers all secrets of the account; a manifest must ask for it explicitly.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope(String);

/// How a secret relates to a scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place<'a> {
    /// Its name equals the prefix, so each of its fields is a secret of the app.
    Fields,
    /// It is a single secret of the app, named by this part after the prefix.
    Whole(&'a str),
}

impl Scope {
    /// `None` if the text contains characters that secret names cannot have. AWS's filter would interpret a leading
    /// `!` as negation.
    #[must_use]
    pub fn new(prefix: &str) -> Option<Self> {
        let is_legal = |byte: u8| byte.is_ascii_alphanumeric() || b"/_+=.@-".contains(&byte);
        (prefix.len() <= 512 && prefix.bytes().all(is_legal)).then(|| Self(prefix.to_owned()))
    }

    /// The prefix as a string.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.0
    }

    /// Classifies a secret; `None` if it is outside of the scope. The match is case-sensitive and ends at a
    /// separator, whatever the service's own filter does.
    #[must_use]
    pub fn place<'a>(&self, secret: &'a str) -> Option<Place<'a>> {
        let rest = secret.strip_prefix(&self.0)?;
        if rest.is_empty() {
            return Some(Place::Fields);
        }
        let rest = if self.ends_at_boundary() { rest } else { rest.strip_prefix(SEPARATORS)? };
        (!rest.is_empty()).then_some(Place::Whole(rest))
    }

    /// The secret names to try for a name if listing is denied.
    #[must_use]
    pub fn guesses(&self, name: &str) -> Vec<String> {
        let separators: &[&str] = if self.ends_at_boundary() { &[""] } else { &["/", "-", "_", "."] };
        let spellings = [name.to_owned(), name.to_ascii_lowercase()];
        let spell = |separator: &&str| {
            spellings.iter().map(move |name| [&self.0, *separator, name].concat()).collect()
        };
        let guesses: Vec<Vec<String>> = separators.iter().map(spell).collect();
        guesses.concat()
    }

    fn ends_at_boundary(&self) -> bool {
        self.0.is_empty() || self.0.ends_with(SEPARATORS)
    }
}

/// The name that a part of a secret's name, or a field, maps to.
#[must_use]
pub fn name_of(part: &str) -> Option<String> {
    EnvName::from_key(part, "").ok().map(|name| name.as_str().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place<'a>(prefix: &str, secret: &'a str) -> Option<Place<'a>> {
        Scope::new(prefix).unwrap().place(secret)
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
    fn a_prefix_that_aws_would_negate_is_none() {
        assert!(Scope::new("!app").is_none() && Scope::new("app*").is_none() && Scope::new("ä").is_none());
    }

    #[test]
    fn guesses_are_within_the_scope() {
        for prefix in ["app", "app/", ""] {
            let scope = Scope::new(prefix).unwrap();
            let guesses = scope.guesses("DB_PASSWORD");
            let names = guesses.iter().map(|guess| match scope.place(guess).unwrap() {
                Place::Whole(part) => name_of(part).unwrap(),
                Place::Fields => unreachable!(),
            });
            assert!(names.into_iter().all(|name| name == "DB_PASSWORD"), "{guesses:?}");
        }
        assert_eq!(Scope::new("app/").unwrap().guesses("A"), ["app/A", "app/a"]);
    }
}
