//! A second opinion on Google's API: drongo, an independent emulator. It knows the basic path only: no sign-in, no filter,
//! no pages, no checksums, and projects by their ids.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use base64ct::{Base64, Encoding as _};
use e2e::need::or_not_run;
use e2e::program::until;
use serde_json::{Value, json};

use crate::support::google::{MANAGER, PROJECT};
use crate::support::{Authority, Daemon, Network, Sandbox, canary, installed_program, network, request};

const PORT: u16 = 18_060;

struct Drongo {
    network: &'static Network,
    authority: Authority,
    server: SocketAddr,
    _servers: [Daemon; 2],
}

impl Drongo {
    fn start() -> Result<Self, String> {
        let network = network().ok_or("there is no network")?;
        let (drongo, python) =
            (installed_program("drongo", "drongo")?, installed_program("google", "python")?);
        let directory = network.scratch();
        let authority = Authority::new(directory.clone())?;
        let certificate = authority.server(&[&format!("DNS:{MANAGER}")]);
        let server = SocketAddr::new(network.address(), PORT);
        let (host, port) = (server.ip().to_string(), PORT.to_string());
        let words = ["server", "--host", &host, "--port", &port].map(Path::new);
        let behind =
            Daemon::start(network, &[&[drongo.as_path()][..], &words].concat(), &directory.join("log"));
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("google/front.py");
        let words = [&script, Path::new(&host), &certificate.certificate, &certificate.key, Path::new(&port)];
        let front =
            Daemon::start(network, &[&[python.as_path()][..], &words].concat(), &directory.join("front"));
        let drongo = Self { network, authority, server, _servers: [behind, front] };
        until("drongo answers", Duration::from_secs(30), || drongo.ask("GET", "secrets", &json!({})));
        Ok(drongo)
    }

    fn ask(&self, method: &str, path: &str, body: &Value) -> std::io::Result<Value> {
        let line = format!("{method} /v1/projects/{PROJECT}/{path}");
        let headers = ["Content-Type: application/json".to_owned()];
        let response = request(self.network, self.server, &line, &headers, body.to_string().as_bytes())?;
        let text = || String::from_utf8_lossy(&response.body).into_owned();
        if response.status == 200 { Ok(response.json()) } else { Err(std::io::Error::other(text())) }
    }

    fn put(&self, name: &str, value: &str) {
        let replication = json!({"replication": {"automatic": {}}});
        // One that exists gets a new version.
        let _ = self.ask("POST", &format!("secrets?secretId={name}"), &replication);
        let payload = json!({"payload": {"data": Base64::encode_string(value.as_bytes())}});
        self.ask("POST", &format!("secrets/{name}:addVersion"), &payload).unwrap();
    }

    fn sandbox(&self) -> Sandbox {
        let pem = include_str!("../../../tests/data/id_rsa.pkcs1");
        let key = json!({
            "type": "service_account", "private_key": pem, "private_key_id": "key",
            "client_email": format!("app@{PROJECT}.iam.gserviceaccount.com"),
        });
        Sandbox::new(self.network)
            .file("/etc/google-authority.pem", fs::read(self.authority.certificate()).unwrap())
            .file("/run/secrets/GOOGLE_APPLICATION_CREDENTIALS", key.to_string())
            .variable("SSL_CERT_FILE", "/etc/google-authority.pem")
            .variable("EXTERNAL_SECRET_PROVIDER", "gcp")
            .variable("GCP_PROJECT_ID", PROJECT)
            .variable("GCP_SECRET_PREFIX", "app_")
            .host(MANAGER, self.server.ip())
    }
}

#[test]
fn an_independent_emulator_is_read_too() {
    let Some(drongo) = or_not_run(Drongo::start()) else { return };
    let (old, new, bytes) = (canary(), canary(), "zwei Wörter, \n \"quoted\", 🦀");
    drongo.put("app_API_TOKEN", &old);
    drongo.put("app_API_TOKEN", &new);
    drongo.put("app_TEXT", bytes);
    drongo.put("other", "outside");
    let manifest = "[secret.API_TOKEN]\nrequired = true\n[secret.OLD]\nfrom = [\"gcp:app_API_TOKEN@1\"]\n";
    let outcome = drongo.sandbox().manifest(manifest).watch(&old).watch(&new).start();
    outcome.app().has("API_TOKEN", &new).has("OLD", &old).has("TEXT", bytes).has_no("OTHER");
    drongo.ask("POST", "secrets/app_API_TOKEN/versions/1:disable", &json!({})).unwrap();
    let text = "[secret.OLD]\nrequired = true\nfrom = [\"gcp:app_API_TOKEN@1\"]\n";
    let disabled = drongo.sandbox().manifest(text).start();
    disabled.refused(66, "resolve", "OLD", "missing").says("is disabled");
    let absent = drongo.sandbox().manifest("[secret.ABSENT]\nrequired = true\n").start();
    absent.refused(66, "resolve", "ABSENT", "missing");
}
