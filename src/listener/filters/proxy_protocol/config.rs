//! The configuration: `envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol`.

use envoy_types::pb::envoy::config::core::v3::proxy_protocol_config::Version as VersionMessage;
use envoy_types::pb::envoy::extensions::filters::listener::proxy_protocol::v3;

use crate::config::field::{Scope, open};
use crate::config::transport_socket::PassThrough;
use crate::transport::proxy_protocol::Version;

use super::NAME;

/// The filter as configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::listener::filters) struct Config {
    /// What of a header is noted.
    pub(super) rules: Vec<Rule>,
    /// Where that is noted.
    pub(super) tlv_location: TlvLocation,
    /// Whether connections without a header are served.
    pub(super) allow_without: bool,
    /// The versions that are refused.
    pub(super) disallowed: Vec<Version>,
    /// What follows `proxy_proto.` in the names of statistics; empty for nothing.
    pub(super) stat_prefix: String,
    /// What of a header may be passed on to hosts.
    pub(super) pass_through: PassThrough,
}

/// `ProxyProtocol.TlvLocation`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TlvLocation {
    /// In dynamic metadata.
    DynamicMetadata,
    /// In one object of the filter state.
    FilterState,
}

/// `ProxyProtocol.Rule`
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rule {
    /// The type of the entries.
    pub(super) kind: u8,
    /// The name of the dynamic metadata.
    pub(super) namespace: String,
    /// The key there.
    pub(super) key: String,
    /// How the value is noted.
    pub(super) encoding: Encoding,
}

/// `ProxyProtocol.KeyValuePair.ValueStringEncoding`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    /// As text, in which what is no UTF-8 is replaced.
    Text,
    /// Base64.
    Base64,
}

impl Config {
    pub(super) fn from_proto(message: v3::ProxyProtocol, at: &mut Scope<'_>) -> Option<Self> {
        open! { at, v3::ProxyProtocol = message;
            implemented {
                rules, allow_requests_without_proxy_protocol, disallowed_versions, stat_prefix, pass_through_tlvs,
                tlv_location,
            }
        }
        let mut disallowed = Vec::new();
        for version in disallowed_versions {
            disallowed.push(match at.enumeration("disallowed_versions", version) {
                VersionMessage::V1 => Version::V1,
                VersionMessage::V2 => Version::V2,
            });
        }
        Some(Config {
            rules: at.list("rules", rules, rule),
            tlv_location: match at.enumeration("tlv_location", tlv_location) {
                v3::proxy_protocol::TlvLocation::DynamicMetadata => TlvLocation::DynamicMetadata,
                v3::proxy_protocol::TlvLocation::FilterState => TlvLocation::FilterState,
            },
            allow_without: allow_requests_without_proxy_protocol,
            disallowed,
            stat_prefix,
            pass_through: at
                .message("pass_through_tlvs", pass_through_tlvs, PassThrough::from_proto)
                .unwrap_or(PassThrough::Only(Box::default())),
        })
    }
}

fn rule(message: v3::proxy_protocol::Rule, at: &mut Scope<'_>) -> Option<Rule> {
    use v3::proxy_protocol::key_value_pair::ValueStringEncoding;
    use v3::proxy_protocol::{KeyValuePair, Rule as Message};
    open! { at, Message = message; implemented { tlv_type, on_tlv_present } }
    let Ok(kind) = u8::try_from(tlv_type) else {
        at.field("tlv_type").violation("value must be less than 256");
        return None;
    };
    // Without a place there is nothing to note.
    let pair = on_tlv_present?;
    let mut at = at.field("on_tlv_present");
    open! { at, KeyValuePair = pair; implemented { metadata_namespace, key, value_string_encoding } }
    let encoding = match at.enumeration("value_string_encoding", value_string_encoding) {
        ValueStringEncoding::Unspecified | ValueStringEncoding::SanitizedUtf8 => Encoding::Text,
        ValueStringEncoding::Base64 => Encoding::Base64,
    };
    let namespace = if metadata_namespace.is_empty() { NAME.to_owned() } else { metadata_namespace };
    Some(Rule { kind, namespace, key: at.required_string("key", key), encoding })
}
