//! What there is of one secret that handshakes ask for.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::oneshot;

use crate::config::tls::Certificate;
use crate::observability::stats::tls::OnDemandSecretStats;

use super::Place;
use crate::transport::tls::own::Own;
use crate::transport::tls::record::Expirations;
use crate::transport::tls::secrets::Slot;

/// Secrets that a context asks for at once and that have not come.
pub(super) const MAX_PENDING: usize = 1024;

/// All of them by their names.
pub(super) type Entries = HashMap<Box<str>, Entry>;

/// A secret that is asked for.
#[derive(Debug)]
pub(super) struct Entry {
    /// What has come; `None` until then.
    made: Option<Made>,
    /// Handshakes that wait; they go on when these are dropped.
    waiting: Vec<oneshot::Sender<()>>,
    /// Keeps the secret asked for, and its news coming.
    _followed: (Arc<Slot>, Arc<Place>),
    _active: Active,
}

/// A certificate as it is shown, and what it was made of.
#[derive(Debug)]
pub(in crate::transport::tls) struct Made {
    /// What statistics call it.
    pub(super) name: String,
    pub(super) certificate: Arc<Certificate>,
    own: Arc<Own>,
    _expirations: Expirations,
}

/// Counts a secret that is asked for until dropped.
#[derive(Debug)]
struct Active(OnDemandSecretStats);

impl Made {
    pub(super) fn new(
        name: &str,
        certificate: &Arc<Certificate>,
        (own, expirations): (Own, Expirations),
    ) -> Self {
        let certificate = Arc::clone(certificate);
        Made { name: name.to_owned(), certificate, own: Arc::new(own), _expirations: expirations }
    }
}

impl Entry {
    pub(super) fn new(slot: Arc<Slot>, place: Arc<Place>, stats: &OnDemandSecretStats) -> Self {
        stats.cert_requested().inc();
        let active = Active::new(stats);
        Entry { made: None, waiting: Vec::new(), _followed: (slot, place), _active: active }
    }

    /// What has come.
    pub(super) fn made(&self) -> Option<&Made> {
        self.made.as_ref()
    }

    /// The certificate that has come.
    pub(super) fn own(&self) -> Option<Arc<Own>> {
        Some(Arc::clone(&self.made.as_ref()?.own))
    }

    /// It has come: handshakes go on.
    pub(super) fn put(&mut self, made: Made) {
        self.made = Some(made);
        self.waiting.clear();
    }

    /// Another handshake waits, unless it has come.
    pub(super) fn wait(&mut self, answer: Option<oneshot::Sender<()>>) {
        if self.made.is_some() {
            return;
        }
        // Who has gone away is forgotten now and then, so that not all are looked at for each that comes.
        if self.waiting.len().is_power_of_two() {
            self.waiting.retain(|waiting| !waiting.is_closed());
        }
        self.waiting.extend(answer);
    }

    fn is_pending(&self) -> bool {
        self.made.is_none()
    }

    fn is_waited_for(&self) -> bool {
        self.waiting.iter().any(|waiting| !waiting.is_closed())
    }
}

/// Whether another secret may be asked for; lets go of those that have not come and that nobody waits for, if need be.
pub(super) fn make_room(entries: &mut Entries) -> bool {
    let is_full =
        |entries: &Entries| entries.values().filter(|entry| entry.is_pending()).count() >= MAX_PENDING;
    // As long as there are few of any kind they are not looked at one by one.
    if entries.len() < MAX_PENDING || !is_full(entries) {
        return true;
    }
    entries.retain(|_, entry| !entry.is_pending() || entry.is_waited_for());
    !is_full(entries)
}

impl Active {
    fn new(stats: &OnDemandSecretStats) -> Self {
        stats.cert_active().inc();
        Active(stats.clone())
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        self.0.cert_active().dec();
    }
}
