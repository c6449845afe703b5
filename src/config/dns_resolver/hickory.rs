//! Servers, asked as the Hickory library asks them:
//! `envoy.extensions.network.dns_resolver.hickory.v3.HickoryDnsResolverConfig`.

use std::net::SocketAddr;
use std::time::Duration;

use envoy_types::pb::envoy::extensions::network::dns_resolver::hickory::v3;

use super::server;
use crate::config::field::{Scope, open};

/// How many answers are kept.
const DEFAULT_CACHE_SIZE: u32 = 1024;

/// How long a server may take for an answer.
const DEFAULT_QUERY_TIMEOUT: Duration = Duration::from_secs(5);

/// How often a question is asked again.
const DEFAULT_QUERY_TRIES: u32 = 3;

/// The port of servers where none is configured.
const DEFAULT_PORT: u16 = 53;

/// Why there are no servers over TLS.
const PLAIN_ONLY: &str = "servers are asked over UDP and TCP alone";

/// Which servers are asked, and how.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Hickory {
    /// Servers in the order in which they are configured.
    pub servers: Vec<SocketAddr>,
    /// Whether those of the system are asked too, and names completed by its search domains; by default where there are no
    /// `servers`.
    pub use_system_config: bool,
    /// How many answers are kept for their time to live; 1,024 by default.
    pub cache_size: u32,
    /// How long a server may take for an answer; 5 s by default.
    pub query_timeout: Duration,
    /// How often a question is asked again; 1 or more, 3 by default.
    pub query_tries: u32,
}

impl Hickory {
    /// From its proto.
    pub(super) fn from_proto(message: v3::HickoryDnsResolverConfig, at: &mut Scope<'_>) -> Self {
        open! { at, v3::HickoryDnsResolverConfig = message;
            implemented { resolvers, cache_size, use_system_config, query_timeout, query_tries }
            rejected {
                dns_over_tls: PLAIN_ONLY,
                dns_over_https: PLAIN_ONLY,
                enable_dnssec: "signatures of answers are not looked at",
            }
            ignored { num_resolver_threads: "names are resolved without a thread of their own" }
        }
        let mut servers = at.list("resolvers", resolvers, server);
        for server in servers.iter_mut().filter(|server| server.port() == 0) {
            server.set_port(DEFAULT_PORT);
        }
        Hickory {
            // As in Envoy `false` alone leaves the resolver without any server: the system's are asked then.
            use_system_config: servers.is_empty() || use_system_config.is_some_and(|uses| uses.value),
            servers,
            cache_size: cache_size.map_or(DEFAULT_CACHE_SIZE, |size| size.value),
            query_timeout: at.duration("query_timeout", query_timeout).unwrap_or(DEFAULT_QUERY_TIMEOUT),
            query_tries: at.within("query_tries", query_tries, 1..=u32::MAX).unwrap_or(DEFAULT_QUERY_TRIES),
        }
    }
}
