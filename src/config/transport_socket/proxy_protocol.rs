//! Headers of the PROXY protocol: `envoy.config.core.v3.ProxyProtocolConfig`.

use envoy_types::pb::envoy::config::core::v3;
use v3::proxy_protocol_config::Version;
use v3::proxy_protocol_pass_through_tl_vs::PassTlVsMatchType;

use crate::config::field::{Scope, open};
use crate::config::format::SubstitutionFormat;

/// Which header a connection begins with, and what it says.
#[derive(Clone, Debug, PartialEq)]
pub struct ProxyProtocol {
    /// Its version, 1 or 2; 1 is text and knows no further values.
    pub version: u8,
    /// Which values of the client's own header are passed on.
    pub pass_through: PassThrough,
    /// Values that are added, by type; in their order.
    pub added: Box<[(u8, AddedValue)]>,
}

/// A value that is added.
#[derive(Clone, Debug, PartialEq)]
pub enum AddedValue {
    /// The same for all connections (`value`).
    Same(Box<[u8]>),
    /// What this says of the connection to the host (`format_string`). As in Envoy it is about that connection alone: the
    /// peer is the host, and nothing is known of a client or its request.
    Formatted(Box<SubstitutionFormat>),
}

/// What one host is told beside that: `envoy.config.core.v3.PerHostConfig`. Values by type, in their order; they take the
/// place of others of their types.
pub type HostValues = Box<[(u8, Box<[u8]>)]>;

/// What a host is told, from its proto.
pub(in crate::config) fn host_values(message: v3::PerHostConfig, at: &mut Scope<'_>) -> Option<HostValues> {
    open! { at, v3::PerHostConfig = message; implemented { added_tlvs } }
    let values = at.list("added_tlvs", added_tlvs, |message, at| {
        open! { at, v3::TlvEntry = message;
            implemented { r#type, value }
            ignored { format_string: "as in Envoy the values of single hosts are told as they are" }
        }
        Some((byte(r#type), value.into()))
    });
    Some(values.into())
}

/// `ProxyProtocolPassThroughTLVs`
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PassThrough {
    /// All.
    All,
    /// Those of these types; none by default.
    Only(Box<[u8]>),
}

impl PassThrough {
    /// From its proto.
    pub fn from_proto(message: v3::ProxyProtocolPassThroughTlVs, at: &mut Scope<'_>) -> Option<Self> {
        open! { at, v3::ProxyProtocolPassThroughTlVs = message; implemented { match_type, tlv_type } }
        Some(match at.enumeration("match_type", match_type) {
            PassTlVsMatchType::IncludeAll => PassThrough::All,
            PassTlVsMatchType::Include => PassThrough::Only(tlv_type.into_iter().map(byte).collect()),
        })
    }

    /// Whether any values may be passed on.
    pub fn has_any(&self) -> bool {
        !matches!(self, PassThrough::Only(kinds) if kinds.is_empty())
    }

    /// Whether values of this type are passed on.
    pub fn has(&self, kind: u8) -> bool {
        match self {
            PassThrough::All => true,
            PassThrough::Only(kinds) => kinds.contains(&kind),
        }
    }
}

impl ProxyProtocol {
    /// From its proto.
    pub(in crate::config) fn from_proto(
        message: v3::ProxyProtocolConfig,
        at: &mut Scope<'_>,
    ) -> Option<Self> {
        open! { at, v3::ProxyProtocolConfig = message;
            implemented { version, pass_through_tlvs, added_tlvs }
        }
        let version = match at.enumeration("version", version) {
            Version::V1 => 1,
            Version::V2 => 2,
        };
        let pass_through = at.message("pass_through_tlvs", pass_through_tlvs, PassThrough::from_proto);
        let added = at.list("added_tlvs", added_tlvs, added);
        Some(ProxyProtocol {
            version,
            pass_through: pass_through.unwrap_or(PassThrough::Only(Box::default())),
            added: added.into(),
        })
    }
}

fn added(message: v3::TlvEntry, at: &mut Scope<'_>) -> Option<(u8, AddedValue)> {
    open! { at, v3::TlvEntry = message; implemented { r#type, value, format_string } }
    let Some(format) = format_string else { return Some((byte(r#type), AddedValue::Same(value.into()))) };
    if !value.is_empty() {
        at.error("Invalid TLV configuration: only one of 'value' or 'format_string' may be set.");
    }
    let format = at.message("format_string", Some(format), SubstitutionFormat::from_proto)?;
    Some((byte(r#type), AddedValue::Formatted(Box::new(format))))
}

/// As in Envoy only the last byte of a type counts.
fn byte(kind: u32) -> u8 {
    kind.to_le_bytes()[0]
}
