//! Kubeconfigs: the cluster, the user and the namespace that the current context names. Source: "Organizing Cluster
//! Access Using kubeconfig Files" and "kubeconfig (v1)", Kubernetes documentation.

pub mod error;
mod exec;
mod file;
mod user;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64ct::{Base64, Encoding as _};
use rustix::io::Errno;

use self::error::KubeconfigError;
use self::file::{Entry, Kubeconfig, Section};
pub use self::user::{Credential, User};
use super::cluster::{Account, Cluster, is_name};
use crate::environ::Environ;
use crate::provider::ProviderError;
use crate::provider::helper::Variables;
use crate::provider::http::{Method, Proxies, Request};
use crate::provider::tls::{Pem, Trust};

/// The variable that names the files.
const VARIABLE: &str = "KUBECONFIG";

/// The settings of the sign-in outside a pod.
#[derive(Debug, Default)]
pub struct Settings {
    /// `KUBECONFIG`: files separated by colons.
    pub files: Option<PathBuf>,
    /// The home directory, which may have a `.kube/config`.
    pub home: Option<PathBuf>,
    /// The environment for the program of a user.
    pub environment: Variables,
}

/// The cluster of the current context; `None` if no kubeconfig is configured and the home directory has none. Nothing is
/// sent, and no program is started.
pub fn cluster(settings: &Settings, environ: &Environ) -> Result<Option<Cluster>, ProviderError> {
    let files = match &settings.files {
        Some(list) => named(list)?,
        None => default(settings.home.as_deref())?,
    };
    let Some(first) = files.first() else { return Ok(None) };
    let current = files.iter().find_map(Kubeconfig::current);
    let name = current.ok_or_else(|| KubeconfigError::NoCurrentContext.at(first.shown()))?;
    for file in &files {
        if let Some(context) = file.entry(Section::Contexts, name)? {
            return of_context(file, &context, settings, environ).map(Some);
        }
    }
    Err(KubeconfigError::missing(Section::Contexts, name).at(first.shown()))
}

/// The files of `KUBECONFIG` that exist, of which there must be one.
fn named(list: &Path) -> Result<Vec<Kubeconfig>, ProviderError> {
    let paths = list.as_os_str().as_bytes().split(|byte| *byte == b':').filter(|path| !path.is_empty());
    let paths = paths.map(|path| Path::new(OsStr::from_bytes(path))).filter(|path| !is_absent(path));
    let files: Vec<_> = paths.map(Kubeconfig::read).collect::<Result<_, _>>()?;
    if files.is_empty() { Err(KubeconfigError::NoFile.at(VARIABLE)) } else { Ok(files) }
}

/// The file that kubectl itself writes. The home directory may be closed to this user, as `/root` is.
fn default(home: Option<&Path>) -> Result<Vec<Kubeconfig>, ProviderError> {
    let path = home.map(|home| home.join(".kube/config"));
    let path = path.filter(|path| rustix::fs::lstat(path).is_ok());
    path.iter().map(|path| Kubeconfig::read(path)).collect()
}

/// Whether a file does not exist. A symbolic link that leads nowhere exists.
fn is_absent(path: &Path) -> bool {
    matches!(rustix::fs::lstat(path), Err(Errno::NOENT | Errno::NOTDIR))
}

fn of_context(
    file: &Kubeconfig,
    context: &Entry<'_>,
    settings: &Settings,
    environ: &Environ,
) -> Result<Cluster, ProviderError> {
    let part = |section: Section| {
        let name = context.required(section.key())?;
        let entry = file.entry(section, name)?;
        entry.ok_or_else(|| KubeconfigError::missing(section, name).at(file.shown()))
    };
    let (target, user) = (part(Section::Clusters)?, part(Section::Users)?);
    let namespace = context.filled("namespace")?.unwrap_or("default");
    if !is_name(namespace) {
        return Err(context.refuse(KubeconfigError::value("namespace", "the name of a namespace")));
    }
    let server = Server::of(&target)?;
    let user = User::of(&user, &server, &settings.environment)?;
    Ok(Cluster {
        trust: server.trust(environ),
        proxies: proxies(&target, server.proxy.as_deref(), environ)?,
        server_name: server.name,
        url: server.url,
        account: Account::User { user: Arc::new(user), namespace: namespace.to_owned() },
    })
}

/// The API server, as a cluster of a kubeconfig describes it.
struct Server {
    /// Without a slash at the end.
    url: String,
    authority: Option<Pem>,
    /// The name that its certificate must have, in place of the URL's host.
    name: Option<String>,
    proxy: Option<String>,
    /// Whether it has settings for the programs of users.
    has_extensions: bool,
}

impl Server {
    fn of(cluster: &Entry<'_>) -> Result<Self, ProviderError> {
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
    fn trust(&self, environ: &Environ) -> Trust {
        match &self.authority {
            None => Trust::chosen(None, environ),
            Some(Pem::File(path)) => {
                Trust::Files { paths: vec![path.clone()], named_by: "certificate-authority" }
            }
            Some(Pem::Text(text)) => Trust::Text(text.clone()),
        }
    }

    /// What a program that asks for it gets to know; `None` if the file of the authority cannot be read.
    fn described(&self) -> Option<BTreeMap<&'static str, String>> {
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
fn proxies(
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

#[cfg(test)]
mod tests;
