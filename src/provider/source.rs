//! The places that secrets are read from, by name, and their order.

use crate::suggest::did_you_mean;
use crate::syntax::{List, Syntax};

use super::{aws, azure, google, vault};

/// The places, in rising priority; `EXTERNAL_SECRET_PROVIDER` orders the external ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// Plain variables.
    Environment,
    /// Files that a `NAME_FILE` variable names.
    FileVariables,
    /// Files in the secrets directory.
    Files,
    /// AWS Secrets Manager.
    Aws,
    /// `HashiCorp` Vault or `OpenBao`.
    Vault,
    /// Azure Key Vault.
    Azure,
    /// Google Secret Manager.
    Gcp,
    /// The Kubernetes API.
    Kubernetes,
}

/// How a source is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    /// Part of the process or its file system.
    Local,
    /// `EXTERNAL_SECRET_PROVIDER` selects it by its word.
    External,
    /// Its own settings select it.
    Selected,
}

impl Source {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Environment,
        Self::FileVariables,
        Self::Files,
        Self::Aws,
        Self::Vault,
        Self::Azure,
        Self::Gcp,
        Self::Kubernetes,
    ];

    /// Its name in messages and reports, the word that a reference begins with, and how it is used.
    const fn facts(self) -> (&'static str, &'static str, Role) {
        use Role::{External, Local, Selected};
        match self {
            Self::Environment => ("environment", "environment", Local),
            // No reference names one: `NAME_FILE` belongs to the name.
            Self::FileVariables => ("file variable", "", Local),
            Self::Files => ("files", "files", Local),
            Self::Aws => ("AWS", "aws", External),
            Self::Vault => ("Vault", "vault", External),
            Self::Azure => ("Azure", "azure", External),
            Self::Gcp => ("Google", "gcp", External),
            Self::Kubernetes => ("Kubernetes", "k8s", Selected),
        }
    }

    /// Its name in messages and reports.
    #[must_use]
    pub const fn text(self) -> &'static str {
        self.facts().0
    }

    /// The word that a reference begins with, and that `EXTERNAL_SECRET_PROVIDER` takes.
    #[must_use]
    pub const fn word(self) -> &'static str {
        self.facts().1
    }

    /// Whether `EXTERNAL_SECRET_PROVIDER` may name it.
    #[must_use]
    pub fn is_external(self) -> bool {
        self.facts().2 == Role::External
    }

    /// Whether it is read over the network, and delivers keys that nobody declared too.
    #[must_use]
    pub fn is_remote(self) -> bool {
        self.facts().2 != Role::Local
    }

    /// The names of the values that cryokey signs in with, as files or variables.
    #[must_use]
    pub fn bootstrap_names(self) -> &'static [&'static str] {
        match self {
            Self::Aws => aws::credentials::NAMES,
            Self::Vault => vault::identity::NAMES,
            Self::Azure => azure::credentials::NAMES,
            Self::Gcp => &[google::credentials::NAME],
            Self::Environment | Self::FileVariables | Self::Files | Self::Kubernetes => &[],
        }
    }

    /// Whether it is a place for secrets. Plain variables are not: `docker inspect` shows them.
    #[must_use]
    pub fn is_for_secrets(self) -> bool {
        self != Self::Environment
    }
}

/// External providers with commas between them. The last mention of one counts.
#[derive(Debug)]
pub struct Providers;

impl Providers {
    fn words() -> impl Iterator<Item = &'static str> {
        Source::ALL.into_iter().filter(|source| source.is_external()).map(Source::word)
    }
}

/// The word of a provider that is called by its vendor or product.
fn of_vendor(word: &str) -> Option<&'static str> {
    match word.to_ascii_lowercase().as_str() {
        "google" | "gsm" | "gcloud" => Some(Source::Gcp.word()),
        "hashicorp" | "openbao" | "bao" => Some(Source::Vault.word()),
        "amazon" | "secretsmanager" => Some(Source::Aws.word()),
        "microsoft" | "keyvault" => Some(Source::Azure.word()),
        _ => None,
    }
}

impl Syntax for Providers {
    type Value = Vec<Source>;

    fn usage() -> String {
        let words: Vec<&str> = Self::words().collect();
        format!("one or more of {}, separated by commas", words.join(", "))
    }

    fn from_text(text: &str) -> Option<Vec<Source>> {
        let mut sources: Vec<Source> = Vec::new();
        for word in List::from_text(text)? {
            let mut known = Source::ALL.into_iter().filter(|source| source.is_external());
            let source = known.find(|source| source.word().eq_ignore_ascii_case(&word))?;
            sources.retain(|other| *other != source);
            sources.push(source);
        }
        Some(sources)
    }

    fn hint(text: &[u8]) -> String {
        let words = List::from_text(&String::from_utf8_lossy(text)).unwrap_or_default();
        let unknown = words.iter().find(|word| Self::from_text(word).is_none());
        unknown.map(|word| did_you_mean(of_vendor(word).unwrap_or(word), Self::words())).unwrap_or_default()
    }

    fn to_toml(sources: &Vec<Source>) -> String {
        List::to_toml(&sources.iter().map(|source| source.word().to_owned()).collect())
    }
}
