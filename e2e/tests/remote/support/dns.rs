//! A DNS server that says what a test wants (RFC 1035).

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex};
use std::thread;

use super::Network;

/// What the server says about a name.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    Addresses(Vec<IpAddr>),
    /// NXDOMAIN, as for every name that it was not told about.
    NoSuchName,
    /// SERVFAIL
    Failure,
    Silence,
}

const A: u16 = 1;
const AAAA: u16 = 28;
const HEADER: usize = 12;
const SERVFAIL: u8 = 2;
const NXDOMAIN: u8 = 3;

pub(crate) struct Dns {
    address: IpAddr,
    zone: Arc<Mutex<Zone>>,
}

#[derive(Default)]
struct Zone {
    answers: HashMap<String, Answer>,
    asked: Vec<String>,
}

impl Dns {
    pub(crate) fn start(network: &Network) -> Self {
        let address = network.address();
        let socket = network.inside(|| UdpSocket::bind((address, 53))).unwrap();
        let zone = Arc::new(Mutex::new(Zone::default()));
        let served = Arc::clone(&zone);
        thread::spawn(move || serve(&socket, &served));
        Self { address, zone }
    }

    pub(crate) fn address(&self) -> IpAddr {
        self.address
    }

    /// From now on, this is the answer for the name.
    pub(crate) fn answer(&self, name: &str, answer: Answer) {
        self.zone.lock().unwrap().answers.insert(name.to_owned(), answer);
    }

    /// The names that were asked for, in order, once for each query.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.zone.lock().unwrap().asked.clone()
    }
}

fn serve(socket: &UdpSocket, zone: &Mutex<Zone>) {
    let mut packet = [0; 512];
    while let Ok((length, client)) = socket.recv_from(&mut packet) {
        if let Some(query) = Query::parse(&packet[..length]) {
            reply(socket, client, &query, &zone.lock().unwrap().resolve(&query.name));
        }
    }
}

fn reply(socket: &UdpSocket, client: SocketAddr, query: &Query, answer: &Answer) {
    let packet = match answer {
        Answer::Addresses(addresses) => query.addresses(addresses),
        Answer::NoSuchName => query.response(NXDOMAIN, 0),
        Answer::Failure => query.response(SERVFAIL, 0),
        Answer::Silence => return,
    };
    socket.send_to(&packet, client).unwrap();
}

impl Zone {
    fn resolve(&mut self, name: &str) -> Answer {
        self.asked.push(name.to_owned());
        self.answers.get(name).cloned().unwrap_or(Answer::NoSuchName)
    }
}

struct Query {
    id: [u8; 2],
    /// In lower case, without the final dot.
    name: String,
    kind: u16,
    /// As it was sent; it is repeated in the response.
    question: Vec<u8>,
}

impl Query {
    fn parse(packet: &[u8]) -> Option<Self> {
        let mut labels = Vec::new();
        let mut at = HEADER;
        loop {
            let length = usize::from(*packet.get(at)?);
            at += 1;
            if length == 0 {
                break;
            }
            labels.push(String::from_utf8_lossy(packet.get(at..at + length)?).to_lowercase());
            at += length;
        }
        let kind = u16::from_be_bytes(packet.get(at..at + 2)?.try_into().ok()?);
        let question = packet.get(HEADER..at + 4)?.to_vec();
        Some(Self { id: [packet[0], packet[1]], name: labels.join("."), kind, question })
    }

    /// A name without an address of the kind that was asked for exists: that is an empty answer, not NXDOMAIN.
    fn addresses(&self, addresses: &[IpAddr]) -> Vec<u8> {
        let records: Vec<Vec<u8>> = addresses.iter().filter_map(|address| self.record(address)).collect();
        let mut packet = self.response(0, u8::try_from(records.len()).unwrap());
        packet.extend(records.concat());
        packet
    }

    fn record(&self, address: &IpAddr) -> Option<Vec<u8>> {
        const NAME_OF_THE_QUESTION: [u8; 2] = [0xc0, 12];
        const CLASS_AND_TTL: [u8; 6] = [0, 1, 0, 0, 0, 0];
        let data = match (address, self.kind) {
            (IpAddr::V4(address), A) => address.octets().to_vec(),
            (IpAddr::V6(address), AAAA) => address.octets().to_vec(),
            _ => return None,
        };
        let length = [0, u8::try_from(data.len()).unwrap()];
        Some([&NAME_OF_THE_QUESTION[..], &self.kind.to_be_bytes(), &CLASS_AND_TTL, &length, &data].concat())
    }

    fn response(&self, code: u8, answers: u8) -> Vec<u8> {
        const IS_RESPONSE: u8 = 0x80;
        const RECURSION_DESIRED: u8 = 1;
        const RECURSION_AVAILABLE: u8 = 0x80;
        let flags = [IS_RESPONSE | RECURSION_DESIRED, RECURSION_AVAILABLE | code];
        let counts = [0, 1, 0, answers, 0, 0, 0, 0];
        [&self.id[..], &flags, &counts, &self.question].concat()
    }
}
