//! The AWS Secrets Manager provider.

pub mod api;
pub mod credentials;
pub mod endpoint;
pub mod error;
pub mod identity;
pub mod sigv4;
mod store;
pub mod sts;
pub mod wire;
pub mod xml;

use std::sync::Arc;
use std::time::Duration;

use self::api::Api;
use self::credentials::Method;
use self::error::AwsError;
use self::identity::Identity;
use self::store::SecretsManager;
use super::bulk::{self, Known, Scope, Spelling, Version, Wanted, Words};
use super::{Access, Answer, Deadline, Provider, ProviderError, Request};
use crate::error::{Problem, Reason};
use crate::escape::escaped;

/// The settings of the AWS provider.
#[derive(Debug)]
pub struct Settings {
    /// The identity that reads the secrets.
    pub identity: Identity,
    /// The prefix of the app's secrets.
    pub prefix: Option<String>,
    /// The maximum number of concurrent requests.
    pub width: usize,
    /// The age from which a rule objects to a secret.
    pub fresh_within: Option<Duration>,
    /// Warnings from choosing the credentials.
    pub warnings: Vec<Problem>,
}

/// The AWS provider. It does nothing until [`Provider::read`] is called.
#[derive(Debug)]
pub struct Aws(Settings);

const WORDS: Words = Words { store: "AWS", prefix: "AWS_SECRET_PREFIX", key: "aws_prefix" };

impl Aws {
    /// Creates the provider, without I/O.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self(settings)
    }

    /// Obtains credentials, and records the sign-in in `answer`.
    fn session(&self, deadline: Deadline, answer: &mut Answer) -> Result<Arc<SecretsManager>, ProviderError> {
        let (wire, credentials) = self.0.identity.sign_in(deadline)?;
        answer.notes.extend(self.label().map(|label| format!("sign-in at AWS: {label}")));
        answer.warnings.extend(wire.is_exposed().then(exposed));
        Ok(Arc::new(SecretsManager::new(Api { wire, credentials })))
    }

    fn label(&self) -> Option<String> {
        self.0.identity.method.as_ref().ok().map(Method::label)
    }

    fn wanted(&self, request: &Request) -> Result<Wanted, ProviderError> {
        let scope = Scope::of(self.0.prefix.as_deref(), Spelling::Aws, &request.names, WORDS)?;
        Ok(Wanted::new(request, scope, self.0.fresh_within))
    }

    /// Secrets that need no request: those of other regions cannot be read.
    fn known(&self, wanted: &Wanted) -> Known<AwsError> {
        let other = |version: &Version| {
            let region = escaped(self.region_of_another(&version.0)?);
            Some((version.clone(), Err(AwsError::OtherRegion { region })))
        };
        Known { secrets: wanted.versions.iter().filter_map(other).collect(), ..Known::default() }
    }

    /// The region in an ARN, if it is not the configured one.
    fn region_of_another<'a>(&self, secret: &'a str) -> Option<&'a str> {
        let region = secret.strip_prefix("arn:")?.split(':').nth(2)?;
        (region != self.0.identity.endpoints.region).then_some(region)
    }
}

impl Provider for Aws {
    fn read(&self, request: &Request, deadline: Deadline) -> Result<Answer, ProviderError> {
        let wanted = self.wanted(request)?;
        let mut answer = Answer { warnings: self.0.warnings.clone(), ..Answer::default() };
        let mut known = self.known(&wanted);
        if wanted.has_questions(&known) {
            let store = self.session(deadline, &mut answer)?;
            known = bulk::read(&store, &wanted, known, self.0.width, deadline);
            answer.warnings.extend(store.api.wire.late().map(late));
            answer.notes.extend(store.account().map(|account| format!("account at AWS: {account}")));
        }
        bulk::answer(request, &wanted, &known, WORDS, &mut answer);
        Ok(answer)
    }

    fn consumed(&self) -> Vec<String> {
        self.0.identity.method.as_ref().map(Method::consumed).unwrap_or_default()
    }

    fn access(&self) -> Option<Access> {
        Some(Access { endpoint: self.0.identity.endpoints.shown(), sign_in: self.label() })
    }
}

fn exposed() -> Problem {
    let what = "secrets are read from AWS without TLS, because `allow_http` names its host";
    Problem::new(Reason::Untrusted, "AWS", what, "use https, and remove the host from `allow_http`")
}

fn late(seconds: i64) -> Problem {
    let side = if seconds > 0 { "slow" } else { "fast" };
    let what = format!(
        "the clock is {} s {side} by the clock of AWS, and was corrected for it",
        seconds.unsigned_abs()
    );
    Problem::new(Reason::Untrusted, "AWS", what, "set the clock of this machine, for example by NTP")
}
