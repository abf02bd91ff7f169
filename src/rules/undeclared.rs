//! Which keys that nobody declared does the app not get?

use super::Findings;
use crate::error::{Problem, Reason};
use crate::resolve::{LeftOut, Resolution, WhyLeftOut};

/// Names what is left out, one warning for each reason.
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
            "their names could change what a process does before the app looks at them",
            "declare the name in the manifest if the app needs it, or remove the key",
        ),
        WhyLeftOut::NoName => ("they map to no name of a variable", "rename them, or remove them"),
    };
    let names: Vec<String> = keys.iter().map(|it| format!("{} {}", it.source.text(), it.key)).collect();
    let what = format!("undeclared keys are left out, since {because}: {}", names.join(", "));
    Problem { reason: Reason::Configuration, names, what, fix: fix.into() }
}
