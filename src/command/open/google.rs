//! Opens Google: the project, credentials and prefix, from settings and bootstrap values.

use super::{Opening, SetupError, aws};
use crate::config::Config;
use crate::error::Problem;
use crate::escape::escaped;
use crate::provider::google::error::{GoogleError, PlaceFault};
use crate::provider::google::identity::Identity;
use crate::provider::google::place::{Parent, is_domain};
use crate::provider::google::{self, Google, credentials};
use crate::provider::http::{self, Proxies};
use crate::provider::tls::Trust;
use crate::provider::{Cause as _, ProviderError, Source};
use crate::setting::VARIABLE;
use crate::system::accounts;

pub(super) fn open(opening: &Opening<'_>) -> Result<Google, ProviderError> {
    let config = opening.config;
    let names = [credentials::NAME, VARIABLE.google_project, VARIABLE.google_prefix];
    let bootstrap = opening.bootstrap(&names);
    let of_file =
        |name| Ok::<_, ProviderError>(bootstrap.in_file(name)?.map(|found| found.text().to_owned()));
    let mut warnings = Vec::new();
    let identity = identity_of(opening, |settings| {
        credentials::choose(settings, &bootstrap, || aws::identity(opening, &mut warnings))
    })?;
    let project = of_file(VARIABLE.google_project)?.or_else(|| config.google_project.clone());
    let of_key = || identity.method.as_ref().ok()?.project().map(str::to_owned);
    let parent = project.or_else(of_key).map(|project| {
        Parent::new(&project, config.google_location.as_deref())
            .map_err(|fault| GoogleError::Place(fault).at(escaped(culprit(fault, &project, config))))
    });
    let (parent, prefix) = (parent.transpose()?, of_file(VARIABLE.google_prefix)?);
    warnings.extend(bootstrap.into_warnings());
    Ok(Google::new(google::Settings {
        identity,
        parent,
        prefix: prefix.or_else(|| config.google_prefix.clone()),
        width: usize::try_from(config.max_requests).unwrap_or(1),
        fresh_within: opening.shortest_limit(),
        warnings,
    }))
}

/// The Google identity, also for other providers that prove it to somebody.
pub(super) fn identity(
    opening: &Opening<'_>,
    warnings: &mut Vec<Problem>,
) -> Result<Identity, ProviderError> {
    let bootstrap = opening.bootstrap(&[credentials::NAME]);
    let identity = identity_of(opening, |settings| {
        credentials::choose(settings, &bootstrap, || aws::identity(opening, warnings))
    });
    warnings.extend(bootstrap.into_warnings());
    identity
}

/// What the fault is about.
fn culprit<'a>(fault: PlaceFault, project: &'a str, config: &'a Config) -> &'a str {
    let location = config.google_location.as_deref().filter(|_| fault == PlaceFault::Location);
    location.unwrap_or(project)
}

fn identity_of(
    opening: &Opening<'_>,
    choose: impl FnOnce(&credentials::Settings) -> Result<credentials::Method, ProviderError>,
) -> Result<Identity, ProviderError> {
    let Opening { config, environ, .. } = *opening;
    let proxies = Proxies::from_environ(environ);
    let http = http::Settings {
        trust: Trust::chosen(None, environ),
        proxies: proxies.map_err(|error| SetupError::Proxy(error.variable).at(Source::Gcp))?,
        allow_http: config.allow_http.clone(),
        ..http::Settings::default()
    };
    let configured = config.google_universe.as_deref();
    if let Some(universe) = configured.filter(|universe| !is_domain(universe)) {
        return Err(GoogleError::Place(PlaceFault::Universe).at(escaped(universe)));
    }
    let home = || accounts::home(environ).path().map(|home| home.join(".config/gcloud"));
    let method = choose(&credentials::Settings {
        file: config.google_credentials.clone(),
        gcloud: config.google_configuration.clone().or_else(home),
        is_gcloud_named: config.google_configuration.is_some(),
        metadata_host: config.google_metadata_host.clone(),
        universe: config.google_universe.clone(),
    });
    let of_file = method.as_ref().ok().and_then(|method| method.universe().map(str::to_owned));
    let universe = configured.map(str::to_owned).or(of_file).unwrap_or_else(|| "googleapis.com".to_owned());
    Ok(Identity { universe, http, method })
}
