//! Tests of where requests go: redirects, plain `http`, proxies, unix sockets, name resolution.

use std::time::{Duration, Instant};

use super::super::{AllowHttp, HttpFault, Method, Proxies, Request, Settings};
use super::server::{Reply, Server, client, fault, get, identity, soon, trusting, unix};
use crate::environ::Environ;
use crate::provider::Deadline;
use crate::provider::retry::Retryable as _;

fn following(server: &Server, redirects: u8) -> Request {
    Request::new(Method::Get, &server.url("/start")).unwrap().following(redirects)
}

#[test]
fn redirects_on_the_same_host_are_followed_as_far_as_the_request_says() {
    let server = Server::plain(|request| match request.split(' ').nth(1).unwrap() {
        "/start" => Reply::redirect("/second"),
        "/second" => Reply::redirect("/third"),
        _ => Reply::ok("arrived"),
    });
    let client = client(Settings::default());
    assert_eq!(client.send(&following(&server, 2), soon()).unwrap().body(), b"arrived");
    for too_few in [0, 1] {
        let error = client.send(&following(&server, too_few), soon()).unwrap_err();
        assert_eq!(error.fault, HttpFault::TooManyRedirects);
    }
}

#[test]
fn a_redirect_in_a_circle_ends_after_three() {
    let server = Server::plain(|_| Reply::redirect("/start"));
    let error = client(Settings::default()).send(&following(&server, 255), soon()).unwrap_err();
    assert_eq!(error.fault, HttpFault::TooManyRedirects);
    assert_eq!(server.requests().len(), 4);
}

#[test]
fn a_redirect_to_another_host_names_it_and_is_neither_followed_nor_temporary() {
    let other = Server::plain(|_| Reply::ok("stolen"));
    let url = other.url("/canary");
    let server = Server::plain(move |_| Reply::redirect(&url));
    let error = client(Settings::default()).send(&following(&server, 3), soon()).unwrap_err();
    assert_eq!(error.fault, HttpFault::Redirect { to: format!("127.0.0.1:{}", other.port()) });
    assert!(error.temporary().is_none() && !error.to_string().contains("canary"), "{error}");
    assert_eq!(other.connections(), 0);
}

#[test]
fn a_redirect_from_https_to_http_is_refused() {
    let server = Server::tls(identity("server"), |request| {
        let host =
            request.lines().find_map(|line| line.to_lowercase().strip_prefix("host: ").map(str::to_owned));
        Reply::redirect(&format!("http://{}/", host.unwrap()))
    });
    let request = Request::new(Method::Get, &server.https("/")).unwrap().following(3);
    let error = client(trusting("ca.pem")).send(&request, soon()).unwrap_err();
    assert!(matches!(error.fault, HttpFault::Redirect { .. }), "{error}");
}

#[test]
fn e05_plain_http_is_refused_unless_the_list_names_host_and_port() {
    let refused = client(Settings::default());
    for url in ["http://vault.invalid:8200/", "http://10.0.0.1/", "http://169.254.169.254/latest"] {
        assert_eq!(fault(&refused, url), HttpFault::PlainHttp, "{url}");
    }
    // Its first label exceeds the limit of 63 bytes, so no DNS query is sent.
    let host = format!("{}.invalid", "a".repeat(64));
    let allow_http = AllowHttp::parse(&format!("{host}:80")).unwrap();
    let allowed = client(Settings { allow_http, ..Settings::default() });
    assert_ne!(fault(&allowed, &format!("http://{host}/")), HttpFault::PlainHttp);
    assert_eq!(fault(&allowed, &format!("http://{host}:81/")), HttpFault::PlainHttp);
}

#[test]
fn only_a_request_for_metadata_goes_to_a_link_local_address_without_tls() {
    let client = client(Settings::default());
    let deadline = || Deadline::after(Duration::ZERO);
    let send = |url: &str| {
        let request = Request::new(Method::Get, url).unwrap().for_metadata();
        client.send(&request, deadline()).unwrap_err().fault
    };
    assert!(matches!(send("http://169.254.169.254/"), HttpFault::Timeout(_)));
    assert_eq!(send("http://10.0.0.1/"), HttpFault::PlainHttp);
}

#[test]
fn a_name_that_does_not_resolve_is_told_apart_and_temporary() {
    let client = client(Settings::default());
    let error = get(&client, &format!("https://{}.invalid/", "a".repeat(64))).unwrap_err();
    assert_eq!(error.fault, HttpFault::UnknownHost);
    assert!(error.temporary().is_some() && error.to_string().contains("does not resolve"), "{error}");
}

fn through(server: &Server, more: &str) -> Settings {
    let variable = format!("HTTPS_PROXY=http://user:p%40ss@127.0.0.1:{}", server.port());
    let proxies = Proxies::from_environ(&Environ::new([variable, more.to_owned()])).unwrap();
    Settings { proxies, ..trusting("ca.pem") }
}

#[test]
fn d31_https_goes_through_the_proxy_with_its_credentials_and_the_proxy_sees_nothing() {
    let target = Server::tls(identity("elsewhere"), |_| Reply::ok("answer"));
    let port = target.port();
    let proxy = Server::plain(move |_| Reply::Tunnel(port));
    let client = client(through(&proxy, ""));
    let request = Request::new(Method::Get, "https://elsewhere.example:8200/canary").unwrap();
    let response = client.send(&request.header("x-token", "canary").unwrap(), soon()).unwrap();
    assert_eq!(response.body(), b"answer");
    let seen = proxy.requests();
    assert!(seen[0].starts_with("CONNECT elsewhere.example:8200 HTTP/1.1\r\n"), "{seen:?}");
    // user:p@ss
    assert!(seen[0].contains("Proxy-Authorization: Basic dXNlcjpwQHNz\r\n"), "{seen:?}");
    assert!(!seen.concat().contains("canary"), "{seen:?}");
    assert!(!format!("{client:?}").contains("p@ss") && !format!("{client:?}").contains("p%40ss"));
}

#[test]
fn a_proxy_that_refuses_is_reported_with_its_status() {
    let proxy = Server::plain(|_| Reply::status("407 Proxy Authentication Required"));
    let error = get(&client(through(&proxy, "")), "https://elsewhere.example/").unwrap_err();
    assert_eq!(error.fault, HttpFault::Proxy { status: Some(407) });
    assert_eq!(error.host, format!("proxy 127.0.0.1:{}", proxy.port()));
}

#[test]
fn a_proxy_that_never_answers_ends_at_the_deadline() {
    let proxy = Server::plain(|_| Reply::Hang);
    let request = Request::new(Method::Get, "https://elsewhere.example/").unwrap();
    let started = Instant::now();
    let error = client(through(&proxy, "")).send(&request, Deadline::after(Duration::from_millis(200)));
    assert!(matches!(error.unwrap_err().fault, HttpFault::Timeout(_)));
    assert!(started.elapsed() < Duration::from_secs(3));
}

#[test]
fn what_no_proxy_names_and_loopback_do_not_go_through_the_proxy() {
    let proxy = Server::plain(|_| Reply::Hang);
    let target = Server::tls(identity("server"), |_| Reply::ok("answer"));
    assert_eq!(get(&client(through(&proxy, "")), &target.https("/")).unwrap().body(), b"answer");
    let host = format!("{}.invalid", "a".repeat(64));
    let direct = client(through(&proxy, &format!("NO_PROXY={host}")));
    assert_eq!(fault(&direct, &format!("https://{host}/")), HttpFault::UnknownHost);
    assert_eq!(proxy.connections(), 0);
}

#[test]
fn a_unix_socket_carries_every_request() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("agent.sock");
    unix(&path);
    let client = client(Settings { unix_socket: Some(path), ..Settings::default() });
    for _ in 0..2 {
        assert_eq!(get(&client, "http://vault.invalid/v1").unwrap().body(), b"local");
    }
}

#[test]
fn a_unix_socket_that_is_not_there_yet_is_temporary() {
    let client = client(Settings { unix_socket: Some("/nowhere/agent.sock".into()), ..Settings::default() });
    let error = get(&client, "http://localhost/v1").unwrap_err();
    assert_eq!(error.fault, HttpFault::Io(std::io::ErrorKind::NotFound));
    assert!(error.temporary().is_some());
}
