//! Which environment and color are in force, through the binary, compared with the rules of docs/names.md written down a
//! second time.

use std::collections::BTreeSet;

use proptest::option;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use crate::support::Test;

const ENVIRONMENTS: [&str; 3] = ["staging", "production", "pre-prod"];
const COLORS: [&str; 2] = ["blue", "green"];
const NAMES: [&str; 2] = ["TOKEN", "OTHER"];
const VARIABLES: [&str; 3] = ["CRYOKEY_ENVIRONMENT", "APP_ENV", "FLASK_ENV"];

/// What is mounted, set and asked for.
#[derive(Debug, Clone)]
struct World {
    files: Vec<String>,
    file_variables: Vec<String>,
    plain: Vec<String>,
    selectors: [Option<String>; 3],
    color: Option<String>,
}

/// What becomes of it.
#[derive(Debug, PartialEq, Eq)]
enum Expected {
    /// 78, and the name that is reported.
    Refused(&'static str),
    /// 66 for the required secret.
    Missing,
    /// The value of each name.
    Starts([Option<String>; 2]),
}

fn spellings() -> Vec<String> {
    let prefixes = ENVIRONMENTS.iter().chain(&COLORS).map(|variant| prefix(variant)).chain([String::new()]);
    prefixes.flat_map(|prefix| NAMES.map(|name| format!("{prefix}{name}"))).collect()
}

fn prefix(variant: &str) -> String {
    format!("{}_", variant.to_uppercase().replace('-', "_"))
}

/// A declared word as people spell it, or wrapped by mistake, or another word.
fn word(declared: &'static [&'static str]) -> impl Strategy<Value = String> {
    let spelt = select(declared).prop_flat_map(|word| {
        select(vec![word.to_owned(), word.to_uppercase(), word[..1].to_uppercase() + &word[1..]])
    });
    let wrapped =
        (select(declared), select(vec!["'_'", "\"_\"", " _", "_\r", "_ ", "\t_", "\u{feff}_", "\"_\"\r"]))
            .prop_map(|(word, wrap)| wrap.replace('_', word));
    let other = select(vec!["development", "stagin", "prod", "pre_prod", "purple", "\"\"", " ", "0"]);
    prop_oneof![5 => spelt, 1 => wrapped, 3 => other.prop_map(str::to_owned), 1 => Just(String::new())]
}

fn world() -> impl Strategy<Value = World> {
    let some = |most: usize| subsequence(spellings(), 0..most);
    let selector = |share: f64| option::weighted(share, word(&ENVIRONMENTS));
    let selectors = (selector(0.3), selector(0.4), selector(0.3));
    (some(6), some(4), some(3), selectors, option::weighted(0.4, word(&COLORS))).prop_map(
        |(files, file_variables, plain, (own, app, flask), color)| {
            // A name and its file variable together are a mistake of their own.
            let is_apart = |name: &String| !plain.contains(name);
            let file_variables = file_variables.into_iter().filter(is_apart).collect();
            World { files, file_variables, plain, selectors: [own, app, flask], color }
        },
    )
}

/// What a variable says.
enum Says {
    Declared(&'static str),
    Wrapped,
    Undeclared,
}

fn says(text: &str, declared: &[&'static str]) -> Says {
    let is = |text: &str| declared.iter().find(|word| **word == text.to_lowercase()).copied();
    let inside: String = text.chars().filter(|it| it.is_ascii_alphanumeric() || "-_".contains(*it)).collect();
    match (is(text), is(&inside)) {
        (Some(word), _) => Says::Declared(word),
        (None, Some(_)) => Says::Wrapped,
        (None, None) => Says::Undeclared,
    }
}

impl World {
    fn expected(&self) -> Expected {
        let mut environment = None;
        let mut may_assume = true;
        for (variable, text) in VARIABLES.into_iter().zip(&self.selectors) {
            let Some(text) = text.as_ref().filter(|text| !text.is_empty()) else { continue };
            match says(text, &ENVIRONMENTS) {
                Says::Declared(word) => {
                    environment = Some(word);
                    break;
                }
                Says::Undeclared if variable != VARIABLES[0] => may_assume = false,
                Says::Wrapped | Says::Undeclared => return Expected::Refused(variable),
            }
        }
        let color = self.color.as_ref().filter(|text| !text.is_empty()).map(|text| says(text, &COLORS));
        let color = match color {
            Some(Says::Wrapped) => return Expected::Refused("DEPLOYMENT_COLOR"),
            Some(Says::Declared(word)) => Some(word),
            Some(Says::Undeclared) | None => None,
        };
        if environment.is_none() && may_assume {
            let existing = ENVIRONMENTS.into_iter().filter(|it| self.has_secrets_of(it));
            let existing: Vec<&str> = existing.collect();
            match existing.as_slice() {
                [] => {}
                [only] => environment = Some(only),
                _ => return Expected::Refused("CRYOKEY_ENVIRONMENT"),
            }
        }
        let values = NAMES.map(|name| self.value(name, [color, environment]));
        if values[0].is_none() { Expected::Missing } else { Expected::Starts(values) }
    }

    fn has_secrets_of(&self, environment: &str) -> bool {
        let is = |name: &str| {
            let full = format!("{}{name}", prefix(environment));
            self.files.contains(&full) || self.file_variables.contains(&full)
        };
        NAMES.iter().any(|name| is(name))
    }

    /// The more specific name, and of equals the file.
    fn value(&self, name: &str, selected: [Option<&str>; 2]) -> Option<String> {
        let prefixes = selected.into_iter().flatten().map(prefix).chain([String::new()]);
        for full in prefixes.map(|prefix| format!("{prefix}{name}")) {
            if self.files.contains(&full) {
                return Some(value("file", &full));
            }
            if self.file_variables.contains(&full) {
                return Some(value("file variable", &full));
            }
        }
        self.plain.iter().any(|plain| plain == name).then(|| value("plain", name))
    }

    fn test(&self) -> Test {
        let manifest = "environments = [\"staging\", \"production\", \"pre-prod\"]\ncolors = [\"blue\", \"green\"]\n\
            allow_plain_env = true\n[secret.TOKEN]\nrequired = true\n[secret.OTHER]\n";
        let mut test = Test::with(manifest).variable("CRYOKEY_LOG", "info");
        for name in &self.files {
            test = test.secret(name, value("file", name));
        }
        for name in &self.file_variables {
            test = test.public_file(&format!("elsewhere/{name}"), value("file variable", name), 0o444);
            let path = test.at(format!("elsewhere/{name}"));
            test = test.variable(&format!("{name}_FILE"), path);
        }
        for name in &self.plain {
            test = test.variable(name, value("plain", name));
        }
        let selectors = VARIABLES.into_iter().zip(&self.selectors).chain([("DEPLOYMENT_COLOR", &self.color)]);
        selectors.fold(test, |test, (name, text)| match text {
            Some(text) => test.variable(name, text),
            None => test,
        })
    }
}

/// Different for each, and of one letter each eight bytes long, so that no name is part of it.
fn value(kind: &str, name: &str) -> String {
    let mixed = kind.bytes().chain(name.bytes()).map(|byte| char::from(b'a' + byte % 13));
    mixed.chain("qqqqqqqq".chars()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn the_app_gets_the_secrets_of_what_was_selected_and_of_nothing_else(world in world()) {
        let outcome = world.test().start();
        match world.expected() {
            Expected::Refused(name) => {
                prop_assert_eq!(outcome.code, 78, "{}", outcome.stderr);
                let last = outcome.stderr.lines().last().unwrap_or_default();
                prop_assert!(last.contains(name), "{name}: {last}");
            }
            Expected::Missing => {
                prop_assert_eq!(outcome.code, 66, "{}", outcome.stderr);
            }
            Expected::Starts(values) => {
                prop_assert_eq!(outcome.code, 0, "{}", outcome.stderr);
                let app = outcome.app();
                for (name, value) in NAMES.into_iter().zip(values) {
                    let got = app.get(name).map(|bytes| String::from_utf8_lossy(bytes).into_owned());
                    prop_assert_eq!(got, value, "{}: {}", name, outcome.stderr);
                }
                let prefixed: BTreeSet<&String> = world.plain.iter().filter(|name| name.contains('_')).collect();
                let warnings = outcome.stderr.lines().filter(|line| line.contains("not as a plain variable")).count();
                prop_assert_eq!(warnings, usize::from(!prefixed.is_empty()), "{}", outcome.stderr);
            }
        }
    }
}
