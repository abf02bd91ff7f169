//! The manifest: the app's secrets, with a rule for each.

pub mod locate;
mod reader;
pub mod write;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use crate::environ::variable;
use crate::error::Problem;
use crate::name::{EnvName, Variant};
use crate::provider::file_variables;
use crate::provider::reference::Reference;
use crate::secret::Newline;
use crate::setting::Layer;
use crate::syntax::{AbsolutePath, Boolean, Choice, Days, Integer};
use reader::{Document, Settings, Table};

/// The versions of the manifest format that are supported.
pub const VERSIONS: std::ops::RangeInclusive<u64> = 1..=1;

/// Environments and colors together.
const MOST_VARIANTS: usize = 64;
/// The names of all secrets, plain and behind every environment and color.
const MOST_SPELLINGS: usize = 50_000;
/// Variables that must be set.
const MOST_REQUIRED: usize = 10_000;

/// A manifest.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Manifest {
    /// The environments whose names may prefix a secret's name, such as `STAGING_`.
    #[cfg_attr(test, schemars(with = "Vec<String>", default))]
    pub environments: Vec<Variant>,
    /// The colors whose names may prefix a secret's name, such as `BLUE_`.
    #[cfg_attr(test, schemars(with = "Vec<String>", default))]
    pub colors: Vec<Variant>,
    /// The declared secrets.
    #[cfg_attr(test, schemars(rename = "secret", with = "BTreeMap<String, SecretRule>", default))]
    pub secrets: BTreeMap<EnvName, SecretRule>,
    /// Variables that must be set for the app, as NAME or `NAME_FILE`.
    #[cfg_attr(test, schemars(rename = "env", with = "schema::EnvTable", default))]
    pub required_variables: Vec<EnvName>,
    /// Settings; a variable overrides each.
    #[cfg_attr(test, schemars(flatten))]
    pub settings: Layer,
}

/// The rule of one secret.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub struct SecretRule {
    /// Whether the app must not start without it. Default false.
    #[cfg_attr(test, schemars(default))]
    pub required: bool,
    /// The format that the value must have.
    pub format: Option<Format>,
    /// The minimum length of the value in bytes.
    pub min_length: Option<u64>,
    /// Whether the value may be empty. Default false.
    #[cfg_attr(test, schemars(default))]
    pub allow_empty: bool,
    /// Whether the value may look like a reference. Default false.
    #[cfg_attr(test, schemars(default))]
    pub allow_literal: bool,
    /// What happens to one trailing newline when the value becomes a variable. Default `strip-one`.
    #[cfg_attr(test, schemars(default))]
    pub newline: Newline,
    /// The age at which the value is too old, such as `90d`. Default: `SECRET_ROTATION_THRESHOLD_DAYS`.
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub rotate_every: Option<Duration>,
    /// How the app gets it. Default `env`.
    #[cfg_attr(test, schemars(default))]
    pub deliver: Deliver,
    /// Where an SSH key is written, instead of `$HOME/.ssh/id_<algorithm>`; an absolute path.
    pub path: Option<PathBuf>,
    /// Where it is read from, instead of looking up its name in every source; the first that exists is used.
    #[cfg_attr(test, schemars(with = "Vec<String>", default))]
    pub from: Vec<Reference>,
}

impl SecretRule {
    /// An optional secret, delivered as a variable.
    pub const DEFAULT: Self = Self {
        required: false,
        format: None,
        min_length: None,
        allow_empty: false,
        allow_literal: false,
        newline: Newline::StripOne,
        rotate_every: None,
        deliver: Deliver::Env,
        path: None,
        from: Vec::new(),
    };
}

/// How the app gets a secret.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename_all = "kebab-case"))]
pub enum Deliver {
    /// As the variable NAME.
    #[default]
    Env,
    /// As a file, and the variable `NAME_FILE` with its path.
    File,
    /// As variable and file.
    Both,
    /// As an SSH key in the home directory; never as a variable.
    Ssh,
}

impl Choice for Deliver {
    const WORDS: &'static [(&'static str, Self)] =
        &[("env", Self::Env), ("file", Self::File), ("both", Self::Both), ("ssh", Self::Ssh)];
}

/// The format of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename_all = "kebab-case"))]
pub enum Format {
    /// Base64, with the standard or the URL alphabet, padded or not.
    Base64,
    /// Pairs of hexadecimal digits.
    Hex,
    /// A decimal number, with or without a sign.
    Integer,
    /// A JSON document (RFC 8259).
    Json,
    /// One or more PEM sections (RFC 7468).
    Pem,
    /// A private SSH key without a passphrase.
    SshKey,
    /// UTF-8.
    Text,
    /// `scheme://` and something after it, without white space.
    Url,
}

impl Choice for Format {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("base64", Self::Base64),
        ("hex", Self::Hex),
        ("integer", Self::Integer),
        ("json", Self::Json),
        ("pem", Self::Pem),
        ("ssh-key", Self::SshKey),
        ("text", Self::Text),
        ("url", Self::Url),
    ];
}

impl Manifest {
    /// The environments and colors.
    pub fn variants(&self) -> impl Iterator<Item = &Variant> {
        self.environments.iter().chain(&self.colors)
    }

    /// `file` is the name for messages. `Err` holds every problem, not only the first.
    pub fn parse(text: &str, file: &str) -> Result<Self, Vec<Problem>> {
        let document = Document::parse(text, file)?;
        let root = document.root();
        let manifest = read(&root);
        root.finish();
        document.into_result(manifest)
    }
}

fn read(root: &Table<'_>) -> Manifest {
    version(root);
    let environments = root.variants("environments");
    let colors = root.variants("colors");
    variant_mistakes(root, &environments, &colors);
    if let Some(both) = environments.iter().find(|environment| colors.contains(environment)) {
        root.wrong("colors", &format!("`{both}` is both an environment and a color"), "rename one of them");
    }
    let secrets =
        root.table("secret").map(|table| secrets(&table, &environments, &colors)).unwrap_or_default();
    Manifest {
        secrets,
        required_variables: root.table("env").map(|table| required_variables(&table)).unwrap_or_default(),
        settings: settings(root),
        environments,
        colors,
    }
}

fn settings(root: &Table<'_>) -> Layer {
    let process = root.table("process");
    let layer = Layer::read(&Settings { root, process: process.as_ref() });
    process.iter().for_each(Table::finish);
    layer
}

fn version(root: &Table<'_>) {
    let range = format!("{} to {}", VERSIONS.start(), VERSIONS.end());
    match root.value::<Integer<0>>("version") {
        Some(version) if VERSIONS.contains(&version) => {}
        Some(version) if version > *VERSIONS.end() => root.wrong(
            "version",
            &format!("version {version} is newer than this cryokey supports ({range})"),
            "use a newer cryokey",
        ),
        Some(version) => root.wrong(
            "version",
            &format!("version {version} is not supported ({range})"),
            "write `version = 1`",
        ),
        None if root.has("version") => {}
        None => root.wrong("version", "it is missing", "write `version = 1` at the top"),
    }
}

fn required_variables(table: &Table<'_>) -> Vec<EnvName> {
    let names = table.names("required");
    if names.len() > MOST_REQUIRED {
        let what = format!("{} names, but cryokey accepts at most {MOST_REQUIRED}", names.len());
        table.wrong("required", &what, "list only what the app needs");
    }
    table.finish();
    names
}

fn secrets(table: &Table<'_>, environments: &[Variant], colors: &[Variant]) -> BTreeMap<EnvName, SecretRule> {
    let mut secrets = BTreeMap::new();
    for (key, rule) in table.tables() {
        match EnvName::parse(key) {
            Ok(name) if name.as_str().starts_with(variable::OWN_PREFIX) => {
                let what = format!("the app gets no variable that begins with {}", variable::OWN_PREFIX);
                table.wrong(name.as_str(), &what, "give it another name");
            }
            Ok(name) => drop(secrets.insert(name, secret(&rule))),
            Err(why) => rule.wrong_name(&format!("invalid name: {}", why.0)),
        }
    }
    meetings(table, &secrets, environments.iter().chain(colors));
    secrets
}

/// Reports secrets of which one's variable or file would stand for another too. Bounded before they are compared.
fn meetings<'a>(
    table: &Table<'_>,
    secrets: &'a BTreeMap<EnvName, SecretRule>,
    variants: impl Iterator<Item = &'a Variant> + Clone,
) {
    let spellings = secrets.len().saturating_mul(1 + variants.clone().count());
    if spellings > MOST_SPELLINGS {
        let what = format!(
            "{} secrets, each under its name and behind {} environments and colors, are {spellings} names to look \
             for; cryokey takes {MOST_SPELLINGS}",
            secrets.len(),
            variants.count()
        );
        return table.wrong_self(&what, "declare fewer secrets, environments or colors");
    }
    for (name, other, variant) in same_spelling(secrets, variants) {
        table.wrong(
            name.as_str(),
            &format!("`{name}` is also the `{variant}` variant of `{other}`"),
            "rename one of the two, or the environment or color",
        );
    }
    let as_files = secrets.iter().filter(|(_, rule)| matches!(rule.deliver, Deliver::File | Deliver::Both));
    for (name, _) in as_files {
        let file_variable = file_variables::of(name.as_str());
        if secrets.contains_key(file_variable.as_str()) {
            table.wrong(
                &file_variable,
                &format!("`{name}` is delivered as a file, so {file_variable} is the path of that file"),
                "rename one of the two, or deliver the first as a variable",
            );
        }
    }
}

/// Pairs of secrets of which the first, under some prefix or none, is spelt like the second under this longer one: one
/// file would then map to both.
fn same_spelling<'a>(
    secrets: &'a BTreeMap<EnvName, SecretRule>,
    variants: impl Iterator<Item = &'a Variant> + Clone,
) -> Vec<(&'a EnvName, &'a EnvName, &'a Variant)> {
    let mut pairs = Vec::new();
    let shorter: Vec<String> =
        std::iter::once(String::new()).chain(variants.clone().map(Variant::prefix)).collect();
    for variant in variants {
        let longer = variant.prefix();
        let rests = shorter.iter().filter_map(|shorter| longer.strip_prefix(shorter.as_str()));
        for rest in rests.filter(|rest| !rest.is_empty()) {
            let other = |name: &str| secrets.get_key_value(name.strip_prefix(rest)?).map(|(other, _)| other);
            pairs.extend(secrets.keys().filter_map(|name| Some((name, other(name.as_str())?, variant))));
        }
    }
    pairs
}

/// Reports environments and colors that cannot be meant.
fn variant_mistakes(root: &Table<'_>, environments: &[Variant], colors: &[Variant]) {
    if environments.len() + colors.len() > MOST_VARIANTS {
        let what = format!(
            "{} environments and {} colors, but cryokey accepts at most {MOST_VARIANTS} of both together",
            environments.len(),
            colors.len()
        );
        root.wrong("environments", &what, "list only those that have secrets of their own");
    }
    for (key, list) in [("environments", environments), ("colors", colors)] {
        let mut seen = BTreeSet::new();
        if let Some(twice) = list.iter().find(|variant| !seen.insert(variant.as_str())) {
            root.wrong(key, &format!("`{twice}` is listed twice"), "list it once");
        }
        if let Some(ours) = list.iter().find(|variant| variant.prefix().starts_with(variable::OWN_PREFIX)) {
            let what = format!("`{ours}` stands for names that begin with {}", variable::OWN_PREFIX);
            root.wrong(key, &what, "give it another name");
        }
    }
}

fn secret(table: &Table<'_>) -> SecretRule {
    let deliver = table.value::<Deliver>("deliver").unwrap_or_default();
    let rule = SecretRule {
        required: table.value::<Boolean>("required").unwrap_or_default(),
        format: table.value::<Format>("format"),
        min_length: table.value::<Integer<0>>("min_length"),
        allow_empty: table.value::<Boolean>("allow_empty").unwrap_or_default(),
        allow_literal: table.value::<Boolean>("allow_literal").unwrap_or_default(),
        newline: table.value::<Newline>("newline").unwrap_or_default(),
        rotate_every: table.value::<Days>("rotate_every"),
        deliver,
        path: table.value::<AbsolutePath>("path"),
        from: table.references("from"),
    };
    if rule.path.is_some() && deliver != Deliver::Ssh {
        table.wrong("path", "only an SSH key has a path", "add `deliver = \"ssh\"`, or remove `path`");
    }
    table.finish();
    rule
}

/// Types for the schema only: not every table of the manifest has a Rust type of its own.
#[cfg(test)]
pub(crate) mod schema {
    #![expect(dead_code, reason = "only their schema is used")]

    use schemars::JsonSchema;

    /// A whole manifest.
    #[derive(JsonSchema)]
    #[schemars(title = "cryokey.toml", deny_unknown_fields)]
    pub(crate) struct File {
        /// The version of the manifest format: 1.
        version: u8,
        #[schemars(flatten)]
        manifest: super::Manifest,
    }

    /// Variables of the app.
    #[derive(Default, JsonSchema)]
    #[schemars(deny_unknown_fields)]
    pub(crate) struct EnvTable {
        /// Variables that must be set, as NAME or `NAME_FILE`.
        #[schemars(default)]
        required: Vec<String>,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn properties(schema: &schemars::Schema) -> Vec<String> {
        schema.as_value()["properties"].as_object().unwrap().keys().cloned().collect()
    }

    #[test]
    fn the_schema_has_the_keys_that_the_reader_asks_for() {
        let document = Document::parse("", "x").unwrap();
        let root = document.root();
        read(&root);
        let mut schema = properties(&schemars::schema_for!(schema::File));
        schema.sort();
        assert_eq!(schema, root.asked().into_iter().collect::<Vec<_>>());
        let process = document.root();
        Layer::read(&Settings { root: &document.root(), process: Some(&process) });
        let in_table = schemars::schema_for!(schema::File).as_value()["properties"]["process"].clone();
        let mut schema = properties(&in_table.try_into().unwrap());
        schema.sort();
        assert_eq!(schema, process.asked().into_iter().collect::<Vec<_>>());
        let table = document.root();
        secret(&table);
        let mut schema = properties(&schemars::schema_for!(SecretRule));
        schema.sort();
        assert_eq!(schema, table.asked().into_iter().collect::<Vec<_>>());
    }

    fn problems(text: &str) -> Vec<String> {
        let problems = Manifest::parse(text, "cryokey.toml").unwrap_err();
        problems.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn everything_wrong_is_reported_with_line_and_column() {
        let found = problems("version = 1\nallow_disk = 3\n[secret.A]\nrequird = true\nmin_length = -1\n");
        assert_eq!(found.len(), 3, "{found:#?}");
        assert!(found[0].contains("cryokey.toml:2:14") && found[0].contains("allow_disk"), "{}", found[0]);
        assert!(
            found
                .iter()
                .any(|text| text.contains("cryokey.toml:4:1") && text.contains("did you mean `required`")),
            "{found:#?}"
        );
    }

    #[test]
    fn a_wrong_type_and_an_invalid_value_have_different_messages() {
        let found = problems("version = 1\nallow_disk = 3\nstart_timeout = \"30\"\nstrict_secrets = false\n");
        assert!(found[0].contains("`allow_disk`: expected a boolean, found an integer"), "{}", found[0]);
        assert!(found[1].contains("`start_timeout`: invalid value `30`"), "{}", found[1]);
        assert!(found[2].contains("`strict_secrets`: unknown key"), "{}", found[2]);
    }

    #[test]
    fn k05_an_older_and_a_newer_version_are_refused_with_the_range() {
        assert!(problems("version = 0")[0].contains("1 to 1"));
        assert!(problems("version = 2")[0].contains("newer"));
        assert!(problems("")[0].contains("version"));
    }

    #[test]
    fn a_key_given_twice_is_refused() {
        assert!(problems("version = 1\nversion = 1\n")[0].contains("cryokey.toml:2"));
    }

    #[test]
    fn one_file_cannot_map_to_two_secrets() {
        let found = problems("version=1\nenvironments=[\"staging\"]\n[secret.A]\n[secret.STAGING_A]\n");
        assert!(found[0].contains("STAGING_A") && found[0].contains("staging"), "{found:?}");
    }

    #[test]
    fn the_example_of_the_documentation_is_read() {
        let text = "version = 1\nenvironments = [\"staging\"]\n[secret.SECRET_KEY]\nrequired = true\n\
                    min_length = 32\nrotate_every = \"90d\"\ndeliver = \"file\"\n[env]\nrequired = [\"FLASK_APP\"]\n";
        let manifest = Manifest::parse(text, "x").unwrap();
        let rule = &manifest.secrets[&EnvName::built_in("SECRET_KEY")];
        assert_eq!(rule.rotate_every, Some(Duration::from_hours(2160)));
        assert_eq!(rule.deliver, Deliver::File);
        assert_eq!(manifest.required_variables, [EnvName::built_in("FLASK_APP")]);
    }
}
