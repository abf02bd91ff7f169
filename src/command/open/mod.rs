//! Opens sources: turns the settings of a source into a provider that can be read.

mod aws;
mod azure;
mod google;
mod kubernetes;
mod vault;

use std::time::Duration;

use crate::config::Config;
use crate::environ::Environ;
use crate::provider::bootstrap::Bootstrap;
use crate::provider::environment::Environment;
use crate::provider::file_variables::FileVariables;
use crate::provider::files::{self, Files};
use crate::provider::vault::identity::SingleUse;
use crate::provider::{Cause, Deadline, Kind, ProviderError, Source};
use crate::resolve::Place;
use crate::setting::VARIABLE;

/// What opening a source requires.
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
            Source::Aws => aws::open(self).map(|aws| Place::Remote(Box::new(aws) as _)),
            Source::Vault => vault::open(self).map(|vault| Place::Remote(Box::new(vault) as _)),
            Source::Azure => azure::open(self).map(|azure| Place::Remote(Box::new(azure) as _)),
            Source::Gcp => google::open(self).map(|google| Place::Remote(Box::new(google) as _)),
            Source::Kubernetes => kubernetes::open(self).map(|it| Place::Remote(Box::new(it) as _)),
        }
    }

    fn files(&self) -> files::Settings {
        files::Settings {
            directory: self.config.secrets_dir.clone(),
            name_prefix: self.config.name_prefix.clone(),
            strict_permissions: self.config.strict_permissions,
        }
    }

    /// The shortest maximum age that any secret may have; `None` if no maximum is configured.
    fn shortest_limit(&self) -> Option<Duration> {
        let own = self.config.manifest.secrets.values().filter_map(|rule| rule.rotate_every);
        let all = self.config.rotation_threshold.map(|days| Duration::from_hours(24 * days));
        own.chain(all).min()
    }

    fn bootstrap(&self, names: &[&str]) -> Bootstrap<'a> {
        let prefixes = self.config.selection.prefixes();
        Bootstrap::read(self.files(), self.environ, prefixes, names, self.deadline)
    }
}

/// Why the settings do not allow a source to be opened.
#[derive(Debug)]
enum SetupError {
    /// No setting contains the address of Vault.
    NoVaultAddress,
    /// `VAULT_SKIP_VERIFY` is true, but cryokey always verifies certificates.
    SkipVerify,
    /// Only one of the client certificate and its key is set.
    HalfAnIdentity,
    /// The variable does not contain the URL of an HTTP proxy.
    Proxy(&'static str),
    /// The text is not a valid region.
    Region,
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
            Self::NoVaultAddress => format!("{} is not set", VARIABLE.vault_address),
            Self::SkipVerify => {
                format!("{} is true, but cryokey always verifies certificates", VARIABLE.vault_skip_verify)
            }
            Self::HalfAnIdentity => format!(
                "only one of {} and {} is set",
                VARIABLE.vault_client_certificate, VARIABLE.vault_client_key
            ),
            Self::Proxy(variable) => format!("{variable} is not the URL of an HTTP proxy"),
            Self::Region => format!("the value of {} is not the name of a region", VARIABLE.aws_region),
        }
    }

    fn fix(&self) -> String {
        match self {
            Self::NoVaultAddress => {
                format!("set {} to the address of Vault, such as https://vault:8200", VARIABLE.vault_address)
            }
            Self::SkipVerify => format!(
                "unset it, and set {} to the CA that signed Vault's certificate",
                VARIABLE.vault_ca_file
            ),
            Self::HalfAnIdentity => "set both, or none".into(),
            Self::Proxy(_) => "use an address such as http://proxy:3128".into(),
            Self::Region => "use a name such as eu-central-1".into(),
        }
    }
}
