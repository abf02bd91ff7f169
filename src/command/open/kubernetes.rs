//! The Kubernetes API: the cluster and its Secrets, from settings.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use super::{Opening, SetupError};
use crate::provider::helper::may_know;
use crate::provider::http::{self, Proxies};
use crate::provider::kubernetes::cluster::{self, Cluster};
use crate::provider::kubernetes::error::KubernetesError;
use crate::provider::kubernetes::{self, Kubernetes, kubeconfig};
use crate::provider::{Cause as _, ProviderError, Source};
use crate::system::accounts;

pub(super) fn open(opening: &Opening<'_>) -> Result<Kubernetes, ProviderError> {
    let Opening { config, environ, .. } = *opening;
    let proxies = Proxies::from_environ(environ);
    let http = http::Settings {
        proxies: proxies.map_err(|error| SetupError::Proxy(error.variable).at(Source::Kubernetes))?,
        allow_http: config.allow_http.clone(),
        ..http::Settings::default()
    };
    Ok(Kubernetes::new(kubernetes::Settings {
        cluster: cluster(opening),
        http,
        namespace: config.kubernetes_namespace.clone(),
        names: config.kubernetes_secrets.clone(),
        width: usize::try_from(config.max_requests).unwrap_or(1),
    }))
}

/// In a pod, its service account is the sign-in, whatever `KUBECONFIG` says.
fn cluster(opening: &Opening<'_>) -> Result<Cluster, ProviderError> {
    let Opening { config, environ, .. } = *opening;
    let failed = |error: KubernetesError| error.at(Source::Kubernetes.text());
    let settings = cluster::Settings {
        host: config.kubernetes_host.clone(),
        port: config.kubernetes_port.and_then(|port| u16::try_from(port).ok()),
    };
    if settings.host.is_some() {
        return Cluster::new(&settings).map_err(failed);
    }
    let found = kubeconfig::cluster(&of_user(opening), environ)?;
    found.ok_or_else(|| failed(KubernetesError::NoCluster))
}

fn of_user(opening: &Opening<'_>) -> kubeconfig::Settings {
    let Opening { config, environ, .. } = *opening;
    let text = |bytes| OsStr::from_bytes(bytes);
    let known = environ.entries().filter(|entry| may_know(entry.name()));
    kubeconfig::Settings {
        files: config.kubeconfig.clone(),
        home: accounts::home(environ).path().map(Path::to_owned),
        environment: known.filter_map(|it| Some((text(it.name()), text(it.value()?)))).collect(),
    }
}
