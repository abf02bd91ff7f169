//! Defaults, manifest, environment and flags merged into what is in force.

use std::path::PathBuf;
use std::time::Duration;

use crate::environ::{Environ, variable};
use crate::error::{Failure, Phase, Problem};
use crate::escape::escaped;
use crate::manifest::locate::{Origin, locate};
use crate::manifest::{Deliver, Manifest, Undeclared};
use crate::name::Variant;
use crate::provider::Source;
use crate::setting::{self, Choice, SETTINGS};
use crate::suggest::{did_you_mean, similar};

/// Where the development mode looks for secrets, as the contract has it.
pub const DEVELOPMENT_DIRECTORY: &str = "./.secrets";

const SECRETS_DIRECTORY: &str = "/run/secrets";
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// What was asked for on the command line; wins over everything else.
#[derive(Debug, Default)]
pub struct Flags {
    /// `--manifest`.
    pub manifest: Option<PathBuf>,
    /// `--secrets-dir`.
    pub secrets_dir: Option<PathBuf>,
    /// `--run-dir`.
    pub run_dir: Option<PathBuf>,
    /// `--dev`.
    pub dev: bool,
}

/// What is in force.
#[derive(Debug)]
pub struct Config {
    /// The declared secrets and variables.
    pub manifest: Manifest,
    /// Where the manifest was.
    pub origin: Origin,
    /// Which environment and color were selected.
    pub selection: Selection,
    /// `EXTERNAL_SECRET_PROVIDER`, in rising priority.
    pub external: Vec<Source>,
    /// Whether `K8S_SECRET_NAME` names a Secret.
    pub kubernetes: bool,
    /// `STRICT_SECRET_MODE`.
    pub strict_secrets: bool,
    /// `STRICT_ENV_MODE`.
    pub strict_env: bool,
    /// `STRICT_ROTATION_MODE`.
    pub strict_rotation: bool,
    /// `SECRET_ROTATION_THRESHOLD_DAYS`.
    pub rotation_threshold: Option<u64>,
    /// Whether files may be delivered to a disk.
    pub allow_disk: bool,
    /// Whether a required secret may come from a plain variable.
    pub allow_plain_env: bool,
    /// Variables that the app keeps although they would be removed.
    pub keep_env: Vec<String>,
    /// What secret files' names may begin with.
    pub name_prefix: String,
    /// Where files are delivered, if that was said.
    pub run_dir: Option<PathBuf>,
    /// Where secret files are.
    pub secrets_dir: PathBuf,
    /// How long everything before the app may take.
    pub start_timeout: Duration,
    /// Whether loose modes stop the start.
    pub strict_permissions: bool,
    /// What happens to undeclared keys of bulk sources.
    pub undeclared: Undeclared,
    /// Things to tell that are no problem.
    pub notices: Vec<Notice>,
}

/// Something to tell.
#[derive(Debug, PartialEq, Eq)]
pub enum Notice {
    /// For people who look closely.
    Info(String),
    /// For everybody.
    Warning(String),
}

/// Which secrets override the plain ones.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// The selected environment.
    pub environment: Option<Variant>,
    /// The selected color.
    pub color: Option<Variant>,
}

impl Config {
    /// What is in force, or everything that is wrong with what was asked for.
    pub fn load(flags: Flags, environ: &Environ) -> Result<Self, Failure> {
        let failed = |problems| Failure { phase: Phase::Configure, problems };
        let mut located = locate(flags.manifest.as_deref(), environ).map_err(failed)?;
        if flags.dev {
            // A key that opens another machine has no place on a developer's (behaviour §4).
            located.manifest.secrets.retain(|_, rule| rule.deliver != Deliver::Ssh);
        }
        let mut variables = Variables { environ, problems: Vec::new() };
        let mut notices = misspelt(environ);
        if located.skipped {
            notices.push(Notice::Info(
                "./cryokey.toml is not read as root or as PID 1; name it by --manifest to use it".into(),
            ));
        }
        let selection = select(&located.manifest, environ, &mut notices);
        let settings = located.manifest.settings.clone();
        let development = flags.dev.then(|| PathBuf::from(DEVELOPMENT_DIRECTORY));
        let secrets_dir = flags.secrets_dir.or(development).or_else(|| variables.path("secrets_dir"));
        let config = Self {
            selection,
            external: variables.external(),
            kubernetes: variables.has_kubernetes(),
            strict_secrets: variables.switch(variable::STRICT_SECRET_MODE).unwrap_or(true),
            strict_env: variables.switch(variable::STRICT_ENV_MODE).unwrap_or(true),
            strict_rotation: variables.switch(variable::STRICT_ROTATION_MODE).unwrap_or(false),
            rotation_threshold: variables.days(variable::SECRET_ROTATION_THRESHOLD_DAYS),
            allow_disk: variables.boolean("allow_disk").or(settings.allow_disk).unwrap_or(false),
            // A developer's own variables are as good as a made-up file.
            allow_plain_env: flags.dev
                || variables.boolean("allow_plain_env").or(settings.allow_plain_env).unwrap_or(false),
            keep_env: variables.list("keep_env").or(settings.keep_env).unwrap_or_default(),
            name_prefix: variables.text("name_prefix").or(settings.name_prefix).unwrap_or_default(),
            run_dir: flags.run_dir.or_else(|| variables.path("run_dir")).or(settings.run_dir),
            secrets_dir: secrets_dir.or(settings.secrets_dir).unwrap_or_else(|| SECRETS_DIRECTORY.into()),
            start_timeout: variables
                .duration("start_timeout")
                .or(settings.start_timeout)
                .unwrap_or(START_TIMEOUT),
            strict_permissions: variables
                .boolean("strict_permissions")
                .or(settings.strict_permissions)
                .unwrap_or(false),
            undeclared: variables.choice("undeclared").or(settings.undeclared).unwrap_or_default(),
            manifest: located.manifest,
            origin: located.origin,
            notices,
        };
        if variables.problems.is_empty() { Ok(config) } else { Err(failed(variables.problems)) }
    }
}

impl Config {
    /// The places that are read, in rising priority.
    #[must_use]
    pub fn sources(&self) -> Vec<Source> {
        let local = [Source::Environment, Source::FileVariables, Source::Files];
        let external = self.external.iter().copied();
        let kubernetes = self.kubernetes.then_some(Source::Kubernetes);
        local.into_iter().chain(external).chain(kubernetes).collect()
    }
}

/// Reads settings from variables and collects those that cannot be meant.
struct Variables<'a> {
    environ: &'a Environ,
    problems: Vec<Problem>,
}

impl Variables<'_> {
    fn boolean(&mut self, key: &str) -> Option<bool> {
        self.switch(setting::variable(key))
    }

    fn switch(&mut self, name: &'static str) -> Option<bool> {
        self.read(name, "true or false", setting::boolean)
    }

    fn duration(&mut self, key: &str) -> Option<Duration> {
        self.read(setting::variable(key), setting::DURATION, setting::duration)
    }

    fn days(&mut self, name: &'static str) -> Option<u64> {
        self.read(name, "a whole number of days over 0", |text| text.parse().ok().filter(|days| *days > 0))
    }

    fn choice<T: Choice>(&mut self, key: &str) -> Option<T> {
        self.read(setting::variable(key), &T::list(), T::from_text)
    }

    fn text(&self, key: &str) -> Option<String> {
        self.environ.text(setting::variable(key))
    }

    fn list(&self, key: &str) -> Option<Vec<String>> {
        self.text(key).map(|text| setting::list(&text))
    }

    fn path(&self, key: &str) -> Option<PathBuf> {
        self.environ.path(setting::variable(key))
    }

    fn read<T>(&mut self, name: &'static str, expected: &str, read: impl Fn(&str) -> Option<T>) -> Option<T> {
        let text = self.environ.text(name)?;
        let value = read(&text);
        if value.is_none() {
            let what = format!("{name}=`{}` is not what it takes", escaped(&text));
            self.problems.push(Problem::configuration(name, what, format!("set it to {expected}")));
        }
        value
    }

    /// The external providers in the order of their list, the last one with the highest priority.
    fn external(&mut self) -> Vec<Source> {
        let words = self.environ.text(variable::EXTERNAL_SECRET_PROVIDER).unwrap_or_default();
        let mut sources = Vec::new();
        for word in setting::list(&words) {
            let known = || Source::ALL.into_iter().filter(|source| source.is_external());
            match known().find(|source| source.word() == word.to_ascii_lowercase()) {
                Some(source) => {
                    sources.retain(|other| *other != source);
                    sources.push(source);
                }
                None => self.problems.push(unknown_provider(&word, known().map(Source::word))),
            }
        }
        sources
    }

    fn has_kubernetes(&mut self) -> bool {
        let is_set = |name| self.environ.set(name).is_some();
        let (name, namespace) = (variable::K8S_SECRET_NAME, variable::K8S_SECRET_NAMESPACE);
        if is_set(namespace) && !is_set(name) {
            self.problems.push(Problem::configuration(
                namespace,
                format!("{namespace} is set, but {name} is not"),
                format!("set {name} to the name of the Secret, or unset {namespace}"),
            ));
        }
        is_set(name)
    }
}

fn unknown_provider(word: &str, known: impl Iterator<Item = &'static str> + Clone) -> Problem {
    let name = variable::EXTERNAL_SECRET_PROVIDER;
    let hint = did_you_mean(word, known.clone());
    let words: Vec<&str> = known.collect();
    Problem::configuration(
        name,
        format!("invalid value `{}` for {name}{hint}", escaped(word)),
        format!("use one or more of {}, separated by commas", words.join(", ")),
    )
}

fn select(manifest: &Manifest, environ: &Environ, notices: &mut Vec<Notice>) -> Selection {
    let variables = [variable::ENVIRONMENT, variable::APP_ENV, variable::FLASK_ENV];
    let mut environment = None;
    for name in variables {
        environment = environment.or_else(|| declared(name, &manifest.environments, environ, notices));
    }
    Selection { environment, color: declared(variable::DEPLOYMENT_COLOR, &manifest.colors, environ, notices) }
}

fn declared(name: &str, known: &[Variant], environ: &Environ, notices: &mut Vec<Notice>) -> Option<Variant> {
    let text = environ.text(name)?;
    let found = known.iter().find(|variant| variant.as_str() == text.to_ascii_lowercase()).cloned();
    if found.is_none() && !known.is_empty() {
        let hint = did_you_mean(&text, known.iter().map(Variant::as_str));
        notices.push(Notice::Info(format!(
            "{name}=`{}` is not declared and selects nothing{hint}",
            escaped(&text)
        )));
    }
    found
}

/// Variables that look like one of ours and are none.
fn misspelt(environ: &Environ) -> Vec<Notice> {
    let known = || SETTINGS.iter().map(|setting| setting.variable).chain(variable::ALL.iter().copied());
    let contract = ["STRICT_", "SECRET_ROTATION_", "EXTERNAL_SECRET_", "K8S_SECRET_"];
    let is_suspect = |name: &str| {
        !known().any(|known| known == name)
            && (name.starts_with(variable::OURS)
                || contract.iter().any(|prefix| name.starts_with(prefix)) && similar(name, known()).is_some())
    };
    let names = environ.entries().filter_map(|entry| std::str::from_utf8(entry.name()).ok());
    let notice = |name: &str| {
        let hint = did_you_mean(name, known());
        Notice::Warning(format!("unknown variable {}: it changes nothing{hint}", escaped(name)))
    };
    names.filter(|name| is_suspect(name)).map(notice).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(variables: &[&str]) -> Result<Config, Failure> {
        Config::load(Flags::default(), &Environ::new(variables.iter().copied()))
    }

    #[test]
    fn flags_win_over_variables_and_variables_over_the_manifest() {
        let manifest = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(
            manifest.path(),
            "version = 1\nsecrets_dir = \"/m\"\nrun_dir = \"/m\"\nstart_timeout = \"1s\"\n",
        )
        .unwrap();
        let flags = Flags {
            manifest: Some(manifest.path().into()),
            run_dir: Some("/flag".into()),
            ..Flags::default()
        };
        let environ = Environ::new(["CRYOKEY_SECRETS_DIR=/v", "CRYOKEY_RUN_DIR=/v"]);
        let config = Config::load(flags, &environ).unwrap();
        assert_eq!(config.run_dir, Some("/flag".into()));
        assert_eq!(config.secrets_dir, PathBuf::from("/v"));
        assert_eq!(config.start_timeout, Duration::from_secs(1));
    }

    #[test]
    fn every_setting_of_the_table_refuses_what_it_cannot_mean_or_is_free_text() {
        let free = ["keep_env", "name_prefix", "run_dir", "secrets_dir"];
        for setting in SETTINGS {
            let outcome = load(&[&format!("{}=nonsense!", setting.variable)]);
            assert_eq!(outcome.is_ok(), free.contains(&setting.key), "{}", setting.variable);
        }
    }

    #[test]
    fn an_empty_variable_is_not_set() {
        let config =
            load(&["STRICT_SECRET_MODE=", "SECRET_ROTATION_THRESHOLD_DAYS=", "CRYOKEY_ALLOW_DISK="]).unwrap();
        assert!(config.strict_secrets && !config.allow_disk && config.rotation_threshold.is_none());
    }

    #[test]
    fn the_first_variable_with_a_declared_environment_selects_in_any_case() {
        let config =
            load(&["CRYOKEY_ENVIRONMENT=testing", "APP_ENV=Production", "FLASK_ENV=staging"]).unwrap();
        assert_eq!(config.selection.environment.unwrap().as_str(), "production");
        assert!(
            config
                .notices
                .iter()
                .any(|notice| matches!(notice, Notice::Info(text) if text.contains("testing")))
        );
    }

    #[test]
    fn k04_a_misspelt_variable_is_named_with_the_right_one() {
        let config =
            load(&["CRYOKEY_SECRET_DIR=/x", "STRICT_SECRETS_MODE=false", "STRICT_TRANSPORT=1"]).unwrap();
        let warnings: Vec<&str> = config
            .notices
            .iter()
            .filter_map(|notice| match notice {
                Notice::Warning(text) => Some(text.as_str()),
                Notice::Info(_) => None,
            })
            .collect();
        assert_eq!(warnings.len(), 2, "{warnings:?}");
        assert!(warnings[0].contains("did you mean `CRYOKEY_SECRETS_DIR`"));
        assert!(warnings[1].contains("did you mean `STRICT_SECRET_MODE`"));
    }

    #[test]
    fn external_providers_keep_the_order_of_their_list_and_the_last_mention_counts() {
        let external = |list: &str| load(&[&format!("EXTERNAL_SECRET_PROVIDER={list}")]).unwrap().external;
        assert_eq!(external("vault, AWS"), [Source::Vault, Source::Aws]);
        assert_eq!(external("aws,vault,aws"), [Source::Vault, Source::Aws]);
        assert_eq!(external(""), []);
    }

    #[test]
    fn an_unknown_provider_is_refused_with_the_nearest_word() {
        let failure = load(&["EXTERNAL_SECRET_PROVIDER=valut"]).unwrap_err();
        assert!(failure.problems[0].what.contains("did you mean `vault`"), "{:?}", failure.problems);
        assert!(load(&["EXTERNAL_SECRET_PROVIDER=files"]).is_err());
    }

    #[test]
    fn a_namespace_without_a_secret_is_refused() {
        assert!(load(&["K8S_SECRET_NAMESPACE=default"]).is_err());
        assert!(load(&["K8S_SECRET_NAMESPACE=default", "K8S_SECRET_NAME=app"]).unwrap().kubernetes);
    }

    #[test]
    fn a_threshold_is_a_whole_number_over_zero() {
        for text in ["0", "-1", "1.5", "ninety", "99999999999999999999"] {
            assert!(load(&[&format!("SECRET_ROTATION_THRESHOLD_DAYS={text}")]).is_err(), "{text}");
        }
    }
}
