//! What is asked of a connection for a filter chain: `envoy.config.listener.v3.FilterChainMatch`.

use envoy_types::pb::envoy::config::listener::v3;

use crate::config::field::{Scope, open};
use crate::config::matcher::CidrRange;

/// Why suffixes of addresses are refused: Envoy's reason.
const UNIMPLEMENTED: &str = "no version of Envoy looks at it";

/// The criteria of a filter chain; what is empty asks for nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct FilterChainMatch {
    /// The port that the connection went to.
    pub destination_port: Option<u16>,
    /// Networks of the address that it went to.
    pub prefix_ranges: Vec<CidrRange>,
    /// Names that clients ask for, in lower case; those that begin with a dot are suffixes.
    pub server_names: Vec<String>,
    /// What the connection speaks first: `raw_buffer`, `tls`.
    pub transport_protocol: String,
    /// Protocols of which the client offers one.
    pub application_protocols: Vec<String>,
    /// Networks of the address that it came from, as the socket says.
    pub direct_source_prefix_ranges: Vec<CidrRange>,
    /// Whether it came from this machine.
    pub source_type: SourceType,
    /// Networks of the address that it came from, after listener filters.
    pub source_prefix_ranges: Vec<CidrRange>,
    /// Ports that it came from.
    pub source_ports: Vec<u16>,
}

/// `FilterChainMatch.ConnectionSourceType`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum SourceType {
    /// Any.
    #[default]
    Any,
    /// From loopback, or from the address that it went to.
    SameIpOrLoopback,
    /// From anywhere else.
    External,
}

impl FilterChainMatch {
    /// From its proto.
    pub(super) fn from_proto(message: v3::FilterChainMatch, at: &mut Scope<'_>) -> Option<Self> {
        use v3::filter_chain_match::ConnectionSourceType as Message;
        open! { at, v3::FilterChainMatch = message;
            implemented {
                destination_port, prefix_ranges, direct_source_prefix_ranges, source_type, source_prefix_ranges,
                source_ports, server_names, transport_protocol, application_protocols,
            }
            rejected { address_suffix: UNIMPLEMENTED, suffix_len: UNIMPLEMENTED }
        }
        let port = at.within("destination_port", destination_port, 1..=65535);
        Some(FilterChainMatch {
            destination_port: port.and_then(|port| u16::try_from(port).ok()),
            prefix_ranges: at.list("prefix_ranges", prefix_ranges, CidrRange::from_proto),
            server_names: at.list("server_names", server_names, server_name),
            transport_protocol,
            application_protocols,
            direct_source_prefix_ranges: at.list(
                "direct_source_prefix_ranges",
                direct_source_prefix_ranges,
                CidrRange::from_proto,
            ),
            source_type: match at.enumeration::<Message>("source_type", source_type) {
                Message::Any => SourceType::Any,
                Message::SameIpOrLoopback => SourceType::SameIpOrLoopback,
                Message::External => SourceType::External,
            },
            source_prefix_ranges: at.list(
                "source_prefix_ranges",
                source_prefix_ranges,
                CidrRange::from_proto,
            ),
            source_ports: at.list("source_ports", source_ports, source_port),
        })
    }
}

/// A name, or a suffix in place of `*.suffix`.
fn server_name(name: String, at: &mut Scope<'_>) -> Option<String> {
    // As in Envoy nothing is made of further asterisks in a suffix.
    if let Some(suffix) = name.strip_prefix('*').filter(|suffix| suffix.starts_with('.')) {
        return Some(suffix.to_ascii_lowercase());
    }
    if name.contains('*') {
        at.error("partial wildcards are not supported in \"server_names\"");
        return None;
    }
    Some(name.to_ascii_lowercase())
}

fn source_port(port: u32, at: &mut Scope<'_>) -> Option<u16> {
    match u16::try_from(port) {
        Ok(port) if port > 0 => Some(port),
        _ => {
            at.violation("value must be inside range [1, 65535]");
            None
        }
    }
}
