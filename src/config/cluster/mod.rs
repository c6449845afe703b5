//! Clusters: `envoy.config.cluster.v3.Cluster`.

mod aggregate;
mod circuit_breakers;
mod composite;
mod connection;
mod discovery;
mod dns;
mod dynamic_forward_proxy;
mod error_matcher;
mod extensions;
mod from_proto;
mod hashing;
mod health_check;
mod hosts;
mod kind;
mod lb;
mod names;
mod original_dst;
mod outlier_detection;
mod preconnect;
pub mod socket_match;
mod socket_matcher;
mod sub_clusters;
mod tracked;
mod transport_sockets;
mod upstream_http;
mod upstream_tcp;

pub use circuit_breakers::{CircuitBreakers, RetryBudget, Thresholds};
pub use connection::{Bind, ConnectionOptions, HappyEyeballs, OtherSource};
pub use discovery::Discovery;
pub(in crate::config) use dns::ClusterDns;
pub use dns::{DEFAULT_DNS_REFRESH_RATE, Dns, DnsFamily};
pub use error_matcher::ErrorMatcher;
pub use hashing::{ConsistentHashing, HashFunction, Maglev, RingHash};
pub use health_check::{
    Checker, Codec, HealthCheck, HttpHealthCheck, Intervals, Payload, RedisCredentials, RedisHealthCheck,
    StatusRange, ThriftHealthCheck, ThriftProtocol, ThriftTransport,
};
pub use lb::{
    ClientSideWeights, CommonLb, HostSource, LbPolicy, LeastRequest, LoadAwareLocality, LocalityBasis,
    OutOfBand, OverrideHost, SelectorFallback, SlowStart, SubsetFallback, SubsetSelector, Subsets, ZoneAware,
};
pub use names::NamesByRequest;
pub use original_dst::OriginalDst;
pub use outlier_detection::{Consecutive, FailurePercentage, OutlierDetection, SuccessRate};
pub use preconnect::Preconnect;
pub use socket_match::SocketMatch;
pub use socket_matcher::SocketMatcher;
pub use sub_clusters::SubClusters;
pub use tracked::TrackedStats;
pub use transport_sockets::TransportSockets;
pub use upstream_http::{HttpProtocolOptions, RequestPolicies, UpstreamProtocol};
pub use upstream_tcp::DEFAULT_TCP_IDLE_TIMEOUT;

use std::sync::Arc;
use std::time::Duration;

use super::Buffer;
pub use super::address::IpVersion;
use super::bootstrap::StatsMatcher;
use super::endpoint::LoadAssignment;
use super::metadata::Metadata;
use super::protocol::Http1Options;
use super::tls::SecretRef;

/// Time for connecting when nothing else is configured.
pub const DEFAULT_CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A cluster as configured.
#[derive(Clone, Debug, PartialEq)]
pub struct Cluster {
    /// Its name, by which routes refer to it.
    pub name: String,
    /// Replaces the name in statistics; colons are replaced by underscores there.
    pub alt_stat_name: Option<String>,
    /// How hosts are found.
    pub discovery: Discovery,
    /// How long connecting may take.
    pub connect_timeout: Duration,
    /// What may wait for hosts.
    pub buffer: Buffer,
    /// How a host is chosen.
    pub lb_policy: LbPolicy,
    /// Settings common to all load balancers.
    pub lb: CommonLb,
    /// Limits by priority.
    pub circuit_breakers: CircuitBreakers,
    /// How hosts are spoken to.
    pub transport_sockets: TransportSockets,
    /// HTTP towards hosts.
    pub http: HttpProtocolOptions,
    /// Whether connections that carry HTTP are those of one client's connection each, and not shared; false by default.
    pub connection_pool_per_downstream_connection: bool,
    /// Whether bytes that follow a request go to hosts behind a CONNECT of the proxy's own, whatever the route says; false by
    /// default (`upstream_config`).
    pub only_http_pools: bool,
    /// Time after which a connection for bytes that are no HTTP closes that no client has; `None` means never; 10 minutes
    /// by default.
    pub tcp_idle_timeout: Option<Duration>,
    /// How connections are made, and kept.
    pub connection: ConnectionOptions,
    /// Connections that are made before they are needed.
    pub preconnect: Preconnect,
    /// Where connections come from, and options of their sockets; what it does not say the bootstrap says for all.
    pub bind: Option<Arc<Bind>>,
    /// Statistics that are kept only where they are asked for.
    pub tracked: TrackedStats,
    /// Which of its statistics are kept, but for those of its endpoints, in place of what the bootstrap says of all.
    pub stats_matcher: Option<Arc<StatsMatcher>>,
    /// Metrics of what hosts report of themselves that reports of load tell (`lrs_report_endpoint_metrics`).
    pub reported_metrics: Box<[String]>,
    /// For filters and access logs.
    pub metadata: Option<Arc<Metadata>>,
    /// Whether the cluster serves only once a first resolution of its names has ended; true by default, and without
    /// meaning for clusters that resolve none.
    pub wait_for_warm_on_init: bool,
    /// How hosts are asked whether they are well: they are if all of these say so. Many clusters have none.
    pub health_checks: Box<[HealthCheck]>,
    /// Whether a host that is configured no more is gone at once, and not only when its next check fails.
    pub ignore_health_on_host_removal: bool,
    /// Whether connections that carry bytes without requests end when their host is found to have failed, by an active
    /// check or as an outlier; false by default.
    pub close_connections_on_host_health_failure: bool,
    /// When hosts are taken out for how they answer; boxed, since many clusters have none.
    pub outlier_detection: Option<Box<OutlierDetection>>,
}

/// A cluster of which nothing is said: `STATIC`, without hosts, which would be chosen in turn.
impl Default for Cluster {
    fn default() -> Self {
        Cluster {
            name: String::new(),
            alt_stat_name: None,
            discovery: Discovery::Static(LoadAssignment::default()),
            connect_timeout: DEFAULT_CONNECT_TIMEOUT,
            buffer: Buffer::default(),
            lb_policy: LbPolicy::RoundRobin,
            lb: CommonLb::default(),
            circuit_breakers: CircuitBreakers::default(),
            transport_sockets: TransportSockets::default(),
            http: HttpProtocolOptions::new(UpstreamProtocol::Http1(Http1Options::default())),
            tcp_idle_timeout: Some(DEFAULT_TCP_IDLE_TIMEOUT),
            connection: ConnectionOptions::default(),
            connection_pool_per_downstream_connection: false,
            only_http_pools: false,
            preconnect: Preconnect::default(),
            bind: None,
            tracked: TrackedStats::default(),
            stats_matcher: None,
            reported_metrics: Box::default(),
            metadata: None,
            wait_for_warm_on_init: true,
            outlier_detection: None,
            health_checks: Box::default(),
            ignore_health_on_host_removal: false,
            close_connections_on_host_health_failure: false,
        }
    }
}

impl Cluster {
    /// The secrets that it refers to.
    pub fn secrets(&self) -> impl Iterator<Item = &SecretRef> {
        let contexts = self.transport_sockets.all().filter_map(|socket| socket.tls.as_ref());
        contexts.flat_map(|tls| tls.common.secrets())
    }
}
