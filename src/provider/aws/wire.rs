//! Requests to AWS: signing, retrying, correcting the clock, and the failures common to all services.

use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};

use jiff::{SignedDuration, Timestamp};
use zeroize::Zeroizing;

use super::endpoint::{Endpoints, Service};
use super::error::{AwsError, Nonsense, Refusal};
use super::sigv4::{Credentials, Message, Signing};
use super::xml;
use crate::provider::Deadline;
use crate::provider::http::{self, Client, HttpError, HttpFault, Method, Request, Response};
use crate::provider::json::Json;
use crate::provider::retry::persist;

/// The maximum response size. It fits 20 secrets of 65,536 bytes each, which JSON escapes can enlarge sixfold.
const BODY_LIMIT: usize = 16 << 20;

/// The tolerated clock difference in seconds. AWS rejects signatures that are more than five minutes off.
const TOLERANCE: i64 = 240;

/// A client for AWS's services. It can be shared between threads.
pub struct Wire {
    client: Client,
    endpoints: Endpoints,
    /// The seconds by which the local clock is behind AWS's.
    late: AtomicI64,
}

/// A request to a service, with details for messages.
#[derive(Debug, Clone)]
pub struct Call<'a> {
    /// The service that receives it.
    pub service: Service,
    /// The headers, with lower-case names.
    pub headers: Vec<(&'static str, &'a [u8])>,
    /// The body.
    pub body: &'a [u8],
    /// The action that a policy must allow, for messages: `GetSecretValue`.
    pub action: &'static str,
    /// The resource that the policy must name.
    pub resource: String,
}

impl Wire {
    /// Reads the certificates and builds the client, without connecting.
    pub fn new(endpoints: Endpoints, settings: http::Settings) -> Result<Self, AwsError> {
        let absolute = ["amazonaws.com", "amazonaws.com.cn", "api.aws"].map(str::to_owned).to_vec();
        let client = Client::new(http::Settings { absolute_domains: absolute, ..settings });
        Ok(Self { client: client.map_err(AwsError::Tls)?, endpoints, late: AtomicI64::new(0) })
    }

    /// The underlying HTTP client, for requests that are not signed operations of a service.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The region and the service URLs.
    #[must_use]
    pub fn endpoints(&self) -> &Endpoints {
        &self.endpoints
    }

    /// Whether secrets travel unencrypted over a network.
    #[must_use]
    pub fn is_exposed(&self) -> bool {
        let request = Request::new(Method::Post, &self.endpoints.url(Service::SecretsManager));
        request.is_ok_and(|request| self.client.exposes(&request))
    }

    /// The seconds by which the local clock is behind AWS's; `None` if no correction was needed.
    #[must_use]
    pub fn late(&self) -> Option<i64> {
        Some(self.late.load(Ordering::Relaxed)).filter(|seconds| *seconds != 0)
    }

    /// Sends a request, retrying until it succeeds, fails permanently, or the deadline passes, and returns the body.
    /// Without credentials, the request is not signed.
    pub fn send(
        &self,
        call: &Call<'_>,
        credentials: Option<&Credentials>,
        deadline: Deadline,
    ) -> Result<Zeroizing<Vec<u8>>, AwsError> {
        persist(deadline, || match self.attempt(call, credentials, deadline)? {
            Answer::Body(body) => Ok(body),
            Answer::Failed { error, date } => {
                let Some(late) = self.correction(&error, date) else { return Err(error) };
                self.late.store(late, Ordering::Relaxed);
                match self.attempt(call, credentials, deadline)? {
                    Answer::Body(body) => Ok(body),
                    Answer::Failed { error, .. } => Err(error),
                }
            }
        })
    }

    fn attempt(
        &self,
        call: &Call<'_>,
        credentials: Option<&Credentials>,
        deadline: Deadline,
    ) -> Result<Answer, AwsError> {
        let request = self.request(call, credentials).map_err(AwsError::Http)?;
        answer(self.client.send(&request, deadline).map_err(AwsError::Http)?, call)
    }

    fn request(&self, call: &Call<'_>, credentials: Option<&Credentials>) -> Result<Request, HttpError> {
        let request = Request::new(Method::Post, &self.endpoints.url(call.service))?.body_limit(BODY_LIMIT);
        let Some(credentials) = credentials else {
            let headers = call.headers.iter();
            let request =
                headers.copied().try_fold(request, |request, (name, value)| request.header(name, value))?;
            return Ok(request.body(call.body));
        };
        let signing = self.signing(call.service, credentials);
        let message = Message {
            method: "POST",
            host: request.authority(),
            path: request.path(),
            query: "",
            headers: &call.headers,
            body: call.body,
        };
        let headers = signing.headers(&message);
        let request = headers
            .into_iter()
            .try_fold(request, |request, (name, value)| request.header(name, value.as_slice()))?;
        Ok(request.body(call.body))
    }

    /// The parameters for signing, with the corrected time.
    #[must_use]
    pub fn signing<'a>(&'a self, service: Service, credentials: &'a Credentials) -> Signing<'a> {
        let late = SignedDuration::from_secs(self.late.load(Ordering::Relaxed));
        let moment = Timestamp::now().saturating_add(late).unwrap_or(Timestamp::UNIX_EPOCH);
        Signing { credentials, region: &self.endpoints.region, service: service.name(), moment }
    }

    /// The new clock correction, if a wrong clock explains the failure and that correction is not applied yet.
    fn correction(&self, error: &AwsError, date: Option<Timestamp>) -> Option<i64> {
        let is_of_time = matches!(error, AwsError::Clock { .. } | AwsError::Refused(Refusal::WrongKey));
        let late = date?.as_second().saturating_sub(Timestamp::now().as_second());
        let known = self.late.load(Ordering::Relaxed);
        (is_of_time && late.abs_diff(known) > TOLERANCE.unsigned_abs()).then_some(late)
    }
}

enum Answer {
    Body(Zeroizing<Vec<u8>>),
    Failed { error: AwsError, date: Option<Timestamp> },
}

fn answer(response: Response, call: &Call<'_>) -> Result<Answer, AwsError> {
    match response.status() {
        200..=299 => Ok(Answer::Body(response.into_body())),
        300..=399 => Err(AwsError::Nonsense(Nonsense::Status(response.status()))),
        status => {
            let date = response.header("date").and_then(|date| jiff::fmt::rfc2822::parse(date).ok());
            let date = date.map(|date| date.timestamp());
            Ok(Answer::Failed { error: failure(response, status, date, call), date })
        }
    }
}

/// Maps an error response. Secrets Manager returns JSON; the Security Token Service and some compatible servers
/// return XML.
fn failure(response: Response, status: u16, date: Option<Timestamp>, call: &Call<'_>) -> AwsError {
    let json = Json::parse(response.body());
    let member = |names: [&str; 2]| names.iter().find_map(|name| json?.at(&[name])?.text());
    let element = |name| {
        let text = xml::element(response.body(), name)?;
        String::from_utf8(text.expose().to_vec()).ok()
    };
    let code = response.header("x-amzn-errortype").map(str::to_owned);
    let code = code.or_else(|| member(["__type", "code"])).or_else(|| element("Code"));
    let message = member(["message", "Message"]).or_else(|| element("Message")).unwrap_or_default();
    let Some(code) = code else {
        // Without an error code, the response comes from an intermediary such as a proxy.
        return match response.successful().map_err(AwsError::Http) {
            Err(AwsError::Http(HttpError { fault: HttpFault::Status { code: 400..=499, .. }, .. }))
                if status != 429 =>
            {
                AwsError::Nonsense(Nonsense::NotJson)
            }
            Err(error) => error,
            Ok(_) => AwsError::Nonsense(Nonsense::Status(status)),
        };
    };
    // `com.amazonaws.secretsmanager#Code:http://internal.amazon.com/…`
    let code = code.split(':').next().unwrap_or_default();
    let code = code.rsplit('#').next().unwrap_or_default();
    if matches!(code, "RequestTimeTooSkewed" | "RequestExpired" | "RequestInTheFuture") {
        let offset = date.map_or(0, |date| date.as_second().saturating_sub(Timestamp::now().as_second()));
        return AwsError::Clock { offset };
    }
    let action = format!("{}:{}", call.service.name(), call.action);
    AwsError::of_code(code, status, &message, &action, &call.resource)
}

impl fmt::Debug for Wire {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Wire").field("endpoints", &self.endpoints).finish_non_exhaustive()
    }
}
