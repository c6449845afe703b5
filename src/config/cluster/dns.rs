//! How a cluster's names are resolved: its own fields, or `envoy.extensions.clusters.dns.v3.DnsCluster`.

use std::time::Duration;

use envoy_types::pb::envoy::config::cluster::v3;
use envoy_types::pb::envoy::extensions::clusters::dns::v3 as dns_v3;
use envoy_types::pb::google::protobuf as pb;

use super::kind::Kind;
use crate::config::dns_resolver::{self, DnsResolver};
use crate::config::field::{Scope, open};

/// Time between resolutions when nothing else is configured.
pub const DEFAULT_DNS_REFRESH_RATE: Duration = Duration::from_secs(5);

/// Every interval of resolutions must be greater than this.
const DNS_INTERVAL_FLOOR: Duration = Duration::from_millis(1);

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

/// The fields of a cluster about DNS.
pub(in crate::config) struct ClusterDns {
    pub(in crate::config) dns_refresh_rate: Option<pb::Duration>,
    pub(in crate::config) dns_jitter: Option<pb::Duration>,
    pub(in crate::config) dns_failure_refresh_rate: Option<v3::cluster::RefreshRate>,
    pub(in crate::config) respect_dns_ttl: bool,
    pub(in crate::config) dns_lookup_family: i32,
}

/// How names are resolved, and by whom.
pub(super) struct Resolving {
    pub(super) dns: ClusterDns,
    pub(super) resolver: dns_resolver::Given,
}

impl Resolving {
    pub(super) fn read(self, at: &mut Scope<'_>) -> Option<Dns> {
        self.dns.read(self.resolver, at)
    }
}

/// A cluster whose hosts an extension finds by names.
pub(super) fn dns_cluster(message: dns_v3::DnsCluster, at: &mut Scope<'_>) -> Option<Kind> {
    use envoy_types::pb::envoy::extensions::clusters::common::dns::v3::DnsLookupFamily as Family;
    open! { at, dns_v3::DnsCluster = message;
        implemented {
            dns_refresh_rate, dns_failure_refresh_rate, respect_dns_ttl, dns_jitter, dns_lookup_family,
            all_addresses_in_single_endpoint, typed_dns_resolver_config, dns_min_refresh_rate,
        }
    }
    let family = match at.enumeration("dns_lookup_family", dns_lookup_family) {
        Family::Unspecified | Family::Auto => DnsFamily::Auto,
        Family::V4Only => DnsFamily::V4Only,
        Family::V6Only => DnsFamily::V6Only,
        Family::V4Preferred => DnsFamily::V4Preferred,
        Family::All => DnsFamily::All,
    };
    let failure_refresh = at.message("dns_failure_refresh_rate", dns_failure_refresh_rate, |message, at| {
        open! { at, dns_v3::dns_cluster::RefreshRate = message; implemented { base_interval, max_interval } }
        failure_refresh(base_interval, max_interval, at)
    });
    let dns = Dns {
        refresh_rate: interval("dns_refresh_rate", dns_refresh_rate, at).unwrap_or(DEFAULT_DNS_REFRESH_RATE),
        failure_refresh,
        respect_ttl: respect_dns_ttl,
        least_ttl: at.duration("dns_min_refresh_rate", dns_min_refresh_rate).unwrap_or_default(),
        jitter: at.duration("dns_jitter", dns_jitter).unwrap_or_default(),
        family,
        resolver: at.message("typed_dns_resolver_config", typed_dns_resolver_config, DnsResolver::typed),
    };
    Some(if all_addresses_in_single_endpoint { Kind::LogicalDns(dns) } else { Kind::StrictDns(dns) })
}

impl ClusterDns {
    pub(in crate::config) fn read(self, resolver: dns_resolver::Given, at: &mut Scope<'_>) -> Option<Dns> {
        use v3::cluster::DnsLookupFamily as Family;
        let family = match at.enumeration("dns_lookup_family", self.dns_lookup_family) {
            Family::Auto => DnsFamily::Auto,
            Family::V4Only => DnsFamily::V4Only,
            Family::V6Only => DnsFamily::V6Only,
            Family::V4Preferred => DnsFamily::V4Preferred,
            Family::All => DnsFamily::All,
        };
        let failure_refresh =
            at.message("dns_failure_refresh_rate", self.dns_failure_refresh_rate, |message, at| {
                open! { at, v3::cluster::RefreshRate = message; implemented { base_interval, max_interval } }
                failure_refresh(base_interval, max_interval, at)
            });
        Some(Dns {
            refresh_rate: interval("dns_refresh_rate", self.dns_refresh_rate, at)
                .unwrap_or(DEFAULT_DNS_REFRESH_RATE),
            failure_refresh,
            respect_ttl: self.respect_dns_ttl,
            least_ttl: Duration::ZERO,
            jitter: at.duration("dns_jitter", self.dns_jitter).unwrap_or_default(),
            family,
            resolver: resolver.read(at),
        })
    }
}

/// An interval of resolutions.
fn interval(name: &str, value: Option<pb::Duration>, at: &mut Scope<'_>) -> Option<Duration> {
    let interval = at.duration(name, value)?;
    if interval <= DNS_INTERVAL_FLOOR {
        at.field(name).violation("value must be greater than 1ms");
        return None;
    }
    Some(interval)
}

/// Base and cap of the back-off. Without a cap it is ten times the base.
fn failure_refresh(
    base_interval: Option<pb::Duration>,
    max_interval: Option<pb::Duration>,
    at: &mut Scope<'_>,
) -> Option<(Duration, Duration)> {
    let base_interval = at.required("base_interval", base_interval);
    let base = interval("base_interval", base_interval, at)?;
    let cap = interval("max_interval", max_interval, at).unwrap_or(base * 10);
    if cap < base {
        at.error(
            "dns_failure_refresh_rate must have max_interval greater than or equal to the base_interval",
        );
    }
    Some((base, cap))
}
