//! The shared config and credentials files: locating them, and looking up profiles.

use std::cell::OnceCell;
use std::path::{Path, PathBuf};

use rustix::fs::Stat;
use rustix::io::Errno;
use rustix::process::geteuid;
use zeroize::Zeroizing;

use super::ini::{Ini, Section};
use super::profile_error::ProfileError;
use crate::escape::{escaped, escaped_path};
use crate::provider::aws::endpoint::is_region;
use crate::provider::helper::Variables;
use crate::provider::{Cause as _, ProviderError};
use crate::suggest::did_you_mean;
use crate::system::read::{self, ReadError};

/// The profile used if none is named.
pub const DEFAULT: &str = "default";

/// The settings for the shared files, which are read on first use.
#[derive(Default)]
pub struct Shared {
    /// `AWS_PROFILE`.
    pub profile: Option<String>,
    /// `AWS_CONFIG_FILE`.
    pub config: Option<PathBuf>,
    /// `AWS_SHARED_CREDENTIALS_FILE`.
    pub credentials: Option<PathBuf>,
    /// The home directory. By default, both files and the cache of `aws sso login` are in its `.aws` directory.
    pub home: Option<PathBuf>,
    /// The environment for helper programs.
    pub environment: Variables,
    /// The parsed files, once they have been read.
    pub profiles: OnceCell<Result<Profiles, ProviderError>>,
}

/// The contents of both files.
#[derive(Debug, Default)]
pub struct Profiles {
    config: File,
    credentials: File,
}

/// One of the two files.
#[derive(Debug, Default)]
pub(super) struct File {
    path: Option<PathBuf>,
    is_present: bool,
    /// Whether cryokey runs as root and another user can modify the file.
    is_foreign: bool,
    ini: Ini,
}

/// A profile's settings from both files.
#[derive(Debug, Clone, Copy)]
pub(super) struct Said<'a> {
    pub(super) name: &'a str,
    /// Its section in the config file.
    pub(super) config: Part<'a>,
    /// Its section in the credentials file, which overrides the config file.
    pub(super) credentials: Part<'a>,
}

/// A profile's section in one file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part<'a> {
    file: &'a File,
    section: Option<&'a Section>,
}

impl Shared {
    /// The name of the selected profile.
    #[must_use]
    pub fn name(&self) -> &str {
        self.profile.as_deref().unwrap_or(DEFAULT)
    }

    /// The region of the selected profile.
    pub fn region(&self) -> Result<Option<String>, ProviderError> {
        let said = self.profiles()?.said(self.name());
        let region = said.and_then(|said| said.get("region"));
        if region.is_none_or(is_region) {
            return Ok(region.map(str::to_owned));
        }
        let wrong = ProfileError::Value { key: "region", expected: "the name of a region" };
        Err(wrong.at(escaped(self.name())))
    }

    /// The contents of both files, read on first use.
    pub(super) fn profiles(&self) -> Result<&Profiles, ProviderError> {
        self.profiles.get_or_init(|| self.read()).as_ref().map_err(Clone::clone)
    }

    fn read(&self) -> Result<Profiles, ProviderError> {
        let read = |path: &Option<PathBuf>, name| self.file(path.as_deref(), name);
        Ok(Profiles {
            config: read(&self.config, "config")?,
            credentials: read(&self.credentials, "credentials")?,
        })
    }

    /// Reads a file. A missing file counts as empty, as in AWS's own tools. So does an inaccessible file at the
    /// default path, because many images set HOME to `/root` for every user.
    fn file(&self, given: Option<&Path>, name: &str) -> Result<File, ProviderError> {
        let Some(path) = given.map(|path| self.expanded(path)).or_else(|| self.below_home(name)) else {
            return Ok(File::default());
        };
        match read::read_path(&path) {
            Ok((bytes, stat)) => File::of(path, &Zeroizing::new(bytes), &stat),
            Err(ReadError::Os(Errno::NOENT | Errno::NOTDIR)) => Ok(File::absent(path)),
            Err(ReadError::Os(Errno::ACCESS)) if given.is_none() && path.symlink_metadata().is_err() => {
                Ok(File::absent(path))
            }
            Err(error) => Err(ProfileError::Unreadable(error).at(escaped_path(&path))),
        }
    }

    fn below_home(&self, name: &str) -> Option<PathBuf> {
        self.home.as_ref().map(|home| home.join(".aws").join(name))
    }

    /// Expands `~/` to the home directory.
    fn expanded(&self, path: &Path) -> PathBuf {
        let below = path.strip_prefix("~").ok().zip(self.home.as_ref());
        below.map_or_else(|| path.to_owned(), |(rest, home)| home.join(rest))
    }
}

impl std::fmt::Debug for Shared {
    /// Omits the environment.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Shared").field("profile", &self.profile).finish_non_exhaustive()
    }
}

impl File {
    fn of(path: PathBuf, bytes: &[u8], stat: &Stat) -> Result<Self, ProviderError> {
        let ini = Ini::parse(bytes).map_err(|error| ProfileError::Line(error).at(escaped_path(&path)))?;
        let is_other = stat.st_uid != 0 && stat.st_uid != geteuid().as_raw();
        let is_foreign = geteuid().is_root() && (is_other || stat.st_mode & 0o022 != 0);
        Ok(Self { path: Some(path), is_present: true, is_foreign, ini })
    }

    fn absent(path: PathBuf) -> Self {
        Self { path: Some(path), ..Self::default() }
    }

    fn shown(&self) -> Option<String> {
        let path = escaped_path(self.path.as_deref()?);
        Some(if self.is_present { path } else { format!("{path} (which does not exist)") })
    }

    /// Finds a section with a prefixed title, such as `profile app`.
    fn named(&self, word: &str, name: &str) -> Option<&Section> {
        let title = self.ini.titles().find(|title| named(title, word) == Some(name))?;
        self.ini.section(title)
    }
}

impl Profiles {
    /// The profile's settings; `None` if neither file has it.
    pub(super) fn said<'a>(&'a self, name: &'a str) -> Option<Said<'a>> {
        let config = self.config.named("profile", name);
        let config = config.or_else(|| self.config.ini.section(DEFAULT).filter(|_| name == DEFAULT));
        let credentials = self.credentials.ini.section(name);
        (config.is_some() || credentials.is_some()).then_some(Said {
            name,
            config: Part { file: &self.config, section: config },
            credentials: Part { file: &self.credentials, section: credentials },
        })
    }

    /// The `sso-session` section of this name in the config file.
    pub(super) fn session(&self, name: &str) -> Option<&Section> {
        self.config.named("sso-session", name)
    }

    /// The error for a profile that neither file has.
    pub(super) fn unknown(&self, name: &str) -> ProviderError {
        let files = [&self.config, &self.credentials].into_iter().filter_map(File::shown);
        let files: Vec<String> = files.collect();
        let titles = self.config.ini.titles();
        let names = titles.map(|title| named(title, "profile").unwrap_or(title));
        let near = did_you_mean(name, names.chain(self.credentials.ini.titles()));
        let searched = if files.is_empty() { "any file, without HOME".into() } else { files.join(" or ") };
        ProfileError::Unknown { searched, near }.at(escaped(name))
    }
}

impl<'a> Said<'a> {
    /// The escaped name.
    pub(super) fn shown(&self) -> String {
        escaped(self.name)
    }

    /// The value of a key. The credentials file overrides the config file.
    pub(super) fn get(&self, key: &str) -> Option<&'a str> {
        self.credentials.get(key).or_else(|| self.config.get(key))
    }

    /// The file that sets `key`, if cryokey runs as root and another user could change the command it configures.
    pub(super) fn foreign(&self, key: &str) -> Option<String> {
        let part = if self.credentials.get(key).is_some() { self.credentials } else { self.config };
        part.file.is_foreign.then(|| part.shown())
    }
}

impl<'a> Part<'a> {
    pub(super) fn get(&self, key: &str) -> Option<&'a str> {
        self.section?.get(key)
    }

    /// The escaped path of the file.
    pub(super) fn shown(&self) -> String {
        self.file.path.as_deref().map(escaped_path).unwrap_or_default()
    }
}

/// The name in a title such as `profile app` or `profile "my app"`.
fn named<'a>(title: &'a str, word: &str) -> Option<&'a str> {
    let rest = title.strip_prefix(word)?;
    let name = rest.trim_start();
    let is_apart = name.len() < rest.len();
    let quoted = |mark: char| name.strip_prefix(mark)?.strip_suffix(mark);
    is_apart.then(|| quoted('"').or_else(|| quoted('\'')).unwrap_or(name))
}
