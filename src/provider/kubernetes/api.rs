//! Reading a Secret, which is one request. Source: "Secret v1 core" and "Status v1 meta", Kubernetes API reference.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use super::cluster::{Cluster, is_name};
use super::error::{Denial, KubernetesError, Nonsense, Reader};
use super::kubeconfig::credential::Credential;
use super::secret::Secret;
use crate::provider::http::{self, Client, HttpError, HttpFault, Method, Request, Response};
use crate::provider::json::Json;
use crate::provider::retry::persist;
use crate::provider::{Deadline, ProviderError};
use crate::secret::Secret as Bytes;

/// In bytes. A Secret has at most 1 MiB; Base64, managed fields and annotations add to that.
const BODY_LIMIT: usize = 8 << 20;

/// The API server, with the token for it, if there is one.
pub struct Api {
    cluster: Cluster,
    client: Client,
    token: Mutex<Option<Bytes>>,
}

impl Api {
    /// Reads the files of the service account, or obtains the credential of the user.
    pub fn sign_in(
        cluster: Cluster,
        settings: &http::Settings,
        deadline: Deadline,
    ) -> Result<Self, ProviderError> {
        let Credential { token, identity } = cluster.account.sign_in(deadline)?;
        let client = Client::new(cluster.http(settings, identity));
        let client = client.map_err(|error| cluster.account.tls_error(error))?;
        Ok(Self { cluster, client, token: Mutex::new(token) })
    }

    /// Reads a Secret. A token that is rejected may have been replaced meanwhile, which is worth a second try.
    pub fn get(&self, namespace: &str, name: &str, deadline: Deadline) -> Result<Secret, KubernetesError> {
        persist(deadline, || {
            let response = self.send(namespace, name, deadline)?;
            let response = if response.status() == 401 && self.has_new_token() {
                self.send(namespace, name, deadline)?
            } else {
                response
            };
            match response.status() {
                200..=299 => Secret::parse(response.body(), namespace, name),
                401 => Err(KubernetesError::Refused { who: self.cluster.account.label() }),
                status => Err(failure(response, status, namespace, name)),
            }
        })
    }

    fn send(&self, namespace: &str, name: &str, deadline: Deadline) -> Result<Response, KubernetesError> {
        let url = format!("{}/api/v1/namespaces/{namespace}/secrets/{name}", self.cluster.url);
        let bearer = {
            let token = self.token.lock().unwrap_or_else(PoisonError::into_inner);
            token.as_ref().map(|token| [b"Bearer ", token.expose()].concat())
        };
        let request = Request::new(Method::Get, &url)
            .and_then(|request| request.header("accept", "application/json"))
            .and_then(|request| match bearer {
                Some(bearer) => request.header("authorization", bearer),
                None => Ok(request),
            });
        let request = request.map_err(KubernetesError::Http)?.body_limit(BODY_LIMIT);
        self.client.send(&request, deadline).map_err(KubernetesError::Http)
    }

    /// Reads the token again. The old one stays if the file cannot be read.
    fn has_new_token(&self) -> bool {
        let Some(read) = self.cluster.account.token_again() else { return false };
        let mut token = self.token.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = token.as_ref() != Some(&read);
        *token = Some(read);
        is_new
    }
}

fn failure(response: Response, status: u16, namespace: &str, name: &str) -> KubernetesError {
    if let Some(error) = of_status(response.body(), status, namespace, name) {
        return error;
    }
    match response.successful() {
        // Not the API server's own answer, but that of something in between.
        Err(HttpError { fault: HttpFault::Status { code: 400..=428, .. }, .. }) => {
            KubernetesError::Nonsense(Nonsense::NotJson)
        }
        Err(error) => KubernetesError::Http(error),
        Ok(response) => KubernetesError::Nonsense(Nonsense::Status(response.status())),
    }
}

/// The error that a `Status` describes; `None` if the HTTP status alone decides.
fn of_status(body: &[u8], status: u16, namespace: &str, name: &str) -> Option<KubernetesError> {
    if status == 429 || status >= 500 {
        return None;
    }
    let json = Json::parse(body)?;
    let text = |member| json.at(&[member]).and_then(Json::text);
    if text("kind")? != "Status" {
        return None;
    }
    Some(match (status, text("reason")?.as_str()) {
        (404, "NotFound") => KubernetesError::Absent,
        (403, "Forbidden") => KubernetesError::Denied(Denial {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            reader: reader(&text("message").unwrap_or_default()),
        }),
        (_, reason) => KubernetesError::Invalid { reason: shown(reason) },
    })
}

/// The user in `… is forbidden: User "NAME" cannot get resource "secrets" …`. Anything that does not look like the name of
/// one could be a value.
fn reader(message: &str) -> Option<Reader> {
    let (name, _) = message.split_once(" is forbidden: User \"")?.1.split_once("\" cannot ")?;
    if let Some(account) = name.strip_prefix("system:serviceaccount:") {
        let (namespace, name) = account.split_once(':')?;
        return (is_name(namespace) && is_name(name)).then(|| Reader::ServiceAccount(account.to_owned()));
    }
    let is_legal = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:@/".contains(&byte);
    let is_name = (1..=128).contains(&name.len()) && name.bytes().all(is_legal);
    is_name.then(|| Reader::User(name.to_owned()))
}

/// A reason. Anything that does not look like one could be a value.
fn shown(reason: &str) -> String {
    let is_word = (1..=64).contains(&reason.len()) && reason.bytes().all(|byte| byte.is_ascii_alphabetic());
    if is_word { reason.to_owned() } else { "an unknown reason".to_owned() }
}

impl fmt::Debug for Api {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Api").field("cluster", &self.cluster).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(body: &str, status: u16) -> Option<KubernetesError> {
        of_status(body.as_bytes(), status, "prod", "app")
    }

    #[test]
    fn a_status_tells_absent_from_denied_and_names_the_user() {
        assert_eq!(told(r#"{"kind":"Status","reason":"NotFound"}"#, 404), Some(KubernetesError::Absent));
        let denied = r#"{"kind":"Status","reason":"Forbidden","message":"secrets \"app\" is forbidden: User \"system:serviceaccount:prod:web\" cannot get"}"#;
        let Some(KubernetesError::Denied(denial)) = told(denied, 403) else { panic!() };
        assert_eq!(denial.reader, Some(Reader::ServiceAccount("prod:web".to_owned())));
        let of = |name| reader(&format!("secrets \"app\" is forbidden: User \"{name}\" cannot get"));
        assert_eq!(of("jane@example.com"), Some(Reader::User("jane@example.com".to_owned())));
        for odd in ["", "a b", "$(x)", "system:serviceaccount:a/b:c", &"a".repeat(129)] {
            assert_eq!(of(odd), None, "{odd}");
        }
        let odd = told(r#"{"kind":"Status","reason":"canary <b>"}"#, 400);
        assert_eq!(odd, Some(KubernetesError::Invalid { reason: "an unknown reason".to_owned() }));
    }

    #[test]
    fn what_is_no_status_is_not_taken_for_absence() {
        for (body, status) in
            [("<html>", 404), ("{}", 404), (r#"{"kind":"Status","reason":"NotFound"}"#, 503)]
        {
            assert_eq!(told(body, status), None, "{body}");
        }
        for (reason, status) in [("NotFound", 403), ("Forbidden", 404)] {
            let error = told(&format!(r#"{{"kind":"Status","reason":"{reason}"}}"#), status);
            assert_eq!(error, Some(KubernetesError::Invalid { reason: reason.to_owned() }), "with {status}");
        }
    }
}
