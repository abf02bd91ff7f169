//! Kubeconfigs: the cluster, the user and the namespace that the current context names. Source: "Organizing Cluster
//! Access Using kubeconfig Files" and "kubeconfig (v1)", Kubernetes documentation.

pub mod credential;
pub mod error;
mod exec;
mod file;
mod server;
pub mod user;

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::io::Errno;

use self::error::{KubeconfigError, Section};
use self::file::{Entry, Kubeconfig};
use self::server::Server;
use self::user::User;
use super::cluster::{Account, Cluster, is_name};
use crate::environ::Environ;
use crate::provider::helper::Variables;
use crate::provider::{Cause as _, ProviderError};

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
        proxies: server::proxies(&target, server.proxy.as_deref(), environ)?,
        server_name: server.name,
        url: server.url,
        account: Account::User { user: Arc::new(user), namespace: namespace.to_owned() },
    })
}

#[cfg(test)]
mod tests;
