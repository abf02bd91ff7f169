//! Opens AWS: the endpoints, TLS trust and sign-in method, from settings and bootstrap values.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use super::{Opening, SetupError};
use crate::config::Config;
use crate::error::{Problem, Reason};
use crate::provider::aws::credentials::metadata::Mode;
use crate::provider::aws::credentials::shared::Shared;
use crate::provider::aws::credentials::{container, metadata};
use crate::provider::aws::endpoint::{DEFAULT_REGION, Endpoints, is_region};
use crate::provider::aws::identity::Identity;
use crate::provider::aws::{self, Aws, credentials};
use crate::provider::bootstrap::Bootstrap;
use crate::provider::helper::may_know;
use crate::provider::http::{self, Proxies};
use crate::provider::tls::Trust;
use crate::provider::{ProviderError, Source};
use crate::setting::VARIABLE;
use crate::system::accounts;

pub(super) fn open(opening: &Opening<'_>) -> Result<Aws, ProviderError> {
    let config = opening.config;
    let mut warnings = Vec::new();
    Ok(Aws::new(aws::Settings {
        identity: identity(opening, &mut warnings)?,
        prefix: config.aws_prefix.clone(),
        width: usize::try_from(config.max_requests).unwrap_or(1),
        fresh_within: opening.shortest_limit(),
        warnings,
    }))
}

/// cryokey's identity at AWS. Vault and Google use it too, for credentials that are based on an AWS identity.
pub(super) fn identity(
    opening: &Opening<'_>,
    warnings: &mut Vec<Problem>,
) -> Result<Identity, ProviderError> {
    let Opening { config, environ, .. } = *opening;
    let names = [credentials::NAMES, &[VARIABLE.aws_region]].concat();
    let bootstrap = opening.bootstrap(&names);
    let shared = shared(opening);
    let region = region(config, &bootstrap, &shared, warnings)?;
    let proxies =
        Proxies::from_environ(environ).map_err(|error| SetupError::Proxy(error.variable).at(Source::Aws))?;
    let trusted = config.aws_ca_file.clone().map(|path| (path, VARIABLE.aws_ca_file));
    let http = http::Settings {
        trust: Trust::chosen(trusted, environ),
        proxies,
        allow_http: config.allow_http.clone(),
        ..http::Settings::default()
    };
    let method = credentials::choose(&sign_in(config), &bootstrap, &shared);
    warnings.extend(bootstrap.into_warnings());
    Ok(Identity { endpoints: endpoints(config, region), http, method })
}

fn shared(opening: &Opening<'_>) -> Shared {
    let Opening { config, environ, .. } = *opening;
    let text = |bytes| OsStr::from_bytes(bytes);
    let known = environ.entries().filter(|entry| may_know(entry.name()));
    Shared {
        profile: config.aws_profile.clone(),
        config: config.aws_config_file.clone(),
        credentials: config.aws_credentials_file.clone(),
        home: accounts::home(environ).path().map(Path::to_owned),
        environment: known.filter_map(|it| Some((text(it.name()), text(it.value()?)))).collect(),
        ..Shared::default()
    }
}

/// The region from the secrets directory, the settings or the profile; otherwise [`DEFAULT_REGION`], with a warning.
fn region(
    config: &Config,
    bootstrap: &Bootstrap<'_>,
    shared: &Shared,
    warnings: &mut Vec<Problem>,
) -> Result<String, ProviderError> {
    let of_file = bootstrap.in_file(VARIABLE.aws_region)?.map(|found| found.text().to_owned());
    let given = of_file.or_else(|| config.aws_region.clone());
    let Some(region) = given.map_or_else(|| shared.region(), |region| Ok(Some(region)))? else {
        let what = format!("no region is set, so cryokey reads from {DEFAULT_REGION}");
        let fix = format!("set {}", VARIABLE.aws_region);
        warnings.push(Problem::new(Reason::Configuration, VARIABLE.aws_region, what, fix));
        return Ok(DEFAULT_REGION.to_owned());
    };
    if is_region(&region) { Ok(region) } else { Err(SetupError::Region.at(Source::Aws)) }
}

fn sign_in(config: &Config) -> credentials::Settings {
    credentials::Settings {
        token_file: config.aws_token_file.clone(),
        role: config.aws_role.clone(),
        session_name: config.aws_session_name.clone(),
        container: container::Settings {
            relative: config.aws_container_path.clone(),
            full: config.aws_container_url.clone(),
            token_file: config.aws_container_token_file.clone(),
        },
        metadata: metadata::Settings {
            is_disabled: config.aws_metadata_disabled,
            endpoint: config.aws_metadata_endpoint.clone(),
            is_ipv6: config.aws_metadata_mode == Some(Mode::IPv6),
        },
    }
}

fn endpoints(config: &Config, region: String) -> Endpoints {
    let given = |one: &Option<String>| {
        let address = one.as_ref().or(config.aws_endpoint.as_ref());
        address.filter(|_| !config.aws_ignore_endpoints).cloned()
    };
    Endpoints {
        region,
        is_fips: config.aws_fips,
        is_dual_stack: config.aws_dual_stack,
        secrets_manager: given(&config.aws_secrets_endpoint),
        sts: given(&config.aws_sts_endpoint),
    }
}
