//! References in plain variables: each is used as if it were in the manifest.

use std::collections::BTreeSet;

use crate::environ::Environ;
use crate::error::Problem;
use crate::manifest::Manifest;
use crate::name::EnvName;
use crate::provider::file_variables;
use crate::provider::reference::{NotAReference, Reference};

/// Moves the references in the variables of declared secrets without `from` into their `from`. Returns the names of these
/// secrets.
pub(super) fn read(
    manifest: &mut Manifest,
    environ: &Environ,
    problems: &mut Vec<Problem>,
) -> BTreeSet<EnvName> {
    let mut referring = BTreeSet::new();
    for (name, rule) in manifest.secrets.iter_mut().filter(|(_, rule)| !rule.allow_literal) {
        let value = environ.set(name.as_str()).filter(|_| rule.from.is_empty());
        match value.and_then(Reference::in_variable) {
            Some(Ok(reference)) => {
                problems.extend(beside_a_file(name, environ));
                rule.from = vec![reference];
                referring.insert(name.clone());
            }
            Some(Err(why)) => problems.push(unusable(name, &why)),
            None => {}
        }
    }
    referring
}

/// The choice would be ambiguous, as between a plain value and a file.
fn beside_a_file(name: &EnvName, environ: &Environ) -> Option<Problem> {
    let (file_variable, _) = file_variables::set(environ, &file_variables::of(name.as_str()))?;
    let what = format!("{name} is a reference, and {file_variable} is set too");
    Some(Problem::configuration(name.as_str(), what, "keep one of them"))
}

/// Does not quote the text, because it may be a secret after all.
fn unusable(name: &EnvName, why: &NotAReference) -> Problem {
    Problem::configuration(
        name.as_str(),
        format!("the variable {name} begins like a reference, but is not a valid one: {why}"),
        "correct it, or set `allow_literal = true` in its table in the manifest if the app needs exactly this text",
    )
}
