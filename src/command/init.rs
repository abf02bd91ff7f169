//! `cryokey init`: writes a commented manifest from the secrets that a project already names.

pub mod compose;
pub mod env_example;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

use super::print;
use crate::bounded::{self, ReadError};
use crate::cli::Init;
use crate::delivery::atomic;
use crate::error::{Exit, Failure, Phase, Problem};
use crate::escape::escaped;
use crate::logger::Logger;
use crate::manifest::{Format, SecretRule, write};
use crate::name::EnvName;

const OUTPUT: &str = "cryokey.toml";
const COMPOSE_FILES: [&str; 4] = ["compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml"];
const ENV_EXAMPLE: &str = ".env.example";
const SECRETS_FOLDER: &str = "/run/secrets";

/// The most names that are taken from one place; a folder with more is not one of secrets.
const MOST_NAMES: usize = 10_000;

/// What was found, and where.
#[derive(Debug, Default)]
struct Findings {
    /// Names, each with the places that name it and what it is called there.
    names: BTreeMap<EnvName, Vec<Origin>>,
    /// What could not become a secret's name.
    left_out: Vec<String>,
}

/// Where a name was found.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Origin {
    place: String,
    key: String,
    /// Whether what is mounted there will be missed when it is not.
    is_mounted: bool,
}

/// Writes the manifest. An existing file is never replaced without `--force`.
pub(super) fn run(options: &Init, log: &Logger) -> Result<(), Failure> {
    let findings = find(options).map_err(failed)?;
    let collisions = findings.collisions();
    if !collisions.is_empty() {
        return Err(Failure { phase: Phase::Configure, problems: collisions });
    }
    let text = manifest(&findings);
    let output = options.output.clone().unwrap_or_else(|| OUTPUT.into());
    if output == Path::new("-") {
        return print(&text);
    }
    save(&output, &text, options.force).map_err(failed)?;
    let shown = escaped(output.as_os_str().as_encoded_bytes());
    log.info(format!(
        "{shown} written with {} secrets; read it, then run `cryokey check`",
        findings.names.len()
    ));
    Ok(())
}

fn failed(problem: Problem) -> Failure {
    Failure::one(Phase::Configure, problem)
}

fn find(options: &Init) -> Result<Findings, Problem> {
    let mut findings = Findings::default();
    if let Some((path, text)) = chosen(options.compose.as_deref(), &COMPOSE_FILES)? {
        let shown = escaped(path.as_os_str().as_encoded_bytes());
        for key in compose::secrets(&text).map_err(|error| error.problem(&shown))? {
            findings.add(&key, &shown, true);
        }
    }
    if let Some((path, text)) = chosen(options.env_example.as_deref(), &[ENV_EXAMPLE])? {
        let shown = escaped(path.as_os_str().as_encoded_bytes());
        for key in env_example::secrets(&text) {
            findings.add(&key, &shown, false);
        }
    }
    let folder = options.secrets_dir.clone().unwrap_or_else(|| SECRETS_FOLDER.into());
    for key in files(&folder) {
        findings.add(&key, &escaped(folder.as_os_str().as_encoded_bytes()), true);
    }
    Ok(findings)
}

/// The text of the named file, else of the first usual one that exists.
fn chosen(named: Option<&Path>, usual: &[&str]) -> Result<Option<(PathBuf, String)>, Problem> {
    let path = match named {
        Some(path) => path.to_owned(),
        None => match usual.iter().map(Path::new).find(|path| path.exists()) {
            Some(path) => path.to_owned(),
            None => return Ok(None),
        },
    };
    let (bytes, _) = bounded::read_path(&path).map_err(|error| unreadable(&path, error))?;
    Ok(Some((path, String::from_utf8_lossy(&bytes).into_owned())))
}

/// The names of files in a folder of secrets; what is hidden or a folder is not one.
fn files(folder: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let is_file = |entry: &fs::DirEntry| entry.path().is_file();
    let names = entries.flatten().filter(is_file).filter_map(|entry| entry.file_name().into_string().ok());
    names.filter(|name| !name.starts_with('.')).take(MOST_NAMES).collect()
}

impl Findings {
    fn add(&mut self, key: &str, place: &str, is_mounted: bool) {
        match EnvName::from_key(key, "") {
            Ok(name) if name.can_steer_a_process() => self.left_out.push(format!(
                "{} ({place}): could steer a process; declare it by hand if that is meant",
                escaped(key)
            )),
            Ok(name) => {
                let origin = Origin { place: place.to_owned(), key: key.to_owned(), is_mounted };
                let origins = self.names.entry(name).or_default();
                if !origins.contains(&origin) {
                    origins.push(origin);
                }
            }
            Err(why) => self.left_out.push(format!("{} ({place}): {}", escaped(key), why.0)),
        }
    }

    /// Two keys of one place that would become the same name.
    fn collisions(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        for (name, origins) in &self.names {
            let twice = origins.iter().enumerate().find_map(|(at, one)| {
                let later = origins.iter().skip(at + 1);
                later
                    .clone()
                    .find(|other| other.place == one.place && other.key != one.key)
                    .map(|other| (one, other))
            });
            if let Some((one, other)) = twice {
                problems.push(Problem::configuration(
                    name.as_str(),
                    format!(
                        "{}: {} and {} both become {name}",
                        one.place,
                        escaped(&one.key),
                        escaped(&other.key)
                    ),
                    "rename one of the two",
                ));
            }
        }
        problems
    }
}

fn manifest(findings: &Findings) -> String {
    let mut text = String::from(HEADER);
    for (name, origins) in &findings.names {
        let places: Vec<String> =
            origins.iter().map(|origin| format!("{} ({})", origin.place, escaped(&origin.key))).collect();
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            "\n# found in {}\n[secret.{name}]\n{}",
            places.join(", "),
            write::secret(&rule(name, origins))
        );
    }
    if findings.names.is_empty() {
        text.push_str(EXAMPLE);
    }
    for left_out in &findings.left_out {
        let _ = write!(text, "\n# left out: {left_out}");
    }
    text.truncate(text.trim_end().len());
    text + "\n"
}

fn rule(name: &EnvName, origins: &[Origin]) -> SecretRule {
    let format = name.as_str().ends_with("_URL").then_some(Format::Url);
    SecretRule { required: origins.iter().any(|origin| origin.is_mounted), format, ..SecretRule::DEFAULT }
}

fn save(path: &Path, text: &str, is_forced: bool) -> Result<(), Problem> {
    let shown = escaped(path.as_os_str().as_encoded_bytes());
    let refused = |why: String| {
        Problem::new(
            Exit::CannotCreate,
            "cannot-create",
            &*shown,
            format!("{shown} cannot be written: {why}"),
            "choose another place by --output, or replace the file by --force",
        )
    };
    if !is_forced && path.symlink_metadata().is_ok() {
        return Err(refused("it exists".into()));
    }
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name =
        path.file_name().and_then(|name| name.to_str()).ok_or_else(|| refused("it has no name".into()))?;
    let folder = fs::File::open(parent).map(OwnedFd::from).map_err(|error| refused(error.to_string()))?;
    let write = |errno: Errno| refused(std::io::Error::from(errno).to_string());
    atomic::write(&folder, name, text.as_bytes(), 0o644).map_err(write)
}

fn unreadable(path: &Path, error: ReadError) -> Problem {
    let shown = escaped(path.as_os_str().as_encoded_bytes());
    let why = match error {
        ReadError::Os(errno) => std::io::Error::from(errno).to_string(),
        ReadError::NotRegular(kind) => format!("it is {kind}"),
        ReadError::TooLarge => format!("it is larger than {} bytes", bounded::LIMIT),
        ReadError::Changing => "it changed while it was read".into(),
    };
    let exit = if error == ReadError::Os(Errno::ACCESS) { Exit::Denied } else { Exit::Configuration };
    Problem::new(
        exit,
        "unreadable",
        &*shown,
        format!("{shown} cannot be read: {why}"),
        "name another file, or none",
    )
}

const HEADER: &str = r#"# What this app needs to start. docs/manifest.md explains every key.
version = 1

# Names that may stand before a secret's name, as STAGING_DATABASE_URL or BLUE_DATABASE_URL. Which one counts is
# selected by CRYOKEY_ENVIRONMENT (or APP_ENV, FLASK_ENV) and by DEPLOYMENT_COLOR.
# environments = ["staging", "production"]
# colors       = ["blue", "green"]

# Secret files may be called with this in front, as cryoprotect_database_url.
# name_prefix = "cryoprotect_"

# Keys that a provider has and this file does not declare are left out.
undeclared = "ignore"

# Variables that must be set, whether they are secrets or not.
# [env]
# required = ["FLASK_APP"]

# Each secret: required, format (url, json, pem, ssh-key, base64, hex, integer, text), min_length, allow_empty,
# newline ("strip-one" or "keep"), rotate_every ("90d"), deliver ("env", "file", "both", "ssh"), from.
"#;

const EXAMPLE: &str = r#"
# Nothing was found in a compose file, .env.example or /run/secrets. An example:
# [secret.DATABASE_URL]
# required = true
# format   = "url"
"#;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::Manifest;

    fn findings(keys: &[&str]) -> Findings {
        let mut findings = Findings::default();
        for key in keys {
            findings.add(key, "compose.yaml", true);
        }
        findings
    }

    #[test]
    fn what_is_written_can_be_read_and_declares_what_was_found() {
        let text = manifest(&findings(&["supabase_url", "db-password"]));
        let read = Manifest::parse(&text, "x").unwrap();
        let names: Vec<&str> = read.secrets.keys().map(EnvName::as_str).collect();
        assert_eq!(names, ["DB_PASSWORD", "SUPABASE_URL"]);
        assert!(read.secrets.values().all(|rule| rule.required));
    }

    #[test]
    fn without_findings_it_can_still_be_read() {
        assert!(Manifest::parse(&manifest(&Findings::default()), "x").unwrap().secrets.is_empty());
    }

    #[test]
    fn b05_keys_that_become_the_same_name_are_reported_with_both() {
        let problems = findings(&["db-password", "DB_PASSWORD", "db.password"]).collisions();
        assert_eq!(problems.len(), 1);
        assert!(problems[0].what.contains("db-password") && problems[0].what.contains("DB_PASSWORD"));
    }

    #[test]
    fn b01_b02_b03_names_that_steer_are_left_out_and_named() {
        let findings = findings(&["LD_PRELOAD", "path", "NODE_OPTIONS", "BASH_FUNC_x%%", "1st"]);
        assert!(findings.names.is_empty());
        assert_eq!(findings.left_out.len(), 5);
    }
}
