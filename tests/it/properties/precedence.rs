//! Which value wins, compared with the rules of docs/names.md written down a second time.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::time::Duration;

use cryokey::config::{Config, Flags};
use cryokey::environ::Environ;
use cryokey::plan::Plan;
use cryokey::provider::{Deadline, Source};
use cryokey::resolve::{Assumed, Fate, Opened, Place, Resolution, Resolved, Tried, resolve};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use crate::support::memory::{Held, Memory};

const DECLARED: [&str; 2] = ["API_KEY", "DB_URL"];
const UNDECLARED: &str = "EXTRA";
const DANGEROUS: &str = "LD_PRELOAD";
const ENVIRONMENTS: [&str; 2] = ["staging", "production"];
const COLORS: [&str; 2] = ["blue", "green"];
const PREFIXES: [&str; 5] = ["", "STAGING_", "PRODUCTION_", "BLUE_", "GREEN_"];
/// In rising priority.
const LOCAL: [Source; 3] = [Source::Environment, Source::FileVariables, Source::Files];
const EXTERNAL: [Source; 4] = [Source::Aws, Source::Vault, Source::Azure, Source::Gcp];
const NAME_PREFIX: &str = "app_";

/// One thing that exists somewhere.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Thing {
    source: Source,
    key: String,
    is_readable: bool,
}

/// What exists, in the order in which each place tells of it, and what was configured.
#[derive(Debug, Clone)]
struct World {
    things: Vec<Thing>,
    unavailable: Option<Source>,
    external: Vec<Source>,
    has_kubernetes: bool,
    delivers_undeclared: bool,
    environment: Option<&'static str>,
    color: Option<&'static str>,
}

/// What a name must come to.
#[derive(Debug, PartialEq, Eq)]
enum Expected {
    Absent,
    /// These keys.
    Ambiguous(BTreeSet<String>),
    Failed(Source, String),
    Found(Source, String),
    Unavailable(Source),
}

/// What a name can be called in a place.
fn spellings(source: Source, name: &str) -> Vec<String> {
    let lower = name.to_lowercase();
    match source {
        Source::Environment => vec![name.to_owned()],
        Source::FileVariables => vec![format!("{name}_FILE")],
        Source::Files => vec![format!("{NAME_PREFIX}{lower}"), lower.replace('_', "-"), name.to_owned()],
        _ => vec![lower.replace('_', "."), name.to_owned()],
    }
}

fn everything() -> Vec<(Source, String)> {
    let mut all = Vec::new();
    for source in Source::ALL {
        for prefix in PREFIXES {
            for name in [DECLARED[0], DECLARED[1], UNDECLARED, DANGEROUS] {
                let spelt = spellings(source, &format!("{prefix}{name}"));
                all.extend(spelt.into_iter().map(|key| (source, key)));
            }
        }
    }
    all
}

fn world() -> impl Strategy<Value = World> {
    let things = (
        subsequence(everything(), 0..24).prop_shuffle(),
        prop::collection::vec(prop::bool::weighted(0.8), 24),
    );
    let places = (
        option::weighted(0.1, select(Source::ALL.as_slice())),
        subsequence(EXTERNAL.to_vec(), 0..=EXTERNAL.len()).prop_shuffle(),
        any::<bool>(),
        any::<bool>(),
    );
    let selected = (option::of(select(ENVIRONMENTS.as_slice())), option::of(select(COLORS.as_slice())));
    (things, places, selected).prop_map(|((things, readable), places, (environment, color))| {
        let (unavailable, external, has_kubernetes, delivers_undeclared) = places;
        let thing = |((source, key), is_readable)| Thing { source, key, is_readable };
        let things = things.into_iter().zip(readable).map(thing).collect();
        World { things, unavailable, external, has_kubernetes, delivers_undeclared, environment, color }
    })
}

/// The rules, written down a second time: the more specific name wins, among equals the later place, and two keys of
/// one place for one name are a contradiction.
impl World {
    /// In rising priority.
    fn places(&self) -> Vec<Source> {
        let kubernetes = self.has_kubernetes.then_some(Source::Kubernetes);
        LOCAL.into_iter().chain(self.external.iter().copied()).chain(kubernetes).collect()
    }

    /// The prefixes in force, the most specific first.
    fn prefixes(&self) -> Vec<String> {
        let environment = self.environment.or_else(|| match self.assumed().as_slice() {
            [only] => Some(only),
            _ => None,
        });
        let selected = [self.color, environment].into_iter().flatten().map(prefix_of);
        selected.chain([String::new()]).collect()
    }

    fn expected(&self, name: &str) -> Expected {
        let is_declared = DECLARED.contains(&name);
        for prefix in self.prefixes() {
            for source in self.places().into_iter().rev() {
                // A plain variable counts only by its plain name; undeclared keys come from bulk sources only.
                let is_possible = if is_declared {
                    source != Source::Environment || prefix.is_empty()
                } else {
                    source.is_remote() && self.delivers_undeclared && self.unavailable != Some(source)
                };
                if is_possible && let Some(expected) = self.at(source, &format!("{prefix}{name}")) {
                    return expected;
                }
            }
        }
        Expected::Absent
    }

    fn at(&self, source: Source, name: &str) -> Option<Expected> {
        if self.unavailable == Some(source) {
            return Some(Expected::Unavailable(source));
        }
        let found: Vec<&Thing> =
            spellings(source, name).iter().filter_map(|key| self.find(source, key)).collect();
        match found.as_slice() {
            [] => None,
            [one] if one.is_readable => Some(Expected::Found(source, one.key.clone())),
            [one] => Some(Expected::Failed(source, one.key.clone())),
            several => Some(Expected::Ambiguous(several.iter().map(|thing| thing.key.clone()).collect())),
        }
    }

    fn find(&self, source: Source, key: &str) -> Option<&Thing> {
        self.things.iter().find(|thing| thing.source == source && thing.key == key)
    }

    /// The environments that have declared secrets here, where none was selected.
    fn assumed(&self) -> Vec<&'static str> {
        let places = self.places();
        let asked = places.iter().filter(|it| **it != Source::Environment && self.unavailable != Some(**it));
        let has_secrets = |environment: &&str| {
            asked.clone().any(|source| {
                let names = DECLARED.map(|name| format!("{}{name}", prefix_of(environment)));
                let mut keys = names.iter().flat_map(|name| spellings(*source, name));
                keys.any(|key| self.find(*source, &key).is_some())
            })
        };
        if self.environment.is_some() {
            Vec::new()
        } else {
            ENVIRONMENTS.into_iter().filter(has_secrets).collect()
        }
    }

    fn config(&self) -> Config {
        let undeclared = if self.delivers_undeclared { "deliver" } else { "ignore" };
        let manifest = format!(
            "version = 1\nname_prefix = \"{NAME_PREFIX}\"\nenvironments = [\"staging\", \"production\"]\n\
             colors = [\"blue\", \"green\"]\nundeclared = \"{undeclared}\"\n[secret.API_KEY]\n[secret.DB_URL]\n"
        );
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(manifest.as_bytes()).unwrap();
        let flags = Flags { manifest: Some(file.path().to_owned()), ..Flags::default() };
        let words: Vec<&str> = self.external.iter().map(|source| source.word()).collect();
        let variables = [
            self.environment.map(|name| format!("CRYOKEY_ENVIRONMENT={name}")),
            self.color.map(|name| format!("DEPLOYMENT_COLOR={name}")),
            self.has_kubernetes.then(|| "K8S_SECRET_NAME=app".to_owned()),
            Some(format!("EXTERNAL_SECRET_PROVIDER={}", words.join(","))),
        ];
        Config::load(flags, &Environ::new(variables.into_iter().flatten())).unwrap()
    }

    fn opened(&self) -> Vec<Opened<'static>> {
        let memory = |source| {
            let things = self.things.iter().filter(|thing| thing.source == source);
            let held =
                |thing: &Thing| Held { is_readable: thing.is_readable, ..Held::new(&thing.key, &thing.key) };
            let prefix = if source == Source::Files { NAME_PREFIX } else { "" };
            let mut memory = Memory::new(things.map(held).collect(), prefix);
            memory.is_unavailable = self.unavailable == Some(source);
            memory
        };
        self.places().into_iter().map(|source| (source, Ok(Place::Local(Box::new(memory(source)))))).collect()
    }
}

fn prefix_of(variant: &str) -> String {
    format!("{}_", variant.to_uppercase())
}

/// Whether a name comes to what is expected.
fn is(resolved: Option<&Resolved>, expected: &Expected) -> bool {
    let Some(tried) = resolved.and_then(Resolved::decisive) else { return *expected == Expected::Absent };
    let (source, key) = (tried.candidate.source, tried.key_text());
    match (&tried.fate, expected) {
        (Fate::Unavailable, Expected::Unavailable(expected)) => source == *expected,
        (Fate::Failed(_), Expected::Failed(place, name)) => (source, &key) == (*place, name),
        (Fate::Found(value), Expected::Found(place, name)) => {
            (source, &key) == (*place, name) && value.secret.expose() == name.as_bytes()
        }
        (Fate::Ambiguous, Expected::Ambiguous(keys)) => {
            let ambiguous: BTreeSet<String> =
                resolved.into_iter().flat_map(Resolved::ambiguous).map(Tried::key_text).collect();
            ambiguous == *keys
        }
        _ => false,
    }
}

fn settled(world: &World) -> Resolution {
    resolve(Plan::new(&world.config()), world.opened(), Deadline::after(Duration::from_mins(1)))
}

proptest! {
    #[test]
    fn no_order_of_keys_changes_the_winner_and_the_order_of_providers_decides_it(world in world()) {
        let resolution = settled(&world);
        for name in [DECLARED[0], DECLARED[1], UNDECLARED] {
            let resolved = resolution.get(name);
            let expected = world.expected(name);
            prop_assert!(is(resolved, &expected), "{name}: {resolved:?}, not {expected:?}");
            let found = resolved.into_iter().flat_map(|it| &it.tried).filter(|it| matches!(it.fate, Fate::Found(_)));
            prop_assert_eq!(found.count(), usize::from(matches!(expected, Expected::Found(..))));
        }
        let assumed = world.assumed();
        let agrees = match &resolution.assumed {
            Assumed::Nothing => assumed.is_empty(),
            Assumed::Only(only) => assumed == [only.as_str()],
            Assumed::Ambiguous(several) => several.len() > 1 && several.len() == assumed.len(),
        };
        prop_assert!(agrees, "{:?}, not {assumed:?}", resolution.assumed);
    }

    #[test]
    fn b01_b02_b03_a_dangerous_undeclared_name_is_never_delivered(world in world()) {
        let resolution = settled(&world);
        prop_assert!(resolution.secrets.iter().all(|resolved| !resolved.name.is_dangerous()));
        let left_out: BTreeSet<(Source, String)> =
            resolution.left_out.iter().map(|it| (it.source, it.key.path.to_string())).collect();
        let is_loaded = |thing: &&Thing| {
            let name = thing.key.to_uppercase().replace('.', "_");
            let is_in_force = world.places().contains(&thing.source) && world.unavailable != Some(thing.source);
            let other = |variants: [&'static str; 2], selected: Option<&'static str>, guessed: bool| {
                variants.into_iter().any(|it| name.starts_with(&prefix_of(it)) && selected != Some(it) && !(guessed && selected.is_none()))
            };
            let is_other = other(ENVIRONMENTS, world.environment, true) || other(COLORS, world.color, false);
            thing.source.is_remote() && is_in_force && name.ends_with(DANGEROUS) && !is_other
        };
        let expected: BTreeSet<(Source, String)> = world.things.iter().filter(|_| world.delivers_undeclared).filter(is_loaded)
            .map(|thing| (thing.source, thing.key.clone())).collect();
        prop_assert_eq!(left_out, expected);
    }
}
