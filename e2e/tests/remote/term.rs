//! TERM while a provider hangs: at any moment, in whatever way it hangs, as PID 1 and not.

use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::json;

use crate::support::{BlackHole, Fault, NAME, Proxy, READ, Sandbox, openbao};

#[test]
fn d05_term_ends_a_hanging_start_at_once_fifty_times_of_fifty() {
    let Some(bao) = openbao() else { return };
    let root = bao.root();
    let path = format!("{}/app", root.mount(1));
    root.write(&path, &json!({"TOKEN": "value"}));
    let token = root.token(&[&root.policy(&path, READ)], &json!({"ttl": "1h"}));
    let silent = BlackHole::start(bao.network(), bao.tls().port());
    let hanging = [
        // No answer to the first message of TLS; in the middle of the handshake; and in that of the answer.
        Fault::StallAfter(0),
        Fault::StallAfter(500),
        Fault::StallAfter(2_000),
        Fault::Drip(Duration::from_millis(50)),
    ]
    .map(|fault| {
        let proxy = Proxy::start(bao.network(), bao.tls());
        proxy.break_all(fault);
        proxy
    });
    let addresses: Vec<_> = hanging.iter().map(Proxy::address).chain([silent.address()]).collect();
    let authority = std::fs::read(bao.authority().certificate()).unwrap();
    for round in 0..50 {
        let address = addresses[round % addresses.len()];
        let sandbox = Sandbox::new(bao.network())
            .manifest("[secret.TOKEN]\nrequired = true\n")
            .file("/etc/vault-authority.pem", &authority)
            .host(NAME, address.ip())
            .variable("EXTERNAL_SECRET_PROVIDER", "vault")
            .variable("VAULT_ADDR", &format!("https://{NAME}:{}", address.port()))
            .variable("VAULT_CACERT", "/etc/vault-authority.pem")
            .variable("VAULT_SECRET_PATH", &path)
            .credential("VAULT_TOKEN", &token);
        let sandbox = if round % 2 == 0 { sandbox } else { sandbox.pid_1() };
        let running = sandbox.spawn(["/bin/true"]);
        running.wait_for_cryokey();
        thread::sleep(Duration::from_millis(20 + 4 * u64::try_from(round).unwrap()));
        let told = Instant::now();
        running.signal(Signal::TERM);
        let outcome = running.wait();
        assert_eq!(outcome.code, 143, "round {round}: {}", outcome.stderr);
        outcome.nothing_happened();
        assert!(told.elapsed() < Duration::from_millis(600), "round {round}: {:?}", told.elapsed());
    }
}
