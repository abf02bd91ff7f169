//! The one place where a source becomes something that can be read.

use std::path::PathBuf;

use crate::config::Config;
use crate::environ::Environ;
use crate::provider::bootstrap::Bootstrap;
use crate::provider::environment::Environment;
use crate::provider::file_variables::FileVariables;
use crate::provider::files::{self, Files};
use crate::provider::http::{self, Proxies};
use crate::provider::tls::{Identity, Trust};
use crate::provider::vault::identity::{self, Offered, SingleUse};
use crate::provider::vault::{self, Vault};
use crate::provider::{Cause, Deadline, Kind, ProviderError, Source};
use crate::resolve::Place;
use crate::setting::VARIABLE;

/// What sources are opened with.
pub(super) struct Opening<'a> {
    pub(super) config: &'a Config,
    pub(super) environ: &'a Environ,
    pub(super) single_use: SingleUse,
    pub(super) deadline: Deadline,
}

impl<'a> Opening<'a> {
    pub(super) fn open(&self, source: Source) -> Result<Place<'a>, ProviderError> {
        match source {
            Source::Environment => Ok(Place::Local(Box::new(Environment(self.environ)))),
            Source::FileVariables => Ok(Place::Local(Box::new(FileVariables {
                environ: self.environ,
                strict_permissions: self.config.strict_permissions,
            }))),
            Source::Files => Ok(Place::Local(Box::new(Files::new(self.files())))),
            Source::Vault => self.vault().map(|vault| Place::Remote(Box::new(vault) as _)),
            Source::Aws | Source::Azure | Source::Gcp | Source::Kubernetes => {
                Err(SetupError::NotBuilt.at(source))
            }
        }
    }

    fn files(&self) -> files::Settings {
        files::Settings {
            directory: self.config.secrets_dir.clone(),
            name_prefix: self.config.name_prefix.clone(),
            strict_permissions: self.config.strict_permissions,
        }
    }

    fn vault(&self) -> Result<Vault, ProviderError> {
        let Self { config, environ, single_use, deadline } = *self;
        let names = [identity::NAMES, &[VARIABLE.vault_address, VARIABLE.vault_namespace]].concat();
        let prefixes = config.selection.prefixes();
        let bootstrap = Bootstrap::read(self.files(), environ, prefixes, &names, deadline);
        let api = vault_api(config, environ, &bootstrap)?;
        let settings = identity::Settings {
            auth: config.vault_auth,
            mount: config.vault_auth_mount.clone(),
            role: config.vault_role.clone(),
            jwt_file: config.vault_jwt_file.clone(),
            has_certificate: api.http.identity.is_some(),
        };
        Ok(Vault::new(vault::Settings {
            api,
            paths: config.vault_paths.clone(),
            width: usize::try_from(config.max_requests).unwrap_or(1),
            method: identity::choose(Offered::new(settings, &bootstrap, environ)),
            single_use,
            warnings: bootstrap.into_warnings(),
        }))
    }
}

fn vault_api(
    config: &Config,
    environ: &Environ,
    bootstrap: &Bootstrap<'_>,
) -> Result<vault::api::Settings, ProviderError> {
    let of_file = |name| Ok(bootstrap.in_file(name)?.map(|found| found.text().to_owned()));
    let address = match &config.vault_agent_address {
        Some(address) => Some(address.clone()),
        None => of_file(VARIABLE.vault_address)?.or_else(|| config.vault_address.clone()),
    };
    let namespace = of_file(VARIABLE.vault_namespace)?.or_else(|| config.vault_namespace.clone());
    vault_connection(config, environ, address, namespace).map_err(|error| error.at(Source::Vault))
}

fn vault_connection(
    config: &Config,
    environ: &Environ,
    address: Option<String>,
    namespace: Option<String>,
) -> Result<vault::api::Settings, SetupError> {
    if config.vault_skip_verify {
        return Err(SetupError::SkipVerify);
    }
    Ok(vault::api::Settings {
        address: address.ok_or(SetupError::NoVaultAddress)?,
        namespace,
        http: http::Settings {
            trust: Trust::chosen(vault_ca(config), environ),
            identity: vault_identity(config)?,
            proxies: vault_proxies(config, environ)?,
            allow_http: config.allow_http.clone(),
            server_name: config.vault_server_name.clone(),
            ..http::Settings::default()
        },
    })
}

/// As Vault's own client has it, the file overrides the directory.
fn vault_ca(config: &Config) -> Option<(PathBuf, &'static str)> {
    let file = config.vault_ca_file.clone().map(|path| (path, VARIABLE.vault_ca_file));
    file.or_else(|| config.vault_ca_directory.clone().map(|path| (path, VARIABLE.vault_ca_directory)))
}

fn vault_identity(config: &Config) -> Result<Option<Identity>, SetupError> {
    match (&config.vault_client_certificate, &config.vault_client_key) {
        (None, None) => Ok(None),
        (Some(certificate), Some(key)) => Ok(Some(Identity {
            certificate: certificate.clone(),
            key: key.clone(),
            named_by: VARIABLE.vault_client_certificate,
        })),
        _ => Err(SetupError::HalfAnIdentity),
    }
}

fn vault_proxies(config: &Config, environ: &Environ) -> Result<Proxies, SetupError> {
    let proxies = match &config.vault_proxy {
        Some(url) => Proxies::named(VARIABLE.vault_proxy, url, environ),
        None => Proxies::from_environ(environ),
    };
    proxies.map_err(|error| SetupError::Proxy(error.variable))
}

/// Why a source cannot be opened: its settings.
#[derive(Debug)]
enum SetupError {
    /// A provider that is not implemented yet. Ignoring it silently would start the app without its
    /// secrets.
    NotBuilt,
    /// Nothing says where Vault is.
    NoVaultAddress,
    /// Certificates are always verified.
    SkipVerify,
    /// A client certificate without its key, or the other way round.
    HalfAnIdentity,
    /// This variable holds no URL of an HTTP proxy.
    Proxy(&'static str),
}

impl SetupError {
    fn at(self, source: Source) -> ProviderError {
        ProviderError::new(source.text(), self)
    }
}

impl Cause for SetupError {
    fn kind(&self) -> Kind {
        Kind::Misconfigured
    }

    fn what(&self, _place: &str) -> String {
        match self {
            Self::NotBuilt => "cryokey does not support it yet".into(),
            Self::NoVaultAddress => format!("{} is not set", VARIABLE.vault_address),
            Self::SkipVerify => {
                format!("{} is true, but cryokey always verifies certificates", VARIABLE.vault_skip_verify)
            }
            Self::HalfAnIdentity => format!(
                "only one of {} and {} is set",
                VARIABLE.vault_client_certificate, VARIABLE.vault_client_key
            ),
            Self::Proxy(variable) => format!("{variable} is not the URL of an HTTP proxy"),
        }
    }

    fn fix(&self) -> String {
        match self {
            Self::NotBuilt => {
                "unset EXTERNAL_SECRET_PROVIDER and K8S_SECRET_NAME, and mount the secrets as files".into()
            }
            Self::NoVaultAddress => {
                format!("set {} to the address of Vault, such as https://vault:8200", VARIABLE.vault_address)
            }
            Self::SkipVerify => format!(
                "unset it, and set {} to the CA that signed Vault's certificate",
                VARIABLE.vault_ca_file
            ),
            Self::HalfAnIdentity => "set both, or none".into(),
            Self::Proxy(_) => "use an address such as http://proxy:3128".into(),
        }
    }
}
