//! What filters note of a request, for filters behind them, routes and access logs.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;

use serde_json::{Map, Value};

use crate::config::match_tree::Noted;
use crate::config::metadata::{self, TypedMetadata};
use crate::config::original_src::OriginalSrc;
use crate::config::route::GroupsOverride;

use super::{Address, Fields};

/// The filter state that says where the name leads to that a connection or a request is for.
pub const UPSTREAM_ADDRESS: &str = "envoy.stream.upstream_address";

/// Dynamic metadata and filter state.
#[derive(Clone, Debug, Default)]
pub struct Notes {
    metadata: BTreeMap<String, Value>,
    typed: BTreeMap<String, TypedMetadata>,
    /// Values of headers of the PROXY protocol as they came, by the name of metadata and their key there.
    proxied: BTreeMap<String, BTreeMap<String, Box<[u8]>>>,
    state: BTreeMap<String, StateObject>,
    /// Objects of the state that connections to hosts are told of.
    shared: BTreeMap<String, Sharing>,
    route_cleared: bool,
    source: Option<UpstreamSource>,
}

/// Where connections to hosts come from, as the filters `original_src` have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct UpstreamSource {
    /// The address, which need not be one of this machine; the system chooses the port.
    pub address: IpAddr,
    /// `SO_MARK` of their packets.
    pub mark: Option<NonZeroU32>,
}

impl UpstreamSource {
    /// That of this client, as the filters are told; `None` for one without an address of IP.
    pub fn of(client: &Address, config: OriginalSrc) -> Option<Self> {
        match client {
            Address::Ip(client) => Some(UpstreamSource { address: client.ip(), mark: config.mark }),
            Address::Pipe(_) | Address::Internal { .. } => None,
        }
    }
}

/// How far an object of the filter state goes with connections to hosts: `SharedWithUpstream`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sharing {
    /// To the listener within the process that a connection goes to.
    Once,
    /// To it, and from there to all others.
    Transitive,
}

/// An object of the filter state.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum StateObject {
    /// `envoy.string`: any bytes.
    Text(Box<[u8]>),
    /// `envoy.hashable_string`: any bytes, by which a host may be chosen.
    HashableText(Box<[u8]>),
    /// `envoy.ratelimit.hits_addend`, `envoy.bool` and their like: a number or a truth, as it is written.
    Value(Box<[u8]>),
    /// `envoy.network.transport_socket.original_dst_address`: where a request goes, and how that was written.
    Address(SocketAddr, Box<[u8]>),
    /// A message.
    Message {
        /// As JSON.
        json: Box<[u8]>,
        /// As the text that it has; empty where it has none.
        text: Box<[u8]>,
    },
    /// `envoy.stream.upstream_address`: where a name leads to. It is shown nowhere.
    Upstream(SocketAddr),
    /// `envoy.network.proxy_protocol.tlv`: fields, and as a text all of them as JSON.
    Fields(Box<Fields>),
}

impl StateObject {
    /// Whether connections that are told of it are told apart by it.
    pub fn is_hashable(&self) -> bool {
        matches!(self, StateObject::HashableText(_) | StateObject::Address(..))
    }

    /// As a text.
    pub fn text(&self) -> &[u8] {
        match self {
            StateObject::Text(text)
            | StateObject::HashableText(text)
            | StateObject::Value(text)
            | StateObject::Address(_, text)
            | StateObject::Message { text, .. } => text,
            StateObject::Upstream(_) => b"",
            StateObject::Fields(fields) => fields.json(),
        }
    }

    /// The field of this name; `None` where it has none.
    pub fn field(&self, name: &str) -> Option<&str> {
        match self {
            StateObject::Fields(fields) => fields.get(name),
            _ => None,
        }
    }
}

impl Notes {
    /// What requests know of it that was noted of their connection: the filter state, and where connections to hosts come
    /// from. `None` where there is neither.
    pub fn inherited(&self) -> Option<Box<Notes>> {
        self.concerns_hosts().then(|| {
            let (state, shared) = (self.state.clone(), self.shared.clone());
            Box::new(Notes { state, shared, source: self.source, ..Notes::default() })
        })
    }

    /// Whether connections to hosts may depend on it.
    pub fn concerns_hosts(&self) -> bool {
        self.has_state() || self.source.is_some()
    }

    /// Lets connections to hosts come from this address.
    pub fn set_upstream_source(&mut self, source: UpstreamSource) {
        self.source = Some(source);
    }

    /// Where connections to hosts come from; `None` where nothing is said.
    pub fn upstream_source(&self) -> Option<UpstreamSource> {
        self.source
    }

    /// What a path leads to in the dynamic metadata: the name first, then keys of objects within each other.
    pub fn metadata(&self, path: &[String]) -> Option<&Value> {
        metadata::find(&self.metadata, path)
    }

    /// The dynamic metadata of this name.
    pub fn metadata_of(&self, name: &str) -> Option<&Map<String, Value>> {
        self.metadata.get(name)?.as_object()
    }

    /// All dynamic metadata, by name.
    pub fn all_metadata(&self) -> &BTreeMap<String, Value> {
        &self.metadata
    }

    /// Whether there is dynamic metadata of this name.
    pub fn has_metadata(&self, name: &str) -> bool {
        self.metadata.contains_key(name)
    }

    /// Sets keys of the dynamic metadata of this name; others stay.
    pub fn set_metadata(&mut self, name: &str, fields: Map<String, Value>) {
        let own = self.metadata.entry(name.to_owned()).or_insert_with(|| Value::Object(Map::new()));
        if let Value::Object(own) = own {
            own.extend(fields);
        }
    }

    /// Puts `fields` into the dynamic metadata of this name: lists grow, objects merge, all else is replaced.
    pub fn merge_metadata(&mut self, name: &str, fields: &Value) {
        let own = self.metadata.entry(name.to_owned()).or_insert_with(|| Value::Object(Map::new()));
        merge(own, fields);
    }

    /// Whether there is typed dynamic metadata of this name.
    pub fn has_typed_metadata(&self, name: &str) -> bool {
        self.typed.contains_key(name)
    }

    /// Sets the typed dynamic metadata of this name, in the place of what it was.
    pub fn set_typed_metadata(&mut self, name: &str, message: TypedMetadata) {
        self.typed.insert(name.to_owned(), message);
    }

    /// Notes a value of a header of the PROXY protocol as it came.
    pub fn set_proxied(&mut self, name: &str, key: &str, value: &[u8]) {
        self.proxied.entry(name.to_owned()).or_default().insert(key.to_owned(), value.into());
    }

    /// The values of such a header by their keys that were noted under this name of metadata.
    pub fn proxied_of(&self, name: &str) -> Option<&BTreeMap<String, Box<[u8]>>> {
        self.proxied.get(name)
    }

    /// Has the route looked for again before it is followed: what was noted may lead to another.
    pub fn clear_route(&mut self) {
        self.route_cleared = true;
    }

    /// Whether that is so; told once.
    pub fn take_route_cleared(&mut self) -> bool {
        std::mem::take(&mut self.route_cleared)
    }

    /// Whether there is any filter state.
    pub fn has_state(&self) -> bool {
        !self.state.is_empty()
    }

    /// The object of this name.
    pub fn state(&self, name: &str) -> Option<&StateObject> {
        self.state.get(name)
    }

    /// Sets an object, in the place of one that has its name.
    pub fn set_state(&mut self, name: &str, object: StateObject) {
        self.state.insert(name.to_owned(), object);
        self.shared.remove(name);
    }

    /// Has connections to hosts be told of the object of this name.
    pub fn share_state(&mut self, name: &str, sharing: Sharing) {
        self.shared.insert(name.to_owned(), sharing);
    }

    /// The objects that connections to hosts are told of, in the order of their names.
    pub fn shared_state(&self) -> impl Iterator<Item = (&str, &StateObject, Sharing)> {
        self.shared
            .iter()
            .filter_map(|(name, sharing)| Some((name.as_str(), self.state.get(name)?, *sharing)))
    }
}

impl Noted for Notes {
    fn metadata(&self, path: &[String]) -> Option<&Value> {
        self.metadata(path)
    }

    fn typed_metadata(&self, name: &str) -> Option<Option<&GroupsOverride>> {
        match self.typed.get(name)? {
            TypedMetadata::Groups(groups) => Some(Some(groups)),
            TypedMetadata::Other => Some(None),
        }
    }

    fn state(&self, name: &str) -> Option<&[u8]> {
        self.state(name).map(StateObject::text)
    }

    fn upstream_address(&self) -> Option<SocketAddr> {
        match self.state(UPSTREAM_ADDRESS)? {
            StateObject::Upstream(address) => Some(*address),
            _ => None,
        }
    }

    fn state_field(&self, name: &str, field: &str) -> Option<&str> {
        self.state(name)?.field(field)
    }
}

fn merge(into: &mut Value, from: &Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                match into.get_mut(key) {
                    Some(own) => merge(own, value),
                    None => {
                        into.insert(key.clone(), value.clone());
                    }
                }
            }
        }
        (Value::Array(into), Value::Array(from)) => into.extend(from.iter().cloned()),
        (into, from) => *into = from.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn path(keys: &[&str]) -> Vec<String> {
        keys.iter().map(|key| (*key).to_owned()).collect()
    }

    #[test]
    fn metadata_merges_deep_and_is_set_by_key() {
        let mut notes = Notes::default();
        notes.merge_metadata("a", &json!({"t": 1, "l": [1], "o": {"x": 1, "y": [2]}}));
        notes.merge_metadata("a", &json!({"t": "b", "l": [3], "o": {"y": 4, "z": 5}}));
        assert_eq!(notes.metadata(&path(&["a", "o", "y"])), Some(&json!(4)));
        assert_eq!(notes.metadata(&path(&["a", "l"])), Some(&json!([1, 3])));
        let Value::Object(fields) = json!({"o": {"n": 1}}) else { panic!("an object") };
        notes.set_metadata("a", fields);
        assert_eq!(notes.metadata(&path(&["a"])), Some(&json!({"t": "b", "l": [1, 3], "o": {"n": 1}})));
        assert_eq!(notes.metadata(&path(&["a", "t", "x"])), None);
        assert_eq!(notes.metadata(&[]), None);
    }
}
