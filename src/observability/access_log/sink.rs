//! Where lines go: a buffer for each worker before a file or stream.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::thread::JoinHandle;

use crate::config::access_log::AccessLogSink;
use crate::observability::stats;
use crate::observability::stats::server::FilesystemStats;

use super::writer::{Order, Settings, Writer};

/// A log file that cannot be opened.
#[derive(Debug, thiserror::Error)]
#[error("unable to open file '{path}': {source}")]
pub struct OpenError {
    path: PathBuf,
    source: io::Error,
}

/// All log files of a process, and the thread that writes them.
///
/// Dropping it writes what is left and ends the thread.
#[derive(Debug)]
pub struct Sinks {
    settings: Settings,
    stats: FilesystemStats,
    orders: Sender<Order>,
    open: Mutex<HashMap<AccessLogSink, Arc<Destination>>>,
    writer: Option<JoinHandle<()>>,
}

impl Sinks {
    /// Starts the writing thread.
    ///
    /// # Errors
    /// The operating system makes no thread.
    pub fn new(settings: Settings, registry: &stats::Registry) -> io::Result<Self> {
        let stats = FilesystemStats::new(registry, "filesystem.");
        let (orders, receiver) = channel();
        let writer = Writer::new(receiver, settings, stats.clone());
        let writer = std::thread::Builder::new().name("access_log".to_owned()).spawn(|| writer.run())?;
        Ok(Sinks { settings, stats, orders, open: Mutex::default(), writer: Some(writer) })
    }

    /// The sink of this kind; logs that name the same file share it.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub fn open(&self, sink: &AccessLogSink) -> Result<Sink, OpenError> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let destination = match open.get(sink) {
            Some(destination) => Arc::clone(destination),
            None => {
                let destination = Arc::new(Destination::new(sink, self.settings.workers)?);
                self.order(Order::Add(Arc::clone(&destination)));
                open.insert(sink.clone(), Arc::clone(&destination));
                destination
            }
        };
        let (orders, flush_size) = (self.orders.clone(), self.settings.due_size());
        Ok(Sink { destination, orders, stats: self.stats.clone(), flush_size })
    }

    /// Closes the files and opens them anew by their names, after what was logged before is written.
    pub fn reopen(&self) {
        self.order(Order::Reopen);
    }

    /// Writes what was logged up to now; returns when that is done.
    pub fn flush(&self) {
        let (done, wait) = channel();
        self.order(Order::Flush(done));
        // An error says that the thread has ended, and it writes everything before it does.
        wait.recv().unwrap_or_default();
    }

    fn order(&self, order: Order) {
        // Fails only when the thread has ended, which it does not before this value does.
        self.orders.send(order).unwrap_or_default();
    }
}

impl Drop for Sinks {
    fn drop(&mut self) {
        self.order(Order::Stop);
        if let Some(writer) = self.writer.take() {
            // A panic in the thread has been reported there.
            writer.join().unwrap_or_default();
        }
    }
}

/// Where an access log's lines go. Any thread may write.
#[derive(Clone, Debug)]
pub struct Sink {
    destination: Arc<Destination>,
    orders: Sender<Order>,
    stats: FilesystemStats,
    flush_size: usize,
}

impl Sink {
    /// Adds the line that `write` puts into the buffer it is given.
    pub fn append(&self, write: impl FnOnce(&mut Vec<u8>)) {
        self.stats.write_buffered().inc();
        let mut buffer = match self.destination.buffer().try_lock() {
            Ok(buffer) => buffer,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => {
                let mut line = Vec::new();
                write(&mut line);
                return self.order(Order::Line(Arc::clone(&self.destination), line));
            }
        };
        let before = buffer.len();
        write(&mut buffer);
        self.stats.write_total_buffered().add((buffer.len() - before) as u64);
        if buffer.len() >= self.flush_size && !self.destination.is_due.swap(true, Ordering::Relaxed) {
            drop(buffer);
            self.order(Order::Due(Arc::clone(&self.destination)));
        }
    }

    fn order(&self, order: Order) {
        // Fails only after the thread has ended, when no request is served any more.
        self.orders.send(order).unwrap_or_default();
    }
}

/// A file or stream, and the buffers before it.
#[derive(Debug)]
pub(super) struct Destination {
    /// One for each worker, and the first for all other threads.
    buffers: Box<[Mutex<Vec<u8>>]>,
    /// Whether the writer was told that a buffer is full.
    is_due: AtomicBool,
    output: Mutex<Output>,
}

#[derive(Debug)]
enum Output {
    File(PathBuf, File),
    Stdout,
    Stderr,
}

impl Destination {
    fn new(sink: &AccessLogSink, workers: usize) -> Result<Self, OpenError> {
        let output = match sink {
            AccessLogSink::File(path) => Output::File(path.clone(), open(path)?),
            AccessLogSink::Stdout => Output::Stdout,
            AccessLogSink::Stderr => Output::Stderr,
        };
        let buffers = (0..=workers).map(|_| Mutex::default()).collect();
        Ok(Destination { buffers, is_due: AtomicBool::new(false), output: Mutex::new(output) })
    }

    /// The buffer of this thread.
    fn buffer(&self) -> &Mutex<Vec<u8>> {
        self.buffers.get(stats::current_shard()).unwrap_or(&self.buffers[0])
    }

    /// Takes what lies in the buffers and writes it. Adds the bytes that were taken to `taken`, whether they could
    /// be written or not.
    pub(super) fn flush(&self, spare: &mut Vec<u8>, taken: &mut usize) -> io::Result<()> {
        self.is_due.store(false, Ordering::Relaxed);
        let mut outcome = Ok(());
        for buffer in &self.buffers {
            spare.clear();
            std::mem::swap(&mut *buffer.lock().unwrap_or_else(PoisonError::into_inner), spare);
            *taken += spare.len();
            outcome = outcome.and(self.write(spare));
        }
        outcome
    }

    /// Writes lines, after all that were written before.
    pub(super) fn write(&self, lines: &[u8]) -> io::Result<()> {
        if lines.is_empty() {
            return Ok(());
        }
        use io::Write;
        match &mut *self.output() {
            Output::File(_, file) => file.write_all(lines),
            Output::Stdout => io::stdout().write_all(lines).and_then(|()| io::stdout().flush()),
            Output::Stderr => io::stderr().write_all(lines),
        }
    }

    /// Opens the file anew; the old one stays if that fails.
    pub(super) fn reopen(&self) -> Result<(), OpenError> {
        if let Output::File(path, file) = &mut *self.output() {
            *file = open(path)?;
        }
        Ok(())
    }

    fn output(&self) -> MutexGuard<'_, Output> {
        self.output.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn open(path: &Path) -> Result<File, OpenError> {
    let file = File::options().append(true).create(true).open(path);
    file.map_err(|source| OpenError { path: path.to_owned(), source })
}
