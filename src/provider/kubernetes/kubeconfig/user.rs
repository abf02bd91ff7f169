//! The user of a kubeconfig, and what proves who it is: a token, a program that prints one, a client certificate.

use std::path::{Path, PathBuf};

use super::credential::{Credential, bearer};
use super::error::KubeconfigError;
use super::exec::Program;
use super::file::Entry;
use super::server::Server;
use crate::escape::escaped_path;
use crate::provider::bootstrap::read_line;
use crate::provider::helper::Variables;
use crate::provider::tls::Identity;
use crate::provider::{Cause as _, Deadline, ProviderError};
use crate::secret::Secret;

/// What kubectl could sign in with, and cryokey cannot.
const UNSUPPORTED: [&str; 7] =
    ["username", "password", "auth-provider", "as", "as-uid", "as-groups", "as-user-extra"];

/// A user.
#[derive(Debug)]
pub struct User {
    /// `the user NAME of PATH`, escaped.
    place: String,
    token: Option<Token>,
    identity: Option<Identity>,
}

/// Where the token comes from.
#[derive(Debug)]
enum Token {
    Given(Secret),
    /// Something replaces the token in the file before it expires, so it is read for each sign-in.
    File(PathBuf),
    /// It may print a client certificate too.
    Program(Box<Program>),
}

impl User {
    /// Checks the user. Nothing is read besides the kubeconfig.
    pub(super) fn of(
        user: &Entry<'_>,
        server: &Server,
        environment: &Variables,
    ) -> Result<Self, ProviderError> {
        if let Some(key) = UNSUPPORTED.into_iter().find(|key| user.has(key)) {
            return Err(user.refuse(KubeconfigError::Unsupported { key }));
        }
        let (token, identity) = (Token::of(user, server, environment)?, identity(user)?);
        if token.is_none() && identity.is_none() {
            return Err(user.refuse(KubeconfigError::NoCredential));
        }
        Ok(Self { place: user.place.clone(), token, identity })
    }

    /// A description for the log: the user, and the credential.
    #[must_use]
    pub fn label(&self) -> String {
        let certificate = self.identity.as_ref().map(|_| "its client certificate".to_owned());
        let proofs: Vec<String> = self.token.iter().map(Token::label).chain(certificate).collect();
        format!("{}, by {}", self.place, proofs.join(" and "))
    }

    /// `the user NAME of PATH`, for messages.
    #[must_use]
    pub fn place(&self) -> &str {
        &self.place
    }

    /// Obtains what proves who this is.
    pub fn sign_in(&self, deadline: Deadline) -> Result<Credential, ProviderError> {
        let identity = self.identity.clone();
        match &self.token {
            None => Ok(Credential { token: None, identity }),
            Some(Token::Given(token)) => Ok(Credential { token: Some(token.duplicate()), identity }),
            Some(Token::File(path)) => Ok(Credential { token: Some(self.read(path)?), identity }),
            Some(Token::Program(program)) => {
                let printed = program.run(deadline)?;
                Ok(Credential { identity: identity.or(printed.identity), ..printed })
            }
        }
    }

    /// The token of the file, which may have been replaced; `None` for any other token.
    #[must_use]
    pub fn token_again(&self) -> Option<Secret> {
        let Some(Token::File(path)) = &self.token else { return None };
        self.read(path).ok()
    }

    fn read(&self, path: &Path) -> Result<Secret, ProviderError> {
        let token = read_line(path)?.ok_or(KubeconfigError::EmptyFile);
        let token = token.and_then(|token| bearer(token.text()).ok_or(KubeconfigError::NoToken));
        token.map_err(|error| error.at(format!("{}, the tokenFile of {}", escaped_path(path), self.place)))
    }
}

impl Token {
    /// The file overrides the token, as in kubectl. A program beside them would leave open who signs in.
    fn of(user: &Entry<'_>, server: &Server, environment: &Variables) -> Result<Option<Self>, ProviderError> {
        let (given, file) = (user.meant("token")?, user.path("tokenFile")?);
        if let Some(program) = user.map("exec")? {
            let other = file.as_ref().map(|_| "tokenFile").or(given.map(|_| "token"));
            if let Some(other) = other {
                return Err(user.refuse(KubeconfigError::Both { one: "exec", other }));
            }
            return Program::of(&user.place, &program, server, environment)
                .map(|it| Some(Self::Program(Box::new(it))));
        }
        let wrong = || user.refuse(KubeconfigError::value("token", "a token of visible ASCII characters"));
        match (file, given) {
            (Some(path), _) => Ok(Some(Self::File(path))),
            (None, Some(token)) => bearer(token).map(|token| Some(Self::Given(token))).ok_or_else(wrong),
            (None, None) => Ok(None),
        }
    }

    fn label(&self) -> String {
        match self {
            Self::Given(_) => "its token".to_owned(),
            Self::File(path) => format!("the token in {}", escaped_path(path)),
            Self::Program(program) => format!("the program {}", program.shown()),
        }
    }
}

fn identity(user: &Entry<'_>) -> Result<Option<Identity>, ProviderError> {
    let certificate = user.pem("client-certificate", "client-certificate-data")?;
    let key = user.pem("client-key", "client-key-data")?;
    match (certificate, key) {
        (None, None) => Ok(None),
        (Some(certificate), Some(key)) => {
            Ok(Some(Identity { certificate, key, named_by: "the client certificate and key" }))
        }
        (Some(_), None) => Err(user.refuse(KubeconfigError::Absent { key: "client-key" })),
        (None, Some(_)) => Err(user.refuse(KubeconfigError::Absent { key: "client-certificate" })),
    }
}
