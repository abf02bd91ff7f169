//! Which value wins, compared with behaviour §2 written down a second time.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::time::Duration;

use cryokey::config::{Config, Flags};
use cryokey::environ::Environ;
use cryokey::name::{EnvName, Variant};
use cryokey::plan::Plan;
use cryokey::provider::error::{Cause, Kind};
use cryokey::provider::{Answer, Deadline, Found, Key, Provider, ProviderError, Request, Source};
use cryokey::resolve::{Assumed, Fate, Outcome, resolve};
use cryokey::secret::Secret;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

const NAMES: [&str; 2] = ["API_KEY", "DB_URL"];
const ENVIRONMENTS: [&str; 2] = ["staging", "production"];
const COLORS: [&str; 2] = ["blue", "green"];
const PREFIXES: [&str; 5] = ["", "STAGING_", "PRODUCTION_", "BLUE_", "GREEN_"];
/// In rising priority, as behaviour §2 has them.
const SOURCES: [Source; 3] = [Source::Environment, Source::FileVariables, Source::Files];
const NAME_PREFIX: &str = "app_";
const MANIFEST: &str = "version = 1\nname_prefix = \"app_\"\nenvironments = [\"staging\", \"production\"]\n\
                        colors = [\"blue\", \"green\"]\n[secret.API_KEY]\n[secret.DB_URL]\n";

/// One thing that exists somewhere.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Thing {
    source: Source,
    key: String,
    is_readable: bool,
}

/// What exists, in the order in which each place tells of it, and a place that cannot be asked.
#[derive(Debug, Clone)]
struct World {
    things: Vec<Thing>,
    unasked: Option<Source>,
    order: Vec<Source>,
    environment: Option<&'static str>,
    color: Option<&'static str>,
}

/// What a name must come to.
#[derive(Debug, PartialEq, Eq)]
enum Expected {
    Absent,
    /// Among these keys.
    Collision(BTreeSet<String>),
    Unasked(Source),
    /// One of these keys.
    Unreadable(Source, BTreeSet<String>),
    Value(Source, String),
}

/// What a name can be called in a place.
fn spellings(source: Source, name: &str) -> Vec<String> {
    let lower = name.to_lowercase();
    match source {
        Source::Environment => vec![name.to_owned()],
        Source::FileVariables => vec![format!("{name}_FILE")],
        Source::Files => {
            vec![format!("{NAME_PREFIX}{lower}"), format!("{NAME_PREFIX}{name}"), lower, name.to_owned()]
        }
    }
}

fn everything() -> Vec<(Source, String)> {
    let mut all = Vec::new();
    for source in SOURCES {
        for prefix in PREFIXES {
            for name in NAMES {
                all.extend(
                    spellings(source, &format!("{prefix}{name}")).into_iter().map(|key| (source, key)),
                );
            }
        }
    }
    all
}

fn world() -> impl Strategy<Value = World> {
    let count = everything().len();
    let there = subsequence(everything(), 0..10).prop_shuffle();
    let readable = prop::collection::vec(prop::bool::weighted(0.8), count);
    let unasked = option::weighted(0.1, select(SOURCES.as_slice()));
    let order = Just(SOURCES.to_vec()).prop_shuffle();
    let selected = (option::of(select(ENVIRONMENTS.as_slice())), option::of(select(COLORS.as_slice())));
    (there, readable, unasked, order, selected).prop_map(
        |(there, readable, unasked, order, (environment, color))| {
            let thing = |((source, key), is_readable)| Thing { source, key, is_readable };
            let things = there.into_iter().zip(readable).map(thing).collect();
            World { things, unasked, order, environment, color }
        },
    )
}

/// Behaviour §2, written down a second time: the more specific name wins, among equals the later provider, and two
/// spellings in one place are a contradiction.
impl World {
    fn expected(&self, name: &str) -> Expected {
        let color = self.color.map(prefix_of);
        let environment = match self.environment {
            Some(environment) => Some(prefix_of(environment)),
            None => self.assumed().filter(|all| all.len() == 1).map(|all| prefix_of(all[0])),
        };
        for prefix in [color, environment, Some(String::new())].into_iter().flatten() {
            for source in SOURCES.into_iter().rev() {
                // A plain variable counts only by its plain name.
                let is_never_used = source == Source::Environment && !prefix.is_empty();
                if !is_never_used && let Some(expected) = self.at(source, &format!("{prefix}{name}")) {
                    return expected;
                }
            }
        }
        Expected::Absent
    }

    fn at(&self, source: Source, name: &str) -> Option<Expected> {
        if self.unasked == Some(source) {
            return Some(Expected::Unasked(source));
        }
        let there: Vec<&Thing> =
            spellings(source, name).iter().filter_map(|key| self.find(source, key)).collect();
        match there.as_slice() {
            [] => None,
            [one] if one.is_readable => Some(Expected::Value(source, one.key.clone())),
            several => {
                let keys = several.iter().map(|thing| thing.key.clone()).collect();
                let is_any_readable = several.iter().any(|thing| thing.is_readable);
                Some(if is_any_readable {
                    Expected::Collision(keys)
                } else {
                    Expected::Unreadable(source, keys)
                })
            }
        }
    }

    fn find(&self, source: Source, key: &str) -> Option<&Thing> {
        self.things.iter().find(|thing| thing.source == source && thing.key == key)
    }

    /// The environments that have secrets here, where none was selected.
    fn assumed(&self) -> Option<Vec<&'static str>> {
        let has_secrets = |environment: &&str| {
            [Source::FileVariables, Source::Files].into_iter().filter(|it| self.unasked != Some(*it)).any(
                |source| {
                    let names = NAMES.map(|name| format!("{}{name}", prefix_of(environment)));
                    let mut keys = names.iter().flat_map(|name| spellings(source, name));
                    keys.any(|key| self.find(source, &key).is_some())
                },
            )
        };
        self.environment.is_none().then(|| ENVIRONMENTS.into_iter().filter(has_secrets).collect())
    }

    fn config(&self) -> Config {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(MANIFEST.as_bytes()).unwrap();
        let flags = Flags { manifest: Some(file.path().to_owned()), ..Flags::default() };
        let environment = self.environment.map(|name| format!("CRYOKEY_ENVIRONMENT={name}"));
        let color = self.color.map(|name| format!("DEPLOYMENT_COLOR={name}"));
        Config::load(flags, &Environ::new(environment.into_iter().chain(color))).unwrap()
    }

    fn providers(&self) -> Vec<(Source, Box<dyn Provider>)> {
        let provider = |source| {
            let things = self.things.iter().filter(|thing| thing.source == source).cloned().collect();
            Box::new(Memory { things, is_unasked: self.unasked == Some(source) }) as Box<dyn Provider>
        };
        self.order.iter().map(|source| (*source, provider(*source))).collect()
    }
}

fn prefix_of(variant: &str) -> String {
    format!("{}_", variant.to_uppercase())
}

/// A place that answers in the order of its list. A value tells where it is from.
struct Memory {
    things: Vec<Thing>,
    is_unasked: bool,
}

impl Provider for Memory {
    fn read(&self, request: &Request<'_>, _deadline: Deadline) -> Result<Answer, ProviderError> {
        let broken = |key: &str| ProviderError::new(Kind::Invalid, key, Cause::TooLarge);
        if self.is_unasked {
            return Err(broken("everything"));
        }
        let mut answer = Answer::default();
        for thing in &self.things {
            let key = Key(thing.key.clone());
            if request.notice.contains(&&key) {
                answer.noticed.push(key);
            } else if !request.keys.contains(&&key) {
                // Nobody asked for it.
            } else if thing.is_readable {
                let value = Secret::new(thing.key.clone().into_bytes());
                answer.found.push(Found { key, value, created: None, mode: None, may_be_planted: false });
            } else {
                let error = broken(&thing.key);
                answer.failed.push((key, error));
            }
        }
        Ok(answer)
    }
}

/// Whether an outcome is the expected one; a collision names two of those that collide.
fn is(outcome: &Outcome<'_>, expected: &Expected) -> bool {
    match (outcome, expected) {
        (Outcome::Absent, Expected::Absent) => true,
        (Outcome::Unasked(source), Expected::Unasked(expected)) => source == expected,
        (Outcome::Failed(candidate, _), Expected::Unreadable(source, keys)) => {
            candidate.source == *source && keys.contains(&candidate.key.0)
        }
        (Outcome::Found(value), Expected::Value(source, key)) => {
            value.candidate.source == *source && value.secret.expose() == key.as_bytes()
        }
        (Outcome::Collision(one, other), Expected::Collision(keys)) => {
            one.key != other.key && keys.contains(&one.key.0) && keys.contains(&other.key.0)
        }
        _ => false,
    }
}

proptest! {
    #[test]
    fn no_order_of_files_or_providers_changes_the_winner(world in world()) {
        let config = world.config();
        let plan = Plan::new(&config);
        let resolution = resolve(&plan, &world.providers(), Deadline::after(Duration::from_mins(1)));
        for name in NAMES {
            let resolved = resolution.secrets.iter().find(|it| it.entry.name.as_str() == name).unwrap();
            let expected = world.expected(name);
            prop_assert!(is(&resolved.outcome, &expected), "{name}: {:?}, not {expected:?}", resolved.outcome);
            let winners = resolved.fates.iter().filter(|fate| **fate == Fate::Won).count();
            prop_assert_eq!(winners, usize::from(matches!(expected, Expected::Value(..))));
        }
        let assumed = world.assumed().unwrap_or_default();
        let agrees = match &resolution.assumed {
            Assumed::Nothing => assumed.is_empty(),
            Assumed::Only(only) => assumed == [only.as_str()],
            Assumed::Ambiguous(several) => several.len() > 1 && several.len() == assumed.len(),
        };
        prop_assert!(agrees, "{:?}, not {assumed:?}", resolution.assumed);
    }

    #[test]
    fn every_file_that_is_looked_for_is_called_like_its_secret(world in world()) {
        let config = world.config();
        for entry in Plan::new(&config).entries {
            for candidate in entry.candidates.iter().filter(|candidate| candidate.source == Source::Files) {
                let prefix = candidate.variant.as_ref().map(Variant::prefix).unwrap_or_default();
                let name = EnvName::parse(&format!("{prefix}{}", entry.name)).unwrap();
                prop_assert_eq!(EnvName::from_key(&candidate.key.0, NAME_PREFIX), Ok(name));
            }
        }
    }
}
