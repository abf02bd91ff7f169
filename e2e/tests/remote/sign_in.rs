//! Every way to sign in at Vault, against a real OpenBao.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::support::{
    Certified, Client, Issuer, NAME, Network, OpenBao, Outcome, READ, Sandbox, canary, openbao, text,
};

/// A secret in OpenBao, and what may read it.
struct Stored {
    bao: &'static OpenBao,
    team: Client<'static>,
    path: String,
    policy: String,
    value: String,
}

impl Stored {
    fn new(bao: &'static OpenBao) -> Self {
        Self::of(bao, bao.root())
    }

    fn of(bao: &'static OpenBao, team: Client<'static>) -> Self {
        let (path, value) = (format!("{}/data/app", team.mount(2)), canary());
        team.write(&path, &json!({"data": {"API_KEY": value}}));
        let policy = team.policy(&path, READ);
        Self { bao, team, path, policy, value }
    }

    /// cryokey, which wants the secret, and has nothing to sign in with.
    fn sandbox(&self) -> Sandbox {
        let address = self.bao.tls();
        Sandbox::new(self.bao.network())
            .manifest("[secret.API_KEY]\nrequired = true\n")
            .host(NAME, address.ip())
            .variable("EXTERNAL_SECRET_PROVIDER", "vault")
            .variable("VAULT_ADDR", &format!("https://{NAME}:{}", address.port()))
            .variable("VAULT_CACERT", self.bao.authority().certificate().to_str().unwrap())
            .variable("VAULT_SECRET_PATH", &self.path)
            .watch(&self.value)
    }

    fn token(&self) -> String {
        self.team.token(&[&self.policy], &json!({"ttl": "1h"}))
    }

    /// The app got the secret.
    #[track_caller]
    fn arrived(&self, outcome: &Outcome) {
        outcome.app().has("API_KEY", &self.value);
    }

    /// A role id and a secret id.
    fn approle(&self, mount: &str, options: &Value) -> (String, String) {
        self.team.approle(mount, &[&self.policy], options)
    }

    /// How many tokens that were made at this mount exist.
    fn tokens_of(&self, mount: &str) -> usize {
        let made_at = format!("auth/{mount}/login");
        let root = self.bao.root();
        let listed = root.call("LIST", "auth/token/accessors", &Value::Null).json();
        let accessors = listed.pointer("/data/keys").and_then(Value::as_array).cloned().unwrap_or_default();
        let is_of = |accessor: &&Value| {
            let found = root.call("POST", "auth/token/lookup-accessor", &json!({ "accessor": accessor }));
            found
                .json()
                .pointer("/data/path")
                .and_then(Value::as_str)
                .is_some_and(|at| at.starts_with(&made_at))
        };
        accessors.iter().filter(is_of).count()
    }
}

fn exists(team: &Client<'_>, token: &str) -> bool {
    team.with(token).call("GET", "auth/token/lookup-self", &Value::Null).status == 200
}

#[track_caller]
fn denied(outcome: &Outcome, why: &str) {
    assert_eq!(outcome.code, 77, "{}", outcome.stderr);
    outcome.says(why).nothing_happened();
}

#[test]
fn a_given_token_is_used_wherever_it_stands_and_never_revoked() {
    let Some(bao) = openbao() else { return };
    let stored = Stored::new(bao);
    let token = stored.token();
    let line = format!("{token}\n");
    let sandboxes = [
        stored.sandbox().credential("VAULT_TOKEN", &token),
        stored.sandbox().credential("BAO_TOKEN", &token).variable("VAULT_TOKEN", "another"),
        stored.sandbox().credential_file("VAULT_TOKEN", &line),
        stored.sandbox().credential_file("vault-token", &line).variable("VAULT_TOKEN", "another"),
        stored.sandbox().file("/run/sink", &line).variable("VAULT_TOKEN_FILE", "/run/sink"),
        stored.sandbox().file("/run/home/.vault-token", &line).variable("HOME", "/run/home"),
    ];
    for sandbox in &sandboxes {
        stored.arrived(sandbox.start().warns_of_nothing());
    }
    let inherited = sandboxes[0].start();
    inherited.says("the app does not inherit").app().has_no("VAULT_TOKEN");
    assert!(exists(&stored.team, &token));
}

#[test]
fn a_token_of_the_selected_environment_wins_over_the_plain_one() {
    let Some(bao) = openbao() else { return };
    let stored = Stored::new(bao);
    let sandbox = stored
        .sandbox()
        .manifest("environments = [\"production\"]\n[secret.API_KEY]\nrequired = true\n")
        .variable("APP_ENV", "production")
        .credential_file("PRODUCTION_VAULT_TOKEN", &stored.token())
        .credential_file("VAULT_TOKEN", &canary());
    stored.arrived(&sandbox.start());
}

#[test]
fn without_anything_to_sign_in_with_the_variable_is_named() {
    let Some(bao) = openbao() else { return };
    let outcome = Stored::new(bao).sandbox().start();
    assert_eq!(outcome.code, 78, "{}", outcome.stderr);
    outcome.says("VAULT_TOKEN is not set");
}

#[test]
fn e12_a_wrapped_token_signs_in_once_and_a_second_unwrap_is_told_as_possible_theft() {
    let Some(bao) = openbao() else { return };
    let stored = Stored::new(bao);
    let wrapped =
        stored.team.wrapped("auth/token/create", &json!({"policies": [stored.policy], "ttl": "1h"}));
    let sandbox = stored.sandbox().credential("VAULT_WRAPPED_TOKEN", &wrapped);
    let outcome = sandbox.command(&["check"]);
    assert_ne!(outcome.code, 0, "what was not tried is not known to be good");
    outcome.says("not tried").does_not_say("theft");
    stored.arrived(&sandbox.start());
    denied(&sandbox.start(), "possible theft");
}

#[test]
fn a_wrapped_response_that_someone_else_made_is_refused_and_not_used_up() {
    let Some(bao) = openbao() else { return };
    let stored = Stored::new(bao);
    let forged = json!({"client_token": "x", "secret_id": "x"});
    let wrapped = stored.team.wrapped("sys/wrapping/wrap", &forged);
    let outcome = stored.sandbox().credential("VAULT_WRAPPED_TOKEN", &wrapped).start();
    denied(outcome.says("sys/wrapping/wrap"), "exchanged");
    let role =
        stored.sandbox().variable("VAULT_ROLE_ID", "x").credential("VAULT_WRAPPED_SECRET_ID", &wrapped);
    denied(&role.start(), "exchanged");
    let unwrapped = stored.team.with(&wrapped).call("POST", "sys/wrapping/unwrap", &Value::Null);
    assert_eq!(unwrapped.status, 200, "it can still be looked into");
}

#[test]
fn an_approle_signs_in_from_files_or_variables_and_its_token_is_revoked() {
    let Some(bao) = openbao() else { return };
    let stored = Stored::new(bao);
    let mount = stored.team.sign_in("approle");
    let (role, secret) = stored.approle(&mount, &json!({}));
    let sandbox = || stored.sandbox().variable("CRYOKEY_VAULT_AUTH_MOUNT", &mount);
    let files = sandbox().credential_file("VAULT_ROLE_ID", &role).credential_file("vault_secret_id", &secret);
    stored.arrived(files.start().warns_of_nothing());
    let variables = sandbox().variable("VAULT_ROLE_ID", &role).credential("VAULT_SECRET_ID", &secret);
    let outcome = variables.start();
    stored.arrived(outcome.warns_of_nothing());
    outcome.app().has_no("VAULT_SECRET_ID").has("VAULT_ROLE_ID", &role);
    assert_eq!(variables.command(&["check"]).code, 0);
    assert_eq!(stored.tokens_of(&mount), 0);
}

#[test]
fn a_startup_that_fails_revokes_its_token_too() {
    let Some(bao) = openbao() else { return };
    let stored = Stored::new(bao);
    let mount = stored.team.sign_in("approle");
    let (role, secret) = stored.approle(&mount, &json!({}));
    let outcome = stored
        .sandbox()
        .manifest("[secret.ABSENT]\nrequired = true\n")
        .variable("CRYOKEY_VAULT_AUTH_MOUNT", &mount)
        .variable("VAULT_ROLE_ID", &role)
        .credential("VAULT_SECRET_ID", &secret)
        .start();
    assert_eq!(outcome.code, 66, "{}", outcome.stderr);
    assert_eq!(stored.tokens_of(&mount), 0);
}

#[test]
fn a_secret_id_that_is_used_up_is_denied_and_check_tells_that_it_used_it() {
    let Some(bao) = openbao() else { return };
    let stored = Stored::new(bao);
    let mount = stored.team.sign_in("approle");
    let (role, secret) = stored.approle(&mount, &json!({"num_uses": 1}));
    let sandbox = stored
        .sandbox()
        .variable("CRYOKEY_VAULT_AUTH_MOUNT", &mount)
        .variable("VAULT_ROLE_ID", &role)
        .credential("VAULT_SECRET_ID", &secret);
    let checked = sandbox.command(&["check"]);
    assert_eq!(checked.code, 0, "{}", checked.stderr);
    assert!(checked.printed().contains("used the secret id once"), "{}", checked.printed());
    denied(&sandbox.start(), "used up");
}

#[test]
fn e12_a_wrapped_secret_id_signs_in_once_also_in_a_namespace() {
    let Some(bao) = openbao() else { return };
    for team in [Some(bao.root()), bao.root().namespace()].into_iter().flatten() {
        let namespace = team.name().to_owned();
        let stored = Stored::of(bao, team);
        let mount = stored.team.sign_in("approle");
        let role = format!("auth/{mount}/role/app");
        stored.team.write(&role, &json!({ "token_policies": [stored.policy] }));
        let id = text(&stored.team.read(&format!("{role}/role-id")), "/data/role_id");
        let wrapped = stored.team.wrapped(&format!("{role}/secret-id"), &json!({}));
        let sandbox = stored
            .sandbox()
            .variable("VAULT_NAMESPACE", &namespace)
            .variable("CRYOKEY_VAULT_AUTH_MOUNT", &mount)
            .credential_file("VAULT_ROLE_ID", &id)
            .credential_file("VAULT_WRAPPED_SECRET_ID", &wrapped);
        stored.arrived(sandbox.start().warns_of_nothing());
        denied(&sandbox.start(), "possible theft");
    }
}

#[test]
fn a_batch_token_which_cannot_be_revoked_is_left_to_expire() {
    let Some(bao) = openbao() else { return };
    let stored = Stored::new(bao);
    let mount = stored.team.sign_in("approle");
    let role = format!("auth/{mount}/role/app");
    stored.team.write(&role, &json!({ "token_policies": [stored.policy], "token_type": "batch" }));
    let id = text(&stored.team.read(&format!("{role}/role-id")), "/data/role_id");
    let secret = text(&stored.team.write(&format!("{role}/secret-id"), &json!({})), "/data/secret_id");
    let sandbox = stored.sandbox().variable("CRYOKEY_VAULT_AUTH_MOUNT", &mount);
    let sandbox = sandbox.variable("VAULT_ROLE_ID", &id).credential("VAULT_SECRET_ID", &secret);
    stored.arrived(sandbox.start().warns_of_nothing());
}

#[test]
fn e21_a_token_that_may_not_revoke_itself_is_a_warning() {
    let Some(bao) = openbao() else { return };
    let stored = Stored::new(bao);
    let mount = stored.team.sign_in("userpass");
    let user = json!({
        "password": "right", "token_policies": [stored.policy], "token_no_default_policy": true, "token_ttl": "60s"
    });
    stored.team.write(&format!("auth/{mount}/users/app"), &user);
    let outcome = with_password(&stored, &mount, "right").start();
    stored.arrived(outcome.warns(&["was not revoked"]));
}

fn with_password(stored: &Stored, mount: &str, password: &str) -> Sandbox {
    stored
        .sandbox()
        .variable("CRYOKEY_VAULT_AUTH_MOUNT", mount)
        .variable("VAULT_USERNAME", "app")
        .credential("VAULT_PASSWORD", password)
}

#[test]
fn a_user_signs_in_with_a_password() {
    let Some(bao) = openbao() else { return };
    let stored = Stored::new(bao);
    let mount = stored.team.sign_in("userpass");
    let password = canary();
    let user = json!({ "password": password, "token_policies": [stored.policy] });
    stored.team.write(&format!("auth/{mount}/users/app"), &user);
    let outcome = with_password(&stored, &mount, &password).start();
    stored.arrived(outcome.warns_of_nothing());
    outcome.app().has_no("VAULT_PASSWORD").has("VAULT_USERNAME", "app");
    assert_eq!(stored.tokens_of(&mount), 0);
    denied(&with_password(&stored, &mount, &canary()).start(), "check VAULT_USERNAME and VAULT_PASSWORD");
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

#[test]
fn a_jwt_signs_in_from_its_file_which_is_read_at_each_start() {
    let Some(bao) = openbao() else { return };
    let stored = Stored::new(bao);
    let issuer = Issuer::new(bao.network().scratch());
    let mount = stored.team.sign_in("jwt");
    let keys = json!({"jwt_validation_pubkeys": [issuer.public_key()], "default_role": "app"});
    stored.team.write(&format!("auth/{mount}/config"), &keys);
    let role = json!({
        "role_type": "jwt", "user_claim": "sub", "bound_audiences": ["vault"], "token_policies": [stored.policy]
    });
    stored.team.write(&format!("auth/{mount}/role/app"), &role);
    let token =
        |expiry| issuer.token(&json!({"sub": "a", "aud": "vault", "iat": now() - 600, "exp": expiry}));
    let sandbox = stored
        .sandbox()
        .variable("VAULT_AUTH_METHOD", "jwt")
        .variable("CRYOKEY_VAULT_AUTH_MOUNT", &mount)
        .variable("CRYOKEY_VAULT_JWT_FILE", "/run/jwt");
    let sandbox = sandbox.file("/run/jwt", token(now() - 500));
    denied(&sandbox.start(), "whether the token has expired");
    let sandbox = sandbox.file("/run/jwt", token(now() + 600));
    stored.arrived(sandbox.start().warns_of_nothing());
    stored.arrived(&sandbox.variable("VAULT_ROLE", "app").start());
    assert_eq!(stored.tokens_of(&mount), 0);
}

/// `OpenBao` has no `gcp` method, but its `jwt` method verifies what `gcp` expects of a service account: a signature by its
/// key, `sub`, and `aud` with the name of the role.
#[test]
fn a_service_account_of_google_signs_a_token_for_its_role() {
    let Some(bao) = openbao() else { return };
    let stored = Stored::new(bao);
    let issuer = Issuer::new(bao.network().scratch());
    let mount = stored.team.sign_in("jwt");
    stored
        .team
        .write(&format!("auth/{mount}/config"), &json!({"jwt_validation_pubkeys": [issuer.public_key()]}));
    let email = "app@my-project.iam.gserviceaccount.com";
    let role = json!({
        "role_type": "jwt", "user_claim": "sub", "bound_subject": email, "bound_audiences": ["vault/app"],
        "token_policies": [stored.policy]
    });
    stored.team.write(&format!("auth/{mount}/role/app"), &role);
    let key = issuer.private_key();
    let file = json!({
        "type": "service_account", "client_email": email, "private_key_id": "key", "private_key": key,
    });
    let sandbox = stored
        .sandbox()
        .variable("VAULT_AUTH_METHOD", "gcp")
        .variable("CRYOKEY_VAULT_AUTH_MOUNT", &mount)
        .file("/run/secrets/GOOGLE_APPLICATION_CREDENTIALS", file.to_string())
        .watch(key.lines().nth(3).unwrap())
        .variable("VAULT_ROLE", "app");
    stored.arrived(sandbox.start().says(&format!("the key of {email}")));
    denied(&sandbox.variable("VAULT_ROLE", "other").start(), "VAULT_ROLE");
}

#[test]
fn a_pod_signs_in_with_the_token_of_its_service_account() {
    let Some(bao) = openbao() else { return };
    let stored = Stored::new(bao);
    let mount = stored.team.sign_in("kubernetes");
    let issuer = Issuer::new(bao.network().scratch());
    let reviewer = review_tokens(bao.network());
    let authority = fs::read_to_string(bao.authority().certificate()).unwrap();
    let config = json!({
        "kubernetes_host": format!("http://{reviewer}"), "kubernetes_ca_cert": authority, "disable_local_ca_jwt": true
    });
    stored.team.write(&format!("auth/{mount}/config"), &config);
    let role = json!({
        "bound_service_account_names": ["app"], "bound_service_account_namespaces": ["team"],
        "token_policies": [stored.policy]
    });
    stored.team.write(&format!("auth/{mount}/role/app"), &role);
    let account = |name: &str| {
        issuer.token(&json!({
            "iss": "https://kubernetes", "sub": format!("system:serviceaccount:team:{name}"), "iat": now(), "nbf": now(), "exp": now() + 600,
            "kubernetes.io": {"namespace": "team", "serviceaccount": {"name": name, "uid": "1"}},
        }))
    };
    let path = "/run/secrets/kubernetes.io/serviceaccount/token";
    let sandbox = stored
        .sandbox()
        .variable("CRYOKEY_VAULT_AUTH", "kubernetes")
        .variable("CRYOKEY_VAULT_AUTH_MOUNT", &mount)
        .variable("VAULT_ROLE", "app");
    let sandbox = sandbox.file(path, account("app"));
    stored.arrived(sandbox.start().warns_of_nothing());
    assert_eq!(stored.tokens_of(&mount), 0);
    denied(&sandbox.file(path, account("other")).start(), "bound to");
}

/// The one part of a Kubernetes API server that OpenBao asks, which says of every token that it is the app's.
fn review_tokens(network: &Network) -> SocketAddr {
    let address = SocketAddr::new(network.address(), 6443);
    let listener = network.inside(|| TcpListener::bind(address)).unwrap();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
            let mut request = [0; 16_384];
            let mut length = 0;
            // The request has ended when its last brace came.
            while !request[..length].ends_with(b"}") && !request[..length].ends_with(b"}\n") {
                match stream.read(&mut request[length..]) {
                    Ok(count) if count > 0 => length += count,
                    _ => break,
                }
            }
            let review = json!({
                "apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview",
                "status": {"authenticated": true, "user": {
                    "username": "system:serviceaccount:team:app", "uid": "1",
                    "groups": ["system:serviceaccounts", "system:serviceaccounts:team"],
                }},
            })
            .to_string();
            let head = format!(
                "HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                review.len()
            );
            let _ = stream.write_all([head, review].concat().as_bytes());
        }
    });
    address
}

#[test]
fn a_client_certificate_signs_in() {
    let Some(bao) = openbao() else { return };
    let stored = Stored::new(bao);
    let mount = stored.team.sign_in("cert");
    let client = bao.authority().client("app");
    let role = json!({"certificate": client.pem(), "token_policies": [stored.policy]});
    stored.team.write(&format!("auth/{mount}/certs/app"), &role);
    let sandbox = |client: &Certified| {
        let path = |path: &std::path::Path| path.to_str().unwrap().to_owned();
        stored
            .sandbox()
            .variable("VAULT_CLIENT_CERT", &path(&client.certificate))
            .variable("VAULT_CLIENT_KEY", &path(&client.key))
            .variable("CRYOKEY_VAULT_AUTH", "cert")
            .variable("CRYOKEY_VAULT_AUTH_MOUNT", &mount)
    };
    stored.arrived(sandbox(&client).start().warns_of_nothing());
    stored.arrived(&sandbox(&client).variable("VAULT_ROLE", "app").start());
    denied(&sandbox(&bao.authority().client("other")).start(), "trusts the certificate");
    assert_eq!(stored.tokens_of(&mount), 0);
}
