//! The Vault provider: reads secrets from `HashiCorp` Vault and `OpenBao`, with KV versions 1 and 2.

pub mod api;
pub mod error;
pub mod identity;
pub mod kv;
pub mod path;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use self::api::Api;
use self::identity::{Method, SingleUse, sign_in};
use self::kv::{KvError, Session, Stored, Wanted};
use self::path::SecretPath;
use super::json::Json;
use super::{
    Access, Answer, Deadline, Found, Key, Names, Provider, ProviderError, Reading, Request, Value, Want,
};
use crate::error::{Problem, Reason};
use crate::escape::escaped;
use crate::name::EnvName;
use crate::provider::Cause as _;

/// The settings of the Vault provider.
#[derive(Debug)]
pub struct Settings {
    /// The address, and how to connect to it.
    pub api: api::Settings,
    /// Paths whose fields become secrets of the app. If two have a field of the same name, the later path wins.
    pub paths: Vec<String>,
    /// The maximum number of concurrent requests.
    pub width: usize,
    /// The sign-in method, or why none could be chosen.
    pub method: Result<Method, ProviderError>,
    /// Whether single-use values may be used up.
    pub single_use: SingleUse,
    /// Warnings from choosing the sign-in method and reading its values.
    pub warnings: Vec<Problem>,
}

/// The Vault provider. It does nothing until [`Provider::read`] is called.
#[derive(Debug)]
pub struct Vault(Settings);

impl Vault {
    /// Creates the provider, without I/O.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self(settings)
    }

    /// Signs in, and stores the session to close after startup in `answer`.
    fn session(&self, deadline: Deadline, answer: &mut Answer) -> Result<Session, ProviderError> {
        // The setting's name, not its value: an invalid address may contain a password.
        let api = Api::new(self.0.api.clone()).map_err(|error| error.at("VAULT_ADDR"))?;
        let api = Arc::new(api);
        let method = self.0.method.as_ref().map_err(Clone::clone)?;
        let token = sign_in(method, &api, self.0.single_use, deadline)?;
        answer.session = token.session(&api);
        // A token that the operator provided is not verified separately; the first read does that.
        answer.notes.push(format!("sign-in at Vault: {}", method.label()));
        answer.advice.extend(token.advice);
        Ok(Session { api, token: Arc::new(token.value), width: self.0.width, deadline })
    }

    /// The configured paths to search for names.
    fn scope(&self, names: &Names) -> Result<Vec<SecretPath>, ProviderError> {
        // Every secret has its own reference and undeclared names are not delivered, so there is nothing to search
        // for.
        if names.wanted.is_empty() && (!names.undeclared || self.0.paths.is_empty()) {
            return Ok(Vec::new());
        }
        if self.0.paths.is_empty() {
            return Err(KvError::NoScope.at(String::new()));
        }
        let parse = |path: &String| SecretPath::parse(path).ok_or_else(|| KvError::Path.at(escaped(path)));
        self.0.paths.iter().map(parse).collect()
    }
}

impl Provider for Vault {
    fn read(&self, request: &Request, deadline: Deadline) -> Result<Answer, ProviderError> {
        let scope = self.scope(&request.names)?;
        let mut answer = Answer { warnings: self.0.warnings.clone(), ..Answer::default() };
        let mut wanted = BTreeSet::new();
        wanted.extend(scope.iter().map(wanted_in_scope));
        wanted.extend(request.keys.iter().filter_map(|(key, _)| wanted_of(key)));
        let wanted: Vec<Wanted> = wanted.into_iter().collect();
        if wanted.is_empty() {
            return Ok(answer);
        }
        let session = self.session(deadline, &mut answer)?;
        answer.warnings.extend(session.api.is_exposed().then(exposed));
        let read = kv::read(&session, &wanted);
        let read: BTreeMap<&Wanted, &Result<Stored, KvError>> = wanted.iter().zip(&read).collect();
        let mut states = BTreeSet::new();
        for (key, want) in &request.keys {
            let stored = wanted_of(key).and_then(|it| read.get(&it).copied());
            let found = referenced(key, *want, stored);
            states.extend(stored.filter(|_| found.is_none()).and_then(|stored| lacking(key, stored)));
            answer.found.extend(found);
        }
        look_for_names(&request.names, &scope, &read, &mut answer);
        states.extend(answer.state.take());
        answer.state = (!states.is_empty()).then(|| Vec::from_iter(states).join(", "));
        Ok(answer)
    }

    fn consumed(&self) -> Vec<String> {
        self.0.method.as_ref().map(Method::consumed).unwrap_or_default()
    }

    fn access(&self) -> Option<Access> {
        let sign_in = self.0.method.as_ref().ok().map(Method::label);
        Some(Access { endpoint: self.0.api.endpoint(), sign_in })
    }
}

fn exposed() -> Problem {
    let what = "secrets are read from Vault without TLS, because `allow_http` names its host";
    Problem::new(Reason::Untrusted, "Vault", what, "use https, and remove the host from `allow_http`")
}

fn wanted_in_scope(path: &SecretPath) -> Wanted {
    Wanted { path: path.clone(), version: None, is_scope: true }
}

fn wanted_of(key: &Key) -> Option<Wanted> {
    // In a valid reference, the version is a number.
    let version = key.version.as_deref().map(str::parse).transpose().ok()?;
    Some(Wanted { path: SecretPath::parse(&key.path)?, version, is_scope: false })
}

/// The outcome of a reference; `None` if the secret or the field does not exist.
fn referenced(key: &Key, want: Want, stored: Option<&Result<Stored, KvError>>) -> Option<Found> {
    let place = || escaped(&*key.path);
    let reading = match stored {
        None => Some(Reading::Failed(KvError::Path.at(place()))),
        Some(Err(KvError::Absent)) => None,
        Some(Err(error)) => Some(Reading::Failed(error.clone().at(place()))),
        Some(Ok(stored)) => {
            field(stored, key, want).unwrap_or_else(|error| Some(Reading::Failed(error.at(place()))))
        }
    };
    reading.map(|reading| Found { key: key.clone(), name: None, reading })
}

/// Describes a secret that exists but lacks the referenced field.
fn lacking(key: &Key, stored: &Result<Stored, KvError>) -> Option<String> {
    let fields = stored.as_ref().ok()?.fields().ok()?;
    Some(state(&key.path, fields.len()))
}

fn state(path: &str, count: usize) -> String {
    format!("Vault {} has {count} fields", escaped(path))
}

/// The field that the reference names, or the only one of the secret.
fn field(stored: &Stored, key: &Key, want: Want) -> Result<Option<Reading>, KvError> {
    let fields = stored.fields()?;
    let json = match (&key.field, fields.as_slice()) {
        (Some(name), fields) => fields.iter().find(|(other, _)| **other == **name).map(|(_, json)| *json),
        (None, [(_, json)]) => Some(*json),
        (None, fields) => return Err(KvError::ManyFields { count: fields.len() }),
    };
    json.filter(|json| !json.is_null()).map(|json| reading(stored, json, want)).transpose()
}

fn reading(stored: &Stored, json: Json<'_>, want: Want) -> Result<Reading, KvError> {
    if want == Want::Existence {
        return Ok(Reading::Exists);
    }
    let secret = json.value().ok_or(KvError::member("data"))?;
    let version = stored.version.map(|version| version.to_string());
    Ok(Reading::Value(Box::new(Value {
        secret,
        created: stored.created,
        version,
        starts: None,
        expires: None,
    })))
}

/// Adds the values found by name. If any path could not be read, none is added: that path may hold any of the names,
/// and a later path overrides an earlier one.
fn look_for_names(
    names: &Names,
    scope: &[SecretPath],
    read: &BTreeMap<&Wanted, &Result<Stored, KvError>>,
    answer: &mut Answer,
) {
    let mut by_name: BTreeMap<String, Vec<Found>> = BTreeMap::new();
    let mut states = Vec::new();
    for path in scope {
        let outcome = match read.get(&wanted_in_scope(path)) {
            Some(Ok(stored)) => named(names, path, stored, answer),
            Some(Err(error)) => Err(error.clone()),
            None => continue,
        };
        match outcome {
            Ok((found, count)) => {
                by_name.extend(found);
                states.push(state(path.as_str(), count));
            }
            Err(error) => answer.failures.push(error.at(escaped(path.as_str()))),
        }
    }
    if answer.failures.is_empty() {
        answer.found.extend(by_name.into_values().flatten());
        answer.state = (!states.is_empty()).then(|| states.join(", "));
    }
}

/// The fields of one secret, grouped by the name that they map to, and the number of fields.
fn named(
    names: &Names,
    path: &SecretPath,
    stored: &Stored,
    answer: &mut Answer,
) -> Result<(BTreeMap<String, Vec<Found>>, usize), KvError> {
    let mut by_name: BTreeMap<String, Vec<Found>> = BTreeMap::new();
    let fields = stored.fields()?;
    let count = fields.len();
    for (field, json) in fields {
        let key = Key { field: Some(field.into()), ..Key::new(path.as_str()) };
        let Ok(name) = EnvName::from_key(key.field.as_deref().unwrap_or_default(), "") else {
            answer.unnamed.extend(names.undeclared.then_some(key));
            continue;
        };
        let Some(want) = names.want(name.as_str()) else { continue };
        if json.is_null() {
            answer.warnings.push(null(&name, &key));
            continue;
        }
        let name = name.as_str().to_owned();
        let reading = reading(stored, json, want)?;
        by_name.entry(name.clone()).or_default().push(Found { key, name: Some(name), reading });
    }
    Ok((by_name, count))
}

fn null(name: &EnvName, key: &Key) -> Problem {
    let what = format!("Vault {key} is null, which counts as absent");
    Problem::new(Reason::Missing, name.as_str(), what, "write a value, or remove the field")
}
