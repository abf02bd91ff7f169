//! Profiles of the shared files: the source of credentials, and the roles assumed with them. Where AWS's
//! documentation is ambiguous, cryokey follows boto3.

use std::path::PathBuf;

use super::process::Helper;
use super::profile_error::ProfileError;
use super::shared::{Part, Profiles, Said, Shared};
use super::sso::Sso;
use crate::escape::{escaped, escaped_path};
use crate::provider::aws::sigv4::Credentials;
use crate::provider::aws::sts::{self, Role};
use crate::provider::aws::wire::Wire;
use crate::provider::{Cause as _, Deadline, ProviderError};
use crate::secret::Secret;

/// The maximum length of a chain of profiles.
const DEEPEST: usize = 8;

/// How a profile obtains credentials.
#[derive(Debug)]
pub struct Profile {
    name: String,
    base: Base,
    /// The chain of roles. The last one is assumed first, and the first one reads the secrets.
    roles: Vec<Role>,
}

/// The source of credentials at the end of a chain.
#[derive(Debug)]
enum Base {
    /// An access key, and the file that contains it.
    Keys(Credentials, String),
    /// A `credential_process`.
    Process(Helper),
    /// The token that `aws sso login` cached.
    Sso(Sso),
    /// A source outside of the shared files.
    Elsewhere(Elsewhere),
}

/// A source of credentials outside of the shared files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Elsewhere {
    /// The bootstrap values, starting with `AWS_ACCESS_KEY_ID`.
    Environment,
    /// The container endpoint of ECS or EKS.
    EcsContainer,
    /// The EC2 instance metadata service.
    Ec2InstanceMetadata,
    /// A role assumed with a web identity token.
    WebIdentity {
        /// The role.
        role: Role,
        /// The file that holds the token.
        token_file: PathBuf,
    },
}

impl Profile {
    /// A description for the log.
    #[must_use]
    pub fn label(&self) -> String {
        let base = match &self.base {
            Base::Keys(_, file) => format!("the key in {file}"),
            Base::Process(_) => "credential_process".to_owned(),
            Base::Sso(_) => "aws sso login".to_owned(),
            Base::Elsewhere(elsewhere) => elsewhere.label(),
        };
        let roles = self.roles.iter().rev().map(|role| format!(", as role {}", escaped(&role.arn)));
        format!("profile `{}`: {base}{}", escaped(&self.name), roles.collect::<String>())
    }

    /// The external source of credentials that the profile needs.
    #[must_use]
    pub fn elsewhere(&self) -> Option<&Elsewhere> {
        match &self.base {
            Base::Elsewhere(elsewhere) => Some(elsewhere),
            _ => None,
        }
    }

    /// Obtains the base credentials and assumes the roles. `outside` are the credentials of [`Self::elsewhere`].
    pub fn obtain(
        &self,
        outside: Option<Credentials>,
        wire: &Wire,
        deadline: Deadline,
    ) -> Result<Credentials, ProviderError> {
        let base = match &self.base {
            Base::Keys(keys, _) => keys.duplicate(),
            Base::Process(helper) => helper.obtain(deadline)?,
            Base::Sso(sso) => sso.obtain(wire, deadline)?,
            Base::Elsewhere(_) => outside.ok_or_else(|| ProfileError::Empty.at(escaped(&self.name)))?,
        };
        let assume = |keys: Credentials, role| sts::assume_role(role, &keys, wire, deadline);
        self.roles.iter().rev().try_fold(base, assume)
    }
}

impl Elsewhere {
    fn label(&self) -> String {
        match self {
            Self::Environment => "the key in the environment".into(),
            Self::EcsContainer => "the role of the container".into(),
            Self::Ec2InstanceMetadata => "the role of the machine".into(),
            Self::WebIdentity { role, token_file } => {
                format!("the token in {}, as role {}", escaped_path(token_file), escaped(&role.arn))
            }
        }
    }
}

/// Finds the selected profile. `None` if it configures no credentials, or if no profile is named and `default` does
/// not exist.
pub fn find(shared: &Shared) -> Result<Option<Profile>, ProviderError> {
    let profiles = shared.profiles()?;
    let name = shared.name();
    let Some(said) = profiles.said(name) else {
        return if shared.profile.is_some() { Err(profiles.unknown(name)) } else { Ok(None) };
    };
    let mut chain = Chain { shared, profiles, visited: Vec::new(), roles: Vec::new() };
    let base = chain.base(said)?;
    let roles = chain.roles;
    Ok(base.map(|base| Profile { name: name.to_owned(), base, roles }))
}

/// Follows `source_profile` from profile to profile.
struct Chain<'a> {
    shared: &'a Shared,
    profiles: &'a Profiles,
    visited: Vec<&'a str>,
    roles: Vec<Role>,
}

impl<'a> Chain<'a> {
    /// Collects the roles up to the base credentials. An intermediate profile that has an access key of its own ends
    /// the chain.
    fn base(&mut self, mut said: Said<'a>) -> Result<Option<Base>, ProviderError> {
        loop {
            let is_first = self.visited.is_empty();
            let is_end = !said.has_role() || (!is_first && said.has_keys());
            if is_end {
                let base = self.own(said)?;
                let is_enough = is_first || base.is_some();
                return if is_enough { Ok(base) } else { Err(ProfileError::Empty.at(said.shown())) };
            }
            self.visited.push(said.name);
            self.roles.push(said.role()?);
            said = match (said.get("source_profile"), said.get("credential_source")) {
                (Some(_), Some(_)) => return Err(ProfileError::TwoSources.at(said.shown())),
                (None, None) => return Err(ProfileError::NoSource.at(said.shown())),
                (None, Some(word)) => return elsewhere(word, said).map(Some),
                (Some(name), None) if name == said.name && said.has_keys() => return self.own(said),
                (Some(name), None) => self.next(said, name)?,
            };
        }
    }

    fn next(&self, said: Said<'a>, name: &'a str) -> Result<Said<'a>, ProviderError> {
        if self.visited.contains(&name) {
            return Err(ProfileError::Loop.at(said.shown()));
        }
        if self.visited.len() >= DEEPEST {
            return Err(ProfileError::TooDeep.at(escaped(self.shared.name())));
        }
        self.profiles.said(name).ok_or_else(|| self.profiles.unknown(name))
    }

    /// The profile's own source of credentials. The precedence is boto3's.
    fn own(&self, said: Said<'a>) -> Result<Option<Base>, ProviderError> {
        if let Some(file) = said.get("web_identity_token_file") {
            let token_file = file.into();
            if said.get("role_arn").is_none() {
                let lacks = ProfileError::Lacks { key: "role_arn", needed_by: "web_identity_token_file" };
                return Err(lacks.at(said.shown()));
            }
            let role = said.role()?;
            return Ok(Some(Base::Elsewhere(Elsewhere::WebIdentity { role, token_file })));
        }
        if let Some(sso) = Sso::of(said, self.profiles, self.shared.home.as_deref())? {
            return Ok(Some(Base::Sso(sso)));
        }
        if let Some(keys) = keys(said, said.credentials)? {
            return Ok(Some(keys));
        }
        if let Some(helper) = Helper::of(said, &self.shared.environment)? {
            return Ok(Some(Base::Process(helper)));
        }
        keys(said, said.config)
    }
}

/// The access key in one of the files, with the session token from the same file.
fn keys(said: Said<'_>, part: Part<'_>) -> Result<Option<Base>, ProviderError> {
    let lacks = |key, needed_by| Err(ProfileError::Lacks { key, needed_by }.at(said.shown()));
    let secret = |text: &str| Secret::new(text.as_bytes().to_vec());
    match (part.get("aws_access_key_id"), part.get("aws_secret_access_key")) {
        (Some(id), Some(key)) => {
            let keys = Credentials {
                access_key_id: secret(id),
                secret_access_key: secret(key),
                session_token: part.get("aws_session_token").map(secret),
            };
            Ok(Some(Base::Keys(keys, part.shown())))
        }
        (Some(_), None) => lacks("aws_secret_access_key", "aws_access_key_id"),
        (None, Some(_)) => lacks("aws_access_key_id", "aws_secret_access_key"),
        (None, None) => Ok(None),
    }
}

fn elsewhere(word: &str, said: Said<'_>) -> Result<Base, ProviderError> {
    match word {
        "Environment" => Ok(Base::Elsewhere(Elsewhere::Environment)),
        "EcsContainer" => Ok(Base::Elsewhere(Elsewhere::EcsContainer)),
        "Ec2InstanceMetadata" => Ok(Base::Elsewhere(Elsewhere::Ec2InstanceMetadata)),
        _ => Err(ProfileError::Source { word: escaped(word) }.at(said.shown())),
    }
}

impl Said<'_> {
    /// Whether the profile is a role assumed with other credentials.
    fn has_role(&self) -> bool {
        self.get("role_arn").is_some() && self.get("web_identity_token_file").is_none()
    }

    fn has_keys(&self) -> bool {
        self.get("aws_access_key_id").is_some() || self.get("aws_secret_access_key").is_some()
    }

    fn role(&self) -> Result<Role, ProviderError> {
        if self.get("mfa_serial").is_some() {
            return Err(ProfileError::Mfa.at(self.shown()));
        }
        let wrong = || ProfileError::Value { key: "duration_seconds", expected: "a number of seconds" };
        let duration = self.get("duration_seconds").map(str::parse).transpose();
        Ok(Role {
            arn: self.get("role_arn").unwrap_or_default().to_owned(),
            session: self.get("role_session_name").unwrap_or(sts::SESSION).to_owned(),
            external_id: self.get("external_id").map(str::to_owned),
            duration: duration.map_err(|_| wrong().at(self.shown()))?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::Kind;

    /// Writes both files to a home directory and reads them.
    fn shared(profile: Option<&str>, config: &str, credentials: &str) -> Shared {
        let home = tempfile::tempdir().unwrap();
        let aws = home.path().join(".aws");
        std::fs::create_dir(&aws).unwrap();
        for (name, text) in [("config", config), ("credentials", credentials)] {
            crate::system::write::write(&directory(&aws), name, text.as_bytes(), 0o600).unwrap();
        }
        let home = Some(home.path().to_owned());
        let shared = Shared { profile: profile.map(str::to_owned), home, ..Shared::default() };
        shared.profiles().unwrap();
        shared
    }

    fn directory(path: &std::path::Path) -> std::os::fd::OwnedFd {
        std::fs::File::open(path).unwrap().into()
    }

    fn found(profile: &str, config: &str, credentials: &str) -> Profile {
        find(&shared(Some(profile), config, credentials)).unwrap().unwrap()
    }

    /// The label of the profile, without the path of the home directory.
    fn label(profile: &str, config: &str, credentials: &str) -> String {
        let label = found(profile, config, credentials).label();
        label
            .split_whitespace()
            .map(|word| word.rsplit_once("/.aws/").map_or(word, |it| it.1))
            .collect::<Vec<_>>()
            .join(" ")
    }

    #[track_caller]
    fn refused(profile: &str, config: &str) -> String {
        let error = find(&shared(Some(profile), config, "")).unwrap_err();
        assert_eq!(error.kind(), Kind::Misconfigured, "{error}");
        assert!(!format!("{error} {error:?} {}", error.fix()).contains("canary"));
        error.to_string()
    }

    const KEYS: &str = "aws_access_key_id = AK\naws_secret_access_key = canary\n";

    #[test]
    fn the_credentials_file_overrides_the_config_file() {
        let config = format!("[default]\n{KEYS}");
        let credentials = "[default]\naws_access_key_id = OTHER\naws_secret_access_key = canary\n";
        let Base::Keys(keys, _) = found("default", &config, credentials).base else { panic!("no keys") };
        assert_eq!(keys.access_key_id.expose(), b"OTHER");
        assert_eq!(label("default", &config, credentials), "profile `default`: the key in credentials");
        assert_eq!(label("default", &config, ""), "profile `default`: the key in config");
    }

    #[test]
    fn a_program_overrides_the_keys_of_the_config_file_only() {
        let config = format!("[profile a]\n{KEYS}credential_process = /bin/x\n");
        assert_eq!(label("a", &config, ""), "profile `a`: credential_process");
        assert_eq!(label("a", &config, &format!("[a]\n{KEYS}")), "profile `a`: the key in credentials");
    }

    #[test]
    fn a_token_file_and_a_sign_on_override_keys() {
        let config = "[profile a]\nrole_arn = R\nweb_identity_token_file = /t\n\
                      [profile b]\nsso_account_id = 1\nsso_role_name = r\nsso_start_url = u\nsso_region = eu-west-1\n";
        let credentials = format!("[a]\n{KEYS}[b]\n{KEYS}");
        assert_eq!(label("a", config, &credentials), "profile `a`: the token in /t, as role R");
        assert_eq!(label("b", config, &credentials), "profile `b`: aws sso login");
    }

    #[test]
    fn roles_are_assumed_from_the_end_of_the_chain() {
        let config = "[profile a]\nrole_arn = A\nsource_profile = b\nexternal_id = x\nduration_seconds = 900\n\
                      [profile b]\nrole_arn = B\nsource_profile = default\nrole_session_name = s\n";
        let profile = found("a", config, &format!("[default]\n{KEYS}"));
        assert!(profile.label().ends_with("credentials, as role B, as role A"), "{}", profile.label());
        let [a, b] = &profile.roles[..] else { panic!("{profile:?}") };
        assert_eq!(
            (a.external_id.as_deref(), a.duration, a.session.as_str()),
            (Some("x"), Some(900), sts::SESSION)
        );
        assert_eq!((b.external_id.as_deref(), b.duration, b.session.as_str()), (None, None, "s"));
    }

    #[test]
    fn a_profile_in_the_middle_that_has_keys_is_the_end() {
        let config = format!(
            "[profile a]\nrole_arn = A\nsource_profile = b\n[profile b]\nrole_arn = B\nsource_profile = c\n{KEYS}"
        );
        assert_eq!(label("a", &config, ""), "profile `a`: the key in config, as role A");
    }

    #[test]
    fn a_profile_with_keys_can_be_its_own_source() {
        let config = format!("[profile a]\nrole_arn = A\nsource_profile = a\n{KEYS}");
        assert_eq!(label("a", &config, ""), "profile `a`: the key in config, as role A");
    }

    #[test]
    fn what_is_outside_of_the_files_is_named() {
        for (word, source) in [
            ("Environment", Elsewhere::Environment),
            ("EcsContainer", Elsewhere::EcsContainer),
            ("Ec2InstanceMetadata", Elsewhere::Ec2InstanceMetadata),
        ] {
            let config = format!("[profile a]\nrole_arn = A\ncredential_source = {word}\n");
            let Base::Elsewhere(found) = found("a", &config, "").base else { panic!("{word}") };
            assert_eq!(found, source);
        }
    }

    #[test]
    fn a_chain_that_does_not_end_is_refused() {
        let two =
            "[profile a]\nrole_arn = A\nsource_profile = b\n[profile b]\nrole_arn = B\nsource_profile = a\n";
        assert!(refused("a", two).contains("leads back"));
        assert!(refused("a", "[profile a]\nrole_arn = A\nsource_profile = a\n").contains("leads back"));
        let link = |n: usize| format!("[profile p{n}]\nrole_arn = R\nsource_profile = p{}\n", n + 1);
        let long: String = (1..=DEEPEST).map(link).collect();
        assert!(refused("p1", &format!("{long}[profile p9]\n{KEYS}")).contains("more than 8"));
        assert_eq!(found("p2", &format!("{long}[profile p9]\n{KEYS}"), "").roles.len(), 7);
    }

    #[test]
    fn half_a_profile_is_refused() {
        let cases = [
            ("aws_access_key_id = A", "aws_secret_access_key"),
            ("aws_secret_access_key = canary", "aws_access_key_id"),
            ("role_arn = A", "nothing to assume"),
            ("role_arn = A\nsource_profile = x\ncredential_source = Environment", "both"),
            ("role_arn = A\ncredential_source = environment", "unknown `credential_source`"),
            ("role_arn = A\nsource_profile = none", "`none` does not exist"),
            ("role_arn = A\nsource_profile = empty", "`empty` is a `source_profile` without"),
            ("role_arn = A\nsource_profile = x\nmfa_serial = m", "mfa_serial"),
            ("role_arn = A\nsource_profile = x\nduration_seconds = 1h", "duration_seconds"),
            ("web_identity_token_file = /t", "role_arn"),
            ("credential_process = \"canary", "quotation mark"),
            ("sso_account_id = 1", "sso_start_url"),
            ("sso_role_name = 1\nsso_session = none", "sso_session"),
            ("sso_role_name = r\nsso_start_url = u\nsso_region = eu-west-1/", "sso_region"),
        ];
        for (keys, why) in cases {
            let told = refused("a", &format!("[profile a]\n{keys}\n[profile empty]\nregion = eu-west-1\n"));
            assert!(told.contains(why), "{told}");
        }
    }

    #[test]
    fn a_profile_that_is_named_has_to_exist_and_the_default_one_need_not() {
        assert!(refused("prod", "[profile prod1]\n").contains("did you mean `prod1`?"));
        assert!(find(&shared(None, "[profile a]\nrole_arn = A\n", "")).unwrap().is_none());
        assert!(find(&shared(None, "[default]\nregion = eu-west-1\n", "")).unwrap().is_none());
        assert!(find(&Shared::default()).unwrap().is_none(), "without a home directory");
        let told = find(&Shared { profile: Some("a".into()), ..Shared::default() }).unwrap_err().to_string();
        assert!(told.contains("without HOME"), "{told}");
    }

    #[test]
    fn the_region_is_that_of_the_profile() {
        let config = "[default]\nregion = eu-west-1\n[profile \"a b\"]\nregion = eu-west-2\n[profile c]\nregion = x/y\n";
        let region = |profile| shared(profile, config, "").region();
        assert_eq!(region(None).unwrap().as_deref(), Some("eu-west-1"));
        assert_eq!(region(Some("a b")).unwrap().as_deref(), Some("eu-west-2"));
        assert_eq!(region(Some("none")).unwrap(), None);
        assert!(region(Some("c")).is_err());
    }

    #[test]
    fn debug_shows_no_key() {
        let profile = found("a", &format!("[profile a]\n{KEYS}"), "");
        assert!(!format!("{profile:?}").contains("canary"));
    }
}
