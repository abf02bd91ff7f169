//! IAM Identity Center: exchanges the token that `aws sso login` cached for the credentials of a role. The cache is
//! only read.

use std::path::{Path, PathBuf};

use aws_lc_rs::digest;
use jiff::Timestamp;
use rustix::io::Errno;
use zeroize::Zeroizing;

use super::profile_error::ProfileError;
use super::shared::{Profiles, Said};
use crate::escape::{escaped, escaped_path};
use crate::provider::aws::endpoint::{is_region, portal};
use crate::provider::aws::sigv4::{Credentials, hex};
use crate::provider::aws::wire::Wire;
use crate::provider::http::{HttpError, Method, Request, Response, percent_encoded};
use crate::provider::json::Json;
use crate::provider::retry::{Retryable, Temporary, persist};
use crate::provider::{Cause, Deadline, Kind, ProviderError};
use crate::secret::Secret;
use crate::system::read::{self, ReadError};

/// A role in an account, and the cached token for it.
#[derive(Debug)]
pub(super) struct Sso {
    profile: String,
    region: String,
    account: String,
    role: String,
    cache: PathBuf,
}

impl Sso {
    /// The profile's SSO settings; `None` if it has none. URL and region come from its `sso-session` section, or from
    /// the profile itself.
    pub(super) fn of(
        said: Said<'_>,
        profiles: &Profiles,
        home: Option<&Path>,
    ) -> Result<Option<Self>, ProviderError> {
        let (account, role) = (said.get("sso_account_id"), said.get("sso_role_name"));
        if account.or(role).is_none() {
            return Ok(None);
        }
        let lacks = |key, needed_by| ProfileError::Lacks { key, needed_by }.at(said.shown());
        let name = said.get("sso_session");
        let session = name.map(|name| profiles.session(name).ok_or(ProfileError::Session)).transpose();
        let session = session.map_err(|error| error.at(said.shown()))?;
        let get = |key| session.and_then(|session| session.get(key)).or_else(|| said.get(key));
        let start = get("sso_start_url").ok_or_else(|| lacks("sso_start_url", "sso_role_name"))?;
        let region = get("sso_region").ok_or_else(|| lacks("sso_region", "sso_role_name"))?;
        let wrong = ProfileError::Value { key: "sso_region", expected: "the name of a region" };
        if !is_region(region) {
            return Err(wrong.at(said.shown()));
        }
        Ok(Some(Self {
            profile: said.shown(),
            region: region.to_owned(),
            account: account.ok_or_else(|| lacks("sso_account_id", "sso_role_name"))?.to_owned(),
            role: role.ok_or_else(|| lacks("sso_role_name", "sso_account_id"))?.to_owned(),
            cache: cache(home.unwrap_or(Path::new("/")), name.unwrap_or(start)),
        }))
    }

    /// Requests credentials for the role.
    pub(super) fn obtain(&self, wire: &Wire, deadline: Deadline) -> Result<Credentials, ProviderError> {
        let error = |error: SsoError| ProviderError::new(self.profile.clone(), error);
        let token = self.token(Timestamp::now()).map_err(error)?;
        persist(deadline, || self.ask(&token, wire, deadline)).map_err(error)
    }

    fn token(&self, now: Timestamp) -> Result<Secret, SsoError> {
        let bytes = match read::read_path(&self.cache) {
            Ok((bytes, _)) => Zeroizing::new(bytes),
            Err(ReadError::Os(Errno::NOENT | Errno::NOTDIR)) => return Err(self.no_token("no token")),
            Err(error) => return Err(SsoError::Unreadable { file: escaped_path(&self.cache), error }),
        };
        let (token, expiry) = parsed(&bytes).ok_or_else(|| self.no_token("no token that can be used"))?;
        if expiry <= now { Err(self.no_token("an expired token")) } else { Ok(token) }
    }

    fn no_token(&self, found: &'static str) -> SsoError {
        SsoError::NoToken { profile: self.profile.clone(), file: escaped_path(&self.cache), found }
    }

    fn ask(&self, token: &Secret, wire: &Wire, deadline: Deadline) -> Result<Credentials, SsoError> {
        let request = Request::new(Method::Get, &self.url()).map_err(SsoError::Http)?;
        let request = request.header("x-amz-sso_bearer_token", token.expose()).map_err(SsoError::Http)?;
        self.keys(wire.client().send(&request, deadline).map_err(SsoError::Http)?)
    }

    fn url(&self) -> String {
        let (role, account) = (percent_encoded(&self.role), percent_encoded(&self.account));
        format!("{}/federation/credentials?role_name={role}&account_id={account}", portal(&self.region))
    }

    fn keys(&self, response: Response) -> Result<Credentials, SsoError> {
        match response.status() {
            401 => return Err(self.no_token("a token that AWS no longer accepts")),
            403 | 404 => {
                return Err(SsoError::Denied { role: escaped(&self.role), account: escaped(&self.account) });
            }
            _ => {}
        }
        let response = response.successful().map_err(SsoError::Http)?;
        let json = Json::parse(response.body()).ok_or(SsoError::Member("roleCredentials"))?;
        let member = |name| {
            let secret = json.at(&["roleCredentials", name]).and_then(Json::secret);
            secret.filter(|secret| !secret.expose().is_empty()).ok_or(SsoError::Member(name))
        };
        Ok(Credentials {
            access_key_id: member("accessKeyId")?,
            secret_access_key: member("secretAccessKey")?,
            session_token: Some(member("sessionToken")?),
        })
    }
}

/// The cache file for a session name or, without a session, a start URL.
fn cache(home: &Path, login: &str) -> PathBuf {
    let hash = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, login.as_bytes());
    home.join(".aws/sso/cache").join(format!("{}.json", hex(hash.as_ref())))
}

/// The token and its expiry.
fn parsed(bytes: &[u8]) -> Option<(Secret, Timestamp)> {
    let json = Json::parse(bytes)?;
    // Old versions of the AWS CLI write `UTC` instead of `Z`.
    let expiry = json.at(&["expiresAt"])?.text()?.replace("UTC", "Z");
    let token = json.at(&["accessToken"])?.secret().filter(|token| !token.expose().is_empty())?;
    Some((token, expiry.parse().ok()?))
}

/// Why Identity Center returned no credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
enum SsoError {
    NoToken { profile: String, file: String, found: &'static str },
    Unreadable { file: String, error: ReadError },
    Denied { role: String, account: String },
    Member(&'static str),
    Http(HttpError),
}

impl Retryable for SsoError {
    fn temporary(&self) -> Option<Temporary> {
        match self {
            Self::Http(error) => error.temporary(),
            _ => None,
        }
    }
}

impl Cause for SsoError {
    fn kind(&self) -> Kind {
        match self {
            Self::NoToken { .. } | Self::Denied { .. } | Self::Unreadable { .. } => Kind::Denied,
            Self::Member(_) => Kind::Nonsense,
            Self::Http(error) => error.kind(),
        }
    }

    fn what(&self, place: &str) -> String {
        match self {
            Self::NoToken { file, found, .. } => {
                format!("the AWS profile `{place}` signs in by `aws sso login`, which left {found} in {file}")
            }
            Self::Unreadable { file, error } => {
                format!("the token of `aws sso login` in {file} cannot be read: {error}")
            }
            Self::Denied { role, account } => format!(
                "the AWS profile `{place}` may not use the role `{role}` in the account {account}, or neither exists"
            ),
            Self::Member(name) => {
                format!("the AWS profile `{place}`: the reply of the portal has no valid `{name}`")
            }
            Self::Http(error) => format!("the AWS profile `{place}`: {error}"),
        }
    }

    fn fix(&self) -> String {
        match self {
            Self::NoToken { profile, .. } => format!(
                "run `aws sso login --profile {profile}` where ~/.aws/sso/cache is mounted from; services that run \
                 unattended need another way to sign in"
            ),
            Self::Unreadable { .. } => "correct the file's owner and mode".into(),
            Self::Denied { .. } => {
                "correct `sso_role_name` and `sso_account_id`, or have the role assigned in IAM Identity Center".into()
            }
            Self::Member(_) => "check that the address is that of AWS, not of something before it".into(),
            Self::Http(error) => error.fix(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sso(home: &Path) -> Sso {
        Sso {
            profile: "a".into(),
            region: "eu-west-1".into(),
            account: "123456789012".into(),
            role: "read/all &".into(),
            cache: cache(home, "team"),
        }
    }

    fn with_cache(text: &str) -> Result<Secret, SsoError> {
        let home = tempfile::tempdir().unwrap();
        let sso = sso(home.path());
        std::fs::create_dir_all(sso.cache.parent().unwrap()).unwrap();
        let directory = std::fs::File::open(sso.cache.parent().unwrap()).unwrap().into();
        let name = sso.cache.file_name().unwrap().to_str().unwrap();
        crate::system::write::write(&directory, name, text.as_bytes(), 0o600).unwrap();
        sso.token("2026-01-01T00:00:00Z".parse().unwrap())
    }

    #[test]
    fn the_cache_is_the_file_that_aws_writes() {
        // echo -n https://team.awsapps.com/start | sha1sum
        let path = cache(Path::new("/home/app"), "https://team.awsapps.com/start");
        assert_eq!(path, Path::new("/home/app/.aws/sso/cache/629c0f190b728da3e83c63c81257900d28075829.json"));
    }

    #[test]
    fn a_token_is_used_until_it_expires() {
        let text = |expiry| format!(r#"{{"accessToken":"canary","expiresAt":"{expiry}","region":"x"}}"#);
        assert_eq!(with_cache(&text("2026-01-01T00:00:01Z")).unwrap().expose(), b"canary");
        assert_eq!(with_cache(&text("2026-01-01T00:00:01UTC")).unwrap().expose(), b"canary");
        for text in [&text("2026-01-01T00:00:00Z"), &text("soon"), "{}", "canary", r#"{"accessToken":""}"#] {
            let error = with_cache(text).unwrap_err();
            assert_eq!(error.kind(), Kind::Denied);
            let told = format!("{} {error:?} {}", error.what("a"), error.fix());
            assert!(told.contains("aws sso login --profile a") && !told.contains("canary"), "{told}");
        }
    }

    #[test]
    fn without_a_cache_one_has_to_sign_in() {
        let home = tempfile::tempdir().unwrap();
        let error = sso(home.path()).token(Timestamp::now()).unwrap_err();
        assert!(matches!(error, SsoError::NoToken { found: "no token", .. }), "{error:?}");
    }

    #[test]
    fn the_portal_is_that_of_the_region_and_its_partition() {
        let url = sso(Path::new("/")).url();
        assert_eq!(
            url,
            "https://portal.sso.eu-west-1.amazonaws.com/federation/credentials?role_name=read%2Fall%20%26\
             &account_id=123456789012"
        );
        assert_eq!(portal("cn-north-1"), "https://portal.sso.cn-north-1.amazonaws.com.cn");
    }
}
