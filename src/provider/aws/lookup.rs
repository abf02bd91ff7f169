//! Pure: determines the requests for the wanted secrets, in rounds of concurrent requests. Usually there are two
//! rounds, for the list and the values, or one if there are only references.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use super::api::{BATCH, Stored};
use super::error::AwsError;
use super::scope::{Place, Scope, name_of};
use crate::provider::{Names, Want};

/// A secret's name or ARN, and a version; `None` is the current version.
pub type Version = (String, Option<String>);

/// The secrets to look up.
#[derive(Debug, Default)]
pub struct Wanted {
    /// The prefix under which names are searched; `None` if there are no names to search for.
    pub scope: Option<Scope>,
    /// The names.
    pub names: Names,
    /// The secrets and versions that references name.
    pub versions: BTreeSet<Version>,
    /// The age from which a rule objects to a secret. For an older date, the exact one is requested.
    pub fresh_within: Option<Duration>,
}

/// A request to Secrets Manager.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
    /// Lists the names of all secrets with this prefix.
    List(String),
    /// Reads the current versions of several secrets.
    Batch(Vec<String>),
    /// Reads a version of a secret.
    Get(Version),
}

/// The replies so far.
#[derive(Debug, Default)]
pub struct Known {
    /// The names of all secrets in the scope.
    pub list: Option<Result<Vec<String>, AwsError>>,
    /// Whether a policy denies `BatchGetSecretValue`, so that secrets must be read one by one.
    pub is_batch_denied: bool,
    /// The secrets that have been read.
    pub secrets: BTreeMap<Version, Result<Stored, AwsError>>,
    /// Secrets that have been read individually, so that their date is exact, or known to be unavailable.
    pub dated: BTreeSet<String>,
}

/// A secret that may provide a wanted name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sought {
    /// The secret's name.
    pub secret: String,
    /// The name that it maps to. If `None`, each of its fields maps to a name.
    pub name: Option<String>,
    /// Whether its value is wanted, or only whether it exists.
    pub want: Want,
}

impl Wanted {
    /// Whether names are searched for.
    #[must_use]
    pub fn has_names(&self) -> bool {
        self.scope.is_some()
    }

    /// The next requests; empty once everything is known.
    #[must_use]
    pub fn asks(&self, known: &Known, now: SystemTime) -> Vec<Ask> {
        let mut asks = Vec::new();
        if let (Some(scope), None) = (&self.scope, &known.list) {
            asks.push(Ask::List(scope.prefix().to_owned()));
        }
        let sought = self.sought(known).into_iter().filter(|it| it.want == Want::Value);
        let mut wanted: BTreeSet<Version> = sought.map(|it| (it.secret, None)).collect();
        wanted.extend(self.versions.iter().cloned());
        let unknown = wanted.into_iter().filter(|version| !known.secrets.contains_key(version));
        let (current, versions): (Vec<Version>, Vec<Version>) =
            unknown.partition(|(_, version)| version.is_none());
        asks.extend(versions.into_iter().map(Ask::Get));
        asks.extend(grouped(current, known.is_batch_denied));
        asks.extend(self.doubtful(known, now).map(|secret| Ask::Get((secret, None))));
        asks
    }

    /// The secrets that may provide wanted names. Empty until the list is known or denied.
    #[must_use]
    pub fn sought(&self, known: &Known) -> BTreeSet<Sought> {
        let Some(scope) = &self.scope else { return BTreeSet::new() };
        match &known.list {
            Some(Ok(secrets)) => {
                secrets.iter().filter_map(|secret| self.listed(secret, scope.place(secret)?)).collect()
            }
            Some(Err(AwsError::Denied { .. })) => self.guessed(scope),
            _ => BTreeSet::new(),
        }
    }

    /// Secrets in the scope whose names do not map to a valid name.
    #[must_use]
    pub fn unnamed(&self, known: &Known) -> Vec<String> {
        let (Some(scope), Some(Ok(secrets)), true) = (&self.scope, &known.list, self.names.undeclared) else {
            return Vec::new();
        };
        let is_unnamed = |secret: &&String| match scope.place(secret) {
            Some(Place::Whole(part)) => name_of(part).is_none(),
            _ => false,
        };
        secrets.iter().filter(is_unnamed).cloned().collect()
    }

    fn listed(&self, secret: &str, place: Place<'_>) -> Option<Sought> {
        let secret = secret.to_owned();
        match place {
            Place::Fields => Some(Sought { secret, name: None, want: Want::Value }),
            Place::Whole(part) => {
                let name = name_of(part)?;
                let want = self.names.want(&name)?;
                Some(Sought { secret, name: Some(name), want })
            }
        }
    }

    /// The secrets to try if listing is denied. Each must be read, since there is no other way to find out whether it
    /// exists.
    fn guessed(&self, scope: &Scope) -> BTreeSet<Sought> {
        let fields = Some(scope.prefix().to_owned()).filter(|prefix| !prefix.is_empty());
        let fields = fields.map(|secret| Sought { secret, name: None, want: Want::Value });
        let guess = |name: &str| {
            let sought = |secret| Sought { secret, name: Some(name.to_owned()), want: Want::Value };
            scope.guesses(name).into_iter().map(sought).collect::<Vec<_>>()
        };
        self.names.wanted().flat_map(|(name, _)| guess(name)).chain(fields).collect()
    }

    /// Current secrets whose date exceeds `fresh_within`. The date may be that of the secret rather than of its
    /// version.
    fn doubtful<'a>(&'a self, known: &'a Known, now: SystemTime) -> impl Iterator<Item = String> + 'a {
        let current = known
            .secrets
            .iter()
            .filter(|((secret, version), _)| version.is_none() && !known.dated.contains(secret));
        current.filter_map(move |((secret, _), stored)| {
            let age = now.duration_since(stored.as_ref().ok()?.created?).unwrap_or_default();
            (age > self.fresh_within?).then(|| secret.clone())
        })
    }
}

impl Known {
    /// Whether listing is denied, so that secret names have to be guessed.
    #[must_use]
    pub fn is_list_denied(&self) -> bool {
        matches!(self.list, Some(Err(AwsError::Denied { .. })))
    }
}

/// Groups secrets into batches. A single secret is read individually, which needs fewer permissions and returns an
/// exact date.
fn grouped(current: Vec<Version>, is_batch_denied: bool) -> Vec<Ask> {
    if is_batch_denied || current.len() == 1 {
        return current.into_iter().map(Ask::Get).collect();
    }
    let secrets: Vec<String> = current.into_iter().map(|(secret, _)| secret).collect();
    secrets.chunks(BATCH).map(|chunk| Ask::Batch(chunk.to_vec())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    const DENIED: fn() -> AwsError =
        || AwsError::Denied { action: String::new(), resource: String::new(), identity: None };

    fn wanted(prefix: &str, names: &[&str]) -> Wanted {
        let names = names.iter().map(|name| ((*name).into(), Want::Value)).collect();
        Wanted { scope: Scope::new(prefix), names: Names::new(names), ..Wanted::default() }
    }

    fn listed(secrets: &[&str]) -> Known {
        let secrets = secrets.iter().map(|secret| (*secret).to_owned()).collect();
        Known { list: Some(Ok(secrets)), ..Known::default() }
    }

    fn references(secrets: impl IntoIterator<Item = String>) -> Wanted {
        Wanted { versions: secrets.into_iter().map(|secret| (secret, None)).collect(), ..Wanted::default() }
    }

    fn stored(created: SystemTime) -> Stored {
        Stored {
            name: String::new(),
            arn: String::new(),
            version: None,
            created: Some(created),
            value: Some(Secret::new(Vec::new())),
        }
    }

    fn asks(wanted: &Wanted, known: &Known) -> Vec<Ask> {
        wanted.asks(known, SystemTime::UNIX_EPOCH)
    }

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn names_are_listed_first_and_only_what_is_wanted_is_read() {
        let wanted = wanted("app/", &["A", "B_C"]);
        assert_eq!(asks(&wanted, &Known::default()), [Ask::List("app/".to_owned())]);
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
    fn twenty_one_secrets_are_two_batches_and_one_is_none() {
        let many = references((0..21).map(|number| format!("s{number:02}")));
        let asks = asks(&many, &Known::default());
        let sizes: Vec<usize> =
            asks.iter().map(|ask| if let Ask::Batch(ids) = ask { ids.len() } else { 0 }).collect();
        assert_eq!(sizes, [20, 1]);
        let one = references(["a".to_owned()]);
        assert_eq!(self::asks(&one, &Known::default()), [Ask::Get(("a".to_owned(), None))]);
    }

    #[test]
    fn where_batches_are_denied_each_secret_is_asked_for() {
        let wanted = references(texts(&["a", "b"]));
        let known = Known { is_batch_denied: true, ..Known::default() };
        assert_eq!(asks(&wanted, &known), ["a", "b"].map(|id| Ask::Get((id.to_owned(), None))));
    }

    #[test]
    fn where_the_list_is_denied_names_are_guessed() {
        let known = Known { list: Some(Err(DENIED())), ..Known::default() };
        assert_eq!(asks(&wanted("app/", &["A"]), &known), [Ask::Batch(texts(&["app/", "app/A", "app/a"]))]);
        let failed = Known { list: Some(Err(AwsError::Throttled)), ..Known::default() };
        assert_eq!(asks(&wanted("app/", &["A"]), &failed), [], "an outage is no reason to guess");
    }

    #[test]
    fn a_version_is_asked_for_by_itself() {
        let version = ("a".to_owned(), Some("AWSPREVIOUS".to_owned()));
        let wanted = Wanted { versions: [version.clone()].into(), ..Wanted::default() };
        assert_eq!(asks(&wanted, &Known::default()), [Ask::Get(version)]);
    }

    #[test]
    fn a_date_beyond_the_limit_is_asked_for_again_and_only_once() {
        let day = Duration::from_hours(24);
        let mut wanted = references(texts(&["old", "new"]));
        let now = SystemTime::UNIX_EPOCH + day * 100;
        let mut known = Known::default();
        known.secrets.insert(("old".to_owned(), None), Ok(stored(now - day * 40)));
        known.secrets.insert(("new".to_owned(), None), Ok(stored(now - day * 20)));
        assert_eq!(wanted.asks(&known, now), [], "no rule, no request");
        wanted.fresh_within = Some(day * 30);
        assert_eq!(wanted.asks(&known, now), [Ask::Get(("old".to_owned(), None))]);
        known.dated.insert("old".to_owned());
        assert_eq!(wanted.asks(&known, now), []);
    }
}
