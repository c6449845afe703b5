//! Names and their addresses in a file, so that they are known from the start on: `DnsCacheConfig.key_value_config`.
//!
//! The file is read and written beside the control thread. While it is written, what changes waits, and is written in one
//! go: the file is never behind for longer than writing it takes.

mod text;

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use nix::time::{ClockId, clock_gettime};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{Instant, sleep_until};

use crate::config::key_value::KeyValueStore;

/// A file of names, and what is to be in it.
#[derive(Debug)]
pub(super) struct Store {
    config: KeyValueStore,
    /// In the order in which they came.
    values: BTreeMap<u64, (Arc<str>, String)>,
    places: HashMap<Arc<str>, u64>,
    next_place: u64,
    /// Whether something has changed that is not being written.
    changed: bool,
    writing: Option<JoinHandle<()>>,
    /// When it is written next, where that is not at once.
    due: Option<Instant>,
}

/// What a file says of a name.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Kept {
    pub(super) name: Arc<str>,
    pub(super) addresses: Box<[SocketAddr]>,
    /// The time to live of the answer that they came from; more than 0.
    pub(super) ttl: Duration,
}

impl Store {
    /// Reads the file; what it says of names, up to the first of which it says what is none.
    pub(super) async fn open(config: KeyValueStore) -> (Self, Vec<Kept>) {
        let due = config.flush_interval.map(|interval| Instant::now() + interval);
        let filename = config.filename.clone();
        let read = spawn_blocking(move || std::fs::read(filename)).await;
        let mut store = Store {
            config,
            values: BTreeMap::new(),
            places: HashMap::new(),
            next_place: 0,
            changed: false,
            writing: None,
            due,
        };
        // Without a file, or one that cannot be read, nothing is known.
        let Ok(Ok(bytes)) = read else { return (store, Vec::new()) };
        let (pairs, complete) = text::read(&bytes, SystemTime::now());
        if !complete {
            tracing::warn!(target: "dns", file = %store.config.filename.display(), "a file of names cannot be read to its end");
        }
        for (name, value) in pairs {
            store.insert(name.into(), value);
        }
        let kept = store.values.values().map_while(|(name, value)| {
            let kept = Kept::read(name, value);
            if kept.is_none() {
                tracing::warn!(target: "dns", %name, value, "what a file says of a name cannot be read");
            }
            kept
        });
        let kept = kept.collect();
        (store, kept)
    }

    /// Keeps where a name is.
    pub(super) fn keep(&mut self, name: &Arc<str>, addresses: &[SocketAddr], ttl: Duration) {
        self.insert(Arc::clone(name), value(addresses, ttl, uptime()));
        self.note_change();
    }

    /// Forgets a name.
    pub(super) fn forget(&mut self, name: &str) {
        if let Some(place) = self.places.remove(name) {
            self.values.remove(&place);
        }
        self.note_change();
    }

    /// Writes what is due. Never ends; cancel safe.
    pub(super) async fn run(&mut self) {
        loop {
            if let Some(writing) = &mut self.writing {
                // One that panicked has not written, and what changes next is.
                writing.await.unwrap_or_default();
                self.writing = None;
                if self.due.is_none() && self.changed {
                    self.write();
                }
                continue;
            }
            match (self.due, self.config.flush_interval) {
                (Some(due), Some(interval)) => {
                    sleep_until(due).await;
                    self.due = Some(Instant::now() + interval);
                    if self.changed {
                        self.write();
                    }
                }
                _ => std::future::pending().await,
            }
        }
    }

    fn insert(&mut self, name: Arc<str>, value: String) {
        let place = self.next_place;
        self.next_place += 1;
        if let Some(before) = self.places.insert(Arc::clone(&name), place) {
            self.values.remove(&before);
        }
        self.values.insert(place, (name, value));
        let most = self.config.max_entries as usize;
        if most > 0
            && self.values.len() > most
            && let Some((_, (first, _))) = self.values.pop_first()
        {
            self.places.remove(&first);
        }
    }

    fn note_change(&mut self) {
        self.changed = true;
        if self.due.is_none() && self.writing.is_none() {
            self.write();
        }
    }

    fn write(&mut self) {
        self.changed = false;
        let text = text::write(self.values.values().map(|(name, value)| (&**name, value.as_str())));
        let filename = self.config.filename.clone();
        self.writing = Some(spawn_blocking(move || {
            if let Err(error) = std::fs::write(&filename, text) {
                tracing::error!(target: "dns", file = %filename.display(), %error, "names cannot be kept");
            }
        }));
    }
}

impl Kept {
    /// From a line for each address: the address, the time to live in seconds, and when it was heard.
    fn read(name: &Arc<str>, value: &str) -> Option<Self> {
        let mut addresses = Vec::new();
        let mut first_ttl = None;
        for line in value.split('\n').filter(|line| !line.is_empty()) {
            let parts: Vec<_> = line.split('|').filter(|part| !part.is_empty()).collect();
            let [address, ttl, heard] = parts[..] else { return None };
            let ttl = ttl.parse().ok().filter(|seconds: &u64| *seconds > 0)?;
            let _: u64 = heard.parse().ok()?;
            addresses.push(address.parse().ok()?);
            first_ttl.get_or_insert(Duration::from_secs(ttl));
        }
        Some(Kept { name: Arc::clone(name), addresses: addresses.into(), ttl: first_ttl? })
    }
}

/// What is kept of a name that was heard when the machine had been up for so many seconds.
fn value(addresses: &[SocketAddr], ttl: Duration, heard: i64) -> String {
    let line = |address: &SocketAddr| format!("{address}|{}|{heard}", ttl.as_secs());
    addresses.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// The time that Envoy notes, in seconds; nothing comes of it.
fn uptime() -> i64 {
    clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(0, |time| time.tv_sec())
}

#[cfg(test)]
mod tests;
