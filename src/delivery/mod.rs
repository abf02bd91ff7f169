//! How the app gets its secrets: variables, files, SSH keys. This is decided once, before the rules, which consult the
//! decision. Nothing is created before every rule holds.

pub mod files;
pub mod launch;
mod made;
mod note;
pub mod ssh;
mod stale;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::PathBuf;

use init::{Courier, Directory};
use rustix::io::Errno;
use rustix::process::Pid;

use crate::config::Config;
use crate::environ::{Entry as Inherited, Environ, variable};
use crate::error::Problem;
use crate::manifest::{Deliver, SecretRule};
use crate::name::EnvName;
use crate::provider::{Source, file_variables};
use crate::resolve::{Accepted, Fate, Resolution, Resolved};
use crate::run_as::RunAs;
use crate::ssh_key::{Key, NotAKey};
use crate::system::accounts::{self, Home};
use files::Place;
use made::Made;

/// The app's environment, files and keys as they will be.
#[derive(Debug)]
pub struct Delivery<'a> {
    config: &'a Config,
    environ: &'a Environ,
    run_as: &'a RunAs,
    /// Where files go.
    place: Place,
    variables: BTreeMap<&'a str, Accepted<'a>>,
    files: Vec<Accepted<'a>>,
    /// Each with its parsed key, or why it is not one.
    keys: Vec<(Accepted<'a>, Result<Key, NotAKey>)>,
    /// The rules of all secrets that are SSH keys, also of those without a value.
    key_rules: Vec<&'a SecretRule>,
    /// Where keys are written.
    home: Home,
    /// Variables that the app does not inherit.
    removed: BTreeSet<String>,
    /// `NAME_FILE` variables of delivered files, which replace inherited ones.
    file_variables: BTreeSet<String>,
}

/// Which process starts the app, and outlives it if it does not become it.
#[derive(Debug, Clone, Copy)]
pub enum Starter<'a> {
    /// This one, which becomes the app.
    ThisProcess,
    /// Init, which starts the app and stays.
    Init(&'a Courier),
}

/// What was delivered outside the environment. Dropping this removes the files again, so a failed startup leaves nothing
/// behind; after `execve`, nothing is dropped.
#[derive(Debug, Default)]
pub struct Delivered {
    pub file_variables: Vec<(String, PathBuf)>,
    pub warnings: Vec<Problem>,
    /// For the log.
    pub notes: Vec<String>,
    /// Open for the app, under numbers that `file_variables` name.
    pub memory_files: Vec<OwnedFd>,
    made: Made,
}

impl<'a> Delivery<'a> {
    #[must_use]
    pub fn new(
        resolution: &'a Resolution,
        config: &'a Config,
        environ: &'a Environ,
        run_as: &'a RunAs,
    ) -> Self {
        let accepted: Vec<Accepted<'_>> = resolution.accepted().collect();
        let delivered_as = |one, other| {
            let is_meant = move |secret: &Accepted<'_>| [one, other].contains(&secret.rule.deliver);
            accepted.iter().copied().filter(is_meant)
        };
        let variables = delivered_as(Deliver::Env, Deliver::Both).filter(|secret| !is_inherited(secret));
        let files: Vec<Accepted<'_>> = delivered_as(Deliver::File, Deliver::Both).collect();
        let keys = delivered_as(Deliver::Ssh, Deliver::Ssh);
        let keys: Vec<_> = keys.map(|secret| (secret, Key::parse(secret.value.secret.expose()))).collect();
        let is_key = |resolved: &&Resolved| resolved.rule.deliver == Deliver::Ssh;
        let key_rules: Vec<_> =
            resolution.secrets.iter().filter(is_key).map(|resolved| &resolved.rule).collect();
        Self {
            config,
            environ,
            run_as,
            place: Place::new(config, environ, run_as),
            variables: variables.map(|it| (it.name.as_str(), it)).collect(),
            file_variables: files.iter().map(|it| file_variables::of(it.name.as_str())).collect(),
            files,
            home: if key_rules.is_empty() { Home::default() } else { home(run_as, environ) },
            keys,
            key_rules,
            removed: removed(resolution, config, environ),
        }
    }

    /// Whether the app will have the variable NAME or `NAME_FILE`, with a value.
    #[must_use]
    pub fn sets(&self, name: &str) -> bool {
        let inherits = |name: &str| !self.removed.contains(name) && self.environ.set(name).is_some();
        let is_delivered = |name: &str| {
            self.variables.contains_key(name) || self.file_variables.contains(name) || self.is_home(name)
        };
        let has = |name: &str| is_delivered(name) || inherits(name);
        has(name) || has(&file_variables::of(name))
    }

    /// The value of a variable that the app inherits unchanged.
    #[must_use]
    pub fn inherited_value(&self, name: &str) -> Option<&[u8]> {
        let is_replaced = self.variables.contains_key(name) || self.is_home(name);
        self.environ.set(name).filter(|_| !self.removed.contains(name) && !is_replaced)
    }

    /// Why a secret to be delivered as an SSH key is not one.
    #[must_use]
    pub fn not_a_key(&self, name: &str) -> Option<NotAKey> {
        let key = self.keys.iter().find(|(secret, _)| secret.name.as_str() == name);
        key.and_then(|(_, key)| key.as_ref().err().copied())
    }

    /// What would make delivery fail, as far as that can be checked without writing. For that, it becomes the app's
    /// user, as `run` does: only that user can say where keys can be placed.
    #[must_use]
    pub fn obstacles(&self) -> Vec<Problem> {
        let launch = self.launch(&["app".into()], &Delivered::default()).err();
        // Held meanwhile: a limit of open files counts them too.
        let files = files::check(&self.files, &self.place, self.config, self.run_as);
        let user = self.run_as.become_user();
        let keys = ssh::check(&self.usable_keys(), &self.home);
        launch.into_iter().chain(files.err()).chain(user.err()).chain(keys).collect()
    }

    /// Writes the files. If that fails, those already written are removed.
    pub fn deliver_files(&self, starter: Starter<'_>) -> Result<Delivered, Problem> {
        files::deliver(&self.files, &self.place, self.config, self.run_as, starter)
    }

    /// Writes the SSH keys, as the app's user. If that fails, those already written are removed.
    pub fn deliver_keys(&self, delivered: &mut Delivered) -> Result<(), Problem> {
        delivered.add(ssh::deliver(&self.usable_keys(), &self.key_rules, self.config, &self.home)?);
        delivered.warnings.extend(self.overridden());
        delivered.notes.extend(self.removed_note());
        Ok(())
    }

    /// Builds the arguments and environment of the app. `Err`: they are larger than the kernel allows.
    pub fn launch(&self, command: &[OsString], delivered: &Delivered) -> Result<init::Launch, Problem> {
        launch::launch(self, command, delivered)
    }

    /// Where files go.
    #[must_use]
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Whom the app runs as.
    #[must_use]
    pub fn run_as(&self) -> &RunAs {
        self.run_as
    }

    /// Whether this is HOME, and the app gets that of another user than cryokey's. A secret of that name overrides it.
    fn is_home(&self, name: &str) -> bool {
        name == variable::HOME && self.run_as.home().is_some() && !self.variables.contains_key(name)
    }

    fn usable_keys(&self) -> Vec<(Accepted<'_>, &Key)> {
        self.keys.iter().filter_map(|(secret, key)| Some((*secret, key.as_ref().ok()?))).collect()
    }

    fn inherited(&self) -> impl Iterator<Item = &Inherited> {
        let stays = |entry: &&Inherited| {
            let Ok(name) = std::str::from_utf8(entry.name()) else { return true };
            let is_replaced =
                self.variables.contains_key(name) || self.file_variables.contains(name) || self.is_home(name);
            !is_replaced && !self.removed.contains(name)
        };
        self.environ.entries().filter(stays)
    }
}

/// Removes the directory in which files were delivered. Its parent may belong to another user: then what is in it is
/// removed.
pub fn remove((parent, name): &Directory) {
    // The app has ended, and nobody waits for this.
    let _ = stale::remove(parent, name);
}

impl Starter<'_> {
    fn pid(self) -> Pid {
        match self {
            Self::ThisProcess => rustix::process::getpid(),
            Self::Init(courier) => courier.init(),
        }
    }

    /// Tells of a directory before it is made.
    fn announce(self, parent: &OwnedFd, name: &str) -> Result<(), Errno> {
        match self {
            Self::ThisProcess => Ok(()),
            Self::Init(courier) => courier.announce(parent.as_fd(), name),
        }
    }
}

impl Delivered {
    /// Whether something was changed that init does not remove: SSH keys.
    #[must_use]
    pub fn outlives_init(&self) -> bool {
        self.made.is_more_than_a_directory()
    }

    /// Leaves everything to the process that it is for.
    pub fn keep(self) {
        std::mem::forget(self.made);
    }

    /// Gives the directory of the delivered files to the app's user: the last step before cryokey becomes that user.
    pub fn give_directory(&self, run_as: &RunAs) -> Result<(), Problem> {
        let given = run_as.owner().map_or(Ok(()), |owner| self.made.give_directory(owner));
        given.map_err(|errno| files::cannot_give(run_as.uid(), errno))
    }

    fn add(&mut self, other: Self) {
        self.file_variables.extend(other.file_variables);
        self.warnings.extend(other.warnings);
        self.notes.extend(other.notes);
        self.made.append(other.made);
    }
}

/// The home directory of the app's user.
fn home(run_as: &RunAs, environ: &Environ) -> Home {
    match run_as.selected() {
        Some(selected) => {
            Home { variable: Some(selected.home.clone()), account: selected.account_home.clone() }
        }
        None => accounts::home(environ),
    }
}

/// Whether a secret is the plain variable of its own name, which is passed on unchanged.
fn is_inherited(secret: &Accepted<'_>) -> bool {
    secret.tried.candidate.source == Source::Environment && secret.tried.key_text() == secret.name.as_str()
}

/// The variables that the app does not inherit: cryokey's own, those that were read, references, credentials of cryokey
/// that are no secret of the app, those that a secret replaces without becoming a variable, and SSH keys, under every name.
fn removed(resolution: &Resolution, config: &Config, environ: &Environ) -> BTreeSet<String> {
    let own = environ.entries().filter_map(|entry| std::str::from_utf8(entry.name()).ok());
    let own = own.filter(|name| name.starts_with(variable::OWN_PREFIX)).map(str::to_owned);
    let secrets = &config.manifest.secrets;
    let consumed = resolution.secrets.iter().flat_map(|resolved| consumed(resolved, config, environ));
    let signed_in = resolution.consumed.iter().filter(|name| !secrets.contains_key(name.as_str())).cloned();
    let kept: BTreeSet<&String> = config.keep_env.iter().collect();
    let all = own.chain(consumed).chain(signed_in);
    let mut removed: BTreeSet<String> = all.filter(|name| !kept.contains(name)).collect();
    let is_no_variable = |secret: &Accepted<'_>| matches!(secret.rule.deliver, Deliver::File | Deliver::Ssh);
    removed.extend(resolution.accepted().filter(is_no_variable).map(|secret| secret.name.to_string()));
    removed.extend(config.referring.iter().map(EnvName::to_string));
    let is_key = |name: &EnvName| secrets.get(name).is_some_and(|rule| rule.deliver == Deliver::Ssh);
    removed.extend(secrets.keys().filter(|name| is_key(name)).map(EnvName::to_string));
    let prefixed_keys = config.prefixed.iter().filter(|(_, secret)| is_key(secret));
    removed.extend(prefixed_keys.map(|(variable, _)| variable.clone()));
    removed
}

/// `NAME_FILE` variables that were read, and a variable that an empty secret replaces. A secret without a value
/// replaces nothing.
fn consumed(resolved: &Resolved, config: &Config, environ: &Environ) -> Vec<String> {
    if resolved.found().is_none() {
        return Vec::new();
    }
    let is_read = |fate: &Fate| matches!(fate, Fate::Found(_) | Fate::Shadowed);
    let read = resolved
        .tried
        .iter()
        .filter(|tried| tried.candidate.source == Source::FileVariables && is_read(&tried.fate));
    let variables = read.filter_map(|tried| file_variables::set(environ, &tried.key.as_ref()?.path));
    // A variable that is a declared secret itself is the app's.
    let is_declared = |name: &String| config.manifest.secrets.contains_key(name.as_str());
    let mut consumed: Vec<String> =
        variables.map(|(variable, _)| variable).filter(|name| !is_declared(name)).collect();
    let is_stored = |(tried, _): &(&crate::resolve::Tried, _)| tried.candidate.source.is_for_secrets();
    if resolved.is_emptied() && resolved.found().as_ref().is_some_and(is_stored) {
        consumed.push(resolved.name.to_string());
    }
    consumed
}
