//! Checks that the app gets secrets, and not references to them.

use super::Findings;
use crate::delivery::Delivery;
use crate::error::{Problem, Reason};
use crate::manifest::Deliver;
use crate::provider::reference::{has_a_reference, is_like_a_reference};
use crate::resolve::{Resolution, Resolved};

/// Reports declared secrets whose value is a reference, or has one in it. Starting the app with a reference in place
/// of the secret would hide that nothing resolved it, so this stops startup in every mode.
pub(super) fn judge(resolution: &Resolution, delivery: &Delivery<'_>, findings: &mut Findings) {
    let is_judged =
        |it: &&Resolved| it.is_declared && !it.rule.allow_literal && it.rule.deliver != Deliver::Ssh;
    for resolved in resolution.secrets.iter().filter(is_judged) {
        let secret = resolved.accepted();
        let value = secret.map(|secret| secret.variable_bytes());
        let place = secret.map_or_else(|| format!("environment {}", resolved.name), |it| it.tried.label());
        // The app may inherit the variable even if the secret has no value.
        let value = value.or_else(|| delivery.inherited_value(resolved.name.as_str())).unwrap_or_default();
        if is_like_a_reference(value) {
            findings.errors.push(unresolved(resolved, &place));
        } else if has_a_reference(value) {
            findings.warnings.push(embedded(resolved, &place));
        }
    }
}

fn unresolved(resolved: &Resolved, place: &str) -> Problem {
    let name = resolved.name.as_str();
    let allow = "if the app needs exactly this text, set `allow_literal = true` in its table in the manifest";
    if !resolved.rule.from.is_empty() && resolved.found().is_some() {
        let what = format!("{name} ({place}) is a reference itself, and cryokey follows only one");
        return Problem::configuration(name, what, format!("refer to the secret directly; {allow}"));
    }
    let what = format!("{name} ({place}) looks like a reference to a secret, not like the secret");
    let fix =
        format!("put the reference into its `from` in the manifest, or provide the secret itself; {allow}");
    Problem::new(Reason::Reference, name, what, fix)
}

fn embedded(resolved: &Resolved, place: &str) -> Problem {
    let name = resolved.name.as_str();
    let what = format!(
        "{name} ({place}) contains a reference, which cryokey does not resolve: the app gets it as text"
    );
    let fix = "provide the whole value as one secret, or set `allow_literal = true` in its table in the manifest if it is intended";
    Problem::new(Reason::Reference, name, what, fix)
}
