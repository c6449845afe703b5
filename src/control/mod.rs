//! What the control thread makes of xDS: responses become what is in force.
//!
//! - [`push`]: a response becomes values, on a blocking thread when it is much;
//! - [`clusters`] (CDS and EDS), [`routes`] (RDS and VHDS), [`scopes`] (SRDS), [`extensions`] (ECDS), [`secrets`] (SDS), [`listeners`] (LDS), [`filter_chains`] (FCDS),
//!   [`on_demand`] (clusters that requests ask for): what warms, what serves, what is answered; all are state machines without I/O;
//! - [`startup`]: in which order the first of each are asked for;
//! - [`resources`]: what came of each resource, for `/config_dump`;
//! - [`driver`]: the task that connects them with the xDS client, DNS, the listeners and the clock.
//!
//! **Invariant:** what is in force is replaced as a whole ([`Snapshot`](crate::snapshot::Snapshot)), and only by
//! something that is ready to serve.

mod asked;
pub mod clusters;
pub mod driver;
pub mod endpoints;
pub mod extensions;
mod feeds;
pub mod filter_chains;
pub mod listeners;
mod noted;
mod numbered;
pub mod on_demand;
pub mod push;
pub mod references;
mod resolving;
pub mod resources;
pub mod routes;
pub mod scopes;
mod secret_files;
pub mod secrets;
pub mod setup;
pub mod startup;
pub mod subscriptions;
#[cfg(test)]
mod testing;
pub mod verdict;
pub mod virtual_hosts;
mod watching;

use std::sync::Arc;

use crate::upstream::Cluster;
use crate::upstream::dns_cache::DnsCache;
use crate::xds::Verdict;

pub use driver::{Control, State};
pub use noted::Quiet;
pub use setup::{Setup, SetupError};
pub use watching::OpenLog;

/// A response that has to be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ticket(pub u64);

/// Something for the driver to do.
#[derive(Clone, Debug)]
pub enum Effect {
    /// Keep the names of this cluster resolved.
    Resolve(Arc<Cluster>),
    /// Resolve the names of this cache, for as long as there is one.
    ResolveNames(Arc<DnsCache>),
    /// Resolve the names of the cluster with this number no more.
    StopResolving(u64),
    /// Watch the health of this cluster's hosts.
    Watch(Arc<Cluster>),
    /// Watch those of the cluster with this number no more.
    StopWatching(u64),
    /// Answer a response.
    Settle(Ticket, Verdict),
}
