//! The path of a secret, as the operator wrote it.

/// A path such as `secret/app` or `secret/data/app`, without leading or trailing slashes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SecretPath(String);

impl SecretPath {
    /// Parses a path: at least a mount and a name, without `.`, `..`, empty segments, or characters that could start
    /// a query.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let path = text.trim_matches(|end: char| end == '/' || end.is_whitespace());
        let is_foreign = |character: char| character.is_control() || matches!(character, '?' | '#' | '\\');
        let is_bad = |part: &str| matches!(part, "" | "." | "..");
        let is_valid = path.contains('/') && !path.split('/').any(is_bad) && !path.contains(is_foreign);
        is_valid.then(|| Self(path.to_owned()))
    }

    /// The path as written, without surrounding slashes.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first segment, which usually is the mount.
    #[must_use]
    pub fn first(&self) -> &str {
        self.0.split('/').next().unwrap_or_default()
    }

    /// Whether it has the form of the KV version 2 API, with `data` between mount and name.
    #[must_use]
    pub fn has_data(&self) -> bool {
        let inner = self.0.split_once('/').map_or("", |(_, rest)| rest);
        inner.starts_with("data/") || inner.contains("/data/")
    }

    /// The most likely API path in KV version 2, assuming that the mount is the first segment.
    #[must_use]
    pub fn guess(&self) -> String {
        if self.has_data() { self.0.clone() } else { self.below(self.first(), "data") }
    }

    /// The API path in KV version 2, with `data` or `metadata` as `part`.
    #[must_use]
    pub fn below(&self, mount: &str, part: &str) -> String {
        let rest = self.0.strip_prefix(mount).unwrap_or(&self.0).trim_start_matches('/');
        format!("{mount}/{part}/{}", rest.strip_prefix("data/").unwrap_or(rest))
    }

    /// Whether it is inside the mount.
    #[must_use]
    pub fn is_in(&self, mount: &str) -> bool {
        self.0.strip_prefix(mount).is_some_and(|rest| rest.starts_with('/'))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn path(text: &str) -> SecretPath {
        SecretPath::parse(text).unwrap()
    }

    #[test]
    fn b15_a_path_with_and_without_data_leads_to_the_same_place() {
        assert_eq!(path("secret/app/db").guess(), "secret/data/app/db");
        assert_eq!(path("secret/data/app/db").guess(), "secret/data/app/db");
        assert_eq!(path("/apps/kv/data/x/").guess(), "apps/kv/data/x");
        assert_eq!(path("apps/kv/x").below("apps/kv", "data"), "apps/kv/data/x");
        assert_eq!(path("apps/kv/data/x").below("apps/kv", "metadata"), "apps/kv/metadata/x");
    }

    #[test]
    fn data_counts_only_between_a_mount_and_a_name() {
        for text in ["data/app", "secret/data", "secret/database/x", "secret/mydata/x"] {
            assert!(!path(text).has_data(), "{text}");
        }
    }

    #[test]
    fn b09_a_path_that_leads_elsewhere_is_refused() {
        for text in
            ["", "/", "secret", "a/../b", "a//b", "a/./b", "a/b?list=true", "a/b#c", "a\\b/c", "a/b\n/c"]
        {
            assert!(SecretPath::parse(text).is_none(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn a_path_is_normalised_once_and_its_guess_stays_in_its_mount(text in "/{0,2}[a-d./ ]{0,12}(/data)?(/[a-d]{1,3}){0,3}/{0,2}") {
            if let Some(path) = SecretPath::parse(&text) {
                prop_assert_eq!(SecretPath::parse(path.as_str()), Some(path.clone()));
                let guess = path.guess();
                let again = SecretPath::parse(&guess).unwrap();
                prop_assert!(again.has_data() && again.guess() == guess);
                prop_assert!(guess.starts_with(path.first()));
            }
        }
    }
}
