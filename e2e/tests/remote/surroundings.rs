//! The surroundings themselves: what they claim to be is what cryokey meets.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use e2e::need::or_not_run;
use e2e::program::{command, run};
use rustix::process::Signal;

use crate::support::{
    Answer, Authority, BlackHole, Dns, Fault, Impostor, Network, Proxy, Sandbox, canary, network,
};

const BODY: usize = 1_000;
const SHORT: Duration = Duration::from_millis(300);

#[test]
fn nothing_leaves_the_network() {
    let Some(network) = network() else { return };
    let elsewhere: SocketAddr = ([192, 0, 2, 1], 443).into();
    let error = network.inside(|| TcpStream::connect(elsewhere)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NetworkUnreachable);
    let metadata: SocketAddr = ([169, 254, 169, 254], 80).into();
    let error = network.inside(|| TcpStream::connect(metadata)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused, "the address is this machine's");
}

#[test]
fn cryokey_and_the_app_have_an_etc_and_a_run_of_their_own() {
    let Some(network) = network() else { return };
    let token = canary();
    let sandbox = Sandbox::new(network)
        .manifest("[secret.TOKEN]\nrequired = true\n")
        .file("/run/secrets/TOKEN", &token)
        .watch(&token)
        .host("vault.example", network.address());
    sandbox.start().app().has("TOKEN", &token).has_no("CRYOKEY_LOG");
    let listed = sandbox.run(["/bin/ls", "/etc"]);
    assert_eq!(listed.text(), "cryokey.toml\nhosts\n");
}

#[test]
fn a_credential_that_reaches_the_app_is_noticed() {
    let Some(network) = network() else { return };
    let leaking = [
        Sandbox::new(network).credential("SOME_TOKEN", &canary()),
        Sandbox::new(network).manifest("[secret.FILE_TOKEN]").credential_file("FILE_TOKEN", &canary()),
    ];
    for sandbox in leaking {
        let started = catch_unwind(AssertUnwindSafe(|| sandbox.start()));
        assert!(started.is_err());
        assert_eq!(sandbox.command(&["check"]).code, 0, "it shows no value");
    }
}

#[test]
fn a_signal_reaches_what_the_sandbox_runs() {
    let Some(network) = network() else { return };
    let sandbox = Sandbox::new(network);
    let running = sandbox.spawn(["/bin/sleep", "60"]);
    thread::sleep(SHORT);
    running.signal(Signal::TERM);
    assert_eq!(running.wait().code, 143);
}

#[test]
fn a_signal_reaches_the_first_process_of_a_sandbox() {
    let Some(network) = network() else { return };
    let sandbox = Sandbox::new(network).pid_1();
    let running =
        sandbox.spawn(["/bin/sh", "-c", "trap 'echo $PPID; exit 7' TERM; while :; do sleep 0.05; done"]);
    thread::sleep(SHORT);
    running.signal(Signal::TERM);
    let outcome = running.wait();
    assert_eq!((outcome.code, outcome.printed().as_str()), (7, "1\n"), "{}", outcome.stderr);
}

#[test]
fn the_resolver_says_what_the_test_wants() {
    let Some(network) = network() else { return };
    let dns = Dns::start(network);
    let address = network.address();
    dns.answer("vault.example", Answer::Addresses(vec![address, "fd00:ec2::254".parse().unwrap()]));
    let sandbox = Sandbox::new(network).resolver(&dns);
    let found = sandbox.run(["/usr/bin/getent", "ahosts", "Vault.Example"]);
    assert!(found.text().contains(&address.to_string()), "{}", found.printed());
    assert!(found.text().contains("fd00:ec2::254"), "{}", found.printed());
    assert_eq!(sandbox.run(["/usr/bin/getent", "hosts", "elsewhere.example"]).code, 2);
    assert!(dns.asked().iter().any(|name| name == "elsewhere.example"));
}

#[test]
fn the_resolver_fails_in_every_way() {
    let Some(network) = network() else { return };
    let dns = Dns::start(network);
    dns.answer("broken.example", Answer::Failure);
    dns.answer("silent.example", Answer::Silence);
    assert_eq!(response_code(network, &dns, "unknown.example"), Some(3));
    assert_eq!(response_code(network, &dns, "broken.example"), Some(2));
    assert_eq!(response_code(network, &dns, "silent.example"), None);
    dns.answer("silent.example", Answer::NoSuchName);
    assert_eq!(response_code(network, &dns, "silent.example"), Some(3), "it may change its mind");
}

/// The code of the answer to a question for an IPv4 address.
fn response_code(network: &Network, dns: &Dns, name: &str) -> Option<u8> {
    let socket = network.inside(|| UdpSocket::bind("198.18.0.1:0")).unwrap();
    socket.set_read_timeout(Some(SHORT)).unwrap();
    let label = |part: &str| [&[u8::try_from(part.len()).unwrap()], part.as_bytes()].concat();
    let labels: Vec<u8> = name.split('.').flat_map(label).collect();
    let query = [&[7, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0], &labels[..], &[0, 0, 1, 0, 1]].concat();
    socket.send_to(&query, (dns.address(), 53)).unwrap();
    let mut answer = [0; 512];
    let length = socket.recv(&mut answer).ok()?;
    assert_eq!(answer[..2], [7, 7]);
    assert_eq!(answer[12..length], query[12..], "the question is repeated");
    Some(answer[3] & 0x0f)
}

#[test]
fn the_proxy_passes_on_counts_and_keeps_what_it_carries() {
    let Some(network) = network() else { return };
    let proxy = Proxy::start(network, server(network));
    for _ in 0..2 {
        assert_eq!(ask(network, proxy.address()).unwrap(), [b'x'; BODY]);
    }
    let traffic = proxy.traffic();
    assert_eq!(traffic.connections, 2);
    assert_eq!(traffic.to_server, b"??");
    assert_eq!(traffic.from_server.len(), 2 * BODY);
}

#[test]
fn the_proxy_delays_connecting_and_each_round_trip() {
    let Some(network) = network() else { return };
    let proxy = Proxy::start(network, server(network));
    proxy.delay(Duration::from_millis(50));
    let started = Instant::now();
    ask(network, proxy.address()).unwrap();
    let took = started.elapsed();
    assert!(took >= Duration::from_millis(100) && took < Duration::from_secs(2), "{took:?}");
}

#[test]
fn the_proxy_breaks_the_first_connections_only() {
    let Some(network) = network() else { return };
    let proxy = Proxy::start(network, server(network));
    proxy.break_first(2, Fault::Reset);
    for _ in 0..2 {
        assert_eq!(ask(network, proxy.address()).unwrap_err().kind(), ErrorKind::ConnectionReset);
    }
    assert_eq!(ask(network, proxy.address()).unwrap().len(), BODY);
}

#[test]
fn the_proxy_ends_an_answer_early_in_every_way() {
    let Some(network) = network() else { return };
    let proxy = Proxy::start(network, server(network));
    proxy.break_all(Fault::CloseAfter(10));
    assert_eq!(ask(network, proxy.address()).unwrap().len(), 10);
    proxy.break_all(Fault::ResetAfter(10));
    assert_eq!(ask(network, proxy.address()).unwrap_err().kind(), ErrorKind::ConnectionReset);
    proxy.break_all(Fault::StallAfter(10));
    assert_eq!(ask(network, proxy.address()).unwrap_err().kind(), ErrorKind::WouldBlock);
}

#[test]
fn the_proxy_swaps_a_byte_and_lets_an_answer_drip() {
    let Some(network) = network() else { return };
    let proxy = Proxy::start(network, server(network));
    proxy.break_all(Fault::Swap(900));
    let answer = ask(network, proxy.address()).unwrap();
    let others: Vec<usize> = (0..BODY).filter(|at| answer[*at] != b'x').collect();
    assert_eq!(others, [900]);
    proxy.break_all(Fault::Drip(Duration::from_millis(1)));
    let started = Instant::now();
    assert_eq!(ask(network, proxy.address()).unwrap().len(), BODY);
    assert!(started.elapsed() >= Duration::from_secs(1));
}

#[test]
fn a_proxy_that_starts_later_refuses_connections_until_then() {
    let Some(network) = network() else { return };
    let proxy = Proxy::start_after(network, server(network), SHORT);
    let early = ask(network, proxy.address()).unwrap_err();
    assert_eq!(early.kind(), ErrorKind::ConnectionRefused);
    thread::sleep(2 * SHORT);
    ask(network, proxy.address()).unwrap();
}

#[test]
fn a_black_hole_neither_accepts_nor_refuses() {
    let Some(network) = network() else { return };
    let hole = BlackHole::start(network, 443);
    let error = network.inside(|| TcpStream::connect_timeout(&hole.address(), SHORT)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
}

/// Answers each byte with a body, and closes.
fn server(network: &Network) -> SocketAddr {
    let listener = network.inside(|| TcpListener::bind((network.address(), 80))).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for client in listener.incoming() {
            let mut client = client.unwrap();
            if client.read_exact(&mut [0]).is_ok() {
                client.write_all(&[b'x'; BODY]).unwrap();
            }
        }
    });
    address
}

fn ask(network: &Network, address: SocketAddr) -> std::io::Result<Vec<u8>> {
    let mut stream = network.inside(|| TcpStream::connect(address))?;
    stream.set_read_timeout(Some(2 * SHORT))?;
    stream.write_all(b"?")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).map(|_| answer)
}

#[test]
fn an_impostor_shows_what_it_was_given() {
    let Some(network) = network() else { return };
    let Some(authority) = or_not_run(Authority::new(network.scratch())) else { return };
    let impostor = Impostor::start(network, 443, &authority.expired(&["DNS:vault.example"]));
    let mut line = network.command("openssl");
    line.args(["s_client", "-connect", &impostor.address().to_string(), "-CAfile"]);
    let ended = run(line.arg(authority.certificate()));
    assert!(ended.said().contains("certificate has expired"), "{}", ended.said());
}

#[test]
fn only_a_certificate_of_the_authority_for_the_name_and_the_day_is_valid() {
    let Some(network) = network() else { return };
    let Some(authority) = or_not_run(Authority::new(network.scratch())) else { return };
    let names = ["DNS:vault.example", "IP:198.18.0.1"];
    assert_eq!(judged(&authority, &authority.server(&names).certificate, "vault.example"), "OK");
    let other = judged(&authority, &authority.server(&names).certificate, "other.example");
    assert!(other.contains("hostname mismatch"), "{other}");
    let old = judged(&authority, &authority.expired(&names).certificate, "vault.example");
    assert!(old.contains("certificate has expired"), "{old}");
    let alone = judged(&authority, &authority.self_signed(&names).certificate, "vault.example");
    assert!(alone.contains("self-signed certificate"), "{alone}");
}

fn judged(authority: &Authority, certificate: &Path, name: &str) -> String {
    let mut line = command("openssl", ["verify", "-verify_hostname", name, "-CAfile"]);
    let ended = run(line.arg(authority.certificate()).arg(certificate));
    if ended.code == 0 { "OK".to_owned() } else { ended.said() }
}
