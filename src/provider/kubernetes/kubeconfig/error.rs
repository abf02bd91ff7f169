//! Why a kubeconfig cannot be used: a configuration error. Of the file, only names and keys are kept.

use crate::escape::escaped;
use crate::provider::tls::TlsSetupError;
use crate::provider::{Cause, Kind};
use crate::yaml::NotYaml;

/// Why a kubeconfig cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KubeconfigError {
    /// `KUBECONFIG` names only files that do not exist.
    NoFile,
    /// It is not UTF-8.
    NotUtf8,
    /// It is not YAML, or is ambiguous or too large.
    Yaml(NotYaml),
    /// It is YAML of another kind or version.
    NotAKubeconfig,
    /// No file has a `current-context`.
    NoCurrentContext,
    /// There is no entry of this name.
    Missing {
        /// The list.
        section: Section,
        /// The name, escaped.
        name: String,
    },
    /// Two entries have this name.
    Twice {
        /// The list.
        section: Section,
        /// The name, escaped.
        name: String,
    },
    /// An entry has a name and nothing else.
    NoMap,
    /// A key that must exist does not.
    Absent {
        /// The key.
        key: &'static str,
    },
    /// The value of a key is empty.
    Empty {
        /// The key.
        key: &'static str,
    },
    /// The value of a key is invalid.
    Value {
        /// The key.
        key: &'static str,
        /// What it must be.
        expected: &'static str,
    },
    /// Two keys exclude each other.
    Both {
        /// The one.
        one: &'static str,
        /// The other.
        other: &'static str,
    },
    /// The certificate of the API server is not to be verified.
    SkipVerify,
    /// A way to sign in that cryokey does not have.
    Unsupported {
        /// The key.
        key: &'static str,
    },
    /// The program wants to talk to a person.
    Interactive,
    /// The program wants settings of the cluster that cryokey does not pass on.
    Extensions,
    /// The program wants the authority of the cluster, whose file cannot be read.
    Authority,
    /// The user has no credential.
    NoCredential,
    /// The file of a token is empty.
    EmptyFile,
    /// The file of a token contains something else.
    NoToken,
    /// A certificate or key cannot be used.
    Tls(TlsSetupError),
}

/// A list of named entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Section {
    /// Pairs of a cluster and a user.
    Contexts,
    /// API servers.
    Clusters,
    /// Identities.
    Users,
}

impl Section {
    /// The key of one entry.
    pub(super) fn key(self) -> &'static str {
        match self {
            Self::Contexts => "context",
            Self::Clusters => "cluster",
            Self::Users => "user",
        }
    }

    pub(super) fn list(self) -> &'static str {
        match self {
            Self::Contexts => "contexts",
            Self::Clusters => "clusters",
            Self::Users => "users",
        }
    }
}

impl KubeconfigError {
    /// The value of a key must be something else.
    pub(super) const fn value(key: &'static str, expected: &'static str) -> Self {
        Self::Value { key, expected }
    }

    /// There is no entry of this name.
    pub(super) fn missing(section: Section, name: &str) -> Self {
        Self::Missing { section, name: escaped(name) }
    }
}

impl Cause for KubeconfigError {
    fn kind(&self) -> Kind {
        Kind::Misconfigured
    }

    fn what(&self, place: &str) -> String {
        match self {
            Self::NoFile => format!("{place} names no file that exists"),
            Self::NotUtf8 => format!("{place} is not UTF-8"),
            Self::Yaml(error) => error.what(place),
            Self::NotAKubeconfig => format!("{place} is not a kubeconfig (kind Config, apiVersion v1)"),
            Self::NoCurrentContext => format!("{place} has no current-context"),
            Self::Missing { section, name } => format!("{place} has no {} `{name}`", section.key()),
            Self::Twice { section, name } => format!("{place} has the {} `{name}` twice", section.key()),
            Self::NoMap => format!("{place} is empty, or not a map"),
            Self::Absent { key } => format!("{place} has no `{key}`"),
            Self::Empty { key } => format!("{place}: `{key}` is empty"),
            Self::Value { key, expected } => format!("{place}: `{key}` must be {expected}"),
            Self::Both { one, other } => format!("{place} has both `{one}` and `{other}`"),
            Self::SkipVerify => format!(
                "{place}: `insecure-skip-tls-verify` is set, but cryokey always verifies certificates"
            ),
            Self::Unsupported { key } => format!("{place}: cryokey does not support `{key}`"),
            Self::Interactive => {
                format!("{place}: interactiveMode is Always, but cryokey has no terminal for the program")
            }
            Self::Extensions => {
                format!(
                    "{place}: the program needs the `extensions` of the cluster, which cryokey does not pass on"
                )
            }
            Self::Authority => {
                format!(
                    "{place}: the program needs the certificate-authority of the cluster, which cannot be read"
                )
            }
            Self::NoCredential => format!("{place} has no token, no program and no client certificate"),
            Self::EmptyFile => format!("{place}, is empty"),
            Self::NoToken => {
                format!("{place}, contains no token, which is one line of visible ASCII characters")
            }
            Self::Tls(error) => format!("{place}: {error}"),
        }
    }

    fn fix(&self) -> String {
        match self {
            Self::NoFile => "correct KUBECONFIG, or unset it to use ~/.kube/config".into(),
            Self::NotUtf8 | Self::Yaml(_) | Self::NotAKubeconfig => {
                "write it again; `kubectl config view` must accept it".into()
            }
            Self::NoCurrentContext => "choose one: kubectl config use-context NAME".into(),
            Self::Missing { section: Section::Contexts, .. } => {
                "choose one that exists: kubectl config get-contexts".into()
            }
            Self::Missing { .. } => {
                "keep a context, its cluster and its user in one file: cryokey does not merge files".into()
            }
            Self::Twice { .. } => "remove one of them".into(),
            Self::SkipVerify => {
                "remove it, and set certificate-authority-data to the CA of the cluster".into()
            }
            Self::Unsupported { .. } | Self::NoCredential => {
                "use a token, tokenFile, exec, or client-certificate with client-key".into()
            }
            Self::Interactive => "use a program that signs in without asking, or a token".into(),
            Self::Extensions => "remove provideClusterInfo from `exec`, or use a token".into(),
            Self::Both { .. } => "keep only one of them".into(),
            Self::NoMap | Self::Absent { .. } | Self::Empty { .. } | Self::Value { .. } | Self::Tls(_) => {
                "correct the kubeconfig; kubectl must be able to use it".into()
            }
            Self::Authority | Self::EmptyFile | Self::NoToken => {
                "correct the file, or the path in the kubeconfig".into()
            }
        }
    }
}
