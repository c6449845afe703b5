//! Filter state from format strings: `envoy.extensions.filters.http.set_filter_state.v3.Config`.
//!
//! What the chain says comes first, then what the levels of the route say, from the most general to the most specific.

use std::net::SocketAddr;

use envoy_types::pb::envoy::extensions::filters::common::set_filter_state::v3 as common;
use envoy_types::pb::envoy::extensions::filters::http::set_filter_state::v3;

use crate::config::extension::{Extension, PerRoute};
use crate::config::field::{Scope, open};
use crate::config::format::{BodyFormat, SubstitutionFormat};
use crate::http::dynamic_host;
use crate::http::filter::{self, Context, HttpFilter, Step, Stream};
use crate::http::router;
use crate::observability::format::{self, render_substitution};
use crate::observability::stream_info::StateObject;
use crate::upstream::HttpProxy;

use super::read;

/// Full name of the message, which chains and routes share.
const TYPE_NAME: &str = "envoy.extensions.filters.http.set_filter_state.v3.Config";

/// The factories of objects, and what they make of a text.
const FACTORIES: [(&str, Kind); 14] = [
    ("envoy.string", Kind::Text),
    ("envoy.hashable_string", Kind::HashableText),
    ("envoy.network.transport_socket.original_dst_address", Kind::Address),
    ("envoy.filters.listener.original_dst.local_ip", Kind::Address),
    ("envoy.filters.listener.original_dst.remote_ip", Kind::Address),
    ("envoy.network.ip", Kind::Ip),
    ("envoy.ratelimit.hits_addend", Kind::Number),
    ("envoy.bool", Kind::Truth),
    (dynamic_host::HOST, Kind::Text),
    (dynamic_host::PORT, Kind::Number),
    (router::SERVER_NAME, Kind::Text),
    (router::SUBJECT_ALT_NAMES, Kind::Text),
    (router::APPLICATION_PROTOCOLS, Kind::Text),
    (router::HTTP_PROXY, Kind::HttpProxy),
];

/// The filter.
pub(super) const EXTENSION: Extension = Extension {
    name: "envoy.filters.http.set_filter_state",
    type_name: TYPE_NAME,
    terminal: false,
    parse: |bytes, at| read(bytes, at, Config::from_proto),
    per_route: Some(PerRoute { type_name: TYPE_NAME, parse: |bytes, at| read(bytes, at, Config::from_proto) }),
};

/// `Config`
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Config {
    values: Vec<Value>,
    /// Look for the route again after it.
    clear_route_cache: bool,
}

/// `FilterStateValue`: an object that is made of a text.
#[derive(Clone, Debug, PartialEq)]
struct Value {
    object_key: String,
    format: SubstitutionFormat,
    kind: Kind,
    /// An empty text makes no object.
    skip_if_empty: bool,
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

impl Config {
    fn from_proto(message: v3::Config, at: &mut Scope<'_>) -> Option<Self> {
        open! { at, v3::Config = message; implemented { on_request_headers, clear_route_cache } }
        if on_request_headers.is_empty() {
            at.field("on_request_headers").violation("value must contain at least 1 item(s)");
        }
        let values = at.list("on_request_headers", on_request_headers, Value::from_proto);
        Some(Config { values, clear_route_cache })
    }

    fn apply(&self, stream: &mut Stream<'_>) {
        for value in &self.values {
            let mut text = Vec::new();
            let context = format::Context::new(stream.info, stream.request, stream.response);
            render_substitution(&value.format, &context, &mut text);
            if !(text.is_empty() && value.skip_if_empty)
                && let Some(object) = value.kind.make(&text)
            {
                stream.info.notes_mut().set_state(&value.object_key, object);
            }
        }
        if self.clear_route_cache {
            stream.info.notes_mut().clear_route();
        }
    }
}

impl Value {
    fn from_proto(message: common::FilterStateValue, at: &mut Scope<'_>) -> Option<Self> {
        use common::filter_state_value::{Key, Value as Text};
        open! { at, common::FilterStateValue = message;
            implemented { key, factory_key, value, skip_if_empty }
            rejected { shared_with_upstream: "upstream connections have no filter state" }
            ignored { read_only: "an object is set anew all the same, as in Envoy" }
        }
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
        Some(Value { object_key, format, kind: *kind, skip_if_empty })
    }
}

/// What the requests of a chain share.
#[derive(Debug)]
pub(super) struct Factory {
    name: Box<str>,
    config: Config,
}

impl Factory {
    pub(super) fn new(config: &Config, context: &Context<'_>) -> Self {
        Factory { name: context.name.into(), config: config.clone() }
    }
}

impl filter::Factory for Factory {
    fn create(&self) -> super::Filter<'_> {
        super::Filter::SetFilterState(Filter(self))
    }
}

/// The filter for one request; it keeps nothing.
#[derive(Debug)]
pub(in crate::http) struct Filter<'c>(&'c Factory);

impl HttpFilter for Filter<'_> {
    fn request_headers<'a>(&'a mut self, stream: &'a mut Stream<'_>) -> Step<'a> {
        self.0.config.apply(stream);
        stream.route_configs::<Config>(&self.0.name).rev().for_each(|config| config.apply(stream));
        Step::Continue
    }
}
