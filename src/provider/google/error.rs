//! Why a request to Google failed. Of a response, only its status words, error codes and ids are kept.

use std::fmt;

use crate::provider::bulk::StoreError;
use crate::provider::http::{HttpError, HttpFault, TlsFault};
use crate::provider::retry::{Retryable, Temporary};
use crate::provider::tls::TlsSetupError;
use crate::provider::{Cause, Kind};

/// Why a request to Secret Manager failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GoogleError {
    /// No response was received, or an error that does not come from Secret Manager.
    Http(HttpError),
    /// The TLS client could not be configured.
    Tls(TlsSetupError),
    /// The identity lacks a permission.
    Denied(Denial),
    /// The Secret Manager API is not enabled in the project.
    NotEnabled {
        /// The project's id or number.
        project: String,
    },
    /// The service rejected the token.
    Refused {
        /// The seconds by which the local clock is behind Google's, if that explains the rejection; negative if it is
        /// ahead.
        offset: Option<i64>,
    },
    /// The secret or the version does not exist.
    Absent,
    /// The version is disabled.
    Disabled,
    /// The version is destroyed, so its value cannot be recovered.
    Destroyed,
    /// The project, location or name of the secret is invalid, or no project is configured.
    Place(PlaceFault),
    /// The service rejected the request as invalid.
    Invalid {
        /// Google's status word.
        status: String,
    },
    /// The response does not match Google's API documentation.
    Nonsense(Nonsense),
    /// The startup timeout expired before a response arrived.
    TimedOut,
}

/// The permission that an identity lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial {
    /// The action that was denied.
    pub action: Action,
    /// The project's id or number.
    pub project: String,
    /// The secret's name; `None` if listing was denied.
    pub secret: Option<String>,
    /// The location of a regional secret; `None` for a global one.
    pub location: Option<String>,
    /// The identity as IAM's bindings write it, such as `serviceAccount:app@p.iam.gserviceaccount.com`, as far as it is
    /// known.
    pub member: String,
}

/// An action on secrets, which requires a permission of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Listing the secrets of a project.
    List,
    /// Reading a value.
    Access,
    /// Reading the metadata of a version.
    Date,
}

/// Why a text does not identify a secret in Google.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlaceFault {
    /// No project is configured, and the credentials do not name one.
    NoProject,
    /// The project is neither a valid id nor a valid number.
    Project,
    /// The location is not a valid name.
    Location,
    /// The secret's name is invalid.
    Secret,
    /// The universe is not a domain.
    Universe,
}

/// How a response deviates from the documented API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nonsense {
    /// The body is not JSON.
    NotJson,
    /// This member is missing, has the wrong type, or occurs twice.
    Member(&'static str),
    /// It contains a secret or version that was not requested.
    OtherSecret,
    /// The checksum did not match the value, in two consecutive responses.
    Checksum,
    /// The pagination does not end.
    Pages,
    /// A status that Google does not document.
    Status(u16),
}

impl GoogleError {
    /// The named member is missing or invalid.
    #[must_use]
    pub const fn member(name: &'static str) -> Self {
        Self::Nonsense(Nonsense::Member(name))
    }
}

impl StoreError for GoogleError {
    fn timed_out() -> Self {
        Self::TimedOut
    }

    fn is_absent(&self) -> bool {
        *self == Self::Absent
    }

    fn is_denied(&self) -> bool {
        matches!(self, Self::Denied(_))
    }
}

impl Retryable for GoogleError {
    fn temporary(&self) -> Option<Temporary> {
        match self {
            Self::Http(error) => error.temporary(),
            _ => None,
        }
    }
}

impl Cause for GoogleError {
    fn kind(&self) -> Kind {
        match self {
            Self::Http(error) => error.kind(),
            Self::Denied(_) | Self::NotEnabled { .. } | Self::Refused { .. } => Kind::Denied,
            Self::Absent | Self::Disabled | Self::Destroyed => Kind::NotFound,
            Self::Tls(_) | Self::Place(_) | Self::Invalid { .. } => Kind::Misconfigured,
            Self::Nonsense(_) => Kind::Nonsense,
            Self::TimedOut => Kind::TimedOut,
        }
    }

    fn what(&self, place: &str) -> String {
        match self {
            Self::Http(error) => error.what(place),
            Self::Tls(error) => error.to_string(),
            Self::Denied(denial) => format!("{place}: {denial}"),
            Self::NotEnabled { project } => {
                format!("{place}: the Secret Manager API is not enabled in the project {project}")
            }
            Self::Refused { offset: Some(offset) } => {
                let side = if *offset > 0 { "behind" } else { "ahead of" };
                let seconds = offset.unsigned_abs();
                format!(
                    "{place}: Google rejects the token, and this machine's clock is {seconds} s {side} Google's"
                )
            }
            Self::Refused { offset: None } => format!("{place}: Google rejects the token of this identity"),
            Self::Absent => format!("{place} does not exist"),
            Self::Disabled => format!("{place} is disabled"),
            Self::Destroyed => format!("{place} is destroyed"),
            Self::Place(fault) => format!("{place}: {fault}"),
            Self::Invalid { status } => format!("{place}: Secret Manager rejected the request ({status})"),
            Self::Nonsense(nonsense) => format!("{place}: {nonsense}"),
            Self::TimedOut => format!("{place}: no answer before the startup timeout expired"),
        }
    }

    fn fix(&self) -> String {
        match self {
            Self::Denied(denial) => denial.grant(),
            Self::NotEnabled { project } => {
                format!("gcloud services enable secretmanager.googleapis.com --project {project}")
            }
            Self::Http(HttpError { fault: HttpFault::Tls(TlsFault::UnknownIssuer), .. }) => {
                "set SSL_CERT_FILE to the CA that signed the server's certificate".into()
            }
            Self::Http(error) => error.fix(),
            Self::Tls(_) => "correct the file, or the variable that names it".into(),
            Self::Refused { offset: Some(_) } => "set this machine's clock, for example by NTP".into(),
            Self::Refused { offset: None } => {
                "check that the key still exists: gcloud iam service-accounts keys list --iam-account EMAIL"
                    .into()
            }
            Self::Absent => "create the secret or the version, or correct its name and the project".into(),
            Self::Disabled => "enable it (`gcloud secrets versions enable`), or add a new version".into(),
            Self::Destroyed => "add a new version: `gcloud secrets versions add`".into(),
            Self::Place(PlaceFault::NoProject) => "set GCP_PROJECT_ID to the id of the project".into(),
            Self::Place(_) | Self::Invalid { .. } => {
                "correct GCP_PROJECT_ID, GCP_SECRET_PREFIX, CRYOKEY_GCP_LOCATION or the reference".into()
            }
            Self::Nonsense(_) => {
                "check that the address is Google's, and not that of a gateway in between".into()
            }
            Self::TimedOut => {
                "check Google and the network in between, or raise CRYOKEY_START_TIMEOUT".into()
            }
        }
    }
}

impl Denial {
    /// The `gcloud` command that grants the missing role, ready to paste.
    fn grant(&self) -> String {
        let Self { project, location, .. } = self;
        let member = format!("--member {}", self.member);
        match &self.secret {
            Some(secret) if self.action == Action::Access => {
                let location = location.as_ref().map(|location| format!(" --location {location}"));
                let location = location.unwrap_or_default();
                format!(
                    "gcloud secrets add-iam-policy-binding {secret} --project {project}{location} {member} \
                     --role roles/secretmanager.secretAccessor"
                )
            }
            _ => format!(
                "gcloud projects add-iam-policy-binding {project} {member} --role roles/secretmanager.viewer"
            ),
        }
    }
}

impl fmt::Display for Denial {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let who = self.member.strip_prefix("serviceAccount:").filter(|email| email.contains('@'));
        let who = who.unwrap_or("the identity that cryokey signs in with");
        match self.action {
            Action::List => write!(formatter, "{who} may not list the secrets of {}", self.project),
            Action::Access => write!(formatter, "{who} may not access it"),
            Action::Date => write!(formatter, "{who} may not read the metadata of its versions"),
        }
    }
}

impl fmt::Display for PlaceFault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::NoProject => "no project is configured, since GCP_PROJECT_ID is not set",
            Self::Project => "not the id or number of a project",
            Self::Location => "not the name of a location, such as europe-west1",
            Self::Secret => "not the name of a secret: letters, digits, _ and -, at most 255",
            Self::Universe => "not a domain, such as googleapis.com",
        })
    }
}

impl fmt::Display for Nonsense {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotJson => formatter.write_str("the response is not JSON"),
            Self::Member(name) => write!(formatter, "the response has no valid `{name}`"),
            Self::OtherSecret => formatter.write_str("the response is about another secret or version"),
            Self::Checksum => formatter.write_str("the checksum of the value is wrong, twice in a row"),
            Self::Pages => formatter.write_str("the list of secrets does not come to an end"),
            Self::Status(status) => write!(formatter, "Google never sends status {status}"),
        }
    }
}
