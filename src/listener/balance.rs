//! Connections spread over the workers by how many each has: `Listener.connection_balance_config.exact_balance`.
//!
//! The worker that accepts a connection gives it to the one that has the fewest of the listener's. As in Envoy that takes
//! a lock for each connection; listeners without it have none.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use tokio::net::{TcpStream, UnixStream};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::base::io::{Io, Socket};
use crate::http::Peer;

/// How many connections of a listener each worker has, and the ways to give it one.
#[derive(Debug)]
pub(super) struct Balancer {
    workers: Box<[Desk]>,
    /// Held while one is chosen.
    choosing: Mutex<()>,
}

#[derive(Debug, Default)]
struct Desk {
    connections: AtomicUsize,
    /// Empty until the worker serves the listener.
    door: OnceLock<UnboundedSender<Given>>,
}

impl Desk {
    /// Whether the worker takes what it is given: it serves the listener, and has not stopped that.
    fn is_open(&self) -> bool {
        self.door.get().is_some_and(|door| !door.is_closed())
    }
}

/// A connection on its way from one worker to another.
#[derive(Debug)]
pub(super) struct Given {
    socket: Detached,
    peer: Peer,
    /// Counts it.
    seat: Seat,
}

/// A socket that no runtime has.
#[derive(Debug)]
enum Detached {
    Tcp(std::net::TcpStream),
    Unix(std::os::unix::net::UnixStream),
}

/// Counts a connection as one of a worker's until it is dropped.
#[derive(Debug)]
pub(super) struct Seat {
    balancer: Arc<Balancer>,
    /// The worker's number.
    pub(super) worker: usize,
}

impl Drop for Seat {
    fn drop(&mut self) {
        if let Some(desk) = self.balancer.workers.get(self.worker) {
            desk.connections.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl Balancer {
    /// Among so many workers.
    pub(super) fn new(workers: usize) -> Self {
        Balancer { workers: (0..workers).map(|_| Desk::default()).collect(), choosing: Mutex::new(()) }
    }

    /// What is given to a worker from now on; `None` where it has asked before.
    pub(super) fn open(&self, worker: usize) -> Option<UnboundedReceiver<Given>> {
        let (sender, receiver) = unbounded_channel();
        self.workers.get(worker)?.door.set(sender).ok().map(|()| receiver)
    }

    /// A seat at the worker that has the fewest connections, of those that serve.
    pub(super) fn choose(self: &Arc<Self>) -> Option<Seat> {
        let _choosing = self.choosing.lock().unwrap_or_else(PoisonError::into_inner);
        let open = self.workers.iter().enumerate().filter(|(_, desk)| desk.is_open());
        let (worker, desk) = open.min_by_key(|(_, desk)| desk.connections.load(Ordering::Relaxed))?;
        desk.connections.fetch_add(1, Ordering::Relaxed);
        Some(Seat { balancer: Arc::clone(self), worker })
    }

    /// Gives a connection to the worker of its seat.
    ///
    /// # Errors
    /// The socket cannot be taken from the runtime; the connection is gone.
    pub(super) fn give(&self, io: Io, peer: Peer, seat: Seat) -> io::Result<()> {
        let socket = match io.into_socket() {
            Some(Socket::Tcp(stream)) => Detached::Tcp(stream.into_std()?),
            Some(Socket::Unix(stream)) => Detached::Unix(stream.into_std()?),
            Some(Socket::Loopback(_)) | None => return Ok(()),
        };
        let door = self.workers.get(seat.worker).and_then(|desk| desk.door.get());
        let given = door.map(|door| door.send(Given { socket, peer, seat }));
        match given {
            Some(Ok(())) => Ok(()),
            Some(Err(_)) | None => Err(io::Error::other("the worker serves no longer")),
        }
    }
}

impl Given {
    /// Takes it into the runtime of this worker.
    pub(super) fn take(self) -> io::Result<(Io, Peer, Seat)> {
        let socket = match self.socket {
            Detached::Tcp(stream) => Socket::Tcp(TcpStream::from_std(stream)?),
            Detached::Unix(stream) => Socket::Unix(UnixStream::from_std(stream)?),
        };
        Ok((Io::from(socket), self.peer, self.seat))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_that_serves_no_longer_gets_none() {
        let balancer = Arc::new(Balancer::new(2));
        let (first, second) = (balancer.open(0), balancer.open(1));
        drop(first);
        let seats = [balancer.choose(), balancer.choose()];
        assert_eq!(seats.each_ref().map(|seat| seat.as_ref().map(|seat| seat.worker)), [Some(1), Some(1)]);
        drop(second);
        assert!(balancer.choose().is_none());
    }

    #[test]
    fn the_worker_with_the_fewest_connections_gets_the_next_one() {
        let balancer = Arc::new(Balancer::new(3));
        assert!(balancer.choose().is_none(), "nobody serves yet");
        let _doors = [balancer.open(0), balancer.open(2)];
        assert!(balancer.open(0).is_none(), "it has its door");
        let worker = |seat: &Option<Seat>| seat.as_ref().map(|seat| seat.worker);
        let (first, second, third) = (balancer.choose(), balancer.choose(), balancer.choose());
        assert_eq!([&first, &second, &third].map(worker), [Some(0), Some(2), Some(0)]);
        drop((first, third));
        assert_eq!(worker(&balancer.choose()), Some(0));
    }
}
