//! The API server, and who cryokey is there: the service account that Kubernetes mounts into a pod, or the user of a
//! kubeconfig. Source: "Accessing the Kubernetes API from a Pod", Kubernetes documentation.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::error::KubernetesError;
use super::kubeconfig::credential::Credential;
use super::kubeconfig::error::KubeconfigError;
use super::kubeconfig::user::User;
use crate::escape::escaped_path;
use crate::provider::bootstrap::read_line;
use crate::provider::http::{self, Proxies};
use crate::provider::tls::{Identity, TlsSetupError, Trust};
use crate::provider::{Cause as _, Deadline, ProviderError};
use crate::secret::Secret;

/// Where Kubernetes mounts the service account.
const SERVICE_ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// The settings of the cluster that a pod runs in.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// The host of the API server: a name, or an IPv4 or IPv6 address without brackets.
    pub host: Option<String>,
    /// Its port; by default 443.
    pub port: Option<u16>,
}

/// An API server, and who cryokey is there.
#[derive(Debug, Clone)]
pub struct Cluster {
    /// The URL of the API server, without a slash at the end.
    pub url: String,
    /// Whose certificate the API server must have.
    pub trust: Trust,
    /// The name in that certificate, if it is not the URL's host.
    pub server_name: Option<String>,
    /// The proxy, if it is not that of the environment.
    pub proxies: Option<Proxies>,
    /// Who cryokey is there.
    pub account: Account,
}

/// Who cryokey is at the API server.
#[derive(Debug, Clone)]
pub enum Account {
    /// The service account of this pod.
    Pod {
        /// Where Kubernetes mounts it.
        directory: PathBuf,
    },
    /// A user of a kubeconfig.
    User {
        /// The user.
        user: Arc<User>,
        /// The namespace of the context.
        namespace: String,
    },
}

impl Cluster {
    /// The cluster that this pod runs in.
    pub fn new(settings: &Settings) -> Result<Self, KubernetesError> {
        let host = settings.host.as_deref().ok_or(KubernetesError::NoCluster)?;
        let host =
            if host.contains(':') && !host.starts_with('[') { format!("[{host}]") } else { host.to_owned() };
        let port = settings.port.unwrap_or(443);
        let directory = PathBuf::from(SERVICE_ACCOUNT);
        Ok(Self {
            url: format!("https://{host}:{port}"),
            trust: Trust::Files {
                paths: vec![directory.join("ca.crt")],
                named_by: "the service account of the pod",
            },
            server_name: None,
            proxies: None,
            account: Account::Pod { directory },
        })
    }

    /// The settings of a client that trusts the cluster's CA and nothing else.
    #[must_use]
    pub fn http(&self, settings: &http::Settings, identity: Option<Identity>) -> http::Settings {
        http::Settings {
            trust: self.trust.clone(),
            identity,
            server_name: self.server_name.clone(),
            proxies: self.proxies.as_ref().unwrap_or(&settings.proxies).clone(),
            ..settings.clone()
        }
    }
}

impl Account {
    /// A description for the log.
    #[must_use]
    pub fn label(&self) -> String {
        match self {
            Self::Pod { .. } => "the service account of this pod".to_owned(),
            Self::User { user, .. } => user.label(),
        }
    }

    /// Obtains what proves who this is.
    pub fn sign_in(&self, deadline: Deadline) -> Result<Credential, ProviderError> {
        match self {
            Self::Pod { directory } => {
                Ok(Credential { token: Some(line(&directory.join("token"))?), identity: None })
            }
            Self::User { user, .. } => user.sign_in(deadline),
        }
    }

    /// The token of a file, which may have been replaced meanwhile; `None` for any other token.
    #[must_use]
    pub fn token_again(&self) -> Option<Secret> {
        match self {
            Self::Pod { directory } => line(&directory.join("token")).ok(),
            Self::User { user, .. } => user.token_again(),
        }
    }

    /// The namespace of Secrets that are named without one.
    pub fn namespace(&self) -> Result<String, ProviderError> {
        match self {
            Self::Pod { directory } => {
                let namespace = line(&directory.join("namespace"))?;
                Ok(String::from_utf8_lossy(namespace.expose()).into_owned())
            }
            Self::User { namespace, .. } => Ok(namespace.clone()),
        }
    }

    /// Why there is no client for this cluster.
    #[must_use]
    pub fn tls_error(&self, error: TlsSetupError) -> ProviderError {
        match self {
            Self::Pod { .. } => KubernetesError::Tls(error).at("Kubernetes"),
            Self::User { user, .. } => KubeconfigError::Tls(error).at(user.place()),
        }
    }
}

/// The content of a file of the service account. Kubernetes replaces the token before it expires, so it is read for each
/// sign-in.
fn line(path: &Path) -> Result<Secret, ProviderError> {
    let line = read_line(path)?.map(|line| line.secret().duplicate());
    line.ok_or_else(|| KubernetesError::EmptyToken.at(escaped_path(path)))
}

/// A name that the API accepts as a part of a path (RFC 1123 subdomain), at most 253 characters.
#[must_use]
pub fn is_name(text: &str) -> bool {
    let is_legal = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte);
    let is_edge = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = text.as_bytes();
    text.len() <= 253
        && bytes.iter().all(|byte| is_legal(*byte))
        && is_edge(bytes.first())
        && is_edge(bytes.last())
}

/// A key of a Secret, at most 253 characters.
#[must_use]
pub fn is_key(text: &str) -> bool {
    let is_legal = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    (1..=253).contains(&text.len()) && text.bytes().all(is_legal)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(host: &str, port: Option<u16>) -> String {
        Cluster::new(&Settings { host: Some(host.to_owned()), port }).unwrap().url
    }

    #[test]
    fn an_ipv6_address_is_bracketed() {
        assert_eq!(url("10.0.0.1", Some(6443)), "https://10.0.0.1:6443");
        assert_eq!(url("fd00::1", None), "https://[fd00::1]:443");
        assert_eq!(url("[fd00::1]", None), "https://[fd00::1]:443");
        assert!(matches!(Cluster::new(&Settings::default()), Err(KubernetesError::NoCluster)));
    }

    #[test]
    fn a_name_leads_to_no_other_path() {
        assert!(is_name("app-secrets.v2") && is_name("a"));
        for text in ["", "App", "a/b", "a_b", "..", ".a", "a-", "a%2fb", "a b"] {
            assert!(!is_name(text), "{text}");
        }
    }
}
