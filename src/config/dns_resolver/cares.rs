//! Servers, asked as c-ares asks them: `envoy.extensions.network.dns_resolver.cares.v3.CaresDnsResolverConfig`, and the
//! older `envoy.config.core.v3.DnsResolutionConfig`.

use std::net::SocketAddr;
use std::time::Duration;

use envoy_types::pb::envoy::config::core::v3 as core;
use envoy_types::pb::envoy::extensions::network::dns_resolver::cares::v3 as cares;

use super::server;
use crate::config::field::{Scope, open};

/// Why settings of c-ares' sockets change nothing.
const OWN_SOCKETS: &str = "it concerns how c-ares keeps its sockets";

/// Which servers are asked, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Cares {
    /// Servers in the order in which they are asked; those of the system when empty.
    pub servers: Vec<SocketAddr>,
    /// Ask over TCP alone.
    pub use_tcp: bool,
    /// Take names as they stand, whatever search domains the system has.
    pub no_search_domains: bool,
    /// Begin with another server each time.
    pub rotate_servers: bool,
    /// Time for an answer; 5 s when not configured.
    pub query_timeout: Option<Duration>,
    /// How often a question is asked, 1 or more.
    pub query_tries: Option<u32>,
    /// Bytes that an answer over UDP may have; the library's 1,232 when not configured.
    pub edns0_max_payload_size: Option<u16>,
    /// How long answers stand for further questions at most, which else are asked each time; more than 0.
    pub qcache_max_ttl: Option<Duration>,
    /// Ask `servers` only where the system has none, or nothing but one at 127.0.0.1 (`use_resolvers_as_fallback`).
    pub is_fallback: bool,
    /// Pass over addresses of families of which no interface but the loopback has one (`filter_unroutable_families`).
    pub routable_only: bool,
}

impl Cares {
    /// From the fields that there were before there were extensions, newest first; `None` where none is set.
    pub(super) fn from_older(
        resolution: Option<core::DnsResolutionConfig>,
        servers: Vec<core::Address>,
        use_tcp: bool,
        at: &mut Scope<'_>,
    ) -> Option<Self> {
        if let Some(resolution) = resolution {
            let mut at = at.field("dns_resolution_config");
            open! { at, core::DnsResolutionConfig = resolution; implemented { resolvers, dns_resolver_options } }
            if resolvers.is_empty() {
                at.field("resolvers").violation("value must contain at least 1 item(s)");
            }
            let mut resolver = Cares { servers: at.list("resolvers", resolvers, server), ..Cares::default() };
            resolver.options(dns_resolver_options, &mut at);
            return Some(resolver);
        }
        (use_tcp || !servers.is_empty()).then(|| Cares {
            servers: at.list("dns_resolvers", servers, server),
            use_tcp,
            ..Cares::default()
        })
    }

    /// From its proto.
    pub(super) fn from_proto(message: cares::CaresDnsResolverConfig, at: &mut Scope<'_>) -> Self {
        open! { at, cares::CaresDnsResolverConfig = message;
            implemented {
                resolvers, dns_resolver_options, query_timeout_seconds, query_tries, rotate_nameservers,
                edns0_max_payload_size, qcache_max_ttl, use_resolvers_as_fallback, filter_unroutable_families,
            }
            ignored {
                udp_max_queries: OWN_SOCKETS,
                max_udp_channel_duration: OWN_SOCKETS,
                reinit_channel_on_timeout: OWN_SOCKETS,
            }
        }
        let timeout = query_timeout_seconds.map(|seconds| seconds.value);
        if timeout == Some(0) {
            at.field("query_timeout_seconds").violation("value must be greater than or equal to 1");
        }
        let mut resolver = Cares {
            servers: at.list("resolvers", resolvers, server),
            rotate_servers: rotate_nameservers,
            query_timeout: timeout.map(Duration::from_secs),
            query_tries: at.within("query_tries", query_tries, 1..=u32::MAX),
            edns0_max_payload_size: edns0_max_payload_size.and_then(|size| u16::try_from(size.value).ok()),
            qcache_max_ttl: qcache_max_ttl
                .filter(|seconds| seconds.value > 0)
                .map(|seconds| Duration::from_secs(seconds.value.into())),
            is_fallback: use_resolvers_as_fallback,
            routable_only: filter_unroutable_families,
            ..Cares::default()
        };
        resolver.options(dns_resolver_options, at);
        resolver
    }

    fn options(&mut self, options: Option<core::DnsResolverOptions>, at: &mut Scope<'_>) {
        let Some(options) = options else { return };
        let mut at = at.field("dns_resolver_options");
        open! { at, core::DnsResolverOptions = options;
            implemented { use_tcp_for_dns_lookups, no_default_search_domain }
        }
        self.use_tcp = use_tcp_for_dns_lookups;
        self.no_search_domains = no_default_search_domain;
    }
}
