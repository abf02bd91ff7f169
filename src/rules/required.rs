//! Checks that required secrets and variables exist and can be read.

use std::collections::{HashMap, HashSet};

use super::Findings;
use crate::config::Config;
use crate::delivery::Delivery;
use crate::error::{Problem, Reason};
use crate::manifest::Deliver;
use crate::name::EnvName;
use crate::plan::Use;
use crate::provider::file_variables;
use crate::provider::{Kind, ProviderError, Source};
use crate::resolve::{Fate, Resolution, Resolved, Tried};
use crate::setting::VARIABLE;

/// Reports what is missing, unreadable, contradictory or only a plain variable.
pub fn judge(resolution: &Resolution, config: &Config, findings: &mut Findings) {
    for (source, error) in &resolution.failures {
        // A misconfigured source is always an error: continuing would start the app without its secrets.
        let stops = config.strict_secrets || error.kind() == Kind::Misconfigured;
        findings.add(stops, unavailable(resolution, *source, error));
    }
    findings.warnings.extend(denied(resolution));
    for resolved in resolution.all() {
        findings.errors.extend(contradictions(resolved));
        judge_one(resolved, resolution, config, findings);
    }
}

fn judge_one(resolved: &Resolved, resolution: &Resolution, config: &Config, findings: &mut Findings) {
    let rule = &resolved.rule;
    let Some(decisive) = resolved.decisive() else {
        if rule.required {
            let problem = resolved.denial().map(|error| failed(resolved, error));
            let problem = problem.unwrap_or_else(|| missing(resolved, resolution, config));
            findings.add(config.strict_secrets, problem);
        }
        return;
    };
    match &decisive.fate {
        Fate::Ambiguous => findings.errors.push(ambiguous(resolved)),
        Fate::Failed(error) if error.kind() != Kind::Misconfigured => {
            findings.add(config.strict_secrets, failed(resolved, error));
        }
        Fate::Found(_) if rule.required && resolved.is_emptied() => {
            findings.errors.push(empty(resolved, decisive));
        }
        Fate::Found(_) if rule.required && is_plain(decisive) && !config.allow_plain_env => {
            findings.add(config.strict_secrets, plain(resolved));
        }
        // An unavailable source is reported once, with all names.
        _ => {}
    }
}

/// One warning for all names that count as absent because reading them is denied.
fn denied(resolution: &Resolution) -> Option<Problem> {
    let is_denied = |resolved: &&Resolved| {
        !resolved.rule.required && resolved.decisive().is_none() && resolved.denial().is_some()
    };
    let denied: Vec<&Resolved> = resolution.secrets.iter().filter(is_denied).collect();
    let error = denied.first()?.denial()?;
    let names: Vec<String> = denied.iter().map(|resolved| resolved.name.to_string()).collect();
    let what = format!("{} count as absent, because reading them is denied: {error}", names.join(", "));
    Some(Problem { names, ..Problem::new(Reason::Denied, "", what, error.fix()) })
}

fn is_plain(tried: &Tried) -> bool {
    !tried.candidate.source.is_for_secrets()
}

/// Contradictory configuration, which is an error even if another candidate takes precedence.
fn contradictions(resolved: &Resolved) -> impl Iterator<Item = Problem> {
    resolved.tried.iter().filter_map(|tried| match &tried.fate {
        Fate::Failed(error) if error.kind() == Kind::Misconfigured => Some(failed(resolved, error)),
        _ => None,
    })
}

/// Reports required variables that the app will not have, unless the secret of that name is already reported.
pub fn judge_variables(
    resolution: &Resolution,
    delivery: &Delivery<'_>,
    config: &Config,
    findings: &mut Findings,
) {
    let reported: HashSet<String> = findings.errors.iter().flat_map(|it| it.names.iter().cloned()).collect();
    let secrets: HashMap<&str, &Resolved> =
        resolution.secrets.iter().map(|resolved| (resolved.name.as_str(), resolved)).collect();
    for name in &config.manifest.required_variables {
        let resolved = secrets.get(name.as_str()).copied();
        if resolved.is_some_and(is_only_a_key) {
            findings.errors.push(never_a_variable(name));
            continue;
        }
        if reported.contains(name.as_str())
            || delivery.sets(name.as_str())
            || resolved.is_some_and(is_allowed_empty)
        {
            continue;
        }
        let problem = if let Some((source, error)) = resolved.and_then(|it| outage(it, resolution)) {
            variable_unavailable(name, source, error)
        } else {
            variable_missing(name, !config.strict_secrets && resolved.is_some())
        };
        findings.add(config.strict_env, problem);
    }
}

fn is_allowed_empty(resolved: &Resolved) -> bool {
    resolved.accepted().is_some()
}

fn is_only_a_key(resolved: &Resolved) -> bool {
    resolved.rule.deliver == Deliver::Ssh
}

/// The failure of the source that decides a name: an outage must not be reported as absence.
fn outage<'a>(resolved: &'a Resolved, resolution: &'a Resolution) -> Option<(Source, &'a ProviderError)> {
    let decisive = resolved.decisive()?;
    let source = decisive.candidate.source;
    match &decisive.fate {
        Fate::Failed(error) if source.is_remote() => return Some((source, error)),
        Fate::Unavailable => {}
        _ => return None,
    }
    resolution.failures.iter().find(|(failed, _)| *failed == source).map(|(source, error)| (*source, error))
}

fn missing(resolved: &Resolved, resolution: &Resolution, config: &Config) -> Problem {
    let name = resolved.name.as_str();
    if !resolved.rule.from.is_empty() {
        let places: Vec<String> = resolved.rule.from.iter().map(ToString::to_string).collect();
        let is_named = |source: &Source| resolved.rule.from.iter().any(|it| it.source == *source);
        let what = format!(
            "{name} is required, but does not exist in {}{}",
            places.join(", "),
            states(resolution, is_named)
        );
        return Problem::new(Reason::Missing, name, what, "provide it there, or correct the reference");
    }
    let what = format!(
        "{name} is required, but does not exist: {}{}",
        looked_up(resolved, resolution),
        unused(resolved, config)
    );
    let file_variable = file_variables::of(name);
    let remote = resolved.tried.iter().map(|tried| tried.candidate.source).find(|source| source.is_remote());
    let remote = remote.map(|source| format!("add it to {}, or ", source.text())).unwrap_or_default();
    let fix = format!(
        "{remote}mount it as the secret `{name}`, set {file_variable} to the path of a file, or declare it as not required"
    );
    Problem::new(Reason::Missing, name, what, fix)
}

/// The names that were looked up, the most specific first, and the state of each source.
fn looked_up(resolved: &Resolved, resolution: &Resolution) -> String {
    let tried = resolved.tried.iter().filter(|tried| tried.candidate.use_of == Use::Always);
    let files = tried.filter(|tried| tried.candidate.source == Source::Files);
    let names: Vec<String> = files.map(|tried| tried.candidate.sought.to_string()).collect();
    format!("looked up {}{}", names.join(", "), states(resolution, |_| true))
}

/// What the sources look like, such as `; /run/secrets is empty`.
fn states(resolution: &Resolution, is_meant: impl Fn(&Source) -> bool) -> String {
    let states = resolution.states.iter().filter(|(source, _)| is_meant(source));
    let states: Vec<&str> = states.map(|(_, state)| state.as_str()).collect();
    if states.is_empty() { String::new() } else { format!("; {}", states.join("; ")) }
}

/// What exists under a prefix, and why it is not the value.
fn unused(resolved: &Resolved, config: &Config) -> String {
    /// A message about one secret names no more of them.
    const MOST: usize = 4;
    let unselected = resolved.tried.iter().filter(|tried| matches!(tried.fate, Fate::Unselected));
    let why = |tried: &Tried| {
        let is_color = tried.candidate.variant.as_ref().is_some_and(|it| config.manifest.colors.contains(it));
        let why = config.selection.why_unused(is_color);
        format!("; {} exists but is not used, because {why}", tried.key_text())
    };
    unselected.take(MOST).map(why).collect()
}

fn ambiguous(resolved: &Resolved) -> Problem {
    let keys: Vec<String> = resolved.ambiguous().iter().map(|tried| tried.label()).collect();
    Problem::configuration(
        resolved.name.as_str(),
        format!("{} map to {}, so the choice is ambiguous", keys.join(" and "), resolved.name),
        "remove all but one of them",
    )
}

fn failed(resolved: &Resolved, error: &ProviderError) -> Problem {
    let name = resolved.name.as_str();
    Problem::new(error.kind().reason(), name, format!("{name}: {error}"), error.fix())
}

fn unavailable(resolution: &Resolution, source: Source, error: &ProviderError) -> Problem {
    let waits = |resolved: &&Resolved| {
        let decisive = resolved.decisive();
        decisive.is_some_and(|it| it.candidate.source == source && matches!(it.fate, Fate::Unavailable))
    };
    let required = resolution.secrets.iter().filter(waits).filter(|resolved| resolved.rule.required);
    let names: Vec<String> = required.map(|resolved| resolved.name.to_string()).collect();
    let needed = if names.is_empty() { String::new() } else { format!(" (needed for {})", names.join(", ")) };
    // An error about the source as a whole begins with its name, too.
    let why = error.to_string();
    let why = why.strip_prefix(source.text()).and_then(|rest| rest.strip_prefix(": ")).unwrap_or(&why);
    Problem {
        reason: error.kind().reason(),
        what: format!("cannot read secrets from {}: {why}{needed}", place(source)),
        names: if names.is_empty() { vec![source.text().to_owned()] } else { names },
        fix: error.fix(),
    }
}

fn place(source: Source) -> &'static str {
    if source == Source::Files { "the secrets directory" } else { source.text() }
}

fn empty(resolved: &Resolved, tried: &Tried) -> Problem {
    let name = resolved.name.as_str();
    Problem::new(
        Reason::Empty,
        name,
        format!("{name} is required, but {} is empty", tried.label()),
        "write the value to it, or set `allow_empty = true` for this secret in the manifest",
    )
}

fn plain(resolved: &Resolved) -> Problem {
    let name = resolved.name.as_str();
    Problem::new(
        Reason::PlainEnv,
        name,
        format!(
            "{name} is required as a secret, but exists only as a plain variable, which `docker inspect` shows"
        ),
        format!(
            "mount it as a secret, or accept plain variables with {}=true (`allow_plain_env`)",
            VARIABLE.allow_plain_env
        ),
    )
}

fn never_a_variable(name: &EnvName) -> Problem {
    Problem::configuration(
        name.as_str(),
        format!(
            "the variable {name} is required, but its secret is delivered only as an SSH key, never as a variable"
        ),
        "remove it from `[env] required`, or change the secret's `deliver`",
    )
}

fn variable_unavailable(name: &EnvName, source: Source, error: &ProviderError) -> Problem {
    Problem::new(
        error.kind().reason(),
        name.as_str(),
        format!("the variable {name} is required, but {} could not be read: {error}", place(source)),
        format!("{}; {}", error.fix(), both_switches()),
    )
}

fn variable_missing(name: &EnvName, was_tolerated: bool) -> Problem {
    let file_variable = file_variables::of(name.as_str());
    let switches = if was_tolerated {
        both_switches()
    } else {
        format!("{}=false makes this a warning", VARIABLE.strict_env)
    };
    Problem::new(
        Reason::Missing,
        name.as_str(),
        format!("the variable {name} is required, but neither it nor {file_variable} is set"),
        format!("set it, or provide a secret of that name; {switches}"),
    )
}

fn both_switches() -> String {
    format!(
        "{}=false makes the missing secret a warning, and {}=false the missing variable",
        VARIABLE.strict_secrets, VARIABLE.strict_env
    )
}
