//! `--dev`: an app on a developer's machine, with nothing set up. What is missing in `./.secrets` is made there.

use std::fs;
use std::io::Write as _;
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

use rustix::io::Errno;

use crate::config::{Config, DEVELOPMENT_FOLDER};
use crate::delivery::atomic;
use crate::environ::Environ;
use crate::error::{Exit, Failure, Phase, Problem};
use crate::logger::Logger;
use crate::manifest::{Deliver, Format, SecretRule};
use crate::plan::{Candidate, Entry, Plan, Purpose, Use};
use crate::provider::Source;

const PRODUCTION: &str = "production";
const GITIGNORE: &str = ".gitignore";
const IGNORED: &str = ".secrets/";

/// Makes the required secrets that are missing. Refuses wherever this could be more than a try.
pub(super) fn prepare(plan: &Plan, config: &Config, environ: &Environ, log: &Logger) -> Result<(), Failure> {
    let failed = |problem| Failure::one(Phase::Configure, problem);
    if let Some(problem) = refusal(plan, config) {
        return Err(failed(problem));
    }
    let is_missing = |entry: &&Entry| is_missing(entry, &config.secrets_dir, environ);
    let missing: Vec<&Entry> = plan.entries.iter().filter(is_missing).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let folder =
        folder(&config.secrets_dir).map_err(|errno| failed(cannot_make(DEVELOPMENT_FOLDER, errno)))?;
    for entry in missing {
        let name = entry.name.as_str();
        let value = value(&entry.rule).map_err(|errno| failed(cannot_make(name, errno)))?;
        let value = value.ok_or_else(|| failed(cannot_invent(name)))?;
        atomic::write(&folder, name, value.as_bytes(), 0o600)
            .map_err(|errno| failed(cannot_make(name, errno)))?;
        log.info(format!("{name}: made for development in {DEVELOPMENT_FOLDER}/{name}"));
    }
    ignore(log).map_err(|errno| failed(cannot_make(GITIGNORE, errno)))
}

fn refusal(plan: &Plan, config: &Config) -> Option<Problem> {
    let refused = |what: &str| {
        Problem::configuration(
            "--dev",
            format!("--dev is refused: {what}"),
            "leave --dev out, and provide the secrets",
        )
    };
    if init::is_pid_1() {
        return Some(refused("this is PID 1, so this is a container"));
    }
    if config.selection.environment.as_ref().is_some_and(|environment| environment.as_str() == PRODUCTION) {
        return Some(refused("the environment is production"));
    }
    // Referenced files may be anywhere in the folder; making one would guess at what the author meant.
    let referenced = plan.entries.iter().find(|entry| entry.rule.required && !entry.rule.from.is_empty());
    referenced.map(|entry| refused(&format!("{} says where it comes from (`from`)", entry.name)))
}

fn is_missing(entry: &Entry, folder: &Path, environ: &Environ) -> bool {
    let is_wanted =
        entry.rule.required && entry.purpose == Purpose::Secret && entry.rule.deliver != Deliver::Ssh;
    let exists = |candidate: &Candidate| match candidate.source {
        Source::Environment | Source::FileVariables => environ.set(&candidate.key.0).is_some(),
        Source::Files => folder.join(&candidate.key.0).symlink_metadata().is_ok(),
    };
    let mut usable = entry.candidates.iter().filter(|candidate| candidate.use_of != Use::Never);
    is_wanted && !usable.any(exists)
}

/// A value that the secret's own rules accept. `None`: a format that nobody can make up.
fn value(rule: &SecretRule) -> Result<Option<String>, Errno> {
    let random = atomic::random_suffix()?;
    let value = match rule.format {
        None | Some(Format::Text) => format!("dev-{random}"),
        Some(Format::Url) => format!("http://localhost/dev-{random}"),
        Some(Format::Json) => format!("{{\"dev\":\"dev-{random}\"}}"),
        Some(Format::Base64) => "dev-".to_owned() + &random,
        Some(Format::Hex) => "de".to_owned() + &random,
        Some(Format::Integer) => "1".to_owned(),
        Some(Format::Pem | Format::SshKey) => return Ok(None),
    };
    Ok(lengthened(value, rule))
}

/// Long enough for the rule; more of a document would not be one.
fn lengthened(mut value: String, rule: &SecretRule) -> Option<String> {
    let least = usize::try_from(rule.min_length.unwrap_or(0)).ok().filter(|least| *least <= 1 << 16)?;
    if value.len() < least && matches!(rule.format, Some(Format::Json)) {
        return None;
    }
    // Base64 and hex have lengths that are no value's.
    while value.len() < least
        || (matches!(rule.format, Some(Format::Base64 | Format::Hex)) && !value.len().is_multiple_of(4))
    {
        value.push('0');
    }
    Some(value)
}

fn folder(path: &Path) -> Result<OwnedFd, Errno> {
    let io = |error: std::io::Error| Errno::from_io_error(&error).unwrap_or(Errno::IO);
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(io)?;
    fs::File::open(path).map(OwnedFd::from).map_err(io)
}

/// Keeps the folder out of the repository.
fn ignore(log: &Logger) -> Result<(), Errno> {
    let io = |error: std::io::Error| Errno::from_io_error(&error).unwrap_or(Errno::IO);
    let there = crate::bounded::read_path(Path::new(GITIGNORE)).map(|(bytes, _)| bytes).unwrap_or_default();
    let there = String::from_utf8_lossy(&there);
    if there.lines().any(|line| line.trim().trim_matches('/') == IGNORED.trim_matches('/')) {
        return Ok(());
    }
    let line_end = if there.is_empty() || there.ends_with('\n') { "" } else { "\n" };
    let mut file = fs::OpenOptions::new().create(true).append(true).open(GITIGNORE).map_err(io)?;
    file.write_all(format!("{line_end}{IGNORED}\n").as_bytes()).map_err(io)?;
    log.info(format!("{IGNORED} added to {GITIGNORE}"));
    Ok(())
}

fn cannot_make(name: &str, errno: Errno) -> Problem {
    let why = std::io::Error::from(errno);
    Problem::new(
        Exit::CannotCreate,
        "cannot-create",
        name,
        format!("{name} could not be made for development: {why}"),
        "run it in a folder that you can write",
    )
}

fn cannot_invent(name: &str) -> Problem {
    Problem::new(
        Exit::Missing,
        "missing",
        name,
        format!("{name} is required, and a value of its format and length cannot be made up"),
        format!("put one into {DEVELOPMENT_FOLDER}/{name}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_made_up_is_long_enough_and_begins_with_dev() {
        let rule = SecretRule { min_length: Some(64), ..SecretRule::DEFAULT };
        let value = value(&rule).unwrap().unwrap();
        assert!(value.starts_with("dev-") && value.len() >= 64, "{value}");
    }

    #[test]
    fn keys_and_certificates_are_not_made_up() {
        let rule = SecretRule { format: Some(Format::Pem), ..SecretRule::DEFAULT };
        assert_eq!(value(&rule).unwrap(), None);
    }
}
