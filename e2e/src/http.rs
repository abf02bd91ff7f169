//! As much HTTP as it takes to look at a page of the example app.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(5);

/// `127.0.0.1:8000/health`: prints the body of the answer, or fails with its status line.
pub(crate) fn print(page: &str) -> Result<(), String> {
    let (address, path) = page.split_once('/').ok_or("the page must be ADDRESS:PORT/PATH")?;
    let answer = get(address, path).map_err(|error| format!("{page}: {error}"))?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or("the answer has no end of its head")?;
    let status = head.lines().next().unwrap_or_default();
    if !status.contains(" 200 ") {
        return Err(format!("{page}: {status}"));
    }
    println!("{body}");
    Ok(())
}

/// HTTP/1.0, so that the end of the answer is the end of the connection.
fn get(address: &str, path: &str) -> std::io::Result<String> {
    let address: SocketAddr = address.parse().map_err(std::io::Error::other)?;
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    write!(stream, "GET /{path} HTTP/1.0\r\nHost: {address}\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}
