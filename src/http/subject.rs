//! A request as the conditions of matchers see it.

use std::net::SocketAddr;

use crate::base::headers::Headers;
use crate::config::match_tree::{Peers, Subject};
use crate::observability::stream_info::{Address, StreamInfo};

/// The request and the ends of its connection.
pub(super) fn subject<'a>(headers: &'a Headers, info: &'a StreamInfo) -> Subject<'a> {
    let connection = &info.connection;
    let peers = Peers {
        source: ip(info.remote()),
        direct_source: ip(&connection.direct_remote),
        destination: ip(&connection.local),
        server_name: &connection.requested_server_name,
    };
    Subject { headers, peers }
}

fn ip(address: &Address) -> Option<SocketAddr> {
    match address {
        Address::Ip(address) => Some(*address),
        Address::Pipe(_) => None,
    }
}
