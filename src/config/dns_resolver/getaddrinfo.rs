//! The system's own function:
//! `envoy.extensions.network.dns_resolver.getaddrinfo.v3.GetAddrInfoDnsResolverConfig`.

use envoy_types::pb::envoy::extensions::network::dns_resolver::getaddrinfo::v3;

use crate::config::field::{Scope, open};

/// How the system is asked.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct GetAddrInfo {
    /// How often a question is asked again where the system has no answer for the time being; `None` for as long as somebody
    /// waits for one.
    pub num_retries: Option<u32>,
    /// How many questions there are at a time; 1 or more, 1 by default.
    pub num_resolver_threads: u32,
}

impl GetAddrInfo {
    /// From its proto.
    pub(super) fn from_proto(message: v3::GetAddrInfoDnsResolverConfig, at: &mut Scope<'_>) -> Self {
        open! { at, v3::GetAddrInfoDnsResolverConfig = message;
            implemented { num_retries, num_resolver_threads }
        }
        GetAddrInfo {
            num_retries: num_retries.map(|retries| retries.value),
            // Without a thread Envoy answers none.
            num_resolver_threads: at
                .within("num_resolver_threads", num_resolver_threads, 1..=u32::MAX)
                .unwrap_or(1),
        }
    }
}
