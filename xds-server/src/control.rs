//! What a program, mostly a test, does to a running server.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use envoy_types::pb::envoy::service::discovery::v3::{DeltaDiscoveryResponse, DiscoveryResponse};

use crate::hub::{Fault, Hub};
use crate::load_reports::NodeLoad;
use crate::settle::{self, Nack};
use crate::snapshot::Catalog;
use crate::status::Status;
use crate::variant::Injection;

/// Steers a running server. A copy steers the same server.
///
/// No method waits for a limited time: a test that fears waiting for ever wraps it in a timeout.
#[derive(Clone, Debug)]
pub struct Control {
    hub: Arc<Hub>,
    injections: Arc<AtomicU64>,
}

impl Control {
    pub(crate) fn new(hub: Arc<Hub>) -> Self {
        Self { hub, injections: Arc::default() }
    }

    pub(crate) fn hub(&self) -> &Hub {
        &self.hub
    }

    /// Serves these resources from now on, unchecked, and waits until at least one client is connected and each
    /// has answered everything: what changed for it, and, on an aggregated stream, what the changed resources
    /// refer to. Returns at once when all clients have it already.
    ///
    /// # Errors
    ///
    /// The first NACK of a response that was made from these resources.
    pub async fn set(&self, resources: impl Into<Catalog>) -> Result<(), Nack> {
        let generation = self.hub.publish(resources.into());
        settle::generation(&self.hub, generation).await
    }

    /// Serves these resources from now on, unchecked, and waits for nothing.
    pub fn publish(&self, resources: impl Into<Catalog>) {
        self.hub.publish(resources.into());
    }

    /// Waits as [`set`](Self::set) does for what is served now.
    ///
    /// # Errors
    ///
    /// The first NACK of a response that was made from what is served now.
    pub async fn settled(&self) -> Result<(), Nack> {
        let generation = self.hub.published().borrow().generation;
        settle::generation(&self.hub, generation).await
    }

    /// Waits until what clients told of their load is as `wanted`; what it is then, by `node.id`.
    pub async fn load(
        &self,
        wanted: impl Fn(&BTreeMap<String, NodeLoad>) -> bool,
    ) -> BTreeMap<String, NodeLoad> {
        let mut changes = self.hub.load_reports().changes();
        loop {
            let load = self.hub.load_reports().all();
            if wanted(&load) || changes.changed().await.is_err() {
                return load;
            }
        }
    }

    /// Who is connected, and what each has.
    pub fn status(&self) -> Status {
        Status::of(&self.hub)
    }

    /// Waits until the status answers a question, such as whether a node is there.
    pub async fn wait_for<T>(&self, mut answer: impl FnMut(&Status) -> Option<T>) -> T {
        let mut changes = self.hub.changes();
        loop {
            changes.borrow_and_update();
            if let Some(answer) = answer(&self.status()) {
                return answer;
            }
            // The sender is in the hub, which is held here.
            if changes.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Sends this response on every state-of-the-world stream, whatever it says (duplicates, bytes that are no
    /// message, heartbeats), and waits for the first verdict. An empty nonce is filled in; the version stays.
    /// Only a client that is subscribed to the type answers; for one that is not, see
    /// [`inject_unanswered`](Self::inject_unanswered).
    ///
    /// # Errors
    ///
    /// The NACK, if that is the verdict.
    pub async fn inject(&self, response: DiscoveryResponse) -> Result<(), Nack> {
        let nonce = self.nonce(&response.nonce);
        self.send(Injection::Sotw(DiscoveryResponse { nonce: nonce.clone(), ..response }));
        settle::nonce(&self.hub, &nonce).await
    }

    /// The same as [`inject`](Self::inject) for delta streams.
    ///
    /// # Errors
    ///
    /// The NACK, if that is the verdict.
    pub async fn inject_delta(&self, response: DeltaDiscoveryResponse) -> Result<(), Nack> {
        let nonce = self.nonce(&response.nonce);
        self.send(Injection::Delta(DeltaDiscoveryResponse { nonce: nonce.clone(), ..response }));
        settle::nonce(&self.hub, &nonce).await
    }

    /// The same as [`inject`](Self::inject) without waiting. Returns on how many streams it goes out, the delta
    /// streams, which pass it over, counted in.
    pub fn inject_unanswered(&self, response: DiscoveryResponse) -> usize {
        let nonce = self.nonce(&response.nonce);
        self.send(Injection::Sotw(DiscoveryResponse { nonce, ..response }))
    }

    /// The same as [`inject_unanswered`](Self::inject_unanswered) for delta streams.
    pub fn inject_delta_unanswered(&self, response: DeltaDiscoveryResponse) -> usize {
        let nonce = self.nonce(&response.nonce);
        self.send(Injection::Delta(DeltaDiscoveryResponse { nonce, ..response }))
    }

    fn nonce(&self, wanted: &str) -> String {
        match wanted {
            "" => format!("injected-{}", self.injections.fetch_add(1, Ordering::Relaxed)),
            wanted => wanted.to_owned(),
        }
    }

    fn send(&self, injection: Injection) -> usize {
        self.hub.fault(Fault::Inject(injection))
    }

    /// Ends all streams that are open now. Returns how many there were.
    pub fn drop_streams(&self) -> usize {
        self.hub.fault(Fault::Drop)
    }

    /// Closes new connections as they come, and refuses new streams on old ones; `false` ends that.
    pub fn refuse_connections(&self, refuse: bool) {
        self.hub.set_refusing(refuse);
    }

    /// Lets each response wait this long before it goes out.
    pub fn delay_responses(&self, delay: Duration) {
        self.hub.set_delay(delay);
    }
}
