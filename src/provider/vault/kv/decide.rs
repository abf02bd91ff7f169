//! Pure: the outcome for a path given the replies so far, or the requests that are still needed.

use std::sync::Arc;
use std::time::SystemTime;

use super::{Ask, Known, KvError, Stored};
use crate::escape::escaped;
use crate::provider::json::Json;
use crate::provider::vault::api::Reply;
use crate::provider::vault::error::VaultError;
use crate::provider::vault::path::SecretPath;

/// The maximum number of children that a message lists.
const MOST_CHILDREN: usize = 10;

/// A secret to read.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Wanted {
    /// Its path, as the operator wrote it.
    pub path: SecretPath,
    /// The version to read; `None` is the latest.
    pub version: Option<u64>,
    /// Whether the path comes from the source's scope. If such a path does not exist, a further request lists its
    /// children, for the message.
    pub is_scope: bool,
}

/// The progress on one path.
#[derive(Debug)]
pub(super) enum Step {
    /// The requests that must be answered first.
    Needs(Vec<Ask>),
    /// The outcome.
    Done(Result<Stored, KvError>),
}

/// A mounted secrets engine.
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

/// Decides one path from the replies known so far.
pub(super) fn decide(wanted: &Wanted, all: &[Wanted], known: &Known, namespace: Option<&str>) -> Step {
    let mut view = View { wanted, all, known, namespace, needs: Vec::new() };
    match view.decide() {
        Some(result) => Step::Done(result),
        None => Step::Needs(view.needs),
    }
}

/// One path's view of the known replies. Its methods return `None` if a reply is missing, after adding the request to
/// `needs`.
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
            None if reply.is_found() => Some(Err(KvError::member("metadata"))),
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

    /// Handles a failed mount lookup. It can be denied even if reading is allowed.
    fn without_mount(
        &self,
        guess: Result<Arc<Reply>, VaultError>,
        error: KvError,
    ) -> Result<Stored, KvError> {
        match (guess, error) {
            (Ok(reply), error) => self.version_2(&reply).unwrap_or_else(|| Err(self.no_mount(error))),
            // Reading the exact path was denied, which is more useful in a message than the denied lookup.
            (Err(denied), KvError::Api(VaultError::Refused { .. })) if self.wanted.path.has_data() => {
                Err(denied.into())
            }
            (Err(_), error) => Err(self.no_mount(error)),
        }
    }

    fn no_mount(&self, error: KvError) -> KvError {
        match error {
            KvError::Api(VaultError::Refused { status: 403, .. }) => {
                KvError::NoMount { path: escaped(self.wanted.path.guess()) }
            }
            error => error,
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
        // A reply with another version must not pass for the requested one.
        Some(stored.and_then(|stored| match self.wanted.version {
            Some(version) if stored.version != Some(version) => Err(KvError::member("version")),
            _ => Ok(stored),
        }))
    }

    /// The mount of the path. One lookup serves all paths of a mount, so among paths with the same first segment only
    /// the first is looked up in the first round.
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

/// Parses the reply of `sys/internal/ui/mounts`. A server without that endpoint has only version 1 of the engine.
fn mount(reply: &Reply, path: &SecretPath, namespace: Option<&str>) -> Result<Mount, KvError> {
    if !reply.is_found() {
        return Ok(Mount { path: path.first().to_owned(), is_version_2: false });
    }
    let json = reply.json()?;
    let text = |names: &[&str]| json.at(names).and_then(Json::text);
    if !matches!(text(&["data", "type"]).as_deref(), Some("kv" | "generic" | "cubbyhole")) {
        return Err(KvError::NotKv);
    }
    let found = text(&["data", "path"]).ok_or(KvError::member("path"))?;
    let found = found.trim_end_matches('/');
    // Within a namespace, the reported mount path can begin with the namespace; requested paths do not.
    let namespace = namespace.map(|it| format!("{}/", it.trim_matches('/')));
    let below = namespace.and_then(|namespace| found.strip_prefix(namespace.as_str()).map(str::to_owned));
    let candidates = [Some(found.to_owned()), below];
    let within = candidates.into_iter().flatten().find(|mount| path.is_in(mount));
    let is_version_2 = text(&["data", "options", "version"]).as_deref() == Some("2");
    Ok(Mount { path: within.ok_or(KvError::member("path"))?, is_version_2 })
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

#[cfg(test)]
mod tests {
    #![expect(
        clippy::unnecessary_wraps,
        clippy::needless_pass_by_value,
        reason = "they fill tables of answers"
    )]

    use super::*;

    fn wanted(path: &str) -> Wanted {
        Wanted { path: SecretPath::parse(path).unwrap(), version: None, is_scope: false }
    }

    fn read(path: &str) -> Ask {
        Ask::Read(path.to_owned(), None)
    }

    fn mount_of(path: &str) -> Ask {
        Ask::Mount(path.to_owned())
    }

    fn reply(body: &str) -> Result<Arc<Reply>, VaultError> {
        Ok(Arc::new(Reply::of(200, body)))
    }

    fn absent() -> Result<Arc<Reply>, VaultError> {
        Ok(Arc::new(Reply::of(404, r#"{"errors":[]}"#)))
    }

    fn mounted(path: &str, version: &str) -> Result<Arc<Reply>, VaultError> {
        reply(&format!(r#"{{"data":{{"type":"kv","path":"{path}","options":{{"version":"{version}"}}}}}}"#))
    }

    fn version_2() -> Result<Arc<Reply>, VaultError> {
        reply(r#"{"data":{"data":{"a":"x"},"metadata":{"version":1,"created_time":"2026-01-02T03:04:05Z"}}}"#)
    }

    fn denied() -> Result<Arc<Reply>, VaultError> {
        Err(VaultError::Refused { status: 403, capability: "read", path: "x".to_owned() })
    }

    /// Runs the rounds against a table of replies, where a missing entry is a 404. Returns the requests of each
    /// round.
    fn play(wanted: &[Wanted], answers: &Known, namespace: Option<&str>) -> (Vec<Vec<Ask>>, Vec<Step>) {
        let (mut known, mut rounds) = (Known::new(), Vec::new());
        loop {
            let steps: Vec<Step> = wanted.iter().map(|it| decide(it, wanted, &known, namespace)).collect();
            let asks: std::collections::BTreeSet<Ask> = steps.iter().flat_map(Step::needs).cloned().collect();
            if asks.is_empty() {
                return (rounds, steps);
            }
            let answer = |ask: &Ask| (ask.clone(), answers.get(ask).cloned().unwrap_or_else(absent));
            known.extend(asks.iter().map(answer));
            rounds.push(asks.into_iter().collect());
            assert!(rounds.len() < 6, "the rounds do not end: {rounds:?}");
        }
    }

    fn result(path: &str, answers: Known) -> (Vec<Vec<Ask>>, Result<Stored, KvError>) {
        let (rounds, mut steps) = play(&[wanted(path)], &answers, None);
        (rounds, steps.pop().unwrap().into_result())
    }

    #[test]
    fn one_round_is_enough_for_version_2_with_and_without_data() {
        let answers = Known::from([
            (read("secret/data/app"), version_2()),
            (mount_of("secret/app"), mounted("secret/", "2")),
        ]);
        let (rounds, stored) = result("secret/app", answers.clone());
        assert_eq!(rounds, [vec![mount_of("secret/app"), read("secret/data/app")]]);
        assert_eq!(stored.unwrap().version, Some(1));
        let (rounds, stored) = result("secret/data/app", answers);
        assert_eq!(rounds, [vec![read("secret/data/app")]]);
        stored.unwrap();
    }

    #[test]
    fn a_mount_of_several_parts_is_read_where_it_is() {
        for path in ["apps/kv/x", "apps/kv/data/x"] {
            let answers = Known::from([
                (mount_of(path), mounted("apps/kv/", "2")),
                (read("apps/kv/data/x"), version_2()),
            ]);
            result(path, answers).1.unwrap();
        }
    }

    #[test]
    fn data_can_be_a_part_of_a_name() {
        let answers = Known::from([
            (mount_of("secret/team/data/x"), mounted("secret/", "2")),
            (read("secret/team/data/x"), denied()),
            (read("secret/data/team/data/x"), version_2()),
        ]);
        result("secret/team/data/x", answers).1.unwrap();
    }

    #[test]
    fn b15_data_in_the_path_of_version_1_is_a_hint_and_never_an_empty_value() {
        let answers = Known::from([(mount_of("old/data/x"), mounted("old/", "1"))]);
        let error = result("old/data/x", answers.clone()).1.unwrap_err();
        assert_eq!(error, KvError::VersionOne { mount: "old".to_owned() });
        // Even so, a directory of this name can exist.
        let found = (read("old/data/x"), reply(r#"{"data":{"a":"x"}}"#));
        let stored = result("old/data/x", answers.into_iter().chain([found]).collect()).1.unwrap();
        assert_eq!((stored.fields().unwrap().len(), stored.version), (1, None));
    }

    #[test]
    fn one_look_up_serves_all_paths_of_a_mount() {
        let all: Vec<Wanted> = (0..9).map(|number| wanted(&format!("secret/app{number}"))).collect();
        let mut answers = Known::from([(mount_of("secret/app0"), mounted("secret/", "2"))]);
        answers.extend((0..9).map(|number| (read(&format!("secret/data/app{number}")), version_2())));
        let (rounds, steps) = play(&all, &answers, None);
        assert_eq!(rounds.iter().map(Vec::len).collect::<Vec<_>>(), [10]);
        assert!(steps.into_iter().all(|step| step.into_result().is_ok()));
    }

    #[test]
    fn the_mount_can_be_reported_with_its_namespace() {
        let answers =
            Known::from([(mount_of("kv/app"), mounted("team/kv/", "2")), (read("kv/data/app"), version_2())]);
        let (_, mut steps) = play(&[wanted("kv/app")], &answers, Some("team/"));
        steps.pop().unwrap().into_result().unwrap();
        let error =
            result("kv/app", Known::from([(mount_of("kv/app"), mounted("other/", "2"))])).1.unwrap_err();
        assert_eq!(error, KvError::member("path"));
    }

    #[test]
    fn a_server_without_a_look_up_has_version_1() {
        let answers = Known::from([(read("secret/app"), reply(r#"{"data":{"a":"x"}}"#))]);
        assert_eq!(result("secret/app", answers).1.unwrap().version, None);
    }

    #[test]
    fn a_mount_of_another_engine_is_never_read() {
        let other = reply(r#"{"data":{"type":"database","path":"db/","options":null}}"#);
        let (rounds, result) = result("db/creds/app", Known::from([(mount_of("db/creds/app"), other)]));
        assert_eq!(result.unwrap_err(), KvError::NotKv);
        assert!(!rounds.concat().contains(&read("db/creds/app")), "{rounds:?}");
    }

    #[test]
    fn a_version_of_version_1_is_refused() {
        let wanted = Wanted { version: Some(2), ..wanted("old/x") };
        let answers = Known::from([(mount_of("old/x"), mounted("old/", "1"))]);
        let (_, mut steps) = play(std::slice::from_ref(&wanted), &answers, None);
        assert!(matches!(steps.pop().unwrap().into_result(), Err(KvError::VersionOne { .. })));
    }

    #[test]
    fn what_could_not_be_asked_is_never_absent() {
        for ask in [read("secret/data/app"), mount_of("secret/app")] {
            let mut answers = Known::from([
                (mount_of("secret/app"), mounted("secret/", "2")),
                (read("secret/data/app"), absent()),
            ]);
            answers.insert(ask.clone(), Err(VaultError::Sealed));
            assert_eq!(result("secret/app", answers).1.unwrap_err(), VaultError::Sealed.into(), "{ask:?}");
        }
    }
}
