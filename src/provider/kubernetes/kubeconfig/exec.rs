//! The program that a kubeconfig names, and that prints a token or a client certificate. Source: "Authenticating", client-go
//! credential plugins, Kubernetes documentation.

use std::fmt;
use std::path::PathBuf;

use jiff::Timestamp;

use super::credential::{Credential, bearer};
use super::error::KubeconfigError;
use super::file::Entry;
use super::server::Server;
use crate::escape::escaped;
use crate::provider::helper::{Helper, Variables};
use crate::provider::json::Json;
use crate::provider::{Cause, Deadline, Kind, ProviderError};
use crate::secret::Secret;
use crate::yaml::Node;

const VERSIONS: [&str; 2] = ["client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1"];

/// The variable by which the program gets to know what is expected of it.
const INFO: &str = "KUBERNETES_EXEC_INFO";

/// A program, and the user that it signs in.
pub(super) struct Program {
    /// `the user NAME of PATH`, escaped.
    user: String,
    /// As the kubeconfig has it, escaped.
    command: String,
    version: &'static str,
    helper: Helper,
}

impl Program {
    /// `exec` is that of a user, whose place this is.
    pub(super) fn of(
        user: &str,
        exec: &Entry<'_>,
        server: &Server,
        environment: &Variables,
    ) -> Result<Self, ProviderError> {
        let wrong = |key, expected| exec.refuse(KubeconfigError::value(key, expected));
        let asked = exec.required("apiVersion")?;
        let version = VERSIONS.into_iter().find(|version| *version == asked);
        let version = version.ok_or_else(|| {
            wrong("apiVersion", "client.authentication.k8s.io/v1, or the same with v1beta1")
        })?;
        if exec.text("interactiveMode")? == Some("Always") {
            return Err(exec.refuse(KubeconfigError::Interactive));
        }
        let command = exec.required("command")?;
        let mut words = vec![located(exec, command)?];
        for argument in exec.list("args")? {
            words.push(plain(argument).ok_or_else(|| wrong("args", "a list of texts"))?.to_owned());
        }
        let mut more = variables(exec)?;
        more.push((INFO.to_owned(), info(exec, server, version)?));
        let helper = Helper { words, environment: environment.clone(), more };
        Ok(Self { user: user.to_owned(), command: escaped(command), version, helper })
    }

    /// The command, for messages.
    pub(super) fn shown(&self) -> &str {
        &self.command
    }

    /// Runs the program and parses its output.
    pub(super) fn run(&self, deadline: Deadline) -> Result<Credential, ProviderError> {
        let place = || format!("`{}`, the program of {}", self.command, self.user);
        let output = self.helper.run(deadline).map_err(|error| ProviderError::new(place(), error))?;
        let credential = credential(&output, self.version, Timestamp::now());
        credential.map_err(|error| ProviderError::new(place(), error))
    }
}

/// A command without a slash is searched for in `PATH`; any other is relative to the directory of the kubeconfig.
fn located(exec: &Entry<'_>, command: &str) -> Result<String, ProviderError> {
    let path = if command.contains('/') { exec.directory.join(command) } else { PathBuf::from(command) };
    let path = path.into_os_string().into_string();
    path.map_err(|_| exec.refuse(KubeconfigError::value("command", "a path in UTF-8")))
}

/// A text that can be an argument or the value of a variable.
fn plain(node: &Node) -> Option<&str> {
    node.text().filter(|text| !text.contains('\0'))
}

fn variables(exec: &Entry<'_>) -> Result<Vec<(String, String)>, ProviderError> {
    let variable = |node: &Node| {
        let text = |key| node.entry(key).and_then(plain);
        let name = text("name").filter(|name| !name.is_empty() && !name.contains('='))?;
        Some((name.to_owned(), text("value")?.to_owned()))
    };
    let variables = exec.list("env")?.into_iter().map(variable).collect::<Option<_>>();
    variables.ok_or_else(|| exec.refuse(KubeconfigError::value("env", "a list of `name` and `value`")))
}

/// The value of [`INFO`].
fn info(exec: &Entry<'_>, server: &Server, version: &str) -> Result<String, ProviderError> {
    let is_curious = exec.filled("provideClusterInfo")?.is_some_and(|text| text != "false");
    let spec = if is_curious {
        if server.has_extensions {
            return Err(exec.refuse(KubeconfigError::Extensions));
        }
        let cluster = server.described().ok_or_else(|| exec.refuse(KubeconfigError::Authority))?;
        serde_json::json!({ "interactive": false, "cluster": cluster })
    } else {
        serde_json::json!({ "interactive": false })
    };
    Ok(serde_json::json!({ "kind": "ExecCredential", "apiVersion": version, "spec": spec }).to_string())
}

/// Parses the output: an `ExecCredential` of the version that was asked for.
fn credential(output: &[u8], version: &str, now: Timestamp) -> Result<Credential, ExecError> {
    let json = Json::parse(output).ok_or(ExecError::NotJson)?;
    let is = |key, expected: &str| json.at(&[key]).and_then(Json::text).as_deref() == Some(expected);
    if !is("kind", "ExecCredential") || !is("apiVersion", version) {
        return Err(ExecError::Version);
    }
    let present = |key| json.at(&["status", key]).filter(|json| !json.is_null());
    let text = |key| match present(key) {
        None => Ok(None),
        Some(json) => json.secret().map(Some).ok_or(ExecError::Member(key)),
    };
    if let Some(expiration) = present("expirationTimestamp") {
        let expiration = expiration.text().and_then(|text| text.parse::<Timestamp>().ok());
        if expiration.ok_or(ExecError::Member("expirationTimestamp"))? <= now {
            return Err(ExecError::Expired);
        }
    }
    let filled = |secret: Option<Secret>| secret.filter(|secret| !secret.expose().is_empty());
    let token = filled(text("token")?).map(|token| {
        let text = std::str::from_utf8(token.expose()).unwrap_or_default();
        bearer(text).ok_or(ExecError::Member("token"))
    });
    let identity = match (filled(text("clientCertificateData")?), filled(text("clientKeyData")?)) {
        (None, None) => None,
        (Some(certificate), Some(key)) => Some(Credential::printed(certificate, key)),
        (Some(_), None) => return Err(ExecError::Member("clientKeyData")),
        (None, Some(_)) => return Err(ExecError::Member("clientCertificateData")),
    };
    let credential = Credential { token: token.transpose()?, identity };
    let is_empty = credential.token.is_none() && credential.identity.is_none();
    if is_empty { Err(ExecError::NoCredential) } else { Ok(credential) }
}

impl fmt::Debug for Program {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Program").field("command", &self.command).finish_non_exhaustive()
    }
}

/// Why a program's output contains no credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ExecError {
    NotJson,
    Version,
    Member(&'static str),
    NoCredential,
    Expired,
}

impl Cause for ExecError {
    fn kind(&self) -> Kind {
        match self {
            Self::Expired => Kind::Denied,
            Self::NotJson | Self::Version | Self::Member(_) | Self::NoCredential => Kind::Nonsense,
        }
    }

    fn what(&self, place: &str) -> String {
        match self {
            Self::NotJson => format!("{place}, printed something other than JSON"),
            Self::Version => format!("{place}, printed no ExecCredential of the version in the kubeconfig"),
            Self::Member(name) => format!("{place}, printed an ExecCredential without a valid `{name}`"),
            Self::NoCredential => {
                format!("{place}, printed an ExecCredential without a token or certificate")
            }
            Self::Expired => format!("{place}, printed a credential that has expired"),
        }
    }

    fn fix(&self) -> String {
        match self {
            Self::Expired => "renew what it signs in with, or its cache".into(),
            Self::Version => "correct apiVersion of `exec`, or update the program".into(),
            _ => "run it by hand as the same user: cryokey shows nothing that it prints".into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(json: &str) -> Result<(Option<String>, bool), ExecError> {
        let now = "2026-01-01T00:00:00Z".parse().unwrap();
        let credential = credential(json.as_bytes(), VERSIONS[0], now)?;
        let token = credential.token.map(|token| String::from_utf8(token.expose().to_vec()).unwrap());
        Ok((token, credential.identity.is_some()))
    }

    fn with(status: &str) -> Result<(Option<String>, bool), ExecError> {
        judge(&format!(r#"{{"kind":"ExecCredential","apiVersion":"{}","status":{status}}}"#, VERSIONS[0]))
    }

    #[test]
    fn a_program_prints_a_token_or_a_certificate_or_both() {
        assert_eq!(with(r#"{"token":"a"}"#).unwrap(), (Some("a".to_owned()), false));
        let both = r#"{"token":"a","clientCertificateData":"b","clientKeyData":"c"}"#;
        assert_eq!(with(both).unwrap(), (Some("a".to_owned()), true));
        let only =
            r#"{"token":"","clientCertificateData":"b","clientKeyData":"c","expirationTimestamp":null}"#;
        assert_eq!(with(only).unwrap(), (None, true));
        assert!(with(r#"{"token":"a","expirationTimestamp":"2026-01-01T00:00:01Z"}"#).is_ok());
    }

    #[test]
    fn what_is_no_credential_is_refused() {
        assert_eq!(judge("canary").unwrap_err(), ExecError::NotJson);
        assert_eq!(judge("{}").unwrap_err(), ExecError::Version);
        let other = r#"{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1beta1","status":{"token":"a"}}"#;
        assert_eq!(judge(other).unwrap_err(), ExecError::Version);
        for (status, expected) in [
            ("null", ExecError::NoCredential),
            (r#"{"token":""}"#, ExecError::NoCredential),
            (r#"{"token":7}"#, ExecError::Member("token")),
            (r#"{"token":"a\nb"}"#, ExecError::Member("token")),
            (r#"{"token":"ä"}"#, ExecError::Member("token")),
            (r#"{"token":"a","token":"b"}"#, ExecError::NoCredential),
            (r#"{"token":"a","clientCertificateData":"b"}"#, ExecError::Member("clientKeyData")),
            (r#"{"token":"a","clientKeyData":"b"}"#, ExecError::Member("clientCertificateData")),
            (r#"{"token":"a","expirationTimestamp":"2026-01-01T00:00:00Z"}"#, ExecError::Expired),
            (r#"{"token":"a","expirationTimestamp":1}"#, ExecError::Member("expirationTimestamp")),
        ] {
            assert_eq!(with(status).unwrap_err(), expected, "{status}");
        }
    }
}
