//! The API server, and the service account that Kubernetes mounts into a pod. Source: "Accessing the Kubernetes API from a
//! Pod", Kubernetes documentation.

use std::path::PathBuf;

use super::error::KubernetesError;
use crate::escape::escaped_path;
use crate::provider::bootstrap::read_line;
use crate::provider::http;
use crate::provider::tls::Trust;
use crate::provider::{ProviderError, bootstrap::Bootstrapped};

/// Where Kubernetes mounts the service account.
const SERVICE_ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// The settings of the cluster.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// The host of the API server: a name, or an IPv4 or IPv6 address without brackets.
    pub host: Option<String>,
    /// Its port; by default 443.
    pub port: Option<u16>,
}

/// An API server, and the files of the service account.
#[derive(Debug, Clone)]
pub struct Cluster {
    /// The URL of the API server, without a slash at the end.
    pub url: String,
    directory: PathBuf,
}

impl Cluster {
    /// The cluster that this pod runs in.
    pub fn new(settings: &Settings) -> Result<Self, KubernetesError> {
        let host = settings.host.as_deref().ok_or(KubernetesError::NoCluster)?;
        let host =
            if host.contains(':') && !host.starts_with('[') { format!("[{host}]") } else { host.to_owned() };
        let port = settings.port.unwrap_or(443);
        Ok(Self { url: format!("https://{host}:{port}"), directory: SERVICE_ACCOUNT.into() })
    }

    /// The token. Kubernetes replaces the file before the token expires, so it is read for each sign-in.
    pub fn token(&self) -> Result<Bootstrapped, ProviderError> {
        let path = self.directory.join("token");
        read_line(&path)?.ok_or_else(|| KubernetesError::EmptyToken.at(escaped_path(&path)))
    }

    /// The namespace of the pod.
    pub fn namespace(&self) -> Result<String, ProviderError> {
        let path = self.directory.join("namespace");
        let namespace = read_line(&path)?.map(|line| line.text().to_owned());
        namespace.ok_or_else(|| KubernetesError::EmptyToken.at(escaped_path(&path)))
    }

    /// The settings of a client that trusts the cluster's CA and nothing else.
    #[must_use]
    pub fn http(&self, settings: &http::Settings) -> http::Settings {
        let trust = Trust::Files {
            paths: vec![self.directory.join("ca.crt")],
            named_by: "the service account of the pod",
        };
        http::Settings { trust, ..settings.clone() }
    }
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
