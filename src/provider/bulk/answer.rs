//! Maps what a store returned to the names and references that were requested.

use super::fields::{self, NoFields, value, whole};
use super::lookup::{Known, Sought, Wanted, version_of};
use super::scope::{Scope, name_of};
use super::{StoreError, Stored, Words};
use crate::error::{Problem, Reason};
use crate::escape::escaped;
use crate::provider::{Answer, Cause as _, Found, Key, Kind, ProviderError, Reading, Request, Want};

/// Adds to an answer what the store returned for the request.
pub fn answer<E: StoreError>(
    request: &Request,
    wanted: &Wanted,
    known: &Known<E>,
    words: Words,
    answer: &mut Answer,
) {
    answer.found.extend(request.keys.iter().filter_map(|(key, want)| referenced(key, *want, known)));
    answer.warnings.extend(known.undated.iter().map(|(secret, error)| undated(secret, error, words)));
    if let Some(scope) = &wanted.scope {
        look_for_names(scope, wanted, known, words, answer);
    }
}

fn referenced<E: StoreError>(key: &Key, want: Want, known: &Known<E>) -> Option<Found> {
    let place = || escaped(&*key.path);
    let reading = match known.secrets.get(&version_of(key)) {
        Some(Ok(stored)) => value(stored, key.field.as_deref(), want)
            .unwrap_or_else(|error| Some(Reading::Failed(error.at(place())))),
        Some(Err(error)) if !error.is_absent() => Some(Reading::Failed(failure(error, place()))),
        _ => None,
    };
    reading.map(|reading| Found { key: key.clone(), name: None, reading })
}

fn failure<E: StoreError>(error: &E, place: String) -> ProviderError {
    ProviderError::new(place, error.clone())
}

fn look_for_names<E: StoreError>(
    scope: &Scope,
    wanted: &Wanted,
    known: &Known<E>,
    words: Words,
    answer: &mut Answer,
) {
    match &known.list {
        Some(Ok(list)) => {
            let count = list.iter().filter(|listed| scope.place(&listed.secret).is_some()).count();
            answer.state = Some(state(count, scope, words));
        }
        Some(Err(error)) if error.is_denied() => answer.warnings.push(unlisted(scope, words, error)),
        Some(Err(error)) => return answer.failures.push(failure(error, words.store.to_owned())),
        None => {}
    }
    answer.unnamed.extend(wanted.unnamed(known).into_iter().map(Key::new));
    for sought in wanted.sought(known) {
        let stored = known.secrets.get(&(sought.secret.clone(), None));
        match (&sought.name, stored) {
            (Some(name), Some(Err(error))) if known.is_list_denied() && error.is_denied() => {
                answer.denied.push((name.clone(), failure(error, escaped(&sought.secret))));
            }
            (None, Some(Err(error))) if known.is_list_denied() && error.is_denied() => {}
            (_, Some(Err(error))) if error.is_absent() => {}
            // A disabled or deleted secret matters only if its name was requested explicitly.
            (Some(name), Some(Err(error)))
                if error.kind() == Kind::NotFound && !wanted.names.is_wanted(name) => {}
            (Some(name), Some(stored)) => {
                let reading = whole(stored, sought.want, escaped(&sought.secret));
                answer.found.push(found(&sought.secret, name, reading));
            }
            (Some(name), None) if sought.want == Want::Existence => {
                answer.found.push(found(&sought.secret, name, Reading::Exists));
            }
            (None, Some(stored)) => look_into(&sought, stored, wanted, words, answer),
            (_, None) => {}
        }
    }
}

fn found(secret: &str, name: &str, reading: Reading) -> Found {
    Found { key: Key::new(secret), name: Some(name.to_owned()), reading }
}

/// Adds the fields of the secret whose name is the prefix; each field maps to a name.
fn look_into<E: StoreError>(
    sought: &Sought,
    stored: &Result<Stored, E>,
    wanted: &Wanted,
    words: Words,
    answer: &mut Answer,
) {
    let place = || escaped(&sought.secret);
    let stored = match stored {
        Ok(stored) => stored,
        Err(error) => return answer.failures.push(failure(error, place())),
    };
    let Ok(names) = fields::names(&stored.value) else {
        return answer.warnings.push(no_fields(&place(), words));
    };
    for field in names {
        let key = Key { field: Some(field.as_str().into()), ..Key::new(sought.secret.as_str()) };
        let Some(name) = name_of(&field) else {
            answer.unnamed.extend(wanted.names.undeclared.then_some(key));
            continue;
        };
        let Some(want) = wanted.names.want(&name) else { continue };
        match value(stored, Some(&field), want) {
            Ok(Some(reading)) => answer.found.push(Found { key, name: Some(name), reading }),
            Ok(None) => answer.warnings.push(null(&name, &key, words)),
            Err(NoFields) => answer.failures.push(NoFields.at(place())),
        }
    }
}

fn state(count: usize, scope: &Scope, words: Words) -> String {
    let Words { store, .. } = words;
    if scope.prefix().is_empty() {
        format!("{store} lists {count} secrets")
    } else {
        format!("{store} lists {count} secrets of `{}`", scope.prefix())
    }
}

fn unlisted<E: StoreError>(scope: &Scope, words: Words, error: &E) -> Problem {
    let of = if scope.prefix().is_empty() { String::new() } else { format!(" of `{}`", scope.prefix()) };
    let what = format!("the secrets{of} may not be listed: only declared ones are read, by their names");
    let fix = format!("none needed if that is meant; else {}", error.fix());
    Problem::new(Reason::Denied, words.store, what, fix)
}

fn undated<E: StoreError>(secret: &str, error: &E, words: Words) -> Problem {
    let what = format!("{}: the age is unknown: {}", words.store, error.what(&escaped(secret)));
    Problem::new(error.kind().reason(), words.store, what, error.fix())
}

fn no_fields(place: &str, words: Words) -> Problem {
    let Words { store, prefix, .. } = words;
    let what = format!(
        "{store} {place} has the name of the prefix, but is not a JSON object with each name once: it is left out"
    );
    let fix = format!("write a JSON object whose fields are secrets, or end {prefix} with its separator");
    Problem::new(Reason::Invalid, store, what, fix)
}

fn null(name: &str, key: &Key, words: Words) -> Problem {
    let what = format!("{} {key} is null, which counts as absent", words.store);
    Problem::new(Reason::Missing, name, what, "write a value, or remove the field")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::azure::error::AzureError;

    #[test]
    fn a_secret_that_does_not_exist_is_not_found_and_any_other_failure_is_one() {
        let read = |error: AzureError| {
            let secrets = [(("db".to_owned(), None), Err(error))].into();
            let known = Known { list: None, is_batch_denied: false, secrets, undated: Vec::new() };
            referenced(&Key::new("db"), Want::Value, &known)
        };
        assert!(read(AzureError::Absent).is_none());
        assert!(matches!(read(AzureError::Disabled).unwrap().reading, Reading::Failed(_)));
    }
}
