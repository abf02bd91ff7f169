//! The JSON file that contains credentials. Sources: AIP-4110 to AIP-4117, and "Workload identity federation", Google
//! Cloud documentation.

use super::error::CredentialError;
use super::member::{optional, secret, text};
use super::source::Source;
use crate::escape::escaped;
use crate::provider::google::place::is_domain;
use crate::provider::http::{Method, Request};
use crate::provider::json::Json;
use crate::provider::jwt::Signer;
use crate::secret::Secret;

/// The parsed credentials.
#[derive(Debug)]
pub struct Credential {
    /// The kind, with the members that it requires.
    pub kind: Kind,
    /// The project that the credentials belong to, if the file names it.
    pub project: Option<String>,
    /// The domain of the APIs that the credentials are valid for, usually `googleapis.com`.
    pub universe: String,
    /// The project that a user's requests count for.
    pub quota_project: Option<String>,
}

/// The kinds of credentials, as the `type` member distinguishes them.
#[derive(Debug)]
pub enum Kind {
    /// The private key of a service account.
    ServiceAccount(ServiceAccount),
    /// A user who signed in with gcloud.
    User(User),
    /// A token of another identity provider.
    External(External),
    /// A service account that is impersonated with other credentials.
    Impersonated(Impersonated),
}

/// The private key of a service account.
#[derive(Debug)]
pub struct ServiceAccount {
    /// Its email address.
    pub email: String,
    /// The id of the key, by which Google selects the public key.
    pub key_id: String,
    /// The private key.
    pub signer: Signer,
}

/// A user who signed in with gcloud.
#[derive(Debug)]
pub struct User {
    /// The id of the OAuth client, which is gcloud.
    pub client_id: String,
    /// The password of the OAuth client.
    pub client_secret: Secret,
    /// The long-lived token that is exchanged for access tokens.
    pub refresh_token: Secret,
    /// The URL of the token endpoint.
    pub token_url: String,
}

/// A token of another identity provider, which Google's Security Token Service exchanges.
#[derive(Debug)]
pub struct External {
    /// The full resource name of the provider in the workload identity pool.
    pub audience: String,
    /// The type of the subject token: a URI (RFC 8693 §3).
    pub subject_token_type: String,
    /// The URL of the Security Token Service.
    pub token_url: String,
    /// Where the token comes from.
    pub source: Source,
    /// The URL that returns tokens for the service account to impersonate, if there is one.
    pub impersonation_url: Option<String>,
}

/// A service account that is impersonated with other credentials.
#[derive(Debug)]
pub struct Impersonated {
    /// The URL that returns tokens for the service account.
    pub url: String,
    /// The service accounts of the delegation chain.
    pub delegates: Vec<String>,
    /// The credentials to impersonate it with.
    pub source: Box<Credential>,
}

impl Credential {
    /// Parses a file. `universe` is the configured one, which the credentials must match.
    pub fn parse(file: &[u8], universe: Option<&str>) -> Result<Self, CredentialError> {
        let json =
            Json::parse(file).filter(|json| json.members().is_some()).ok_or(CredentialError::NotJson)?;
        Self::of(json, universe, true)
    }

    fn of(json: Json<'_>, universe: Option<&str>, is_whole_file: bool) -> Result<Self, CredentialError> {
        // Credentials within a file are for the universe of that file.
        let usual = || if is_whole_file { "googleapis.com" } else { universe.unwrap_or_default() }.to_owned();
        let own = optional(json, "universe_domain").unwrap_or_else(usual);
        if universe.is_some_and(|universe| universe != own) {
            return Err(CredentialError::OtherUniverse);
        }
        let universe = own;
        if !is_domain(&universe) {
            return Err(CredentialError::Member("universe_domain"));
        }
        let kind = match text(json, "type")?.as_str() {
            "service_account" => Kind::ServiceAccount(service_account(json)?),
            "authorized_user" => Kind::User(user(json, &universe)?),
            "external_account" => Kind::External(external(json, &universe)?),
            "impersonated_service_account" if is_whole_file => {
                Kind::Impersonated(impersonated(json, &universe)?)
            }
            other => return Err(CredentialError::Type { name: escaped(other) }),
        };
        let quota_project = optional(json, "quota_project_id");
        Ok(Self { kind, project: optional(json, "project_id"), universe, quota_project })
    }

    /// A description for the log.
    #[must_use]
    pub fn label(&self) -> String {
        match &self.kind {
            Kind::ServiceAccount(account) => format!("the key of {}", escaped(&account.email)),
            Kind::User(_) => "the user of gcloud".to_owned(),
            Kind::External(external) => match &external.impersonation_url {
                Some(url) => format!("{} as {}", external.source.label(), escaped(email_of(url))),
                None => external.source.label(),
            },
            Kind::Impersonated(impersonated) => {
                format!("{} as {}", impersonated.source.label(), escaped(email_of(&impersonated.url)))
            }
        }
    }

    /// The identity that reads the secrets as IAM's bindings write it, with a placeholder for what is unknown.
    #[must_use]
    pub fn member(&self) -> String {
        let account = |email: &str| format!("serviceAccount:{}", escaped(email));
        match &self.kind {
            Kind::ServiceAccount(service) => account(&service.email),
            Kind::User(_) => "user:EMAIL".to_owned(),
            Kind::External(External { impersonation_url: Some(url), .. }) => account(email_of(url)),
            Kind::External(_) => "principal:PRINCIPAL".to_owned(),
            Kind::Impersonated(impersonated) => account(email_of(&impersonated.url)),
        }
    }
}

fn service_account(json: Json<'_>) -> Result<ServiceAccount, CredentialError> {
    let key = secret(json, "private_key")?;
    let email = text(json, "client_email")?;
    if !is_email(&email) {
        return Err(CredentialError::Member("client_email"));
    }
    Ok(ServiceAccount {
        email,
        key_id: text(json, "private_key_id")?,
        signer: Signer::from_pem(key.expose()).map_err(|_| CredentialError::Member("private_key"))?,
    })
}

fn user(json: Json<'_>, universe: &str) -> Result<User, CredentialError> {
    let token_url = optional(json, "token_uri").unwrap_or_else(|| format!("https://oauth2.{universe}/token"));
    Ok(User {
        client_id: text(json, "client_id")?,
        client_secret: secret(json, "client_secret")?,
        refresh_token: secret(json, "refresh_token")?,
        token_url: of_google(token_url, "token_uri", universe)?,
    })
}

fn external(json: Json<'_>, universe: &str) -> Result<External, CredentialError> {
    let impersonation_url = optional(json, "service_account_impersonation_url");
    let impersonation_url = impersonation_url.map(|url| impersonation(url, universe)).transpose()?;
    let source = json.at(&["credential_source"]).ok_or(CredentialError::Member("credential_source"))?;
    Ok(External {
        audience: text(json, "audience")?,
        subject_token_type: text(json, "subject_token_type")?,
        token_url: of_google(text(json, "token_url")?, "token_url", universe)?,
        source: Source::parse(source)?,
        impersonation_url,
    })
}

fn impersonated(json: Json<'_>, universe: &str) -> Result<Impersonated, CredentialError> {
    let source = json.at(&["source_credentials"]).ok_or(CredentialError::Member("source_credentials"))?;
    let delegates = match json.at(&["delegates"]).filter(|it| !it.is_null()) {
        None => Vec::new(),
        Some(list) => {
            let names = list.elements().unwrap_or_default().into_iter().map(Json::text);
            names.collect::<Option<_>>().ok_or(CredentialError::Member("delegates"))?
        }
    };
    Ok(Impersonated {
        url: impersonation(text(json, "service_account_impersonation_url")?, universe)?,
        delegates,
        source: Box::new(Credential::of(source, Some(universe), false)?),
    })
}

/// Checks a URL such as
/// `https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/EMAIL:generateAccessToken`.
fn impersonation(url: String, universe: &str) -> Result<String, CredentialError> {
    const NAME: &str = "service_account_impersonation_url";
    let url = of_google(url, NAME, universe)?;
    let is_legal = is_email(email_of(&url)) && url.ends_with(":generateAccessToken");
    if is_legal { Ok(url) } else { Err(CredentialError::Member(NAME)) }
}

fn email_of(url: &str) -> &str {
    let end = url.rsplit('/').next().unwrap_or_default();
    end.strip_suffix(":generateAccessToken").unwrap_or(end)
}

fn is_email(text: &str) -> bool {
    let is_legal = |byte: u8| byte.is_ascii_alphanumeric() || b"@.-_".contains(&byte);
    (3..=320).contains(&text.len()) && text.bytes().all(is_legal) && text.contains('@')
}

/// Checks that the URL is within the universe, because the requests to it contain secrets.
fn of_google(url: String, member: &'static str, universe: &str) -> Result<String, CredentialError> {
    let request = Request::new(Method::Post, &url).map_err(|_| CredentialError::Host { member })?;
    let is_within = request
        .authority()
        .to_ascii_lowercase()
        .strip_suffix(universe)
        .is_some_and(|rest| rest.ends_with('.'));
    if is_within && url.starts_with("https://") { Ok(url) } else { Err(CredentialError::Host { member }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEM: &str = include_str!("../../../../tests/data/id_rsa.pkcs1");

    fn key() -> serde_json::Value {
        serde_json::json!({
            "type": "service_account", "client_email": "app@p.iam.gserviceaccount.com", "private_key_id": "k",
            "private_key": PEM, "project_id": "p",
        })
    }

    fn federated() -> serde_json::Value {
        serde_json::json!({
            "type": "external_account", "audience": "//iam.googleapis.com/x",
            "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
            "token_url": "https://sts.googleapis.com/v1/token",
            "credential_source": {"file": "/token"},
        })
    }

    fn parse(json: &serde_json::Value) -> Result<Credential, CredentialError> {
        Credential::parse(json.to_string().as_bytes(), None)
    }

    fn with(mut json: serde_json::Value, name: &str, value: &str) -> Result<Credential, CredentialError> {
        json[name] = value.into();
        parse(&json)
    }

    #[test]
    fn a_key_file_names_the_account_and_its_project() {
        let credential = parse(&key()).unwrap();
        assert_eq!(credential.label(), "the key of app@p.iam.gserviceaccount.com");
        assert_eq!(
            (credential.project.as_deref(), credential.universe.as_str()),
            (Some("p"), "googleapis.com")
        );
        assert!(!format!("{credential:?}").contains("PRIVATE"));
    }

    #[test]
    fn a_file_without_a_member_or_with_an_odd_one_is_refused() {
        for name in ["type", "client_email", "private_key_id", "private_key"] {
            let mut json = key();
            json.as_object_mut().unwrap().remove(name);
            assert_eq!(parse(&json).unwrap_err(), CredentialError::Member(name));
        }
        assert_eq!(with(key(), "private_key", "canary").unwrap_err(), CredentialError::Member("private_key"));
        assert_eq!(
            with(key(), "client_email", "a/b@c").unwrap_err(),
            CredentialError::Member("client_email")
        );
        let unknown = with(key(), "type", "gdch_service_account").unwrap_err();
        assert!(matches!(unknown, CredentialError::Type { .. }));
        for text in ["", "[]", "canary", "{"] {
            assert_eq!(Credential::parse(text.as_bytes(), None).unwrap_err(), CredentialError::NotJson);
        }
    }

    #[test]
    fn b10_what_signs_in_is_sent_to_google_only() {
        for url in [
            "https://sts.googleapis.com.evil.example/v1/token",
            "https://evil.example/v1/token",
            "https://sts.googleapis.com@evil.example/v1/token",
            "http://sts.googleapis.com/v1/token",
            "https://evilgoogleapis.com/token",
            "canary",
        ] {
            let error = with(federated(), "token_url", url).unwrap_err();
            assert_eq!(error, CredentialError::Host { member: "token_url" }, "{url}");
        }
        let evil = "https://evil.example/v1/projects/-/serviceAccounts/a@b:generateAccessToken";
        assert!(with(federated(), "service_account_impersonation_url", evil).is_err());
        let other = "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/a@b:signBlob";
        assert!(with(federated(), "service_account_impersonation_url", other).is_err());
    }

    #[test]
    fn impersonation_has_other_credentials_behind_it_but_no_second_impersonation() {
        let url = "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/app@p.iam:generateAccessToken";
        let around = |source: serde_json::Value| {
            serde_json::json!({
                "type": "impersonated_service_account", "service_account_impersonation_url": url,
                "source_credentials": source,
            })
        };
        let credential = parse(&around(key())).unwrap();
        assert_eq!(credential.member(), "serviceAccount:app@p.iam");
        assert_eq!(credential.label(), "the key of app@p.iam.gserviceaccount.com as app@p.iam");
        assert!(parse(&around(around(key()))).is_err());
    }

    #[test]
    fn the_universe_is_the_configured_one_and_the_file_may_not_differ() {
        let of = |own: Option<&str>, universe: Option<&str>| {
            let mut json = key();
            if let Some(own) = own {
                json["universe_domain"] = own.into();
            }
            Credential::parse(json.to_string().as_bytes(), universe).map(|it| it.universe)
        };
        assert_eq!(of(None, None).unwrap(), "googleapis.com");
        assert_eq!(of(Some("example.goog"), None).unwrap(), "example.goog");
        assert_eq!(of(Some("example.goog"), Some("example.goog")).unwrap(), "example.goog");
        for own in [None, Some("googleapis.com")] {
            assert_eq!(of(own, Some("example.goog")).unwrap_err(), CredentialError::OtherUniverse, "{own:?}");
        }
        assert!(with(key(), "universe_domain", "a/b").is_err());
    }
}
