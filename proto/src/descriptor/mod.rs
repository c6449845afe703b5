//! The descriptors of Envoy's API, parsed one message at a time when first asked for.
//!
//! `proto/descriptors.bin` (700 KB) is part of the program. The first look-up scans it once and remembers
//! where each top-level symbol lies; a message is parsed when it is first used and kept for the life of the
//! process. Both are constant data, so sharing them between all proxies of a process is harmless. Decoding
//! all of it into a reflection pool would take 50 ms and 18 MB.

mod cache;
mod enumeration;
mod field;
mod index;
mod parse;
pub(crate) mod rules;
mod service;

use std::{collections::HashMap, sync::OnceLock};

use cache::Cache;
pub use enumeration::{Enum, EnumValue};
pub use field::Field;
use rules::MessageRules;
pub use service::{Method, Service};

pub use crate::kind::Kind;

/// Finds a message by its full name, such as `envoy.config.cluster.v3.Cluster`.
pub fn message(full_name: &str) -> Option<&'static Message> {
    static CACHE: Cache<Message> = Cache::new();
    CACHE.find(full_name, || parse::message(index::find(full_name, index::Kind::Message)?, full_name))
}

/// Finds the message that an `Any` with this type URL holds.
///
/// Only what follows the last slash counts, as in Envoy: the host part is free.
pub fn message_of_url(type_url: &str) -> Option<&'static Message> {
    message(name_of_url(type_url)?)
}

/// The message name in a type URL; `None` when there is no slash or nothing behind it.
pub fn name_of_url(type_url: &str) -> Option<&str> {
    let (_, name) = type_url.rsplit_once('/')?;
    (!name.is_empty()).then_some(name)
}

/// Finds an enum by its full name, such as `envoy.config.cluster.v3.Cluster.LbPolicy`.
pub fn enumeration(full_name: &str) -> Option<&'static Enum> {
    static CACHE: Cache<Enum> = Cache::new();
    CACHE.find(full_name, || parse::enumeration(index::find(full_name, index::Kind::Enum)?, full_name))
}

/// Finds a gRPC service by its full name, such as
/// `envoy.service.discovery.v3.AggregatedDiscoveryService`.
pub fn service(full_name: &str) -> Option<&'static Service> {
    static CACHE: Cache<Service> = Cache::new();
    CACHE.find(full_name, || parse::service(index::find(full_name, index::Kind::Service)?, full_name))
}

/// The full names of all messages that are not nested in another, in no order.
pub fn message_names() -> impl Iterator<Item = String> {
    index::messages()
}

/// A message type.
#[derive(Debug)]
pub struct Message {
    full_name: &'static str,
    fields: Vec<Field>,
    by_number: Vec<u16>,
    by_name: HashMap<&'static str, u16>,
    oneofs: Vec<Oneof>,
    is_map_entry: bool,
    options: &'static [u8],
    rules: OnceLock<MessageRules>,
}

impl Message {
    /// The full name, such as `envoy.config.cluster.v3.Cluster`.
    pub fn full_name(&self) -> &'static str {
        self.full_name
    }

    /// The name without the package, such as `Cluster`.
    pub fn name(&self) -> &'static str {
        self.full_name.rsplit('.').next().unwrap_or(self.full_name)
    }

    /// All fields in the order of their declaration.
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// The field with this number.
    pub fn field(&self, number: u32) -> Option<&Field> {
        self.fields.get(usize::from(self.index_of(number)?))
    }

    /// The place in [`Message::fields`] of the field with this number.
    #[inline]
    pub(crate) fn index_of(&self, number: u32) -> Option<u16> {
        match self.by_number.get(number as usize) {
            Some(&NONE) => None,
            Some(&index) => Some(index),
            None => {
                (0..).zip(&self.fields).find(|(_, field)| field.number() == number).map(|(index, _)| index)
            }
        }
    }

    /// The constraints on the fields, read when first asked for.
    pub(crate) fn rules(&'static self) -> &'static MessageRules {
        self.rules.get_or_init(|| MessageRules::of(self))
    }

    /// The field with this name, in snake case as declared or in JSON's camel case.
    pub fn field_named(&self, name: &str) -> Option<&Field> {
        self.by_name.get(name).and_then(|&index| self.fields.get(usize::from(index)))
    }

    /// The oneofs as declared; those that stand for an `optional` field are left out of [`Field::oneof`].
    pub fn oneofs(&self) -> &[Oneof] {
        &self.oneofs
    }

    /// Whether this is the hidden entry type of a `map` field: key 1, value 2.
    pub fn is_map_entry(&self) -> bool {
        self.is_map_entry
    }

    /// The raw `google.protobuf.MessageOptions`.
    pub fn options(&self) -> &'static [u8] {
        self.options
    }
}

/// A number below [`DENSE`] without a field.
const NONE: u16 = u16::MAX;
/// Field numbers below this are found by index; higher ones (there are hardly any) by search.
const DENSE: usize = 128;

/// A oneof of a message.
#[derive(Debug)]
pub struct Oneof {
    name: &'static str,
    options: &'static [u8],
}

impl Oneof {
    /// The name as declared, such as `discovery_type`.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The raw `google.protobuf.OneofOptions`.
    pub fn options(&self) -> &'static [u8] {
        self.options
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_found_with_its_fields() {
        let cluster = message("envoy.config.cluster.v3.Cluster").expect("part of the API");
        assert_eq!(cluster.name(), "Cluster");
        let timeout = cluster.field_named("connectTimeout").expect("a field");
        assert_eq!((timeout.name(), timeout.number(), timeout.kind()), ("connect_timeout", 4, Kind::Message));
        assert_eq!(timeout.message().map(Message::full_name), Some("google.protobuf.Duration"));
        assert!(cluster.field(4).is_some_and(|field| std::ptr::eq(field, timeout)));
        let lb_policy = cluster.field_named("lb_policy").and_then(Field::enumeration).expect("an enum");
        assert_eq!(lb_policy.value_named("round_robin").map(|value| value.number), Some(0));
        let discovery = cluster.field_named("type").and_then(Field::oneof).expect("in a oneof");
        assert_eq!(cluster.oneofs()[discovery].name(), "cluster_discovery_type");
    }

    #[test]
    fn maps_and_repeated_fields_are_told_apart() {
        let metadata = message("envoy.config.core.v3.Metadata").expect("part of the API");
        let map = metadata.field_named("filter_metadata").expect("a field");
        assert!(map.is_map() && map.is_repeated());
        let listener = message("envoy.config.listener.v3.Listener").expect("part of the API");
        let chains = listener.field_named("filter_chains").expect("a field");
        assert!(!chains.is_map() && chains.is_repeated());
    }

    #[test]
    fn deprecated_and_sensitive_fields_are_marked() {
        let cluster = message("envoy.config.cluster.v3.Cluster").expect("part of the API");
        assert!(cluster.field_named("respect_dns_ttl").is_some_and(Field::is_deprecated));
        let secret =
            message("envoy.extensions.transport_sockets.tls.v3.TlsCertificate").expect("part of the API");
        assert!(secret.field_named("private_key").is_some_and(Field::is_sensitive));
        assert!(!secret.field_named("certificate_chain").is_some_and(Field::is_sensitive));
    }

    #[test]
    fn every_message_and_field_type_resolves() {
        let mut count = 0;
        for name in message_names() {
            count += 1;
            resolve_all(message(&name).expect("listed"), &mut Vec::new());
        }
        assert!(count > 1000, "{count} messages");
        assert!(message_names().all(|name| name.len() < 256));
    }

    fn resolve_all(message: &'static Message, above: &mut Vec<&'static str>) {
        if above.contains(&message.full_name()) || above.len() > 4 {
            return;
        }
        above.push(message.full_name());
        for field in message.fields() {
            match field.kind() {
                Kind::Message => resolve_all(field.message().expect("resolves"), above),
                Kind::Enum => assert!(field.enumeration().is_some(), "{}", field.name()),
                _ => {}
            }
        }
        above.pop();
    }

    #[test]
    fn unknown_names_are_none() {
        for name in
            ["", ".", "envoy", "envoy.config.cluster.v3.Nothing", "envoy.config.cluster.v3.Cluster.", "a..b"]
        {
            assert!(message(name).is_none(), "{name}");
        }
        assert!(message(&"a.".repeat(1_000_000)).is_none());
        assert!(message("envoy.config.cluster.v3.Cluster.LbPolicy").is_none());
        assert!(enumeration("envoy.config.cluster.v3.Cluster").is_none());
    }

    #[test]
    fn services_list_their_methods() {
        let ads = service("envoy.service.discovery.v3.AggregatedDiscoveryService").expect("part of the API");
        let stream = ads.methods().iter().find(|method| method.name == "StreamAggregatedResources");
        let stream = stream.expect("a method");
        assert!(stream.client_streaming && stream.server_streaming);
        assert_eq!(stream.input, "envoy.service.discovery.v3.DiscoveryRequest");
    }
}
