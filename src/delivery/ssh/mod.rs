//! SSH keys are placed in the home directory, and keys of earlier startups that are not placed any more are removed.

mod directory;
mod problem;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, AtFlags, CWD, Mode, OFlags};
use rustix::io::Errno;

use super::made::Thing;
use super::{Delivered, files};
use crate::config::Config;
use crate::error::Problem;
use crate::escape::escaped_path;
use crate::manifest::SecretRule;
use crate::resolve::Accepted;
use crate::ssh_key::{self, Key};
use crate::system::accounts::{self, Home};
use crate::system::write;
use directory::{Directory, Existing, Fault};

/// A key and where it goes.
struct Placement<'a> {
    secret: &'a str,
    key: &'a Key,
    path: PathBuf,
    /// Whether the manifest names the place.
    is_chosen: bool,
}

/// Places keys, their public halves, and notes of what was written. `declared` are the rules of all secrets that are
/// delivered so, also of those that have no value this time: where they would be, older keys are looked for.
pub(super) fn deliver(
    keys: &[(Accepted<'_>, &Key)],
    declared: &[&SecretRule],
    config: &Config,
    home: &Home,
) -> Result<Delivered, Problem> {
    let placements = placements(keys, home)?;
    let mut delivered = Delivered::default();
    let known = known_names(declared);
    for parent in parents(declared, home) {
        let here: Vec<&Placement<'_>> =
            placements.iter().filter(|it| it.path.parent() == Some(&parent)).collect();
        delivered.add(deliver_to(&parent, &here, &known, config, home)?);
    }
    Ok(delivered)
}

/// Whether each key has a place that can be written, no foreign file is in it, and no two keys have the same.
pub(super) fn check(keys: &[(Accepted<'_>, &Key)], home: &Home) -> Vec<Problem> {
    match placements(keys, home) {
        Ok(placements) => placements.iter().filter_map(|placement| placement.check().err()).collect(),
        Err(problem) => vec![problem],
    }
}

fn placements<'a>(keys: &[(Accepted<'a>, &'a Key)], home: &Home) -> Result<Vec<Placement<'a>>, Problem> {
    let mut placements: Vec<Placement<'_>> = Vec::with_capacity(keys.len());
    for (secret, key) in keys {
        let placement = Placement::new(*secret, key, home)?;
        if let Some(other) = placements.iter().find(|other| other.meets(&placement)) {
            return Err(problem::one_place(other, &placement));
        }
        placements.push(placement);
    }
    Ok(placements)
}

/// The directories that keys go to, or would.
fn parents(declared: &[&SecretRule], home: &Home) -> BTreeSet<PathBuf> {
    let usual = home.path().map(|home| home.join(".ssh"));
    let parent = |rule: &&SecretRule| match &rule.path {
        Some(path) => path.parent().map(Path::to_owned),
        None => usual.clone(),
    };
    declared.iter().filter_map(parent).collect()
}

fn deliver_to(
    parent: &Path,
    placements: &[&Placement<'_>],
    known: &BTreeSet<String>,
    config: &Config,
    home: &Home,
) -> Result<Delivered, Problem> {
    let mut delivered = Delivered::default();
    let opened = match placements.first() {
        Some(first) => Directory::make(parent)
            .map_err(|errno| problem::cannot_place(first.secret, &first.path, errno))?,
        // Nothing has to be there, and what cannot be opened has no key that ssh could read.
        None => match Directory::open(parent) {
            Ok(directory) => (directory, false),
            Err(_) => return Ok(delivered),
        },
    };
    let (mut directory, is_new) = opened;
    if is_new {
        delivered.made.push(Thing::Directory(parent.to_owned()));
    }
    delivered.made.push(directory.lock());
    let names: BTreeSet<String> = placements.iter().flat_map(|placement| placement.names()).collect();
    directory.remove_staged(&known.iter().chain(&names).cloned().collect());
    for placement in placements {
        delivered.add(placement.deliver(&directory, config, home)?);
    }
    for name in directory.remove_unplaced(&names, &mut delivered.made)? {
        let path = escaped_path(&parent.join(name));
        delivered.notes.push(format!("{path}: removed; an earlier startup placed it, and this one does not"));
    }
    Ok(delivered)
}

/// The names that keys and their public halves can have.
fn known_names(declared: &[&SecretRule]) -> BTreeSet<String> {
    let chosen =
        declared.iter().filter_map(|rule| Some(rule.path.as_ref()?.file_name()?.to_str()?.to_owned()));
    ssh_key::file_names().chain(chosen).flat_map(|name| [format!("{name}.pub"), name]).collect()
}

impl<'a> Placement<'a> {
    fn new(secret: Accepted<'a>, key: &'a Key, home: &Home) -> Result<Self, Problem> {
        let name = secret.name.as_str();
        let usual = || Some(home.path()?.join(".ssh").join(key.file_name()));
        let path = secret.rule.path.clone().or_else(usual).ok_or_else(|| problem::homeless(name))?;
        Ok(Self { secret: name, key, path, is_chosen: secret.rule.path.is_some() })
    }

    fn name(&self) -> Option<&str> {
        self.path.file_name()?.to_str()
    }

    /// The names of both halves, each with what is written there and its mode.
    fn halves(&self) -> Option<[(String, &[u8], u32); 2]> {
        let name = self.name()?.to_owned();
        Some([(name.clone(), self.key.expose(), 0o600), (format!("{name}.pub"), self.key.public(), 0o644)])
    }

    fn names(&self) -> impl Iterator<Item = String> {
        self.halves().into_iter().flatten().map(|(name, ..)| name)
    }

    /// Whether two keys share a file, however their paths are spelt.
    fn meets(&self, other: &Self) -> bool {
        let parent = |placement: &Self| {
            let parent = placement.path.parent().map(Path::to_owned).unwrap_or_default();
            parent.canonicalize().unwrap_or_else(|_| parent.components().collect())
        };
        parent(self) == parent(other) && self.names().any(|name| other.names().any(|theirs| theirs == name))
    }

    fn deliver(&self, directory: &Directory, config: &Config, home: &Home) -> Result<Delivered, Problem> {
        let refused = |errno| problem::cannot_place(self.secret, &self.path, errno);
        let mut delivered = Delivered::default();
        if !self.is_chosen && accounts::differ(home) {
            delivered.warnings.push(problem::two_homes(self.secret, home));
        }
        if let Some(mode) = directory.open_link() {
            delivered.warnings.push(problem::open_link(self.secret, directory.path(), mode));
        }
        if !files::is_in_memory(directory.file()).map_err(refused)? && !config.allow_disk {
            delivered.warnings.push(problem::key_on_disk(self.secret, &self.path));
        }
        for (name, bytes, mode) in self.halves().ok_or_else(|| refused(Errno::INVAL))? {
            let placed = directory.place(&name, bytes, mode, &mut delivered.made);
            placed.map_err(|fault| self.problem(&name, fault))?;
        }
        delivered.notes.push(format!("{}: placed as {}", self.secret, escaped_path(&self.path)));
        Ok(delivered)
    }

    fn problem(&self, name: &str, fault: Fault) -> Problem {
        let path = self.path.with_file_name(name);
        match fault {
            Fault::Foreign => problem::foreign(self.secret, &path),
            Fault::Os(errno) => problem::cannot_place(self.secret, &path, errno),
            Fault::Wide(mode) => problem::wide(self.secret, &path, mode),
        }
    }

    fn check(&self) -> Result<(), Problem> {
        let refused = |errno| problem::cannot_place(self.secret, &self.path, errno);
        let parent = self.path.parent().ok_or_else(|| refused(Errno::INVAL))?;
        // Placing opens the directory and a file in it at once: a limit of open files counts both.
        let open = || rustix::fs::open("/", OFlags::PATH | OFlags::CLOEXEC, Mode::empty());
        let held = (open().map_err(refused)?, open().map_err(refused)?);
        drop(held);
        let writable = |path: &Path| {
            let access = Access::WRITE_OK | Access::EXEC_OK;
            rustix::fs::accessat(CWD, path, access, AtFlags::EACCESS)
        };
        let fits = write::within_limit(self.key.expose().len());
        let directory = match Directory::open(parent) {
            Ok(directory) => directory,
            // A link that leads nowhere exists, and no directory can be made in its place.
            Err(Errno::NOENT) if parent.symlink_metadata().is_err() => {
                return writable(parent.parent().unwrap_or(parent)).and(fits).map_err(refused);
            }
            Err(errno) => return Err(refused(errno)),
        };
        let mut is_placed = true;
        for (name, bytes, _) in self.halves().ok_or_else(|| refused(Errno::INVAL))? {
            match directory.existing(&name, bytes) {
                Existing::Foreign => return Err(self.problem(&name, Fault::Foreign)),
                Existing::Nothing | Existing::Own(_) => is_placed = false,
                Existing::Same => {}
            }
        }
        match writable(parent).and(fits) {
            Err(_) if is_placed => Ok(()),
            // Placing gives it the mode 0700 first.
            Err(Errno::ACCESS) if directory.is_to_be_narrowed().map_err(refused)? => fits.map_err(refused),
            other => other.map_err(refused),
        }
    }
}
