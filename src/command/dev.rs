//! `--dev`: runs an app on a developer's machine without any setup. Missing secrets are generated in `./.secrets`.

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

/// Fails before anything is read if this may be more than a developer's machine.
pub(super) fn admit(config: &Config) -> Result<(), Failure> {
    let environment = config.selection.environment.as_ref();
    if init::is_pid_1() {
        return Err(refused("cryokey is PID 1, so this is a container"));
    }
    if environment.is_some_and(|environment| environment.as_str() == PRODUCTION) {
        return Err(refused("the environment is production"));
    }
    match config.sources().into_iter().find(|source| source.is_remote()) {
        Some(source) => Err(refused(&format!("{} is configured", source.text()))),
        None => Ok(()),
    }
}

/// Generates the required secrets that are missing. Returns whether there were any.
pub(super) fn complete(resolution: &Resolution, config: &Config, log: &Logger) -> Result<bool, Failure> {
    let failed = |problem| Failure::one(Phase::Configure, problem);
    // A reference names an existing file; generating it would only guess at what the author meant.
    let mut secrets = resolution.secrets.iter();
    if let Some(referenced) = secrets.find(|it| it.rule.required && !it.rule.from.is_empty()) {
        return Err(refused(&format!("{} has `from` in the manifest", referenced.name)));
    }
    let missing: Vec<&Resolved> = resolution.secrets.iter().filter(|resolved| is_missing(resolved)).collect();
    if missing.is_empty() {
        return Ok(false);
    }
    let directory = directory(&config.secrets_dir)
        .map_err(|errno| failed(cannot_create(DEVELOPMENT_DIRECTORY, errno)))?;
    for resolved in missing {
        let name = resolved.name.as_str();
        let value = value(&resolved.rule).map_err(|errno| failed(cannot_create(name, errno)))?;
        let value = value.ok_or_else(|| failed(cannot_generate(name)))?;
        write::write(&directory, name, value.as_bytes(), 0o600)
            .map_err(|errno| failed(cannot_create(name, errno)))?;
        log.info(format_args!("{name}: generated for development in {DEVELOPMENT_DIRECTORY}/{name}"));
    }
    ignore(log).map_err(|errno| failed(cannot_create(GITIGNORE, errno)))?;
    Ok(true)
}

fn refused(why: &str) -> Failure {
    let what = format!("--dev is not allowed: {why}");
    Failure::one(
        Phase::Configure,
        Problem::configuration("--dev", what, "remove --dev, and provide the secrets"),
    )
}

fn is_missing(resolved: &Resolved) -> bool {
    resolved.rule.required && resolved.rule.deliver != Deliver::Ssh && resolved.decisive().is_none()
}

/// A value that satisfies the secret's own rule. `None`: one that cannot be generated.
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

/// Pads the value to `min_length`. JSON cannot be padded.
fn lengthened(mut value: String, rule: &SecretRule) -> Option<String> {
    let least = usize::try_from(rule.min_length.unwrap_or(0)).ok().filter(|least| *least <= 1 << 16)?;
    if value.len() < least && matches!(rule.format, Some(Format::Json)) {
        return None;
    }
    // Not every length is valid base64 or hex.
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

/// Keeps the directory out of version control.
fn ignore(log: &Logger) -> Result<(), Errno> {
    let io = |error: std::io::Error| Errno::from_io_error(&error).unwrap_or(Errno::IO);
    let existing = read::read_path(Path::new(GITIGNORE)).map(|(bytes, _)| bytes).unwrap_or_default();
    let existing = String::from_utf8_lossy(&existing);
    if existing.lines().any(|line| line.trim().trim_matches('/') == IGNORED.trim_matches('/')) {
        return Ok(());
    }
    let line_end = if existing.is_empty() || existing.ends_with('\n') { "" } else { "\n" };
    let mut file = fs::OpenOptions::new().create(true).append(true).open(GITIGNORE).map_err(io)?;
    file.write_all(format!("{line_end}{IGNORED}\n").as_bytes()).map_err(io)?;
    log.info(format!("{IGNORED} added to {GITIGNORE}"));
    Ok(())
}

fn cannot_create(name: &str, errno: Errno) -> Problem {
    let why = std::io::Error::from(errno);
    Problem::new(
        Reason::CannotCreate,
        name,
        format!("cannot generate {name} for development: {why}"),
        "run cryokey in a directory that you can write to",
    )
}

fn cannot_generate(name: &str) -> Problem {
    Problem::new(
        Reason::Missing,
        name,
        format!("{name} is required, but a value of its format and length cannot be generated"),
        format!("write one to {DEVELOPMENT_DIRECTORY}/{name}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generated_value_is_long_enough_and_begins_with_dev() {
        let rule = SecretRule { min_length: Some(64), ..SecretRule::DEFAULT };
        let value = value(&rule).unwrap().unwrap();
        assert!(value.starts_with("dev-") && value.len() >= 64, "{value}");
    }

    #[test]
    fn keys_and_certificates_are_not_generated() {
        let rule = SecretRule { format: Some(Format::Pem), ..SecretRule::DEFAULT };
        assert_eq!(value(&rule).unwrap(), None);
    }
}
