//! A DNS server whose answers a topic writes down.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use serde::Deserialize;

/// Names, and what is answered to each question about one: in turn, the last for all further questions of its type. A
/// question that is sent again, since nobody waited for its answer for long enough, has the same answer again.
pub(crate) type Zone = BTreeMap<String, Vec<Answer>>;

/// What is said of a name.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Answer {
    /// Addresses of either version.
    addresses: Vec<IpAddr>,
    /// `RCODE` (RFC 1035 §4.1.1).
    code: u8,
    /// No answer at all.
    silent: bool,
}

/// Time to live of every record, in seconds.
const TTL: u32 = 30;
/// Types of records: IPv4 and IPv6 addresses.
const A: u16 = 1;
const AAAA: u16 = 28;
/// `RCODE` of names that are not there.
const NAME_ERROR: u8 = 3;

/// Serves until dropped.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    stop: Arc<AtomicBool>,
}

impl Server {
    pub(crate) fn start(zone: &Zone) -> io::Result<Self> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        let server = Self { address: socket.local_addr()?, stop: Arc::default() };
        let (stop, zone) = (Arc::clone(&server.stop), zone.clone());
        thread::spawn(move || {
            let mut asked = Asked::new();
            let mut buffer = [0; 1024];
            while let Ok((length, client)) = socket.recv_from(&mut buffer) {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                if let Some(reply) = reply(&buffer[..length], &zone, &mut asked) {
                    // A client that is gone needs no answer.
                    socket.send_to(&reply, client).ok();
                }
            }
        });
        Ok(server)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // Wakes the thread, which then sees the flag.
        if let Ok(socket) = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)) {
            socket.send_to(&[0], self.address).ok();
        }
    }
}

/// Of each name and type: how many questions there were, and the number of the last that was answered
/// (RFC 1035 §4.1.1, `ID`).
type Asked = BTreeMap<(String, u16), (usize, Option<[u8; 2]>)>;

/// The reply to a query with one question; `None` when there is none to give.
fn reply(query: &[u8], zone: &Zone, asked: &mut Asked) -> Option<Vec<u8>> {
    let (name, kind, end) = question(query)?;
    let unknown = [Answer { code: NAME_ERROR, ..Answer::default() }];
    let answers = zone.get(&name).map_or(&unknown[..], Vec::as_slice);
    let (turn, answered) = asked.entry((name, kind)).or_default();
    let id = query.first_chunk().copied();
    if id != *answered {
        *turn += 1;
    }
    let answer = &answers[turn.saturating_sub(1).min(answers.len() - 1)];
    if answer.silent {
        return None;
    }
    *answered = id;
    let records: Vec<Vec<u8>> =
        answer.addresses.iter().filter_map(|address| record(*address, kind)).collect();
    let counts = [1, records.len() as u16, 0, 0].map(u16::to_be_bytes).concat();
    // A response, recursion desired and available.
    let flags = [0x81, 0x80 | answer.code];
    Some([&query[..2], &flags, &counts, &query[12..end], &records.concat()].concat())
}

/// The name in lower case, the type, and where the question ends (RFC 1035 §4.1.2).
fn question(query: &[u8]) -> Option<(String, u16, usize)> {
    let mut labels = Vec::new();
    let mut at = 12;
    loop {
        let length = usize::from(*query.get(at)?);
        at += 1;
        if length == 0 {
            break;
        }
        labels.push(String::from_utf8_lossy(query.get(at..at + length)?).to_ascii_lowercase());
        at += length;
    }
    let kind = u16::from_be_bytes(query.get(at..at + 2)?.try_into().ok()?);
    query.get(at + 4 - 1)?;
    Some((labels.join("."), kind, at + 4))
}

/// A record of this type for the address, if it is of the right version; its name points to the question's.
fn record(address: IpAddr, kind: u16) -> Option<Vec<u8>> {
    let data = match (address, kind) {
        (IpAddr::V4(ip), A) => ip.octets().to_vec(),
        (IpAddr::V6(ip), AAAA) => ip.octets().to_vec(),
        _ => return None,
    };
    let head = [&[0xc0, 12][..], &kind.to_be_bytes(), &[0, 1], &TTL.to_be_bytes()].concat();
    Some([head, (data.len() as u16).to_be_bytes().to_vec(), data].concat())
}
