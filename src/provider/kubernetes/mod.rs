//! The provider of Secrets from the Kubernetes API.

pub mod api;
pub mod cluster;
pub mod error;
pub mod kubeconfig;
pub mod secret;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use self::api::Api;
use self::cluster::{Cluster, is_name};
use self::error::KubernetesError;
use self::secret::Secret;
use super::http::{self, in_parallel};
use super::{
    Access, Answer, Deadline, Found, Key, Names, Provider, ProviderError, Reading, Request, Value, Want,
};
use crate::escape::escaped;
use crate::name::EnvName;
use crate::provider::Cause as _;

/// The settings of the Kubernetes provider.
#[derive(Debug)]
pub struct Settings {
    /// The cluster, or why there is none.
    pub cluster: Result<Cluster, ProviderError>,
    /// The settings of the HTTP client.
    pub http: http::Settings,
    /// The namespace of the Secrets; `None` stands for that of the pod or of the context.
    pub namespace: Option<String>,
    /// The Secrets whose keys become secrets of the app. Later ones override earlier ones.
    pub names: Vec<String>,
    /// The maximum number of concurrent requests.
    pub width: usize,
}

/// The Kubernetes provider. It does nothing until [`Provider::read`] is called.
#[derive(Debug)]
pub struct Kubernetes(Settings);

/// A Secret: its namespace and its name.
type Place = (String, String);

/// What reading each Secret gave.
type Known = BTreeMap<Place, Result<Secret, KubernetesError>>;

impl Kubernetes {
    /// Creates the provider, without I/O.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self(settings)
    }

    /// The Secrets to search for names.
    fn scope(&self, names: &Names, own: &str) -> Vec<Place> {
        let is_needless = names.wanted().next().is_none() && !names.undeclared;
        let place = |name: &String| (own.to_owned(), name.clone());
        if is_needless { Vec::new() } else { self.0.names.iter().map(place).collect() }
    }

    fn read_all(&self, api: Api, places: BTreeSet<Place>, deadline: Deadline) -> Known {
        let api = Arc::new(api);
        let jobs: Vec<Place> = places.into_iter().collect();
        let get = move |(namespace, name): Place| {
            let is_legal = is_name(&namespace) && is_name(&name);
            if is_legal { api.get(&namespace, &name, deadline) } else { Err(KubernetesError::Name) }
        };
        let secrets = in_parallel(jobs.clone(), self.0.width, deadline.with_grace(), get);
        let known = secrets.into_iter().map(|secret| secret.unwrap_or(Err(KubernetesError::TimedOut)));
        jobs.into_iter().zip(known).collect()
    }
}

impl Provider for Kubernetes {
    fn read(&self, request: &Request, deadline: Deadline) -> Result<Answer, ProviderError> {
        let cluster = self.0.cluster.as_ref().map_err(Clone::clone)?.clone();
        let own = self.0.namespace.clone().map_or_else(|| cluster.account.namespace(), Ok)?;
        let scope = self.scope(&request.names, &own);
        let references: Vec<(Place, &Key, Want)> =
            request.keys.iter().map(|(key, want)| (place_of(key, &own), key, *want)).collect();
        let places = scope.iter().cloned().chain(references.iter().map(|(place, ..)| place.clone()));
        let places: BTreeSet<Place> = places.collect();
        let mut answer = Answer::default();
        if places.is_empty() {
            return Ok(answer);
        }
        answer.notes.push(format!("sign-in at Kubernetes: {}", cluster.account.label()));
        let api = Api::sign_in(cluster, &self.0.http, deadline)?;
        let known = self.read_all(api, places, deadline);
        answer
            .found
            .extend(references.iter().filter_map(|(place, key, want)| referenced(place, key, *want, &known)));
        look_for_names(&request.names, &scope, &known, &mut answer);
        Ok(answer)
    }

    fn access(&self) -> Option<Access> {
        let cluster = self.0.cluster.as_ref().ok();
        Some(Access {
            endpoint: cluster.map(|cluster| cluster.url.clone()),
            sign_in: cluster.map(|cluster| cluster.account.label()),
        })
    }
}

/// `namespace/name`, or a name in the namespace of the others.
fn place_of(key: &Key, own: &str) -> Place {
    let (namespace, name) = key.path.split_once('/').unwrap_or((own, &key.path));
    (namespace.to_owned(), name.to_owned())
}

fn shown((namespace, name): &Place) -> String {
    escaped(format!("{namespace}/{name}"))
}

/// The outcome of a reference; `None` if the Secret or the key does not exist.
fn referenced(place: &Place, key: &Key, want: Want, known: &Known) -> Option<Found> {
    let failed = |error: KubernetesError| Some(Reading::Failed(error.at(shown(place))));
    let reading = match known.get(place)? {
        Err(KubernetesError::Absent) => None,
        Err(error) => failed(error.clone()),
        Ok(secret) => match (&key.field, secret.data.as_slice()) {
            (Some(field), data) => {
                let at = data.iter().position(|(name, _)| **name == **field);
                at.map(|at| reading(place, secret, at, want))
            }
            (None, [_]) => Some(reading(place, secret, 0, want)),
            (None, data) => failed(KubernetesError::ManyKeys { count: data.len() }),
        },
    };
    reading.map(|reading| Found { key: key.clone(), name: None, reading })
}

fn reading(place: &Place, secret: &Secret, at: usize, want: Want) -> Reading {
    let value = secret.data.get(at).and_then(|(_, value)| value.as_ref());
    match (want, value) {
        (Want::Existence, _) => Reading::Exists,
        (Want::Value, None) => Reading::Failed(KubernetesError::NotBase64.at(shown(place))),
        (Want::Value, Some(value)) => Reading::Value(Box::new(Value {
            secret: value.duplicate(),
            created: secret.created,
            version: secret.version.clone(),
            starts: None,
            expires: None,
        })),
    }
}

/// Adds the values found by name. If any Secret could not be read, none is added: it may hold any of the names, and a
/// later Secret overrides an earlier one.
fn look_for_names(names: &Names, scope: &[Place], known: &Known, answer: &mut Answer) {
    let mut by_name: BTreeMap<String, Vec<Found>> = BTreeMap::new();
    let mut states = Vec::new();
    for place in scope {
        match known.get(place) {
            Some(Ok(secret)) => {
                states.push(format!("the Secret {} has {} keys", shown(place), secret.data.len()));
                by_name.extend(named(names, place, secret, answer));
            }
            Some(Err(error)) => answer.failures.push(error.clone().at(shown(place))),
            None => {}
        }
    }
    if answer.failures.is_empty() {
        answer.found.extend(by_name.into_values().flatten());
        answer.state = (!states.is_empty()).then(|| states.join(", "));
    }
}

/// The keys of a Secret, grouped by the name that they map to.
fn named(names: &Names, place: &Place, secret: &Secret, answer: &mut Answer) -> BTreeMap<String, Vec<Found>> {
    let mut by_name: BTreeMap<String, Vec<Found>> = BTreeMap::new();
    for (at, field) in secret.keys().enumerate() {
        let key = Key { field: Some(field.into()), ..Key::new(format!("{}/{}", place.0, place.1)) };
        let Ok(name) = EnvName::from_key(field, "") else {
            answer.unnamed.extend(names.undeclared.then_some(key));
            continue;
        };
        let Some(want) = names.want(name.as_str()) else { continue };
        let name = name.as_str().to_owned();
        let reading = reading(place, secret, at, want);
        by_name.entry(name.clone()).or_default().push(Found { key, name: Some(name), reading });
    }
    by_name
}
