//! Both sides of an exchange over UDP: the client's socket, and hosts that answer datagrams.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::case::client::Datagrams;
use crate::case::step::Step;
use crate::common::text::{show, wire};
use crate::upstream::{PAUSE, Seen};
use crate::wire::{PATIENCE, Signals};

/// How often a host looks whether it is to stop.
const LOOK: Duration = Duration::from_millis(20);

/// In the answers of a host: the datagram itself.
const DATAGRAM: &str = "{datagram}";
/// The same: the address that it came from.
const FROM: &str = "{from}";

/// Plays an exchange on a socket of its own, and gives each datagram that came on a line of its own.
pub(crate) fn play(exchange: &Datagrams, listener: SocketAddr, signals: &Signals) -> String {
    match try_play(exchange, listener, signals) {
        Ok(came) => came.iter().map(|datagram| show(datagram) + "\n").collect(),
        Err(error) => format!("<no socket: {}>", error.kind()),
    }
}

fn try_play(exchange: &Datagrams, listener: SocketAddr, signals: &Signals) -> io::Result<Vec<Vec<u8>>> {
    let here =
        if listener.is_ipv6() { IpAddr::V6(Ipv6Addr::LOCALHOST) } else { IpAddr::V4(Ipv4Addr::LOCALHOST) };
    let from = exchange.from.unwrap_or(here);
    let to = exchange.to.unwrap_or(here);
    let socket = UdpSocket::bind((from, 0))?;
    socket.connect((to, listener.port()))?;
    let mut came = Vec::new();
    for step in &exchange.datagrams {
        match step {
            // What the other side says of it shows in what comes.
            Step::Send(text) => drop(socket.send(&wire(text))),
            Step::Await(text) => await_datagram(&socket, &wire(text), &mut came)?,
            Step::Signal(name) => signals.give(name),
            Step::Wait(name) => signals.wait(name),
            Step::Pause => thread::sleep(PAUSE),
            other => panic!("no step over UDP: {other:?}"),
        }
    }
    Ok(came)
}

/// Takes what comes until this did.
fn await_datagram(socket: &UdpSocket, wanted: &[u8], came: &mut Vec<Vec<u8>>) -> io::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    let mut buffer = vec![0; 65_536];
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        socket.set_read_timeout(Some(left))?;
        // That nobody listens is told here, too, and is no end.
        if let Ok(length) = socket.recv(&mut buffer) {
            came.push(buffer[..length].to_vec());
            if buffer[..length] == *wanted {
                return Ok(());
            }
        }
    }
}

/// A socket that refuses datagrams of all but one.
pub(crate) fn refusing() -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    socket.connect((Ipv4Addr::LOCALHOST, 9))?;
    Ok(socket)
}

/// Starts a host that sends `answers`, in turn and the last for all that come later, to whoever sends it a datagram.
pub(crate) fn serve(
    answers: Vec<Vec<String>>,
    ipv6: bool,
    label: String,
    seen: Seen,
    stop: Arc<AtomicBool>,
) -> io::Result<SocketAddr> {
    let here = if ipv6 { IpAddr::V6(Ipv6Addr::LOCALHOST) } else { IpAddr::V4(Ipv4Addr::LOCALHOST) };
    let socket = UdpSocket::bind((here, 0))?;
    socket.set_read_timeout(Some(LOOK))?;
    let address = socket.local_addr()?;
    thread::spawn(move || {
        let (mut buffer, mut count) = (vec![0; 65_536], 0);
        while !stop.load(Ordering::Relaxed) {
            let Ok((length, from)) = socket.recv_from(&mut buffer) else { continue };
            let datagram = &buffer[..length];
            seen.lock().expect("no holder panics").push(label.clone() + &show(datagram));
            let last = answers.len().saturating_sub(1);
            for answer in answers.get(count.min(last)).into_iter().flatten() {
                let answer = answer.replace(FROM, &from.ip().to_string());
                let bytes = match answer.split_once(DATAGRAM) {
                    Some((before, after)) => [&wire(before), datagram, &wire(after)].concat(),
                    None => wire(&answer),
                };
                // Who does not take it shows that.
                drop(socket.send_to(&bytes, from));
            }
            count += 1;
        }
    });
    Ok(address)
}
