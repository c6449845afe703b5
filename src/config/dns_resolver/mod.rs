//! Who resolves names: the extension `envoy.network.dns_resolver` of this category that is configured, or the older
//! `envoy.config.core.v3.DnsResolutionConfig`.

mod cares;
mod getaddrinfo;
mod hickory;

use std::net::SocketAddr;

use envoy_types::pb::envoy::config::core::v3 as core;

pub use cares::Cares;
pub use getaddrinfo::GetAddrInfo;
pub use hickory::Hickory;

use super::address::Address;
use super::extension;
use super::field::{Scope, open};

/// The kinds of resolvers.
const CARES: &str = "envoy.extensions.network.dns_resolver.cares.v3.CaresDnsResolverConfig";
const GETADDRINFO: &str = "envoy.extensions.network.dns_resolver.getaddrinfo.v3.GetAddrInfoDnsResolverConfig";
const HICKORY: &str = "envoy.extensions.network.dns_resolver.hickory.v3.HickoryDnsResolverConfig";

/// Who is asked for addresses, and how.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum DnsResolver {
    /// Servers, as c-ares asks them.
    Cares(Cares),
    /// The system's own function.
    GetAddrInfo(GetAddrInfo),
    /// Servers, as the Hickory library asks them.
    Hickory(Hickory),
}

impl Default for DnsResolver {
    fn default() -> Self {
        DnsResolver::Cares(Cares::default())
    }
}

/// The fields that choose a resolver, newest first.
#[derive(Default)]
pub(super) struct Given {
    pub(super) typed_dns_resolver_config: Option<core::TypedExtensionConfig>,
    pub(super) dns_resolution_config: Option<core::DnsResolutionConfig>,
    pub(super) dns_resolvers: Vec<core::Address>,
    pub(super) use_tcp_for_dns_lookups: bool,
}

impl Given {
    /// The resolver that the newest field configures; `None` when there is none.
    pub(super) fn read(self, at: &mut Scope<'_>) -> Option<DnsResolver> {
        if let Some(typed) = self.typed_dns_resolver_config {
            return DnsResolver::typed(typed, &mut at.field("typed_dns_resolver_config"));
        }
        Cares::from_older(self.dns_resolution_config, self.dns_resolvers, self.use_tcp_for_dns_lookups, at)
            .map(DnsResolver::Cares)
    }
}

impl DnsResolver {
    /// From the extension that is configured.
    pub(super) fn typed(config: core::TypedExtensionConfig, at: &mut Scope<'_>) -> Option<Self> {
        open! { at, core::TypedExtensionConfig = config; implemented { name, typed_config } }
        let any = typed_config.unwrap_or_default();
        let mut at = at.field("typed_config");
        match extension::contained_type(&any).as_str() {
            CARES => Some(DnsResolver::Cares(Cares::from_proto(extension::read(any, &mut at)?, &mut at))),
            GETADDRINFO => Some(DnsResolver::GetAddrInfo(GetAddrInfo::from_proto(
                extension::read(any, &mut at)?,
                &mut at,
            ))),
            HICKORY => {
                Some(DnsResolver::Hickory(Hickory::from_proto(extension::read(any, &mut at)?, &mut at)))
            }
            type_name => {
                at.unsupported(format!(
                    "Didn't find a registered implementation for '{name}' with type URL: '{type_name}'; \
                     known: {CARES}, {GETADDRINFO}, {HICKORY}"
                ));
                None
            }
        }
    }
}

/// The address of a server, which has to be a literal one with a port.
fn server(message: core::Address, at: &mut Scope<'_>) -> Option<SocketAddr> {
    match Address::literal_from_proto(message, at)? {
        Address::Ip(address) => Some(address),
        Address::Name { .. } | Address::Pipe { .. } | Address::Internal { .. } => {
            at.error("a DNS server has to be an IP address");
            None
        }
    }
}
