//! Receiving and sending datagrams.
//!
//! One call of the system for each: `recvmmsg` would save some, but what it needs is allocated for each call.

use std::cell::Cell;
use std::io::{self, IoSlice, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsRawFd;
use std::rc::Rc;

use nix::libc;
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, sendmsg, setsockopt, sockopt,
};
use rustix::net::sockopt::{
    Ipv4PathMtuDiscovery, Ipv6PathMtuDiscovery, set_ip_mtu_discover, set_ipv6_mtu_discover,
};
use socket2::{SockAddr, SockRef, Socket};
use tokio::io::Interest;
use tokio::net::UdpSocket;

/// Has the system tell of a socket that will listen which of its addresses datagrams were sent to, where it has
/// several, and how many it dropped; and has it send none in fragments, as Envoy does.
///
/// # Errors
/// What the system says.
pub fn prepare(socket: &Socket, address: SocketAddr) -> io::Result<()> {
    setsockopt(socket, sockopt::RxqOvfl, &1)?;
    match address {
        SocketAddr::V4(_) => set_ip_mtu_discover(socket, Ipv4PathMtuDiscovery::DO)?,
        SocketAddr::V6(_) => set_ipv6_mtu_discover(socket, Ipv6PathMtuDiscovery::DO)?,
    }
    if address.ip().is_unspecified() {
        match address {
            SocketAddr::V4(_) => setsockopt(socket, sockopt::Ipv4PacketInfo, &true)?,
            SocketAddr::V6(_) => setsockopt(socket, sockopt::Ipv6RecvPacketInfo, &true)?,
        }
    }
    Ok(())
}

/// Room for what the system tells of a datagram.
pub(super) fn control_buffer() -> Vec<u8> {
    nix::cmsg_space!(libc::in6_pktinfo, libc::in_pktinfo, u32)
}

/// What ends waiting for a datagram: one that came, or word of one that did not arrive.
pub(super) const READS: Interest = Interest::READABLE.add(Interest::ERROR);

/// A datagram that was received.
#[derive(Clone, Copy, Debug)]
pub(super) struct Received {
    /// Its bytes, as far as there was room for them.
    pub(super) length: usize,
    /// Who sent it; `None` on connected sockets.
    pub(super) peer: Option<SocketAddr>,
    /// Which address of this machine it was sent to, where the system was asked to tell.
    pub(super) local: Option<IpAddr>,
    /// Whether there was too little room.
    pub(super) truncated: bool,
    /// How many the system dropped since the socket was made, as far as it says.
    pub(super) dropped: Option<u32>,
}

/// The next datagram that waits.
///
/// # Errors
/// `WouldBlock` where none waits; else what the system says, which may be about one that was sent.
pub(super) fn receive(socket: &UdpSocket, buffer: &mut [u8], control: &mut [u8]) -> io::Result<Received> {
    match socket.try_io(Interest::READABLE, || receive_now(socket, buffer, control)) {
        // What is said of a datagram that did not arrive makes nothing readable.
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            socket.try_io(Interest::ERROR, || receive_now(socket, buffer, control))
        }
        received => received,
    }
}

fn receive_now(socket: &UdpSocket, buffer: &mut [u8], control: &mut [u8]) -> io::Result<Received> {
    let mut slices = [IoSliceMut::new(buffer)];
    let flags = MsgFlags::MSG_DONTWAIT;
    let message = recvmsg::<SockaddrStorage>(socket.as_raw_fd(), &mut slices, Some(control), flags)?;
    let mut received = Received {
        length: message.bytes,
        peer: message.address.as_ref().and_then(socket_address),
        local: None,
        truncated: message.flags.contains(MsgFlags::MSG_TRUNC),
        dropped: None,
    };
    for told in message.cmsgs()? {
        match told {
            ControlMessageOwned::Ipv4PacketInfo(info) => {
                received.local = Some(Ipv4Addr::from(info.ipi_addr.s_addr.to_ne_bytes()).into());
            }
            ControlMessageOwned::Ipv6PacketInfo(info) => {
                received.local = Some(Ipv6Addr::from(info.ipi6_addr.s6_addr).into());
            }
            ControlMessageOwned::RxqOvfl(count) => received.dropped = Some(count),
            _ => {}
        }
    }
    Ok(received)
}

fn socket_address(address: &SockaddrStorage) -> Option<SocketAddr> {
    if let Some(v4) = address.as_sockaddr_in() {
        return Some(SocketAddr::new(v4.ip().into(), v4.port()));
    }
    address.as_sockaddr_in6().map(|v6| SocketAddr::from(std::net::SocketAddrV6::from(*v6)))
}

/// A socket that clients send to.
#[derive(Debug)]
pub(super) struct Downstream {
    pub(super) socket: Rc<UdpSocket>,
    /// What it is bound to.
    pub(super) bound: SocketAddr,
    /// Bytes of datagrams that came, and that were to be sent.
    pub(super) received: Cell<u64>,
    pub(super) sent: Cell<u64>,
}

impl Downstream {
    /// A socket through which nothing has passed.
    pub(super) fn new(socket: Rc<UdpSocket>, bound: SocketAddr) -> Self {
        Downstream { socket, bound, received: Cell::default(), sent: Cell::default() }
    }

    /// Sends a datagram to a client, from the address that the client sent to.
    ///
    /// # Errors
    /// What the system says; `WouldBlock` where it has no room.
    pub(super) fn send(&self, from: IpAddr, to: SocketAddr, datagram: &[u8]) -> io::Result<()> {
        if !self.bound.ip().is_unspecified() {
            return SockRef::from(&*self.socket).send_to(datagram, &SockAddr::from(to)).map(drop);
        }
        send_from(&self.socket, from, to, datagram)
    }
}

/// Sends a datagram that comes from this address.
///
/// # Errors
/// What the system says; `WouldBlock` where it has no room.
pub(super) fn send_from(socket: &UdpSocket, from: IpAddr, to: SocketAddr, datagram: &[u8]) -> io::Result<()> {
    let (slices, to) = ([IoSlice::new(datagram)], SockaddrStorage::from(to));
    let send = |told: ControlMessage<'_>| {
        sendmsg(socket.as_raw_fd(), &slices, &[told], MsgFlags::MSG_DONTWAIT, Some(&to))
    };
    match from {
        IpAddr::V4(ip) => send(ControlMessage::Ipv4PacketInfo(&libc::in_pktinfo {
            ipi_ifindex: 0,
            ipi_spec_dst: libc::in_addr { s_addr: u32::from_ne_bytes(ip.octets()) },
            ipi_addr: libc::in_addr { s_addr: 0 },
        }))?,
        IpAddr::V6(ip) => send(ControlMessage::Ipv6PacketInfo(&libc::in6_pktinfo {
            ipi6_addr: libc::in6_addr { s6_addr: ip.octets() },
            ipi6_ifindex: 0,
        }))?,
    };
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn listening(address: &str) -> Downstream {
        let address: SocketAddr = address.parse().expect("an address");
        let socket =
            Socket::new(socket2::Domain::for_address(address), socket2::Type::DGRAM.nonblocking(), None)
                .expect("a socket");
        prepare(&socket, address).expect("options that there are");
        socket.bind(&address.into()).expect("a free port");
        let bound = socket.local_addr().expect("bound").as_socket().expect("an IP address");
        Downstream::new(Rc::new(UdpSocket::from_std(socket.into()).expect("a runtime")), bound)
    }

    async fn next(from: &Downstream, room: usize) -> Received {
        let (mut buffer, mut control) = (vec![0; room], control_buffer());
        loop {
            from.socket.readable().await.expect("a socket");
            match receive(&from.socket, &mut buffer, &mut control) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                received => return received.expect("a datagram"),
            }
        }
    }

    #[tokio::test]
    async fn a_socket_for_all_addresses_tells_which_was_meant_and_answers_from_there() {
        let here = listening("0.0.0.0:0").await;
        let client = UdpSocket::bind("127.0.0.1:0").await.expect("a free port");
        let target: SocketAddr = format!("127.0.0.9:{}", here.bound.port()).parse().expect("an address");
        client.send_to(b"hello", target).await.expect("sent");
        let received = next(&here, 100).await;
        assert_eq!((received.length, received.truncated), (5, false));
        assert_eq!(received.local, Some(target.ip()));
        assert_eq!(received.peer, Some(client.local_addr().expect("bound")));
        here.send(target.ip(), client.local_addr().expect("bound"), b"yes").expect("sent");
        let mut buffer = [0; 10];
        assert_eq!(client.recv_from(&mut buffer).await.expect("an answer"), (3, target));
    }

    #[tokio::test]
    async fn a_datagram_that_is_longer_than_the_room_is_known_to_be() {
        let here = listening("127.0.0.1:0").await;
        let client = UdpSocket::bind("127.0.0.1:0").await.expect("a free port");
        for length in [11, 10, 0] {
            client.send_to(&vec![b'x'; length], here.bound).await.expect("sent");
            let received = next(&here, 10).await;
            assert_eq!((received.length, received.truncated), (length.min(10), length > 10), "{length}");
            assert_eq!(received.local, None);
        }
    }
}
