//! Listening sockets, one for each address and worker.

use std::io;
use std::net::SocketAddr;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use socket2::{Domain, SockRef, Socket, Type};

use crate::config::Listener;
use crate::config::address::{Address, SocketState};
use crate::config::listener::ListenAddress;
use crate::transport::socket;

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
}

impl Bound {
    /// The socket of a worker; `None` when it has been taken.
    pub fn take(&self, worker: usize) -> Option<Socket> {
        let mut socket =
            self.per_worker.get(worker)?.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        socket.take()
    }
}

impl Sockets {
    /// Binds sockets for as many workers to all the listener's addresses.
    ///
    /// # Errors
    /// The first address that cannot be bound, and why.
    pub fn bind(listener: &Listener, workers: usize) -> io::Result<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let mut bound = Vec::new();
        if listener.bind_to_port {
            for wanted in &listener.addresses {
                let place = |error: io::Error| {
                    io::Error::new(error.kind(), format!("cannot bind '{}': {error}", wanted.address))
                };
                bound.push(bind_address(wanted, listener, workers).map_err(place)?);
            }
        }
        Ok(Sockets { id: NEXT.fetch_add(1, Ordering::Relaxed), bound })
    }
}

fn bind_address(address: &ListenAddress, listener: &Listener, workers: usize) -> io::Result<Bound> {
    match &address.address {
        Address::Ip(wanted) => {
            let first = tcp(*wanted, address, listener)?;
            let actual = first.local_addr()?.as_socket().unwrap_or(*wanted);
            let mut sockets = vec![first];
            while sockets.len() < workers {
                let next = if listener.enable_reuse_port {
                    tcp(actual, address, listener)?
                } else {
                    sockets[0].try_clone()?
                };
                sockets.push(next);
            }
            Ok(Bound::new(Address::Ip(actual), sockets))
        }
        Address::Pipe { path, mode } => {
            let first = unix(path, *mode, address, listener)?;
            let mut sockets = vec![first];
            while sockets.len() < workers {
                sockets.push(sockets[0].try_clone()?);
            }
            Ok(Bound::new(address.address.clone(), sockets))
        }
        Address::Name { .. } => {
            Err(io::Error::new(io::ErrorKind::InvalidInput, "a listener needs a literal address"))
        }
    }
}

impl Bound {
    fn new(address: Address, sockets: Vec<Socket>) -> Self {
        Bound { address, per_worker: sockets.into_iter().map(|socket| Mutex::new(Some(socket))).collect() }
    }
}

fn tcp(address: SocketAddr, wanted: &ListenAddress, listener: &Listener) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM.nonblocking().cloexec(), None)?;
    socket.set_reuse_address(true)?;
    if listener.enable_reuse_port {
        socket.set_reuse_port(true)?;
    }
    if address.is_ipv6() {
        socket.set_only_v6(!wanted.ipv4_compat)?;
    }
    if listener.transparent == Some(true) {
        socket.set_ip_transparent_v4(true)?;
    }
    if listener.freebind == Some(true) {
        socket.set_freebind_v4(true)?;
    }
    let reference = SockRef::from(&socket);
    if let Some(keepalive) = &wanted.tcp_keepalive {
        // Accepted sockets inherit it.
        socket::set_keepalive(&reference, keepalive)?;
    }
    socket::set_options(&reference, &wanted.socket_options, SocketState::PreBind)?;
    socket.bind(&address.into())?;
    finish(&socket, wanted, listener)?;
    Ok(socket)
}

fn unix(path: &Path, mode: u32, wanted: &ListenAddress, listener: &Listener) -> io::Result<Socket> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM.nonblocking().cloexec(), None)?;
    let bytes = path.as_os_str().as_bytes();
    match bytes.strip_prefix(b"@") {
        Some(name) => {
            let address = std::os::unix::net::SocketAddr::from_abstract_name(name)?;
            let listening = std::os::unix::net::UnixListener::bind_addr(&address)?;
            listening.set_nonblocking(true)?;
            return Ok(Socket::from(listening));
        }
        None => {
            // A socket left by a process that is gone would keep the path taken.
            match std::fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            socket.bind(&socket2::SockAddr::unix(path)?)?;
            if mode != 0 {
                std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))?;
            }
        }
    }
    finish(&socket, wanted, listener)?;
    Ok(socket)
}

fn finish(socket: &Socket, wanted: &ListenAddress, listener: &Listener) -> io::Result<()> {
    let reference = SockRef::from(socket);
    socket::set_options(&reference, &wanted.socket_options, SocketState::Bound)?;
    socket.listen(i32::try_from(listener.tcp_backlog_size).unwrap_or(i32::MAX))?;
    socket::set_options(&reference, &wanted.socket_options, SocketState::Listening)
}
