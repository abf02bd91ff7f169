//! What a path comes to, and what must be asked for that. Pure.

use std::sync::Arc;
use std::time::SystemTime;

use super::{Ask, Known, KvError, Stored};
use crate::escape::escaped;
use crate::provider::vault::api::Reply;
use crate::provider::vault::error::{Nonsense, VaultError};
use crate::provider::vault::json::Json;
use crate::provider::vault::path::SecretPath;

/// No message shows more names of a directory.
const MOST_CHILDREN: usize = 10;

/// A secret that is wanted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Wanted {
    /// Where it is.
    pub path: SecretPath,
    /// Which version; the latest one, if none is named.
    pub version: Option<u64>,
    /// Whether it is worth a request to see what is there instead, if it is not.
    pub is_scope: bool,
}

/// How far a path is.
#[derive(Debug)]
pub(super) enum Step {
    /// These have to be asked first.
    Needs(Vec<Ask>),
    /// This is what it comes to.
    Done(Result<Stored, KvError>),
}

/// Where a path is mounted.
struct Mount {
    path: String,
    is_version_2: bool,
}

impl Step {
    pub(super) fn needs(&self) -> &[Ask] {
        match self {
            Self::Needs(asks) => asks,
            Self::Done(_) => &[],
        }
    }

    pub(super) fn into_result(self) -> Result<Stored, KvError> {
        match self {
            Self::Done(result) => result,
            Self::Needs(_) => Err(VaultError::TimedOut.into()),
        }
    }
}

/// What a path comes to, of what is known so far.
pub(super) fn decide(wanted: &Wanted, all: &[Wanted], known: &Known, namespace: Option<&str>) -> Step {
    let mut view = View { wanted, all, known, namespace, needs: Vec::new() };
    match view.decide() {
        Some(result) => Step::Done(result),
        None => Step::Needs(view.needs),
    }
}

/// One path's view of what is known. `None` anywhere below: something has to be asked first, and is in `needs`.
struct View<'a> {
    wanted: &'a Wanted,
    all: &'a [Wanted],
    known: &'a Known,
    namespace: Option<&'a str>,
    needs: Vec<Ask>,
}

impl View<'_> {
    fn decide(&mut self) -> Option<Result<Stored, KvError>> {
        let guess = self.ask(self.read(self.wanted.path.guess()));
        if self.wanted.path.has_data() {
            match guess.clone()? {
                Ok(reply) => {
                    if let Some(stored) = self.version_2(&reply) {
                        return Some(stored);
                    }
                }
                Err(VaultError::Refused { status: 403, .. }) => {}
                Err(error) => return Some(Err(error.into())),
            }
        }
        let mount = self.mount();
        let (guess, mount) = (guess?, mount?);
        match mount {
            Ok(mount) if mount.is_version_2 => self.read_version_2(&mount),
            Ok(mount) => self.read_version_1(&mount),
            Err(error) => Some(self.without_mount(guess, error)),
        }
    }

    fn read_version_2(&mut self, mount: &Mount) -> Option<Result<Stored, KvError>> {
        let reply = match self.ask(self.read(self.wanted.path.below(&mount.path, "data")))? {
            Ok(reply) => reply,
            Err(error) => return Some(Err(error.into())),
        };
        match self.version_2(&reply) {
            Some(stored) => Some(stored),
            None if reply.is_found() => Some(Err(VaultError::Nonsense(Nonsense::Member("metadata")).into())),
            None => self.absent(self.wanted.path.below(&mount.path, "metadata")),
        }
    }

    fn read_version_1(&mut self, mount: &Mount) -> Option<Result<Stored, KvError>> {
        let version_1 = || Some(Err(KvError::VersionOne { mount: escaped(&mount.path) }));
        if self.wanted.version.is_some() {
            return version_1();
        }
        let path = self.wanted.path.as_str().to_owned();
        match self.ask(Ask::Read(path.clone(), None))?.map_err(KvError::from).and_then(Stored::of_version_1) {
            Ok(Some(stored)) => Some(Ok(stored)),
            Ok(None) if self.wanted.path.has_data() => version_1(),
            Ok(None) => self.absent(path),
            Err(error) => Some(Err(error)),
        }
    }

    /// The look-up of the mount can be denied where reading is not.
    fn without_mount(
        &self,
        guess: Result<Arc<Reply>, VaultError>,
        error: KvError,
    ) -> Result<Stored, KvError> {
        match (guess, error) {
            (Ok(reply), error) => self.version_2(&reply).unwrap_or_else(|| Err(no_mount(error))),
            // The path as it was written was denied; that says more than the mount.
            (Err(denied), KvError::Api(VaultError::Refused { .. })) if self.wanted.path.has_data() => {
                Err(denied.into())
            }
            (Err(_), error) => Err(no_mount(error)),
        }
    }

    fn absent(&mut self, directory: String) -> Option<Result<Stored, KvError>> {
        if !self.wanted.is_scope {
            return Some(Err(KvError::Absent));
        }
        let children = self.ask(Ask::List(directory))?.ok().and_then(|reply| children(&reply));
        Some(Err(match children {
            Some(children) => KvError::Directory { children },
            None => KvError::Absent,
        }))
    }

    fn version_2(&self, reply: &Arc<Reply>) -> Option<Result<Stored, KvError>> {
        let stored = Stored::of_version_2(reply, SystemTime::now())?;
        // An answer for another version must not pass for the one that was asked for.
        Some(stored.and_then(|stored| match self.wanted.version {
            Some(version) if stored.version != Some(version) => {
                Err(VaultError::Nonsense(Nonsense::Member("version")).into())
            }
            _ => Ok(stored),
        }))
    }

    /// The mount of the path. One look-up serves all paths of a mount, so only the first path that begins in the same
    /// way is looked up at first.
    fn mount(&mut self) -> Option<Result<Mount, KvError>> {
        let path = &self.wanted.path;
        let looked_up = |other: &Wanted| {
            let reply = self.known.get(&Ask::Mount(other.path.as_str().to_owned()))?;
            Some(
                reply
                    .clone()
                    .map_err(KvError::from)
                    .and_then(|reply| mount(&reply, &other.path, self.namespace)),
            )
        };
        let is_near = |other: &&Wanted| other.path.first() == path.first();
        let near: Vec<&Wanted> = self.all.iter().filter(is_near).collect();
        let covers =
            |found: &Result<Mount, KvError>| found.as_ref().is_ok_and(|mount| path.is_in(&mount.path));
        if let Some(found) = near.iter().filter_map(|other| looked_up(other)).find(covers) {
            return Some(found);
        }
        if let Some(own) = looked_up(self.wanted) {
            return Some(own);
        }
        let first = near.first().filter(|first| looked_up(first).is_none());
        let next = first.map_or(path, |first| &first.path).as_str().to_owned();
        self.needs.push(Ask::Mount(next));
        None
    }

    fn read(&self, location: String) -> Ask {
        Ask::Read(location, self.wanted.version)
    }

    fn ask(&mut self, ask: Ask) -> Option<Result<Arc<Reply>, VaultError>> {
        let known = self.known.get(&ask).cloned();
        if known.is_none() {
            self.needs.push(ask);
        }
        known
    }
}

fn no_mount(error: KvError) -> KvError {
    match error {
        KvError::Api(VaultError::Refused { .. }) => KvError::NoMount,
        error => error,
    }
}

/// What the look-up says of the mount. Servers without a look-up have version 1 only.
fn mount(reply: &Reply, path: &SecretPath, namespace: Option<&str>) -> Result<Mount, KvError> {
    if !reply.is_found() {
        return Ok(Mount { path: path.first().to_owned(), is_version_2: false });
    }
    let json = reply.json()?;
    let text = |names: &[&str]| json.at(names).and_then(Json::text);
    let nonsense = |name| KvError::from(VaultError::Nonsense(Nonsense::Member(name)));
    if !matches!(text(&["data", "type"]).as_deref(), Some("kv" | "generic" | "cubbyhole")) {
        return Err(KvError::NotKv);
    }
    let found = text(&["data", "path"]).ok_or(nonsense("path"))?;
    let found = found.trim_end_matches('/');
    // In a namespace the answer can begin with it, which the path that is asked for does not.
    let namespace = namespace.map(|it| format!("{}/", it.trim_matches('/')));
    let below = namespace.and_then(|namespace| found.strip_prefix(namespace.as_str()).map(str::to_owned));
    let candidates = [Some(found.to_owned()), below];
    let within = candidates.into_iter().flatten().find(|mount| path.is_in(mount));
    let is_version_2 = text(&["data", "options", "version"]).as_deref() == Some("2");
    Ok(Mount { path: within.ok_or(nonsense("path"))?, is_version_2 })
}

fn children(reply: &Reply) -> Option<Vec<String>> {
    let keys = reply.json().ok()?.at(&["data", "keys"])?.elements()?;
    let mut shown: Vec<String> = keys
        .iter()
        .take(MOST_CHILDREN)
        .map(|key| key.text().map(|key| escaped(&key)))
        .collect::<Option<_>>()?;
    if keys.len() > MOST_CHILDREN {
        shown.push(format!("and {} more", keys.len() - MOST_CHILDREN));
    }
    (!shown.is_empty()).then_some(shown)
}
