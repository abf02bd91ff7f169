//! The app's environment: what was inherited, byte for byte, with secrets put in and what is ours taken out.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;

use init::Launch;

use super::{Accepted, Placed, accepted};
use crate::config::Config;
use crate::environ::{Entry as Inherited, Environ, variable};
use crate::error::{Exit, Problem};
use crate::escape::escaped;
use crate::manifest::Deliver;
use crate::plan::Purpose;
use crate::provider::Source;
use crate::provider::file_variables::SUFFIX;
use crate::resolve::{Fate, Resolution};

/// The longest `NAME=value` that execve takes: 32 pages with the final NUL (`MAX_ARG_STRLEN`, execve(2)).
pub const LONGEST_VARIABLE: usize = 131_071;

/// The kernel's limits for all strings together: a quarter of the stack, at least and at most these (execve(2)).
const LEAST_TOTAL: u64 = 128 << 10;
const MOST_TOTAL: u64 = 6 << 20;

/// What the kernel needs besides the strings: the program's path twice, auxiliary values, alignment.
const RESERVE: u64 = 4_096;

/// What changes in the environment.
#[derive(Debug, Default)]
struct Changes<'a> {
    /// Secrets that become variables.
    set: BTreeMap<&'a str, Accepted<'a>>,
    /// Variables that are taken out, and the reason to tell.
    removed: BTreeSet<String>,
}

/// Reports values that cannot be a variable, before anything is placed.
#[must_use]
pub fn check(resolution: &Resolution<'_>) -> Vec<Problem> {
    accepted(resolution).filter(|secret| becomes_variable(*secret)).filter_map(check_one).collect()
}

/// Puts together what will run. `Err`: it is larger than the kernel takes.
pub fn launch(
    command: &[OsString],
    resolution: &Resolution<'_>,
    config: &Config,
    environ: &Environ,
    placed: &mut Placed,
) -> Result<Launch, Problem> {
    let changes = changes(resolution, config, environ);
    placed.warnings.extend(overridden(&changes, environ));
    if let Some(note) = removed_note(&changes, environ) {
        placed.notes.push(note);
    }
    let (program, arguments) = command.split_first().ok_or_else(|| nul("the command"))?;
    let mut launch = Launch::new(program, arguments).map_err(|_| nul("the command"))?;
    for entry in environ.entries().filter(|entry| stays(entry, &changes, placed)) {
        launch.inherit(entry.string());
    }
    for (name, secret) in &changes.set {
        launch.push_environment(variable(name, *secret)).map_err(|_| nul(name))?;
    }
    for (name, path) in &placed.file_variables {
        let entry = [name.as_bytes(), b"=", path.as_os_str().as_encoded_bytes()].concat();
        launch.push_environment(entry).map_err(|_| nul(name))?;
    }
    check_total(&launch, &changes)?;
    Ok(launch)
}

fn becomes_variable(secret: Accepted<'_>) -> bool {
    let is_variable = matches!(secret.entry.rule.deliver, Deliver::Env | Deliver::Both);
    let candidate = secret.value.candidate;
    let is_there = candidate.source == Source::Environment && candidate.key.0 == secret.entry.name.as_str();
    is_variable && !is_there
}

fn check_one(secret: Accepted<'_>) -> Option<Problem> {
    let name = secret.entry.name.as_str();
    let place = format!("{} {}", secret.value.candidate.source.text(), secret.value.candidate.key);
    let bytes = secret.value.secret.expose_as(secret.entry.rule.newline);
    if let Some(at) = bytes.iter().position(|byte| *byte == 0) {
        let what = format!("{name} ({place}) has a NUL at byte {at}, which no variable can hold");
        return Some(Problem::new(
            Exit::Value,
            "nul",
            name,
            what,
            "deliver it as a file: `deliver = \"file\"`",
        ));
    }
    let size = name.len() + 1 + bytes.len();
    (size > LONGEST_VARIABLE).then(|| {
        let what = format!(
            "{name} ({place}) is too large for a variable: `{name}=…` has {size} bytes, the kernel takes {LONGEST_VARIABLE}"
        );
        Problem::new(Exit::Value, "size", name, what, "deliver it as a file: `deliver = \"file\"`")
    })
}

fn changes<'a>(resolution: &'a Resolution<'_>, config: &Config, environ: &Environ) -> Changes<'a> {
    let mut changes = Changes::default();
    for secret in accepted(resolution) {
        let name = secret.entry.name.as_str();
        if becomes_variable(secret) {
            changes.set.insert(name, secret);
        } else if !matches!(secret.entry.rule.deliver, Deliver::Env | Deliver::Both) {
            changes.removed.insert(name.to_owned());
        }
    }
    let ours = environ.entries().filter_map(|entry| std::str::from_utf8(entry.name()).ok());
    let ours = ours.filter(|name| name.starts_with(variable::OURS)).map(str::to_owned);
    let is_kept = |name: &String| config.keep_env.contains(name);
    changes.removed.extend(consumed(resolution).into_iter().chain(ours).filter(|name| !is_kept(name)));
    changes
}

/// `NAME_FILE` variables that were read, and variables that an empty secret took the place of.
fn consumed(resolution: &Resolution<'_>) -> Vec<String> {
    let mut consumed = Vec::new();
    for resolved in resolution.secrets.iter().filter(|resolved| resolved.entry.purpose == Purpose::Secret) {
        for (candidate, fate) in resolved.entry.candidates.iter().zip(&resolved.fates) {
            if candidate.source == Source::FileVariables && matches!(fate, Fate::Won | Fate::Lost) {
                consumed.push(candidate.key.0.clone());
            }
        }
        let is_emptied = resolved.outcome.value().is_some_and(|value| {
            value.candidate.source.is_for_secrets()
                && value.is_empty(resolved.entry)
                && !resolved.entry.rule.allow_empty
        });
        if is_emptied {
            consumed.push(resolved.entry.name.to_string());
        }
    }
    consumed
}

fn stays(entry: &Inherited, changes: &Changes<'_>, placed: &Placed) -> bool {
    let Ok(name) = std::str::from_utf8(entry.name()) else { return true };
    let is_replaced = changes.set.contains_key(name)
        || placed.file_variables.iter().any(|(file_variable, _)| file_variable == name);
    !is_replaced && !changes.removed.contains(name)
}

fn variable(name: &str, secret: Accepted<'_>) -> Vec<u8> {
    let bytes = secret.value.secret.expose_as(secret.entry.rule.newline);
    // The right size at once: growing would leave a copy of the value behind.
    let mut entry = Vec::with_capacity(name.len() + 1 + bytes.len() + 1);
    entry.extend_from_slice(name.as_bytes());
    entry.push(b'=');
    entry.extend_from_slice(bytes);
    entry
}

/// Variables that a secret of the same name, with another value, takes the place of.
fn overridden(changes: &Changes<'_>, environ: &Environ) -> Vec<Problem> {
    let differs = |name: &&&str, secret: &Accepted<'_>| {
        let bytes = secret.value.secret.expose_as(secret.entry.rule.newline);
        environ.value(name).is_some_and(|inherited| inherited != bytes)
    };
    let overridden = changes.set.iter().filter(|(name, secret)| differs(name, secret));
    let problem = |(name, secret): (&&str, &Accepted<'_>)| {
        let place = format!("{} {}", secret.value.candidate.source.text(), secret.value.candidate.key);
        Problem::configuration(
            *name,
            format!("{name} is also a plain variable with another value; the secret ({place}) wins"),
            "remove the plain variable: everybody who may inspect the container sees it",
        )
    };
    overridden.map(problem).collect()
}

fn removed_note(changes: &Changes<'_>, environ: &Environ) -> Option<String> {
    let there = changes.removed.iter().filter(|name| environ.value(name).is_some());
    let names: Vec<_> = there.map(escaped).collect();
    (!names.is_empty()).then(|| format!("the app does not inherit {}", names.join(", ")))
}

fn check_total(launch: &Launch, changes: &Changes<'_>) -> Result<(), Problem> {
    let stack = rustix::process::getrlimit(rustix::process::Resource::Stack).current.unwrap_or(u64::MAX);
    let limit = (stack / 4).clamp(LEAST_TOTAL, MOST_TOTAL).saturating_sub(RESERVE);
    let size = launch.size() as u64;
    if size <= limit {
        return Ok(());
    }
    let mut sizes: Vec<(usize, &str)> =
        changes.set.iter().map(|(name, secret)| (secret.value.secret.expose().len(), *name)).collect();
    sizes.sort_unstable_by(|left, right| right.cmp(left));
    let largest: Vec<String> =
        sizes.iter().take(3).map(|(size, name)| format!("{name} ({size} bytes)")).collect();
    Err(Problem {
        exit: Exit::Value,
        names: sizes.iter().take(3).map(|(_, name)| (*name).to_owned()).collect(),
        reason: "size",
        what: format!(
            "arguments and environment have {size} bytes together, the kernel takes {limit}; the largest secrets are {}",
            largest.join(", ")
        ),
        fix: "deliver the largest as files: `deliver = \"file\"`".into(),
    })
}

fn nul(what: &str) -> Problem {
    Problem::new(Exit::Value, "nul", what, format!("{what} has a NUL in it"), "remove it")
}

/// The `NAME_FILE` variable of a name.
#[must_use]
pub fn file_variable(name: &str) -> String {
    format!("{name}{SUFFIX}")
}
