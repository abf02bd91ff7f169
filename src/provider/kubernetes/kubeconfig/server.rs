//! The API server, as a cluster of a kubeconfig describes it.

use std::collections::BTreeMap;

use base64ct::{Base64, Encoding as _};

use super::error::KubeconfigError;
use super::file::Entry;
use crate::environ::Environ;
use crate::provider::ProviderError;
use crate::provider::http::{Method, Proxies, Request};
use crate::provider::tls::{Pem, Trust};

/// The API server, as a cluster of a kubeconfig describes it.
pub(super) struct Server {
    /// Without a slash at the end.
    pub(super) url: String,
    authority: Option<Pem>,
    /// The name that its certificate must have, in place of the URL's host.
    pub(super) name: Option<String>,
    pub(super) proxy: Option<String>,
    /// Whether it has settings for the programs of users.
    pub(super) has_extensions: bool,
}

impl Server {
    pub(super) fn of(cluster: &Entry<'_>) -> Result<Self, ProviderError> {
        const EXPECTED: &str = "a URL that begins with https://";
        let url = cluster.required("server")?;
        let is_plain = !url.contains(['?', '#']) && Request::new(Method::Get, url).is_ok();
        if !url.starts_with("https://") || !is_plain {
            return Err(cluster.refuse(KubeconfigError::value("server", EXPECTED)));
        }
        if cluster.filled("insecure-skip-tls-verify")?.is_some_and(|text| text != "false") {
            return Err(cluster.refuse(KubeconfigError::SkipVerify));
        }
        Ok(Self {
            url: url.trim_end_matches('/').to_owned(),
            authority: cluster.pem("certificate-authority", "certificate-authority-data")?,
            name: cluster.filled("tls-server-name")?.map(str::to_owned),
            proxy: cluster.filled("proxy-url")?.map(str::to_owned),
            has_extensions: cluster.has("extensions"),
        })
    }

    /// The cluster's own authority, and no others; without one, the same as for other providers.
    pub(super) fn trust(&self, environ: &Environ) -> Trust {
        match &self.authority {
            None => Trust::chosen(None, environ),
            Some(Pem::File(path)) => {
                Trust::Files { paths: vec![path.clone()], named_by: "certificate-authority" }
            }
            Some(Pem::Text(text)) => Trust::Text(text.clone()),
        }
    }

    /// What a program that asks for it gets to know; `None` if the file of the authority cannot be read.
    pub(super) fn described(&self) -> Option<BTreeMap<&'static str, String>> {
        let authority = self.authority.as_ref().map(Pem::read).transpose().ok()?;
        let authority = authority.map(|pem| Base64::encode_string(pem.expose()));
        let members = [
            ("server", Some(self.url.clone())),
            ("certificate-authority-data", authority),
            ("tls-server-name", self.name.clone()),
            ("proxy-url", self.proxy.clone()),
        ];
        Some(members.into_iter().filter_map(|(key, value)| Some((key, value?))).collect())
    }
}

/// The proxy of the cluster, which overrides `HTTPS_PROXY`.
pub(super) fn proxies(
    cluster: &Entry<'_>,
    url: Option<&str>,
    environ: &Environ,
) -> Result<Option<Proxies>, ProviderError> {
    const KEY: &str = "proxy-url";
    let proxies = url.map(|url| Proxies::named(KEY, url, environ)).transpose();
    proxies.map_err(|_| {
        cluster.refuse(KubeconfigError::value(KEY, "the URL of an HTTP proxy, such as http://proxy:3128"))
    })
}
