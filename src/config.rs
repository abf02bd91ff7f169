//! Merges defaults, manifest, environment and flags into the effective configuration.

mod references;
mod selection;

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Deref;
use std::path::PathBuf;

use crate::environ::{Environ, variable};
use crate::error::{Failure, Phase, Problem};
use crate::escape::escaped;
use crate::manifest::locate::{Located, Origin, locate};
use crate::manifest::{Deliver, Manifest};
use crate::name::{EnvName, Variant};
use crate::provider::Source;
use crate::setting::{Layer, Reader, Settings, VARIABLE, VARIABLES};
use crate::suggest::{did_you_mean, similar};
use crate::syntax::Syntax;
pub use selection::Selection;

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
    /// Plain variables with the name of a declared secret behind a prefix, and that secret: they are never used.
    pub prefixed: BTreeMap<String, EnvName>,
    /// Secrets whose plain variable was read as a reference: the app does not inherit that variable.
    pub referring: BTreeSet<EnvName>,
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
        let variables = Variables { environ, problems: RefCell::default() };
        let development = if flags.dev { development() } else { Layer::default() };
        let said = flags.settings.or(development).or(Layer::read(&variables));
        let settings = said.or(located.manifest.settings.clone()).or_default();
        check_kubernetes(&settings, &variables);
        variables.problems.borrow_mut().extend(prefix_meets(&located.manifest, &settings));
        let mut problems = variables.problems.into_inner();
        let referring = if settings.references {
            references::read(&mut located.manifest, environ, &mut problems)
        } else {
            BTreeSet::new()
        };
        let selection = selection::select(&located.manifest, environ, &mut notices, &mut problems);
        if !problems.is_empty() {
            return Err(failed(problems));
        }
        let prefixed = prefixed(&located.manifest, environ);
        let Located { manifest, origin, .. } = located;
        Ok(Self { manifest, origin, selection, settings, prefixed, referring, notices })
    }
}

impl Config {
    /// The sources that are read: those in which names are looked up, and those that only references name.
    #[must_use]
    pub fn all_sources(&self) -> Vec<Source> {
        let mut sources = self.sources();
        for reference in self.manifest.secrets.values().flat_map(|rule| &rule.from) {
            if !sources.contains(&reference.source) {
                sources.push(reference.source);
            }
        }
        sources
    }

    /// The sources in which names are looked up, in ascending order of precedence.
    #[must_use]
    pub fn sources(&self) -> Vec<Source> {
        let local = [Source::Environment, Source::FileVariables, Source::Files];
        let kubernetes = (!self.kubernetes_secrets.is_empty()).then_some(Source::Kubernetes);
        local.into_iter().chain(self.external.iter().copied()).chain(kubernetes).collect()
    }
}

/// The settings of `--dev`, which override variables and manifest.
fn development() -> Layer {
    Layer {
        secrets_dir: Some(DEVELOPMENT_DIRECTORY.into()),
        // On a developer's machine, a variable is as good as a generated file.
        allow_plain_env: Some(true),
        // A developer's machine need not have the app's user.
        user_if_root: Some(true),
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
        let (variable, bytes) = self.set(variable)?;
        let value = S::from_variable(bytes);
        if value.is_none() {
            let what = format!("invalid value `{}` for {variable}{}", escaped(bytes), S::hint(bytes));
            let fix = format!("set it to {}", S::usage());
            self.problems.borrow_mut().push(Problem::configuration(variable, what, fix));
        }
        value
    }
}

impl Variables<'_> {
    /// The variable that is set. `OpenBao`'s own spelling of a variable of Vault overrides it.
    fn set(&self, variable: &'static str) -> Option<(Cow<'static, str>, &[u8])> {
        let twin = variable.strip_prefix("VAULT_").map(|rest| format!("BAO_{rest}"));
        let twin = twin.and_then(|twin| Some((self.environ.set(&twin)?, twin)));
        twin.map(|(bytes, twin)| (Cow::Owned(twin), bytes))
            .or_else(|| Some((Cow::Borrowed(variable), self.environ.set(variable)?)))
    }
}

/// A namespace without a name does not identify a Secret.
fn check_kubernetes(settings: &Settings, variables: &Variables<'_>) {
    let (name, namespace) = (VARIABLE.kubernetes_secrets, VARIABLE.kubernetes_namespace);
    if settings.kubernetes_namespace.is_some() && settings.kubernetes_secrets.is_empty() {
        let what = format!("{namespace} is set, but {name} is not");
        let fix = format!("set {name} to the name of the Secret, or unset {namespace}");
        variables.problems.borrow_mut().push(Problem::configuration(namespace, what, fix));
    }
}

/// Two secrets that one file would stand for, with the name prefix and without.
fn prefix_meets(manifest: &Manifest, settings: &Settings) -> Option<Problem> {
    let prefix = Some(&settings.name_prefix).filter(|prefix| !prefix.is_empty())?;
    let secrets = &manifest.secrets;
    let behind = |name: &EnvName| {
        let file = [prefix, name.as_str().get(prefix.len()..)?].concat();
        let is_whole = EnvName::from_key(&file, "").is_ok_and(|whole| whole == *name);
        EnvName::from_key(&file, prefix).ok().filter(|behind| is_whole && secrets.contains_key(behind))
    };
    let (name, behind) = secrets.keys().find_map(|name| Some((name, behind(name)?)))?;
    let what =
        format!("with the name prefix `{}`, one file maps to both {name} and {behind}", escaped(prefix));
    Some(Problem::configuration(
        VARIABLE.name_prefix,
        what,
        format!("rename one of the two, or change {}", VARIABLE.name_prefix),
    ))
}

/// Plain variables that are called like a declared secret behind a prefix.
fn prefixed(manifest: &Manifest, environ: &Environ) -> BTreeMap<String, EnvName> {
    let prefixes: Vec<String> = manifest.variants().map(Variant::prefix).collect();
    let stamp = EnvName::built_in(variable::SECRET_ROTATION_TIMESTAMP);
    let secret = |name: &str| {
        let declared = manifest.secrets.get_key_value(name);
        let declared = declared.filter(|(_, rule)| rule.from.is_empty()).map(|(name, _)| name);
        declared.or_else(|| (name == stamp.as_str()).then_some(&stamp)).cloned()
    };
    let behind = |name: &str| prefixes.iter().find_map(|prefix| secret(name.strip_prefix(prefix)?));
    let set = environ.entries().filter(|entry| entry.value().is_some_and(|value| !value.is_empty()));
    let names = set.filter_map(|entry| std::str::from_utf8(entry.name()).ok());
    names.filter_map(|name| Some((name.to_owned(), behind(name)?))).collect()
}

/// Unknown variables that look like a setting of cryokey. Comparing a name with all known ones takes time, so only the
/// first few are compared.
fn misspelt(environ: &Environ) -> Vec<Notice> {
    const MOST: usize = 20;
    const CONTRACT: [&str; 4] = ["STRICT_", "SECRET_ROTATION_", "EXTERNAL_SECRET_", "K8S_SECRET_"];
    let known = || VARIABLES.iter().chain(variable::ALL).copied();
    let begins = |name: &str, prefixes: &[&str]| prefixes.iter().any(|prefix| name.starts_with(prefix));
    let unknown = |prefixes| -> Vec<&str> {
        let names = environ.entries().filter_map(|entry| std::str::from_utf8(entry.name()).ok());
        let names = names.filter(|name| begins(name, prefixes));
        names.filter(|name| !known().any(|known| known == *name)).collect()
    };
    let (ours, contract) = (unknown(&[variable::OWN_PREFIX]), unknown(&CONTRACT));
    let alike = contract.into_iter().take(MOST).filter(|name| similar(name, known()).is_some());
    let notice = |name: &str| {
        let hint = did_you_mean(name, known());
        Notice::Warning(format!("unknown variable {} has no effect{hint}", escaped(name)))
    };
    let mut notices: Vec<Notice> = ours.iter().copied().take(MOST).chain(alike).map(notice).collect();
    let more = ours.len().saturating_sub(MOST);
    if more > 0 {
        notices.push(Notice::Warning(format!(
            "{more} more unknown variables begin with {}",
            variable::OWN_PREFIX
        )));
    }
    notices
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
        let config = load(&["CRYOKEY_ENVIRONMENT=", "APP_ENV=testing", "FLASK_ENV=Production"]).unwrap();
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
