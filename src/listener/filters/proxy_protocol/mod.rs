//! `envoy.filters.listener.proxy_protocol`: takes the header off in which a proxy before this one says whom it speaks for.
//!
//! [`proxy_protocol`] reads it; `config`: how the filter is configured.

mod config;

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::config::extension::Extension;
use crate::observability::stats::listener::{
    ProxyProtocolErrorStats, ProxyProtocolStats, ProxyProtocolVersionStats,
};
use crate::observability::stream_info::{Address, Fields, Notes, StateObject};
use crate::transport::proxy_protocol::{self, Header, NoHeader, Version};

use super::seam::{Accepted, ListenerFilter, Verdict};
use super::{Context, read};

pub(super) use config::Config;
use config::{Encoding, Rule, TlvLocation};

/// Where what is found is noted if nothing else is said.
const NAME: &str = "envoy.filters.listener.proxy_protocol";

/// The filter state where it is noted if that is said.
const STATE: &str = "envoy.network.proxy_protocol.tlv";

/// The listener filter.
pub(super) const EXTENSION: Extension = Extension {
    name: NAME,
    type_name: "envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol",
    terminal: false,
    parse: |bytes, at| read(bytes, at, Config::from_proto),
    per_route: None,
};

pub(super) fn make(config: &Config, context: &Context<'_>) -> Box<dyn ListenerFilter> {
    let prefix = match config.stat_prefix.as_str() {
        "" => "proxy_proto.".to_owned(),
        name => format!("proxy_proto.{name}."),
    };
    let of_version =
        |name: &str| ProxyProtocolVersionStats::new(context.registry, &format!("{prefix}versions.{name}."));
    Box::new(ProxyProtocol {
        config: config.clone(),
        errors: ProxyProtocolErrorStats::new(context.registry, ""),
        stats: ProxyProtocolStats::new(context.registry, &prefix),
        v1: of_version("v1"),
        v2: of_version("v2"),
    })
}

#[derive(Debug)]
struct ProxyProtocol {
    config: Config,
    errors: ProxyProtocolErrorStats,
    /// `proxy_proto.`
    stats: ProxyProtocolStats,
    v1: ProxyProtocolVersionStats,
    v2: ProxyProtocolVersionStats,
}

impl ListenerFilter for ProxyProtocol {
    fn accepted(&self, _: &mut Accepted<'_>) -> Verdict {
        Verdict::More
    }

    fn max_bytes(&self) -> usize {
        proxy_protocol::MAX_BYTES
    }

    fn data(&self, bytes: &[u8], connection: &mut Accepted<'_>) -> Verdict {
        match proxy_protocol::parse(bytes) {
            Ok(header) => self.take(header, connection),
            Err(NoHeader::Incomplete) => Verdict::More,
            Err(NoHeader::Absent) if self.config.allow_without => {
                self.stats.not_found_allowed().inc();
                Verdict::Continue
            }
            Err(NoHeader::Absent) => {
                self.stats.not_found_disallowed().inc();
                self.errors.downstream_cx_proxy_proto_error().inc();
                Verdict::Close
            }
            Err(NoHeader::Malformed(version)) => {
                self.of(version).error().inc();
                self.errors.downstream_cx_proxy_proto_error().inc();
                Verdict::Close
            }
        }
    }
}

/// A text in which each byte that is no UTF-8 is replaced, as in Envoy.
fn sanitized(value: &[u8]) -> String {
    let chunks = value.utf8_chunks();
    chunks.flat_map(|chunk| [chunk.valid().to_owned(), "!".repeat(chunk.invalid().len())]).collect()
}

/// Notes an entry in dynamic metadata. As in Envoy the first of several is noted as a text, and the last as it came.
fn note(rule: &Rule, text: String, value: &[u8], notes: &mut Notes) {
    let known = notes.proxied_of(&rule.namespace);
    if known.is_none_or(|known| !known.contains_key(&rule.key)) {
        let fields = [(rule.key.clone(), Value::String(text))].into_iter().collect();
        notes.set_metadata(&rule.namespace, fields);
    }
    notes.set_proxied(&rule.namespace, &rule.key, value);
}

impl ProxyProtocol {
    fn of(&self, version: Version) -> &ProxyProtocolVersionStats {
        match version {
            Version::V1 => &self.v1,
            Version::V2 => &self.v2,
        }
    }

    fn take(&self, header: Header<'_>, connection: &mut Accepted<'_>) -> Verdict {
        let stats = self.of(header.version);
        stats.found().inc();
        if self.config.disallowed.contains(&header.version) {
            stats.disallowed().inc();
            return Verdict::Close;
        }
        if let Some((source, destination)) = header.addresses {
            connection.info.remote = Address::Ip(source);
            connection.info.local_restored |= connection.info.local != Address::Ip(destination);
            connection.info.local = Address::Ip(destination);
        }
        let (mut passed, mut fields) = (Vec::new(), BTreeMap::new());
        for (kind, value) in header.entries() {
            if self.config.pass_through.has(kind) {
                passed.push((kind, value.into()));
            }
            // As in Envoy the last rule for a type is followed.
            if let Some(rule) = self.config.rules.iter().rfind(|rule| rule.kind == kind) {
                let text = match rule.encoding {
                    Encoding::Text => sanitized(value),
                    Encoding::Base64 => STANDARD.encode(value),
                };
                match self.config.tlv_location {
                    TlvLocation::DynamicMetadata => note(rule, text, value, connection.info.notes_mut()),
                    TlvLocation::FilterState => drop(fields.insert(rule.key.clone(), text)),
                }
            }
        }
        if !fields.is_empty() {
            let fields = StateObject::Fields(Box::new(Fields::new(fields)));
            connection.info.notes_mut().set_state(STATE, fields);
        }
        connection.info.proxied_values = Some(passed.into());
        Verdict::Take(header.length)
    }
}
