//! `--dev`: an app on a developer's machine, with nothing set up. What is missing in `./.secrets` is generated there.

use std::fs;
use std::io::Write as _;
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

use rustix::io::Errno;

use crate::config::{Config, DEVELOPMENT_DIRECTORY};
use crate::error::{Failure, Phase, Problem, Reason};
use crate::logger::Logger;
use crate::manifest::{Deliver, Format, SecretRule};
use crate::resolve::{Resolution, Resolved};
use crate::system::{read, write};

const PRODUCTION: &str = "production";
const GITIGNORE: &str = ".gitignore";
const IGNORED: &str = ".secrets/";

/// Refuses wherever this could be more than a try, before anything is read.
pub(super) fn admit(config: &Config) -> Result<(), Failure> {
    let environment = config.selection.environment.as_ref();
    if init::is_pid_1() {
        return Err(refused("this is PID 1, so this is a container"));
    }
    if environment.is_some_and(|environment| environment.as_str() == PRODUCTION) {
        return Err(refused("the environment is production"));
    }
    match config.all_sources().into_iter().find(|source| source.is_remote()) {
        Some(source) => Err(refused(&format!("{} is configured", source.text()))),
        None => Ok(()),
    }
}

/// Makes the required secrets that are missing, and says whether any was.
pub(super) fn complete(resolution: &Resolution, config: &Config, log: &Logger) -> Result<bool, Failure> {
    let failed = |problem| Failure::one(Phase::Configure, problem);
    // Referenced files may be anywhere in the directory; making one would guess at what the author meant.
    let mut secrets = resolution.secrets.iter();
    if let Some(referenced) = secrets.find(|it| it.rule.required && !it.rule.from.is_empty()) {
        return Err(refused(&format!("{} says where it comes from (`from`)", referenced.name)));
    }
    let missing: Vec<&Resolved> = resolution.secrets.iter().filter(|resolved| is_missing(resolved)).collect();
    if missing.is_empty() {
        return Ok(false);
    }
    let directory =
        directory(&config.secrets_dir).map_err(|errno| failed(cannot_make(DEVELOPMENT_DIRECTORY, errno)))?;
    for resolved in missing {
        let name = resolved.name.as_str();
        let value = value(&resolved.rule).map_err(|errno| failed(cannot_make(name, errno)))?;
        let value = value.ok_or_else(|| failed(cannot_invent(name)))?;
        write::write(&directory, name, value.as_bytes(), 0o600)
            .map_err(|errno| failed(cannot_make(name, errno)))?;
        log.info(format_args!("{name}: generated for development in {DEVELOPMENT_DIRECTORY}/{name}"));
    }
    ignore(log).map_err(|errno| failed(cannot_make(GITIGNORE, errno)))?;
    Ok(true)
}

fn refused(why: &str) -> Failure {
    let what = format!("--dev is refused: {why}");
    Failure::one(
        Phase::Configure,
        Problem::configuration("--dev", what, "leave --dev out, and provide the secrets"),
    )
}

fn is_missing(resolved: &Resolved) -> bool {
    resolved.rule.required && resolved.rule.deliver != Deliver::Ssh && resolved.decisive().is_none()
}

/// A value that the secret's own rules accept. `None`: a format that nobody can make up.
fn value(rule: &SecretRule) -> Result<Option<String>, Errno> {
    let random = write::random_suffix()?;
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

fn directory(path: &Path) -> Result<OwnedFd, Errno> {
    let io = |error: std::io::Error| Errno::from_io_error(&error).unwrap_or(Errno::IO);
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(io)?;
    fs::File::open(path).map(OwnedFd::from).map_err(io)
}

/// Keeps the directory out of the repository.
fn ignore(log: &Logger) -> Result<(), Errno> {
    let io = |error: std::io::Error| Errno::from_io_error(&error).unwrap_or(Errno::IO);
    let there = read::read_path(Path::new(GITIGNORE)).map(|(bytes, _)| bytes).unwrap_or_default();
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
        Reason::CannotCreate,
        name,
        format!("{name} could not be generated for development: {why}"),
        "run it in a directory that you can write",
    )
}

fn cannot_invent(name: &str) -> Problem {
    Problem::new(
        Reason::Missing,
        name,
        format!("{name} is required, and a value of its format and length cannot be made up"),
        format!("put one into {DEVELOPMENT_DIRECTORY}/{name}"),
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
