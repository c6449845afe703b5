//! The way of a session to its host over a socket of its own.

use std::cell::Cell;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use socket2::{Domain, SockRef, Socket, Type};
use tokio::net::UdpSocket;

use crate::upstream::Host;

use super::datagrams::Shared;
use super::session::{Destination, Session};
use super::socket::{READS, receive, send_from};

/// A socket that datagrams to a host go out of, and its answers come in at.
#[derive(Debug)]
pub(super) struct Direct {
    pub(super) host: Arc<Host>,
    pub(super) address: SocketAddr,
    socket: UdpSocket,
    /// Whom datagrams come from, where that is told to the host: the client.
    from: Option<IpAddr>,
    connected: Cell<bool>,
}

impl Direct {
    /// A socket for this host, which is at this address; where `from` says so, what it sends comes from there.
    ///
    /// # Errors
    /// The system has no socket left.
    pub(super) fn new(host: Arc<Host>, address: SocketAddr, from: Option<IpAddr>) -> io::Result<Self> {
        let socket = match from {
            Some(_) => transparent(Domain::for_address(address))?,
            None => socket(Domain::for_address(address))?,
        };
        let socket = UdpSocket::from_std(socket.into())?;
        Ok(Direct { host, address, socket, from, connected: Cell::new(false) })
    }

    /// Passes a datagram on to the host.
    pub(super) fn send(&self, datagram: &[u8], to: &Destination) {
        if self.try_send(datagram).is_ok() {
            to.stats.sess_tx_datagrams().inc();
            to.cluster.stats.upstream_cx_tx_bytes_total().add(datagram.len() as u64);
        } else {
            to.stats.sess_tx_errors().inc();
        }
    }

    fn try_send(&self, datagram: &[u8]) -> io::Result<()> {
        if let Some(from) = self.from {
            // Not connected: the host's answers go to the client's address.
            return send_from(&self.socket, from, self.address, datagram);
        }
        let socket = SockRef::from(&self.socket);
        // Only now, so that a host that cannot be reached costs each datagram its turn, as in Envoy.
        if !self.connected.get() {
            socket.connect(&self.address.into())?;
            self.connected.set(true);
        }
        socket.send(datagram).map(drop)
    }

    /// Waits until something may have come from the host.
    pub(super) async fn ready(&self) {
        // What is wrong with the socket is told when it is read.
        drop(self.socket.ready(READS).await);
    }

    /// Passes one datagram of the host back; whether more may wait.
    pub(super) fn pass_back(&self, session: &Session, shared: &Shared) -> bool {
        let Some(to) = session.destination() else { return false };
        shared.with_buffers(|buffer, control| {
            let received = match receive(&self.socket, buffer, control) {
                Ok(received) => received,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
                Err(_) => {
                    to.stats.sess_rx_errors().inc();
                    return true;
                }
            };
            if received.truncated {
                to.stats.sess_rx_datagrams_dropped().inc();
                return true;
            }
            to.stats.sess_rx_datagrams().inc();
            to.cluster.stats.upstream_cx_rx_bytes_total().add(received.length as u64);
            session.give(&buffer[..received.length]);
            true
        })
    }

    /// Our end, once there is one.
    pub(super) fn local(&self) -> Option<SocketAddr> {
        self.socket.local_addr().ok().filter(|address| address.port() != 0)
    }
}

fn socket(domain: Domain) -> io::Result<Socket> {
    Socket::new(domain, Type::DGRAM.nonblocking().cloexec(), None)
}

/// A socket that may send what comes from addresses of others.
fn transparent(domain: Domain) -> io::Result<Socket> {
    let socket = socket(domain)?;
    match domain {
        Domain::IPV6 => socket.set_ip_transparent_v6(true)?,
        _ => socket.set_ip_transparent_v4(true)?,
    }
    Ok(socket)
}

/// Whether this process may send what comes from addresses of others.
pub(super) fn can_send_for_others() -> bool {
    transparent(Domain::IPV4).is_ok() && transparent(Domain::IPV6).is_ok()
}
