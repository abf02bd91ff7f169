//! The Kubernetes API: the cluster and its Secrets, from settings.

use super::{Opening, SetupError};
use crate::provider::http::{self, Proxies};
use crate::provider::kubernetes::cluster::{self, Cluster};
use crate::provider::kubernetes::{self, Kubernetes};
use crate::provider::{ProviderError, Source};

pub(super) fn open(opening: &Opening<'_>) -> Result<Kubernetes, ProviderError> {
    let Opening { config, environ, .. } = *opening;
    let proxies = Proxies::from_environ(environ);
    let http = http::Settings {
        proxies: proxies.map_err(|error| SetupError::Proxy(error.variable).at(Source::Kubernetes))?,
        allow_http: config.allow_http.clone(),
        ..http::Settings::default()
    };
    let settings = cluster::Settings {
        host: config.kubernetes_host.clone(),
        port: config.kubernetes_port.and_then(|port| u16::try_from(port).ok()),
    };
    let cluster = Cluster::new(&settings).map_err(|error| error.at(Source::Kubernetes.text()));
    Ok(Kubernetes::new(kubernetes::Settings {
        cluster,
        http,
        namespace: config.kubernetes_namespace.clone(),
        names: config.kubernetes_secrets.clone(),
        width: usize::try_from(config.max_requests).unwrap_or(1),
    }))
}
