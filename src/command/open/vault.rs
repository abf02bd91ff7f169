//! Opens Vault: the address, TLS trust and sign-in method, from settings and bootstrap values.

use std::path::PathBuf;

use super::{Opening, SetupError, aws, azure, google};
use crate::config::Config;
use crate::environ::Environ;
use crate::error::Problem;
use crate::provider::bootstrap::Bootstrap;
use crate::provider::http::{self, Proxies};
use crate::provider::tls::{Identity, Trust};
use crate::provider::vault::identity::{self, Auth, CloudIdentity, Offered};
use crate::provider::vault::{self, Vault};
use crate::provider::{ProviderError, Source};
use crate::setting::VARIABLE;

pub(super) fn open(opening: &Opening<'_>) -> Result<Vault, ProviderError> {
    let Opening { config, environ, single_use, .. } = *opening;
    let names = [identity::NAMES, &[VARIABLE.vault_address, VARIABLE.vault_namespace]].concat();
    let bootstrap = opening.bootstrap(&names);
    let api = vault_api(config, environ, &bootstrap)?;
    let settings = identity::Settings {
        auth: config.vault_auth,
        mount: config.vault_auth_mount.clone(),
        role: config.vault_role.clone(),
        jwt_file: config.vault_jwt_file.clone(),
        has_certificate: api.http.identity.is_some(),
        aws_server_id: config.vault_aws_server_id.clone(),
    };
    let mut warnings = Vec::new();
    let is_by_aws = config.vault_auth == Some(Auth::Aws);
    let aws = is_by_aws.then(|| aws::identity(opening, &mut warnings)).transpose()?;
    let cloud = cloud(opening, &mut warnings)?;
    let method = identity::choose(Offered::new(settings, aws, cloud, &bootstrap, environ));
    warnings.extend(bootstrap.into_warnings());
    Ok(Vault::new(vault::Settings {
        api,
        paths: config.vault_paths.clone(),
        width: usize::try_from(config.max_requests).unwrap_or(1),
        method,
        single_use,
        warnings,
    }))
}

/// The identity in another cloud than AWS that is to be proven to Vault.
fn cloud(opening: &Opening<'_>, warnings: &mut Vec<Problem>) -> Result<Option<CloudIdentity>, ProviderError> {
    match opening.config.vault_auth {
        Some(Auth::Azure) => {
            let identity = Box::new(azure::identity(opening, warnings)?);
            let resource = opening.config.vault_azure_resource.trim_end_matches('/').to_owned();
            Ok(Some(CloudIdentity::Azure { identity, resource }))
        }
        Some(Auth::Gcp) => Ok(Some(CloudIdentity::Google(Box::new(google::identity(opening, warnings)?)))),
        _ => Ok(None),
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

/// The file overrides the directory, as in Vault's own client.
fn vault_ca(config: &Config) -> Option<(PathBuf, &'static str)> {
    let file = config.vault_ca_file.clone().map(|path| (path, VARIABLE.vault_ca_file));
    file.or_else(|| config.vault_ca_directory.clone().map(|path| (path, VARIABLE.vault_ca_directory)))
}

fn vault_identity(config: &Config) -> Result<Option<Identity>, SetupError> {
    match (&config.vault_client_certificate, &config.vault_client_key) {
        (None, None) => Ok(None),
        (Some(certificate), Some(key)) => Ok(Some(Identity {
            certificate: certificate.clone().into(),
            key: key.clone().into(),
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
