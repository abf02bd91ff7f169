//! Bootstrap values: credentials with which cryokey signs in at a remote provider, from files in the secrets
//! directory or from variables. They belong to cryokey and are not secrets of the app.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};

use super::files::error::FileError;
use super::files::{self, Files};
use super::{
    Answer, Cause, Deadline, Found, Kind, Names, Provider as _, ProviderError, Reading, Request, Want,
};
use crate::environ::Environ;
use crate::error::Problem;
use crate::escape::escaped_path;
use crate::secret::Secret;
use crate::system::read::{self, ReadError};

/// The bootstrap values that grant access. The others, such as addresses and role names, are not confidential.
const SECRET: &[&str] = &[
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AZURE_CLIENT_SECRET",
    "VAULT_PASSWORD",
    "VAULT_SECRET_ID",
    "VAULT_TOKEN",
    "VAULT_WRAPPED_SECRET_ID",
    "VAULT_WRAPPED_TOKEN",
];

/// Whether the variable holds a bootstrap value that grants access.
#[must_use]
pub fn is_secret(name: &str) -> bool {
    SECRET.iter().any(|secret| spellings(secret).any(|secret| secret == name))
}

/// A snapshot of one provider's bootstrap values.
#[derive(Debug)]
pub struct Bootstrap<'a> {
    environ: &'a Environ,
    directory: PathBuf,
    prefixes: Vec<String>,
    files: Result<HashMap<String, Vec<Found>>, ProviderError>,
    warnings: Vec<Problem>,
}

/// A bootstrap value and its origin.
#[derive(Debug)]
pub struct Bootstrapped {
    value: Secret,
    origin: Origin,
}

/// Where a bootstrap value was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A file, usually in the secrets directory.
    File(PathBuf),
    /// An environment variable.
    Variable(String),
}

impl<'a> Bootstrap<'a> {
    /// Reads the files of all names in one pass, so that a role and its secret come from the same generation of a
    /// volume. `prefixes` are those of the selected color and environment, the most specific first.
    #[must_use]
    pub fn read(
        directory: files::Settings,
        environ: &'a Environ,
        prefixes: Vec<String>,
        names: &[&str],
        deadline: Deadline,
    ) -> Self {
        let prefixes: Vec<String> = prefixes.into_iter().chain([String::new()]).collect();
        let wanted = names.iter().flat_map(|name| file_names(&prefixes, name));
        let names = Names::new(wanted.map(|name| (name.into(), Want::Value)).collect());
        let path = directory.directory.clone();
        let answer = Files::new(directory).read(&Request { names, ..Request::default() }, deadline);
        let (files, warnings) = match answer {
            Ok(Answer { found, warnings, .. }) => (Ok(by_name(found)), warnings),
            Err(error) => (Err(error), Vec::new()),
        };
        Self { environ, directory: path, prefixes, files, warnings }
    }

    /// The value of a name. A file overrides a variable, and `BAO_X` overrides `VAULT_X`. An empty value counts as
    /// unset. An unreadable one is an error, because falling back could sign in with an unintended identity.
    pub fn get(&self, name: &str) -> Result<Option<Bootstrapped>, ProviderError> {
        let found = self.in_file(name)?;
        if found.is_some() {
            return Ok(found);
        }
        let variable = spellings(name).find_map(|name| self.environ.set(&name).map(|value| (name, value)));
        variable.map_or(Ok(None), |(name, value)| {
            Bootstrapped::new(&Secret::new(value.to_vec()), Origin::Variable(name))
        })
    }

    /// Like [`Self::get`], but from files only. For settings, whose variables have already been read.
    pub fn in_file(&self, name: &str) -> Result<Option<Bootstrapped>, ProviderError> {
        let files = self.files.as_ref().map_err(Clone::clone)?;
        for file in file_names(&self.prefixes, name) {
            let found = files.get(&file).map(|found| self.file(found)).transpose()?.flatten();
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// The file of a name whose content is a document, not a line, and its path.
    pub fn document(&self, name: &str) -> Result<Option<(PathBuf, Secret)>, ProviderError> {
        let files = self.files.as_ref().map_err(Clone::clone)?;
        let found = file_names(&self.prefixes, name).find_map(|file| files.get(&file));
        let Some(one) = found.map(|found| self.only(found)).transpose()?.flatten() else { return Ok(None) };
        match &one.reading {
            Reading::Failed(error) => Err(error.clone()),
            Reading::Value(value) if !value.secret.expose().trim_ascii().is_empty() => {
                Ok(Some((self.directory.join(&*one.key.path), value.secret.duplicate())))
            }
            Reading::Value(_) | Reading::Exists => Ok(None),
        }
    }

    /// An error if there is a file for one of the names. Called if none of them has a value, and before the identity of
    /// the machine counts: then the file is empty, which is a mistake and no reason to sign in as somebody else.
    pub fn without_files(&self, names: &[&str]) -> Result<(), ProviderError> {
        let files = self.files.as_ref().map_err(Clone::clone)?;
        let mut found = names.iter().flat_map(|name| file_names(&self.prefixes, name));
        let empty = found.find_map(|file| files.get(&file)?.first());
        empty.map_or(Ok(()), |found| {
            let path = self.directory.join(&*found.key.path);
            Err(ProviderError::new(escaped_path(&path), BootstrapError::Empty))
        })
    }

    /// The warnings from reading the files.
    #[must_use]
    pub fn into_warnings(self) -> Vec<Problem> {
        self.warnings
    }

    fn file(&self, found: &[Found]) -> Result<Option<Bootstrapped>, ProviderError> {
        let Some(one) = self.only(found)? else { return Ok(None) };
        match &one.reading {
            Reading::Failed(error) => Err(error.clone()),
            Reading::Value(value) => {
                Bootstrapped::new(&value.secret, Origin::File(self.directory.join(&*one.key.path)))
            }
            Reading::Exists => Ok(None),
        }
    }

    /// The file of a name, of which there may be one only.
    fn only<'f>(&self, found: &'f [Found]) -> Result<Option<&'f Found>, ProviderError> {
        let shown = |found: &Found| escaped_path(&self.directory.join(&*found.key.path));
        match found {
            [one, other, ..] => {
                let both = format!("{} and {}", shown(one), shown(other));
                Err(ProviderError::new(both, BootstrapError::Ambiguous))
            }
            [one] => Ok(Some(one)),
            [] => Ok(None),
        }
    }
}

impl Bootstrapped {
    /// Strips trailing line endings; `None` if nothing remains. A value must be a single line of UTF-8 without
    /// control characters.
    fn new(secret: &Secret, origin: Origin) -> Result<Option<Self>, ProviderError> {
        let text = std::str::from_utf8(secret.expose()).map_err(|_| origin.error(BootstrapError::NotUtf8))?;
        let text = text.trim_end_matches(['\r', '\n']);
        match text.chars().find(|char| char.is_control()) {
            Some('\r' | '\n') => Err(origin.error(BootstrapError::LineEnd)),
            Some(_) => Err(origin.error(BootstrapError::ControlCharacter)),
            None if text.is_empty() => Ok(None),
            None => Ok(Some(Self { value: Secret::new(text.as_bytes().to_vec()), origin })),
        }
    }

    /// A value from the content of a file, which must be a single line; `None` if it is empty.
    pub fn of_file(path: &Path, bytes: Vec<u8>) -> Result<Option<Self>, ProviderError> {
        Self::new(&Secret::new(bytes), Origin::File(path.to_owned()))
    }

    /// A value extracted from this one, with the same origin.
    pub fn replaced(&self, value: &Secret) -> Result<Option<Self>, ProviderError> {
        Self::new(value, self.origin.clone())
    }

    /// The value, to be sent or used for signing.
    #[must_use]
    pub fn secret(&self) -> &Secret {
        &self.value
    }

    /// The value as text, to be sent. It must not enter a message, unless the name is that of an address or a role.
    #[must_use]
    pub fn text(&self) -> &str {
        std::str::from_utf8(self.value.expose()).unwrap_or_default()
    }

    /// Where the value was found.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The variable that the app must not inherit after this value was used to sign in.
    #[must_use]
    pub fn consumed(&self) -> Option<&str> {
        let Origin::Variable(name) = &self.origin else { return None };
        is_secret(name).then_some(name)
    }
}

/// Reads a value from the file that a setting names; `None` if it is empty.
pub fn read_line(path: &Path) -> Result<Option<Bootstrapped>, ProviderError> {
    let unreadable = |error: ReadError| {
        let stat = rustix::fs::stat(path).ok();
        FileError::from((error, stat.as_ref())).at(escaped_path(path))
    };
    let (bytes, _) = read::read_path(path).map_err(unreadable)?;
    Bootstrapped::of_file(path, bytes)
}

impl Origin {
    fn error(&self, error: BootstrapError) -> ProviderError {
        ProviderError::new(self.to_string(), error)
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => formatter.write_str(&escaped_path(path)),
            Self::Variable(name) => formatter.write_str(name),
        }
    }
}

/// `BAO_X` and then `VAULT_X` for Vault's names; any other name unchanged.
fn spellings(name: &str) -> impl Iterator<Item = String> {
    let openbao = name.strip_prefix("VAULT_").map(|rest| ["BAO_", rest].concat());
    openbao.into_iter().chain([name.to_owned()])
}

/// The possible file names, in order of precedence.
fn file_names(prefixes: &[String], name: &str) -> impl Iterator<Item = String> {
    prefixes.iter().flat_map(move |prefix| spellings(name).map(move |name| [prefix, name.as_str()].concat()))
}

fn by_name(found: Vec<Found>) -> HashMap<String, Vec<Found>> {
    let mut names: HashMap<String, Vec<Found>> = HashMap::new();
    for found in found {
        if let Some(name) = found.name.clone() {
            names.entry(name).or_default().push(found);
        }
    }
    names
}

/// Why a bootstrap value is invalid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum BootstrapError {
    /// Two files map to the same name.
    Ambiguous,
    /// It is empty, and nothing else is configured.
    Empty,
    /// It contains a control character.
    ControlCharacter,
    /// It has more than one line.
    LineEnd,
    /// It is not valid UTF-8.
    NotUtf8,
}

impl Cause for BootstrapError {
    fn kind(&self) -> Kind {
        Kind::Misconfigured
    }

    fn what(&self, place: &str) -> String {
        match self {
            Self::Ambiguous => format!("{place} map to the same name"),
            Self::Empty => format!("{place} is empty, and no other credential is configured"),
            Self::ControlCharacter => format!("the value of {place} has a control character"),
            Self::LineEnd => format!("the value of {place} has more than one line"),
            Self::NotUtf8 => format!("the value of {place} is not UTF-8"),
        }
    }

    fn fix(&self) -> String {
        match self {
            Self::Ambiguous => "remove one of them".into(),
            Self::Empty => "write the credential into it, or remove it to sign in as this machine".into(),
            Self::ControlCharacter | Self::LineEnd | Self::NotUtf8 => {
                "write the value alone, in one line of plain text".into()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const NAMES: &[&str] = &["VAULT_TOKEN", "VAULT_ADDR", "AWS_REGION"];

    /// The value and origin of a name, or the error, given these files and variables.
    fn get(
        files: &[(&str, &[u8])],
        variables: &[&str],
        prefixes: &[&str],
        name: &str,
    ) -> Result<Option<(String, String)>, ProviderError> {
        let directory = tempfile::tempdir().unwrap();
        for (file, bytes) in files {
            std::fs::write(directory.path().join(file), bytes).unwrap();
        }
        let environ = Environ::new(variables.iter().copied());
        let settings = files::Settings {
            directory: directory.path().into(),
            name_prefix: String::new(),
            strict_permissions: false,
        };
        let prefixes = prefixes.iter().map(|prefix| (*prefix).to_owned()).collect();
        let deadline = Deadline::after(Duration::from_secs(20));
        let bootstrap = Bootstrap::read(settings, &environ, prefixes, NAMES, deadline);
        let origin = |found: &Bootstrapped| match found.origin() {
            Origin::File(path) => path.file_name().unwrap().to_str().unwrap().to_owned(),
            Origin::Variable(name) => format!("${name}"),
        };
        Ok(bootstrap.get(name)?.map(|found| (found.text().to_owned(), origin(&found))))
    }

    fn at(value: &str, origin: &str) -> (String, String) {
        (value.to_owned(), origin.to_owned())
    }

    #[test]
    fn e07_a_file_wins_over_a_variable_and_its_line_end_is_no_part_of_it() {
        let token = |files, variables| get(files, variables, &[], "VAULT_TOKEN").unwrap();
        assert_eq!(token(&[("vault-token", b"a\n")], &["VAULT_TOKEN=b"]), Some(at("a", "vault-token")));
        assert_eq!(token(&[("VAULT_TOKEN", b"a\r\n")], &[]), Some(at("a", "VAULT_TOKEN")));
        assert_eq!(token(&[], &["VAULT_TOKEN=b"]), Some(at("b", "$VAULT_TOKEN")));
        assert_eq!(token(&[("VAULT_TOKEN", b"\n")], &["VAULT_TOKEN=b"]), Some(at("b", "$VAULT_TOKEN")));
        assert_eq!(token(&[], &["VAULT_TOKEN="]), None);
    }

    #[test]
    fn the_more_specific_file_wins_and_a_prefixed_variable_never_counts() {
        let files: &[(&str, &[u8])] =
            &[("VAULT_TOKEN", b"a"), ("PRODUCTION_VAULT_TOKEN", b"b"), ("blue-vault-token", b"c")];
        let with = |prefixes| get(files, &["GREEN_VAULT_TOKEN=d"], prefixes, "VAULT_TOKEN").unwrap();
        assert_eq!(with(&["BLUE_", "PRODUCTION_"]), Some(at("c", "blue-vault-token")));
        assert_eq!(with(&["GREEN_", "PRODUCTION_"]), Some(at("b", "PRODUCTION_VAULT_TOKEN")));
        assert_eq!(with(&[]), Some(at("a", "VAULT_TOKEN")));
    }

    #[test]
    fn the_names_of_openbao_win_over_those_of_vault_in_the_same_kind_of_place() {
        let variables = &["VAULT_ADDR=v", "BAO_ADDR=b"];
        assert_eq!(get(&[], variables, &[], "VAULT_ADDR").unwrap(), Some(at("b", "$BAO_ADDR")));
        let file: &[(&str, &[u8])] = &[("VAULT_ADDR", b"f")];
        assert_eq!(get(file, variables, &[], "VAULT_ADDR").unwrap(), Some(at("f", "VAULT_ADDR")));
        assert_eq!(get(&[], &["BAO_REGION=b"], &[], "AWS_REGION").unwrap(), None);
    }

    #[test]
    fn two_files_for_one_name_are_a_configuration_error_that_names_both() {
        let files: &[(&str, &[u8])] = &[("VAULT_TOKEN", b"canary"), ("vault_token", b"canary")];
        let error = get(files, &[], &[], "VAULT_TOKEN").unwrap_err();
        let told = error.to_string();
        assert!(told.contains("VAULT_TOKEN and ") && told.contains("vault_token"), "{told}");
        assert!(!told.contains("canary"));
        assert_eq!(error.kind(), Kind::Misconfigured);
    }

    #[test]
    fn what_cannot_be_a_token_is_an_error_that_names_the_place_and_not_the_value() {
        let cases: [(&[u8], &str); 4] = [
            (b"canary\ncanary", "more than one line"),
            (b"canary\0", "control character"),
            (b"canary\x1b[0m", "control character"),
            (b"canary\xff", "not UTF-8"),
        ];
        for (bytes, why) in cases {
            let error = get(&[("VAULT_TOKEN", bytes)], &["VAULT_TOKEN=b"], &[], "VAULT_TOKEN").unwrap_err();
            let told = format!("{error} {error:?} {}", error.fix());
            assert!(told.contains(why) && told.contains("/VAULT_TOKEN"), "{told}");
            assert!(!told.contains("canary"), "{told}");
        }
    }

    #[test]
    fn a_file_that_cannot_be_read_is_not_absent() {
        let directory = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("nowhere", directory.path().join("VAULT_TOKEN")).unwrap();
        let environ = Environ::new(["VAULT_TOKEN=b"]);
        let read = |directory: &Path| {
            let settings = files::Settings {
                directory: directory.into(),
                name_prefix: String::new(),
                strict_permissions: false,
            };
            Bootstrap::read(settings, &environ, Vec::new(), NAMES, Deadline::after(Duration::from_secs(20)))
        };
        assert!(read(directory.path()).get("VAULT_TOKEN").is_err());
        assert!(read(directory.path()).get("VAULT_ADDR").unwrap().is_none(), "another name is not affected");
        assert!(read(Path::new("/dev/null")).get("VAULT_TOKEN").is_err(), "a file in place of the directory");
    }

    #[test]
    fn e08_an_empty_file_is_no_reason_to_sign_in_as_somebody_else() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("production_vault_token"), "\n").unwrap();
        let settings = files::Settings {
            directory: directory.path().into(),
            name_prefix: String::new(),
            strict_permissions: false,
        };
        let (environ, prefixes) = (Environ::new([""; 0]), vec!["PRODUCTION_".to_owned()]);
        let deadline = Deadline::after(Duration::from_secs(20));
        let bootstrap = Bootstrap::read(settings, &environ, prefixes, NAMES, deadline);
        assert!(bootstrap.get("VAULT_TOKEN").unwrap().is_none());
        let error = bootstrap.without_files(&["AWS_REGION", "VAULT_TOKEN"]).unwrap_err();
        assert!(error.to_string().contains("production_vault_token"), "{error}");
        assert!(bootstrap.without_files(&["AWS_REGION"]).is_ok());
    }

    #[test]
    fn only_secret_values_from_variables_are_taken_from_the_app() {
        let value = |origin| Bootstrapped::new(&Secret::new(b"canary".to_vec()), origin).unwrap().unwrap();
        let variable = |name: &str| value(Origin::Variable(name.to_owned()));
        assert_eq!(variable("BAO_SECRET_ID").consumed(), Some("BAO_SECRET_ID"));
        assert_eq!(variable("VAULT_TOKEN").consumed(), Some("VAULT_TOKEN"));
        assert_eq!(variable("VAULT_ROLE_ID").consumed(), None);
        assert_eq!(value(Origin::File("/run/secrets/VAULT_TOKEN".into())).consumed(), None);
        assert!(!format!("{:?}", variable("VAULT_TOKEN")).contains("canary"));
    }
}
