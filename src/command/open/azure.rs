//! Opens Azure: the cloud, vault and sign-in method, from settings and bootstrap values.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

use super::{Opening, SetupError};
use crate::error::Problem;
use crate::escape::escaped;
use crate::provider::azure::cloud::Cloud;
use crate::provider::azure::identity::Identity;
use crate::provider::azure::{self, Azure, credentials};
use crate::provider::helper::may_know;
use crate::provider::http::{self, Proxies};
use crate::provider::tls::Trust;
use crate::provider::{ProviderError, Source};
use crate::setting::VARIABLE;

pub(super) fn open(opening: &Opening<'_>) -> Result<Azure, ProviderError> {
    let (identity, vault, warnings) = identity_and_vault(opening)?;
    let vault = vault.map(|name| {
        let vault = identity.cloud.vault(&name);
        let shown = if name.contains("://") { http::shown(&name) } else { escaped(name) };
        vault.map_err(|fault| ProviderError::new(shown, fault))
    });
    let width = usize::try_from(opening.config.max_requests).unwrap_or(1);
    Ok(Azure::new(azure::Settings { identity, vault: vault.transpose()?, width, warnings }))
}

/// The Azure identity, also for other providers that prove it to somebody.
pub(super) fn identity(
    opening: &Opening<'_>,
    warnings: &mut Vec<Problem>,
) -> Result<Identity, ProviderError> {
    let (identity, _, more) = identity_and_vault(opening)?;
    warnings.extend(more);
    Ok(identity)
}

/// The vault decides the cloud if no authority is configured.
fn identity_and_vault(
    opening: &Opening<'_>,
) -> Result<(Identity, Option<String>, Vec<Problem>), ProviderError> {
    let Opening { config, environ, .. } = *opening;
    let bootstrap = opening.bootstrap(&[credentials::NAMES, &[VARIABLE.azure_vault]].concat());
    let of_file = bootstrap.in_file(VARIABLE.azure_vault)?.map(|found| found.text().to_owned());
    let vault = of_file.or_else(|| config.azure_vault.clone());
    let proxies = Proxies::from_environ(environ);
    let http = http::Settings {
        trust: Trust::chosen(None, environ),
        proxies: proxies.map_err(|error| SetupError::Proxy(error.variable).at(Source::Azure))?,
        allow_http: config.allow_http.clone(),
        ..http::Settings::default()
    };
    let cloud = Cloud::new(config.azure_authority.as_deref(), vault.as_deref());
    let method = credentials::choose(sign_in(opening), &bootstrap);
    Ok((Identity { cloud, http, method }, vault, bootstrap.into_warnings()))
}

fn sign_in(opening: &Opening<'_>) -> credentials::Settings {
    let Opening { config, environ, .. } = *opening;
    let text = |bytes| OsStr::from_bytes(bytes);
    let known = environ.entries().filter(|entry| may_know(entry.name()));
    credentials::Settings {
        chosen: config.azure_credentials,
        certificate: config.azure_certificate.clone(),
        token_file: config.azure_token_file.clone(),
        endpoint: config.azure_identity_endpoint.clone(),
        environment: known.filter_map(|it| Some((text(it.name()), text(it.value()?)))).collect(),
    }
}
