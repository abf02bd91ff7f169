//! All remote sources at once.

use std::net::SocketAddr;
use std::time::Duration;

use crate::conformance::Subject;
use crate::support::{Proxy, Sandbox, canary};
use crate::{aws, azure, google, kubernetes, vault};

/// In rising precedence.
const WORDS: [&str; 5] = ["aws", "vault", "azure", "gcp", "k8s"];
const ORDER: &str = "aws,vault,azure,gcp";

/// Each has TOKEN with its own value, and one key that the others do not have, such as `ONLYAWS`.
struct Five {
    subjects: [Box<dyn Subject>; 5],
    values: [String; 5],
}

impl Five {
    fn open() -> Option<Self> {
        let subjects: [Box<dyn Subject>; 5] = [
            Box::new(aws::Account::open()?),
            Box::new(vault::Kv::open(vault::Version::Two, vault::Layout::Together)?),
            Box::new(azure::Application::open()?),
            Box::new(google::Project::open()?),
            Box::new(kubernetes::Pod::open()?),
        ];
        let values = [(); 5].map(|()| canary());
        for ((subject, value), word) in subjects.iter().zip(&values).zip(WORDS) {
            let only = only(word);
            subject.put(&[("TOKEN", value.as_bytes()), (&only, value.as_bytes())]);
        }
        Some(Self { subjects, values })
    }

    /// With all of them; `at` says where a source is, if not at its own server.
    fn sandbox(&self, at: impl Fn(&str) -> Option<SocketAddr>) -> Sandbox {
        let network = self.subjects[0].network();
        let authorities: Vec<u8> = self
            .subjects
            .iter()
            .flat_map(|it| std::fs::read(it.authority().certificate()).unwrap())
            .collect();
        let mut sandbox = Sandbox::new(network);
        for ((subject, value), word) in self.subjects.iter().zip(&self.values).zip(WORDS) {
            let server = at(word).unwrap_or(subject.server());
            sandbox = subject.configure(sandbox).watch(value);
            sandbox = subject.names().iter().fold(sandbox, |sandbox, name| sandbox.host(name, server.ip()));
        }
        sandbox
            .file("/etc/authorities.pem", authorities)
            .variable("SSL_CERT_FILE", "/etc/authorities.pem")
            .variable("EXTERNAL_SECRET_PROVIDER", ORDER)
    }

    fn manifest() -> String {
        WORDS.map(|word| format!("[secret.{}]\nrequired = true\n", only(word))).concat()
    }
}

fn only(word: &str) -> String {
    format!("ONLY{}", word.to_ascii_uppercase())
}

#[test]
fn five_remote_sources_are_read_at_once_and_the_last_one_wins() {
    let Some(five) = Five::open() else { return };
    let outcome = five.sandbox(|_| None).manifest(&Five::manifest()).start();
    let app = outcome.app();
    for (word, value) in WORDS.iter().zip(&five.values) {
        app.has(&only(word), value);
    }
    app.has("TOKEN", &five.values[4]);
}

#[test]
fn d24_one_dead_one_slow_and_one_that_denies_cost_one_budget_and_are_one_report() {
    let Some(five) = Five::open() else { return };
    let network = five.subjects[0].network();
    five.subjects[4].deny();
    let slow = Proxy::start(network, five.subjects[3].server());
    slow.delay(Duration::from_millis(200));
    let dead = SocketAddr::new(network.address(), five.subjects[1].server().port());
    let at = |word: &str| match word {
        "vault" => Some(dead),
        "gcp" => Some(slow.address()),
        _ => None,
    };
    let sandbox = five.sandbox(at).manifest(&Five::manifest()).variable("CRYOKEY_START_TIMEOUT", "4s");
    let outcome = sandbox.start();
    assert_eq!(outcome.code, 77, "a denial is heavier than an outage: {}", outcome.stderr);
    outcome.nothing_happened();
    outcome
        .says("cannot read secrets from Vault")
        .says("may not read this Secret")
        .does_not_say("does not exist");
    assert!(outcome.took < Duration::from_secs(6), "one budget: {:?}", outcome.took);
}
