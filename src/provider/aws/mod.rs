//! The AWS Secrets Manager provider.

pub mod api;
pub mod credentials;
pub mod endpoint;
pub mod error;
pub mod identity;
pub mod lookup;
mod read;
pub mod scope;
pub mod sigv4;
pub mod sts;
mod value;
pub mod wire;
pub mod xml;

use std::sync::Arc;
use std::time::Duration;

use self::api::{Api, Stored};
use self::credentials::Method;
use self::error::AwsError;
use self::identity::Identity;
use self::lookup::{Known, Sought, Version, Wanted};
use self::scope::{Scope, name_of};
use self::value::{SecretError, fields, value};
use super::{Access, Answer, Deadline, Found, Key, Names, Provider, ProviderError, Reading, Request, Want};
use crate::error::{Problem, Reason};
use crate::escape::escaped;

/// The settings of the AWS provider.
#[derive(Debug)]
pub struct Settings {
    /// The identity that reads the secrets.
    pub identity: Identity,
    /// The prefix of the app's secrets.
    pub prefix: Option<String>,
    /// The maximum number of concurrent requests.
    pub width: usize,
    /// The age from which a rule objects to a secret.
    pub fresh_within: Option<Duration>,
    /// Warnings from choosing the credentials.
    pub warnings: Vec<Problem>,
}

/// The AWS provider. It does nothing until [`Provider::read`] is called.
#[derive(Debug)]
pub struct Aws(Settings);

impl Aws {
    /// Creates the provider, without I/O.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self(settings)
    }

    /// Obtains credentials, and records the sign-in in `answer`.
    fn session(&self, deadline: Deadline, answer: &mut Answer) -> Result<Arc<Api>, ProviderError> {
        let (wire, credentials) = self.0.identity.sign_in(deadline)?;
        answer.notes.extend(self.label().map(|label| format!("sign-in at AWS: {label}")));
        answer.warnings.extend(wire.is_exposed().then(exposed));
        Ok(Arc::new(Api { wire, credentials }))
    }

    fn label(&self) -> Option<String> {
        self.0.identity.method.as_ref().ok().map(Method::label)
    }

    /// The prefix to search for names. `None` if every secret has its own reference and undeclared names are not
    /// delivered.
    fn scope(&self, names: &Names) -> Result<Option<Scope>, ProviderError> {
        let Some(prefix) = &self.0.prefix else {
            let is_needless = names.wanted().next().is_none();
            return if is_needless { Ok(None) } else { Err(SecretError::NoScope.at("AWS_SECRET_PREFIX")) };
        };
        if names.wanted().next().is_none() && !names.undeclared {
            return Ok(None);
        }
        Scope::new(prefix).map(Some).ok_or_else(|| SecretError::Scope.at(escaped(prefix)))
    }

    fn wanted(&self, request: &Request) -> Result<Wanted, ProviderError> {
        let here = |key: &&Key| self.region_of_another(key).is_none();
        Ok(Wanted {
            scope: self.scope(&request.names)?,
            names: request.names.clone(),
            versions: request.keys.iter().map(|(key, _)| key).filter(here).map(version_of).collect(),
            fresh_within: self.0.fresh_within,
        })
    }

    /// The region in the key's ARN, if it is not the configured one.
    fn region_of_another<'a>(&self, key: &'a Key) -> Option<&'a str> {
        let region = key.path.strip_prefix("arn:")?.split(':').nth(2)?;
        (region != self.0.identity.endpoints.region).then_some(region)
    }

    fn referenced(&self, key: &Key, want: Want, known: &Known) -> Option<Found> {
        let failed = |error: SecretError| Some(Reading::Failed(error.at(escaped(&*key.path))));
        let reading = match (self.region_of_another(key), known.secrets.get(&version_of(key))) {
            (Some(region), _) => failed(SecretError::OtherRegion { region: escaped(region) }),
            (None, Some(Ok(stored))) => value(stored, key.field.as_deref(), want).unwrap_or_else(failed),
            (None, Some(Err(AwsError::Absent)) | None) => None,
            (None, Some(Err(error))) => failed(error.clone().into()),
        };
        reading.map(|reading| Found { key: key.clone(), name: None, reading })
    }
}

impl Provider for Aws {
    fn read(&self, request: &Request, deadline: Deadline) -> Result<Answer, ProviderError> {
        let wanted = self.wanted(request)?;
        let mut answer = Answer { warnings: self.0.warnings.clone(), ..Answer::default() };
        let known = if wanted.has_names() || !wanted.versions.is_empty() {
            let api = self.session(deadline, &mut answer)?;
            let known = read::read(&api, &wanted, self.0.width, deadline);
            answer.warnings.extend(api.wire.late().map(late));
            answer.notes.extend(account(&known).map(|account| format!("account at AWS: {account}")));
            known
        } else {
            Known::default()
        };
        answer
            .found
            .extend(request.keys.iter().filter_map(|(key, want)| self.referenced(key, *want, &known)));
        look_for_names(&wanted, &known, &mut answer);
        Ok(answer)
    }

    fn consumed(&self) -> Vec<String> {
        self.0.identity.method.as_ref().map(Method::consumed).unwrap_or_default()
    }

    fn access(&self) -> Option<Access> {
        Some(Access { endpoint: self.0.identity.endpoints.shown(), sign_in: self.label() })
    }
}

/// The account that owns the secrets, from an ARN.
fn account(known: &Known) -> Option<&str> {
    let stored = known.secrets.values().find_map(|stored| stored.as_ref().ok())?;
    let account = stored.arn.split(':').nth(4)?;
    (account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit())).then_some(account)
}

fn version_of(key: &Key) -> Version {
    (key.path.to_string(), key.version.as_deref().map(str::to_owned))
}

/// Adds the values found by name.
fn look_for_names(wanted: &Wanted, known: &Known, answer: &mut Answer) {
    let Some(scope) = &wanted.scope else { return };
    match &known.list {
        Some(Ok(list)) => {
            answer.state = Some(format!("AWS lists {} secrets of `{}`", list.len(), scope.prefix()));
        }
        Some(Err(AwsError::Denied { .. })) => answer.warnings.push(unlisted(scope)),
        Some(Err(error)) => return answer.failures.push(error.clone().at("AWS")),
        None => {}
    }
    answer.unnamed.extend(wanted.unnamed(known).into_iter().map(Key::new));
    for sought in wanted.sought(known) {
        let stored = known.secrets.get(&(sought.secret.clone(), None));
        match (&sought.name, stored) {
            (Some(name), _) if sought.want == Want::Existence => {
                answer.found.push(found(&sought.secret, name, Reading::Exists));
            }
            (_, None | Some(Err(AwsError::Absent))) => {}
            (Some(name), Some(Err(error @ AwsError::Denied { .. }))) if known.is_list_denied() => {
                answer.denied.push((name.clone(), error.clone().at(escaped(&sought.secret))));
            }
            (None, Some(Err(AwsError::Denied { .. }))) if known.is_list_denied() => {}
            (Some(name), Some(stored)) => {
                answer.found.push(found(&sought.secret, name, whole(stored, &sought)));
            }
            (None, Some(stored)) => look_into(&sought.secret, stored, wanted, answer),
        }
    }
}

fn found(secret: &str, name: &str, reading: Reading) -> Found {
    Found { key: Key::new(secret), name: Some(name.to_owned()), reading }
}

/// A secret that maps to a single name.
fn whole(stored: &Result<Stored, AwsError>, sought: &Sought) -> Reading {
    let failed = |error: SecretError| Reading::Failed(error.at(escaped(&sought.secret)));
    match stored {
        Ok(stored) => match value(stored, None, sought.want) {
            Ok(reading) => reading.unwrap_or(Reading::Exists),
            Err(error) => failed(error),
        },
        Err(error) => failed(error.clone().into()),
    }
}

/// A secret whose fields map to names.
fn look_into(secret: &str, stored: &Result<Stored, AwsError>, wanted: &Wanted, answer: &mut Answer) {
    let place = || escaped(secret);
    let stored = match stored {
        Ok(stored) => stored,
        Err(error) => return answer.failures.push(error.clone().at(place())),
    };
    let names = match fields(stored) {
        Ok(names) => names,
        Err(SecretError::NoFields) => return answer.warnings.push(no_fields(&place())),
        Err(error) => return answer.failures.push(error.at(place())),
    };
    for field in names {
        let key = Key { field: Some(field.as_str().into()), ..Key::new(secret) };
        let Some(name) = name_of(&field) else {
            answer.unnamed.extend(wanted.names.undeclared.then_some(key));
            continue;
        };
        let Some(want) = wanted.names.want(&name) else { continue };
        match value(stored, Some(&field), want) {
            Ok(Some(reading)) => answer.found.push(Found { key, name: Some(name), reading }),
            Ok(None) => answer.warnings.push(null(&name, &key)),
            Err(error) => answer.failures.push(error.at(place())),
        }
    }
}

fn exposed() -> Problem {
    let what = "secrets are read from AWS without TLS, because `allow_http` names its host";
    Problem::new(Reason::Untrusted, "AWS", what, "use https, and remove the host from `allow_http`")
}

fn late(seconds: i64) -> Problem {
    let side = if seconds > 0 { "slow" } else { "fast" };
    let what = format!(
        "the clock is {} s {side} by the clock of AWS, and was corrected for it",
        seconds.unsigned_abs()
    );
    Problem::new(Reason::Untrusted, "AWS", what, "set the clock of this machine, for example by NTP")
}

fn unlisted(scope: &Scope) -> Problem {
    let what = format!(
        "the secrets of `{}` may not be listed: only declared ones are read, by `{0}` and their names",
        scope.prefix()
    );
    let fix =
        format!("none needed if that is meant; else {}", error::statement("secretsmanager:ListSecrets", "*"));
    Problem::new(Reason::Denied, "AWS", what, fix)
}

fn no_fields(place: &str) -> Problem {
    let what = format!(
        "AWS {place} has the name of the prefix, but is not a JSON object with each name once: it is left out"
    );
    let fix = "write a JSON object whose fields are secrets, or end AWS_SECRET_PREFIX with its separator";
    Problem::new(Reason::Invalid, "AWS", what, fix)
}

fn null(name: &str, key: &Key) -> Problem {
    let what = format!("AWS {key} is null, which counts as absent");
    Problem::new(Reason::Missing, name, what, "write a value, or remove the field")
}
