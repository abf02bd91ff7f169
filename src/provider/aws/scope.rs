//! The part of an account's secrets that names are looked for in: those whose names begin with a prefix.

use crate::name::EnvName;

/// What may stand between a prefix and the rest of a name.
const SEPARATORS: [char; 4] = ['/', '-', '_', '.'];

/// A prefix. An empty one is all secrets of the account, which a manifest can ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope(String);

/// What a secret is to a scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place<'a> {
    /// Its name is the prefix itself: each of its fields is a secret.
    Fields,
    /// It is one secret, which maps to a name by this part of its own.
    Whole(&'a str),
}

impl Scope {
    /// `None` for a text that cannot begin a name; AWS would take `!` for the opposite.
    #[must_use]
    pub fn new(prefix: &str) -> Option<Self> {
        let is_legal = |byte: u8| byte.is_ascii_alphanumeric() || b"/_+=.@-".contains(&byte);
        (prefix.len() <= 512 && prefix.bytes().all(is_legal)).then(|| Self(prefix.to_owned()))
    }

    /// The prefix.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.0
    }

    /// What a secret is to this scope; `None` if it is outside. Prefixes end at a boundary, and upper and lower case
    /// differ, whatever the service's own filter does.
    #[must_use]
    pub fn place<'a>(&self, secret: &'a str) -> Option<Place<'a>> {
        let rest = secret.strip_prefix(&self.0)?;
        if rest.is_empty() {
            return Some(Place::Fields);
        }
        let rest = if self.ends_at_boundary() { rest } else { rest.strip_prefix(SEPARATORS)? };
        (!rest.is_empty()).then_some(Place::Whole(rest))
    }

    /// What a secret of this name may be called, where the secrets cannot be listed.
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

/// The name that a part of a secret's own name, or a field, stands for.
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
