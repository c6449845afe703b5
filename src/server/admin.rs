//! The admin interface's sockets.

use std::io;
use std::path::Path;
use std::rc::Rc;

use tokio::net::{TcpListener, UnixListener};
use tokio::task::spawn_local;

use crate::admin::{self, Admin, Ends};
use crate::config::address::Address;
use crate::config::bootstrap;
use crate::transport::socket;

/// Binds the admin interface's address, and tells it to the file of `--admin-address-path`.
///
/// # Errors
/// An address that cannot be bound, or a file that cannot be written.
pub(super) async fn bind(
    config: &bootstrap::Admin,
    address_path: Option<&Path>,
) -> io::Result<Option<Socket>> {
    let place = |address: &dyn std::fmt::Display, error: io::Error| {
        io::Error::new(error.kind(), format!("cannot bind admin address '{address}': {error}"))
    };
    let socket = match &config.address {
        None => return Ok(None),
        Some(Address::Ip(address)) => {
            let listener = TcpListener::bind(address).await.map_err(|error| place(address, error))?;
            let options = &config.socket_options;
            let state = crate::config::address::SocketState::PreBind;
            socket::set_options(&socket2::SockRef::from(&listener), options, state)?;
            Socket::Tcp(listener)
        }
        Some(Address::Pipe { path, .. }) => {
            match std::fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            Socket::Unix(UnixListener::bind(path).map_err(|error| place(&path.display(), error))?)
        }
        Some(address @ (Address::Name { .. } | Address::Internal { .. })) => {
            let error = io::Error::from(io::ErrorKind::InvalidInput);
            return Err(place(address, error));
        }
    };
    if let Some(path) = address_path {
        std::fs::write(path, socket.address()?)?;
    }
    Ok(Some(socket))
}

/// A bound socket of the admin interface.
#[derive(Debug)]
pub(super) enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Socket {
    /// The address that it has.
    pub(super) fn address(&self) -> io::Result<String> {
        match self {
            Socket::Tcp(listener) => Ok(listener.local_addr()?.to_string()),
            Socket::Unix(listener) => {
                let address = listener.local_addr()?;
                Ok(address.as_pathname().map(|path| path.display().to_string()).unwrap_or_default())
            }
        }
    }

    /// Serves the admin interface until dropped. Runs in a `LocalSet`.
    pub(super) async fn serve(self, admin: Rc<Admin>) {
        loop {
            let accepted = match &self {
                Socket::Tcp(listener) => listener.accept().await.map(|(stream, remote)| {
                    // Else the second part of an answer waits for the peer to have acknowledged the first.
                    if let Err(error) = stream.set_nodelay(true) {
                        tracing::debug!(target: "admin", %error, "connection is gone already");
                    }
                    let ends = Ends { remote: Some(remote), local: stream.local_addr().ok() };
                    spawn_local(admin::serve(stream, ends, Rc::clone(&admin)));
                }),
                Socket::Unix(listener) => listener.accept().await.map(|(stream, _)| {
                    spawn_local(admin::serve(stream, Ends::default(), Rc::clone(&admin)));
                }),
            };
            if let Err(error) = accepted {
                tracing::warn!(target: "admin", %error, "accept failed");
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
        }
    }
}
