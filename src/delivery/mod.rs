//! How the app gets its secrets: variables, files, SSH keys. All are resolved and checked before the first is made.

pub mod atomic;
pub mod environment;
pub mod files;
mod leftovers;
pub mod ssh;

use std::path::PathBuf;

use crate::accounts;
use crate::config::Config;
use crate::environ::Environ;
use crate::error::Problem;
use crate::manifest::Deliver;
use crate::plan::{Entry, Purpose};
use crate::resolve::{Resolution, Resolved, Value};

/// A secret that the app gets.
#[derive(Debug, Clone, Copy)]
pub struct Accepted<'a> {
    /// What it is.
    pub entry: &'a Entry,
    /// Its value.
    pub value: &'a Value<'a>,
}

/// What was placed outside the app's environment.
#[derive(Debug, Default)]
pub struct Placed {
    /// `NAME_FILE` variables for the app.
    pub file_variables: Vec<(String, PathBuf)>,
    /// Things to tell that do not stop the start.
    pub warnings: Vec<Problem>,
    /// What was done, for the log.
    pub notes: Vec<String>,
    /// The folder of delivered files, which is ours alone.
    folder: Option<PathBuf>,
    /// Files and folders elsewhere that did not exist before, in the order of their making.
    created: Vec<PathBuf>,
}

/// The secrets that the app gets: those with a value, empty ones only where that is allowed.
pub fn accepted<'a>(resolution: &'a Resolution<'_>) -> impl Iterator<Item = Accepted<'a>> {
    resolution.secrets.iter().filter_map(|resolved| accepted_value(resolved))
}

fn accepted_value<'a>(resolved: &'a Resolved<'_>) -> Option<Accepted<'a>> {
    let value = resolved.outcome.value()?;
    let is_value = resolved.entry.rule.allow_empty || !value.is_empty(resolved.entry);
    let is_for_app = resolved.entry.purpose == Purpose::Secret;
    (is_value && is_for_app).then_some(Accepted { entry: resolved.entry, value })
}

/// Makes the files and keys. On failure nothing that was made stays.
pub fn place(
    resolution: &Resolution<'_>,
    config: &Config,
    environ: &Environ,
) -> Result<Placed, Vec<Problem>> {
    let mut placed = Placed::default();
    let outcome = files::place(resolution, config, &mut placed)
        .and_then(|()| ssh_keys(resolution, config, environ, &mut placed));
    match outcome {
        Ok(()) => Ok(placed),
        Err(problem) => {
            placed.undo();
            Err(vec![problem])
        }
    }
}

/// What stands in the way of placing and of starting any app at all, as far as it can be told without doing it.
#[must_use]
pub fn check(resolution: &Resolution<'_>, config: &Config, environ: &Environ) -> Vec<Problem> {
    let app = ["app".into()];
    let launch = environment::launch(&app, resolution, config, environ, &mut Placed::default());
    let keys = accepted(resolution).filter(|secret| secret.entry.rule.deliver == Deliver::Ssh);
    let home = accounts::home(environ);
    let keys = keys.filter_map(|secret| ssh::check(secret, &home).err());
    launch.err().into_iter().chain(files::check(resolution, config).err()).chain(keys).collect()
}

fn ssh_keys(
    resolution: &Resolution<'_>,
    config: &Config,
    environ: &Environ,
    placed: &mut Placed,
) -> Result<(), Problem> {
    for secret in accepted(resolution).filter(|secret| secret.entry.rule.deliver == Deliver::Ssh) {
        ssh::place(secret, config, &accounts::home(environ), placed)?;
    }
    Ok(())
}

impl Placed {
    /// Takes away what did not exist before: a start that fails leaves nothing behind.
    pub fn undo(&self) {
        // What cannot be taken away is not ours to report: the failure that led here is.
        let _ = self.folder.as_deref().map(leftovers::remove);
        for path in self.created.iter().rev() {
            // A folder that somebody else has put something into meanwhile stays.
            let _ = if path.is_dir() { std::fs::remove_dir(path) } else { std::fs::remove_file(path) };
        }
    }
}
