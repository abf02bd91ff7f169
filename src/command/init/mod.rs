//! `cryokey init`: writes a commented manifest for the secrets that a project already uses.

mod compose;
mod decide;
mod draft;
mod env_example;
mod kind;
mod offers;
mod text;
mod variants;

use std::fs;
use std::io::Read as _;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

use self::draft::MOST_NAMES;
pub use self::draft::{Draft, Source, Sources, draft};
use super::{PATIENCE, print};
use crate::cli::Init;
use crate::error::{Failure, Phase, Problem, Reason};
use crate::escape::escaped_path;
use crate::logger::Logger;
use crate::setting::SECRETS_DIR;
use crate::system::read::{self, ReadError};
use crate::system::write::write as write_file;

const OUTPUT: &str = "cryokey.toml";
const COMPOSE_FILES: [&str; 8] = [
    "compose.yaml",
    "compose.yml",
    "docker-compose.yaml",
    "docker-compose.yml",
    "stack.yaml",
    "stack.yml",
    "docker-stack.yaml",
    "docker-stack.yml",
];
/// Files that Compose merges automatically if it finds the main file by its default name.
const OVERRIDES: [&str; 4] = [
    "compose.override.yaml",
    "compose.override.yml",
    "docker-compose.override.yaml",
    "docker-compose.override.yml",
];
const ENV_EXAMPLE: &str = ".env.example";

/// Writes the manifest. An existing file is replaced only with `--force`.
pub(super) fn run(options: &Init, log: &Logger) -> Result<(), Failure> {
    let sources = find(options).map_err(failed)?;
    let draft = draft(&sources).map_err(|problems| Failure { phase: Phase::Configure, problems })?;
    draft.remarks.iter().for_each(|remark| log.info(remark));
    draft.warnings.iter().for_each(|warning| log.warn(warning));
    let output = options.output.clone().unwrap_or_else(|| OUTPUT.into());
    if output == Path::new("-") {
        return print(&draft.text, PATIENCE);
    }
    save(&output, &draft.text, options.force).map_err(failed)?;
    let shown = escaped_path(&output);
    let count = draft.count;
    log.info(format!(
        "{shown} written with {count} secrets; read it, then run `cryokey check --manifest {shown}`"
    ));
    Ok(())
}

fn failed(problem: Problem) -> Failure {
    Failure::one(Phase::Configure, problem)
}

fn find(options: &Init) -> Result<Sources, Problem> {
    let is_usual = options.compose.is_none();
    let overrides = OVERRIDES.iter().filter(|path| is_usual && Path::new(path).exists());
    let directory = options.secrets_dir.clone().unwrap_or_else(|| SECRETS_DIR.into());
    Ok(Sources {
        compose: match &options.compose {
            Some(path) if path == Path::new("-") => Some(standard_input()?),
            named => chosen(named.as_deref(), &COMPOSE_FILES)?,
        },
        overrides: overrides.map(|path| (*path).to_owned()).collect(),
        service: options.service.clone(),
        env_example: chosen(options.env_example.as_deref(), &[ENV_EXAMPLE])?,
        files: Some((escaped_path(&directory), files(&directory))),
    })
}

/// Reads the named file, or the first of the usual ones that exists.
fn chosen(named: Option<&Path>, usual: &[&str]) -> Result<Option<Source>, Problem> {
    let path = named.or_else(|| usual.iter().map(Path::new).find(|path| path.exists()));
    let Some(path) = path.map(PathBuf::from) else { return Ok(None) };
    let (bytes, _) = read::read_path(&path).map_err(|error| unreadable(&escaped_path(&path), error))?;
    Ok(Some(Source { place: escaped_path(&path), text: String::from_utf8_lossy(&bytes).into_owned() }))
}

fn standard_input() -> Result<Source, Problem> {
    let place = "standard input";
    let mut bytes = Vec::new();
    let read = std::io::stdin().lock().take(read::LIMIT as u64 + 1).read_to_end(&mut bytes);
    let errno = |error: std::io::Error| ReadError::Os(Errno::from_io_error(&error).unwrap_or(Errno::IO));
    read.map_err(|error| unreadable(place, errno(error)))?;
    if bytes.len() > read::LIMIT {
        return Err(unreadable(place, ReadError::TooLarge));
    }
    Ok(Source { place: place.into(), text: String::from_utf8_lossy(&bytes).into_owned() })
}

/// The names of the files in a secrets directory, without hidden ones.
fn files(directory: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    let is_file = |entry: &fs::DirEntry| entry.path().is_file();
    let names = entries.flatten().filter(is_file).filter_map(|entry| entry.file_name().into_string().ok());
    let mut names: Vec<String> = names.filter(|name| !name.starts_with('.')).take(MOST_NAMES).collect();
    names.sort_unstable();
    names
}

fn save(path: &Path, text: &str, is_forced: bool) -> Result<(), Problem> {
    let shown = escaped_path(path);
    let refused = |why: String| {
        Problem::new(
            Reason::CannotCreate,
            &shown,
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
    let directory = fs::File::open(parent).map(OwnedFd::from).map_err(|error| refused(error.to_string()))?;
    let failed = |errno: Errno| refused(std::io::Error::from(errno).to_string());
    write_file(&directory, name, text.as_bytes(), 0o644).map_err(failed)
}

fn unreadable(place: &str, error: ReadError) -> Problem {
    let what = format!("{place} cannot be read: {error}");
    Problem::new(error.reason(), place, what, "name another file, or none")
}
