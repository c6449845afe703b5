//! Caches of names that requests bring: `envoy.extensions.common.dynamic_forward_proxy.v3.DnsCacheConfig`.

use std::net::IpAddr;
use std::time::Duration;

use envoy_types::pb::envoy::extensions::common::dynamic_forward_proxy::v3;
use envoy_types::pb::google::protobuf as pb;

use super::address::Address;
use super::cluster::{ClusterDns, Dns};
use super::dns_resolver;
use super::field::{Scope, open};
use super::key_value::KeyValueStore;
use super::matcher::CidrRange;
use super::value_matcher::addresses;

/// Time between resolutions of a name without an address.
const DEFAULT_REFRESH_RATE: pb::Duration = pb::Duration { seconds: 60, nanos: 0 };
/// Shortest time between resolutions of a name with one.
const DEFAULT_MIN_REFRESH_RATE: Duration = Duration::from_secs(5);
/// The least that may be configured for that.
const MIN_REFRESH_FLOOR: Duration = Duration::from_secs(1);
/// How long a name stays that nothing asks for.
const DEFAULT_HOST_TTL: Duration = Duration::from_secs(300);
/// How many names there may be.
const DEFAULT_MAX_HOSTS: u32 = 1024;
/// How long a resolution may take.
const DEFAULT_QUERY_TIMEOUT: Duration = Duration::from_secs(5);
/// How many requests may wait for a resolution.
const DEFAULT_MAX_PENDING: u32 = 1024;

/// A cache of names that requests bring, which all share that name it.
#[derive(Clone, Debug, PartialEq)]
pub struct DnsCache {
    /// Its name.
    pub name: String,
    /// How names are resolved. Its refresh rate, 60 s by default, is that of names without an address.
    pub dns: Dns,
    /// Shortest time between resolutions of a name with an address, which else is resolved again after the answer's time
    /// to live; 1 s or more, 5 s by default.
    pub dns_min_refresh_rate: Duration,
    /// How long a name stays that nothing asks for; looked at when it would be resolved again; 5 min by default.
    pub host_ttl: Duration,
    /// How many names there may be; 1,024 by default.
    pub max_hosts: u32,
    /// A name whose resolution failed is resolved again when a request asks for it, and not before.
    pub disable_dns_refresh_on_failure: bool,
    /// How many requests may wait for a resolution; 1,024 by default.
    pub max_pending_requests: u32,
    /// Names that are there from the start, and their ports.
    pub preresolve_hostnames: Vec<(String, u16)>,
    /// How long a resolution may take; `None` for as long as the resolver lets it; 5 s by default.
    pub dns_query_timeout: Option<Duration>,
    /// Addresses of answers that are passed over; none by default (`resolved_address_filter`).
    pub passed_over: Option<AddressFilter>,
    /// Where names are kept from one start to the next; nowhere by default (`key_value_config`).
    pub store: Option<KeyValueStore>,
}

/// Addresses of these networks, or of all others.
#[derive(Clone, Debug, PartialEq)]
pub struct AddressFilter {
    /// The networks.
    pub ranges: Vec<CidrRange>,
    /// Of none of them, then.
    pub invert: bool,
}

impl AddressFilter {
    /// Whether an address is one of them.
    pub fn matches(&self, address: IpAddr) -> bool {
        self.ranges.iter().any(|range| range.contains(address)) != self.invert
    }
}

impl DnsCache {
    /// From its proto.
    pub fn from_proto(message: v3::DnsCacheConfig, at: &mut Scope<'_>) -> Option<Self> {
        let mut cache = Self::read(message, at)?;
        cache.name = at.required_string("name", cache.name);
        at.share_cache(&cache);
        Some(cache)
    }

    /// What is wrong with it where there is a cache of its name with other settings.
    pub fn disagreement(&self) -> String {
        format!("config specified DNS cache '{}' with different settings", self.name)
    }

    /// What a message stands for that has none: a cache without a name, all of whose settings are the usual ones.
    pub fn unnamed(at: &mut Scope<'_>) -> Option<Self> {
        Self::read(v3::DnsCacheConfig::default(), at)
    }

    fn read(message: v3::DnsCacheConfig, at: &mut Scope<'_>) -> Option<Self> {
        open! { at, v3::DnsCacheConfig = message;
            implemented {
                name, dns_lookup_family, dns_refresh_rate, dns_min_refresh_rate, host_ttl, max_hosts,
                disable_dns_refresh_on_failure, dns_failure_refresh_rate, dns_cache_circuit_breaker,
                use_tcp_for_dns_lookups, dns_resolution_config, typed_dns_resolver_config, preresolve_hostnames,
                dns_query_timeout, resolved_address_filter, key_value_config,
            }
        }
        let dns = ClusterDns {
            dns_refresh_rate: dns_refresh_rate.or(Some(DEFAULT_REFRESH_RATE)),
            dns_jitter: None,
            dns_failure_refresh_rate,
            respect_dns_ttl: false,
            dns_lookup_family,
        };
        let resolver = dns_resolver::Given {
            typed_dns_resolver_config,
            dns_resolution_config,
            dns_resolvers: Vec::new(),
            use_tcp_for_dns_lookups,
        };
        let min_refresh = at.duration("dns_min_refresh_rate", dns_min_refresh_rate);
        if min_refresh.is_some_and(|rate| rate < MIN_REFRESH_FLOOR) {
            at.field("dns_min_refresh_rate").violation("value must be greater than or equal to 1s");
        }
        Some(DnsCache {
            name,
            dns: dns.read(resolver, at)?,
            dns_min_refresh_rate: min_refresh.unwrap_or(DEFAULT_MIN_REFRESH_RATE),
            host_ttl: at.positive_duration("host_ttl", host_ttl).unwrap_or(DEFAULT_HOST_TTL),
            max_hosts: at.within("max_hosts", max_hosts, 1..=u32::MAX).unwrap_or(DEFAULT_MAX_HOSTS),
            disable_dns_refresh_on_failure,
            max_pending_requests: at
                .message("dns_cache_circuit_breaker", dns_cache_circuit_breaker, max_pending_requests)
                .unwrap_or(DEFAULT_MAX_PENDING),
            preresolve_hostnames: at.list("preresolve_hostnames", preresolve_hostnames, |address, at| {
                match super::address::socket_address(address, at)? {
                    Address::Ip(address) => Some((address.ip().to_string(), address.port())),
                    Address::Name { host, port } => Some((host, port)),
                    Address::Pipe { .. } | Address::Internal { .. } => None,
                }
            }),
            dns_query_timeout: at.timeout(
                "dns_query_timeout",
                dns_query_timeout,
                Some(DEFAULT_QUERY_TIMEOUT),
            ),
            passed_over: at.message("resolved_address_filter", resolved_address_filter, |message, at| {
                let (ranges, invert) = addresses(message, at);
                Some(AddressFilter { ranges, invert })
            }),
            store: at.message("key_value_config", key_value_config, KeyValueStore::from_proto),
        })
    }
}

fn max_pending_requests(message: v3::DnsCacheCircuitBreakers, at: &mut Scope<'_>) -> Option<u32> {
    open! { at, v3::DnsCacheCircuitBreakers = message; implemented { max_pending_requests } }
    max_pending_requests.map(|number| number.value)
}
