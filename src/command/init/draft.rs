//! From the input files to the manifest's text. Pure.

use super::compose::Compose;
use super::decide::{Decision, Place, Role, decide};
use super::offers::{Offers, Via};
use super::{env_example, kind, text};
use crate::error::Problem;
use crate::escape::escaped;
use crate::name::EnvName;
use crate::provider::file_variables;
use crate::suggest::did_you_mean;
use crate::system::read::LIMIT;

/// The maximum number of names from one place; one with more is not a place for secrets.
pub(super) const MOST_NAMES: usize = 10_000;

/// The input.
#[derive(Debug, Default)]
pub struct Sources {
    /// The Compose file.
    pub compose: Option<Source>,
    /// Files that Compose would merge with it and that were not read.
    pub overrides: Vec<String>,
    /// The service to write the manifest for.
    pub service: Option<String>,
    /// The example of an environment file.
    pub env_example: Option<Source>,
    /// The secrets directory: its label and its file names.
    pub files: Option<(String, Vec<String>)>,
}

/// The content of a file, with a label for messages.
#[derive(Debug)]
pub struct Source {
    /// The file's path, escaped.
    pub place: String,
    /// The content, with invalid UTF-8 replaced.
    pub text: String,
}

/// A manifest that is not yet written.
#[derive(Debug)]
pub struct Draft {
    /// The text of the manifest.
    pub text: String,
    /// The number of declared secrets.
    pub count: usize,
    /// Remarks for the user.
    pub remarks: Vec<String>,
    /// Actions required before the app can start.
    pub warnings: Vec<String>,
}

/// Drafts the manifest.
pub fn draft(sources: &Sources) -> Result<Draft, Vec<Problem>> {
    let compose = sources.compose.as_ref().map(read).transpose().map_err(|problem| vec![problem])?;
    let places = places(sources, compose.as_ref())?;
    let problems: Vec<Problem> =
        places.iter().flat_map(|place| place.offers.collisions(&place.label)).collect();
    if !problems.is_empty() {
        return Err(problems);
    }
    let decision: Decision = decide(&places);
    let remarks = remarks(sources, compose.as_ref(), &places);
    let text = text::manifest(&decision, &remarks);
    if text.len() > LIMIT {
        return Err(vec![too_long()]);
    }
    Ok(Draft { text, count: decision.secrets.len(), remarks, warnings: decision.warnings })
}

fn read(source: &Source) -> Result<Compose, Problem> {
    Compose::parse(&source.text).map_err(|error| {
        let fix = "correct it, or name another file by --compose";
        Problem::configuration(&source.place, error.what(&source.place), fix)
    })
}

fn places<'a>(sources: &'a Sources, compose: Option<&'a Compose>) -> Result<Vec<Place<'a>>, Vec<Problem>> {
    let mut places = Vec::new();
    if let (Some(named), None) = (&sources.service, compose) {
        let what = format!("no compose file was found that could have the service {}", escaped(named));
        return Err(vec![no_service(named, &what, "name one by --compose")]);
    }
    if let (Some(source), Some(compose)) = (&sources.compose, compose) {
        let concerned = compose.concerned(sources.service.as_deref());
        if let Some(named) = sources.service.as_deref().filter(|_| concerned.is_empty()) {
            let hint = did_you_mean(named, compose.services.iter().map(|service| service.name.as_str()));
            let what = format!("{} has no service {}{hint}", source.place, escaped(named));
            return Err(vec![no_service(named, &what, "name one of its services")]);
        }
        places.extend(concerned.into_iter().map(|service| Place {
            label: format!("{}: {}", source.place, escaped(&service.name)),
            offers: Offers::of(service),
            role: Role::Service(service),
        }));
        places.push(unused(source, compose));
    }
    if let Some(source) = &sources.env_example {
        places.push(Place {
            label: source.place.clone(),
            offers: example(&source.text),
            role: Role::Example,
        });
    }
    if let Some((label, names)) = &sources.files {
        let offers = Offers::named(names.iter().cloned(), &Via::File);
        places.push(Place { label: label.clone(), offers, role: Role::Directory });
    }
    Ok(places)
}

fn no_service(named: &str, what: &str, fix: &str) -> Problem {
    Problem::configuration(escaped(named), what, fix)
}

/// The manifest must stay below the size that `check` and `run` can read.
fn too_long() -> Problem {
    let what = format!("the manifest would have more than {LIMIT} bytes");
    Problem::configuration(
        "cryokey.toml",
        what,
        "name one service by --service, or declare the secrets by hand",
    )
}

/// Secrets declared at the top level that no service mounts. They may be build secrets, which are not needed at
/// startup.
fn unused<'a>(source: &Source, compose: &Compose) -> Place<'a> {
    let mounts = compose.services.iter().flat_map(|service| &service.mounts);
    let used: std::collections::HashSet<&str> = mounts.map(|mount| mount.source.as_str()).collect();
    let mut offers = Offers::default();
    for name in compose.declared.iter().filter(|name| !used.contains(name.as_str())) {
        offers.leave_out(name, "no service mounts it");
    }
    Place { label: source.place.clone(), offers, role: Role::Example }
}

fn example(text: &str) -> Offers {
    let (secrets, others): (Vec<&str>, Vec<&str>) =
        env_example::names(text).take(MOST_NAMES).partition(|name| kind::is_secret(name));
    // `NAME_FILE` holds the path of the secret NAME.
    let secret = |name: &str| match file_variables::name_of(name) {
        Some(inner) if EnvName::parse(inner).is_ok() => inner.to_owned(),
        _ => name.to_owned(),
    };
    let mut offers = Offers::named(secrets.into_iter().map(secret), &Via::Name);
    for name in others {
        offers.leave_out(name, "it does not look like a secret; declare it by hand if it is one");
    }
    offers
}

/// Remarks on the included services, and on parts that only Compose itself can resolve.
fn remarks(sources: &Sources, compose: Option<&Compose>, places: &[Place<'_>]) -> Vec<String> {
    let (Some(source), Some(compose)) = (&sources.compose, compose) else { return Vec::new() };
    let services = places.iter().filter_map(|place| match place.role {
        Role::Service(service) => Some(escaped(&service.name)),
        Role::Directory | Role::Example => None,
    });
    let services: Vec<String> = services.collect();
    let mut remarks = Vec::new();
    if services.len() > 1 {
        remarks.push(format!(
            "{}: this is for the services {}. Required is what all of them have; for one of them: --service NAME",
            source.place,
            services.join(", ")
        ));
    }
    let overrides = sources.overrides.iter().map(String::as_str);
    for unread in compose.unread.iter().copied().chain(overrides) {
        remarks.push(format!(
            "{}: not read: {unread}; `docker compose config | cryokey init --compose -` includes it",
            source.place
        ));
    }
    remarks
}
