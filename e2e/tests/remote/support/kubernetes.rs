//! A real kube-apiserver with RBAC, and its etcd. There is no controller manager: tests make service accounts by hand,
//! and tokens by `TokenRequest`.

use std::fs;
use std::io::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use base64ct::{Base64, Encoding as _};
use e2e::need::or_not_run;
use e2e::program::{command, run, try_run, until};
use serde_json::{Value, json};

use super::authority::Authority;
use super::daemon::Daemon;
use super::network::try_network;
use super::{Network, Sandbox, installed};

/// The name in the server's certificate.
pub(crate) const API: &str = "kubernetes.default.svc";

/// Where Kubernetes mounts the service account.
pub(crate) const ACCOUNT: &str = "/run/secrets/kubernetes.io/serviceaccount";

const PORT: u16 = 6443;
const ADMINISTRATOR: &str = "administrator";
const PATIENCE: Duration = Duration::from_mins(1);

pub(crate) struct Cluster {
    network: &'static Network,
    directory: PathBuf,
    authority: Authority,
    address: IpAddr,
    namespaces: AtomicU32,
    _servers: [Daemon; 2],
}

/// The cluster that all tests share, or a note that the test did not run. Tests do not meet in it: each has a namespace
/// of its own.
pub(crate) fn kubernetes() -> Option<&'static Cluster> {
    static CLUSTER: LazyLock<Result<Cluster, String>> = LazyLock::new(Cluster::start);
    or_not_run(CLUSTER.as_ref())
}

impl Cluster {
    fn start() -> Result<Self, String> {
        let network = try_network().map_err(Clone::clone)?;
        let program = installed::built("kube-apiserver-1.35.4", "kube-apiserver")?;
        for (program, package) in [("etcd", "etcd-server"), ("kubectl", "kubernetes-client")] {
            try_run(&mut command("sh", ["-c", &format!("command -v {program}")]))
                .map_err(|error| format!("{program}: {error}"))
                .and_then(
                    |ended| if ended.code == 0 { Ok(()) } else { Err(format!("{program} is not installed")) },
                )
                .map_err(|error| format!("{error}; to run it: apt-get install --yes {package}"))?;
        }
        let directory = network.scratch();
        let authority = Authority::new(directory.clone())?;
        let address = network.address();
        let etcd = etcd(network, &directory);
        let server = api_server(network, &program, &directory, &authority, address, &etcd.1);
        let cluster = Self {
            network,
            directory,
            authority,
            address,
            namespaces: AtomicU32::new(0),
            _servers: [etcd.0, server],
        };
        cluster.configure_kubectl();
        until("kube-apiserver is ready", PATIENCE, || cluster.try_kubectl(&["get", "--raw", "/readyz"], ""));
        Ok(cluster)
    }

    pub(crate) fn network(&self) -> &'static Network {
        self.network
    }

    pub(crate) fn authority(&self) -> &Authority {
        &self.authority
    }

    pub(crate) fn server(&self) -> SocketAddr {
        (self.address, PORT).into()
    }

    fn configure_kubectl(&self) {
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "tests",
            "clusters": [{"name": "tests", "cluster": {
                "server": format!("https://{}:{PORT}", self.address),
                "certificate-authority": self.authority.certificate(),
            }}],
            "users": [{"name": "tests", "user": {"token": ADMINISTRATOR}}],
            "contexts": [{"name": "tests", "context": {"cluster": "tests", "user": "tests"}}],
        });
        fs::write(self.directory.join("kubectl.conf"), config.to_string()).unwrap();
    }

    /// What kubectl prints, as an administrator.
    pub(crate) fn kubectl(&self, line: &[&str], input: &str) -> String {
        self.try_kubectl(line, input).unwrap_or_else(|error| panic!("kubectl {line:?}: {error}"))
    }

    pub(crate) fn try_kubectl(&self, line: &[&str], input: &str) -> Result<String, String> {
        let mut command = self.network.command("kubectl");
        command.arg("--kubeconfig").arg(self.directory.join("kubectl.conf"));
        command.arg("--cache-dir").arg(self.directory.join("cache")).args(line);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
    }

    pub(crate) fn create(&self, object: &Value) {
        self.kubectl(&["create", "--validate=false", "-f", "-"], &object.to_string());
    }

    /// An empty namespace, with a service account that may do nothing.
    pub(crate) fn namespace(&'static self) -> Namespace {
        let name = format!("team-{}", self.namespaces.fetch_add(1, Ordering::Relaxed));
        self.create(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}));
        let namespace = Namespace { cluster: self, name };
        namespace.create("v1", "ServiceAccount", "app", json!({}));
        namespace
    }
}

/// A namespace of one test.
pub(crate) struct Namespace {
    pub(crate) cluster: &'static Cluster,
    pub(crate) name: String,
}

impl Namespace {
    /// An object in the namespace.
    pub(crate) fn create(&self, version: &str, kind: &str, name: &str, more: Value) {
        self.cluster.create(&self.object(version, kind, name, more));
    }

    fn object(&self, version: &str, kind: &str, name: &str, mut more: Value) -> Value {
        more["apiVersion"] = version.into();
        more["kind"] = kind.into();
        more["metadata"] = json!({"name": name, "namespace": self.name});
        more
    }

    /// A Secret with these keys and values.
    pub(crate) fn secret<V: AsRef<[u8]>>(&self, name: &str, data: &[(&str, V)]) {
        self.create("v1", "Secret", name, json!({"data": encoded(data)}));
    }

    /// The same in place of the one that is there.
    pub(crate) fn replace<V: AsRef<[u8]>>(&self, name: &str, data: &[(&str, V)]) {
        let object = self.object("v1", "Secret", name, json!({"data": encoded(data)}));
        self.cluster.kubectl(&["replace", "--validate=false", "-f", "-"], &object.to_string());
    }

    /// The service account may read these Secrets, by their names.
    pub(crate) fn allow(&self, secrets: &[&str]) {
        let rule =
            json!({"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"], "resourceNames": secrets});
        self.create("rbac.authorization.k8s.io/v1", "Role", "read", json!({"rules": [rule]}));
        let binding = json!({
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "read"},
            "subjects": [{"kind": "ServiceAccount", "name": "app", "namespace": self.name}],
        });
        self.create("rbac.authorization.k8s.io/v1", "RoleBinding", "read", binding);
    }

    /// It may read nothing any more.
    pub(crate) fn deny(&self) {
        self.cluster.kubectl(&["-n", &self.name, "delete", "rolebinding", "read"], "");
    }

    /// A token of the service account, as `TokenRequest` issues it.
    pub(crate) fn token(&self) -> String {
        let path = format!("/api/v1/namespaces/{}/serviceaccounts/app/token", self.name);
        let request = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 600}});
        let answer = self.cluster.kubectl(&["create", "--raw", &path, "-f", "-"], &request.to_string());
        let answer: Value = serde_json::from_str(&answer).unwrap();
        answer["status"]["token"].as_str().unwrap().to_owned()
    }

    /// As a pod has it: the service account's files, and the address of the API server.
    pub(crate) fn pod(&self, sandbox: Sandbox) -> Sandbox {
        let token = self.token();
        let authority = fs::read(self.cluster.authority.certificate()).unwrap();
        sandbox
            .watch(token.rsplit('.').next().unwrap())
            .file(&format!("{ACCOUNT}/token"), &token)
            .file(&format!("{ACCOUNT}/ca.crt"), authority)
            .file(&format!("{ACCOUNT}/namespace"), &self.name)
            .variable("KUBERNETES_SERVICE_HOST", API)
            .variable("KUBERNETES_SERVICE_PORT", &PORT.to_string())
    }
}

fn encoded<V: AsRef<[u8]>>(data: &[(&str, V)]) -> Value {
    let encode = |(key, value): &(&str, V)| ((*key).to_owned(), Base64::encode_string(value.as_ref()).into());
    Value::Object(data.iter().map(encode).collect())
}

fn etcd(network: &Network, directory: &Path) -> (Daemon, String) {
    let address = network.address();
    let (clients, peers) = (format!("http://{address}:2379"), format!("http://{address}:2380"));
    let (data, members) = (directory.join("etcd"), format!("default={peers}"));
    let line = [
        "etcd".as_ref(),
        "--unsafe-no-fsync".as_ref(),
        "--data-dir".as_ref(),
        data.as_path(),
        "--listen-client-urls".as_ref(),
        Path::new(&clients),
        "--advertise-client-urls".as_ref(),
        Path::new(&clients),
        "--listen-peer-urls".as_ref(),
        Path::new(&peers),
        "--initial-advertise-peer-urls".as_ref(),
        Path::new(&peers),
        "--initial-cluster".as_ref(),
        Path::new(&members),
    ];
    (Daemon::start(network, &line, &directory.join("etcd.log")), clients)
}

fn api_server(
    network: &Network,
    program: &Path,
    directory: &Path,
    authority: &Authority,
    address: IpAddr,
    etcd: &str,
) -> Daemon {
    let server = authority.server(&[&format!("DNS:{API}"), &format!("IP:{address}")]);
    let (key, public, tokens) =
        (directory.join("accounts.key"), directory.join("accounts.pub"), directory.join("tokens"));
    run(command("openssl", ["genrsa", "-out"]).arg(&key).arg("2048")).with(0);
    run(command("openssl", ["rsa", "-pubout", "-in"]).arg(&key).arg("-out").arg(&public)).with(0);
    fs::write(&tokens, format!("{ADMINISTRATOR},administrator,1,system:masters\n")).unwrap();
    let option =
        |name: &str, value: &dyn AsRef<Path>| PathBuf::from(format!("--{name}={}", value.as_ref().display()));
    let line = [
        program.to_owned(),
        option("etcd-servers", &etcd),
        option("bind-address", &address.to_string()),
        option("advertise-address", &address.to_string()),
        option("secure-port", &PORT.to_string()),
        option("cert-dir", &directory),
        option("tls-cert-file", &server.certificate),
        option("tls-private-key-file", &server.key),
        option("client-ca-file", &authority.certificate()),
        option("token-auth-file", &tokens),
        option("authorization-mode", &"RBAC"),
        option("service-account-key-file", &public),
        option("service-account-signing-key-file", &key),
        option("service-account-issuer", &"https://kubernetes.default.svc"),
        option("api-audiences", &"https://kubernetes.default.svc,vault"),
        option("service-cluster-ip-range", &"10.0.0.0/24"),
        option("disable-admission-plugins", &"ServiceAccount"),
        option("endpoint-reconciler-type", &"none"),
    ];
    let line: Vec<&Path> = line.iter().map(PathBuf::as_path).collect();
    Daemon::start(network, &line, &directory.join("api-server.log"))
}
