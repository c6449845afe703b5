//! What a request waits for until the control thread has asked for it and heard the answer.

use std::sync::{Arc, OnceLock};

use tokio::sync::{mpsc, oneshot};

use crate::config::on_demand_cds::OnDemandCds;
use crate::config::route::ScopeKey;
use crate::config::source::SourceKind;
use crate::upstream::Cluster;
use crate::upstream::sub_clusters::Target;

/// Something that is not there and may exist.
#[derive(Clone, Debug)]
pub enum Wanted {
    /// The virtual host of a route table whose virtual hosts come over VHDS.
    VirtualHost {
        /// Where virtual hosts of the table come from.
        source: SourceKind,
        /// The table's name.
        table: String,
        /// The request's host, lower case, with its port.
        host: String,
    },
    /// The route table of a scope.
    ScopeTable {
        /// Where the scope comes from.
        source: SourceKind,
        /// Where its table comes from.
        tables: SourceKind,
        /// The scope's key.
        key: ScopeKey,
    },
    /// A cluster of a source that is asked by name.
    Cluster {
        /// Where it comes from, and how long it is waited for.
        source: Arc<OnDemandCds>,
        /// The cluster's name.
        name: Box<str>,
    },
    /// The cluster for a name, which has a place among those of its parent.
    SubCluster {
        /// The cluster after which it is made.
        parent: Arc<Cluster>,
        /// Which it is.
        target: Target,
    },
}

/// A wish for it.
#[derive(Debug)]
pub struct Demand {
    /// What is wished for.
    pub wanted: Wanted,
    /// Dropped once the answer is in force: that it is there, or that there is none. Sent when the time is over.
    pub answer: oneshot::Sender<()>,
}

/// The way from the workers to the control thread. Every wish is that of a request in progress, so there are no more than
/// requests.
#[derive(Debug, Default)]
pub(super) struct Demands(OnceLock<mpsc::UnboundedSender<Demand>>);

impl Demands {
    /// Where the control thread hears of wishes.
    pub(super) fn receive(&self) -> mpsc::UnboundedReceiver<Demand> {
        let (sender, receiver) = mpsc::unbounded_channel();
        self.0.get_or_init(|| sender);
        receiver
    }

    /// Wishes for something; what comes back is ready once there is an answer, or nobody to give one.
    pub(super) fn wish(&self, wanted: Wanted) -> oneshot::Receiver<()> {
        let (answer, answered) = oneshot::channel();
        if let Some(sender) = self.0.get() {
            // A control thread that is gone drops the wish, which answers it.
            drop(sender.send(Demand { wanted, answer }));
        }
        answered
    }
}
