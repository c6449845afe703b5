//! A worker's side: it accepts connections and serves each in a task of its own.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::FutureExt as _;
use socket2::Socket;
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::Notify;
use tokio::task::{AbortHandle, spawn_local};

use crate::base::connection_id;
use crate::base::io::Io;
use crate::config::address::Address;
use crate::config::listener::TrafficDirection;
use crate::config::runtime::Draw;
use crate::http::drain::{Drain, Pace};
use crate::http::{self, Connection, Peer, Worker};
use crate::observability::format;
use crate::observability::stream_info::{self, ConnectionInfo, StreamInfo};

use super::connection_limit::ConnectionLimit;
use super::contain::contain;
use super::manager::{Chain, Command, Listener};

/// The listeners that a worker serves.
#[derive(Debug)]
pub struct Acceptor {
    index: usize,
    worker: Rc<Worker>,
    /// By the number of their sockets.
    slots: HashMap<u64, Rc<Slot>>,
    /// By the listener's number; those that drain are here until they are closed.
    drains: Rc<RefCell<HashMap<u64, Rc<Drain>>>>,
    connections: Rc<Open>,
}

/// How many connections are open.
#[derive(Debug, Default)]
pub struct Open {
    count: Cell<usize>,
    changed: Notify,
}

impl Open {
    fn change(&self, count: usize) {
        self.count.set(count);
        if count == 0 {
            self.changed.notify_waiters();
        }
    }
}

/// What the connections of a set of sockets are given to.
#[derive(Debug)]
struct Slot {
    /// The worker's number.
    worker: usize,
    current: RefCell<(Arc<Listener>, Rc<Drain>)>,
    accepting: RefCell<Vec<AbortHandle>>,
}

impl Acceptor {
    /// The acceptor of the worker with this number.
    pub fn new(index: usize, worker: Rc<Worker>) -> Self {
        Acceptor { index, worker, slots: HashMap::new(), drains: Rc::default(), connections: Rc::default() }
    }

    /// Connections that are open.
    pub fn connections(&self) -> usize {
        self.connections.count.get()
    }

    /// Waits until no connection is open.
    pub async fn closed(&self) {
        loop {
            let changed = self.connections.changed.notified();
            if self.connections() == 0 {
                return;
            }
            changed.await;
        }
    }

    /// Does what the control thread says.
    pub fn handle(&mut self, command: Command) {
        match command {
            Command::Serve(listener) => self.serve(listener),
            Command::Drain { id, pace, within } => self.drain(id, pace, within),
            Command::Stop { inbound_only, within } => {
                for id in self.selected(inbound_only) {
                    self.drain(id, Pace::Immediate, within);
                }
            }
            Command::DrainConnections { inbound_only, pace } => {
                let drains = self.drains.borrow();
                for drain in self.selected(inbound_only).iter().filter_map(|id| drains.get(id)) {
                    drain.begin(pace);
                }
            }
            // The worker that calls this sees to it.
            Command::Finish => {}
        }
    }

    /// The numbers of the listeners that are served now.
    fn selected(&self, inbound_only: bool) -> Vec<u64> {
        let listeners = self.slots.values().map(|slot| Arc::clone(&slot.current.borrow().0));
        listeners
            .filter(|listener| {
                !inbound_only || listener.config.traffic_direction == TrafficDirection::Inbound
            })
            .map(|listener| listener.id)
            .collect()
    }

    fn serve(&mut self, listener: Arc<Listener>) {
        let drain = Rc::new(Drain::default());
        self.drains.borrow_mut().insert(listener.id, Rc::clone(&drain));
        let sockets = Arc::clone(&listener.sockets);
        if let Some(slot) = self.slots.get(&sockets.id) {
            slot.current.replace((listener, drain));
            return;
        }
        let slot = Rc::new(Slot {
            worker: self.index,
            current: RefCell::new((listener, drain)),
            accepting: RefCell::default(),
        });
        for bound in &sockets.bound {
            let Some(socket) = bound.take(self.index) else {
                continue;
            };
            match Listening::new(socket, &bound.address) {
                Ok(listening) => self.accept(&slot, listening),
                Err(error) => tracing::error!(target: "main", %error, "cannot listen on {}", bound.address),
            }
        }
        self.slots.insert(sockets.id, slot);
    }

    fn accept(&self, slot: &Rc<Slot>, listening: Listening) {
        let worker = Rc::clone(&self.worker);
        let connections = Rc::clone(&self.connections);
        let weak = Rc::downgrade(slot);
        let task = spawn_local(async move {
            loop {
                let accepted = listening.accept().await;
                let Some(slot) = weak.upgrade() else {
                    return;
                };
                match slot.start_all(accepted, &listening, &worker, &connections) {
                    Ok(()) => tokio::task::yield_now().await,
                    // Out of descriptors or memory: others may free some, so it is tried again, not at once.
                    Err(error) => {
                        tracing::warn!(target: "connection", %error, "accept failed");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                }
            }
        });
        slot.accepting.borrow_mut().push(task.abort_handle());
    }

    fn drain(&mut self, id: u64, pace: Pace, within: Duration) {
        let still_current = |slot: &Rc<Slot>| slot.current.borrow().0.id == id;
        let stopped: Vec<u64> =
            self.slots.iter().filter(|(_, slot)| still_current(slot)).map(|(id, _)| *id).collect();
        for sockets in stopped {
            self.slots.remove(&sockets);
        }
        let Some(drain) = self.drains.borrow().get(&id).cloned() else {
            return;
        };
        drain.begin(pace);
        let drains = Rc::clone(&self.drains);
        spawn_local(async move {
            tokio::time::sleep(within).await;
            drain.close();
            drains.borrow_mut().remove(&id);
        });
    }
}

/// Time before accepting is tried again after it failed.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

impl Drop for Slot {
    fn drop(&mut self) {
        for task in self.accepting.borrow().iter() {
            task.abort();
        }
    }
}

impl Slot {
    /// Starts a connection, and those that wait with it, as many as are accepted at once.
    fn start_all(
        &self,
        first: io::Result<(Io, Peer)>,
        listening: &Listening,
        worker: &Rc<Worker>,
        connections: &Rc<Open>,
    ) -> io::Result<()> {
        let limit = self.current.borrow().0.config.max_connections_to_accept_per_socket_event;
        let limit = limit.map_or(u64::MAX, u64::from);
        let (mut next, mut count) = (Some(first), 0);
        let outcome = loop {
            match next {
                Some(Ok((io, peer))) => self.start(io, peer, worker, connections),
                Some(Err(error)) => break Err(error),
                None => break Ok(()),
            }
            count += 1;
            // The look that finds nothing is one that waiting would begin with.
            next = if count < limit { listening.accept().now_or_never() } else { None };
        };
        if count > 0 {
            let listener = &self.current.borrow().0;
            listener.stats.connections_accepted_per_socket_event().record(count);
        }
        outcome
    }

    fn start(&self, io: Io, peer: Peer, worker: &Rc<Worker>, connections: &Rc<Open>) {
        let (listener, drain) = self.current.borrow().clone();
        let place = listener.connection_limit.as_ref().map(ConnectionLimit::take);
        if matches!(place, Some(None)) {
            listener.stats.downstream_global_cx_overflow().inc();
            return;
        }
        let worker = Rc::clone(worker);
        let open = OpenConnection::new(Rc::clone(connections), Arc::clone(&listener), self.worker);
        spawn_local(async move {
            let (_open, _place) = (open, place);
            let info = Rc::new(connection_info(&listener, peer));
            match &listener.chain {
                Chain::Http(manager) => {
                    let connection = Connection {
                        manager: Arc::clone(manager),
                        worker: Rc::clone(&worker),
                        info: Rc::clone(&info),
                        peer,
                        drain: Rc::clone(&drain),
                        ending: Cell::new(false),
                    };
                    contain(http::serve(Rc::new(connection), io), &drain, &listener.process).await;
                }
            }
            log_connection(&listener, &worker, info);
        });
    }
}

/// Counts a connection as open until it is dropped.
struct OpenConnection {
    connections: Rc<Open>,
    listener: Arc<Listener>,
    /// The worker's number.
    worker: usize,
    opened: tokio::time::Instant,
}

impl OpenConnection {
    fn new(connections: Rc<Open>, listener: Arc<Listener>, worker: usize) -> Self {
        connections.change(connections.count.get() + 1);
        listener.stats.downstream_cx_total().inc();
        listener.stats.downstream_cx_active().inc();
        if let Some(stats) = listener.worker_stats.get(worker) {
            stats.downstream_cx_total().inc();
            stats.downstream_cx_active().inc();
        }
        OpenConnection { connections, listener, worker, opened: tokio::time::Instant::now() }
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.connections.change(self.connections.count.get() - 1);
        let stats = &self.listener.stats;
        stats.downstream_cx_active().dec();
        stats.downstream_cx_destroy().inc();
        if let Some(stats) = self.listener.worker_stats.get(self.worker) {
            stats.downstream_cx_active().dec();
        }
        stats.downstream_cx_length_ms().record(self.opened.elapsed().as_millis() as u64);
    }
}

/// A listening socket in the worker's runtime.
enum Listening {
    Tcp(TcpListener, Option<SocketAddr>),
    Unix(UnixListener),
}

impl Listening {
    fn new(socket: Socket, address: &Address) -> io::Result<Self> {
        match address {
            Address::Pipe { .. } => Ok(Listening::Unix(UnixListener::from_std(socket.into())?)),
            Address::Ip(local) => Ok(Listening::Tcp(TcpListener::from_std(socket.into())?, Some(*local))),
            Address::Name { .. } => Ok(Listening::Tcp(TcpListener::from_std(socket.into())?, None)),
        }
    }

    async fn accept(&self) -> io::Result<(Io, Peer)> {
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

/// Writes the listener's own access logs: a line for each connection, at its end.
fn log_connection(listener: &Listener, worker: &Worker, connection: Rc<ConnectionInfo>) {
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

fn connection_info(listener: &Listener, peer: Peer) -> ConnectionInfo {
    let address = |address: Option<SocketAddr>| match address {
        Some(address) => stream_info::Address::Ip(address),
        None => stream_info::Address::Pipe(Arc::from("")),
    };
    ConnectionInfo {
        listener_name: Some(Arc::clone(&listener.name)),
        filter_chain_name: listener.filter_chain_name.clone(),
        ..ConnectionInfo::new(connection_id::next(), address(peer.remote), address(peer.local))
    }
}
