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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use dragoman_proto::{encode, tree};

    use super::*;
    use crate::config::extension::Extensions;

    fn listener(yaml: &str) -> Listener {
        let document =
            tree::parse_yaml(&format!("name: web\ndefault_filter_chain: {{}}\n{yaml}")).expect("YAML");
        let message = "envoy.config.listener.v3.Listener";
        let bytes = encode(&document.root, message, &encode::Options::default()).expect("a message").bytes;
        Listener::parse(&bytes, &Extensions::BUILT_IN).expect("a listener").0
    }

    /// The sockets of the listener with this configuration, two for each address.
    fn bound(yaml: &str) -> io::Result<Vec<(Address, [Socket; 2])>> {
        let sockets = Sockets::bind(&listener(yaml), 2)?;
        let take = |bound: &Bound, worker| bound.take(worker).expect("not taken yet");
        Ok(sockets
            .bound
            .iter()
            .map(|bound| (bound.address.clone(), [take(bound, 0), take(bound, 1)]))
            .collect())
    }

    const ANY_PORT: &str = "address: {socket_address: {address: 127.0.0.1, port_value: 0}}";

    #[test]
    fn each_address_has_the_options_of_the_listener_or_its_own() {
        let yaml = format!(
            "{ANY_PORT}
socket_options: [{{description: size, level: 1, name: 8, int_value: 20000, state: STATE_PREBIND}}]
tcp_keepalive: {{keepalive_time: 70, keepalive_interval: 7, keepalive_probes: 5}}
additional_addresses:
- address: {{socket_address: {{address: 127.0.0.2, port_value: 0}}}}
- address: {{socket_address: {{address: 127.0.0.3, port_value: 0}}}}
  socket_options: {{socket_options: [{{level: 1, name: 8, int_value: 30000, state: STATE_LISTENING}}]}}
  tcp_keepalive: {{keepalive_time: 80}}"
        );
        let bound = bound(&yaml).expect("free ports");
        assert_eq!(bound.len(), 3);
        let of = |address: usize| {
            let socket = &bound[address].1[1];
            let buffer = socket.recv_buffer_size().expect("a size");
            (buffer, socket.tcp_keepalive_time().expect("a time"))
        };
        // The system doubles what is asked for.
        assert_eq!(of(0), (40_000, Duration::from_secs(70)));
        assert_eq!(of(1), of(0));
        assert_eq!(of(2), (60_000, Duration::from_secs(80)));
        let first = &bound[0].1[0];
        assert_eq!(first.tcp_keepalive_interval().expect("a time"), Duration::from_secs(7));
        assert_eq!(first.tcp_keepalive_retries().expect("a number"), 5);
    }

    #[test]
    fn a_listener_that_is_not_to_be_bound_has_no_sockets() {
        for bind in ["bind_to_port: false", "deprecated_v1: {bind_to_port: false}"] {
            assert!(bound(&format!("{ANY_PORT}\n{bind}")).expect("nothing to do").is_empty(), "{bind}");
        }
    }

    #[test]
    fn sockets_share_an_address_unless_they_are_told_to_be_one() {
        for (enable, expected) in [(true, true), (false, false)] {
            let bound = bound(&format!("{ANY_PORT}\nenable_reuse_port: {enable}")).expect("a free port");
            let [first, second] = &bound[0].1;
            assert_eq!(first.reuse_port().expect("an option"), expected);
            let address = |socket: &Socket| socket.local_addr().expect("bound").as_socket();
            assert_eq!(address(first), address(second));
        }
    }

    #[test]
    fn sockets_are_free_to_bind_foreign_addresses_and_transparent_where_that_is_configured() {
        let bound = bound(&format!("{ANY_PORT}\nfreebind: true")).expect("a free port");
        assert!(bound[0].1[0].freebind_v4().expect("an option"));
        match self::bound(&format!("{ANY_PORT}\ntransparent: true")) {
            Ok(bound) => assert!(bound[0].1[0].ip_transparent_v4().expect("an option")),
            // It takes a privilege.
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::PermissionDenied),
        }
    }

    #[test]
    fn a_socket_of_ipv6_serves_ipv4_too_where_that_is_configured() {
        for (compat, only_v6) in [("", true), (", ipv4_compat: true", false)] {
            let address = format!("address: {{socket_address: {{address: \"::\", port_value: 0{compat}}}}}");
            // Where there is no IPv6 there is nothing to see.
            let Ok(bound) = bound(&address) else { return };
            assert_eq!(bound[0].1[0].only_v6().expect("an option"), only_v6);
        }
    }

    #[test]
    fn no_more_connections_wait_than_the_backlog_holds() {
        let bound = bound(&format!("{ANY_PORT}\nenable_reuse_port: false\ntcp_backlog_size: 1"))
            .expect("a free port");
        let Address::Ip(address) = bound[0].0 else { panic!("an IP address") };
        let connect = || std::net::TcpStream::connect_timeout(&address, Duration::from_millis(100));
        // Nobody accepts; the queue holds one more than its size.
        let waiting: Vec<_> = (0..8).map_while(|_| connect().ok()).collect();
        assert_eq!(waiting.len(), 2);
    }

    #[test]
    fn a_unix_socket_has_its_mode() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("socket");
        let bound = bound(&format!("address: {{pipe: {{path: {}, mode: 384}}}}", path.display()))
            .expect("a free path");
        assert_eq!(bound[0].0, Address::Pipe { path: path.clone(), mode: 0o600 });
        let mode = std::fs::metadata(&path).expect("a socket").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
