//! Tests of requests and responses.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::net::{AddressFamily, SocketType, bind, getsockname, socket};

use super::super::{HttpFault, Method, Request, Settings, Waiting, in_parallel};
use super::server::{Reply, Server, client, fault, get, soon};
use crate::provider::Deadline;
use crate::provider::retry::{Policy, retry};

fn raw(text: &str) -> Reply {
    Reply::Close(text.as_bytes().to_vec())
}

#[test]
fn method_headers_and_body_arrive_and_the_answer_comes_back() {
    let server = Server::plain(|_| Reply::ok("answer"));
    let request = Request::new(Method::Post, &server.url("/v1/login?a=b")).unwrap();
    let request = request.header("x-vault-token", "token").unwrap().body(r#"{"role":"app"}"#);
    let response = client(Settings::default()).send(&request, soon()).unwrap();
    assert_eq!((response.status(), response.body()), (200, &b"answer"[..]));
    assert_eq!(response.header("Content-Length"), Some("6"));
    let seen = &server.requests()[0];
    assert!(seen.starts_with("POST /v1/login?a=b HTTP/1.1\r\n"), "{seen}");
    assert!(seen.contains("x-vault-token: token\r\n") && seen.ends_with(r#"{"role":"app"}"#), "{seen}");
}

#[test]
fn a_list_is_a_method_of_its_own_and_an_empty_post_says_that_it_is_empty() {
    let server = Server::plain(|_| Reply::ok(""));
    let client = client(Settings::default());
    for method in [Method::List, Method::Post, Method::Delete] {
        client.send(&Request::new(method, &server.url("/")).unwrap(), soon()).unwrap();
    }
    let requests = server.requests();
    assert!(requests[0].starts_with("LIST / "), "{requests:?}");
    assert!(requests[1].to_lowercase().contains("content-length: 0\r\n"), "{requests:?}");
    assert!(requests[2].starts_with("DELETE / "), "{requests:?}");
}

#[test]
fn a_request_can_be_sent_again() {
    let server = Server::plain(|_| Reply::ok("answer"));
    let client = client(Settings::default());
    let request = Request::new(Method::Put, &server.url("/")).unwrap().header("a", "b").unwrap().body("c");
    client.send(&request, soon()).unwrap();
    client.send(&request, soon()).unwrap();
    let requests = server.requests();
    assert_eq!(requests[0], requests[1]);
}

#[test]
fn a_refused_status_is_a_response_with_its_body() {
    let server =
        Server::plain(|_| Reply::Keep(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 6\r\n\r\ndenied".to_vec()));
    let response = get(&client(Settings::default()), &server.url("/")).unwrap();
    assert_eq!((response.status(), response.body()), (403, &b"denied"[..]));
}

#[test]
fn connections_are_used_again() {
    let server = Server::plain(|_| Reply::ok("answer"));
    let client = client(Settings::default());
    for _ in 0..5 {
        get(&client, &server.url("/")).unwrap();
    }
    assert_eq!((server.connections(), server.requests().len()), (1, 5));
}

#[test]
fn requests_at_once_use_no_more_connections_than_threads() {
    let server = Server::plain(|_| Reply::ok("answer"));
    let url = server.url("/");
    let client = client(Settings::default());
    let results = in_parallel(vec![(); 40], 8, soon(), move |()| get(&client, &url).unwrap().status());
    assert_eq!(results, vec![Some(200); 40]);
    assert!(server.connections() <= 8, "{}", server.connections());
}

#[test]
fn a_body_over_the_limit_is_refused_whether_or_not_it_tells_its_size() {
    let told = Server::plain(|_| Reply::ok(&"x".repeat(101)));
    let chunked = Server::plain(|_| {
        raw(&format!(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n65\r\n{}\r\n0\r\n\r\n",
            "x".repeat(101)
        ))
    });
    let client = client(Settings::default());
    for server in [told, chunked] {
        let request = |limit| Request::new(Method::Get, &server.url("/")).unwrap().body_limit(limit);
        let refused = client.send(&request(100), soon()).unwrap_err();
        assert_eq!(refused.fault, HttpFault::TooLarge { limit: 100 });
        assert_eq!(client.send(&request(101), soon()).unwrap().body().len(), 101);
    }
}

#[test]
fn a_large_body_of_unknown_size_arrives_whole() {
    let body = (0..20_000).map(|number| number.to_string()).collect::<Vec<_>>().join(" ");
    let sent = body.clone();
    let server = Server::plain(move |_| {
        let size = sent.len();
        raw(&format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{size:x}\r\n{sent}\r\n0\r\n\r\n"))
    });
    let response = get(&client(Settings::default()), &server.url("/")).unwrap();
    assert!(response.into_body().as_slice() == body.as_bytes());
}

#[test]
fn d17_a_body_that_ends_too_early_is_an_error_not_a_short_value() {
    let client = client(Settings::default());
    let cases = [
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nshort\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n64\r\nshort",
    ];
    for case in cases {
        let server = Server::plain(move |_| raw(case));
        assert_eq!(fault(&client, &server.url("/")), HttpFault::Truncated, "{case}");
    }
}

#[test]
fn a_body_whose_end_nobody_marks_is_refused() {
    let server = Server::plain(|_| raw("HTTP/1.1 200 OK\r\n\r\nvalue"));
    assert_eq!(fault(&client(Settings::default()), &server.url("/")), HttpFault::Protocol);
    let empty = Server::plain(|_| raw("HTTP/1.1 204 No Content\r\n\r\n"));
    assert_eq!(get(&client(Settings::default()), &empty.url("/")).unwrap().status(), 204);
}

#[test]
fn what_is_not_http_is_refused() {
    let client = client(Settings::default());
    let server = Server::plain(|_| raw("SSH-2.0-OpenSSH\r\n\r\n"));
    assert_eq!(fault(&client, &server.url("/")), HttpFault::Protocol);
}

#[test]
fn d06_a_dripping_body_ends_at_the_deadline() {
    let server = Server::plain(|_| Reply::Drip(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n".to_vec()));
    let headers = Server::plain(|_| Reply::Drip(b"HTTP/1.1 200 OK\r\nX: ".to_vec()));
    for server in [server, headers] {
        let started = Instant::now();
        let request = Request::new(Method::Get, &server.url("/")).unwrap();
        let error = client(Settings::default()).send(&request, Deadline::after(Duration::from_millis(300)));
        assert_eq!(error.unwrap_err().fault, HttpFault::Timeout(Waiting::Deadline));
        assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
    }
}

#[test]
fn a_server_that_never_answers_ends_at_the_read_limit() {
    let server = Server::plain(|_| Reply::Hang);
    let settings = Settings { read_limit: Duration::from_millis(80), ..Settings::default() };
    assert_eq!(fault(&client(settings), &server.url("/")), HttpFault::Timeout(Waiting::Read));
}

#[test]
fn a_deadline_that_is_over_asks_nobody() {
    let server = Server::plain(|_| Reply::ok("answer"));
    let request = Request::new(Method::Get, &server.url("/")).unwrap();
    let error = client(Settings::default()).send(&request, Deadline::after(Duration::ZERO)).unwrap_err();
    assert_eq!(error.fault, HttpFault::Timeout(Waiting::Deadline));
    assert_eq!(server.connections(), 0);
}

/// A reserved port without a listener. The socket stays bound so that no other test gets the port.
fn refusing() -> (OwnedFd, SocketAddr) {
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    bind(&socket, &SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let address = getsockname(&socket).unwrap().try_into().unwrap();
    (socket, address)
}

#[test]
fn d03_a_refused_connection_and_a_closed_one_are_temporary() {
    let (_bound, free) = refusing();
    let closing = Server::plain(|_| raw(""));
    let client = client(Settings::default());
    for url in [format!("http://{free}/"), closing.url("/")] {
        let outcome = retry(soon(), &Policy::default(), |count| match get(&client, &url) {
            Err(error) if count == 2 => Ok(error.fault),
            other => other.map(|response| panic!("{response:?}")),
        });
        assert!(matches!(outcome.unwrap(), HttpFault::Io(_)), "{url}");
    }
}

#[test]
fn a_server_that_is_busy_is_asked_again() {
    let server = Server::plain({
        let busy = std::sync::atomic::AtomicBool::new(true);
        move |_| {
            let was = busy.swap(false, std::sync::atomic::Ordering::SeqCst);
            if was { Reply::status("503 Busy") } else { Reply::ok("answer") }
        }
    });
    let client = client(Settings::default());
    let send = |_| get(&client, &server.url("/"))?.successful();
    let response = retry(soon(), &Policy::default(), send).unwrap();
    assert_eq!((response.body(), server.requests().len()), (&b"answer"[..], 2));
}

#[test]
fn what_is_denied_or_absent_is_asked_once() {
    for status in ["401 Unauthorized", "403 Forbidden", "404 Not Found"] {
        let server = Server::plain(move |_| Reply::status(status));
        let client = client(Settings::default());
        let send = |_| get(&client, &server.url("/"))?.successful();
        retry(soon(), &Policy::default(), send).unwrap_err();
        assert_eq!(server.requests().len(), 1, "{status}");
    }
}

#[test]
fn debug_of_a_client_in_use_shows_no_value() {
    let server = Server::plain(|_| Reply::ok("canary-answer"));
    let client = client(Settings::default());
    let request = Request::new(Method::Post, &server.url("/canary-path")).unwrap();
    let request = request.header("authorization", "canary-token").unwrap().body("canary-body");
    let response = client.send(&request, soon()).unwrap();
    let shown = format!("{client:?} {client:#?} {request:?} {response:?}");
    assert!(!shown.contains("canary"), "{shown}");
}
