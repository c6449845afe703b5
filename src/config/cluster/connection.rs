//! How connections to hosts are made: `envoy.config.core.v3.BindConfig` and
//! `envoy.config.cluster.v3.UpstreamConnectionOptions`.

use envoy_types::pb::envoy::config::cluster::v3;
use envoy_types::pb::envoy::config::core::v3 as core;
use envoy_types::pb::envoy::config::upstream::local_address_selector::v3::DefaultLocalAddressSelector;
use prost::Name as _;

use crate::config::address::{self, Address, IpVersion, SocketOption, TcpKeepalive};
use crate::config::extension;
use crate::config::field::{Scope, open};

/// Where connections to hosts come from, and the options of their sockets: `envoy.config.core.v3.BindConfig`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Bind {
    /// Local address to connect from.
    pub source_address: Option<Address>,
    /// That for hosts of the other IP version.
    pub other_source: Option<OtherSource>,
    /// Options set on the sockets.
    pub socket_options: Vec<SocketOption>,
    /// Whether addresses may be ones that this machine does not have; not if nothing is said.
    pub freebind: Option<bool>,
}

impl Bind {
    /// What holds for a cluster that says this itself, where `common` holds for all: as in Envoy each goes for itself,
    /// but for the addresses, which are the cluster's own as soon as it says anything.
    pub fn over(&self, common: &Bind) -> Self {
        let options = if self.socket_options.is_empty() { common } else { self };
        Bind {
            socket_options: options.socket_options.clone(),
            freebind: self.freebind.or(common.freebind),
            ..self.clone()
        }
    }

    /// From its proto.
    pub(in crate::config) fn from_proto(message: core::BindConfig, at: &mut Scope<'_>) -> Option<Self> {
        open! { at, core::BindConfig = message;
            implemented {
                source_address, socket_options, extra_source_addresses, additional_source_addresses, freebind,
                local_address_selector,
            }
            ignored {
                validate_network_namespaces: "addresses in network namespaces are refused, so that none is left to look at",
            }
        }
        at.message("local_address_selector", local_address_selector, default_selector);
        let source_address = at.message("source_address", source_address, ip_address);
        let socket_options = at.list("socket_options", socket_options, SocketOption::from_proto);
        let extra = at.list("extra_source_addresses", extra_source_addresses, OtherSource::from_proto);
        let additional =
            at.list("additional_source_addresses", additional_source_addresses, |message, at| {
                let address = ip_address(message, at)?;
                Some(OtherSource { address, socket_options: None })
            });
        let others = if extra.is_empty() { additional } else { extra };
        let bind = Bind {
            source_address,
            freebind: freebind.map(|freebind| freebind.value),
            socket_options,
            other_source: None,
        };
        Some(Bind { other_source: bind.check(others, at), ..bind })
    }

    /// The source address of the other version, if there is one and no more.
    fn check(&self, others: Vec<OtherSource>, at: &mut Scope<'_>) -> Option<OtherSource> {
        if others.len() > 1 {
            at.error("more than one extra/additional source addresses; only one is supported");
        }
        let other = others.into_iter().next()?;
        let version = |address: &Address| address.ip().map(|ip| ip.is_ipv4());
        match &self.source_address {
            None => at.error("extra/additional addresses cannot be specified if source_address is not set"),
            Some(first) if version(first) == version(&other.address) => at.error(
                "two same IP version source addresses; source_address and the extra/additional one have to be of two versions",
            ),
            Some(_) => {}
        }
        Some(other)
    }
}

/// Looks at who chooses among the addresses, which can be the default alone.
fn default_selector(message: core::TypedExtensionConfig, at: &mut Scope<'_>) -> Option<()> {
    open! { at, core::TypedExtensionConfig = message; implemented { name, typed_config } }
    let name = at.required_string("name", name);
    let config = typed_config.unwrap_or_default();
    let known = DefaultLocalAddressSelector::full_name();
    if extension::contained_type(&config) != known {
        at.unsupported(format!("Didn't find a registered implementation for '{name}'; known: {known}"));
        return None;
    }
    let mut at = at.field("typed_config");
    let message = extension::read(config, &mut at)?;
    open! { at, DefaultLocalAddressSelector = message; implemented {} }
    Some(())
}

/// Where connections come from that go to hosts of the other IP version: `ExtraSourceAddress`.
#[derive(Clone, Debug, PartialEq)]
pub struct OtherSource {
    /// The address.
    pub address: Address,
    /// The options of such connections in place of the others; `None` where there is no list of them.
    pub socket_options: Option<Vec<SocketOption>>,
}

impl OtherSource {
    fn from_proto(message: core::ExtraSourceAddress, at: &mut Scope<'_>) -> Option<Self> {
        open! { at, core::ExtraSourceAddress = message; implemented { address, socket_options } }
        let address = at.required("address", address)?;
        let address = ip_address(address, &mut at.field("address"))?;
        let socket_options = at.message("socket_options", socket_options, |message, at| {
            open! { at, core::SocketOptionsOverride = message; implemented { socket_options } }
            Some(at.list("socket_options", socket_options, SocketOption::from_proto))
        });
        Some(OtherSource { address, socket_options })
    }
}

fn ip_address(message: core::SocketAddress, at: &mut Scope<'_>) -> Option<Address> {
    let address = address::socket_address(message, at)?;
    if address.ip().is_none() {
        at.error(format!("malformed IP address: {address}"));
    }
    Some(address)
}

/// `envoy.config.cluster.v3.UpstreamConnectionOptions`
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ConnectionOptions {
    /// TCP keep-alive of upstream connections.
    pub tcp_keepalive: Option<TcpKeepalive>,
    /// Which of a host's addresses are tried first.
    pub happy_eyeballs: HappyEyeballs,
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

impl ConnectionOptions {
    pub(super) fn from_proto(message: v3::UpstreamConnectionOptions, at: &mut Scope<'_>) -> Option<Self> {
        open! { at, v3::UpstreamConnectionOptions = message;
            implemented { tcp_keepalive, happy_eyeballs_config }
            ignored {
                set_local_interface_name_on_upstream_connections: "as in Envoy nothing tells the name",
            }
        }
        Some(ConnectionOptions {
            tcp_keepalive: at.message("tcp_keepalive", tcp_keepalive, TcpKeepalive::from_proto),
            happy_eyeballs: at.or_default(
                "happy_eyeballs_config",
                happy_eyeballs_config,
                HappyEyeballs::from_proto,
            ),
        })
    }
}

impl HappyEyeballs {
    fn from_proto(
        message: v3::upstream_connection_options::HappyEyeballsConfig,
        at: &mut Scope<'_>,
    ) -> Option<Self> {
        use v3::upstream_connection_options::{FirstAddressFamilyVersion as Version, HappyEyeballsConfig};
        open! { at, HappyEyeballsConfig = message;
            implemented { first_address_family_version, first_address_family_count }
        }
        let first_version = match at.enumeration("first_address_family_version", first_address_family_version)
        {
            Version::Default => None,
            Version::V4 => Some(IpVersion::V4),
            Version::V6 => Some(IpVersion::V6),
            Version::Pipe | Version::Internal => {
                at.reject("first_address_family_version", "a host has addresses of IP versions 4 and 6 only");
                None
            }
        };
        let count = at.within("first_address_family_count", first_address_family_count, 1..=u32::MAX);
        Some(HappyEyeballs { first_version, first_count: count.unwrap_or(1) })
    }
}
