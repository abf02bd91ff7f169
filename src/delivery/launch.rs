//! The app's environment: the inherited one, byte for byte, plus secrets, minus cryokey's own variables.

use std::collections::BTreeMap;
use std::ffi::OsString;

use init::Launch;

use super::{Delivered, Delivery};
use crate::environ::variable as environment;
use crate::error::{Problem, Reason};
use crate::escape::escaped;
use crate::resolve::Accepted;

/// The longest `NAME=value` that execve accepts: 32 pages including the NUL (`MAX_ARG_STRLEN`, execve(2)).
pub const LONGEST_VARIABLE: usize = 131_071;

/// The kernel limits all strings together to a quarter of the stack, but never to less or more than these (execve(2)).
const LEAST_TOTAL: u64 = 128 << 10;
const MOST_TOTAL: u64 = 6 << 20;

/// For the kernel's own data: the program's path twice, auxiliary values, alignment.
const RESERVE: u64 = 4_096;

const AS_FILE: &str = "deliver it as a file: `deliver = \"file\"`";

pub(super) fn launch(
    delivery: &Delivery<'_>,
    command: &[OsString],
    delivered: &Delivered,
) -> Result<Launch, Problem> {
    let (program, arguments) = command.split_first().ok_or_else(|| nul("the command"))?;
    let mut launch = Launch::new(program, arguments).map_err(|_| nul("the command"))?;
    for entry in delivery.inherited() {
        launch.inherit(entry.string());
    }
    if let Some(home) = delivery.run_as.home().filter(|_| delivery.is_home(environment::HOME)) {
        let entry = [environment::HOME.as_bytes(), b"=", home.as_os_str().as_encoded_bytes()].concat();
        launch.push_environment(entry).map_err(|_| nul(environment::HOME))?;
    }
    for (name, secret) in &delivery.variables {
        launch.push_environment(variable(name, secret)).map_err(|_| nul(name))?;
    }
    for (name, path) in &delivered.file_variables {
        let entry = [name.as_bytes(), b"=", path.as_os_str().as_encoded_bytes()].concat();
        launch.push_environment(entry).map_err(|_| nul(name))?;
    }
    check_total(&launch, &delivery.variables)?;
    Ok(launch)
}

impl Delivery<'_> {
    /// Reports values that no variable can hold.
    pub fn check_variables(&self) -> impl Iterator<Item = Problem> {
        self.variables.values().filter_map(check)
    }

    /// Inherited variables that a secret with another value overrides.
    pub(super) fn overridden(&self) -> impl Iterator<Item = Problem> {
        let differs = |name: &str, secret: &Accepted<'_>| {
            self.environ.value(name).is_some_and(|inherited| inherited != secret.variable_bytes())
        };
        let is_removed = |name: &str| self.removed.contains(name);
        let overridden =
            self.variables.iter().filter(move |(name, secret)| !is_removed(name) && differs(name, secret));
        overridden.map(|(name, secret)| {
            Problem::configuration(
                *name,
                format!(
                    "{name} is also a plain variable with another value; the secret ({}) overrides it",
                    secret.tried.label()
                ),
                "remove the plain variable; anyone who can inspect the container can see it",
            )
        })
    }

    pub(super) fn removed_note(&self) -> Option<String> {
        let is_dropped = |name: &&String| {
            self.environ.value(name).is_some() && !self.variables.contains_key(name.as_str())
        };
        let existing = self.removed.iter().filter(is_dropped);
        let names: Vec<String> = existing.map(escaped).collect();
        (!names.is_empty()).then(|| format!("the app does not inherit {}", names.join(", ")))
    }
}

fn check(secret: &Accepted<'_>) -> Option<Problem> {
    let name = secret.name.as_str();
    let bytes = secret.variable_bytes();
    let place = || secret.tried.label();
    if secret.value.secret.is_utf16() {
        let what = format!("{name} ({}) is UTF-16", place());
        return Some(Problem::new(Reason::Nul, name, what, "save the file as UTF-8 without BOM"));
    }
    if let Some(at) = bytes.iter().position(|byte| *byte == 0) {
        let what = format!("{name} ({}) contains a NUL at byte {at}, which a variable cannot hold", place());
        return Some(Problem::new(Reason::Nul, name, what, AS_FILE));
    }
    let size = name.len() + 1 + bytes.len();
    (size > LONGEST_VARIABLE).then(|| {
        let what = format!(
            "{name} ({}) is too large for a variable: `{name}=…` has {size} bytes, but the kernel allows {LONGEST_VARIABLE}",
            place()
        );
        Problem::new(Reason::Size, name, what, AS_FILE)
    })
}

fn variable(name: &str, secret: &Accepted<'_>) -> Vec<u8> {
    let bytes = secret.variable_bytes();
    // Allocated at its final size: growing would leave a copy of the value behind.
    let mut entry = Vec::with_capacity(name.len() + 1 + bytes.len() + 1);
    entry.extend_from_slice(name.as_bytes());
    entry.push(b'=');
    entry.extend_from_slice(bytes);
    entry
}

fn check_total(launch: &Launch, variables: &BTreeMap<&str, Accepted<'_>>) -> Result<(), Problem> {
    let stack = rustix::process::getrlimit(rustix::process::Resource::Stack).current.unwrap_or(u64::MAX);
    let limit = (stack / 4).clamp(LEAST_TOTAL, MOST_TOTAL).saturating_sub(RESERVE);
    let size = launch.size() as u64;
    if size <= limit {
        return Ok(());
    }
    let mut sizes: Vec<(usize, &str)> =
        variables.iter().map(|(name, secret)| (secret.value.secret.expose().len(), *name)).collect();
    sizes.sort_unstable_by(|left, right| right.cmp(left));
    let largest: Vec<String> =
        sizes.iter().take(3).map(|(size, name)| format!("{name} ({size} bytes)")).collect();
    Err(Problem {
        reason: Reason::Size,
        names: sizes.iter().take(3).map(|(_, name)| (*name).to_owned()).collect(),
        what: format!(
            "arguments and environment have {size} bytes in total, but the kernel allows {limit}; the largest secrets are {}",
            largest.join(", ")
        ),
        fix: "deliver the largest secrets as files: `deliver = \"file\"`".into(),
    })
}

fn nul(what: &str) -> Problem {
    Problem::new(Reason::Nul, what, format!("{what} contains a NUL"), "remove it")
}
