//! Who a request is from, and what hosts are told of it.

use envoy_types::pb::envoy::config::core::v3::TypedExtensionConfig;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3;
use envoy_types::pb::google::protobuf as pb;
use v3::http_connection_manager::InternalAddressConfig;

use super::original_ip::{self, OriginalIpDetection};
use crate::config::field::{Scope, open};
use crate::config::matcher::CidrRange;

/// How the client of a request is found, and what is said of it; fields of `HttpConnectionManager`.
#[derive(Clone, Debug, PartialEq)]
pub struct ClientAddress {
    /// Take the peer's address as the client's.
    pub use_remote_address: bool,
    /// Trusted proxies before this one.
    pub xff_num_trusted_hops: u32,
    /// Do not append to `x-forwarded-for`.
    pub skip_xff_append: bool,
    /// How the client is found where the peer is not taken for it; never empty, `x-forwarded-for` by default.
    pub original_ip_detection: Vec<OriginalIpDetection>,
    /// Address ranges taken as internal; none when not configured.
    pub internal_addresses: InternalAddresses,
    /// Add `x-forwarded-port`.
    pub append_x_forwarded_port: bool,
}

/// `HttpConnectionManager.InternalAddressConfig`
#[derive(Clone, Debug, Default, PartialEq)]
pub struct InternalAddresses {
    /// Peers at Unix sockets are internal.
    pub unix_sockets: bool,
    /// The ranges; none when empty.
    pub cidr_ranges: Vec<CidrRange>,
}

/// The fields as they came.
pub(super) struct Given {
    pub(super) use_remote_address: Option<pb::BoolValue>,
    pub(super) xff_num_trusted_hops: u32,
    pub(super) skip_xff_append: bool,
    pub(super) original_ip_detection_extensions: Vec<TypedExtensionConfig>,
    pub(super) internal_address_config: Option<InternalAddressConfig>,
    pub(super) append_x_forwarded_port: bool,
}

impl Given {
    pub(super) fn read(self, at: &mut Scope<'_>) -> ClientAddress {
        let Given { xff_num_trusted_hops, skip_xff_append, append_x_forwarded_port, .. } = self;
        let use_remote_address = self.use_remote_address.is_some_and(|value| value.value);
        let extensions = self.original_ip_detection_extensions;
        original_ip::check_alone(&extensions, use_remote_address, xff_num_trusted_hops, at);
        ClientAddress {
            use_remote_address,
            xff_num_trusted_hops,
            skip_xff_append,
            original_ip_detection: OriginalIpDetection::list(extensions, xff_num_trusted_hops, at),
            internal_addresses: at.or_default(
                "internal_address_config",
                self.internal_address_config,
                InternalAddresses::from_proto,
            ),
            append_x_forwarded_port,
        }
    }
}

impl InternalAddresses {
    fn from_proto(message: InternalAddressConfig, at: &mut Scope<'_>) -> Option<Self> {
        open! { at, InternalAddressConfig = message; implemented { unix_sockets, cidr_ranges } }
        let cidr_ranges = at.list("cidr_ranges", cidr_ranges, CidrRange::from_proto);
        Some(InternalAddresses { unix_sockets, cidr_ranges })
    }
}
