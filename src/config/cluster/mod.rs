//! Clusters: `envoy.config.cluster.v3.Cluster`.

mod aggregate;
mod circuit_breakers;
mod composite;
mod connection;
mod discovery;
mod dynamic_forward_proxy;
mod error_matcher;
mod extensions;
mod from_proto;
mod hashing;
mod health_check;
mod lb;
mod names;
mod original_dst;
mod outlier_detection;
mod preconnect;
pub mod socket_match;
mod socket_matcher;
mod sub_clusters;
mod tracked;
mod upstream_http;
mod upstream_tcp;

pub use connection::{Bind, OtherSource};
pub(in crate::config) use discovery::ClusterDns;
pub use error_matcher::ErrorMatcher;
pub use hashing::{ConsistentHashing, HashFunction, Maglev, RingHash};
pub use health_check::{
    Checker, Codec, HealthCheck, HttpHealthCheck, Intervals, Payload, RedisCredentials, RedisHealthCheck,
    StatusRange, ThriftHealthCheck, ThriftProtocol, ThriftTransport,
};
pub use lb::{
    ClientSideWeights, HostSource, LeastRequest, LoadAwareLocality, LocalityBasis, OutOfBand, OverrideHost,
    SelectorFallback, SlowStart, SubsetFallback, SubsetSelector, Subsets, ZoneAware,
};
pub use names::NamesByRequest;
pub use original_dst::OriginalDst;
pub use outlier_detection::{Consecutive, FailurePercentage, OutlierDetection, SuccessRate};
pub use preconnect::Preconnect;
pub use socket_match::SocketMatch;
pub use socket_matcher::SocketMatcher;
pub use sub_clusters::SubClusters;
pub use tracked::TrackedStats;
pub use upstream_tcp::DEFAULT_TCP_IDLE_TIMEOUT;

use std::sync::Arc;
use std::time::Duration;

pub use super::address::IpVersion;
use super::address::TcpKeepalive;
use super::bootstrap::StatsMatcher;
use super::dns_cache::DnsCache;
use super::dns_resolver::DnsResolver;
use super::endpoint::LoadAssignment;
use super::http_connection_manager::HttpFilter;
use super::metadata::Metadata;
use super::protocol::{Http1Options, Http2Options, LongestLife};
use super::route::{HashPolicy, RequestMirrorPolicy, RetryPolicy};
use super::source::ConfigSource;
use super::tls::SecretRef;
use super::transport_socket::UpstreamSocket;

/// Time for connecting when nothing else is configured.
pub const DEFAULT_CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Time between resolutions when nothing else is configured.
pub const DEFAULT_DNS_REFRESH_RATE: Duration = Duration::from_secs(5);

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
    /// Bytes buffered for an upstream connection before whoever sends them is held back; 0 means no limit, `None`
    /// leaves it to the codecs.
    pub per_connection_buffer_limit_bytes: Option<u32>,
    /// How long more may wait for a host than that; `None` for ever, which 0 means, too.
    pub per_connection_buffer_high_watermark_timeout: Option<Duration>,
    /// How a host is chosen.
    pub lb_policy: LbPolicy,
    /// Settings common to all load balancers.
    pub lb: CommonLb,
    /// Limits by priority.
    pub circuit_breakers: CircuitBreakers,
    /// How hosts are spoken to.
    pub socket: UpstreamSocket,
    /// How those are that say so of themselves; the first that fits counts.
    pub socket_matches: Box<[SocketMatch]>,
    /// What chooses among those instead.
    pub socket_matcher: Option<Box<SocketMatcher>>,
    /// What requests say of who their hosts have to be; `None` where they say nothing.
    pub names_by_request: Option<Box<NamesByRequest>>,
    /// Protocol spoken to hosts.
    pub protocol: UpstreamProtocol,
    /// Whether connections that carry HTTP are those of one client's connection each, and not shared; false by default.
    pub connection_pool_per_downstream_connection: bool,
    /// Whether bytes that follow a request go to hosts behind a CONNECT of the proxy's own, whatever the route says; false by
    /// default (`upstream_config`).
    pub only_http_pools: bool,
    /// Idle time after which an upstream connection closes; `None` means never; 1 hour by default.
    pub idle_timeout: Option<Duration>,
    /// Time after which a connection for bytes that are no HTTP closes that no client has; `None` means never; 10 minutes
    /// by default.
    pub tcp_idle_timeout: Option<Duration>,
    /// Requests on one connection before it is closed; `None` means no limit.
    pub max_requests_per_connection: Option<u32>,
    /// Longest life of an upstream connection; `None` means no limit.
    pub max_connection_duration: Option<LongestLife>,
    /// Longest time of a stream to a host; `None` means no limit.
    pub max_stream_duration: Option<Duration>,
    /// What takes the place of what routes say.
    pub policies: RequestPolicies,
    /// Response headers accepted; 100 by default.
    pub max_response_headers_count: u32,
    /// Kibibytes of response headers accepted; 60 by default.
    pub max_response_headers_kb: u32,
    /// What requests pass once a host is chosen for them; the last is the codec. Empty where that is left to the router.
    pub http_filters: Box<[HttpFilter]>,
    /// Which of a host's addresses are tried first.
    pub happy_eyeballs: HappyEyeballs,
    /// TCP keep-alive of upstream connections.
    pub tcp_keepalive: Option<TcpKeepalive>,
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
    /// How hosts are asked whether they are well; boxed, since many clusters have none.
    pub health_check: Option<Box<HealthCheck>>,
    /// Whether a host that is configured no more is gone at once, and not only when its next check fails.
    pub ignore_health_on_host_removal: bool,
    /// Whether connections that carry bytes without requests end when their host is found to have failed, by an active
    /// check or as an outlier; false by default.
    pub close_connections_on_host_health_failure: bool,
    /// When hosts are taken out for how they answer; boxed, since many clusters have none.
    pub outlier_detection: Option<Box<OutlierDetection>>,
    /// What is an error of a host to outlier detection, in place of statuses from 500.
    pub error_matcher: Option<Box<ErrorMatcher>>,
}

impl Cluster {
    /// The secrets that it refers to.
    pub fn secrets(&self) -> impl Iterator<Item = &SecretRef> {
        let sockets = std::iter::once(&self.socket).chain(self.socket_matches.iter().map(|one| &one.socket));
        sockets.filter_map(|socket| socket.tls.as_ref()).flat_map(|tls| tls.common.secrets())
    }
}

/// What a cluster says of requests to it, in the place of their routes; the fields of `HttpProtocolOptions` with these
/// names.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RequestPolicies {
    /// Whether and how requests are tried again; `None` leaves it to the route.
    pub retry_policy: Option<Box<RetryPolicy>>,
    /// What of a request is hashed; empty leaves it to the route.
    pub hash_policy: Vec<HashPolicy>,
    /// Where copies of a request go; empty leaves it to the route.
    pub request_mirror_policies: Vec<RequestMirrorPolicy>,
}

/// How a cluster's hosts are found: `Cluster.type`.
#[derive(Clone, Debug, PartialEq)]
pub enum Discovery {
    /// `STATIC`: the hosts of `load_assignment`, all literal addresses.
    Static(LoadAssignment),
    /// `STRICT_DNS`: every address of every name.
    StrictDns(LoadAssignment, Dns),
    /// `LOGICAL_DNS`: one host with all addresses that the name resolves to.
    LogicalDns(LoadAssignment, Dns),
    /// `EDS`
    Eds {
        /// Name of the `ClusterLoadAssignment` to ask for: `service_name`, or else the cluster's name.
        service_name: String,
        /// Where it comes from.
        source: ConfigSource,
    },
    /// `ORIGINAL_DST`: where each request says it goes.
    OriginalDst(OriginalDst),
    /// `envoy.clusters.aggregate`: the hosts of the clusters of these names, the first choice first.
    Aggregate(Box<[String]>),
    /// `envoy.clusters.composite`: a cluster of its own for each attempt of a request, by these names.
    Composite(Box<[String]>),
    /// `envoy.clusters.dynamic_forward_proxy`: the names that requests bring, which this cache holds.
    DynamicForwardProxy(Box<DnsCache>),
    /// The same with a cluster of its own for each of the names.
    SubClusters(Box<SubClusters>),
}

impl Discovery {
    /// Whether other clusters take the requests.
    #[inline]
    pub fn leads_to_others(&self) -> bool {
        matches!(self, Discovery::Composite(_) | Discovery::SubClusters(_))
    }

    /// Whether names are resolved for it.
    pub fn resolves_names(&self) -> bool {
        matches!(self, Discovery::StrictDns(..) | Discovery::LogicalDns(..))
    }

    /// Whether clusters of this kind choose their hosts themselves, and no policy does.
    pub fn provides_hosts(&self) -> bool {
        matches!(
            self,
            Discovery::OriginalDst(_)
                | Discovery::Aggregate(_)
                | Discovery::Composite(_)
                | Discovery::DynamicForwardProxy(_)
                | Discovery::SubClusters(_)
        )
    }
}

/// How names are resolved.
#[derive(Clone, Debug, PartialEq)]
pub struct Dns {
    /// Time between resolutions; 5 s by default.
    pub refresh_rate: Duration,
    /// Base and cap of the back-off after a failure; `refresh_rate` when not configured.
    pub failure_refresh: Option<(Duration, Duration)>,
    /// Resolve again after the record's own time to live.
    pub respect_ttl: bool,
    /// What shorter times to live are taken for; none by default (`dns_min_refresh_rate`).
    pub least_ttl: Duration,
    /// Random time added to each refresh.
    pub jitter: Duration,
    /// Address families asked for.
    pub family: DnsFamily,
    /// Who is asked; the resolver of the bootstrap when `None`.
    pub resolver: Option<DnsResolver>,
}

impl Default for Dns {
    fn default() -> Self {
        Dns {
            refresh_rate: DEFAULT_DNS_REFRESH_RATE,
            failure_refresh: None,
            respect_ttl: false,
            least_ttl: Duration::ZERO,
            jitter: Duration::ZERO,
            family: DnsFamily::Auto,
            resolver: None,
        }
    }
}

/// `Cluster.DnsLookupFamily`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum DnsFamily {
    /// IPv6, and IPv4 only if there is none.
    #[default]
    Auto,
    /// Only IPv4.
    V4Only,
    /// Only IPv6.
    V6Only,
    /// IPv4, and IPv6 only if there is none.
    V4Preferred,
    /// Both.
    All,
}

/// `UpstreamConnectionOptions.HappyEyeballsConfig`: the order in which several addresses of a host are tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HappyEyeballs {
    /// IP version of the first; that of the first address when not configured.
    pub first_version: Option<IpVersion>,
    /// How many of that version are tried before one of the other; 1 or more, 1 by default.
    pub first_count: u32,
}

impl Default for HappyEyeballs {
    fn default() -> Self {
        HappyEyeballs { first_version: None, first_count: 1 }
    }
}

/// How a host is chosen.
#[derive(Clone, Debug, PartialEq)]
pub enum LbPolicy {
    /// `ROUND_ROBIN`
    RoundRobin,
    /// `LEAST_REQUEST`
    LeastRequest(LeastRequest),
    /// `RANDOM`
    Random,
    /// `RING_HASH`
    RingHash(RingHash),
    /// `MAGLEV`
    Maglev(Maglev),
    /// `CLUSTER_PROVIDED`: as the kind of cluster has it.
    ClusterProvided,
}

/// `Cluster.CommonLbConfig`, and what load balancing policies have in common with it.
#[derive(Clone, Debug, PartialEq)]
pub struct CommonLb {
    /// Percent of healthy hosts below which health is disregarded; 50 by default.
    pub healthy_panic_threshold: f64,
    /// In a panic, fail requests instead of using unhealthy hosts.
    pub fail_traffic_on_panic: bool,
    /// Where requests name their hosts; `None` where they name none.
    pub override_host: Option<Box<OverrideHost>>,
    /// New hosts get their share little by little; `None` where they get it at once.
    pub slow_start: Option<SlowStart>,
    /// Weights come of what hosts report of themselves; `None` where they are configured.
    pub client_side: Option<Box<ClientSideWeights>>,
    /// Localities take requests by the load of their hosts; `None` where they do not.
    pub load_aware: Option<Box<LoadAwareLocality>>,
    /// How hosts are asked for reports beside their responses; `None` where they are not.
    pub out_of_band: Option<Box<OutOfBand>>,
    /// How the proxy's own locality counts, where there is a local cluster.
    pub zone_aware: ZoneAware,
    /// Choose a locality by its weight first (`locality_weighted_lb_config`).
    pub locality_weighted: bool,
    /// Whether a new host counts for nothing until its first check has ended.
    pub ignore_new_hosts_until_first_hc: bool,
    /// Whether no connection serves a further request once hosts have come or gone, or have another health; false by
    /// default.
    pub close_connections_on_host_set_change: bool,
    /// Percent of healthiness that counts as whole, by priority and locality; 140 by default.
    pub overprovisioning_factor: u32,
    /// Requests go to subsets of the hosts, within which all else applies; `None` where hosts are not divided.
    pub subsets: Option<Box<Subsets>>,
}

impl CommonLb {
    /// Whether it counts what hosts report of themselves.
    pub fn asks_for_reports(&self) -> bool {
        self.client_side.is_some() || self.load_aware.is_some()
    }

    /// Whether weights of localities count, in subsets too where hosts are divided.
    pub fn weighs_localities(&self) -> bool {
        self.locality_weighted && self.subsets.as_ref().is_none_or(|subsets| subsets.locality_weight_aware)
    }
}

/// `envoy.config.cluster.v3.CircuitBreakers`
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CircuitBreakers {
    /// Limits of requests with default priority.
    pub default: Thresholds,
    /// Limits of requests with high priority.
    pub high: Thresholds,
}

/// `CircuitBreakers.Thresholds`
#[derive(Clone, Debug, PartialEq)]
pub struct Thresholds {
    /// Connections to all hosts; 1,024 by default.
    pub max_connections: u32,
    /// Requests that wait for a connection; 1,024 by default.
    pub max_pending_requests: u32,
    /// Requests in flight; 1,024 by default.
    pub max_requests: u32,
    /// Retries in flight; 3 by default.
    pub max_retries: u32,
    /// In place of `max_retries`: a share of what is in flight.
    pub retry_budget: Option<RetryBudget>,
    /// Connection pools; no limit by default.
    pub max_connection_pools: u32,
    /// Connections to one host, those of other priorities counted too; no limit by default (`per_host_thresholds`).
    pub max_connections_per_host: u32,
    /// Publish `remaining_*` gauges.
    pub track_remaining: bool,
}

/// `CircuitBreakers.Thresholds.RetryBudget`
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RetryBudget {
    /// Retries in flight, as a percentage of requests that wait for a connection or are in flight; 20 by default.
    pub budget_percent: f64,
    /// Retries that are allowed however few requests there are; 3 by default.
    pub min_retry_concurrency: u32,
    /// How long a request counts after its beginning; as long as it lasts when `None`.
    pub budget_interval: Option<Duration>,
}

impl Default for RetryBudget {
    fn default() -> Self {
        RetryBudget { budget_percent: 20.0, min_retry_concurrency: 3, budget_interval: None }
    }
}

impl Default for Thresholds {
    fn default() -> Self {
        Thresholds {
            max_connections: 1024,
            max_pending_requests: 1024,
            max_requests: 1024,
            max_retries: 3,
            retry_budget: None,
            max_connection_pools: u32::MAX,
            max_connections_per_host: u32::MAX,
            track_remaining: false,
        }
    }
}

/// The protocol spoken to a cluster's hosts: `HttpProtocolOptions.upstream_protocol_options`.
#[derive(Clone, Debug, PartialEq)]
pub enum UpstreamProtocol {
    /// HTTP/1.1
    Http1(Http1Options),
    /// HTTP/2 with prior knowledge.
    Http2(Http2Options),
    /// The protocol of the downstream request.
    UseDownstream(Http1Options, Http2Options),
    /// What the host chooses by ALPN.
    Auto(Http1Options, Http2Options),
}
