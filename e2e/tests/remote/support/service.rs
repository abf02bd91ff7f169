//! A service that hands out keys, as the platforms document theirs: what it answers is a function of what it is asked.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::Network;

/// The metadata addresses are the same for all tests, so one test at a time has them.
static ADDRESSES: Mutex<()> = Mutex::new(());

/// A request, as far as these services look at it.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    /// Such as `GET /latest/api/token`.
    pub(crate) line: String,
    headers: Vec<(String, String)>,
}

impl Asked {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }
}

/// Listens until the test ends.
pub(crate) struct Service {
    network: &'static Network,
    address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    _only: MutexGuard<'static, ()>,
}

#[derive(Default)]
struct Shared {
    asked: Mutex<Vec<Asked>>,
    is_over: AtomicBool,
}

impl Service {
    /// After this delay, it listens. `answer` gives a status and a body; the status 0 is no answer at all.
    pub(crate) fn start(
        network: &'static Network,
        address: [u8; 4],
        delay: Duration,
        answer: impl Fn(&Asked) -> (u16, String) + Send + Sync + 'static,
    ) -> Self {
        let only = Self::nobody();
        let address = SocketAddr::from((address, 80));
        let shared: Arc<Shared> = Arc::default();
        let (seen, answer) = (Arc::clone(&shared), Arc::new(answer));
        let bind = move || network.inside(|| TcpListener::bind(address)).unwrap();
        let now = delay.is_zero().then(&bind);
        let thread = thread::spawn(move || {
            let listener = now.unwrap_or_else(|| {
                thread::sleep(delay);
                bind()
            });
            for stream in listener.incoming().take_while(|_| !seen.is_over.load(Ordering::SeqCst)) {
                let (seen, answer) = (Arc::clone(&seen), Arc::clone(&answer));
                thread::spawn(move || one(&stream.unwrap(), &seen.asked, &*answer));
            }
        });
        Self { network, address, shared, thread: Some(thread), _only: only }
    }

    /// As long as this lives, nobody listens.
    pub(crate) fn nobody() -> MutexGuard<'static, ()> {
        ADDRESSES.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All requests so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.shared.asked.lock().unwrap().clone()
    }
}

impl Drop for Service {
    /// The next test needs the address.
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::SeqCst);
        let Some(thread) = self.thread.take() else { return };
        while !thread.is_finished() {
            let _ = self.network.inside(|| TcpStream::connect(self.address));
            thread::sleep(Duration::from_millis(5));
        }
    }
}

fn one(stream: &TcpStream, seen: &Mutex<Vec<Asked>>, answer: &dyn Fn(&Asked) -> (u16, String)) {
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    let Some(line) = lines.next() else { return };
    let line = line.trim_end_matches(" HTTP/1.1").to_owned();
    let header =
        |line: String| line.split_once(": ").map(|(name, value)| (name.to_lowercase(), value.to_owned()));
    let headers = lines.by_ref().take_while(|line| !line.is_empty()).filter_map(header).collect();
    let asked = Asked { line, headers };
    seen.lock().unwrap().push(asked.clone());
    let (status, body) = answer(&asked);
    if status == 0 {
        thread::sleep(Duration::from_mins(1));
        return;
    }
    let head = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    let _ = (&*stream).write_all((head + &body).as_bytes());
}
