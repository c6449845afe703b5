//! How connections to hosts are made: `envoy.config.core.v3.BindConfig` and
//! `envoy.config.cluster.v3.UpstreamConnectionOptions`.

use envoy_types::pb::envoy::config::cluster::v3;
use envoy_types::pb::envoy::config::core::v3 as core;

use super::{HappyEyeballs, IpVersion};
use crate::config::address::{self, Address, SocketOption, TcpKeepalive};
use crate::config::field::{Scope, open};

/// What a `envoy.config.core.v3.BindConfig` says.
#[derive(Default)]
pub(super) struct Bind {
    pub(super) source_address: Option<Address>,
    pub(super) socket_options: Vec<SocketOption>,
}

impl Bind {
    pub(super) fn from_proto(message: core::BindConfig, at: &mut Scope<'_>) -> Option<Self> {
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

/// What `envoy.config.cluster.v3.UpstreamConnectionOptions` says.
#[derive(Default)]
pub(super) struct ConnectionOptions {
    pub(super) tcp_keepalive: Option<TcpKeepalive>,
    pub(super) happy_eyeballs: HappyEyeballs,
}

impl ConnectionOptions {
    pub(super) fn from_proto(message: v3::UpstreamConnectionOptions, at: &mut Scope<'_>) -> Option<Self> {
        open! { at, v3::UpstreamConnectionOptions = message;
            implemented { tcp_keepalive, happy_eyeballs_config }
            rejected {
                set_local_interface_name_on_upstream_connections: "the interface of a connection is not looked up",
            }
        }
        Some(ConnectionOptions {
            tcp_keepalive: at.message("tcp_keepalive", tcp_keepalive, TcpKeepalive::from_proto),
            happy_eyeballs: at
                .message("happy_eyeballs_config", happy_eyeballs_config, HappyEyeballs::from_proto)
                .unwrap_or_default(),
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
