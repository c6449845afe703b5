//! One worker's side of a listener over UDP: what comes on its sockets.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use tokio::net::UdpSocket;
use tokio::task::{AbortHandle, spawn_local, yield_now};

use crate::config::listener::udp::LONGEST_DATAGRAM;
use crate::http::Worker;
use crate::observability::stats::server::ServerStats;
use crate::observability::stats::udp::UdpListenerStats;

use super::contain::contained;
use super::proxy::Proxy;
use super::session::add;
use super::sessions::Sessions;
use super::socket::{Downstream, control_buffer, receive};

/// Datagrams taken from a socket before others have their turn.
pub(super) const BATCH: usize = 32;
/// Time between looks after sessions whose host is gone.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

/// The listener that datagrams come to.
#[derive(Debug)]
pub struct Origin {
    /// Its name.
    pub name: Arc<str>,
    /// Longer datagrams are dropped.
    pub max_rx_datagram_bytes: usize,
    /// `listener.<address>.udp.`
    pub stats: UdpListenerStats,
}

/// What a worker does with the datagrams of a listener, until this is dropped: then all sessions end.
#[derive(Debug)]
pub struct Datagrams {
    shared: Rc<Shared>,
    tasks: Vec<AbortHandle>,
}

/// What the sockets and sessions of a listener share on a worker.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) origin: Arc<Origin>,
    pub(super) proxy: Arc<Proxy>,
    pub(super) worker: Rc<Worker>,
    /// Where panics are counted.
    pub(super) process: ServerStats,
    pub(super) sessions: Sessions,
    pub(super) sockets: Vec<Rc<Downstream>>,
    buffers: RefCell<Buffers>,
    began: (Instant, SystemTime),
}

/// Room for the one datagram that is on its way.
#[derive(Debug)]
struct Buffers {
    datagram: Box<[u8]>,
    control: Vec<u8>,
}

impl Datagrams {
    /// Gives what comes on sockets, each bound to its address, to a proxy. To be called in the worker's runtime.
    pub fn serve(
        origin: Arc<Origin>,
        proxy: Arc<Proxy>,
        worker: &Rc<Worker>,
        process: ServerStats,
        sockets: impl Iterator<Item = (Rc<UdpSocket>, SocketAddr)>,
    ) -> Self {
        let sockets = sockets.map(|(socket, bound)| Rc::new(Downstream::new(socket, bound))).collect();
        let shared = Rc::new(Shared {
            origin,
            worker: Rc::clone(worker),
            process,
            sessions: Sessions::new(worker, &proxy),
            proxy,
            sockets,
            buffers: RefCell::new(Buffers {
                datagram: vec![0; LONGEST_DATAGRAM].into(),
                control: control_buffer(),
            }),
            began: (Instant::now(), SystemTime::now()),
        });
        let receive = |socket: &Rc<Downstream>| {
            spawn_local(Rc::clone(&shared).receive_all(Rc::clone(socket))).abort_handle()
        };
        let mut tasks: Vec<_> = shared.sockets.iter().map(receive).collect();
        tasks.push(spawn_local(Rc::clone(&shared).sweep()).abort_handle());
        Datagrams { shared, tasks }
    }
}

impl Drop for Datagrams {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
        self.shared.sessions.end_all();
        self.shared.log_proxy(self.shared.began);
    }
}

impl Shared {
    /// Takes what comes on a socket, as long as there is one.
    async fn receive_all(self: Rc<Self>, socket: Rc<Downstream>) {
        let dropped = Cell::new(0);
        while socket.socket.readable().await.is_ok() {
            for _ in 0..BATCH {
                let more = contained(&self.process, || self.receive_one(&socket, &dropped));
                if more == Some(false) {
                    break;
                }
            }
            yield_now().await;
        }
    }

    /// Takes one datagram; whether more may wait. `dropped` is how many the system has dropped so far.
    fn receive_one(self: &Rc<Self>, socket: &Rc<Downstream>, dropped: &Cell<u32>) -> bool {
        let mut buffers = self.buffers.borrow_mut();
        let Buffers { datagram, control } = &mut *buffers;
        let room = &mut datagram[..self.origin.max_rx_datagram_bytes];
        let received = match receive(&socket.socket, room, control) {
            Ok(received) => received,
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return false,
            Err(_) => {
                self.proxy.stats.downstream_sess_rx_errors().inc();
                return true;
            }
        };
        if let Some(now) = received.dropped {
            let before = dropped.replace(now);
            self.origin.stats.downstream_rx_datagram_dropped().add(now.wrapping_sub(before).into());
        }
        if received.truncated {
            self.origin.stats.downstream_rx_datagram_dropped().inc();
            return true;
        }
        if let Some(peer) = received.peer {
            let ip = received.local.unwrap_or(socket.bound.ip());
            let local = SocketAddr::new(ip, socket.bound.port());
            add(&socket.received, received.length as u64);
            self.pass(peer, local, socket, &datagram[..received.length]);
        }
        true
    }

    /// Lends room for a datagram from a host.
    pub(super) fn with_buffers<T>(&self, take: impl FnOnce(&mut [u8], &mut [u8]) -> T) -> T {
        let mut buffers = self.buffers.borrow_mut();
        let Buffers { datagram, control } = &mut *buffers;
        take(&mut datagram[..self.proxy.config.max_upstream_datagram_bytes], control)
    }

    async fn sweep(self: Rc<Self>) {
        loop {
            tokio::time::sleep(SWEEP_INTERVAL).await;
            contained(&self.process, || self.sessions.follow(&self.worker));
        }
    }
}
