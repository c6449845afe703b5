//! Envoy's configuration as immutable, comparable values, made from protos.
//!
//! **Invariant:** no sockets, no clocks, and no I/O but reading the files that a `DataSource` names; nothing behind
//! this module sees a proto type.

pub mod access_log;
pub mod address;
pub mod bootstrap;
mod buffer;
mod built_in;
mod call_retry;
pub mod cel;
pub mod cluster;
pub mod data_source;
pub mod discovered_config;
pub mod dns_cache;
pub mod dns_resolver;
pub mod endpoint;
pub mod extension;
pub mod extension_configs;
pub mod extension_source;
pub mod field;
pub mod format;
pub mod grpc_service;
mod http2_settings;
pub mod http_connection_manager;
pub mod http_service;
pub mod key_value;
pub mod listener;
pub mod local_ratelimit;
pub mod match_tree;
pub mod matcher;
pub mod matching;
mod messages;
pub mod metadata;
pub(crate) mod newer;
pub mod on_demand_cds;
pub mod original_src;
pub mod protocol;
pub mod rbac;
pub mod regex;
pub mod route;
pub mod router;
pub mod runtime;
pub mod source;
pub mod tls;
pub mod token_bucket;
pub mod tracing;
pub mod transport_socket;
pub mod upstream_codec;
pub mod value_matcher;
pub mod watched;

pub use bootstrap::Bootstrap;
pub use buffer::Buffer;
pub use cluster::Cluster;
pub use endpoint::LoadAssignment;
pub use http_connection_manager::HttpConnectionManager;
pub use listener::Listener;
pub use route::RouteConfiguration;

#[cfg(test)]
mod tests;
