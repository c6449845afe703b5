//! One connection: what is known of it, and what is logged of it at its end.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::SystemTime;

use crate::base::connection_id;
use crate::config::runtime::Draw;
use crate::http::{Peer, Worker};
use crate::observability::format;
use crate::observability::stream_info::{Address, ConnectionInfo, StreamInfo};

use super::manager::Listener;

/// What its requests tell of a connection that was accepted.
pub(super) fn info(listener: &Listener, peer: Peer) -> ConnectionInfo {
    let address = |address: Option<SocketAddr>| match address {
        Some(address) => Address::Ip(address),
        None => Address::Pipe(Arc::from("")),
    };
    ConnectionInfo {
        listener_name: Some(Arc::clone(&listener.name)),
        filter_chain_name: listener.filter_chain_name.clone(),
        listener_metadata: listener.config.metadata.clone(),
        encrypted: listener.tls.is_some(),
        ..ConnectionInfo::new(connection_id::next(), address(peer.remote), address(peer.local))
    }
}

/// Writes the listener's own access logs: a line for each connection, at its end.
pub(super) fn log(listener: &Listener, worker: &Worker, connection: Rc<ConnectionInfo>) {
    if listener.access_log.is_empty() {
        return;
    }
    let started = connection.start;
    let accepted = SystemTime::now() - started.elapsed();
    let mut info = StreamInfo::new(started, accepted, connection);
    info.timing.complete = Some(started.elapsed());
    let context = format::Context::without_headers(&info);
    let snapshot = worker.snapshot();
    let draw = Draw { random: worker.random(), runtime: &snapshot.runtime };
    for log in &listener.access_log {
        log.write(&context, draw);
    }
}
