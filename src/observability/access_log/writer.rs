//! The thread that writes log files.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use tracing::warn;

use crate::observability::stats::server::FilesystemStats;

use super::sink::Destination;

/// How logs are written.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Number of workers.
    pub workers: usize,
    /// Longest time a line waits in a buffer: `--file-flush-interval-msec`, 10 s by default. Zero: lines wait for
    /// nothing, whatever the size of a buffer.
    pub flush_interval: Duration,
    /// Bytes in a worker's buffer at which it is written: `--file-flush-min-size-kb`, 64 KiB by default.
    pub flush_size: usize,
}

impl Settings {
    /// Bytes in a worker's buffer at which the thread is told of it.
    pub(super) fn due_size(&self) -> usize {
        if self.flush_interval.is_zero() { 1 } else { self.flush_size }
    }
}

/// What the thread is asked to do.
#[derive(Debug)]
pub(super) enum Order {
    /// There is a new destination.
    Add(Arc<Destination>),
    /// A buffer of this one is full.
    Due(Arc<Destination>),
    /// A line whose buffer was just being taken.
    Line(Arc<Destination>, Vec<u8>),
    /// Write everything, then say so.
    Flush(Sender<()>),
    /// Open the files anew.
    Reopen,
    /// Write everything and end.
    Stop,
}

/// The thread's state.
pub(super) struct Writer {
    orders: Receiver<Order>,
    settings: Settings,
    stats: FilesystemStats,
    destinations: Vec<Arc<Destination>>,
    /// Goes round between this thread and the workers' buffers, so that these keep their memory.
    spare: Vec<u8>,
}

impl Writer {
    pub(super) fn new(orders: Receiver<Order>, settings: Settings, stats: FilesystemStats) -> Self {
        Writer { orders, settings, stats, destinations: Vec::new(), spare: Vec::new() }
    }

    /// Serves until it is stopped.
    pub(super) fn run(mut self) {
        let mut next_flush = Instant::now() + self.settings.flush_interval;
        loop {
            match self.next_order(next_flush) {
                Ok(Order::Stop) | Err(RecvTimeoutError::Disconnected) => return self.flush(),
                Ok(order) => self.serve(order),
                Err(RecvTimeoutError::Timeout) => {
                    self.stats.flushed_by_timer().inc();
                    self.flush();
                    next_flush = Instant::now() + self.settings.flush_interval;
                }
            }
        }
    }

    /// The next order, or that it is time to write. Without an interval there is an order for each line.
    fn next_order(&self, next_flush: Instant) -> Result<Order, RecvTimeoutError> {
        if self.settings.flush_interval.is_zero() {
            return self.orders.recv().map_err(RecvTimeoutError::from);
        }
        self.orders.recv_timeout(next_flush.saturating_duration_since(Instant::now()))
    }

    fn serve(&mut self, order: Order) {
        match order {
            Order::Add(destination) => self.destinations.push(destination),
            Order::Due(destination) => self.flush_one(&destination),
            Order::Line(destination, line) => {
                // What lies in the buffer is older.
                self.flush_one(&destination);
                self.count(line.len(), destination.write(&line));
            }
            Order::Flush(done) => {
                self.flush();
                // Nobody may be waiting any more.
                done.send(()).unwrap_or_default();
            }
            Order::Reopen => {
                self.flush();
                for destination in &self.destinations {
                    if let Err(error) = destination.reopen() {
                        self.stats.reopen_failed().inc();
                        warn!(target: "file", "{error}");
                    }
                }
            }
            Order::Stop => {}
        }
    }

    fn flush(&mut self) {
        for at in 0..self.destinations.len() {
            let destination = Arc::clone(&self.destinations[at]);
            self.flush_one(&destination);
        }
    }

    fn flush_one(&mut self, destination: &Destination) {
        let mut taken = 0;
        let outcome = destination.flush(&mut self.spare, &mut taken);
        self.stats.write_total_buffered().sub(taken as u64);
        self.count(taken, outcome);
    }

    /// Lines that cannot be written are lost, as in Envoy: a full disk must not stop traffic.
    fn count(&self, bytes: usize, outcome: std::io::Result<()>) {
        match outcome {
            Ok(()) if bytes == 0 => {}
            Ok(()) => self.stats.write_completed().inc(),
            Err(_) => self.stats.write_failed().inc(),
        }
    }
}
