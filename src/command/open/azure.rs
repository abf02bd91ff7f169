//! Opens Azure: the cloud, vault and sign-in method, from settings and bootstrap values.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

use super::{Opening, SetupError};
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
    let Opening { config, environ, .. } = *opening;
    let bootstrap = opening.bootstrap(&[credentials::NAMES, &[VARIABLE.azure_vault]].concat());
    let of_file = bootstrap.in_file(VARIABLE.azure_vault)?.map(|found| found.text().to_owned());
    let named = of_file.or_else(|| config.azure_vault.clone());
    let cloud = Cloud::new(config.azure_authority.as_deref(), named.as_deref());
    let vault = named
        .as_deref()
        .map(|name| cloud.vault(name).map_err(|fault| ProviderError::new(escaped(name), fault)));
    let proxies = Proxies::from_environ(environ);
    let http = http::Settings {
        trust: Trust::chosen(None, environ),
        proxies: proxies.map_err(|error| SetupError::Proxy(error.variable).at(Source::Azure))?,
        allow_http: config.allow_http.clone(),
        ..http::Settings::default()
    };
    let text = |bytes| OsStr::from_bytes(bytes);
    let known = environ.entries().filter(|entry| may_know(entry.name()));
    let sign_in = credentials::Settings {
        chosen: config.azure_credentials,
        certificate: config.azure_certificate.clone(),
        token_file: config.azure_token_file.clone(),
        endpoint: config.azure_identity_endpoint.clone(),
        environment: known.filter_map(|it| Some((text(it.name()), text(it.value()?)))).collect(),
    };
    let method = credentials::choose(sign_in, &bootstrap);
    Ok(Azure::new(azure::Settings {
        identity: Identity { cloud, http, method },
        vault: vault.transpose()?,
        width: usize::try_from(config.max_requests).unwrap_or(1),
        warnings: bootstrap.into_warnings(),
    }))
}
