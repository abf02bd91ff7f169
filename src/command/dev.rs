//! `--dev`: runs an app on a developer's machine without any setup. Missing secrets are generated in `./.secrets`.

mod generated;
mod ignore;

use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

use rustix::io::Errno;

use crate::config::Config;
use crate::environ::Environ;
use crate::error::{Failure, Phase, Problem, Reason};
use crate::escape::escaped_path;
use crate::logger::Logger;
use crate::manifest::{Deliver, Format, SecretRule};
use crate::name::{EnvName, Variant};
use crate::provider::file_variables;
use crate::resolve::{Assumed, Resolution, Resolved};
use crate::system::write;

const GITIGNORE: &str = ".gitignore";

/// Fails before anything is read if this may be more than a developer's machine.
pub(super) fn admit(config: &Config) -> Result<(), Failure> {
    if init::is_pid_1() {
        return Err(refused("cryokey is PID 1, so this is a container"));
    }
    if let Some(environment) = config.selection.environment.as_ref().filter(|it| is_production(it)) {
        return Err(refused(&format!("the environment is {environment}")));
    }
    match config.all_sources().into_iter().find(|source| source.is_remote()) {
        Some(source) => Err(refused(&format!("{} is configured", source.text()))),
        None => Ok(()),
    }
}

/// Removes generated values that the developer's own variables replace: only a file that is still as it was generated.
pub(super) fn make_way(config: &Config, environ: &Environ, log: &Logger) {
    let is_set = |name: &&EnvName| {
        environ.set(name.as_str()).is_some() || environ.set(&file_variables::of(name.as_str())).is_some()
    };
    let generated = generated::Record::read(&config.secrets_dir);
    for name in config.manifest.secrets.keys().filter(is_set) {
        let path = config.secrets_dir.join(name.as_str());
        if generated.holds(name.as_str(), &path) && fs::remove_file(&path).is_ok() {
            log.info(format_args!("{name} is set as a variable: the generated value is removed"));
        }
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
    let existing = match &resolution.assumed {
        Assumed::Nothing => &[],
        Assumed::Only(only) => std::slice::from_ref(only),
        Assumed::Ambiguous(several) => several.as_slice(),
    };
    if let Some(production) = existing.iter().find(|it| is_production(it)) {
        return Err(refused(&format!("no environment is selected, and secrets of {production} exist here")));
    }
    let missing: Vec<&Resolved> = resolution.secrets.iter().filter(|resolved| is_missing(resolved)).collect();
    if missing.is_empty() || existing.len() > 1 {
        return Ok(false);
    }
    let shown = |name: &str| escaped_path(&config.secrets_dir.join(name));
    let directory =
        directory(&config.secrets_dir).map_err(|errno| failed(cannot_create(&shown(""), errno)))?;
    ignore::ignore(&config.secrets_dir, log);
    let mut values = Vec::new();
    for resolved in missing {
        let name = resolved.name.as_str();
        let value = value(&resolved.rule).map_err(|errno| failed(cannot_create(name, errno)))?;
        values.push((name, value.ok_or_else(|| failed(cannot_generate(name, &shown(name))))?));
    }
    let mut generated = generated::Record::read(&config.secrets_dir);
    for (name, value) in values {
        write::write(&directory, name, value.as_bytes(), 0o600)
            .map_err(|errno| failed(cannot_create(name, errno)))?;
        generated.add(name, &config.secrets_dir.join(name));
        log.info(format_args!("{name}: generated for development in {}", shown(name)));
    }
    generated.write(&directory).map_err(|errno| failed(cannot_create(&shown(""), errno)))?;
    Ok(true)
}

/// Whether an environment is one whose values no developer's machine should hold, by what people call it.
fn is_production(environment: &Variant) -> bool {
    let name = environment.as_str();
    name.starts_with("prod") || ["live", "prd"].contains(&name)
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

fn cannot_create(name: &str, errno: Errno) -> Problem {
    let why = std::io::Error::from(errno);
    Problem::new(
        Reason::CannotCreate,
        name,
        format!("cannot generate {name} for development: {why}"),
        "run cryokey in a directory that you can write to",
    )
}

fn cannot_generate(name: &str, path: &str) -> Problem {
    Problem::new(
        Reason::Missing,
        name,
        format!("{name} is required, but a value of its format and length cannot be generated"),
        format!("write one to {path}"),
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
