//! Listeners over UDP: `Listener.udp_listener_config` and what stands in `listener_filters` there.

use envoy_types::pb::envoy::config::core::v3 as core;
use envoy_types::pb::envoy::config::listener::v3;
use envoy_types::pb::envoy::extensions::udp_packet_writer::v3::{
    UdpDefaultWriterFactory, UdpGsoBatchWriterFactory,
};
use envoy_types::pb::google::protobuf as pb;
use prost::Name;

use crate::config::extension::{ExtensionConfig, contained_type, read};
use crate::config::field::{Scope, open};

/// The longest datagram that there can be, and more.
pub const LONGEST_DATAGRAM: usize = 65_535;
/// The longest datagram that is taken where nothing is configured: what an Ethernet frame holds.
const DEFAULT_MAX_RX_DATAGRAM_SIZE: usize = 1500;

/// What a listener over UDP has beside what all listeners have.
#[derive(Clone, Debug, PartialEq)]
pub struct Udp {
    /// Longer datagrams are dropped: `max_rx_datagram_size`; 1500 by default.
    pub max_rx_datagram_bytes: usize,
    /// What its datagrams are given to; `None` only where the configuration is refused.
    pub filter: Option<ExtensionConfig>,
}

/// How long a datagram may be, of a socket with these settings.
///
/// One that gathers datagrams (`prefer_gro`) has room for the longest, as in Envoy.
pub fn longest_datagram(message: core::UdpSocketConfig, gathers: bool, at: &mut Scope<'_>) -> usize {
    use core::UdpSocketConfig;
    open! { at, UdpSocketConfig = message; implemented { max_rx_datagram_size, prefer_gro } }
    let size = max_rx_datagram_size.map(|size| size.value);
    if size.is_some_and(|size| !(1..65_536).contains(&size)) {
        at.field("max_rx_datagram_size").violation("value must be inside range (0, 65536)");
    }
    if prefer_gro.map_or(gathers, |prefer| prefer.value) {
        return LONGEST_DATAGRAM;
    }
    size.and_then(|size| usize::try_from(size).ok()).unwrap_or(DEFAULT_MAX_RX_DATAGRAM_SIZE)
}

/// Whether an address is one of UDP.
pub(super) fn is_udp(address: &core::Address) -> bool {
    let udp = core::socket_address::Protocol::Udp as i32;
    matches!(&address.address, Some(core::address::Address::SocketAddress(address)) if address.protocol == udp)
}

/// Whether it is HTTP/3 that is configured.
pub(super) fn is_quic(config: Option<&v3::UdpListenerConfig>) -> bool {
    config.is_some_and(|config| config.quic_options.is_some())
}

/// Notes filter chains, which only connections have.
pub(super) fn refuse_chains(count: usize, has_default: bool, at: &mut Scope<'_>) {
    if count > 0 || has_default {
        at.field("filter_chains")
            .error(format!("{count} filter chain(s) specified for connection-less UDP listener."));
    }
}

/// Notes settings of datagrams on a listener of connections, which Envoy does not look at either.
pub(super) fn ignore_settings(config: Option<v3::UdpListenerConfig>, at: &mut Scope<'_>) {
    if config.is_some() {
        at.ignore("udp_listener_config", "the listener is none over UDP");
    }
}

impl Udp {
    /// From the filters and the settings of a listener whose address is of UDP.
    pub(super) fn from_proto(
        filters: Vec<v3::ListenerFilter>,
        config: Option<v3::UdpListenerConfig>,
        at: &mut Scope<'_>,
    ) -> Self {
        let is_quic = is_quic(config.as_ref());
        let longest = at.message("udp_listener_config", config, socket_settings);
        let count = filters.len();
        let mut filters = at.list("listener_filters", filters, filter);
        match count {
            0 if is_quic => {}
            // Envoy takes such a listener, and then says this when it is to serve.
            0 => at
                .field("listener_filters")
                .unsupported("Cannot create listener as no read filter registered for the udp listener"),
            1 => {}
            _ => at.field("listener_filters").unsupported("one filter is served, and datagrams end in it"),
        }
        Udp { max_rx_datagram_bytes: longest.unwrap_or(DEFAULT_MAX_RX_DATAGRAM_SIZE), filter: filters.pop() }
    }
}

fn socket_settings(message: v3::UdpListenerConfig, at: &mut Scope<'_>) -> Option<usize> {
    use v3::UdpListenerConfig;
    open! { at, UdpListenerConfig = message;
        implemented { downstream_socket_config, udp_packet_packet_writer_config }
        rejected { quic_options: "HTTP/3 is not served" }
    }
    at.message("udp_packet_packet_writer_config", udp_packet_packet_writer_config, default_writer);
    at.message("downstream_socket_config", downstream_socket_config, |message, at| {
        Some(longest_datagram(message, false, at))
    })
}

/// Looks at what writes datagrams, which can be the default alone.
fn default_writer(message: core::TypedExtensionConfig, at: &mut Scope<'_>) -> Option<()> {
    open! { at, core::TypedExtensionConfig = message; implemented { name, typed_config } }
    let name = at.required_string("name", name);
    let config = at.required("typed_config", typed_config)?;
    let (found, known) = (contained_type(&config), UdpDefaultWriterFactory::full_name());
    if found == UdpGsoBatchWriterFactory::full_name() {
        at.unsupported("not supported: datagrams are written one by one");
        return None;
    }
    if found != known {
        at.error(format!("Didn't find a registered implementation for '{name}'; known: {known}"));
        return None;
    }
    open! { at, UdpDefaultWriterFactory = read(config, &mut at.field("typed_config"))?; implemented {} }
    Some(())
}

fn filter(message: v3::ListenerFilter, at: &mut Scope<'_>) -> Option<ExtensionConfig> {
    use v3::ListenerFilter;
    use v3::listener_filter::ConfigType;
    open! { at, ListenerFilter = message;
        implemented { name, config_type, filter_disabled }
    }
    if filter_disabled.is_some() {
        at.reject("filter_disabled", "datagrams all take the one filter");
    }
    let name = at.required_string("name", name);
    let known = at.extensions().udp_listener_filters;
    match config_type {
        Some(ConfigType::TypedConfig(any)) => {
            ExtensionConfig::from_any(&name, any, known, &mut at.field("typed_config"))
        }
        Some(ConfigType::ConfigDiscovery(_)) => {
            // Of those over TCP they are; of these not by Envoy either.
            at.field("config_discovery").error(format!(
                "UDP listener filter: {name} is configured with unsupported dynamic configuration"
            ));
            None
        }
        None => ExtensionConfig::from_any(&name, pb::Any::default(), known, at),
    }
}
