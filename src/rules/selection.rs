//! Is it clear which environment's and which color's secrets are meant?

use std::collections::BTreeMap;

use super::Findings;
use crate::config::Config;
use crate::environ::variable;
use crate::error::{Problem, Reason};
use crate::escape::escaped;
use crate::manifest::Deliver;
use crate::name::Variant;
use crate::provider::file_variables;
use crate::resolve::{Assumed, Resolution};

/// Says which environment was assumed, and refuses to guess between several.
pub fn judge(resolution: &Resolution, config: &Config, findings: &mut Findings) {
    match &resolution.assumed {
        Assumed::Nothing => {}
        Assumed::Only(only) => findings.warnings.push(assumed(only)),
        Assumed::Ambiguous(several) => findings.errors.push(ambiguous(several)),
    }
    let mut by_variant: BTreeMap<&Variant, Vec<String>> = BTreeMap::new();
    let mut keys = Vec::new();
    for (resolved, tried) in resolution.unselected() {
        if resolved.rule.deliver == Deliver::Ssh && config.selection.environment.is_none() {
            keys.push(tried.key_text());
        } else if let Some(variant) = &tried.candidate.variant
            && config.manifest.colors.contains(variant)
        {
            by_variant.entry(variant).or_default().push(tried.key_text());
        }
    }
    if !keys.is_empty() {
        findings.warnings.push(key_not_placed(keys, &config.selection.why_unused(false)));
    }
    let names: Vec<String> = by_variant.into_values().flatten().collect();
    if !names.is_empty() {
        findings.warnings.push(color_not_selected(names, &config.selection.why_unused(true)));
    }
    if !config.prefixed.is_empty() {
        findings.warnings.push(prefixed_variables(config.prefixed.keys().map(escaped).collect()));
    }
}

fn assumed(only: &Variant) -> Problem {
    Problem::configuration(
        variable::ENVIRONMENT,
        format!("no environment is selected; the only one with secrets here is `{only}`, so it is used"),
        format!("set {}={only}", variable::ENVIRONMENT),
    )
}

fn ambiguous(several: &[Variant]) -> Problem {
    let names: Vec<&str> = several.iter().map(Variant::as_str).collect();
    Problem::configuration(
        variable::ENVIRONMENT,
        format!("no environment is selected, and secrets of {} exist here", names.join(" and ")),
        format!(
            "set {}, {} or {} to the one you mean",
            variable::ENVIRONMENT,
            variable::APP_ENV,
            variable::FLASK_ENV
        ),
    )
}

fn key_not_placed(names: Vec<String>, why: &str) -> Problem {
    let what = format!("{why}, so the SSH key is not placed: {}", names.join(", "));
    not_used(names, what, format!("set {} to the environment whose key you mean", variable::ENVIRONMENT))
}

fn color_not_selected(names: Vec<String>, why: &str) -> Problem {
    let what = format!("{why}, so these secrets are not used: {}", names.join(", "));
    not_used(names, what, format!("set {} to the color that this container is", variable::DEPLOYMENT_COLOR))
}

fn prefixed_variables(names: Vec<String>) -> Problem {
    let what = format!(
        "never used, since a prefixed name counts only as a file or as a `_FILE` variable, not as a plain variable: {}",
        names.join(", ")
    );
    let example = names.first().map(|name| file_variables::of(name)).unwrap_or_default();
    not_used(names, what, format!("mount a file of that name, or set {example} to the path of one"))
}

fn not_used(names: Vec<String>, what: String, fix: String) -> Problem {
    Problem { reason: Reason::Configuration, names, what, fix }
}
