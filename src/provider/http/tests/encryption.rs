//! Tests of TLS: negotiation, verification of servers, and client certificates.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::process::Command;
use std::thread;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use rustls::NamedGroup;
use rustls::crypto::aws_lc_rs;

use super::super::{Client, HttpFault, Settings, TlsFault};
use super::server::{
    Reply, Server, asking_for_certificate, client, cryptography, data, fault, get, identity, soon, trusting,
    with_cryptography,
};
use crate::environ::Environ;
use crate::provider::retry::{Policy, Retryable as _, retry};
use crate::provider::tls::{Identity, TlsFileFault, TlsSetupError, Trust};

fn answering(name: &str) -> Server {
    Server::tls(identity(name), |_| Reply::ok("answer"))
}

#[test]
fn the_post_quantum_group_is_negotiated_where_the_server_has_it() {
    let server = answering("server");
    assert_eq!(get(&client(trusting("ca.pem")), &server.https("/")).unwrap().body(), b"answer");
    assert_eq!(server.groups(), [NamedGroup::X25519MLKEM768]);
}

#[test]
fn x25519_is_negotiated_where_it_has_not() {
    let mut older = cryptography();
    older.kx_groups = vec![aws_lc_rs::kx_group::X25519];
    let server = Server::tls(with_cryptography("server", older), |_| Reply::ok("answer"));
    get(&client(trusting("ca.pem")), &server.https("/")).unwrap();
    assert_eq!(server.groups(), [NamedGroup::X25519]);
}

#[test]
fn tls_connections_are_used_again_too() {
    let server = answering("server");
    let client = client(trusting("ca.pem"));
    for _ in 0..4 {
        get(&client, &server.https("/")).unwrap();
    }
    assert_eq!((server.connections(), server.requests().len()), (1, 4));
}

#[test]
fn a_certificate_for_another_name_is_refused_and_not_tried_again() {
    let server = answering("elsewhere");
    let client = client(trusting("ca.pem"));
    let error = retry(soon(), &Policy::default(), |_| get(&client, &server.https("/"))).unwrap_err();
    assert_eq!(error.fault, HttpFault::Tls(TlsFault::WrongName));
    assert_eq!((server.connections(), server.requests().len()), (1, 0));
}

#[test]
fn an_expired_certificate_is_refused_with_its_date() {
    let server = answering("expired");
    let error = get(&client(trusting("ca.pem")), &server.https("/")).unwrap_err();
    assert!(error.to_string().contains("expired 2020-02-01"), "{error}");
    assert!(error.temporary().is_none());
}

#[test]
fn a_certificate_of_an_unknown_ca_is_refused_and_accepted_once_it_is_trusted() {
    let server = answering("selfsigned");
    for settings in [Settings::default(), trusting("ca.pem")] {
        assert_eq!(fault(&client(settings), &server.https("/")), HttpFault::Tls(TlsFault::UnknownIssuer));
    }
    assert_eq!(get(&client(trusting("selfsigned.pem")), &server.https("/")).unwrap().status(), 200);
}

#[test]
fn the_tests_own_ca_is_not_among_the_built_in_roots() {
    let server = answering("server");
    let unknown = HttpFault::Tls(TlsFault::UnknownIssuer);
    assert_eq!(fault(&client(Settings::default()), &server.https("/")), unknown);
}

/// A server that replies to each connection's first bytes with these bytes.
fn answering_with(bytes: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}/", listener.local_addr().unwrap());
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(bytes);
            // Unread input would turn the close into a reset.
            let _ = stream.set_read_timeout(Some(Duration::from_millis(100)));
            while stream.read(&mut [0; 4096]).is_ok_and(|count| count > 0) {}
        }
    });
    url
}

#[test]
fn e02_a_server_without_a_common_version_is_refused_for_good() {
    // A fatal alert protocol_version; a ServerHello of TLS 1.1 with TLS_RSA_WITH_AES_128_CBC_SHA.
    const HELLO: &[u8] = b"\x16\x03\x02\x00\x2a\x02\x00\x00\x26\x03\x02\
        0123456789abcdef0123456789abcdef\x00\x00\x2f\x00";
    for bytes in [&b"\x15\x03\x01\x00\x02\x02\x46"[..], HELLO] {
        let error = get(&client(trusting("ca.pem")), &answering_with(bytes)).unwrap_err();
        assert_eq!(error.fault, HttpFault::Tls(TlsFault::NothingInCommon));
        assert!(error.temporary().is_none());
    }
}

#[test]
fn a_server_that_speaks_no_tls_is_refused_for_good() {
    let url = answering_with(b"HTTP/1.1 400 Bad Request\r\n\r\n");
    assert_eq!(fault(&client(trusting("ca.pem")), &url), HttpFault::Tls(TlsFault::NotTls));
}

#[test]
fn a_handshake_that_hangs_ends_at_the_connect_limit() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}/", listener.local_addr().unwrap());
    let settings = Settings { connect_limit: Duration::from_millis(80), ..trusting("ca.pem") };
    let fault = fault(&client(settings), &url);
    assert!(matches!(fault, HttpFault::Timeout(super::super::Waiting::Connect)), "{fault:?}");
}

fn presenting(certificate: &str, key: &str) -> Result<Client, TlsSetupError> {
    let identity = Identity {
        certificate: data(certificate).into(),
        key: data(key).into(),
        named_by: "VAULT_CLIENT_KEY",
    };
    Client::new(Settings { identity: Some(identity), ..trusting("ca.pem") })
}

#[test]
fn a_client_certificate_is_presented_with_a_key_in_each_form() {
    let server = Server::tls(asking_for_certificate("server"), |_| Reply::ok("answer"));
    let forms =
        [("client.pem", "client.key"), ("client.pem", "client.sec1"), ("client-rsa.pem", "client-rsa.pkcs1")];
    for (certificate, key) in forms {
        let client = presenting(certificate, key).unwrap();
        assert_eq!(get(&client, &server.https("/")).unwrap().body(), b"answer", "{key}");
    }
}

#[test]
fn a_server_that_requires_a_client_certificate_says_so() {
    let server = Server::tls(asking_for_certificate("server"), |_| Reply::ok("answer"));
    let fault = fault(&client(trusting("ca.pem")), &server.https("/"));
    assert_eq!(fault, HttpFault::Tls(TlsFault::ClientCertificate));
}

#[test]
fn a_key_of_another_certificate_is_refused_without_a_panic() {
    for key in ["server.key", "client-rsa.pkcs1"] {
        let error = presenting("client.pem", key).unwrap_err();
        let TlsSetupError::File { path, fault, .. } = &error else { panic!("{error}") };
        assert_eq!((path, *fault), (&data(key), TlsFileFault::KeyMismatch));
        assert!(error.to_string().starts_with("VAULT_CLIENT_KEY: "), "{error}");
    }
}

fn fault_of(trust: Trust) -> TlsFileFault {
    match Client::new(Settings { trust, ..Settings::default() }).unwrap_err() {
        TlsSetupError::File { fault, .. } => fault,
        TlsSetupError::Text { .. } | TlsSetupError::Library => panic!("no file"),
    }
}

#[test]
fn e03_a_ca_file_that_cannot_be_used_is_refused_by_its_name() {
    let directory = tempfile::tempdir().unwrap();
    let good = std::fs::read_to_string(data("ca.pem")).unwrap();
    let not_a_certificate = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let cases = [
        ("", TlsFileFault::NoCertificate),
        ("no PEM at all", TlsFileFault::NoCertificate),
        (&good[..good.len() / 2], TlsFileFault::BadCertificate),
        (&format!("{good}{not_a_certificate}"), TlsFileFault::BadCertificate),
    ];
    let path = directory.path().join("ca.pem");
    for (text, expected) in cases {
        std::fs::write(&path, text).unwrap();
        assert_eq!(fault_of(Trust::Files { paths: vec![path.clone()], named_by: "X" }), expected, "{text}");
    }
    std::fs::remove_file(&path).unwrap();
    let missing = fault_of(Trust::Files { paths: vec![path], named_by: "X" });
    assert!(matches!(missing, TlsFileFault::Unreadable(_)));
}

#[test]
fn a_directory_of_certificates_needs_one_that_can_be_used() {
    let directory = tempfile::tempdir().unwrap();
    let trust = || Trust::Files { paths: vec![directory.path().to_owned()], named_by: "SSL_CERT_DIR" };
    std::fs::write(directory.path().join("README"), "no PEM").unwrap();
    assert_eq!(fault_of(trust()), TlsFileFault::NoCertificate);
    std::fs::copy(data("ca.pem"), directory.path().join("ca.pem")).unwrap();
    let server = answering("server");
    let client = client(Settings { trust: trust(), ..Settings::default() });
    assert_eq!(get(&client, &server.https("/")).unwrap().status(), 200);
}

#[test]
fn an_explicit_ca_overrides_ssl_cert_file_which_overrides_the_built_in_roots() {
    let files =
        |paths: &[&str], named_by| Trust::Files { paths: paths.iter().map(Into::into).collect(), named_by };
    let environ = Environ::new(["SSL_CERT_FILE=/a", "SSL_CERT_DIR=/b:/c"]);
    let explicit = Some(("/d".into(), "VAULT_CACERT"));
    assert_eq!(Trust::chosen(explicit, &environ), files(&["/d"], "VAULT_CACERT"));
    assert_eq!(Trust::chosen(None, &environ), files(&["/a", "/b", "/c"], "SSL_CERT_FILE, SSL_CERT_DIR"));
    let one = Environ::new(["SSL_CERT_FILE=/a", "SSL_CERT_DIR="]);
    assert_eq!(Trust::chosen(None, &one), files(&["/a"], "SSL_CERT_FILE"));
    assert_eq!(Trust::chosen(None, &Environ::new(["SSL_CERT_FILE="])), Trust::BuiltIn);
}

/// CPU time of this thread.
fn cpu() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap()
}

/// Jitter entropy costs 28 ms the first time in a process, so it is measured in a child process. The cost returns if
/// `AWS_LC_SYS_NO_JITTER_ENTROPY` is lost from `.cargo/config.toml`.
#[test]
fn the_first_random_number_costs_no_28_ms() {
    const CHILD: &str = "CRYOKEY_TEST_FIRST_RANDOM_NUMBER";
    if std::env::var_os(CHILD).is_some() {
        let before = cpu();
        cryptography().secure_random.fill(&mut [0; 32]).unwrap();
        let cost = cpu().checked_sub(before).unwrap();
        assert!(cost < Duration::from_millis(12), "the first random number cost {cost:?}");
        return;
    }
    let name = "provider::http::tests::encryption::the_first_random_number_costs_no_28_ms";
    let mut child = Command::new(std::env::current_exe().unwrap());
    let outcome = child.args(["--exact", name]).env(CHILD, "1").output().unwrap();
    let said = String::from_utf8_lossy(&outcome.stdout);
    assert!(outcome.status.success() && said.contains("1 passed"), "{said}");
}
