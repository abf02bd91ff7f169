//! The one place where a source becomes something that can be read.

use std::path::PathBuf;

use crate::config::Config;
use crate::environ::Environ;
use crate::provider::environment::Environment;
use crate::provider::file_variables::FileVariables;
use crate::provider::files::{self, Files};
use crate::provider::http::{self, Proxies};
use crate::provider::tls::{Identity, Trust};
use crate::provider::vault::{self, Vault};
use crate::provider::{Cause, Kind, ProviderError, Source};
use crate::resolve::Place;
use crate::secret::Secret;
use crate::setting::VARIABLE;

pub(super) fn open<'a>(
    source: Source,
    config: &Config,
    environ: &'a Environ,
) -> Result<Place<'a>, ProviderError> {
    match source {
        Source::Environment => Ok(Place::Local(Box::new(Environment(environ)))),
        Source::FileVariables => Ok(Place::Local(Box::new(FileVariables(environ)))),
        Source::Files => Ok(Place::Local(Box::new(Files::new(files::Settings {
            directory: config.secrets_dir.clone(),
            name_prefix: config.name_prefix.clone(),
            strict_permissions: config.strict_permissions,
        })))),
        Source::Vault => vault(config, environ)
            .map(|settings| Place::Remote(Box::new(Vault::new(settings))))
            .map_err(|error| ProviderError::new(source.text(), error)),
        Source::Aws | Source::Azure | Source::Gcp | Source::Kubernetes => {
            Err(ProviderError::new(source.text(), SetupError::NotBuilt))
        }
    }
}

fn vault(config: &Config, environ: &Environ) -> Result<vault::Settings, SetupError> {
    if config.vault_skip_verify {
        return Err(SetupError::SkipVerify);
    }
    let address = config.vault_agent_address.as_ref().or(config.vault_address.as_ref());
    let address = address.ok_or(SetupError::NoVaultAddress)?.clone();
    let api = vault::api::Settings {
        address,
        namespace: config.vault_namespace.clone(),
        http: http::Settings {
            trust: Trust::chosen(vault_ca(config), environ),
            identity: vault_identity(config)?,
            proxies: vault_proxies(config, environ)?,
            allow_http: config.allow_http.clone(),
            server_name: config.vault_server_name.clone(),
            ..http::Settings::default()
        },
    };
    let width = usize::try_from(config.max_requests).unwrap_or(1);
    Ok(vault::Settings { api, paths: config.vault_paths.clone(), width, token: vault_token(environ) })
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

/// The token that cryokey was given. A final line end, which files and editors leave, is not part of it.
fn vault_token(environ: &Environ) -> Option<Secret> {
    let bytes = environ.set("BAO_TOKEN").or_else(|| environ.set("VAULT_TOKEN"))?;
    Some(Secret::new(bytes.trim_ascii_end().to_vec()))
}

/// Why a source cannot be opened: its settings.
#[derive(Debug)]
enum SetupError {
    /// A provider that cryokey knows and cannot read yet. To leave it out in silence would start an app without its
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

impl Cause for SetupError {
    fn kind(&self) -> Kind {
        Kind::Misconfigured
    }

    fn what(&self, place: &str) -> String {
        match self {
            Self::NotBuilt => format!("cryokey cannot read from {place} yet"),
            Self::NoVaultAddress => format!("{} is not set", VARIABLE.vault_address),
            Self::SkipVerify => {
                format!("{} is true, and cryokey always verifies certificates", VARIABLE.vault_skip_verify)
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
