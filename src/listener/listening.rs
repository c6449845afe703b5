//! A listening socket in a worker's runtime.

use std::io;
use std::net::SocketAddr;

use socket2::{SockRef, Socket};
use tokio::net::{TcpListener, UnixListener};

use crate::base::io::Io;
use crate::config::address::Address;
use crate::http::Peer;

/// A listening socket in the worker's runtime.
#[derive(Debug)]
pub(super) enum Listening {
    Tcp(TcpListener, Option<SocketAddr>),
    Unix(UnixListener),
}

impl Listening {
    pub(super) fn new(socket: Socket, address: &Address) -> io::Result<Self> {
        match address {
            Address::Pipe { .. } => Ok(Listening::Unix(UnixListener::from_std(socket.into())?)),
            Address::Ip(local) => {
                Ok(Listening::Tcp(TcpListener::from_std(socket.into())?, Some(unmapped(*local))))
            }
            Address::Name { .. } | Address::Internal { .. } => {
                Ok(Listening::Tcp(TcpListener::from_std(socket.into())?, None))
            }
        }
    }

    /// Lets so many connections wait from now on.
    pub(super) fn set_backlog(&self, backlog: i32) -> io::Result<()> {
        match self {
            Listening::Tcp(listener, _) => SockRef::from(listener).listen(backlog),
            Listening::Unix(listener) => SockRef::from(listener).listen(backlog),
        }
    }

    /// The next connection, and who is at its ends.
    pub(super) async fn accept(&self) -> io::Result<(Io, Peer)> {
        match self {
            Listening::Tcp(listener, bound) => {
                let (stream, remote) = listener.accept().await?;
                stream.set_nodelay(true)?;
                // A listener on one address need not ask each connection for it.
                let local = match bound {
                    Some(bound) if !bound.ip().is_unspecified() => Some(*bound),
                    _ => stream.local_addr().ok().map(unmapped),
                };
                Ok((Io::from(stream), Peer { remote: Some(unmapped(remote)), local }))
            }
            Listening::Unix(listener) => {
                let (stream, _) = listener.accept().await?;
                Ok((Io::from(stream), Peer { remote: None, local: None }))
            }
        }
    }
}

/// The IPv4 address that comes to a socket of IPv6 as one of that.
fn unmapped(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn the_backlog_of_a_socket_that_listens_may_change() {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        socket.set_nonblocking(true).expect("a socket");
        let address = socket.local_addr().expect("bound");
        let listening = Listening::new(socket.into(), &Address::Ip(address)).expect("a runtime");
        listening.set_backlog(1).expect("a socket that listens");
        let connect = || TcpStream::connect_timeout(&address, Duration::from_millis(100));
        // Nobody accepts; the queue holds one more than its size.
        let waiting: Vec<_> = (0..8).map_while(|_| connect().ok()).collect();
        assert_eq!(waiting.len(), 2);
    }
}
