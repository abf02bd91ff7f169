//! Tests of which method is chosen, and that no `Debug` or message shows a secret.

use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::provider::aws::endpoint::Endpoints;
use crate::provider::{Cause as _, Kind, http};

/// The states of an offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Given {
    Absent,
    Unusable,
    /// Set in a variable.
    Here,
}

use Given::{Absent, Here, Unusable};

/// All inputs of the choice.
#[derive(Debug, Clone)]
struct World {
    /// In the order of [`VALUES`].
    given: [Given; 8],
    auth: Option<Auth>,
    role: bool,
    jwt_file: bool,
    has_certificate: bool,
}

const VALUES: [&str; 8] = [
    "VAULT_TOKEN",
    "VAULT_WRAPPED_TOKEN",
    "VAULT_ROLE_ID",
    "VAULT_SECRET_ID",
    "VAULT_WRAPPED_SECRET_ID",
    "VAULT_USERNAME",
    "VAULT_PASSWORD",
    "token file",
];

fn offer(name: &str, given: Given) -> Offer {
    match given {
        Absent => Ok(None),
        Unusable => Err(IdentityError::Empty.at(name)),
        Here => Bootstrapped::of_file(Path::new(name), b"canary".to_vec()),
    }
}

impl World {
    fn new(given: &[&str]) -> Self {
        let given = VALUES.map(|name| if given.contains(&name) { Here } else { Absent });
        Self { given, auth: None, role: false, jwt_file: false, has_certificate: false }
    }

    fn offered(&self) -> Offered {
        let [token, wrapped_token, role_id, secret_id, wrapped_secret_id, username, password, token_file] =
            std::array::from_fn(|at| offer(VALUES[at], self.given[at]));
        let settings = Settings {
            auth: self.auth,
            mount: None,
            role: self.role.then(|| "app".to_owned()),
            jwt_file: self.jwt_file.then(|| "/jwt".into()),
            has_certificate: self.has_certificate,
            aws_server_id: None,
        };
        let at_aws = || Identity {
            endpoints: Endpoints::default(),
            http: http::Settings::default(),
            method: Err(IdentityError::Nothing.at("AWS_ACCESS_KEY_ID")),
        };
        Offered {
            settings,
            // Resolved only if the settings ask for it.
            aws: (self.auth == Some(Auth::Aws)).then(at_aws),
            cloud: self.cloud(),
            token,
            wrapped_token,
            role_id,
            secret_id,
            wrapped_secret_id,
            username,
            password,
            token_file,
        }
    }

    fn cloud(&self) -> Option<CloudIdentity> {
        let nothing = || IdentityError::Nothing.at("nothing");
        let http = http::Settings::default();
        match self.auth? {
            Auth::Azure => {
                let cloud = crate::provider::azure::cloud::Cloud::new(None, None);
                let identity =
                    crate::provider::azure::identity::Identity { cloud, http, method: Err(nothing()) };
                Some(CloudIdentity::Azure { identity: Box::new(identity), resource: String::new() })
            }
            Auth::Gcp => {
                let universe = "googleapis.com".to_owned();
                let identity =
                    crate::provider::google::identity::Identity { universe, http, method: Err(nothing()) };
                Some(CloudIdentity::Google(Box::new(identity)))
            }
            _ => None,
        }
    }

    /// The outcome as a word, or the kind of the error.
    fn chosen(&self) -> Result<String, Kind> {
        let method = choose(self.offered()).map_err(|error| error.kind())?;
        let wrapped = matches!(method, Method::AppRole { is_wrapped: true, .. });
        let word = match method {
            Method::Token(token) if token.origin().to_string() == "token file" => "token file",
            Method::Token(_) => "token",
            Method::WrappedToken(_) => "wrapped token",
            Method::AppRole { .. } if wrapped => "approle, wrapped",
            Method::AppRole { .. } => "approle",
            Method::Jwt { auth, .. } => auth.text(),
            Method::Cert { .. } => "cert",
            Method::Aws { .. } => "aws",
            Method::Cloud { .. } => "cloud",
            Method::Userpass { .. } => "userpass",
        };
        Ok(word.to_owned())
    }

    /// The rule a second time, as a list: each step names its requirements, and the first one that is satisfied wins.
    fn expected(&self) -> Result<String, Kind> {
        let [token, wrapped, role_id, secret_id, wrapped_secret, username, password, file] = self.given;
        let secret = if secret_id == Absent { wrapped_secret } else { secret_id };
        let app_role = if secret_id == Absent { "approle, wrapped" } else { "approle" };
        let misconfigured = Err(Kind::Misconfigured);
        let only =
            |is_there: bool, word: &str| if is_there { Ok(word.to_owned()) } else { misconfigured.clone() };
        for (word, needs) in
            [("token", &[token][..]), ("wrapped token", &[wrapped]), (app_role, &[role_id, secret])]
        {
            match needs {
                _ if needs.contains(&Unusable) => return misconfigured,
                _ if needs.iter().all(|need| *need == Here) => return Ok(word.to_owned()),
                _ => {}
            }
        }
        let users = [username, password];
        let by_file = only(file == Here, "token file");
        match self.auth {
            Some(Auth::Kubernetes) => only(self.role, "kubernetes"),
            Some(Auth::Jwt) => only(self.jwt_file, "jwt"),
            Some(Auth::Cert) => only(self.has_certificate, "cert"),
            Some(Auth::Aws) => Ok("aws".to_owned()),
            Some(Auth::Azure | Auth::Gcp) => only(self.role, "cloud"),
            Some(Auth::AppRole) => misconfigured,
            Some(Auth::Userpass) => only(users == [Here, Here], "userpass"),
            None if users.contains(&Unusable) => misconfigured,
            None if users == [Here, Here] => Ok("userpass".to_owned()),
            Some(Auth::Token) | None => by_file,
        }
    }
}

#[test]
fn the_first_way_for_which_there_is_everything_is_chosen() {
    let all = World { auth: Some(Auth::Kubernetes), role: true, ..World::new(&VALUES) };
    let mut left = VALUES.to_vec();
    let mut chosen = vec![all.chosen().unwrap()];
    for gone in &VALUES[..5] {
        left.retain(|name| name != gone);
        chosen.push(World { given: World::new(&left).given, ..all.clone() }.chosen().unwrap());
    }
    assert_eq!(
        chosen,
        ["token", "wrapped token", "approle", "kubernetes", "kubernetes", "kubernetes"],
        "without a role id, a secret id is no way"
    );
    let role = |secret| World::new(&["VAULT_ROLE_ID", secret]).chosen().unwrap();
    assert_eq!(
        [role("VAULT_SECRET_ID"), role("VAULT_WRAPPED_SECRET_ID")],
        ["approle".to_owned(), "approle, wrapped".to_owned()]
    );
    let users = ["VAULT_USERNAME", "VAULT_PASSWORD", "token file"];
    assert_eq!(World::new(&users).chosen().unwrap(), "userpass");
    assert_eq!(World::new(&users[1..]).chosen().unwrap(), "token file");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2_000) })]

    #[test]
    fn the_choice_is_that_of_the_rule(
        given in prop::array::uniform8(select(vec![Absent, Absent, Here, Unusable])),
        auth in option::of(select(Auth::WORDS.iter().map(|(_, auth)| *auth).collect::<Vec<_>>())),
        (role, jwt_file, has_certificate) in any::<(bool, bool, bool)>(),
    ) {
        let world = World { given, auth, role, jwt_file, has_certificate };
        prop_assert_eq!(world.chosen(), world.expected());
    }
}

fn refused(world: &World) -> String {
    let error = choose(world.offered()).unwrap_err();
    assert_eq!(error.kind(), Kind::Misconfigured);
    format!("{error}; fix: {}", error.fix())
}

#[test]
fn what_is_missing_is_named() {
    assert!(refused(&World::new(&[])).contains("VAULT_TOKEN is not set"));
    assert!(refused(&World::new(&["VAULT_ROLE_ID"])).contains("set VAULT_SECRET_ID too"));
    assert!(refused(&World::new(&["VAULT_SECRET_ID"])).contains("set VAULT_ROLE_ID too"));
    let asked = |auth| World { auth: Some(auth), ..World::new(&[]) };
    for (auth, name) in [
        (Auth::AppRole, "VAULT_ROLE_ID"),
        (Auth::Cert, "VAULT_CLIENT_CERT"),
        (Auth::Jwt, "CRYOKEY_VAULT_JWT_FILE"),
        (Auth::Kubernetes, "VAULT_ROLE"),
        (Auth::Token, "VAULT_TOKEN"),
        (Auth::Userpass, "VAULT_USERNAME"),
    ] {
        assert!(refused(&asked(auth)).contains(name), "{name}");
    }
}

#[test]
fn the_mount_is_that_of_the_way_that_the_settings_ask_for() {
    let mount = |auth, mount: &str, of: Auth| {
        let settings = Settings { auth, mount: Some(mount.to_owned()), ..Settings::default() };
        settings.mount(of).map_err(|error| error.kind())
    };
    assert_eq!(mount(Some(Auth::Jwt), "gitlab", Auth::Jwt).unwrap(), "gitlab");
    assert_eq!(mount(Some(Auth::Jwt), "gitlab", Auth::AppRole).unwrap(), "approle");
    assert_eq!(mount(None, "auth/team/apps/", Auth::AppRole).unwrap(), "team/apps");
    for hostile in ["../sys", "a//b", "a?b", "a#b", "", "/"] {
        assert_eq!(mount(None, hostile, Auth::AppRole), Err(Kind::Misconfigured), "{hostile}");
    }
}

#[test]
fn a_user_name_that_leads_elsewhere_is_refused() {
    for hostile in ["../../sys/seal", "..", "a?b", "a/b"] {
        let mut offered = World::new(&["VAULT_USERNAME", "VAULT_PASSWORD"]).offered();
        offered.username = Bootstrapped::of_file(Path::new("VAULT_USERNAME"), hostile.into());
        assert_eq!(choose(offered).unwrap_err().kind(), Kind::Misconfigured, "{hostile}");
    }
}

#[test]
fn a_token_file_may_hold_what_an_agent_writes_where_its_sink_is_wrapped() {
    let file = |text: &str| {
        let mut offered = World::new(&[]).offered();
        offered.token_file = Bootstrapped::of_file(Path::new("/sink"), text.into());
        choose(offered)
    };
    let wrapped =
        file("{\"token\":\"canary\",\"ttl\":60,\"creation_path\":\"auth/token/create\"}\n").unwrap();
    assert_eq!(wrapped.label(), "the wrapped token in /sink");
    assert!(matches!(wrapped, Method::WrappedToken(token) if token.text() == "canary"));
    for other in ["{\"ciphertext\":\"canary\"}", "{", "{\"token\":\"\"}", "{\"token\":\"a\\u0000\"}"] {
        let error = file(other).unwrap_err();
        assert_eq!(error.kind(), Kind::Misconfigured, "{other}");
        assert!(!format!("{error} {error:?}").contains("canary"));
    }
}

#[test]
fn only_the_values_that_were_used_are_taken_from_the_app() {
    let directory = tempfile::tempdir().unwrap();
    let environ = Environ::new(
        ["BAO_TOKEN", "VAULT_WRAPPED_TOKEN", "VAULT_ROLE_ID", "VAULT_SECRET_ID"].map(|it| format!("{it}=x")),
    );
    let consumed = |names| {
        let secrets = crate::provider::files::Settings {
            directory: directory.path().into(),
            name_prefix: String::new(),
            strict_permissions: false,
        };
        let deadline = crate::provider::Deadline::after(std::time::Duration::from_secs(20));
        let bootstrap = Bootstrap::read(secrets, &environ, Vec::new(), NAMES, deadline);
        let mut offered = Offered::new(Settings::default(), None, None, &bootstrap, &environ);
        for name in names {
            match name {
                "BAO_TOKEN" => offered.token = Ok(None),
                _ => offered.wrapped_token = Ok(None),
            }
        }
        choose(offered).unwrap().consumed()
    };
    assert_eq!(consumed(vec![]), ["BAO_TOKEN"]);
    assert_eq!(consumed(vec!["BAO_TOKEN"]), ["VAULT_WRAPPED_TOKEN"]);
    assert_eq!(consumed(vec!["BAO_TOKEN", "VAULT_WRAPPED_TOKEN"]), ["VAULT_SECRET_ID"]);
}

#[test]
fn debug_shows_no_value_of_what_is_offered_chosen_or_got() {
    let world = World { auth: Some(Auth::Userpass), ..World::new(&VALUES) };
    let mut shown = vec![format!("{:?} {:#?}", world.offered(), world.offered())];
    for at in 0..VALUES.len() {
        let given = std::array::from_fn(|other| if other < at { Absent } else { Here });
        if let Ok(method) = choose(World { given, ..world.clone() }.offered()) {
            shown.push(format!("{method:?} {}", method.label()));
        }
    }
    let value = Secret::new(b"canary".to_vec());
    shown.push(format!("{:?}", Token { value, is_made: true, advice: None }));
    let shown = shown.concat();
    assert!(shown.contains("Userpass") && !shown.contains("canary"), "{shown}");
    assert!(!shown.contains("99, 97, 110"), "nor as numbers: {shown}");
}
