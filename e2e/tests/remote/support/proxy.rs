//! A proxy that makes a network bad: slow, broken, lying. It passes bytes on, so TLS goes through it unopened.

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use super::Network;

/// What happens to a connection. Numbers of bytes are of what the server sends.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Fault {
    /// Accepted and reset at once.
    Reset,
    /// Closed as if the answer were complete.
    CloseAfter(usize),
    ResetAfter(usize),
    /// Then nothing more comes, and the connection stays open.
    StallAfter(usize),
    /// One byte at a time.
    Drip(Duration),
    /// The byte at this place is another.
    Swap(usize),
}

pub(crate) struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    upstream: SocketAddr,
    network: &'static Network,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    round_trip: Duration,
    /// The fault of the first connections and how many those are.
    faults: Option<(usize, Fault)>,
    traffic: Traffic,
}

/// What went through a proxy.
#[derive(Debug, Clone, Default)]
pub(crate) struct Traffic {
    pub(crate) connections: usize,
    pub(crate) to_server: Vec<u8>,
    pub(crate) from_server: Vec<u8>,
}

impl Proxy {
    pub(crate) fn start(network: &'static Network, upstream: SocketAddr) -> Self {
        let proxy = Self::new(network, upstream);
        proxy.listen();
        proxy
    }

    /// Refuses connections until then.
    pub(crate) fn start_after(network: &'static Network, upstream: SocketAddr, pause: Duration) -> Self {
        let proxy = Self::new(network, upstream);
        let later = Self { address: proxy.address, shared: Arc::clone(&proxy.shared) };
        thread::spawn(move || {
            thread::sleep(pause);
            later.listen();
        });
        proxy
    }

    fn new(network: &'static Network, upstream: SocketAddr) -> Self {
        // The server's port, so that only the address differs.
        let address = SocketAddr::new(network.address(), upstream.port());
        Self { address, shared: Arc::new(Shared { upstream, network, state: Mutex::default() }) }
    }

    fn listen(&self) {
        let address = self.address;
        let listener = self.shared.network.inside(|| TcpListener::bind(address)).unwrap();
        let shared = Arc::clone(&self.shared);
        thread::spawn(move || {
            for client in listener.incoming() {
                let shared = Arc::clone(&shared);
                // A connection that breaks is what the proxy is for.
                thread::spawn(move || shared.carry(&client?));
            }
        });
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on, a round trip takes this much longer; so does connecting.
    pub(crate) fn delay(&self, round_trip: Duration) {
        self.shared.state.lock().unwrap().round_trip = round_trip;
    }

    /// The first connections have this fault. Those that were there count.
    pub(crate) fn break_first(&self, connections: usize, fault: Fault) {
        self.shared.state.lock().unwrap().faults = Some((connections, fault));
    }

    /// All connections have this fault.
    pub(crate) fn break_all(&self, fault: Fault) {
        self.break_first(usize::MAX, fault);
    }

    /// What went through until now.
    pub(crate) fn traffic(&self) -> Traffic {
        self.shared.state.lock().unwrap().traffic.clone()
    }
}

/// An address that does not answer: no connection is accepted or refused.
pub(crate) struct BlackHole {
    address: SocketAddr,
    _full: (TcpListener, Vec<TcpStream>),
}

impl BlackHole {
    /// The kernel drops what comes to a listener whose queue is full.
    pub(crate) fn start(network: &Network, port: u16) -> Self {
        let address = SocketAddr::new(network.address(), port);
        let full = network.inside(|| {
            let listener = TcpListener::bind(address).unwrap();
            rustix::net::listen(&listener, 0).unwrap();
            let connect = || TcpStream::connect_timeout(&address, Duration::from_millis(100)).ok();
            let waiting = std::iter::from_fn(connect).take(16).collect();
            (listener, waiting)
        });
        Self { address, _full: full }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Shared {
    fn carry(self: &Arc<Self>, client: &TcpStream) -> io::Result<()> {
        let opened = Instant::now();
        let (round_trip, fault) = self.open();
        if matches!(fault, Some(Fault::Reset)) {
            return reset(client);
        }
        let server = self.network.inside(|| TcpStream::connect(self.upstream))?;
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        let (to_server, from_client) = (server.try_clone()?, client.try_clone()?);
        let shared = Arc::clone(self);
        thread::spawn(move || {
            let note = |bytes: &[u8]| shared.state.lock().unwrap().traffic.to_server.extend(bytes);
            // What comes first has waited until the connection was made.
            delayed(from_client, round_trip / 2, opened + round_trip, note, |bytes| match bytes {
                Some(bytes) => (&to_server).write_all(bytes),
                None => to_server.shutdown(Shutdown::Write),
            })
        });
        let note = |bytes: &[u8]| self.state.lock().unwrap().traffic.from_server.extend(bytes);
        let mut sent = 0;
        delayed(server, round_trip / 2, opened, note, |bytes| match bytes {
            Some(bytes) => deliver(client, bytes, &mut sent, fault),
            None if matches!(fault, Some(Fault::StallAfter(_))) => Ok(()),
            None => client.shutdown(Shutdown::Write),
        })
    }

    fn open(&self) -> (Duration, Option<Fault>) {
        let mut state = self.state.lock().unwrap();
        state.traffic.connections += 1;
        let nth = state.traffic.connections;
        let fault = state.faults.filter(|(first, _)| nth <= *first).map(|(_, fault)| fault);
        (state.round_trip, fault)
    }
}

/// Reads at once and hands on when it is due; `None` is the end.
fn delayed(
    mut from: TcpStream,
    delay: Duration,
    not_before: Instant,
    note: impl Fn(&[u8]) + Send,
    mut hand_on: impl FnMut(Option<&[u8]>) -> io::Result<()>,
) -> io::Result<()> {
    let (sender, receiver): (Sender<(Instant, Vec<u8>)>, Receiver<_>) = channel();
    thread::scope(|scope| {
        scope.spawn(move || {
            let mut bytes = vec![0; 16_384];
            while let Ok(length @ 1..) = from.read(&mut bytes) {
                note(&bytes[..length]);
                let due = Instant::now().max(not_before) + delay;
                if sender.send((due, bytes[..length].to_vec())).is_err() {
                    break;
                }
            }
        });
        for (due, bytes) in receiver {
            thread::sleep(due.saturating_duration_since(Instant::now()));
            hand_on(Some(&bytes))?;
        }
        hand_on(None)
    })
}

fn deliver(client: &TcpStream, bytes: &[u8], sent: &mut usize, fault: Option<Fault>) -> io::Result<()> {
    let rest = |after: usize| &bytes[..bytes.len().min(after.saturating_sub(*sent))];
    let mut writer = client;
    match fault {
        Some(Fault::CloseAfter(after)) if *sent + bytes.len() > after => {
            writer.write_all(rest(after))?;
            client.shutdown(Shutdown::Both)?;
        }
        Some(Fault::ResetAfter(after)) if *sent + bytes.len() > after => {
            writer.write_all(rest(after))?;
            reset(client)?;
        }
        Some(Fault::StallAfter(after)) => writer.write_all(rest(after))?,
        Some(Fault::Drip(pause)) => {
            for byte in bytes {
                writer.write_all(&[*byte])?;
                thread::sleep(pause);
            }
        }
        Some(Fault::Swap(at)) => writer.write_all(&swapped(bytes, at.checked_sub(*sent)))?,
        _ => writer.write_all(bytes)?,
    }
    *sent += bytes.len();
    Ok(())
}

fn swapped(bytes: &[u8], at: Option<usize>) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    if let Some(byte) = at.and_then(|at| bytes.get_mut(at)) {
        *byte ^= 1;
    }
    bytes
}

/// Closing would send FIN first, and another thread may hold the socket. Disconnecting sends RST (connect(2)).
fn reset(stream: &TcpStream) -> io::Result<()> {
    Ok(rustix::net::connect_unspec(stream)?)
}
