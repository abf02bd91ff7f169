//! Merges defaults, manifest, environment and flags into the effective configuration.

use std::cell::RefCell;
use std::ops::Deref;
use std::path::PathBuf;

use crate::environ::{Environ, variable};
use crate::error::{Failure, Phase, Problem};
use crate::escape::escaped;
use crate::manifest::locate::{Origin, locate};
use crate::manifest::{Deliver, Manifest};
use crate::name::Variant;
use crate::provider::Source;
use crate::setting::{Layer, Reader, Settings, VARIABLE, VARIABLES};
use crate::suggest::{did_you_mean, similar};
use crate::syntax::Syntax;

/// The secrets directory of `--dev`.
pub const DEVELOPMENT_DIRECTORY: &str = "./.secrets";

/// The flags of the command line; they override everything else.
#[derive(Debug, Default)]
pub struct Flags {
    pub manifest: Option<PathBuf>,
    pub settings: Layer,
    pub dev: bool,
}

/// The effective configuration.
#[derive(Debug)]
pub struct Config {
    pub manifest: Manifest,
    pub origin: Origin,
    pub selection: Selection,
    /// `config.run_dir` is short for `config.settings.run_dir`.
    pub settings: Settings,
    /// To be logged.
    pub notices: Vec<Notice>,
}

impl Deref for Config {
    type Target = Settings;

    fn deref(&self) -> &Settings {
        &self.settings
    }
}

#[derive(Debug, PartialEq, Eq)]
pub enum Notice {
    Info(String),
    Warning(String),
}

/// The environment and color whose secrets override the plain ones.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    pub environment: Option<Variant>,
    pub color: Option<Variant>,
}

impl Config {
    /// `Err` holds every problem, not only the first.
    pub fn load(flags: Flags, environ: &Environ) -> Result<Self, Failure> {
        let failed = |problems| Failure { phase: Phase::Configure, problems };
        let mut located = locate(flags.manifest.as_deref(), environ).map_err(failed)?;
        if flags.dev {
            // A key that opens another machine does not belong on a developer's.
            located.manifest.secrets.retain(|_, rule| rule.deliver != Deliver::Ssh);
        }
        let mut notices = misspelt(environ);
        if located.skipped {
            notices.push(Notice::Info(
                "./cryokey.toml is ignored, because cryokey runs as root or as PID 1; to use it, pass --manifest".into(),
            ));
        }
        let selection = select(&located.manifest, environ, &mut notices);
        let variables = Variables { environ, problems: RefCell::default() };
        let development = if flags.dev { development() } else { Layer::default() };
        let said = flags.settings.or(development).or(Layer::read(&variables));
        let settings = said.or(located.manifest.settings.clone()).or_default();
        check_kubernetes(&settings, &variables);
        let problems = variables.problems.into_inner();
        if !problems.is_empty() {
            return Err(failed(problems));
        }
        Ok(Self { manifest: located.manifest, origin: located.origin, selection, settings, notices })
    }
}

impl Config {
    /// The sources that are read, in ascending order of precedence.
    #[must_use]
    pub fn sources(&self) -> Vec<Source> {
        let local = [Source::Environment, Source::FileVariables, Source::Files];
        let kubernetes = self.kubernetes_secret.is_some().then_some(Source::Kubernetes);
        local.into_iter().chain(self.external.iter().copied()).chain(kubernetes).collect()
    }
}

/// The settings of `--dev`, which override variables and manifest.
fn development() -> Layer {
    Layer {
        secrets_dir: Some(DEVELOPMENT_DIRECTORY.into()),
        // On a developer's machine, a variable is as good as a generated file.
        allow_plain_env: Some(true),
        ..Layer::default()
    }
}

/// Reads settings from variables, and collects the invalid ones.
struct Variables<'a> {
    environ: &'a Environ,
    problems: RefCell<Vec<Problem>>,
}

impl Reader for Variables<'_> {
    fn read<S: Syntax>(&self, variable: &'static str, _key: Option<&'static str>) -> Option<S::Value> {
        let bytes = self.environ.set(variable)?;
        let value = S::from_variable(bytes);
        if value.is_none() {
            let what = format!("invalid value `{}` for {variable}{}", escaped(bytes), S::hint(bytes));
            let fix = format!("set it to {}", S::usage());
            self.problems.borrow_mut().push(Problem::configuration(variable, what, fix));
        }
        value
    }
}

/// A namespace without a name does not identify a Secret.
fn check_kubernetes(settings: &Settings, variables: &Variables<'_>) {
    let (name, namespace) = (VARIABLE.kubernetes_secret, VARIABLE.kubernetes_namespace);
    if settings.kubernetes_namespace.is_some() && settings.kubernetes_secret.is_none() {
        let what = format!("{namespace} is set, but {name} is not");
        let fix = format!("set {name} to the name of the Secret, or unset {namespace}");
        variables.problems.borrow_mut().push(Problem::configuration(namespace, what, fix));
    }
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

/// Unknown variables that look like a setting of cryokey.
fn misspelt(environ: &Environ) -> Vec<Notice> {
    let known = || VARIABLES.iter().chain(variable::ALL).copied();
    let contract = ["STRICT_", "SECRET_ROTATION_", "EXTERNAL_SECRET_", "K8S_SECRET_"];
    let is_suspect = |name: &str| {
        !known().any(|known| known == name)
            && (name.starts_with(variable::OWN_PREFIX)
                || contract.iter().any(|prefix| name.starts_with(prefix)) && similar(name, known()).is_some())
    };
    let names = environ.entries().filter_map(|entry| std::str::from_utf8(entry.name()).ok());
    let notice = |name: &str| {
        let hint = did_you_mean(name, known());
        Notice::Warning(format!("unknown variable {} has no effect{hint}", escaped(name)))
    };
    names.filter(|name| is_suspect(name)).map(notice).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn load(variables: &[&str]) -> Result<Config, Failure> {
        Config::load(Flags::default(), &Environ::new(variables.iter().copied()))
    }

    #[test]
    fn flags_override_variables_and_variables_override_the_manifest() {
        let manifest = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(
            manifest.path(),
            "version = 1\nsecrets_dir = \"/m\"\nrun_dir = \"/m\"\nstart_timeout = \"1s\"\n",
        )
        .unwrap();
        let flags = Flags {
            manifest: Some(manifest.path().into()),
            settings: Layer { run_dir: Some("/flag".into()), ..Layer::default() },
            ..Flags::default()
        };
        let environ = Environ::new(["CRYOKEY_SECRETS_DIR=/v", "CRYOKEY_RUN_DIR=/v"]);
        let config = Config::load(flags, &environ).unwrap();
        assert_eq!(config.run_dir, Some("/flag".into()));
        assert_eq!(config.secrets_dir, PathBuf::from("/v"));
        assert_eq!(config.start_timeout, Duration::from_secs(1));
    }

    #[test]
    fn all_invalid_variables_are_reported_at_once() {
        let failure =
            load(&["CRYOKEY_ALLOW_DISK=maybe", "CRYOKEY_START_TIMEOUT=30", "CRYOKEY_UNDECLARED=Deliver"]);
        let reported: Vec<String> = failure.unwrap_err().problems.iter().map(ToString::to_string).collect();
        assert_eq!(reported.len(), 3, "{reported:?}");
        assert!(reported[0].contains("invalid value `maybe` for CRYOKEY_ALLOW_DISK"), "{}", reported[0]);
        assert!(reported[0].contains("true or false"), "{}", reported[0]);
    }

    #[test]
    fn development_overrides_all_but_the_flag() {
        let with = |secrets_dir: Option<PathBuf>| Flags {
            dev: true,
            settings: Layer { secrets_dir, ..Layer::default() },
            ..Flags::default()
        };
        let environ = Environ::new(["CRYOKEY_SECRETS_DIR=/v", "CRYOKEY_ALLOW_PLAIN_ENV=false"]);
        let config = Config::load(with(None), &environ).unwrap();
        assert_eq!(config.secrets_dir, PathBuf::from(DEVELOPMENT_DIRECTORY));
        assert!(config.allow_plain_env);
        let config = Config::load(with(Some("/flag".into())), &environ).unwrap();
        assert_eq!(config.secrets_dir, PathBuf::from("/flag"));
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
        let external =
            |list: &str| load(&[&format!("EXTERNAL_SECRET_PROVIDER={list}")]).unwrap().settings.external;
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
        assert!(
            load(&["K8S_SECRET_NAMESPACE=default", "K8S_SECRET_NAME=app"])
                .unwrap()
                .sources()
                .contains(&Source::Kubernetes)
        );
    }

    #[test]
    fn a_threshold_is_a_whole_number_over_zero() {
        for text in ["0", "-1", "1.5", "ninety", "99999999999999999999"] {
            assert!(load(&[&format!("SECRET_ROTATION_THRESHOLD_DAYS={text}")]).is_err(), "{text}");
        }
    }
}
