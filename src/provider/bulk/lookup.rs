//! Decides which requests are needed, in rounds: each round contains every request that is known to be needed, and they
//! are sent concurrently. Usually there are two rounds, the list and the values; for references alone, there is one. No
//! I/O happens here.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use super::scope::{Place, Scope, name_of};
use super::{Listed, StoreError, Stored};
use crate::provider::{Key, Names, Request, Want};

/// The name of a secret in the store, and a version of it; `None` stands for the current one.
pub type Version = (String, Option<String>);

/// The names and references to read.
#[derive(Debug, Default)]
pub struct Wanted {
    /// The scope to search for names; `None` if no name is searched for.
    pub scope: Option<Scope>,
    /// The names to search for.
    pub names: Names,
    /// The secrets that references name.
    pub versions: BTreeSet<Version>,
    /// The age from which a rule objects to a secret. If a secret may exceed it, its exact date is requested; `None`
    /// requests no dates.
    pub fresh_within: Option<Duration>,
}

/// A request to the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
    /// List the secrets of the scope.
    List(Scope),
    /// Read the current versions of several secrets.
    Batch(Vec<String>),
    /// Read one version of a secret.
    Get(Version),
    /// Request a creation date, for this entry of [`Known::secrets`] and the version that the store returned for it.
    Date(Version, Option<String>),
}

/// The results so far.
#[derive(Debug)]
pub struct Known<E> {
    /// The secrets of the scope; `None` if the list has not been requested.
    pub list: Option<Result<Vec<Listed<E>>, E>>,
    /// Whether cryokey's identity may not read several secrets in one request.
    pub is_batch_denied: bool,
    /// The result of reading each secret.
    pub secrets: BTreeMap<Version, Result<Stored, E>>,
    /// Why the dates of secrets are unknown, apart from denials.
    pub undated: Vec<(String, E)>,
}

/// A secret that may hold a requested name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sought {
    /// Its name in the store.
    pub secret: String,
    /// The variable name that it maps to; `None` if each of its fields maps to one.
    pub name: Option<String>,
    /// Whether its value is needed, or only its existence.
    pub want: Want,
}

/// The secret and version that a reference names.
#[must_use]
pub fn version_of(key: &Key) -> Version {
    (key.path.to_string(), key.version.as_deref().map(str::to_owned))
}

impl Wanted {
    /// Collects what a request needs. `scope` is searched for the names.
    #[must_use]
    pub fn new(request: &Request, scope: Option<Scope>, fresh_within: Option<Duration>) -> Self {
        let versions = request.keys.iter().map(|(key, _)| version_of(key)).collect();
        Self { scope, names: request.names.clone(), versions, fresh_within }
    }

    /// Whether any request to the store is needed. If not, cryokey need not sign in.
    #[must_use]
    pub fn has_questions<E: StoreError>(&self, known: &Known<E>) -> bool {
        !self.asks(known, 1, SystemTime::UNIX_EPOCH).is_empty()
    }

    /// The next round of requests, with at most `batch` secrets in each; empty once everything is known.
    #[must_use]
    pub fn asks<E: StoreError>(&self, known: &Known<E>, batch: usize, now: SystemTime) -> Vec<Ask> {
        let mut asks = Vec::new();
        if let (Some(scope), None) = (&self.scope, &known.list) {
            asks.push(Ask::List(scope.clone()));
        }
        let sought = self.sought(known).into_iter().filter(|it| it.want == Want::Value);
        let mut wanted: BTreeSet<Version> = sought.map(|it| (it.secret, None)).collect();
        wanted.extend(self.versions.iter().cloned());
        let unknown = wanted.into_iter().filter(|version| !known.secrets.contains_key(version));
        let (current, versions): (Vec<Version>, Vec<Version>) =
            unknown.partition(|(_, version)| version.is_none());
        asks.extend(versions.into_iter().map(Ask::Get));
        asks.extend(grouped(current, if known.is_batch_denied { 1 } else { batch }));
        asks.extend(self.doubtful(known, now));
        asks
    }

    /// The secrets that may hold a requested name: from the list, or guessed if listing is denied. Empty before the
    /// list was requested, and if it failed for another reason.
    #[must_use]
    pub fn sought<E: StoreError>(&self, known: &Known<E>) -> BTreeSet<Sought> {
        let Some(scope) = &self.scope else { return BTreeSet::new() };
        match &known.list {
            Some(Ok(secrets)) => secrets
                .iter()
                .filter_map(|listed| self.listed(listed, scope.place(&listed.secret)?))
                .collect(),
            Some(Err(error)) if error.is_denied() => self.guessed(scope),
            _ => BTreeSet::new(),
        }
    }

    /// Listed secrets whose names map to no legal name. Empty unless undeclared secrets are requested.
    #[must_use]
    pub fn unnamed<E>(&self, known: &Known<E>) -> Vec<String> {
        let (Some(scope), Some(Ok(secrets)), true) = (&self.scope, &known.list, self.names.undeclared) else {
            return Vec::new();
        };
        let is_unnamed = |secret: &&String| match scope.place(secret) {
            Some(Place::Whole(part)) => name_of(part).is_none(),
            _ => false,
        };
        secrets.iter().map(|listed| &listed.secret).filter(is_unnamed).cloned().collect()
    }

    /// An unusable secret is left out unless its name was requested explicitly.
    fn listed<E>(&self, listed: &Listed<E>, place: Place<'_>) -> Option<Sought> {
        let secret = listed.secret.clone();
        match place {
            Place::Fields => Some(Sought { secret, name: None, want: Want::Value }),
            Place::Whole(part) => {
                let name = name_of(part)?;
                let want = self.names.want(&name)?;
                let is_of_use = listed.unusable.is_none() || self.names.is_wanted(&name);
                is_of_use.then_some(Sought { secret, name: Some(name), want })
            }
        }
    }

    /// Without a list, only reading a value shows whether a secret exists.
    fn guessed(&self, scope: &Scope) -> BTreeSet<Sought> {
        let fields = Some(scope.prefix().to_owned()).filter(|prefix| !prefix.is_empty());
        let fields = fields.map(|secret| Sought { secret, name: None, want: Want::Value });
        let guess = |name: &str| {
            let sought = |secret| Sought { secret, name: Some(name.to_owned()), want: Want::Value };
            scope.guesses(name).into_iter().map(sought).collect::<Vec<_>>()
        };
        self.names.wanted().flat_map(|(name, _)| guess(name)).chain(fields).collect()
    }

    /// Requests the exact dates of secrets that may be too old.
    fn doubtful<E>(&self, known: &Known<E>, now: SystemTime) -> Vec<Ask> {
        let Some(limit) = self.fresh_within else { return Vec::new() };
        let is_fresh = |created| now.duration_since(created).unwrap_or_default() <= limit;
        let doubtful = known.secrets.iter().filter_map(|(version, stored)| {
            let stored = stored.as_ref().ok()?;
            let is_known = stored.is_dated || stored.created.is_some_and(is_fresh);
            (!is_known).then(|| Ask::Date(version.clone(), stored.version.clone()))
        });
        doubtful.collect()
    }
}

impl<E> Default for Known<E> {
    fn default() -> Self {
        Self { list: None, is_batch_denied: false, secrets: BTreeMap::new(), undated: Vec::new() }
    }
}

impl<E: StoreError> Known<E> {
    /// Whether listing is denied, so that names have to be guessed.
    #[must_use]
    pub fn is_list_denied(&self) -> bool {
        matches!(&self.list, Some(Err(error)) if error.is_denied())
    }

    /// Records a list, and the errors of the secrets that it shows as unusable.
    pub fn note_list(&mut self, list: Result<Vec<Listed<E>>, E>) {
        let listed = list.iter().flatten();
        let unusable = listed.filter_map(|it| Some(((it.secret.clone(), None), Err(it.unusable.clone()?))));
        self.secrets.extend(unusable);
        self.list = Some(list);
    }

    /// Records the creation date of a version. Without one, it stays unknown and is not requested again.
    pub fn note_date(&mut self, version: &Version, date: Result<Option<SystemTime>, E>) {
        if let Some(Ok(stored)) = self.secrets.get_mut(version) {
            stored.created = date.as_ref().ok().copied().flatten();
            stored.is_dated = true;
        }
        self.undated
            .extend(date.err().filter(|error| !error.is_denied()).map(|error| (version.0.clone(), error)));
    }
}

/// A single secret is read without a batch, which needs fewer permissions and returns more details.
fn grouped(current: Vec<Version>, batch: usize) -> Vec<Ask> {
    if batch <= 1 || current.len() == 1 {
        return current.into_iter().map(Ask::Get).collect();
    }
    let secrets: Vec<String> = current.into_iter().map(|(secret, _)| secret).collect();
    secrets.chunks(batch).map(|chunk| Ask::Batch(chunk.to_vec())).collect()
}

#[cfg(test)]
mod tests {
    use super::super::scope::Spelling;
    use super::*;
    use crate::provider::{Cause, Kind};
    use crate::secret::Secret;

    #[derive(Debug, Clone, Copy, PartialEq)]
    enum Fake {
        Absent,
        Denied,
        Disabled,
    }

    impl Cause for Fake {
        fn kind(&self) -> Kind {
            Kind::NotFound
        }
        fn what(&self, place: &str) -> String {
            place.to_owned()
        }
        fn fix(&self) -> String {
            String::new()
        }
    }

    impl StoreError for Fake {
        fn timed_out() -> Self {
            Self::Disabled
        }
        fn is_absent(&self) -> bool {
            *self == Self::Absent
        }
        fn is_denied(&self) -> bool {
            *self == Self::Denied
        }
    }

    fn wanted(prefix: &str, names: &[&str]) -> Wanted {
        let names = names.iter().map(|name| ((*name).into(), Want::Value)).collect();
        Wanted { scope: Scope::new(prefix, Spelling::Aws), names: Names::new(names), ..Wanted::default() }
    }

    fn listed(secrets: &[&str]) -> Known<Fake> {
        let mut known = Known::default();
        let listed = |secret: &&str| Listed { secret: (*secret).to_owned(), unusable: None };
        known.note_list(Ok(secrets.iter().map(listed).collect()));
        known
    }

    fn references(secrets: impl IntoIterator<Item = String>) -> Wanted {
        Wanted { versions: secrets.into_iter().map(|secret| (secret, None)).collect(), ..Wanted::default() }
    }

    fn stored(created: Option<SystemTime>) -> Stored {
        let version = Some("7".to_owned());
        Stored {
            value: Secret::new(Vec::new()),
            version,
            created,
            is_dated: false,
            starts: None,
            expires: None,
        }
    }

    fn asks(wanted: &Wanted, known: &Known<Fake>) -> Vec<Ask> {
        wanted.asks(known, 20, SystemTime::UNIX_EPOCH)
    }

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    fn version(secret: &str) -> Version {
        (secret.to_owned(), None)
    }

    #[test]
    fn names_are_listed_first_and_only_what_is_wanted_is_read() {
        let wanted = wanted("app/", &["A", "B_C"]);
        assert_eq!(asks(&wanted, &Known::default()), [Ask::List(wanted.scope.clone().unwrap())]);
        let known = listed(&["app/a", "app/b-c", "app/d", "App/a", "other"]);
        assert_eq!(asks(&wanted, &known), [Ask::Batch(texts(&["app/a", "app/b-c"]))]);
    }

    #[test]
    fn another_environments_secret_is_never_read() {
        let mut wanted = wanted("app/", &["A"]);
        wanted.names.undeclared = true;
        wanted.names.excluded = vec!["STAGING_".to_owned()];
        let known = listed(&["app/a", "app/staging_a", "app/staging-x", "app/x"]);
        assert_eq!(asks(&wanted, &known), [Ask::Batch(texts(&["app/a", "app/x"]))]);
    }

    #[test]
    fn what_is_only_asked_to_exist_is_not_read() {
        let names = Names::new(vec![("A".into(), Want::Existence)]);
        let wanted = Wanted { names, ..wanted("app/", &[]) };
        assert_eq!(asks(&wanted, &listed(&["app/a"])), []);
        assert_eq!(wanted.sought(&listed(&["app/a"])).len(), 1);
    }

    #[test]
    fn what_the_list_shows_as_unusable_is_not_asked_for_and_sought_only_by_name() {
        let mut wanted = wanted("app/", &["A"]);
        wanted.names.undeclared = true;
        let disabled = |secret: &str| Listed { secret: secret.to_owned(), unusable: Some(Fake::Disabled) };
        let mut known = Known::default();
        known.note_list(Ok(vec![disabled("app/a"), disabled("app/b")]));
        assert_eq!(asks(&wanted, &known), []);
        let sought = wanted.sought(&known);
        assert_eq!(sought.iter().map(|it| it.secret.as_str()).collect::<Vec<_>>(), ["app/a"]);
        assert!(matches!(known.secrets[&version("app/a")], Err(Fake::Disabled)));
    }

    #[test]
    fn twenty_one_secrets_are_two_batches_and_one_is_none() {
        let many = references((0..21).map(|number| format!("s{number:02}")));
        let sizes: Vec<usize> = asks(&many, &Known::default())
            .iter()
            .map(|ask| if let Ask::Batch(ids) = ask { ids.len() } else { 0 })
            .collect();
        assert_eq!(sizes, [20, 1]);
        let one = references(["a".to_owned()]);
        assert_eq!(asks(&one, &Known::default()), [Ask::Get(version("a"))]);
    }

    #[test]
    fn where_batches_are_denied_or_unknown_each_secret_is_asked_for() {
        let wanted = references(texts(&["a", "b"]));
        let each = ["a", "b"].map(|id| Ask::Get(version(id)));
        assert_eq!(asks(&wanted, &Known { is_batch_denied: true, ..Known::default() }), each);
        assert_eq!(wanted.asks(&Known::<Fake>::default(), 1, SystemTime::UNIX_EPOCH), each);
    }

    #[test]
    fn where_the_list_is_denied_names_are_guessed() {
        let known = Known { list: Some(Err(Fake::Denied)), ..Known::default() };
        assert_eq!(asks(&wanted("app/", &["A"]), &known), [Ask::Batch(texts(&["app/", "app/A", "app/a"]))]);
        let failed = Known { list: Some(Err(Fake::Absent)), ..Known::default() };
        assert_eq!(asks(&wanted("app/", &["A"]), &failed), [], "an outage is no reason to guess");
    }

    #[test]
    fn a_version_is_asked_for_by_itself() {
        let version = ("a".to_owned(), Some("AWSPREVIOUS".to_owned()));
        let wanted = Wanted { versions: [version.clone()].into(), ..Wanted::default() };
        assert_eq!(asks(&wanted, &Known::default()), [Ask::Get(version)]);
    }

    #[test]
    fn a_date_that_is_unknown_or_beyond_the_limit_is_asked_for_once() {
        let day = Duration::from_hours(24);
        let mut wanted = references(texts(&["old", "new", "none"]));
        let now = SystemTime::UNIX_EPOCH + day * 100;
        let mut known = Known::<Fake>::default();
        known.secrets.insert(version("old"), Ok(stored(Some(now - day * 40))));
        known.secrets.insert(version("new"), Ok(stored(Some(now - day * 20))));
        known.secrets.insert(version("none"), Ok(stored(None)));
        assert_eq!(wanted.asks(&known, 20, now), [], "no rule, no request");
        wanted.fresh_within = Some(day * 30);
        let date = |secret| Ask::Date(version(secret), Some("7".to_owned()));
        assert_eq!(wanted.asks(&known, 20, now), [date("none"), date("old")]);
        known.note_date(&version("old"), Ok(Some(now - day)));
        known.note_date(&version("none"), Err(Fake::Denied));
        assert!(known.undated.is_empty(), "a denial is an ordinary reason");
        known.note_date(&version("none"), Err(Fake::Disabled));
        assert_eq!(known.undated, [("none".to_owned(), Fake::Disabled)]);
        assert_eq!(wanted.asks(&known, 20, now), []);
        assert_eq!(known.secrets[&version("old")].as_ref().unwrap().created, Some(now - day));
    }
}
