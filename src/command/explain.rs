//! `cryokey explain`: where a value comes from, and which sources it overrides.

use std::time::SystemTime;

use super::{pipeline, print};
use crate::cli::ReportFormat;
use crate::config::{Config, Flags};
use crate::environ::Environ;
use crate::error::{Failure, Phase, Problem};
use crate::escape::escaped;
use crate::logger::Logger;
use crate::name::{EnvName, Variant};
use crate::provider::file_variables;
use crate::provider::vault::identity::SingleUse;
use crate::report::explanation::Explanation;
use crate::rules::rotation::Ages;
use crate::suggest::did_you_mean;

/// An undeclared name is an error, but the others are still explained.
pub(super) fn run(
    flags: Flags,
    format: ReportFormat,
    names: &[String],
    environ: &Environ,
    log: &Logger,
) -> Result<(), Failure> {
    let config = pipeline::configure(flags, environ, log)?;
    let resolution = pipeline::read(&config, environ, SingleUse::Kept, log);
    let ages = Ages::new(&resolution, SystemTime::now());
    let mut problems = Vec::new();
    let mut explanations = Vec::new();
    for name in names {
        let is = |wanted: &str| resolution.all().find(|resolved| resolved.name.as_str() == wanted);
        if let Some(resolved) = is(name) {
            explanations.push(Explanation::new(resolved, ages, &resolution.visits));
        } else if let Some((resolved, note)) =
            spelling(name, &config).and_then(|(is_for, note)| Some((is(&is_for)?, note)))
        {
            let mut explanation = Explanation::new(resolved, ages, &resolution.visits);
            explanation.notes.insert(0, note);
            explanations.push(explanation);
        } else {
            problems.push(undeclared(name, &config));
        }
    }
    let text = match format {
        ReportFormat::Table => explanations.iter().map(Explanation::text).collect(),
        ReportFormat::Json => Explanation::json(&explanations),
    };
    print(&text, config.start_timeout)?;
    if problems.is_empty() { Ok(()) } else { Err(Failure { phase: Phase::Resolve, problems }) }
}

/// The declared name that a spelling stands for, and how: behind a prefix, as a `_FILE` variable, or as a file's name.
fn spelling(spelling: &str, config: &Config) -> Option<(String, String)> {
    let mapped = EnvName::from_key(spelling, &config.name_prefix).ok()?;
    let mapped = mapped.as_str();
    let is_declared = |name: &str| config.manifest.secrets.contains_key(name);
    let stems = [Some(mapped), mapped.strip_suffix(file_variables::SUFFIX)];
    for stem in stems.into_iter().flatten() {
        let plain = is_declared(stem).then(|| (stem.to_owned(), format!("{} maps to it", escaped(spelling))));
        let behind = |variant: &Variant| {
            let name = stem.strip_prefix(&variant.prefix()).filter(|name| is_declared(name))?;
            Some((name.to_owned(), format!("{} maps to it in `{variant}`", escaped(spelling))))
        };
        if let Some(found) = plain.or_else(|| config.manifest.variants().find_map(behind)) {
            return Some(found);
        }
    }
    None
}

fn undeclared(name: &str, config: &Config) -> Problem {
    let hint = did_you_mean(name, config.manifest.secrets.keys().map(EnvName::as_str));
    Problem::configuration(
        escaped(name),
        format!("{} is not declared{hint}", escaped(name)),
        format!("correct the name, or declare it in the manifest as `[secret.{}]`", escaped(name)),
    )
}
