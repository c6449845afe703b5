//! `envoy.config.cluster.v3.Cluster` to [`Cluster`].

use envoy_types::pb::envoy::config::cluster::v3;
use envoy_types::pb::envoy::config::core::v3 as core;

use super::upstream_http::UpstreamHttp;
use super::{CircuitBreakers, Cluster, DEFAULT_CONNECT_TIMEOUT, lb};
use crate::config::address::{self, Address, SocketOption, TcpKeepalive};
use crate::config::extension::Extensions;
use crate::config::field::{self, Notes, Scope, open};
use crate::config::listener::DEFAULT_PER_CONNECTION_BUFFER_LIMIT_BYTES;
use crate::config::metadata::Metadata;
use crate::config::transport_socket;

/// Why settings of a DNS resolver are refused.
pub(super) const ONE_RESOLVER: &str = "names are resolved as the system is configured";

impl Cluster {
    /// From the bytes of its proto.
    ///
    /// # Errors
    /// Every error of the resource.
    pub fn parse(bytes: &[u8], extensions: &Extensions) -> Result<(Self, Notes), Vec<field::Error>> {
        field::parse(bytes, extensions, Self::from_proto)
    }

    /// From its proto.
    pub fn from_proto(message: v3::Cluster, at: &mut Scope<'_>) -> Option<Self> {
        open! { at, v3::Cluster = message;
            implemented {
                name, alt_stat_name, cluster_discovery_type, eds_cluster_config, load_assignment,
                connect_timeout, per_connection_buffer_limit_bytes, lb_policy, lb_config,
                load_balancing_policy, common_lb_config, max_requests_per_connection, circuit_breakers,
                common_http_protocol_options, http_protocol_options, http2_protocol_options,
                protocol_selection, typed_extension_protocol_options, dns_refresh_rate, dns_jitter,
                dns_failure_refresh_rate, respect_dns_ttl, dns_lookup_family, wait_for_warm_on_init,
                upstream_bind_config, upstream_connection_options, metadata, transport_socket,
            }
            rejected {
                close_connections_on_host_health_failure: "connections end with their requests",
                transport_socket_matches: "only plain connections are made",
                transport_socket_matcher: "only plain connections are made",
                stats_matcher: "the statistics of a cluster cannot be chosen",
                per_connection_buffer_high_watermark_timeout: "full buffers are not timed",
                health_checks: "hosts are not actively checked",
                upstream_http_protocol_options: "only plain connections are made",
                dns_resolvers: ONE_RESOLVER,
                use_tcp_for_dns_lookups: ONE_RESOLVER,
                dns_resolution_config: ONE_RESOLVER,
                typed_dns_resolver_config: ONE_RESOLVER,
                outlier_detection: "outliers are not detected",
                lb_subset_config: "hosts are not divided into subsets",
                filters: "no upstream network filters are known",
                lrs_server: "load is not reported",
                lrs_report_endpoint_metrics: "load is not reported",
                track_timeout_budgets: "budget histograms are not recorded",
                upstream_config: "no upstream extensions are known",
                track_cluster_stats: "timeout budgets, sizes and statistics of endpoints are not recorded",
                preconnect_policy: "connections are made when they are needed",
                connection_pool_per_downstream_connection: "pools are shared by downstream connections",
                queuing_policies: "requests wait for a connection in their order",
            }
            ignored {
                cleanup_interval: "it concerns ORIGINAL_DST clusters only",
                ignore_health_on_host_removal: "it concerns active health checks, and those are rejected",
            }
        }
        let name = at.required_string("name", name);
        if wait_for_warm_on_init.is_some_and(|wait| !wait.value) {
            at.reject(
                "wait_for_warm_on_init",
                "clusters are always waited for; leave it out or set it to true",
            );
        }
        transport_socket::require_plain(transport_socket, at);
        let dns = super::discovery::ClusterDns {
            refresh_rate: dns_refresh_rate,
            jitter: dns_jitter,
            failure_refresh_rate: dns_failure_refresh_rate,
            respect_ttl: respect_dns_ttl,
            lookup_family: dns_lookup_family,
        };
        let discovery = super::discovery::from_proto(
            cluster_discovery_type,
            &name,
            super::discovery::Given { eds_cluster_config, load_assignment, dns },
            at,
        );
        let (lb_policy, lb) =
            lb::from_proto(&name, lb_policy, lb_config, load_balancing_policy, common_lb_config, at)?;
        let older = super::upstream_http::Older {
            common: common_http_protocol_options,
            http1: http_protocol_options,
            http2: http2_protocol_options,
            protocol_selection,
            max_requests_per_connection,
        };
        let http = UpstreamHttp::from_proto(typed_extension_protocol_options, older, at);
        let bind = at.message("upstream_bind_config", upstream_bind_config, Bind::from_proto);
        let bind = bind.unwrap_or_default();
        Some(Cluster {
            alt_stat_name: Some(alt_stat_name).filter(|name| !name.is_empty()),
            discovery: discovery?,
            connect_timeout: at
                .positive_duration("connect_timeout", connect_timeout)
                .unwrap_or(DEFAULT_CONNECT_TIMEOUT),
            per_connection_buffer_limit_bytes: per_connection_buffer_limit_bytes
                .map_or(DEFAULT_PER_CONNECTION_BUFFER_LIMIT_BYTES, |limit| limit.value),
            lb_policy,
            lb,
            circuit_breakers: at
                .message("circuit_breakers", circuit_breakers, CircuitBreakers::from_proto)
                .unwrap_or_default(),
            protocol: http.protocol,
            idle_timeout: http.idle_timeout,
            max_requests_per_connection: http.max_requests_per_connection,
            max_connection_duration: http.max_connection_duration,
            max_response_headers_count: http.max_response_headers_count,
            max_response_headers_kb: http.max_response_headers_kb,
            tcp_keepalive: at
                .message("upstream_connection_options", upstream_connection_options, connection_options)
                .flatten(),
            source_address: bind.source_address,
            socket_options: bind.socket_options,
            metadata: at.message("metadata", metadata, Metadata::from_proto).unwrap_or_default(),
            name,
        })
    }
}

/// What a `envoy.config.core.v3.BindConfig` says.
#[derive(Default)]
struct Bind {
    source_address: Option<Address>,
    socket_options: Vec<SocketOption>,
}

impl Bind {
    fn from_proto(message: core::BindConfig, at: &mut Scope<'_>) -> Option<Self> {
        open! { at, core::BindConfig = message;
            implemented { source_address, socket_options }
            rejected {
                freebind: "connections are made from addresses that the host has",
                extra_source_addresses: "connections are made from one address",
                additional_source_addresses: "connections are made from one address",
                local_address_selector: "no selector extensions are known",
                validate_network_namespaces: "network namespaces are not entered",
            }
        }
        let source_address = at.message("source_address", source_address, |message, at| {
            let address = address::socket_address(message, at)?;
            if address.ip().is_none() {
                at.error(format!("malformed IP address: {address}"));
            }
            Some(address)
        });
        Some(Bind {
            source_address,
            socket_options: at.list("socket_options", socket_options, SocketOption::from_proto),
        })
    }
}

fn connection_options(
    message: v3::UpstreamConnectionOptions,
    at: &mut Scope<'_>,
) -> Option<Option<TcpKeepalive>> {
    open! { at, v3::UpstreamConnectionOptions = message;
        implemented { tcp_keepalive }
        rejected {
            set_local_interface_name_on_upstream_connections: "the interface of a connection is not looked up",
            happy_eyeballs_config: "the order in which addresses are tried is fixed",
        }
    }
    Some(at.message("tcp_keepalive", tcp_keepalive, TcpKeepalive::from_proto))
}
