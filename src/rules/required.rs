//! Is everything there that must be?

use super::Verdict;
use crate::config::Config;
use crate::environ::Environ;
use crate::error::{Exit, Problem};
use crate::escape::escaped;
use crate::name::EnvName;
use crate::plan::{Entry, Purpose, Use};
use crate::provider::error::Kind;
use crate::provider::file_variables::SUFFIX;
use crate::provider::{ProviderError, Source};
use crate::resolve::{Fate, Outcome, Resolution, Resolved, Value};
use crate::setting::VARIABLE;

/// Reports what is missing, unreadable, contradictory or only a plain variable.
pub fn judge(resolution: &Resolution<'_>, config: &Config, verdict: &mut Verdict) {
    for (source, error) in &resolution.failures {
        verdict.add(config.strict_secrets, unasked(resolution, *source, error));
    }
    for resolved in &resolution.secrets {
        let entry = resolved.entry;
        verdict.problems.extend(contradictions(resolved));
        match &resolved.outcome {
            Outcome::Absent if entry.rule.required => {
                verdict.add(config.strict_secrets, missing(resolved, resolution, config));
            }
            // What could not be asked is reported once, above, with the names.
            Outcome::Absent | Outcome::Unasked(_) => {}
            Outcome::Collision(one, other) => verdict.problems.push(Problem::configuration(
                entry.name.as_str(),
                format!("{}: {} and {} both stand for it", entry.name, one.key, other.key),
                "keep one of the two",
            )),
            Outcome::Failed(_, error) if error.kind == Kind::Misconfigured => {}
            Outcome::Failed(_, error) => verdict.add(config.strict_secrets, failed(entry, error)),
            Outcome::Found(value) => judge_value(entry, value, config, verdict),
        }
    }
}

/// What is configured in two ways at once, also where something else wins over both.
fn contradictions(resolved: &Resolved<'_>) -> Vec<Problem> {
    let contradicts = |fate: &Fate| match fate {
        Fate::Failed(error) if error.kind == Kind::Misconfigured => Some(failed(resolved.entry, error)),
        _ => None,
    };
    resolved.fates.iter().filter_map(contradicts).collect()
}

fn judge_value(entry: &Entry, value: &Value<'_>, config: &Config, verdict: &mut Verdict) {
    let rule = &entry.rule;
    if rule.required && !rule.allow_empty && value.is_empty(entry) {
        verdict.problems.push(empty(entry, value));
    } else if rule.required && !value.candidate.source.is_for_secrets() && !config.allow_plain_env {
        verdict.add(config.strict_secrets, plain(entry));
    }
}

/// Reports the app's required variables that are not set, unless the same name was reported as a secret already.
pub fn judge_variables(
    resolution: &Resolution<'_>,
    config: &Config,
    environ: &Environ,
    verdict: &mut Verdict,
) {
    for name in &config.manifest.required_variables {
        let is_reported =
            verdict.problems.iter().any(|problem| problem.names.iter().any(|it| it == name.as_str()));
        if !is_reported && !will_be_set(name, resolution, environ) {
            let was_let_pass = !config.strict_secrets && config.manifest.secrets.contains_key(name);
            verdict.add(config.strict_env, variable_missing(name, was_let_pass));
        }
    }
}

fn will_be_set(name: &EnvName, resolution: &Resolution<'_>, environ: &Environ) -> bool {
    let delivered = resolution.secrets.iter().any(|resolved| {
        resolved.entry.name == *name
            && resolved.outcome.value().is_some_and(|value| !value.is_empty(resolved.entry))
    });
    let file = format!("{name}{SUFFIX}");
    delivered || environ.set(name.as_str()).is_some() || environ.set(&file).is_some()
}

fn missing(resolved: &Resolved<'_>, resolution: &Resolution<'_>, config: &Config) -> Problem {
    let name = resolved.entry.name.as_str();
    let folder = escaped(config.secrets_dir.as_os_str().as_encoded_bytes());
    let population = match resolution.population {
        Some(1) => " (1 entry there)".to_owned(),
        Some(count) => format!(" ({count} entries there)"),
        None => String::new(),
    };
    let what =
        format!("{name} is required and does not exist: no {} in {folder}{population}", looked_for(resolved));
    if !resolved.entry.rule.from.is_empty() {
        let places: Vec<String> = resolved.entry.rule.from.iter().map(ToString::to_string).collect();
        let what = format!("{name} is required and does not exist in {}", places.join(", "));
        return Problem::new(Exit::Missing, "missing", name, what, "provide it there, or correct its `from`");
    }
    let fix = format!(
        "mount it as the secret `{name}` in {folder}, or set {name}{SUFFIX} to a file, or declare it as not required"
    );
    Problem::new(Exit::Missing, "missing", name, what, fix)
}

/// The file names that were tried, most specific first.
fn looked_for(resolved: &Resolved<'_>) -> String {
    let tried = resolved.entry.candidates.iter().filter(|candidate| candidate.use_of == Use::Always);
    let files = tried.filter(|candidate| candidate.source == Source::Files);
    let names: Vec<String> = files.map(|candidate| candidate.key.to_string()).collect();
    match names.as_slice() {
        [] => "place that it is read from has it".to_owned(),
        names => format!("file {}", names.join(", ")),
    }
}

fn failed(entry: &Entry, error: &ProviderError) -> Problem {
    Problem::new(
        error.exit(),
        error.reason(),
        entry.name.as_str(),
        format!("{}: {error}", entry.name),
        error.fix(),
    )
}

fn unasked(resolution: &Resolution<'_>, source: Source, error: &ProviderError) -> Problem {
    let waits = |resolved: &&Resolved<'_>| {
        let is_secret = resolved.entry.purpose == Purpose::Secret;
        is_secret && matches!(resolved.outcome, Outcome::Unasked(unasked) if unasked == source)
    };
    let required = resolution.secrets.iter().filter(waits).filter(|resolved| resolved.entry.rule.required);
    let names: Vec<String> = required.map(|resolved| resolved.entry.name.to_string()).collect();
    let needed = if names.is_empty() { String::new() } else { format!(" (needed for {})", names.join(", ")) };
    Problem {
        exit: error.exit(),
        names: if names.is_empty() { vec![source.text().to_owned()] } else { names },
        reason: error.reason(),
        what: format!("the secrets could not be looked for: {error}{needed}"),
        fix: error.fix(),
    }
}

fn empty(entry: &Entry, value: &Value<'_>) -> Problem {
    let name = entry.name.as_str();
    Problem::new(
        Exit::Value,
        "empty",
        name,
        format!("{name} is required and empty: {} {}", value.candidate.source.text(), value.candidate.key),
        "write the value there, or set `allow_empty = true` for it in the manifest",
    )
}

fn plain(entry: &Entry) -> Problem {
    let name = entry.name.as_str();
    Problem::new(
        Exit::Missing,
        "plain-env",
        name,
        format!(
            "{name} is required as a secret and is there only as a plain variable, which `docker inspect` shows"
        ),
        format!(
            "mount it as a secret, or accept plain variables with {}=true (`allow_plain_env`)",
            VARIABLE.allow_plain_env
        ),
    )
}

fn variable_missing(name: &EnvName, was_let_pass: bool) -> Problem {
    let switch = VARIABLE.strict_env;
    let switches = if was_let_pass {
        format!(
            "{}=false lets the secret be missing, {switch}=false the variable too",
            VARIABLE.strict_secrets
        )
    } else {
        format!("{switch}=false lets it be missing")
    };
    Problem::new(
        Exit::Missing,
        "missing",
        name.as_str(),
        format!("the variable {name} is required and neither it nor {name}{SUFFIX} is set"),
        format!("set it, or provide the secret of that name; {switches}"),
    )
}
