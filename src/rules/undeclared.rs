//! Reports undeclared keys that the app does not get.

use super::Findings;
use crate::error::{Problem, Reason};
use crate::resolve::{LeftOut, Resolution, WhyLeftOut};

/// One warning per reason.
pub(super) fn judge(resolution: &Resolution, findings: &mut Findings) {
    for why in [WhyLeftOut::Dangerous, WhyLeftOut::NoName] {
        let keys: Vec<&LeftOut> = resolution.left_out.iter().filter(|left_out| left_out.why == why).collect();
        if !keys.is_empty() {
            findings.warnings.push(left_out(&keys, why));
        }
    }
}

fn left_out(keys: &[&LeftOut], why: WhyLeftOut) -> Problem {
    let (because, fix) = match why {
        WhyLeftOut::Dangerous => (
            "their names can change what a process does before the app reads them",
            "declare the name in the manifest if the app needs it, or remove the key",
        ),
        WhyLeftOut::NoName => ("they do not map to a valid variable name", "rename or remove them"),
    };
    let names: Vec<String> = keys.iter().map(|it| format!("{} {}", it.source.text(), it.key)).collect();
    let what = format!("undeclared keys are not delivered, because {because}: {}", names.join(", "));
    Problem { reason: Reason::Configuration, names, what, fix: fix.into() }
}
