//! The secrets that a place offers. A secret that cannot be declared is recorded with the reason.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::compose::{Mount, Service};
use super::kind;
use crate::environ::variable;
use crate::error::Problem;
use crate::escape::escaped;
use crate::name::EnvName;
use crate::provider::reference::Reference;
use crate::provider::{Source, file_variables};
use crate::setting::VARIABLES;

/// A secret that can be declared, and where it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Offer {
    /// The name, which may include the prefix of an environment or a color.
    pub(super) name: EnvName,
    /// The name as spelled in the place, such as a file name.
    pub(super) key: String,
    pub(super) via: Via,
}

/// How cryokey finds the secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Via {
    /// By the name of a file in the secrets directory.
    File,
    /// By a reference to a file whose name does not map to the secret's name.
    Reference(Reference),
    /// By a variable that holds the file's path.
    Variable(String),
    /// Not at all yet; only the name is known.
    Name,
}

/// The offers of one place.
#[derive(Debug, Default)]
pub(super) struct Offers {
    pub(super) all: Vec<Offer>,
    /// The name of every offer, with its spelling in this place.
    seen: BTreeSet<(EnvName, String)>,
    /// Secrets that are not declared, with the reason.
    pub(super) left_out: Vec<(String, String)>,
    /// Names that must not be declared, with the reason: here, the variable has another meaning.
    pub(super) forbidden: BTreeMap<EnvName, String>,
}

impl Offers {
    /// The offers of a service.
    pub(super) fn of(service: &Service) -> Self {
        let mut offers = Self::default();
        for mount in &service.mounts {
            offers.add_mount(mount, service);
        }
        offers.settle_twins();
        offers.forbid_variables(service);
        offers.forbid_bootstrap(service);
        offers
    }

    /// The offers of a place without services: file names, or variables.
    pub(super) fn named(keys: impl IntoIterator<Item = String>, via: &Via) -> Self {
        let mut offers = Self::default();
        for key in keys {
            offers.add(&key, &key, via.clone());
        }
        offers
    }

    /// Problems for files of this place that map to the same name.
    pub(super) fn collisions(&self, place: &str) -> Vec<Problem> {
        let mut first: BTreeMap<&EnvName, &Offer> = BTreeMap::new();
        let mut problems = Vec::new();
        for offer in &self.all {
            let one = first.entry(&offer.name).or_insert(offer);
            if one.key != offer.key && one.via == Via::File && offer.via == Via::File {
                let (name, one, other) = (&offer.name, escaped(&one.key), escaped(&offer.key));
                let what = format!("{place}: {one} and {other} both become {name}");
                problems.push(Problem::configuration(name.as_str(), what, "rename one of the two"));
            }
        }
        problems
    }

    fn add_mount(&mut self, mount: &Mount, service: &Service) {
        let source = mount.source.as_str();
        let Some(path) = mount.path.as_deref() else {
            return self.leave_out(source, WITH_VARIABLE);
        };
        let variables = service.path_variables.get(path).map(Vec::as_slice).unwrap_or_default();
        let (file_variables, others): (Vec<&String>, Vec<&String>) =
            variables.iter().partition(|variable| file_variables::name_of(variable).is_some());
        if !file_variables.is_empty() {
            for variable in file_variables {
                self.add_variable(variable, source);
            }
        } else if let Some(variable) = others.first() {
            let why = format!("the variable {} holds its path, and keeps it", escaped(variable));
            let names = others.iter().filter_map(|variable| EnvName::parse(variable).ok());
            self.forbidden.extend(names.map(|name| (name, why.clone())));
            self.leave_out(source, &why);
        } else if service.mentions(path) {
            self.leave_out(
                source,
                "its path is part of the command or of a variable: it is read where it is mounted",
            );
        } else {
            self.add_path(source, path, service);
        }
    }

    fn add_variable(&mut self, variable: &str, source: &str) {
        let Some(name) = file_variables::name_of(variable) else { return };
        let is_usual = variable == file_variables::of(name);
        let keeps = EnvName::parse(variable).is_ok_and(|variable| variable.is_dangerous())
            || EnvName::parse(name).is_err()
            || !is_usual && kind::is_key_file(source);
        if keeps {
            let why = format!("the variable {} holds its path, and keeps it", escaped(variable));
            return self.leave_out(source, &why);
        }
        self.add(name, source, Via::Variable(variable.to_owned()));
    }

    fn add_path(&mut self, source: &str, path: &str, service: &Service) {
        let Some(below) = service.below_secrets(path) else {
            let why = format!(
                "it is mounted as {}; set NAME_FILE to that path to have it delivered",
                escaped(path)
            );
            return self.leave_out(source, &why);
        };
        let file = below.rsplit('/').next().unwrap_or(below);
        if file == below && !file.starts_with('.') {
            return self.add(file, below, Via::File);
        }
        let Ok(reference) = Reference::parse(&format!("files:{below}")) else {
            return self.leave_out(source, "no reference can name its path");
        };
        let is_taken = |key: &str| EnvName::from_key(key, "").is_ok_and(|name| self.offers_name(&name));
        let visible = file.trim_start_matches('.');
        let key = if is_taken(visible) { source } else { visible };
        self.add(key, below, Via::Reference(reference));
    }

    fn add(&mut self, key: &str, shown: &str, via: Via) {
        match EnvName::from_key(key, "") {
            Ok(name) if name.as_str() == variable::SECRET_ROTATION_TIMESTAMP => {
                self.leave_out(shown, ROTATION_STAMP);
            }
            Ok(name) if is_setting(&name) => self.leave_out(shown, "it is a setting of cryokey"),
            Ok(name) if name.is_dangerous() => {
                self.leave_out(shown, DANGEROUS);
            }
            Ok(name) => {
                let via_variable = if let Via::Variable(variable) = &via { variable.as_str() } else { "" };
                if self.seen.insert((name.clone(), format!("{shown} {via_variable}"))) {
                    self.all.push(Offer { name, key: shown.to_owned(), via });
                }
            }
            Err(why) => self.leave_out(shown, why.0),
        }
    }

    fn offers_name(&self, name: &EnvName) -> bool {
        let from = (name.clone(), String::new());
        self.seen.range(from..).next().is_some_and(|(found, _)| found == name)
    }

    pub(super) fn leave_out(&mut self, key: &str, why: &str) {
        self.left_out.push((key.to_owned(), why.to_owned()));
    }

    /// Forbids a name with two different sources, because the manifest cannot say which one is meant. Two plain files
    /// are left to [`Self::collisions`].
    fn settle_twins(&mut self) {
        let mut seen: BTreeMap<&EnvName, &Offer> = BTreeMap::new();
        let mut twins = BTreeSet::new();
        for offer in &self.all {
            let first = seen.entry(&offer.name).or_insert(offer);
            let are_files = first.via == Via::File && offer.via == Via::File;
            if *first != offer && !are_files {
                twins.insert(offer.name.clone());
            }
        }
        let why = |name: &EnvName| format!("two of a service's secrets map to {name}");
        self.forbidden.extend(twins.into_iter().map(|name| (name.clone(), why(&name))));
    }

    /// Forbids names that cryokey signs in with.
    fn forbid_bootstrap(&mut self, service: &Service) {
        let providers = service.remote_providers().into_iter();
        let names = providers.flat_map(Source::bootstrap_names);
        let names = names.filter_map(|name| EnvName::parse(name).ok());
        self.forbidden.extend(names.map(|name| (name, BOOTSTRAP.to_owned())));
    }

    /// Forbids names whose variable the service sets itself, and names whose `NAME_FILE` does not point to a mounted
    /// secret.
    fn forbid_variables(&mut self, service: &Service) {
        let paths: HashSet<&str> = service.mounts.iter().filter_map(|mount| mount.path.as_deref()).collect();
        let names_secret = service.path_variables.iter().filter(|(path, _)| paths.contains(path.as_str()));
        let names_secret: HashSet<&str> =
            names_secret.flat_map(|(_, names)| names).map(String::as_str).collect();
        for (variable, value) in &service.environment {
            if value.as_deref() == Some("") {
                continue;
            }
            if let Some(name) = EnvName::parse(variable).ok().filter(|name| self.offers_name(name)) {
                let why = format!("the service sets the variable {name} itself");
                self.forbidden.entry(name).or_insert(why);
            }
            let named = file_variables::name_of(variable).and_then(|name| EnvName::parse(name).ok());
            if let Some(name) = named.filter(|_| !names_secret.contains(variable.as_str())) {
                let why = format!("the variable {} names something else", escaped(variable));
                self.forbidden.entry(name).or_insert(why);
            }
        }
    }
}

/// Reasons for leaving a name out.
pub(super) const ROTATION_STAMP: &str = "cryokey reads it itself, and the app does not need it";
pub(super) const DANGEROUS: &str = "could steer a process; declare it by hand if that is meant";

const BOOTSTRAP: &str = "cryokey signs in with it; declare it by hand if the app needs it too";

/// The reason for leaving out a name that contains a variable such as `${X}`.
const WITH_VARIABLE: &str =
    "it depends on a variable; `docker compose config | cryokey init --compose -` resolves it";

fn is_setting(name: &EnvName) -> bool {
    VARIABLES.iter().chain(variable::ALL).any(|known| *known == name.as_str())
}
