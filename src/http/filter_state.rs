//! Objects of the filter state that are made of format strings:
//! `envoy.extensions.filters.common.set_filter_state.v3.FilterStateValue`. HTTP filters and network filters make them.

use std::net::SocketAddr;

use envoy_types::pb::envoy::extensions::filters::common::set_filter_state::v3 as common;

use crate::config::field::{Scope, open};
use crate::config::format::{BodyFormat, SubstitutionFormat};
use crate::observability::format::{Context, render_substitution};
use crate::observability::stream_info::{Notes, Sharing, StateObject};
use crate::upstream::{HttpProxy, transport_options};

use super::dynamic_host;

/// The cluster that a TCP proxy takes, whatever is configured.
pub(crate) const CLUSTER: &str = "envoy.tcp_proxy.cluster";

/// The factories of objects, and what they make of a text.
const FACTORIES: [(&str, Kind); 17] = [
    ("envoy.string", Kind::Text),
    ("envoy.hashable_string", Kind::HashableText),
    ("envoy.network.transport_socket.original_dst_address", Kind::Address),
    ("envoy.filters.listener.original_dst.local_ip", Kind::Address),
    ("envoy.filters.listener.original_dst.remote_ip", Kind::Address),
    ("envoy.network.ip", Kind::Ip),
    ("envoy.ratelimit.hits_addend", Kind::Number),
    ("envoy.bool", Kind::Truth),
    (CLUSTER, Kind::Text),
    ("envoy.tcp_proxy.disable_tunneling", Kind::Truth),
    ("envoy.tcp_proxy.per_connection_idle_timeout_ms", Kind::Long),
    (dynamic_host::HOST, Kind::Text),
    (dynamic_host::PORT, Kind::Number),
    (transport_options::SERVER_NAME, Kind::Text),
    (transport_options::SUBJECT_ALT_NAMES, Kind::Text),
    (transport_options::APPLICATION_PROTOCOLS, Kind::Text),
    (transport_options::HTTP_PROXY, Kind::HttpProxy),
];

/// `FilterStateValue`: an object that is made of a text.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Value {
    object_key: String,
    format: SubstitutionFormat,
    kind: Kind,
    /// An empty text makes no object.
    skip_if_empty: bool,
    /// Whether connections to hosts are told of it.
    sharing: Option<Sharing>,
}

/// What is made of a text.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Text,
    /// Hosts may be chosen by it.
    HashableText,
    /// An IP address with a port.
    Address,
    /// An IP address, which has the port 0 then.
    Ip,
    /// A number of 32 bits.
    Number,
    /// A number of 64 bits.
    Long,
    /// True or false.
    Truth,
    /// A target and the proxy that leads there.
    HttpProxy,
}

impl Kind {
    /// The object of a text; `None` where that is not written like one.
    fn make(self, text: &[u8]) -> Option<StateObject> {
        Some(match self {
            Kind::Text => StateObject::Text(text.into()),
            Kind::HashableText => StateObject::HashableText(text.into()),
            Kind::Address => {
                let address: SocketAddr = std::str::from_utf8(text).ok()?.parse().ok()?;
                StateObject::Address(address, address.to_string().into_bytes().into())
            }
            Kind::Ip => {
                let address = SocketAddr::new(std::str::from_utf8(text).ok()?.parse().ok()?, 0);
                StateObject::Address(address, address.to_string().into_bytes().into())
            }
            Kind::Number => {
                let number: u32 = std::str::from_utf8(text).ok()?.trim().parse().ok()?;
                StateObject::Value(number.to_string().into_bytes().into())
            }
            Kind::Long => {
                let number: u64 = std::str::from_utf8(text).ok()?.trim().parse().ok()?;
                StateObject::Value(number.to_string().into_bytes().into())
            }
            Kind::Truth => {
                let word = text.to_ascii_lowercase();
                let truth = match &*word {
                    b"true" | b"t" | b"yes" | b"y" | b"1" => "true",
                    b"false" | b"f" | b"no" | b"n" | b"0" => "false",
                    _ => return None,
                };
                StateObject::Value(truth.as_bytes().into())
            }
            Kind::HttpProxy => {
                HttpProxy::parse(std::str::from_utf8(text).ok()?)?;
                StateObject::Text(text.into())
            }
        })
    }
}

impl Value {
    /// From its proto.
    pub(crate) fn from_proto(message: common::FilterStateValue, at: &mut Scope<'_>) -> Option<Self> {
        use common::filter_state_value::{Key, SharedWithUpstream, Value as Text};
        open! { at, common::FilterStateValue = message;
            implemented { key, factory_key, value, skip_if_empty, shared_with_upstream }
            ignored { read_only: "an object is set anew all the same, as in Envoy" }
        }
        let sharing: SharedWithUpstream = at.enumeration("shared_with_upstream", shared_with_upstream);
        let Key::ObjectKey(object_key) = at.required("key", key)?;
        let object_key = at.required_string("object_key", object_key);
        let factory = if factory_key.is_empty() { &object_key } else { &factory_key };
        let known = FACTORIES.iter().find(|(name, _)| name == factory);
        let Some((_, kind)) = known else {
            let served = FACTORIES.map(|(name, _)| name).join(", ");
            at.unsupported(format!("'{factory}' does not have an object factory; served are {served}"));
            return None;
        };
        let Text::FormatString(format) = at.required("value", value)?;
        let format = BodyFormat::from_proto(format, &mut at.field("format_string"))?.format;
        let sharing = match sharing {
            SharedWithUpstream::None => None,
            SharedWithUpstream::Once => Some(Sharing::Once),
            SharedWithUpstream::Transitive => Some(Sharing::Transitive),
        };
        Some(Value { object_key, format, kind: *kind, skip_if_empty, sharing })
    }

    /// Notes its object, and whether connections to hosts are told of it.
    pub(crate) fn set(&self, object: StateObject, notes: &mut Notes) {
        notes.set_state(&self.object_key, object);
        if let Some(sharing) = self.sharing {
            notes.share_state(&self.object_key, sharing);
        }
    }

    /// The object; `None` where there is to be none.
    pub(crate) fn object(&self, context: &Context<'_>) -> Option<StateObject> {
        let mut text = Vec::new();
        render_substitution(&self.format, context, &mut text);
        if text.is_empty() && self.skip_if_empty {
            return None;
        }
        self.kind.make(&text)
    }
}
