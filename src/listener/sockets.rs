//! Listening sockets, one for each address and worker.
//!
//! They are bound when a listener is made, so that an address that is taken is found then, and listen when it serves:
//! the system hands connections to every socket that listens, whether anybody accepts them or not.

mod steering;

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use socket2::{Domain, Protocol, SockRef, Socket, Type};

use crate::config::Listener;
use crate::config::address::{Address, SocketState};
use crate::config::listener::{Balance, ListenAddress};
use crate::transport::socket;
use crate::udp;

use super::pipe;

/// The sockets of a listener. A listener that takes another's place at the same addresses takes them over.
#[derive(Debug)]
pub struct Sockets {
    /// Tells sets of sockets apart.
    pub id: u64,
    /// One for each of the listener's addresses, in their order.
    pub bound: Vec<Bound>,
}

/// The sockets of one address.
#[derive(Debug)]
pub struct Bound {
    /// The address, with the port that the system chose if none was asked for.
    pub address: Address,
    /// Each worker takes the one with its number.
    per_worker: Vec<Mutex<Option<Socket>>>,
    /// Where a Unix socket belongs.
    place: Option<pipe::Place>,
}

impl Bound {
    /// The socket of a worker; `None` when it has been taken.
    pub fn take(&self, worker: usize) -> Option<Socket> {
        lock(self.per_worker.get(worker)?).take()
    }

    /// Lets connections come to the sockets that no worker has taken yet.
    /// Gives connections to the workers that stay at the CPUs on which they come. As in Envoy they are spread otherwise where
    /// that cannot be.
    fn steer(&self, listener: &str, cpus: &[usize]) {
        let [first, ..] = &self.per_worker[..] else { return };
        let Some(first) = &*lock(first) else { return };
        let shared = cpus.len() == self.per_worker.len() && first.reuse_port().unwrap_or(false);
        let problem = match shared.then(|| steering::steer(first, cpus)) {
            Some(Ok(())) => return,
            Some(Err(error)) => error.desc(),
            None => "it takes enable_worker_cpu_affinity, as many CPUs as workers, and enable_reuse_port",
        };
        tracing::warn!(target: "config", listener, problem, "connections are not given to workers by their CPU");
    }

    fn listen(&self, wanted: &ListenAddress, listener: &Listener) -> io::Result<()> {
        for socket in &self.per_worker {
            if let Some(socket) = &*lock(socket) {
                if listener.udp.is_none() {
                    socket.listen(backlog(listener))?;
                }
                let reference = SockRef::from(socket);
                if let Some(length) =
                    listener.socket.tcp_fast_open_queue_length.filter(|_| listener.udp.is_none())
                {
                    socket::set_fast_open(&reference, length)?;
                }
                socket::set_options(&reference, &wanted.socket_options, SocketState::Listening)?;
            }
        }
        Ok(())
    }
}

fn lock(socket: &Mutex<Option<Socket>>) -> MutexGuard<'_, Option<Socket>> {
    socket.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How many connections may wait to be accepted at each socket.
pub(super) fn backlog(listener: &Listener) -> i32 {
    i32::try_from(listener.socket.tcp_backlog_size).unwrap_or(i32::MAX)
}

impl Sockets {
    /// Binds sockets for as many workers to all the listener's addresses. Nobody can connect to them yet.
    ///
    /// # Errors
    /// The first address that cannot be bound, and why.
    pub fn bind(listener: &Listener, workers: usize) -> io::Result<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let mut bound = Vec::new();
        if listener.socket.bind_to_port && !listener.is_internal {
            for wanted in &listener.addresses {
                let at = |error| at("bind", &wanted.address, error);
                bound.push(bind_address(wanted, listener, workers).map_err(at)?);
            }
        }
        Ok(Sockets { id: NEXT.fetch_add(1, Ordering::Relaxed), bound })
    }

    /// Lets connections come to the addresses, which are those of this listener. What listens already is left alone. The
    /// workers stay at these CPUs; at none where there are none.
    ///
    /// # Errors
    /// The first address that cannot be listened on, and why.
    pub fn listen(&self, listener: &Listener, cpus: &[usize]) -> io::Result<()> {
        for (bound, wanted) in self.bound.iter().zip(&listener.addresses) {
            if listener.socket.balance == Some(Balance::CpuLocality) && listener.udp.is_none() {
                bound.steer(&listener.name, cpus);
            }
            bound.listen(wanted, listener).map_err(|error| at("listen on", &wanted.address, error))?;
        }
        // Once nothing else can fail, since a path is taken from who serves there.
        for bound in &self.bound {
            let place = bound.place.as_ref().map_or(Ok(()), pipe::Place::take);
            place.map_err(|error| at("listen on", &bound.address, error))?;
        }
        Ok(())
    }
}

fn at(what: &str, address: &Address, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("cannot {what} '{address}': {error}"))
}

fn bind_address(address: &ListenAddress, listener: &Listener, workers: usize) -> io::Result<Bound> {
    match &address.address {
        Address::Ip(wanted) => {
            let first = ip(*wanted, address, listener)?;
            let actual = first.local_addr()?.as_socket().unwrap_or(*wanted);
            let mut sockets = vec![first];
            while sockets.len() < workers {
                let next = if listener.socket.enable_reuse_port {
                    ip(actual, address, listener)?
                } else {
                    sockets[0].try_clone()?
                };
                sockets.push(next);
            }
            Ok(Bound::new(Address::Ip(actual), sockets, None))
        }
        Address::Pipe { path, mode } => {
            let (first, place) = pipe::bind(path, *mode)?;
            socket::set_options(&SockRef::from(&first), &address.socket_options, SocketState::Bound)?;
            let mut sockets = vec![first];
            while sockets.len() < workers {
                sockets.push(sockets[0].try_clone()?);
            }
            Ok(Bound::new(address.address.clone(), sockets, place))
        }
        Address::Name { .. } | Address::Internal { .. } => {
            Err(io::Error::new(io::ErrorKind::InvalidInput, "a listener needs a literal address"))
        }
    }
}

impl Bound {
    fn new(address: Address, sockets: Vec<Socket>, place: Option<pipe::Place>) -> Self {
        let per_worker = sockets.into_iter().map(|socket| Mutex::new(Some(socket))).collect();
        Bound { address, per_worker, place }
    }
}

fn ip(address: SocketAddr, wanted: &ListenAddress, listener: &Listener) -> io::Result<Socket> {
    let is_udp = listener.udp.is_some();
    let kind = if is_udp { Type::DGRAM } else { Type::STREAM };
    let protocol = listener.socket.enable_mptcp.then_some(Protocol::MPTCP);
    let socket = Socket::new(Domain::for_address(address), kind.nonblocking().cloexec(), protocol)?;
    if is_udp {
        udp::prepare(&socket, address)?;
    } else {
        // Two sockets for datagrams could share an address by it, and one of them would hear nothing.
        socket.set_reuse_address(true)?;
    }
    if listener.socket.enable_reuse_port {
        socket.set_reuse_port(true)?;
    }
    if address.is_ipv6() {
        socket.set_only_v6(!wanted.ipv4_compat)?;
    }
    if listener.socket.transparent == Some(true) {
        socket.set_ip_transparent_v4(true)?;
        if address.is_ipv6() {
            socket.set_ip_transparent_v6(true)?;
        }
    }
    if listener.socket.freebind == Some(true) {
        socket.set_freebind_v4(true)?;
    }
    let reference = SockRef::from(&socket);
    if let Some(keepalive) = wanted.tcp_keepalive.as_ref().filter(|_| !is_udp) {
        // Accepted sockets inherit it.
        socket::set_keepalive(&reference, keepalive)?;
    }
    socket::set_options(&reference, &wanted.socket_options, SocketState::PreBind)?;
    socket.bind(&address.into())?;
    socket::set_options(&reference, &wanted.socket_options, SocketState::Bound)?;
    Ok(socket)
}

#[cfg(test)]
mod tests;
