//! HTTP/1.0 as far as setting up a server needs it: the end of the connection is the end of the answer.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

use super::Network;

const TIMEOUT: Duration = Duration::from_secs(20);

#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    /// In lower case.
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Response {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

/// Headers are lines without their end.
pub(crate) fn request(
    network: &Network,
    server: SocketAddr,
    line: &str,
    headers: &[String],
    body: &[u8],
) -> io::Result<Response> {
    let mut stream = network.inside(|| TcpStream::connect_timeout(&server, TIMEOUT))?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    exchange(&mut stream, line, headers, body)
}

pub(crate) fn exchange(
    stream: &mut (impl Read + Write),
    line: &str,
    headers: &[String],
    body: &[u8],
) -> io::Result<Response> {
    let mut request = format!("{line} HTTP/1.0\r\nHost: localhost\r\nContent-Length: {}\r\n", body.len());
    request.extend(headers.iter().flat_map(|header| [header, "\r\n"]));
    request.push_str("\r\n");
    stream.write_all(&[request.as_bytes(), body].concat())?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    parse(&answer).ok_or_else(|| io::Error::other(String::from_utf8_lossy(&answer).into_owned()))
}

fn parse(answer: &[u8]) -> Option<Response> {
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&answer[..end]).to_lowercase();
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some(Response { status, head, body: answer[end + 4..].to_vec() })
}
