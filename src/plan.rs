//! Which names are wanted, where each is looked for and in which order, and what is asked of it. No I/O.

use crate::config::Config;
use crate::environ::variable;
use crate::manifest::{Deliver, SecretRule};
use crate::name::{EnvName, Variant};
use crate::provider::file_variables::SUFFIX;
use crate::provider::{Key, Source};
use crate::reference::{Reference, Scheme};

/// What will be looked for.
#[derive(Debug)]
pub struct Plan {
    /// The secrets, and what else is read like one.
    pub entries: Vec<Entry>,
}

/// One name and what is asked of it.
#[derive(Debug, PartialEq, Eq)]
pub struct Entry {
    /// The app's name for it.
    pub name: EnvName,
    /// What is asked of it.
    pub rule: SecretRule,
    /// What it is for.
    pub purpose: Purpose,
    /// Where it is looked for, the winner's place first.
    pub candidates: Vec<Candidate>,
}

/// What an entry is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// The app gets it.
    Secret,
    /// It says when the secrets were rotated; the app does not get it.
    RotationTimestamp,
}

/// One place where an entry is looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Where.
    pub source: Source,
    /// Under which name there.
    pub key: Key,
    /// The higher one wins.
    pub rank: u32,
    /// For which environment or color, if it is not for all.
    pub variant: Option<Variant>,
    /// Whether its value may be used.
    pub use_of: Use,
}

/// Whether a candidate's value may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// Yes.
    Always,
    /// Only if no other environment has secrets here either, since none was selected.
    IfOnlyEnvironment,
    /// Never, since no color was selected or it is a key for an environment that was not; its existence is told.
    Never,
}

/// A variant of a name: its prefix, and how specific it is.
struct Spelling {
    prefix: String,
    variant: Option<Variant>,
    specificity: u32,
    use_of: Use,
}

/// More specific names win whatever their provider: the steps between them are larger than any provider's.
const STEP: u32 = 100;

impl Plan {
    /// What a configuration asks for.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        let spellings = Spellings::new(config);
        let entry = |name: &EnvName, rule: &SecretRule, purpose| Entry {
            name: name.clone(),
            rule: rule.clone(),
            purpose,
            candidates: spellings.candidates(name, rule),
        };
        let secrets = config.manifest.secrets.iter();
        let mut entries: Vec<Entry> =
            secrets.map(|(name, rule)| entry(name, rule, Purpose::Secret)).collect();
        let timestamp = EnvName::built_in(variable::SECRET_ROTATION_TIMESTAMP);
        if !config.manifest.secrets.contains_key(&timestamp) {
            entries.push(entry(&timestamp, &SecretRule::DEFAULT, Purpose::RotationTimestamp));
        }
        Self { entries }
    }
}

/// The spellings that a configuration has for every name.
struct Spellings<'a> {
    usual: Vec<Spelling>,
    ssh_keys: Vec<Spelling>,
    name_prefix: &'a str,
}

impl<'a> Spellings<'a> {
    fn new(config: &'a Config) -> Self {
        let of = |deliver| spellings(config, deliver);
        Self { usual: of(Deliver::Env), ssh_keys: of(Deliver::Ssh), name_prefix: &config.name_prefix }
    }

    /// Where a name is looked for, the winner's place first.
    fn candidates(&self, name: &EnvName, rule: &SecretRule) -> Vec<Candidate> {
        let spellings = if rule.deliver == Deliver::Ssh { &self.ssh_keys } else { &self.usual };
        let mut candidates: Vec<Candidate> = if rule.from.is_empty() {
            spellings.iter().flat_map(|spelling| spelling.candidates(name, self.name_prefix)).collect()
        } else {
            (1..).zip(rule.from.iter().rev()).map(|(rank, reference)| referenced(reference, rank)).collect()
        };
        candidates.sort_by_key(|candidate| std::cmp::Reverse(candidate.rank));
        candidates
    }
}

impl Spelling {
    fn candidates(&self, name: &EnvName, name_prefix: &str) -> impl Iterator<Item = Candidate> {
        let full = [self.prefix.as_str(), name.as_str()].concat();
        let variable = (Source::FileVariables, [full.as_str(), SUFFIX].concat());
        let files = file_names(&full, name_prefix).into_iter().map(|key| (Source::Files, key));
        let plain = self.variant.is_none().then_some((Source::Environment, full));
        let candidate = |(source, key)| Candidate {
            source,
            key: Key(key),
            rank: self.specificity * STEP + source as u32,
            variant: self.variant.clone(),
            use_of: self.use_of,
        };
        files.chain([variable]).chain(plain).map(candidate)
    }
}

fn referenced(reference: &Reference, rank: u32) -> Candidate {
    let source = match reference.scheme {
        Scheme::Environment => Source::Environment,
        Scheme::Files => Source::Files,
    };
    Candidate { source, key: Key(reference.path.clone()), rank, variant: None, use_of: Use::Always }
}

/// The name, the name in lower case, and either behind the prefix.
fn file_names(name: &str, prefix: &str) -> Vec<String> {
    let spelt = [name.to_owned(), name.to_ascii_lowercase()];
    if prefix.is_empty() {
        return spelt.into();
    }
    let prefixed = spelt.each_ref().map(|name| [prefix, name.as_str()].concat());
    spelt.into_iter().chain(prefixed).collect()
}

/// `<COLOR>_NAME`, `<ENVIRONMENT>_NAME`, `NAME`: those that may count.
fn spellings(config: &Config, deliver: Deliver) -> Vec<Spelling> {
    let mut spellings =
        vec![Spelling { prefix: String::new(), variant: None, specificity: 0, use_of: Use::Always }];
    let of = |variant: &Variant, specificity, use_of| Spelling {
        prefix: variant.prefix(),
        variant: Some(variant.clone()),
        specificity,
        use_of,
    };
    match &config.selection.environment {
        Some(selected) => spellings.push(of(selected, 1, Use::Always)),
        // A key that opens another machine is never guessed at.
        None if deliver == Deliver::Ssh => {
            spellings.extend(config.manifest.environments.iter().map(|variant| of(variant, 1, Use::Never)));
        }
        None => {
            let environments = config.manifest.environments.iter();
            spellings.extend(environments.map(|variant| of(variant, 1, Use::IfOnlyEnvironment)));
        }
    }
    match &config.selection.color {
        Some(selected) => spellings.push(of(selected, 2, Use::Always)),
        None => spellings.extend(config.manifest.colors.iter().map(|variant| of(variant, 2, Use::Never))),
    }
    spellings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Flags;
    use crate::environ::Environ;

    fn plan(variables: &[&str]) -> Plan {
        let environ = Environ::new(variables.iter().copied());
        Plan::new(&Config::load(Flags::default(), &environ).unwrap())
    }

    fn candidates(plan: &Plan) -> impl Iterator<Item = &Candidate> + Clone {
        plan.entries.iter().flat_map(|entry| &entry.candidates)
    }

    fn order(plan: &Plan, name: &str) -> Vec<String> {
        let entry = plan.entries.iter().find(|entry| entry.name.as_str() == name).unwrap();
        let used = entry.candidates.iter().filter(|candidate| candidate.use_of == Use::Always);
        used.map(|candidate| format!("{} {}", candidate.source.text(), candidate.key)).collect()
    }

    #[test]
    fn the_more_specific_name_comes_first_whatever_its_provider() {
        let plan = plan(&["APP_ENV=production", "DEPLOYMENT_COLOR=blue"]);
        assert_eq!(
            order(&plan, "API_KEY"),
            [
                "files BLUE_API_KEY",
                "files blue_api_key",
                "file variable BLUE_API_KEY_FILE",
                "files PRODUCTION_API_KEY",
                "files production_api_key",
                "file variable PRODUCTION_API_KEY_FILE",
                "files API_KEY",
                "files api_key",
                "file variable API_KEY_FILE",
                "environment API_KEY",
            ]
        );
    }

    #[test]
    fn another_environment_is_not_even_looked_for() {
        let plan = plan(&["APP_ENV=production"]);
        assert!(!candidates(&plan).any(|candidate| candidate.key.0.to_lowercase().starts_with("staging")));
    }

    #[test]
    fn without_a_color_the_colored_names_are_never_used() {
        let plan = plan(&[]);
        let mut blue = candidates(&plan).filter(|candidate| candidate.key.0.starts_with("BLUE_"));
        assert!(blue.all(|candidate| candidate.use_of == Use::Never));
    }

    #[test]
    fn without_an_environment_a_secret_may_be_guessed_and_a_key_may_not() {
        let plan = plan(&[]);
        let use_of = |key: &str| candidates(&plan).find(|candidate| candidate.key.0 == key).unwrap().use_of;
        assert_eq!(use_of("STAGING_API_KEY"), Use::IfOnlyEnvironment);
        assert_eq!(use_of("STAGING_SSH_KEY"), Use::Never);
        assert_eq!(use_of("SSH_KEY"), Use::Always);
    }

    #[test]
    fn a_prefixed_name_is_never_taken_from_a_plain_variable() {
        let plan = plan(&["APP_ENV=production"]);
        let plain = candidates(&plan).filter(|candidate| candidate.source == Source::Environment);
        assert!(plain.clone().all(|candidate| candidate.variant.is_none()));
        assert_eq!(plain.count(), plan.entries.len());
    }

    #[test]
    fn a_name_prefix_adds_the_prefixed_file_names() {
        let plan = plan(&["CRYOKEY_NAME_PREFIX=cryoprotect_"]);
        assert!(order(&plan, "API_KEY").contains(&"files cryoprotect_api_key".to_owned()));
    }
}
