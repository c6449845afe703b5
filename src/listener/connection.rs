//! One connection: what it goes through, what is known of it, and what is logged of it at its end.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::SystemTime;

use futures_util::FutureExt;

use crate::base::connection_id;
use crate::base::io::Io;
use crate::config::runtime::Draw;
use crate::http::drain::Drain;
use crate::http::{self, Connection, Peer, Worker};
use crate::network::{self, End};
use crate::observability::format;
use crate::observability::stream_info::{Address, ConnectionInfo, StreamInfo};

use super::contain::contain;
use super::filter_chain::FilterChain;
use super::greeting::greet;
use super::manager::Listener;

/// Serves a connection that was accepted, to its end.
pub(super) async fn serve(io: Io, peer: Peer, listener: &Listener, worker: &Rc<Worker>, drain: &Rc<Drain>) {
    let chain = &*listener.filter_chain;
    let info = Rc::new(info(listener, chain, peer));
    match &chain.filters.end {
        End::Http(manager) => {
            let connection = Connection::new(
                Arc::clone(manager),
                Rc::clone(worker),
                Rc::clone(&info),
                peer,
                Rc::clone(drain),
            );
            let serving = http::serve(Rc::new(connection), greet(io, chain, &listener.stats, &info));
            contain(serving, drain, &listener.process).await;
            if !listener.access_log.is_empty() {
                log(listener, worker, &mut stream_info(info));
            }
        }
        End::Terminal(terminal) => {
            let mut stream = stream_info(Rc::clone(&info));
            let greeting = greet(io, chain, &listener.stats, &info).boxed_local();
            let connection = network::filter::Connection { greeting, info: &mut stream, worker, drain };
            contain(terminal.serve(connection), drain, &listener.process).await;
            log(listener, worker, &mut stream);
        }
    }
}

/// What its requests tell of a connection that was accepted.
pub(super) fn info(listener: &Listener, chain: &FilterChain, peer: Peer) -> ConnectionInfo {
    let address = |address: Option<SocketAddr>| match address {
        Some(address) => Address::Ip(address),
        None => Address::Pipe(Arc::from("")),
    };
    ConnectionInfo {
        listener_name: Some(Arc::clone(&listener.name)),
        filter_chain_name: chain.name.clone(),
        listener_metadata: listener.config.metadata.clone(),
        encrypted: chain.tls.is_some(),
        ..ConnectionInfo::new(connection_id::next(), address(peer.remote), address(peer.local))
    }
}

/// What is known of a connection as a stream of bytes.
pub(super) fn stream_info(connection: Rc<ConnectionInfo>) -> StreamInfo {
    let started = connection.start;
    StreamInfo::new(started, SystemTime::now() - started.elapsed(), connection)
}

/// Writes the listener's own access logs: a line for each connection, at its end.
pub(super) fn log(listener: &Listener, worker: &Worker, info: &mut StreamInfo) {
    info.timing.complete = Some(info.start.elapsed());
    let context = format::Context::without_headers(info);
    let snapshot = worker.snapshot();
    let draw = Draw { random: worker.random(), runtime: &snapshot.runtime };
    for log in &listener.access_log {
        log.write(&context, draw);
    }
}
