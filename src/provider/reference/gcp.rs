//! References to secrets in Google: `gcp:project/name`, or `gcp:name` in the configured project, with a JSON key or
//! pointer after `#`, and a version after `@`. Full resource names and the syntaxes of other tools are accepted too:
//! `gcp:secretmanager:projects/…` (bank-vaults), `ref+gcpsecrets://project/name` (vals) and `sm://project/name#version`
//! (berglas).

use super::{NotAReference, Parts, check_number};
use crate::provider::Key;
use crate::provider::bulk::Spelling;
use crate::provider::google::place::is_id;

const BERGLAS: &str = "sm://";

/// The text after `sm://`.
pub(super) fn of_berglas(text: &str) -> Option<&str> {
    text.strip_prefix(BERGLAS)
}

/// Parses `project/name`, with a version after `#`, where other syntaxes have a field.
pub(super) fn berglas(rest: &str) -> Result<Key, NotAReference> {
    let (path, version) = rest.split_once('#').map_or((rest, None), |(path, version)| (path, Some(version)));
    let (project, name) = path.split_once('/').ok_or(NotAReference::Shape)?;
    finish(&Place { project: Some(project), location: None, name }, None, version)
}

/// Parses what follows `gcp:` or `ref+gcpsecrets://`.
pub(super) fn key(parts: Parts<'_>) -> Result<Key, NotAReference> {
    let Parts { path, field, version, is_of_vals } = parts;
    let (path, query) = match path.split_once('?') {
        Some((path, query)) if is_of_vals => (path, Some(query)),
        _ => (path, None),
    };
    let of_query =
        query.map(|query| query.strip_prefix("version=").ok_or(NotAReference::Query)).transpose()?;
    let path = path.strip_prefix("secretmanager:").unwrap_or(path);
    let (place, behind) = place(path)?;
    let mut versions = [version, of_query, behind].into_iter().flatten();
    match (versions.next(), versions.next()) {
        (_, Some(_)) => Err(NotAReference::GcpVersion),
        (version, None) => finish(&place, field, version),
    }
}

/// The parts of a path. Without a project, the secret is in the configured one.
#[derive(Debug, Clone, Copy)]
struct Place<'a> {
    project: Option<&'a str>,
    location: Option<&'a str>,
    name: &'a str,
}

/// Splits a path into its parts, and the version if the path is a full resource name.
fn place(path: &str) -> Result<(Place<'_>, Option<&str>), NotAReference> {
    let global = |project, name| Place { project, location: None, name };
    match path.split('/').collect::<Vec<_>>()[..] {
        [name] => Ok((global(None, name), None)),
        [project, name] | ["projects", project, "secrets", name] => Ok((global(Some(project), name), None)),
        ["projects", project, "secrets", name, "versions", version] => {
            Ok((global(Some(project), name), Some(version)))
        }
        ["projects", project, "locations", location, "secrets", name, ref rest @ ..] => {
            let place = Place { project: Some(project), location: Some(location), name };
            match rest {
                [] => Ok((place, None)),
                ["versions", version] => Ok((place, Some(version))),
                _ => Err(NotAReference::Path),
            }
        }
        _ => Err(NotAReference::Path),
    }
}

fn finish(place: &Place<'_>, field: Option<&str>, version: Option<&str>) -> Result<Key, NotAReference> {
    let Place { project, location, name } = *place;
    let is_name = !name.is_empty() && Spelling::Google.is_legal(name);
    if !is_name || ![project, location].into_iter().flatten().all(is_id) {
        return Err(NotAReference::GcpName);
    }
    if version.is_some_and(|version| !is_version(version)) {
        return Err(NotAReference::GcpVersion);
    }
    let path = match (project, location) {
        (Some(project), Some(location)) => format!("projects/{project}/locations/{location}/secrets/{name}"),
        (Some(project), None) => format!("{project}/{name}"),
        _ => name.to_owned(),
    };
    Ok(Key { path: path.into(), field: field.map(Into::into), version: version.map(Into::into) })
}

/// Whether the text is a version number, `latest`, or an alias, which starts with a letter.
fn is_version(text: &str) -> bool {
    let is_alias = text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.len() <= 63
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
    is_alias || check_number(text).is_ok()
}

#[cfg(test)]
mod tests {
    use super::super::Reference;
    use super::*;

    #[test]
    fn a_reference_to_google_is_written_as_it_is_read() {
        for text in [
            "gcp:db-password",
            "gcp:my-project/db_password",
            "gcp:my-project/db#password",
            "gcp:my-project/db#/users/0/password@7",
            "gcp:123456789012/db@latest",
            "gcp:my-project/db@blue",
            "gcp:projects/my-project/locations/europe-west1/secrets/db@3",
        ] {
            assert_eq!(Reference::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn the_spellings_of_other_tools_for_google_are_read() {
        for (theirs, ours) in [
            ("gcp:projects/p/secrets/db", "gcp:p/db"),
            ("gcp:projects/p/secrets/db/versions/3#a", "gcp:p/db#a@3"),
            ("gcp:secretmanager:projects/p/secrets/db", "gcp:p/db"),
            ("gcp:secretmanager:projects/p/secrets/db/versions/latest", "gcp:p/db@latest"),
            (
                "gcp:projects/p/locations/us-east1/secrets/db/versions/3",
                "gcp:projects/p/locations/us-east1/secrets/db@3",
            ),
            ("ref+gcpsecrets://p/db#/a", "gcp:p/db#/a"),
            ("ref+gcpsecrets://p/db?version=3#/a", "gcp:p/db#/a@3"),
            ("sm://p/db", "gcp:p/db"),
            ("sm://p/db#3", "gcp:p/db@3"),
        ] {
            assert_eq!(Reference::parse(theirs).unwrap().to_string(), ours, "{theirs}");
            assert!(Reference::in_variable(theirs.as_bytes()).unwrap().is_ok(), "{theirs}");
        }
    }

    #[test]
    fn b10_b13_a_reference_to_google_names_no_host_and_is_read_strictly() {
        for (text, why) in [
            ("gcp://evil.example/x", NotAReference::Path),
            ("gcp:evil.example/x", NotAReference::GcpName),
            ("gcp:p/db.x", NotAReference::GcpName),
            ("gcp:p/", NotAReference::GcpName),
            ("gcp:P/db", NotAReference::GcpName),
            ("gcp:projects/p/locations/evil.example/secrets/x", NotAReference::GcpName),
            ("gcp:p/db@5a", NotAReference::GcpVersion),
            ("gcp:p/db@-1", NotAReference::GcpVersion),
            ("gcp:p/db@0", NotAReference::GcpVersion),
            ("gcp:p/db@99999999999999999999999", NotAReference::GcpVersion),
            ("gcp:projects/p/secrets/db/versions/5a", NotAReference::GcpVersion),
            ("gcp:projects/p/secrets/db/versions/5@5", NotAReference::GcpVersion),
            ("ref+gcpsecrets://p/db?endpoint=evil.example", NotAReference::Query),
            ("sm://p", NotAReference::Shape),
            ("sm://p/db#5a", NotAReference::GcpVersion),
            ("sm://p/db?destination=tempfile", NotAReference::GcpName),
        ] {
            assert_eq!(Reference::parse(text), Err(why), "{text}");
        }
    }
}
