//! References, which say where a secret is: `files:db_password`, `vault:secret/data/db#password@3`. The syntaxes of
//! other tools are accepted too, so that their references work unchanged: `vault:path#field#3`, `bao:`,
//! `file:/run/secrets/x`, `ref+vault://path#/field`.

mod aws;
mod azure;
mod gcp;
mod kubernetes;

use std::fmt;

use super::{Key, Source};
use crate::suggest::did_you_mean;

const LONGEST: usize = 2_048;

/// The directory that `file:` references of other tools start with, because secrets are mounted there.
const MOUNTED: &str = "/run/secrets/";

/// The prefixes of values that another tool would replace with the secret that they refer to.
const FOREIGN: &[&str] = &[
    "vault:",
    ">>vault:",
    "bao:",
    ">>bao:",
    "op://",
    "se://",
    "sm://",
    "arn:aws:secretsmanager:",
    "arn:aws-cn:secretsmanager:",
    "arn:aws-us-gov:secretsmanager:",
    "@Microsoft.KeyVault(",
];

/// The prefixes of references that another tool would replace within a longer value.
const EMBEDDED: &[&str] = &["${vault:", "${bao:"];

/// Whether the whole value looks like a reference of some tool, so that it is probably not the secret itself.
#[must_use]
pub fn is_like_a_reference(value: &[u8]) -> bool {
    FOREIGN.iter().any(|beginning| value.starts_with(beginning.as_bytes())) || is_like_one_of_vals(value)
}

/// Whether the value has the form `ref+backend://…`, which vals uses.
fn is_like_one_of_vals(value: &[u8]) -> bool {
    let Some(rest) = value.strip_prefix(b"ref+") else { return false };
    let backend = rest.iter().take_while(|byte| byte.is_ascii_alphanumeric()).count();
    backend > 0 && rest.get(backend..).is_some_and(|rest| rest.starts_with(b"://"))
}

/// Whether the value contains a reference that another tool would replace.
#[must_use]
pub fn has_a_reference(value: &[u8]) -> bool {
    EMBEDDED.iter().any(|embedded| value.windows(embedded.len()).any(|window| window == embedded.as_bytes()))
}

/// The location of one secret, as `provider:path#field`. It never names a host: how a provider is reached is for the
/// operator to configure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    pub source: Source,
    pub key: Key,
}

/// Why a text is not a reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotAReference {
    /// The colon is missing, or the text before or after it.
    Shape,
    /// The path contains a control character, white space, `..`, `//`, a backslash, `@`, `?` or `%`.
    Path,
    TooLong,
    /// The provider is unknown. The text is `; did you mean X?`, or empty.
    UnknownProvider(String),
    NoFields,
    /// The text after `@` is not a version number.
    Version,
    /// The text after `@` or in the query is not a version of a secret in AWS.
    AwsVersion,
    /// The name is invalid for a secret in AWS.
    AwsName,
    /// The name is invalid for a secret in Azure.
    AzureName,
    /// The text after `@` is not a version of a secret in Azure.
    AzureVersion,
    /// The text is neither the name of a vault in Azure, nor its host in one of Azure's clouds.
    AzureVault,
    /// The name is invalid for a secret, a project or a location in Google.
    GcpName,
    /// The text after `@` is not a version of a secret in Google.
    GcpVersion,
    /// The query contains something other than a version, such as where or how to read the secret.
    Query,
    /// Not the name of a Secret in Kubernetes, or one with a version.
    KubernetesName,
}

impl Reference {
    pub fn parse(text: &str) -> Result<Self, NotAReference> {
        if text.len() > LONGEST {
            return Err(NotAReference::TooLong);
        }
        let (source, key) = if let Some((source, key)) = without_word(text) {
            (source, key?)
        } else {
            let (word, separator, rest) = split(text).ok_or(NotAReference::Shape)?;
            let source = parse_source(word)?;
            let parts = Parts::of(rest, separator != ":")?;
            let key = match source {
                Source::Aws => aws::key(parts)?,
                Source::Azure => azure::key(parts)?,
                Source::Gcp => gcp::key(parts)?,
                Source::Kubernetes => kubernetes::key(parts)?,
                Source::Files if word == "file" => local(parts.below(MOUNTED))?,
                source if source.is_remote() => numbered(parts)?,
                _ => local(parts)?,
            };
            (source, key)
        };
        let reference = Self { source, key };
        // The canonical form can be longer than the text that was parsed.
        if reference.to_string().len() > LONGEST { Err(NotAReference::TooLong) } else { Ok(reference) }
    }

    /// Parses the value of a plain variable; `None` if it is ordinary text. `environment:NAME` counts as ordinary text
    /// too, because a variable cannot refer to another one.
    #[must_use]
    pub fn in_variable(value: &[u8]) -> Option<Result<Self, NotAReference>> {
        let text = std::str::from_utf8(value).ok()?;
        if without_word(text).is_some() {
            return Some(Self::parse(text));
        }
        let (word, ..) = split(text)?;
        match parse_source(word) {
            Ok(Source::Environment) | Err(NotAReference::UnknownProvider(_)) => None,
            _ => Some(Self::parse(text)),
        }
    }
}

/// Parses the syntaxes that do not start with the name of a provider.
fn without_word(text: &str) -> Option<(Source, Result<Key, NotAReference>)> {
    if aws::is_arn(text) {
        return Some((Source::Aws, aws::arn(text)));
    }
    if let Some(inner) = azure::of_app_service(text) {
        return Some((Source::Azure, azure::app_service(inner)));
    }
    gcp::of_berglas(text).map(|rest| (Source::Gcp, gcp::berglas(rest)))
}

/// The parts of a reference that starts with the name of a provider.
#[derive(Clone, Copy)]
struct Parts<'a> {
    path: &'a str,
    field: Option<&'a str>,
    version: Option<&'a str>,
    /// Whether the syntax is that of vals: `ref+provider://path?query#/field`.
    is_of_vals: bool,
}

impl<'a> Parts<'a> {
    /// Splits `path`, `path@version`, `path#field`, `path#field@version` or `path#field#version`.
    fn of(rest: &'a str, is_of_vals: bool) -> Result<Self, NotAReference> {
        let mut parts = rest.splitn(3, '#');
        let (path, field) = (parts.next().unwrap_or_default(), parts.next());
        let (path, field, version) = match (field, parts.next()) {
            (None, _) => separated(path, |path, version| (path, None, version)),
            (Some(field), None) => separated(field, |field, version| (path, Some(field), version)),
            (Some(field), Some(version)) => (path, Some(field), Some(version)),
        };
        let is_bad = |field: &str| field.is_empty() || field.contains(char::is_control);
        if path.is_empty() || field.is_some_and(is_bad) {
            return Err(NotAReference::Shape);
        }
        Ok(Self { path, field, version, is_of_vals })
    }

    /// Makes an absolute path below `root` relative to it.
    fn below(self, root: &str) -> Self {
        Self { path: self.path.strip_prefix(root).unwrap_or(self.path), ..self }
    }
}

/// Splits the text at the last `@`.
fn separated<'a, T>(text: &'a str, build: impl FnOnce(&'a str, Option<&'a str>) -> T) -> T {
    match text.rsplit_once('@') {
        Some((before, version)) => build(before, Some(version)),
        None => build(text, None),
    }
}

/// The key of a file or variable, which has neither fields nor versions.
fn local(parts: Parts<'_>) -> Result<Key, NotAReference> {
    if parts.field.is_some() {
        return Err(NotAReference::NoFields);
    }
    if parts.version.is_some() {
        return Err(NotAReference::Path);
    }
    check_path(parts.path)?;
    Ok(Key::new(parts.path))
}

/// The key of a secret whose versions are numbers, and whose fields have plain names. vals writes a slash before a
/// field.
fn numbered(parts: Parts<'_>) -> Result<Key, NotAReference> {
    check_path(parts.path)?;
    let name = |field| if parts.is_of_vals { str::strip_prefix(field, "/").unwrap_or(field) } else { field };
    let field = parts.field.map(name);
    if field.is_some_and(str::is_empty) {
        return Err(NotAReference::Shape);
    }
    let version = parts.version.map(|version| check_number(version).map(|()| version.into())).transpose()?;
    Ok(Key { path: parts.path.into(), field: field.map(Into::into), version })
}

/// The provider's name, the separator, and the rest.
fn split(text: &str) -> Option<(&str, &str, &str)> {
    let (text, separator) = text.strip_prefix("ref+").map_or((text, ":"), |text| (text, "://"));
    text.split_once(separator).map(|(word, rest)| (word, separator, rest))
}

impl fmt::Display for Reference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.source.word(), self.key.path)?;
        self.key.field.iter().try_for_each(|field| write!(formatter, "#{field}"))?;
        self.key.version.iter().try_for_each(|version| write!(formatter, "@{version}"))
    }
}

impl fmt::Display for NotAReference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shape => formatter.write_str("a reference is `provider:path` or `provider:path#field`"),
            Self::Path => {
                formatter.write_str("its path contains `..`, `//`, or a character that is not allowed")
            }
            Self::TooLong => write!(formatter, "it is longer than {LONGEST} bytes"),
            Self::UnknownProvider(hint) => write!(formatter, "unknown provider{hint}"),
            Self::Version => formatter.write_str("a version is a whole number, at least 1, without a sign"),
            Self::AwsVersion => formatter.write_str(
                "a version is the name of a stage, such as AWSPREVIOUS, or a version id of 32 to 64 characters",
            ),
            Self::AwsName => {
                formatter.write_str("a secret in AWS has a name of letters, digits and /_+=.-, or an ARN")
            }
            Self::AzureName => formatter.write_str(
                "a secret in Azure has a name of at most 127 letters, digits and hyphens, such as DB-PASSWORD",
            ),
            Self::AzureVersion => {
                formatter.write_str("a version of a secret in Azure consists of at most 64 letters and digits")
            }
            Self::AzureVault => formatter.write_str(
                "a vault is a name of 3 to 24 letters, digits and hyphens, or its host, such as app.vault.azure.net",
            ),
            Self::GcpName => formatter.write_str(
                "a secret in Google has a name of at most 255 letters, digits, _ and -, in a project such as my-project",
            ),
            Self::GcpVersion => formatter.write_str(
                "a version of a secret in Google is a number, `latest`, or an alias that begins with a letter",
            ),
            Self::KubernetesName => formatter.write_str(
                "a Secret in Kubernetes is `k8s:name#key` or `k8s:namespace/name#key`, and has no versions",
            ),
            Self::Query => formatter.write_str(
                "it says where to ask, or how: only versions may stand here, settings such as AWS_REGION say the rest",
            ),
            Self::NoFields => formatter.write_str("files and variables have no fields: remove `#…`"),
        }
    }
}

fn parse_source(text: &str) -> Result<Source, NotAReference> {
    let known = || Source::ALL.into_iter().filter(|source| !source.word().is_empty());
    let text = match text {
        "awssecrets" => Source::Aws.word(),
        "azurekeyvault" => Source::Azure.word(),
        "bao" => Source::Vault.word(),
        "file" => Source::Files.word(),
        "gcpsecrets" => Source::Gcp.word(),
        text => text,
    };
    match known().find(|source| source.word() == text) {
        Some(source) => Ok(source),
        None => Err(NotAReference::UnknownProvider(did_you_mean(text, known().map(Source::word)))),
    }
}

/// A malformed version is an error, so that it never stands for the latest one.
fn check_number(text: &str) -> Result<(), NotAReference> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    text.parse::<u64>().ok().filter(|_| is_number).map(drop).ok_or(NotAReference::Version)
}

/// A path must stay below its root, and must not contain anything that could act as a host or a query.
fn check_path(path: &str) -> Result<(), NotAReference> {
    let is_foreign = |character: char| {
        character.is_control() || character.is_whitespace() || matches!(character, '\\' | '@' | '?' | '%')
    };
    let bad_part = path.split('/').any(|part| part.is_empty() || part == "." || part == "..");
    if bad_part || path.contains(is_foreign) { Err(NotAReference::Path) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_is_written_as_it_is_read() {
        for text in [
            "files:db_password",
            "environment:DB",
            "files:kubernetes.io/token",
            "vault:secret/data/db#password",
            "vault:secret/db#pass word@3",
            "vault:secret/db",
        ] {
            assert_eq!(Reference::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_path_never_leaves_its_root_and_never_names_a_host() {
        for path in [
            "../x",
            "a/../b",
            "/etc/shadow",
            "a//b",
            "a\\b",
            "%2e%2e/x",
            "//evil/x",
            "u@h/x",
            "x?y",
            "a\0",
            "",
        ] {
            assert!(Reference::parse(&format!("files:{path}")).is_err(), "{path:?}");
        }
    }

    #[test]
    fn a_reference_has_at_most_2048_bytes() {
        let of = |length: usize| Reference::parse(&format!("files:{}", "a".repeat(length - "files:".len())));
        assert!(of(2_048).is_ok());
        assert_eq!(of(2_049), Err(NotAReference::TooLong));
    }

    #[test]
    fn neither_path_nor_field_is_empty() {
        assert_eq!(Reference::parse("files:"), Err(NotAReference::Shape));
        assert_eq!(Reference::parse("files:a#"), Err(NotAReference::Shape));
        assert_eq!(Reference::parse("files:a#b"), Err(NotAReference::NoFields));
    }

    #[test]
    fn a_misspelt_provider_is_never_taken_for_text() {
        let why = Reference::parse("valut:a#b").unwrap_err().to_string();
        assert!(why.contains("did you mean `vault`"), "{why}");
    }

    #[test]
    fn the_spellings_of_other_tools_are_read() {
        for (theirs, ours) in [
            ("bao:secret/data/x#key", "vault:secret/data/x#key"),
            ("vault:secret/data/x#key#7", "vault:secret/data/x#key@7"),
            ("ref+vault://secret/x#/key", "vault:secret/x#key"),
            ("file:/run/secrets/db", "files:db"),
            ("file:db", "files:db"),
        ] {
            assert_eq!(Reference::parse(theirs).unwrap().to_string(), ours);
        }
    }

    #[test]
    fn a_value_that_begins_as_another_tools_reference_is_told_from_other_text() {
        for value in [
            "vault:secret/data/x#key",
            "bao:x",
            ">>vault:x",
            "ref+awsssm://x",
            "op://vault/item/field",
            "se://x",
            "sm://project/x",
            "arn:aws:secretsmanager:eu-west-1:1:secret:x",
            "@Microsoft.KeyVault(SecretUri=https://x)",
        ] {
            assert!(is_like_a_reference(value.as_bytes()), "{value}");
            assert!(!is_like_a_reference(format!("x{value}").as_bytes()), "{value}");
        }
        for value in ["", "vault", "ref+x", "ref+://x", "ref+a b://", "arn:aws:iam::1:role/x", "https://x"] {
            assert!(!is_like_a_reference(value.as_bytes()), "{value}");
        }
        assert!(has_a_reference(b"u:${vault:secret/x#y}@h") && !has_a_reference(b"${VAULT}"));
    }

    #[test]
    fn b09_b10_b11_a_reference_leads_to_no_host_and_to_no_other_directory() {
        for text in [
            "file:/etc/shadow",
            "file:/run/secrets/../x",
            "file:///etc/shadow",
            "ref+vault://secret/x?address=evil.example#/key",
            "vault://1.2.3.4/x#key",
            "ref+vault://user@1.2.3.4/x#key",
            "vault:secret/x#\u{0}",
            "http://169.254.169.254/latest#x",
        ] {
            assert!(Reference::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_variable_holds_a_reference_only_if_it_begins_as_one() {
        for text in ["vault:secret/x#y", "bao:secret/x#y", "ref+vault://secret/x#/y", "files:db", "file:db"] {
            assert!(Reference::in_variable(text.as_bytes()).unwrap().is_ok(), "{text}");
        }
        for text in
            ["vault:", "vault:../x#y", "file:/etc/shadow", "azure:x_y", "ref+vault://h?a=b#/c", "vault:x#y\n"]
        {
            assert!(Reference::in_variable(text.as_bytes()).unwrap().is_err(), "{text}");
        }
        for text in
            ["", "vault", "environment:HOME", "postgres://u@h/d", "op://a/b", "ref+x://y", "valut:x#y"]
        {
            assert_eq!(Reference::in_variable(text.as_bytes()), None, "{text}");
        }
        assert_eq!(Reference::in_variable(b"vault:\xff"), None);
    }

    #[test]
    fn b13_a_version_is_read_strictly() {
        for version in ["5a", "-1", "0", "05", "+5", "", "latest", "12345678901234567890123"] {
            for text in [format!("vault:secret/x#key@{version}"), format!("vault:secret/x#key#{version}")] {
                assert_eq!(Reference::parse(&text), Err(NotAReference::Version), "{text}");
            }
        }
    }
}
