//! A server whose answers are a function of what it is asked: a service that hands out keys, as the platforms document
//! theirs, or one that tells what no real server would.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use e2e::program::{command, run};

use super::Network;

/// These are the same for all tests, so one test at a time has them.
static ADDRESSES: Mutex<()> = Mutex::new(());

fn is_of_a_platform(address: IpAddr) -> bool {
    matches!(address, IpAddr::V4(address) if address.is_link_local())
}

/// A request, as far as these services look at it.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    /// Such as `GET /latest/api/token`.
    pub(crate) line: String,
    headers: Vec<(String, String)>,
    pub(crate) body: String,
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
    _only: Option<MutexGuard<'static, ()>>,
}

#[derive(Default)]
struct Shared {
    asked: Mutex<Vec<Asked>>,
    is_over: AtomicBool,
    /// By how many seconds its clock is ahead.
    clock: AtomicI64,
}

impl Service {
    /// After this delay, it listens. `answer` gives a status and a body; the status 0 is no answer at all.
    pub(crate) fn start(
        network: &'static Network,
        address: [u8; 4],
        delay: Duration,
        answer: impl Fn(&Asked) -> (u16, String) + Send + Sync + 'static,
    ) -> Self {
        let address = SocketAddr::from((address, 80));
        let only = is_of_a_platform(address.ip()).then(Self::nobody);
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
                thread::spawn(move || one(&stream.unwrap(), &seen, &*answer));
            }
        });
        Self { network, address, shared, thread: Some(thread), _only: only }
    }

    /// Its clock is ahead by so many seconds.
    pub(crate) fn set_clock(&self, seconds: i64) {
        self.shared.clock.store(seconds, Ordering::SeqCst);
    }

    /// Host and port.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
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

fn one(stream: &TcpStream, shared: &Shared, answer: &dyn Fn(&Asked) -> (u16, String)) {
    let mut reader = BufReader::new(stream);
    let mut lines = reader.by_ref().lines().map_while(Result::ok);
    let Some(line) = lines.next() else { return };
    let line = line.trim_end_matches(" HTTP/1.1").to_owned();
    let header = |line: String| {
        line.split_once(':').map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()))
    };
    let headers = lines.by_ref().take_while(|line| !line.is_empty()).filter_map(header).collect();
    let mut asked = Asked { line, headers, body: String::new() };
    let length = asked.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    reader.take(length).read_to_string(&mut asked.body).unwrap();
    shared.asked.lock().unwrap().push(asked.clone());
    let (status, body) = answer(&asked);
    if status == 0 {
        thread::sleep(Duration::from_mins(1));
        return;
    }
    let date = date(shared.clock.load(Ordering::SeqCst));
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status} X\r\nDate: {date}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    );
    let _ = (&*stream).write_all((head + &body).as_bytes());
}

/// Now and so many seconds, as HTTP writes it.
fn date(seconds: i64) -> String {
    let seconds = format!("{seconds} seconds");
    let mut date = command("date", ["--utc", "+%a, %d %b %Y %H:%M:%S GMT", "--date", &seconds]);
    run(&mut date).with(0).stdout.trim().to_owned()
}
