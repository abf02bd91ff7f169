//! Does the app get secrets, and not what refers to them?

use super::Findings;
use crate::delivery::Delivery;
use crate::error::{Problem, Reason};
use crate::manifest::Deliver;
use crate::provider::reference::{has_a_reference, is_like_a_reference};
use crate::resolve::{Resolution, Resolved};

/// Reports declared secrets whose value is a reference, or has one in it. To start the app with a reference in place
/// of the secret would hide that nothing resolved it, so this stops startup in every mode.
pub(super) fn judge(resolution: &Resolution, delivery: &Delivery<'_>, findings: &mut Findings) {
    let is_judged =
        |it: &&Resolved| it.is_declared && !it.rule.allow_literal && it.rule.deliver != Deliver::Ssh;
    for resolved in resolution.secrets.iter().filter(is_judged) {
        let secret = resolved.accepted();
        let value = secret.map(|secret| secret.variable_bytes());
        let place = secret.map_or_else(|| format!("environment {}", resolved.name), |it| it.tried.label());
        // A secret without a value may still be an inherited variable of the app.
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
    let allow = "if the app wants exactly this text, set `allow_literal = true` for it in the manifest";
    if !resolved.rule.from.is_empty() && resolved.found().is_some() {
        let what = format!("{name} ({place}) is a reference itself, and cryokey follows only one");
        return Problem::configuration(name, what, format!("refer to the secret directly; {allow}"));
    }
    let what = format!("{name} ({place}) looks like a reference to a secret, not like the secret");
    let fix = format!("name the place in `from` in the manifest, or write the real value there; {allow}");
    Problem::new(Reason::Reference, name, what, fix)
}

fn embedded(resolved: &Resolved, place: &str) -> Problem {
    let name = resolved.name.as_str();
    let what = format!(
        "{name} ({place}) contains a reference, which cryokey does not resolve: the app gets it as text"
    );
    let fix = "make the whole value one secret; `allow_literal = true` in the manifest silences this";
    Problem::new(Reason::Reference, name, what, fix)
}
