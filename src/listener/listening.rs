//! A listening socket in a worker's runtime.

use std::io;
use std::net::SocketAddr;

use socket2::Socket;
use tokio::net::{TcpListener, UnixListener};

use crate::base::io::Io;
use crate::config::address::Address;
use crate::http::Peer;

/// A listening socket in the worker's runtime.
pub(super) enum Listening {
    Tcp(TcpListener, Option<SocketAddr>),
    Unix(UnixListener),
}

impl Listening {
    pub(super) fn new(socket: Socket, address: &Address) -> io::Result<Self> {
        match address {
            Address::Pipe { .. } => Ok(Listening::Unix(UnixListener::from_std(socket.into())?)),
            Address::Ip(local) => Ok(Listening::Tcp(TcpListener::from_std(socket.into())?, Some(*local))),
            Address::Name { .. } => Ok(Listening::Tcp(TcpListener::from_std(socket.into())?, None)),
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
                    _ => stream.local_addr().ok(),
                };
                Ok((Io::from(stream), Peer { remote: Some(remote), local }))
            }
            Listening::Unix(listener) => {
                let (stream, _) = listener.accept().await?;
                Ok((Io::from(stream), Peer { remote: None, local: None }))
            }
        }
    }
}
