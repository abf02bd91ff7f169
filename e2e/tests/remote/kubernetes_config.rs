//! Signing in at a real kube-apiserver by a kubeconfig, outside a pod. kubectl judges the same
//! file: what cryokey reads with it, kubectl reads too.

use std::fs;

use base64ct::{Base64, Encoding as _};
use serde_json::{Value, json};

use crate::support::kubernetes::{API, Namespace, kubernetes};
use crate::support::{Certified, Sandbox, canary};

const HOME: &str = "/etc/home";
const PATH: &str = "/etc/home/.kube/config";

/// A Secret that the service account `app` may read, and those users that a test adds.
struct Stored {
    namespace: Namespace,
    value: String,
}

impl Stored {
    fn new() -> Option<Self> {
        let (namespace, value) = (kubernetes()?.namespace(), canary());
        namespace.secret("app", &[("password", &value)]);
        namespace.allow(&["app"]);
        Some(Self { namespace, value })
    }

    /// cryokey, which wants the secret, and is in no pod.
    fn sandbox(&self) -> Sandbox {
        Sandbox::new(self.namespace.cluster.network())
            .manifest("[secret.PASSWORD]\nrequired = true\nfrom = [\"k8s:app#password\"]\n")
            .variable("HOME", HOME)
            .watch(&self.value)
    }

    fn cluster(&self) -> Value {
        let authority = fs::read(self.namespace.cluster.authority().certificate()).unwrap();
        json!({
            "server": format!("https://{}", self.namespace.cluster.server()),
            "certificate-authority-data": Base64::encode_string(&authority),
        })
    }

    fn config(&self, cluster: &Value, user: &Value) -> String {
        let context = json!({"cluster": "tests", "user": "jane", "namespace": self.namespace.name});
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "dev",
            "clusters": [{"name": "tests", "cluster": cluster}],
            "users": [{"name": "other", "user": {"token": "other"}}, {"name": "jane", "user": user}],
            "contexts": [{"name": "dev", "context": context}],
        });
        config.to_string()
    }

    fn with(&self, user: &Value) -> Sandbox {
        self.sandbox().file(PATH, self.config(&self.cluster(), user))
    }

    /// The token of the service account, whose last part must not be shown.
    fn token(&self, sandbox: impl FnOnce(&str) -> Sandbox) -> Sandbox {
        let token = self.namespace.token();
        sandbox(&token).watch(token.rsplit('.').next().unwrap())
    }

    /// A user who may read the Secret, and the certificate that says who it is.
    fn user(&self) -> (String, Certified) {
        let name = format!("jane-{}", self.namespace.name);
        let binding = json!({
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "read"},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": name}],
        });
        self.namespace.create("rbac.authorization.k8s.io/v1", "RoleBinding", "read-by-user", binding);
        let certified = self.namespace.cluster.authority().client(&name);
        (name, certified)
    }

    #[track_caller]
    fn is_read_by(&self, sandbox: &Sandbox, proof: &str) {
        let outcome = sandbox.start();
        outcome.warns_of_nothing().says(&format!("the user jane of {PATH}, by {proof}"));
        outcome.app().has("PASSWORD", &self.value);
        let judge = ["get", "secret", "app", "--output", "jsonpath={.data.password}"];
        let judged = sandbox.program("/usr/bin/kubectl".as_ref(), judge);
        assert_eq!(judged.text(), Base64::encode_string(self.value.as_bytes()));
    }
}

fn encoded(path: &std::path::Path) -> String {
    Base64::encode_string(&fs::read(path).unwrap())
}

fn exec(version: &str, command: &str) -> Value {
    let version = format!("client.authentication.k8s.io/{version}");
    json!({"exec": {"apiVersion": version, "command": command, "interactiveMode": "IfAvailable"}})
}

/// A shell script that prints this status, and nothing if its input is open or it is not told what kubectl tells.
fn program(version: &str, status: &Value) -> String {
    let version = format!("client.authentication.k8s.io/{version}");
    let printed = json!({"apiVersion": version, "kind": "ExecCredential", "status": status});
    format!(
        "#!/bin/sh\nread -r _ && exit 3\ncase \"$KUBERNETES_EXEC_INFO\" in *'\"interactive\":false'*) ;; *) exit 4 ;; esac\n\
         case \"$KUBERNETES_EXEC_INFO\" in *'\"{version}\"'*) ;; *) exit 5 ;; esac\nprintf '%s' '{printed}'\n"
    )
}

#[test]
fn a_token_signs_in_and_the_context_names_the_namespace() {
    let Some(stored) = Stored::new() else { return };
    let sandbox = stored.token(|token| stored.with(&json!({"token": token})));
    stored.is_read_by(&sandbox, "its token");
    for line in [&["check"][..], &["explain", "PASSWORD"]] {
        let shown = sandbox.command(line);
        let all = shown.printed() + &shown.stderr;
        assert!(all.contains(&format!("the user jane of {PATH}, by its token")), "{line:?}: {all}");
    }
}

#[test]
fn names_are_searched_for_in_the_secrets_of_the_variable() {
    let Some(stored) = Stored::new() else { return };
    let sandbox = stored.token(|token| stored.with(&json!({"token": token})));
    let sandbox = sandbox.manifest("[secret.PASSWORD]\nrequired = true\n").variable("K8S_SECRET_NAME", "app");
    stored.is_read_by(&sandbox, "its token");
}

#[test]
fn a_token_file_is_beside_the_kubeconfig() {
    let Some(stored) = Stored::new() else { return };
    let user = json!({"tokenFile": "tokens/app", "token": "older"});
    let sandbox = stored
        .token(|token| stored.with(&user).file(&format!("{HOME}/.kube/tokens/app"), format!("{token}\n")));
    stored.is_read_by(&sandbox, &format!("the token in {HOME}/.kube/tokens/app"));
}

#[test]
fn a_client_certificate_signs_in_from_files_or_from_the_kubeconfig() {
    let Some(stored) = Stored::new() else { return };
    let (_, Certified { certificate, key }) = stored.user();
    let data = json!({"client-certificate-data": encoded(&certificate), "client-key-data": encoded(&key)});
    stored.is_read_by(&stored.with(&data).watch(encoded(&key)), "its client certificate");
    let files = json!({"client-certificate": "jane.pem", "client-key": format!("{HOME}/jane.key")});
    let sandbox = stored
        .with(&files)
        .file(&format!("{HOME}/.kube/jane.pem"), fs::read(&certificate).unwrap())
        .file(&format!("{HOME}/jane.key"), fs::read(&key).unwrap());
    stored.is_read_by(&sandbox, "its client certificate");
}

#[test]
fn a_program_prints_a_token_or_a_certificate() {
    let Some(stored) = Stored::new() else { return };
    let (_, Certified { certificate, key }) = stored.user();
    let read = |path| fs::read_to_string(path).unwrap();
    let certified = json!({"clientCertificateData": read(&certificate), "clientKeyData": read(&key)});
    for version in ["v1", "v1beta1"] {
        let sandbox = stored.token(|token| {
            let script = program(version, &json!({"token": token}));
            stored
                .with(&exec(version, "bin/sign-in"))
                .executable(&format!("{HOME}/.kube/bin/sign-in"), &script)
        });
        stored.is_read_by(&sandbox, "the program bin/sign-in");
    }
    let sandbox = stored
        .with(&exec("v1", "sign-in"))
        .executable("/etc/bin/sign-in", &program("v1", &certified))
        .variable("PATH", "/usr/bin:/bin:/etc/bin");
    stored.is_read_by(&sandbox, "the program sign-in");
    stored.is_read_by(&sandbox.pid_1(), "the program sign-in");
}

#[test]
fn a_user_without_permission_is_told_how_to_get_it() {
    let Some(stored) = Stored::new() else { return };
    let (name, Certified { certificate, key }) = stored.user();
    stored
        .namespace
        .cluster
        .kubectl(&["-n", &stored.namespace.name, "delete", "rolebinding", "read-by-user"], "");
    let data = json!({"client-certificate-data": encoded(&certificate), "client-key-data": encoded(&key)});
    let sandbox = stored.with(&data);
    let outcome = sandbox.start();
    outcome
        .refused(77, "resolve", "PASSWORD", "denied")
        .says(&format!("the user {name} may not read this Secret"));
    let line = outcome.stderr.lines().find(|line| line.contains("may not read this Secret")).unwrap();
    let command = line.split_once("fix: ").unwrap().1;
    assert!(command.ends_with(&format!("--user={name}")), "{command}");
    for line in command
        .replace("create role ", "create role again-")
        .replace("--role=", "--role=again-")
        .split(" && ")
    {
        let words: Vec<&str> = line.split(' ').skip(1).collect();
        stored.namespace.cluster.kubectl(&words, "");
    }
    sandbox.start().app().has("PASSWORD", &stored.value);
}

#[test]
fn a_rejected_credential_never_becomes_another_identity() {
    let Some(stored) = Stored::new() else { return };
    let outcome = stored.with(&json!({"token": "wrong"})).start();
    outcome.refused(77, "resolve", "PASSWORD", "denied").nothing_happened();
    outcome.says(&format!("rejects the user jane of {PATH}, by its token"));
    let broken = stored.token(|token| {
        let good = stored.config(&stored.cluster(), &json!({"token": token}));
        stored.sandbox().file("/etc/broken", "users: [").file(PATH, good)
    });
    let outcome = broken.variable("KUBECONFIG", &format!("/etc/broken:{PATH}")).start();
    outcome.refused(78, "resolve", "PASSWORD", "configuration").nothing_happened();
    outcome.says("/etc/broken:").does_not_say("sign-in at Kubernetes");
}

#[test]
fn only_the_authority_and_the_name_of_the_cluster_are_trusted() {
    let Some(stored) = Stored::new() else { return };
    let port = stored.namespace.cluster.server().port();
    let start = |cluster: Value| {
        let address = stored.namespace.cluster.server().ip();
        let sandbox = stored.token(|token| {
            stored
                .sandbox()
                .file(PATH, stored.config(&cluster, &json!({"token": token})))
                .host("other.example", address)
        });
        sandbox.start()
    };
    let mut cluster = stored.cluster();
    cluster["server"] = format!("https://other.example:{port}").into();
    start(cluster.clone()).refused(69, "resolve", "PASSWORD", "untrusted");
    cluster["tls-server-name"] = API.into();
    start(cluster.clone()).app().has("PASSWORD", &stored.value);
    cluster.as_object_mut().unwrap().remove("certificate-authority-data");
    start(cluster).refused(69, "resolve", "PASSWORD", "untrusted");
}

#[test]
fn in_a_pod_the_service_account_signs_in_whatever_the_kubeconfig_says() {
    let Some(stored) = Stored::new() else { return };
    let sandbox = stored.with(&json!({"token": "wrong"})).variable("KUBECONFIG", PATH);
    let address = stored.namespace.cluster.server().ip();
    let outcome = stored.namespace.pod(sandbox).host(API, address).start();
    outcome.says("sign-in at Kubernetes: the service account of this pod");
    outcome.app().has("PASSWORD", &stored.value);
}
