//! Statistics: Envoy's names, without locks or lookups where requests pass.
//!
//! [`stats!`](crate::stats) declares a struct of statistics that belong together (a listener's, a cluster's).
//! Making one ([`Registry`] and a prefix such as `cluster.app.`) resolves everything; what remains at a call
//! site is an index into an array that only this thread writes:
//!
//! - A [`Block`] holds the values of one such struct. It has a *shard* for each worker, made when that worker
//!   first writes to it, and one (index 0) for all other threads. Reading sums the shards.
//! - A worker names its shard once, with [`enter_shard`]. It writes with a relaxed load and store, never an
//!   atomic read-modify-write. Shard 0 has several writers and uses those.
//! - The [`Registry`] refers to blocks weakly: the statistics of a removed cluster go with it. Two structs with
//!   the same name and prefix share a block, as Envoy's do (two connection managers of one `stat_prefix`).
//!
//! **Invariant:** nothing here blocks a worker; locks are taken only to make a block or by those who read.

mod block;
mod codes;
mod cursor;
mod field;
mod handle;
pub mod histogram;
mod macros;
mod registry;
pub mod series;
mod shard;
pub mod tags;

pub mod cluster;
pub mod cluster_manager;
pub mod codec;
pub mod control_plane;
pub mod dns;
pub mod dns_cache;
pub mod endpoint;
pub mod health_check;
pub mod http;
pub mod listener;
pub mod listener_manager;
pub mod matching;
pub mod network;
pub mod outlier;
pub mod route;
pub mod server;
pub mod tls;
pub mod tracing;
pub mod udp;

#[cfg(test)]
mod tests;

pub use block::Block;
pub use cluster::{AlternateStats, ClusterStats, MaglevStats, MembershipStats, RingHashStats, ZoneStats};
pub use codec::{CodecStats, Http1Stats, Http2Stats};
pub use cursor::{Cursor, Stat, Value};
pub use dns::{CaresStats, HickoryStats};
pub use dns_cache::DnsCacheStats;
pub use endpoint::EndpointStats;
pub use field::{Field, Kind, Layout, Unit};
pub use handle::{Codes, Counter, Gauge, Histogram, Text};
pub use health_check::{AllChecksStats, HealthCheckStats, RedisCheckStats, RedisCommandStats};
pub use http::HttpStats;
pub use listener::ListenerStats;
pub use outlier::OutlierStats;
pub use registry::Registry;
pub use route::RouteStats;
pub use shard::{current as current_shard, enter_shard};
