//! Between whom a connection is.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::http::Peer;
use crate::observability::stream_info::{Address, Notes};

/// An address of IP; `None` of others.
pub(super) fn socket_address(address: &Address) -> Option<SocketAddr> {
    match address {
        Address::Ip(address) => Some(*address),
        Address::Pipe(_) | Address::Internal { .. } => None,
    }
}

/// The ends of a connection, and what comes with it.
pub(super) struct Ends {
    /// The peer.
    pub(super) remote: Address,
    /// Our end.
    pub(super) local: Address,
    /// What was noted of it before it came.
    pub(super) notes: Option<Box<Notes>>,
}

impl From<Peer> for Ends {
    fn from(peer: Peer) -> Self {
        let address = |address: Option<SocketAddr>| match address {
            Some(address) => Address::Ip(address),
            None => Address::Pipe(Arc::from("")),
        };
        Ends { remote: address(peer.remote), local: address(peer.local), notes: None }
    }
}
