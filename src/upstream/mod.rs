//! Upstream: clusters and their hosts while they live, and how a host is chosen.
//!
//! `config::Cluster` is a value; [`Cluster`] is what lives from it. The control thread changes it, workers read it:
//! they notice new hosts by one number and keep balancers of their own.

pub mod circuit_breaker;
pub mod cluster;
mod composite;
pub mod destinations;
pub mod discovery;
pub mod dns_cache;
pub mod drops;
mod failures;
pub mod filters;
pub mod health;
pub mod host;
pub mod host_set;
pub mod host_stats;
mod http_proxy;
pub mod lb;
pub mod leading;
mod local;
pub mod manager;
mod membership;
mod named;
pub mod orca;
pub mod outlier;
pub mod pool;
pub mod proxy_protocol;
mod socket;
mod steering;
pub mod sub_clusters;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
pub mod transport_options;
mod zones;

pub use circuit_breaker::CircuitBreakers;
pub use cluster::Cluster;
pub use drops::Drops;
pub use host::Host;
pub use host_set::{HostSet, LocalityHosts, PriorityHosts};
pub use http_proxy::{HttpProxy, NoTunnel};
pub use lb::Balancer;
pub use local::LocalCluster;
pub use manager::Manager;
pub use membership::Change;
pub use proxy_protocol::Proxied;
pub use steering::Steering;
pub use transport_options::TransportOptions;
