//! One connection: what it goes through, what is known of it, and what is logged of it at its end.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use futures_util::future::LocalBoxFuture;
use futures_util::{FutureExt, TryFutureExt};

use crate::base::connection_id;
use crate::base::io::Io;
use crate::config::runtime::Draw;
use crate::http::drain::Drain;
use crate::http::{self, Connection, ConnectionManager, Peer, Ungreeted, Worker};
use crate::network::filter::Terminal;
use crate::network::{self, End, Filters, Guest};
use crate::observability::format;
use crate::observability::stats::ListenerStats;
use crate::observability::stream_info::{ConnectionInfo, ResponseFlags, StreamInfo};

use super::choosing::choose;
use super::contain::contain;
use super::ends::{Ends, socket_address};
use super::filter_chain::FilterChain;
use super::filters::Accepted;
use super::greeting::greet;
use super::handing::{Arrived, HandedOn, destination};
use super::lineage::Lineage;
use super::manager::Listener;
use super::open::OpenConnection;
use super::slot::Surroundings;

/// Serves a connection that was accepted, to its end; or says who else is to.
pub(super) async fn serve(
    arrived: Box<Arrived>,
    mut open: OpenConnection,
    lineage: &Lineage,
    around: &Surroundings,
) -> Option<Box<HandedOn>> {
    let mut listener = lineage.listener();
    // One that is handed on is counted no longer.
    let Arrived { io, ends, inspected, seat: _seat } = *arrived;
    let worker = &around.worker;
    let mut info = Box::new(info(&listener, ends));
    let was_handed_on = inspected.is_some();
    let mut found = Found::default();
    if let Some(inspected) = inspected {
        found = inspected.take_over(&mut info);
    }
    let mut io = Some(io);
    if !listener.filters.are_none() {
        // Boxed, so that connections of listeners without filters have no room for it.
        let inspecting = Box::pin(inspect(&mut io, &mut info, &mut found, &listener, worker));
        contain(inspecting, lineage.drain(), &listener.process).await;
        // Filters may have waited, and chains may have changed meanwhile.
        listener = lineage.listener();
    }
    let Some(io) = io else {
        log(&listener, worker, &mut StreamInfo::of_connection(info.into()));
        return None;
    };
    if listener.config.use_original_dst
        && !was_handed_on
        && let Some(to) = destination(&info, around)
    {
        return Some(HandedOn::new(to, io, *info, found));
    }
    go_on(io, info, &found, &mut open, &listener, worker, lineage).await;
    None
}

/// Gives a connection that nobody else gets to the filter chain that it matches.
async fn go_on(
    io: Io,
    mut info: Box<ConnectionInfo>,
    found: &Found,
    open: &mut OpenConnection,
    listener: &Listener,
    worker: &Rc<Worker>,
    lineage: &Lineage,
) {
    let Some(chain) = choose(listener, &info, found, worker) else {
        listener.stats.no_filter_chain_match().inc();
        let mut stream = StreamInfo::of_connection(info.into());
        stream.response_flags.insert(ResponseFlags::NR);
        stream.response_code_details = "filter_chain_not_found".into();
        return log(listener, worker, &mut stream);
    };
    info.filter_chain_name.clone_from(&chain.name);
    info.filter_chain_metadata.clone_from(&chain.metadata);
    info.encrypted = chain.tls.is_some();
    open.begin();
    let drain = lineage.drain_of(chain.id);
    pass_on(io, info.into(), chain, listener, worker, &drain).await;
}

/// Gives a connection to the filters of its chain.
async fn pass_on(
    io: Io,
    info: Rc<ConnectionInfo>,
    chain: &FilterChain,
    listener: &Listener,
    worker: &Rc<Worker>,
    drain: &Rc<Drain>,
) {
    let config = &listener.config;
    let greeting = greet(io, chain, &listener.stats, &info).map_ok(|io| {
        let timeout = config.buffer.high_watermark_timeout;
        io.bound_waiting(config.buffer.limit_bytes, timeout);
        io
    });
    let current = chain.filters.current();
    let filters = current.filters.as_ref();
    match &current.end {
        End::Http(manager) => {
            let connection = http_connection(manager, &info, worker, drain);
            let serving = match filters {
                None => http::serve(Rc::clone(&connection), greeting).boxed_local(),
                Some(filters) => serve_guest(filters, &info, Rc::clone(&connection), greeting).boxed_local(),
            };
            contain(serving, drain, &listener.process).await;
            if !listener.access_log.is_empty() {
                let mut stream = StreamInfo::of_connection(info);
                let carried = connection.carried();
                stream.protocol = carried.protocol;
                (stream.bytes_received, stream.bytes_sent) = (carried.received, carried.sent);
                log(listener, worker, &mut stream);
            }
        }
        // Boxed, so that connections of HTTP have no room for it.
        End::Terminal(terminal) => {
            let greeting = greeting.boxed_local();
            Box::pin(end_at(&**terminal, filters, greeting, &info, listener, worker, drain)).await;
        }
        end @ (End::Nothing | End::Missing) => {
            if matches!(end, End::Missing) {
                listener.extension_stats.network_extension_config_missing().inc();
            }
            drop(greeting);
            let mut stream = StreamInfo::of_connection(info);
            stream.ending_mut().downstream_local_close_reason = Some("no_filters");
            log(listener, worker, &mut stream);
        }
    }
}

/// Serves an HTTP connection that filters see before.
async fn serve_guest(
    filters: &Filters,
    info: &Rc<ConnectionInfo>,
    connection: Rc<Connection>,
    greeting: impl Future<Output = Result<Io, Ungreeted>>,
) {
    let guest = Guest::new(filters, info, &connection.worker);
    let greeting = Rc::clone(&guest).greeting(greeting, guest.admission(), false);
    guest.unless_refused(http::serve(connection, greeting)).await;
}

/// Gives a connection to the last filter of its chain, where that is no connection manager.
async fn end_at(
    terminal: &dyn Terminal,
    filters: Option<&Filters>,
    greeting: LocalBoxFuture<'_, Result<Io, Ungreeted>>,
    info: &Rc<ConnectionInfo>,
    listener: &Listener,
    worker: &Rc<Worker>,
    drain: &Rc<Drain>,
) {
    let mut stream = StreamInfo::of_connection(Rc::clone(info));
    let guest = filters.map(|filters| Guest::new(filters, info, worker));
    let admission = guest.as_ref().map(Guest::admission);
    let greeting = match (&guest, &admission) {
        (Some(guest), Some(admission)) => {
            Rc::clone(guest).greeting(greeting, admission.clone(), true).boxed_local()
        }
        _ => greeting,
    };
    let is_logged = Cell::new(false);
    let log_listener = |stream: &mut StreamInfo| {
        is_logged.set(true);
        log(listener, worker, stream);
    };
    let connection = network::filter::Connection {
        greeting,
        admission,
        info: &mut stream,
        worker,
        drain,
        log_listener: &log_listener,
    };
    let serving = terminal.serve(connection);
    match guest {
        None => contain(serving, drain, &listener.process).await,
        Some(guest) => {
            contain(Box::pin(guest.unless_refused(serving)), drain, &listener.process).await;
            stream.follow_connection();
        }
    }
    if !is_logged.get() {
        log(listener, worker, &mut stream);
    }
}

fn http_connection(
    manager: &Arc<ConnectionManager>,
    info: &Rc<ConnectionInfo>,
    worker: &Rc<Worker>,
    drain: &Rc<Drain>,
) -> Rc<Connection> {
    let peer = Peer { remote: socket_address(&info.remote), local: socket_address(&info.local) };
    Rc::new(Connection::new(Arc::clone(manager), Rc::clone(worker), Rc::clone(info), peer, Rc::clone(drain)))
}

/// What listener filters found out about a connection beside what is known of it anyway.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) transport_protocol: &'static str,
    pub(super) application_protocols: Vec<Box<str>>,
}

/// Leads a connection through the listener's filters; it is gone where they do not let it pass.
async fn inspect(
    io: &mut Option<Io>,
    info: &mut ConnectionInfo,
    found: &mut Found,
    listener: &Listener,
    worker: &Worker,
) {
    let Some(socket) = io.take().and_then(Io::into_socket) else { return };
    let _waiting = Waiting::new(&listener.stats);
    let mut accepted = Accepted {
        info,
        worker,
        socket: &socket,
        transport_protocol: found.transport_protocol,
        application_protocols: std::mem::take(&mut found.application_protocols),
    };
    if listener.filters.pass(&mut accepted, worker, listener).await.is_err() {
        return;
    }
    found.transport_protocol = accepted.transport_protocol;
    found.application_protocols = accepted.application_protocols;
    *io = Some(Io::from(socket));
}

/// Counts a connection among those that listener filters look at.
struct Waiting<'s>(&'s ListenerStats);

impl<'s> Waiting<'s> {
    fn new(stats: &'s ListenerStats) -> Self {
        stats.downstream_pre_cx_active().inc();
        Waiting(stats)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.downstream_pre_cx_active().dec();
    }
}

/// What is known of a connection that was accepted.
fn info(listener: &Listener, ends: Ends) -> ConnectionInfo {
    ConnectionInfo {
        notes: ends.notes.into(),
        listener_name: Some(Arc::clone(&listener.name)),
        listener_metadata: listener.config.metadata.clone(),
        direction: listener.config.traffic_direction,
        node: Some(Arc::clone(&listener.node)),
        ..ConnectionInfo::new(connection_id::next(), ends.remote, ends.local)
    }
}

/// Writes the listener's own access logs: a line for each connection, at its end.
fn log(listener: &Listener, worker: &Worker, info: &mut StreamInfo) {
    info.timing.complete = Some(info.start.elapsed());
    let context = format::Context::without_headers(info);
    let snapshot = worker.snapshot();
    let draw = Draw { random: worker.random(), runtime: &snapshot.runtime };
    for log in &listener.access_log {
        log.write(&context, draw);
    }
}
