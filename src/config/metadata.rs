//! Metadata: `envoy.config.core.v3.Metadata`.

use std::collections::BTreeMap;
use std::sync::Arc;

use envoy_types::pb::envoy::config::core::v3;
use envoy_types::pb::google::protobuf as pb;
use prost::{Message, Name};

use super::address::Address;
use super::extension;
use super::field::{Scope, open};
use super::messages::envoy::extensions::router::cluster_specifiers::priority_group::v3::PriorityGroupsOverride;
use super::route::GroupsOverride;
use super::transport_socket::{HostValues, host_values};

/// The typed metadata by which single hosts are told more by PROXY protocol.
const PROXY_PROTOCOL: &str = "envoy.transport_sockets.proxy_protocol";

/// The typed metadata by which hosts name the proxy that connections to them go through.
const HTTP11_PROXY: &str = "envoy.http11_proxy_transport_socket.proxy_address";

/// JSON objects by filter name (`filter_metadata`); what others attach to routes, endpoints and listeners.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metadata {
    /// `filter_metadata`
    pub filter_metadata: BTreeMap<String, serde_json::Value>,
    /// The proxy that connections to hosts go through: `typed_filter_metadata` under
    /// `envoy.http11_proxy_transport_socket.proxy_address`.
    pub http11_proxy: Option<Box<Address>>,
    /// What hosts are told by PROXY protocol beside what all are: `typed_filter_metadata` under
    /// `envoy.transport_sockets.proxy_protocol`.
    pub proxy_protocol: Option<HostValues>,
}

impl Metadata {
    /// From its proto.
    pub fn from_proto(mut message: v3::Metadata, at: &mut Scope<'_>) -> Option<Self> {
        let proxy_protocol = message.typed_filter_metadata.remove(PROXY_PROTOCOL);
        let http11_proxy = message.typed_filter_metadata.remove(HTTP11_PROXY);
        open! { at, v3::Metadata = message;
            implemented { filter_metadata }
            ignored { typed_filter_metadata: "nothing that is served reads it, but for addresses of proxies and values of PROXY protocol" }
        }
        let http11_proxy = http11_proxy.and_then(|address| {
            let mut at = at.key("typed_filter_metadata", HTTP11_PROXY);
            Address::literal_from_proto(extension::read(address, &mut at)?, &mut at).map(Box::new)
        });
        let proxy_protocol = proxy_protocol.and_then(|config| {
            let mut at = at.key("typed_filter_metadata", PROXY_PROTOCOL);
            host_values(extension::read(config, &mut at)?, &mut at)
        });
        let filter_metadata =
            filter_metadata.into_iter().map(|(name, value)| (name, to_object(value))).collect();
        Some(Metadata { filter_metadata, http11_proxy, proxy_protocol })
    }
}

impl Metadata {
    /// What a resource has, for many to look at; `None` where that is nothing.
    pub fn shared(message: Option<v3::Metadata>, at: &mut Scope<'_>) -> Option<Arc<Self>> {
        let metadata = at.message("metadata", message, Metadata::from_proto)?;
        (!metadata.is_empty()).then(|| Arc::new(metadata))
    }

    /// Whether nothing is said.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether a host that says this is a canary: `envoy.lb` has `canary: true`.
    pub fn is_canary(&self) -> bool {
        let of_host = self.filter_metadata.get(Labels::NAME);
        of_host.and_then(|said| said.get("canary")) == Some(&serde_json::Value::Bool(true))
    }

    /// What a path leads to: the name first, then keys of objects within each other.
    pub fn find(&self, path: &[String]) -> Option<&serde_json::Value> {
        find(&self.filter_metadata, path)
    }
}

/// Typed dynamic metadata, as far as anything that is served reads it.
#[derive(Clone, Debug, PartialEq)]
pub enum TypedMetadata {
    /// `PriorityGroupsOverride`: the groups of clusters of a request.
    Groups(Arc<GroupsOverride>),
    /// What nobody reads, but that it is there.
    Other,
}

impl TypedMetadata {
    /// What is in an `Any`. As in Envoy what cannot be read is of no type that anybody reads.
    pub fn from_any(any: &pb::Any, at: &mut Scope<'_>) -> Self {
        let is_groups = extension::type_name(&any.type_url) == PriorityGroupsOverride::full_name();
        let groups = is_groups.then(|| PriorityGroupsOverride::decode(any.value.as_slice()).ok()).flatten();
        match groups {
            Some(groups) => TypedMetadata::Groups(Arc::new(GroupsOverride::from_proto(groups, at))),
            None => TypedMetadata::Other,
        }
    }
}

/// Names with values, in the order of the names: what load balancing asks of hosts (`envoy.lb`).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Labels(Box<[(String, serde_json::Value)]>);

impl Labels {
    /// The metadata in which hosts and requests say what load balancing looks at.
    pub const NAME: &str = "envoy.lb";

    /// The fields of a struct.
    pub fn from_struct(message: pb::Struct) -> Self {
        let fields: BTreeMap<_, _> = message.fields.into_iter().collect();
        Labels(fields.into_iter().map(|(name, value)| (name, to_value(value))).collect())
    }

    /// Those that metadata has, if it has any.
    pub fn of(metadata: &Metadata) -> Option<Self> {
        let fields = metadata.filter_metadata.get(Self::NAME)?.as_object()?;
        let fields: BTreeMap<_, _> = fields.into_iter().collect();
        Some(Labels(fields.into_iter().map(|(name, value)| (name.clone(), value.clone())).collect()))
    }

    /// These, with those of `own` in place of those of the same names.
    pub fn merged(&self, own: &Labels) -> Self {
        let fields: BTreeMap<_, _> = self.iter().chain(own.iter()).collect();
        Labels(fields.into_iter().map(|(name, value)| (name.clone(), value.clone())).collect())
    }

    /// In order.
    pub fn iter(&self) -> impl Iterator<Item = (&String, &serde_json::Value)> {
        self.0.iter().map(|(name, value)| (name, value))
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// What a path leads to: the name first, then keys of objects within each other.
pub fn find<'m>(
    metadata: &'m BTreeMap<String, serde_json::Value>,
    path: &[String],
) -> Option<&'m serde_json::Value> {
    let (name, keys) = path.split_first()?;
    let whole = metadata.get(name)?;
    keys.iter().try_fold(whole, |value, key| value.as_object()?.get(key))
}

/// A `google.protobuf.Struct` as a JSON object, its keys in order.
pub fn to_object(message: pb::Struct) -> serde_json::Value {
    // In order, so that equal messages become equal values and texts: the proto's map has none.
    let fields: BTreeMap<_, _> = message.fields.into_iter().collect();
    let members = fields.into_iter().map(|(name, value)| (name, to_value(value)));
    serde_json::Value::Object(members.collect())
}

/// A `google.protobuf.Value` as JSON. Numbers that JSON does not have become null.
pub fn to_value(message: pb::Value) -> serde_json::Value {
    use pb::value::Kind;
    match message.kind {
        None | Some(Kind::NullValue(_)) => serde_json::Value::Null,
        Some(Kind::BoolValue(value)) => serde_json::Value::Bool(value),
        Some(Kind::NumberValue(value)) => number(value),
        Some(Kind::StringValue(value)) => serde_json::Value::String(value),
        Some(Kind::StructValue(value)) => to_object(value),
        Some(Kind::ListValue(list)) => list.values.into_iter().map(to_value).collect(),
    }
}

/// A JSON object as a `google.protobuf.Struct`.
pub fn to_struct(object: &serde_json::Map<String, serde_json::Value>) -> pb::Struct {
    pb::Struct { fields: object.iter().map(|(name, value)| (name.clone(), from_value(value))).collect() }
}

fn from_value(value: &serde_json::Value) -> pb::Value {
    use pb::value::Kind;
    let kind = match value {
        serde_json::Value::Null => Kind::NullValue(0),
        serde_json::Value::Bool(value) => Kind::BoolValue(*value),
        serde_json::Value::Number(value) => Kind::NumberValue(value.as_f64().unwrap_or_default()),
        serde_json::Value::String(value) => Kind::StringValue(value.clone()),
        serde_json::Value::Object(object) => Kind::StructValue(to_struct(object)),
        serde_json::Value::Array(values) => {
            Kind::ListValue(pb::ListValue { values: values.iter().map(from_value).collect() })
        }
    };
    pb::Value { kind: Some(kind) }
}

/// A number of a `google.protobuf.Value`. Whole ones have no fraction, as Envoy prints them.
pub fn number(value: f64) -> serde_json::Value {
    /// Up to here every integer has a double of its own.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if value.fract() == 0.0 && value.abs() <= EXACT {
        #[expect(clippy::cast_possible_truncation, reason = "whole and within 53 bits")]
        let whole = value as i64;
        return whole.into();
    }
    serde_json::Number::from_f64(value).map_or(serde_json::Value::Null, serde_json::Value::Number)
}
