//! Which secrets are wanted, and where each is looked up, in which order. No I/O.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use crate::config::Config;
use crate::environ::variable;
use crate::escape::escaped;
use crate::manifest::{Deliver, SecretRule};
use crate::name::{EnvName, Variant};
use crate::provider::reference::Reference;
use crate::provider::{Key, Source, Want, file_variables};
use crate::setting::Undeclared;

#[derive(Debug)]
pub struct Plan {
    pub entries: Vec<Entry>,
    /// `SECRET_ROTATION_TIMESTAMP`; `None` if the manifest declares it as a secret of the app.
    pub rotation_stamp: Option<Entry>,
    pub bulk: Bulk,
}

/// What happens to undeclared keys of bulk sources.
#[derive(Debug, Default)]
pub struct Bulk {
    pub deliver: bool,
    /// In ascending order of precedence.
    pub sources: Vec<Source>,
    /// The spellings for each environment and color.
    pub variants: Vec<Spelling>,
}

/// One secret, with its rule and its candidates.
#[derive(Debug, PartialEq, Eq)]
pub struct Entry {
    pub name: EnvName,
    pub rule: SecretRule,
    /// The one with the highest rank first.
    pub candidates: Vec<Candidate>,
}

/// One source and spelling to look up an entry by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    pub source: Source,
    pub sought: Sought,
    pub rank: Rank,
    /// The environment or color that it is for; `None` for all.
    pub variant: Option<Variant>,
    pub use_of: Use,
}

/// What is looked up in a source.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Sought {
    /// This exact key.
    Key(Key),
    /// Every key that maps to this name.
    Name(Arc<str>),
}

/// Which of two candidates takes precedence: the more specific name, whatever its source; then the later source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rank {
    /// 0 for the plain name, 1 for an environment's, 2 for a color's.
    pub specificity: u8,
    /// The position of the source in their order.
    pub priority: u16,
}

/// Whether a candidate's value may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    Always,
    /// No environment is selected: only if no other environment has secrets here.
    IfOnlyEnvironment,
    /// No color is selected, an environment that is not declared is, or it is an SSH key whose environment is not
    /// selected; only its existence is reported.
    Never,
}

impl Use {
    /// A value that will not be used is not even loaded.
    #[must_use]
    pub fn want(self) -> Want {
        if self == Self::Never { Want::Existence } else { Want::Value }
    }
}

impl Candidate {
    /// Source and name for a message: `files DB_PASSWORD`.
    #[must_use]
    pub fn label(&self) -> String {
        format!("{} {}", self.source.text(), self.sought)
    }
}

impl fmt::Display for Sought {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(key) => write!(formatter, "{key}"),
            Self::Name(name) => formatter.write_str(&escaped(&**name)),
        }
    }
}

/// One way to spell every name.
#[derive(Debug, Clone)]
pub struct Spelling {
    /// Such as `STAGING_`; empty for the plain name.
    pub prefix: String,
    pub variant: Option<Variant>,
    pub specificity: u8,
    pub use_of: Use,
}

impl Plan {
    #[must_use]
    pub fn new(config: &Config) -> Self {
        let lookup = Lookup::new(config);
        let entry = |name: &EnvName, rule: &SecretRule| Entry {
            name: name.clone(),
            rule: rule.clone(),
            candidates: lookup.candidates(name, rule),
        };
        let stamp = EnvName::built_in(variable::SECRET_ROTATION_TIMESTAMP);
        let is_declared = config.manifest.secrets.contains_key(&stamp);
        let entries: Vec<Entry> =
            config.manifest.secrets.iter().map(|(name, rule)| entry(name, rule)).collect();
        let stamp = (!is_declared).then(|| beside(&entries, entry(&stamp, &SecretRule::DEFAULT)));
        Self {
            entries,
            rotation_stamp: stamp,
            bulk: Bulk {
                deliver: config.undeclared == Undeclared::Deliver,
                variants: variants(config),
                sources: config.sources(),
            },
        }
    }

    /// Every entry that is looked up.
    pub fn all(&self) -> impl Iterator<Item = &Entry> + Clone {
        self.entries.iter().chain(&self.rotation_stamp)
    }
}

/// The stamp is looked up where secrets are, and is no reason to ask another remote source.
fn beside(entries: &[Entry], mut stamp: Entry) -> Entry {
    let is_by_name = |candidate: &Candidate| matches!(candidate.sought, Sought::Name(_));
    let by_name =
        entries.iter().flat_map(|entry| &entry.candidates).filter(|candidate| is_by_name(candidate));
    let sources: HashSet<Source> = by_name.map(|candidate| candidate.source).collect();
    stamp.candidates.retain(|candidate| !candidate.source.is_remote() || sources.contains(&candidate.source));
    stamp
}

/// Where every name is looked up.
struct Lookup {
    /// With their priority, the highest first.
    sources: Vec<(u16, Source)>,
    usual: Vec<Spelling>,
    ssh_keys: Vec<Spelling>,
}

impl Lookup {
    fn new(config: &Config) -> Self {
        let mut sources: Vec<(u16, Source)> = (0..).zip(config.sources()).collect();
        sources.reverse();
        let of = |deliver| spellings(config, deliver);
        Self { sources, usual: of(Deliver::Env), ssh_keys: of(Deliver::Ssh) }
    }

    /// The candidates of a name, the one with the highest rank first.
    fn candidates(&self, name: &EnvName, rule: &SecretRule) -> Vec<Candidate> {
        let spellings = if rule.deliver == Deliver::Ssh { &self.ssh_keys } else { &self.usual };
        if rule.from.is_empty() {
            let mut candidates = Vec::with_capacity(spellings.len() * self.sources.len());
            candidates.extend(spellings.iter().flat_map(|spelling| self.spelt(name, spelling)));
            candidates
        } else {
            let priorities = (0..=u16::MAX).rev();
            priorities.zip(&rule.from).map(|(priority, reference)| referenced(reference, priority)).collect()
        }
    }

    fn spelt(&self, name: &EnvName, spelling: &Spelling) -> impl Iterator<Item = Candidate> {
        let full: Arc<str> = [spelling.prefix.as_str(), name.as_str()].concat().into();
        // Prefixed names are looked up only in sources for secrets, not in plain variables.
        let is_looked_up = |source: &Source| spelling.variant.is_none() || source.is_for_secrets();
        let sources = self.sources.iter().filter(move |(_, source)| is_looked_up(source));
        sources.map(move |(priority, source)| Candidate {
            source: *source,
            sought: sought(*source, &full),
            rank: Rank { specificity: spelling.specificity, priority: *priority },
            variant: spelling.variant.clone(),
            use_of: spelling.use_of,
        })
    }
}

fn sought(source: Source, name: &Arc<str>) -> Sought {
    match source {
        Source::Environment => Sought::Key(Key::new(Arc::clone(name))),
        Source::FileVariables => Sought::Key(Key::new(file_variables::of(name))),
        _ => Sought::Name(Arc::clone(name)),
    }
}

fn referenced(reference: &Reference, priority: u16) -> Candidate {
    Candidate {
        source: reference.source,
        sought: Sought::Key(reference.key.clone()),
        rank: Rank { specificity: 0, priority },
        variant: None,
        use_of: Use::Always,
    }
}

/// `<COLOR>_NAME`, `<ENVIRONMENT>_NAME` and `NAME`, the most specific first. If an environment or color is selected, the
/// others are left out.
fn spellings(config: &Config, deliver: Deliver) -> Vec<Spelling> {
    let plain = Spelling { prefix: String::new(), variant: None, specificity: 0, use_of: Use::Always };
    let is_decided = |spelling: &Spelling| match spelling.specificity {
        ENVIRONMENT => config.selection.environment.is_some(),
        _ => config.selection.color.is_some(),
    };
    let is_other = |spelling: &Spelling| spelling.use_of == Use::Never && is_decided(spelling);
    let looked_up = variants(config).into_iter().filter(|spelling| !is_other(spelling));
    let mut spellings: Vec<Spelling> = looked_up.chain([plain]).collect();
    if deliver == Deliver::Ssh {
        // Which machine a key opens must never be guessed.
        let guessed = spellings.iter_mut().filter(|spelling| spelling.use_of == Use::IfOnlyEnvironment);
        guessed.for_each(|spelling| spelling.use_of = Use::Never);
    }
    spellings
}

const ENVIRONMENT: u8 = 1;
const COLOR: u8 = 2;

/// Every declared color and environment, and whether its secrets may be used.
fn variants(config: &Config) -> Vec<Spelling> {
    let spelling = |variant: &Variant, specificity, use_of| Spelling {
        prefix: variant.prefix(),
        variant: Some(variant.clone()),
        specificity,
        use_of,
    };
    let environment = |variant: &Variant| match &config.selection.environment {
        Some(selected) if selected == variant => Use::Always,
        Some(_) => Use::Never,
        None if config.selection.undeclared_environment.is_some() => Use::Never,
        None => Use::IfOnlyEnvironment,
    };
    let color = |variant: &Variant| match &config.selection.color {
        Some(selected) if selected == variant => Use::Always,
        _ => Use::Never,
    };
    let environments = config.manifest.environments.iter();
    let environments = environments.map(|variant| spelling(variant, ENVIRONMENT, environment(variant)));
    let colors = config.manifest.colors.iter().map(|variant| spelling(variant, COLOR, color(variant)));
    colors.chain(environments).collect()
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
        plan.all().flat_map(|entry| &entry.candidates)
    }

    fn order(plan: &Plan, name: &str) -> Vec<String> {
        let entry = plan.entries.iter().find(|entry| entry.name.as_str() == name).unwrap();
        let used = entry.candidates.iter().filter(|candidate| candidate.use_of == Use::Always);
        used.map(Candidate::label).collect()
    }

    #[test]
    fn the_more_specific_name_takes_precedence_whatever_its_provider() {
        let plan = plan(&["APP_ENV=production", "DEPLOYMENT_COLOR=blue"]);
        assert_eq!(
            order(&plan, "API_KEY"),
            [
                "files BLUE_API_KEY",
                "file variable BLUE_API_KEY_FILE",
                "files PRODUCTION_API_KEY",
                "file variable PRODUCTION_API_KEY_FILE",
                "files API_KEY",
                "file variable API_KEY_FILE",
                "environment API_KEY",
            ]
        );
    }

    #[test]
    fn another_environment_is_not_even_looked_up() {
        let plan = plan(&["APP_ENV=production"]);
        assert!(!candidates(&plan).any(|candidate| candidate.sought.to_string().starts_with("STAGING")));
    }

    #[test]
    fn without_a_color_the_colored_names_are_never_used() {
        let plan = plan(&[]);
        let mut blue =
            candidates(&plan).filter(|candidate| candidate.sought.to_string().starts_with("BLUE_"));
        assert!(blue.all(|candidate| candidate.use_of == Use::Never));
    }

    #[test]
    fn without_an_environment_a_secret_may_be_guessed_and_a_key_may_not() {
        let plan = plan(&[]);
        let use_of = |key: &str| {
            candidates(&plan).find(|candidate| candidate.sought.to_string() == key).unwrap().use_of
        };
        assert_eq!(use_of("STAGING_API_KEY"), Use::IfOnlyEnvironment);
        assert_eq!(use_of("STAGING_SSH_KEY"), Use::Never);
        assert_eq!(use_of("SSH_KEY"), Use::Always);
    }

    #[test]
    fn a_prefixed_name_is_never_taken_from_a_plain_variable() {
        let plan = plan(&["APP_ENV=production"]);
        let plain = candidates(&plan).filter(|candidate| candidate.source == Source::Environment);
        assert!(plain.clone().all(|candidate| candidate.variant.is_none()));
        assert_eq!(plain.count(), plan.all().count());
    }

    #[test]
    fn external_sources_take_precedence_in_the_order_given() {
        let plan = plan(&["EXTERNAL_SECRET_PROVIDER=vault, aws", "K8S_SECRET_NAME=app"]);
        let expected = ["Kubernetes API_KEY", "AWS API_KEY", "Vault API_KEY", "files API_KEY"];
        assert_eq!(order(&plan, "API_KEY")[..4], expected);
    }
}
