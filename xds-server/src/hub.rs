//! What all streams share: the catalog that is served, who is connected, and the faults of a test.
//!
//! State is read, not heard: a stream that looks late sees what one that looked at once sees. The channels
//! only say that something changed.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::{broadcast, watch};

use crate::load_reports::Reports;
use crate::sequence::Sequence;
use crate::snapshot::{Catalog, Problem};
use crate::variant::Injection;

/// How many faults may wait for a stream that is not listening; enough for any test.
const FAULTS_WAITING: usize = 64;

/// The catalog in force, and how many were before it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Published {
    /// Counts up with every change; 0 is the empty catalog before the first.
    pub(crate) generation: u64,
    /// What is served.
    pub(crate) catalog: Arc<Catalog>,
}

/// What a test does to streams.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// End with `UNAVAILABLE`.
    Drop,
    /// Send this.
    Inject(Injection),
}

/// One connected stream.
#[derive(Debug)]
pub(crate) struct Stream {
    /// `sotw` or `delta`.
    pub(crate) variant: &'static str,
    /// The type that this stream serves; `None` for an aggregated one.
    pub(crate) type_url: Option<&'static str>,
    /// The other end.
    pub(crate) peer: String,
    /// When it was opened.
    pub(crate) since: Instant,
    /// What changes while it is open.
    pub(crate) state: Mutex<StreamState>,
}

/// What changes while a stream is open.
#[derive(Debug)]
pub(crate) struct StreamState {
    /// Who the client says it is; `None` before its first request.
    pub(crate) node: Option<NodeId>,
    /// The protocol's state.
    pub(crate) sequence: Sequence,
    /// The newest generation of which everything was sent.
    pub(crate) told_generation: u64,
}

/// Who a client says it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct NodeId {
    /// `node.id`.
    pub(crate) id: String,
    /// `node.cluster`.
    pub(crate) cluster: String,
    /// `node.user_agent_name` and its version.
    pub(crate) user_agent: String,
}

impl Stream {
    /// The state, locked for the moment. A panic elsewhere leaves nothing half done that would matter here.
    pub(crate) fn lock(&self) -> MutexGuard<'_, StreamState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What became of the directory.
#[derive(Clone, Debug, Default)]
pub(crate) struct Source {
    /// When the catalog in force was put in force.
    pub(crate) published_at: Option<SystemTime>,
    /// Why the newest content of the directory is not in force; empty when it is.
    pub(crate) problems: Vec<Problem>,
}

/// What all streams share.
#[derive(Debug)]
pub(crate) struct Hub {
    published: watch::Sender<Published>,
    source: Mutex<Source>,
    streams: Mutex<BTreeMap<u64, Arc<Stream>>>,
    next_stream: AtomicU64,
    changed: watch::Sender<()>,
    faults: broadcast::Sender<Fault>,
    refusing: AtomicBool,
    delay: Mutex<Duration>,
    stopping: watch::Sender<bool>,
    patience: Duration,
    load_reports: Reports,
}

impl Hub {
    pub(crate) fn new(patience: Duration) -> Self {
        Self {
            published: watch::Sender::default(),
            source: Mutex::default(),
            streams: Mutex::default(),
            next_stream: AtomicU64::new(1),
            changed: watch::Sender::default(),
            faults: broadcast::Sender::new(FAULTS_WAITING),
            refusing: AtomicBool::new(false),
            delay: Mutex::default(),
            stopping: watch::Sender::new(false),
            patience,
            load_reports: Reports::default(),
        }
    }

    /// What clients tell of their load.
    pub(crate) fn load_reports(&self) -> &Reports {
        &self.load_reports
    }

    /// Puts a catalog in force, unless it is the one in force. Returns the generation in force.
    pub(crate) fn publish(&self, catalog: Catalog) -> u64 {
        self.published.send_if_modified(|published| {
            let new = published.generation == 0 || *published.catalog != catalog;
            if new {
                *published = Published { generation: published.generation + 1, catalog: Arc::new(catalog) };
            }
            new
        });
        *lock(&self.source) = Source { published_at: Some(SystemTime::now()), problems: Vec::new() };
        self.note_change();
        self.published.borrow().generation
    }

    /// Notes why a new content of the directory is not put in force.
    pub(crate) fn refuse(&self, problems: Vec<Problem>) {
        lock(&self.source).problems = problems;
        self.note_change();
    }

    pub(crate) fn source(&self) -> Source {
        lock(&self.source).clone()
    }

    pub(crate) fn published(&self) -> watch::Receiver<Published> {
        self.published.subscribe()
    }

    /// Tells that there is something new to see: a stream, a verdict, a catalog.
    pub(crate) fn note_change(&self) {
        self.changed.send_replace(());
    }

    pub(crate) fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// Takes a stream in. It counts as connected until the guard is dropped.
    pub(crate) fn connect(
        self: &Arc<Self>,
        variant: &'static str,
        type_url: Option<&'static str>,
        peer: String,
    ) -> ConnectedStream {
        let sequence = Sequence::new(type_url.is_none(), self.patience);
        let state = Mutex::new(StreamState { node: None, sequence, told_generation: 0 });
        let stream = Arc::new(Stream { variant, type_url, peer, since: Instant::now(), state });
        let id = self.next_stream.fetch_add(1, Ordering::Relaxed);
        lock(&self.streams).insert(id, stream.clone());
        self.note_change();
        ConnectedStream { hub: self.clone(), id, stream }
    }

    /// The connected streams with their numbers, oldest first.
    pub(crate) fn streams(&self) -> Vec<(u64, Arc<Stream>)> {
        lock(&self.streams).iter().map(|(id, stream)| (*id, stream.clone())).collect()
    }

    pub(crate) fn faults(&self) -> broadcast::Receiver<Fault> {
        self.faults.subscribe()
    }

    /// Does something to all streams. Returns how many there are.
    pub(crate) fn fault(&self, fault: Fault) -> usize {
        // An error says that nobody is connected.
        self.faults.send(fault).unwrap_or(0)
    }

    pub(crate) fn set_refusing(&self, refusing: bool) {
        self.refusing.store(refusing, Ordering::Relaxed);
    }

    pub(crate) fn is_refusing(&self) -> bool {
        self.refusing.load(Ordering::Relaxed)
    }

    pub(crate) fn set_delay(&self, delay: Duration) {
        *lock(&self.delay) = delay;
    }

    pub(crate) fn delay(&self) -> Duration {
        *lock(&self.delay)
    }

    /// Asks everything to end.
    pub(crate) fn stop(&self) {
        self.stopping.send_replace(true);
    }

    /// Waits until everything is asked to end. Cancel safe.
    pub(crate) fn stopped(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut stopping = self.stopping.subscribe();
        async move {
            // An error says that the hub is gone, which is an end as well.
            stopping.wait_for(|stop| *stop).await.map_or((), |_| ())
        }
    }
}

/// A stream that is taken out of the hub when this is dropped.
#[derive(Debug)]
pub(crate) struct ConnectedStream {
    hub: Arc<Hub>,
    id: u64,
    /// The stream.
    pub(crate) stream: Arc<Stream>,
}

impl Drop for ConnectedStream {
    fn drop(&mut self) {
        lock(&self.hub.streams).remove(&self.id);
        self.hub.note_change();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
