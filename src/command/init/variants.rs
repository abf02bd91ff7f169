//! Environments and colors, recognized by the prefixes of names.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::name::{EnvName, Variant};

/// Words that always count as an environment or a color.
const ENVIRONMENTS: [&str; 4] = ["production", "prod", "staging", "stage"];
const COLORS: [&str; 2] = ["blue", "green"];

/// Words that count only if two of them precede the same name, or if a service selects one: `test_key` may be just a
/// key.
const MAYBE_ENVIRONMENTS: [&str; 15] = [
    "acceptance",
    "canary",
    "demo",
    "dev",
    "development",
    "integration",
    "live",
    "local",
    "pre-prod",
    "preprod",
    "preview",
    "qa",
    "sandbox",
    "test",
    "uat",
];
const MAYBE_COLORS: [&str; 6] = ["black", "orange", "purple", "red", "white", "yellow"];

/// The environments and colors to declare.
#[derive(Debug, Default)]
pub(super) struct Variants {
    pub(super) environments: BTreeSet<Variant>,
    pub(super) colors: BTreeSet<Variant>,
}

impl Variants {
    /// Finds the variants among these names. `environments` and `colors` are those that services select.
    pub(super) fn of<'a>(
        names: impl Iterator<Item = &'a EnvName> + Clone,
        environments: &BTreeSet<Variant>,
        colors: &BTreeSet<Variant>,
    ) -> Self {
        let colors = declared(names.clone(), &COLORS, &MAYBE_COLORS, colors);
        let mut environments = declared(names, &ENVIRONMENTS, &MAYBE_ENVIRONMENTS, environments);
        environments.retain(|environment| !colors.contains(environment));
        Self { environments, colors }
    }

    /// Splits names into variant and base name.
    pub(super) fn splitter(&self) -> Prefixes<'_> {
        Prefixes::of(self.environments.iter().chain(&self.colors))
    }
}

/// Environments and colors by their prefix.
pub(super) struct Prefixes<'a> {
    variants: HashMap<String, &'a Variant>,
    longest: usize,
}

impl<'a> Prefixes<'a> {
    fn of(variants: impl Iterator<Item = &'a Variant>) -> Self {
        let variants: HashMap<String, &Variant> =
            variants.map(|variant| (variant.prefix(), variant)).collect();
        Self { longest: variants.keys().map(String::len).max().unwrap_or_default(), variants }
    }

    /// Splits off the longest matching prefix: `PRE_PROD_` rather than `PRE_`.
    pub(super) fn split(&self, name: &EnvName) -> (Option<&'a Variant>, EnvName) {
        self.all(name).last().map_or_else(|| (None, name.clone()), |(variant, rest)| (Some(variant), rest))
    }

    fn all(&self, name: &EnvName) -> impl Iterator<Item = (&'a Variant, EnvName)> {
        let ends = name.as_str().match_indices('_').map(|(at, _)| at + 1);
        let ends = ends.take_while(|end| *end <= self.longest).map(|end| name.as_str().split_at(end));
        ends.filter_map(|(prefix, rest)| Some((*self.variants.get(prefix)?, EnvName::parse(rest).ok()?)))
    }
}

fn declared<'a>(
    names: impl Iterator<Item = &'a EnvName>,
    known: &[&str],
    possible: &[&str],
    selected: &BTreeSet<Variant>,
) -> BTreeSet<Variant> {
    let parsed = |words: &[&str]| -> BTreeSet<Variant> {
        words.iter().filter_map(|word| Variant::parse(word).ok()).collect()
    };
    let certain: BTreeSet<Variant> = parsed(known).into_iter().chain(selected.iter().cloned()).collect();
    let possible = parsed(possible);
    let prefixes = Prefixes::of(certain.iter().chain(&possible));
    let (mut found, mut by_name) = (BTreeSet::new(), BTreeMap::<EnvName, BTreeSet<&Variant>>::new());
    for (variant, rest) in names.flat_map(|name| prefixes.all(name)) {
        found.extend(certain.get(variant).cloned());
        by_name.entry(rest).or_default().insert(variant);
    }
    found.extend(by_name.into_values().filter(|variants| variants.len() > 1).flatten().cloned());
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(names: &[&'static str], selected: &[&str]) -> Variants {
        let names: Vec<EnvName> = names.iter().map(|name| EnvName::built_in(name)).collect();
        let selected = selected.iter().map(|word| Variant::parse(word).unwrap()).collect();
        Variants::of(names.iter(), &selected, &BTreeSet::new())
    }

    fn words(variants: &BTreeSet<Variant>) -> Vec<&str> {
        variants.iter().map(Variant::as_str).collect()
    }

    #[test]
    fn known_words_are_found_and_the_name_behind_them_is_the_secret() {
        let variants = of(&["BLUE_SECRET_KEY", "PRODUCTION_API_KEY", "DATABASE_URL"], &[]);
        assert_eq!(
            (words(&variants.environments), words(&variants.colors)),
            (vec!["production"], vec!["blue"])
        );
        let (variant, rest) = variants.splitter().split(&EnvName::built_in("PRODUCTION_API_KEY"));
        assert_eq!((variant.unwrap().as_str(), rest.as_str()), ("production", "API_KEY"));
        assert_eq!(variants.splitter().split(&EnvName::built_in("DATABASE_URL")).0, None);
    }

    #[test]
    fn a_doubtful_word_needs_a_second_one_or_a_selection() {
        assert!(of(&["TEST_KEY", "DEV_TOKEN"], &[]).environments.is_empty());
        assert_eq!(words(&of(&["TEST_KEY", "DEV_KEY"], &[]).environments), ["dev", "test"]);
        assert_eq!(words(&of(&["ACME_KEY"], &["acme"]).environments), ["acme"]);
        assert!(of(&["ACME_KEY"], &[]).environments.is_empty());
    }
}
