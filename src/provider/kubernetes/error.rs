//! Why the Kubernetes API gave no usable answer. Of a response, only its reason, names and a status are kept.

use std::fmt;

use crate::provider::http::{HttpError, HttpFault, TlsFault};
use crate::provider::retry::{Retryable, Temporary};
use crate::provider::tls::TlsSetupError;
use crate::provider::{Cause, Kind};

/// Why the API gave no usable answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KubernetesError {
    /// There is no response.
    Http(HttpError),
    /// TLS could not be set up.
    Tls(TlsSetupError),
    /// cryokey may not read the Secret.
    Denied(Denial),
    /// The API server rejected the token or the certificate.
    Refused {
        /// The account, escaped.
        who: String,
    },
    /// The Secret does not exist.
    Absent,
    /// The value of a key is not Base64.
    NotBase64,
    /// A reference does not name a key, and the Secret has this number of them.
    ManyKeys {
        /// The number of keys.
        count: usize,
    },
    /// cryokey does not run in a pod, and there is no kubeconfig.
    NoCluster,
    /// A file of the service account is empty.
    EmptyToken,
    /// Not the name of a Secret or a namespace.
    Name,
    /// The API server rejected the request as invalid.
    Invalid {
        /// The reason of the `Status`.
        reason: String,
    },
    /// The response contradicts the API reference.
    Nonsense(Nonsense),
    /// The startup timeout expired first.
    TimedOut,
}

/// A permission that cryokey lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial {
    /// The namespace of the Secret.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Who lacks it, if the API server named it.
    pub reader: Option<Reader>,
}

/// Who may be allowed to read a Secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reader {
    /// A service account, as `namespace:name`.
    ServiceAccount(String),
    /// A user.
    User(String),
}

/// What is wrong with a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nonsense {
    /// It is not JSON.
    NotJson,
    /// It lacks this member, or the member is invalid or duplicate.
    Member(&'static str),
    /// It is about another object.
    OtherSecret,
    /// Its status is one that the API never sends.
    Status(u16),
}

impl KubernetesError {
    /// The response lacks a valid member of this name.
    #[must_use]
    pub const fn member(name: &'static str) -> Self {
        Self::Nonsense(Nonsense::Member(name))
    }
}

impl Retryable for KubernetesError {
    fn temporary(&self) -> Option<Temporary> {
        match self {
            Self::Http(error) => error.temporary(),
            _ => None,
        }
    }
}

impl Cause for KubernetesError {
    fn kind(&self) -> Kind {
        match self {
            Self::Http(error) => error.kind(),
            Self::Denied(_) | Self::Refused { .. } => Kind::Denied,
            Self::Absent => Kind::NotFound,
            Self::NotBase64 => Kind::Invalid,
            Self::Nonsense(_) => Kind::Nonsense,
            Self::TimedOut => Kind::TimedOut,
            Self::Tls(_)
            | Self::ManyKeys { .. }
            | Self::NoCluster
            | Self::EmptyToken
            | Self::Name
            | Self::Invalid { .. } => Kind::Misconfigured,
        }
    }

    fn what(&self, place: &str) -> String {
        match self {
            Self::Http(error) => error.what(place),
            Self::Tls(error) => error.to_string(),
            Self::Denied(denial) => {
                let who = match &denial.reader {
                    Some(Reader::ServiceAccount(name)) => format!("the service account {name}"),
                    Some(Reader::User(name)) => format!("the user {name}"),
                    None => "cryokey's account".to_owned(),
                };
                format!("{place}: {who} may not read this Secret")
            }
            Self::Refused { who } => format!("{place}: the API server rejects {who}"),
            Self::Absent => format!("{place}: the Secret does not exist"),
            Self::NotBase64 => format!("{place} is not valid Base64"),
            Self::ManyKeys { count } => format!("{place} has {count} keys, and the reference names none"),
            Self::NoCluster => {
                "KUBERNETES_SERVICE_HOST is not set, so this is not a pod, and there is no kubeconfig".into()
            }
            Self::EmptyToken => format!("{place} is empty"),
            Self::Name => format!("`{place}` is not the name of a Secret or a namespace"),
            Self::Invalid { reason } => format!("{place}: the API server rejected the request ({reason})"),
            Self::Nonsense(nonsense) => format!("{place}: {nonsense}"),
            Self::TimedOut => format!("{place}: no answer before the startup timeout expired"),
        }
    }

    fn fix(&self) -> String {
        match self {
            Self::Denied(denial) => denial.grant(),
            Self::Http(HttpError { fault: HttpFault::Tls(TlsFault::UnknownIssuer), .. }) => {
                "mount the cluster's CA as ca.crt of the service account, as Kubernetes does by itself, or correct \
                 certificate-authority-data in the kubeconfig"
                    .into()
            }
            Self::Http(error) => error.fix(),
            Self::Tls(_) | Self::EmptyToken => {
                "run in a pod whose `automountServiceAccountToken` is not false, or mount the Secret as a volume".into()
            }
            Self::NoCluster => "run in a pod whose `automountServiceAccountToken` is not false, mount the Secret as a \
                                volume, or set KUBECONFIG for development"
                .into(),
            Self::Refused { .. } => "check that the service account still exists, and restart the pod; outside a pod, sign \
                                     in again, so that kubectl works"
                .into(),
            Self::Absent => "create it, or correct K8S_SECRET_NAME, K8S_SECRET_NAMESPACE or the reference".into(),
            Self::NotBase64 => "write the value again, by `kubectl create secret` or `stringData`".into(),
            Self::ManyKeys { .. } => "name one of them, as in k8s:NAMESPACE/NAME#KEY".into(),
            Self::Name => "use lower-case letters, digits, `-` and `.`".into(),
            Self::Invalid { .. } => "correct K8S_SECRET_NAME, K8S_SECRET_NAMESPACE or the reference".into(),
            Self::Nonsense(_) => {
                "check that its address is that of the API server, and not of a gateway in between".into()
            }
            Self::TimedOut => "check the API server and the network in between, or raise CRYOKEY_START_TIMEOUT".into(),
        }
    }
}

impl Denial {
    /// The commands that create the Role and the `RoleBinding`.
    fn grant(&self) -> String {
        let Self { namespace, name, reader } = self;
        let subject = match reader {
            Some(Reader::ServiceAccount(name)) => format!("serviceaccount={name}"),
            Some(Reader::User(name)) => format!("user={name}"),
            None => "serviceaccount=NAMESPACE:SERVICE_ACCOUNT".to_owned(),
        };
        format!(
            "kubectl -n {namespace} create role read-{name} --verb=get --resource=secrets --resource-name={name} && kubectl \
             -n {namespace} create rolebinding read-{name} --role=read-{name} --{subject}"
        )
    }
}

impl fmt::Display for Nonsense {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotJson => formatter.write_str("the response is not JSON"),
            Self::Member(name) => write!(formatter, "the response has no valid `{name}`"),
            Self::OtherSecret => formatter.write_str("the response is about another object"),
            Self::Status(status) => write!(formatter, "the Kubernetes API never sends status {status}"),
        }
    }
}
