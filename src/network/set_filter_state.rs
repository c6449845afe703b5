//! `envoy.filters.network.set_filter_state`: filter state of connections from format strings.

use std::rc::Rc;
use std::sync::Arc;

use envoy_types::pb::envoy::extensions::filters::network::set_filter_state::v3;

use crate::config::extension::Extension;
use crate::config::field::{Scope, open};
use crate::http::filter_state::Value;
use crate::observability::format;
use crate::observability::stream_info::StreamInfo;

use super::filter::{self, Filter, Guest, Made, Step, Watches};
use super::read;

/// The network filter.
pub(super) const EXTENSION: Extension = Extension {
    name: "envoy.filters.network.set_filter_state",
    type_name: "envoy.extensions.filters.network.set_filter_state.v3.Config",
    terminal: false,
    parse: |bytes, at| read(bytes, at, Config::from_proto),
    per_route: None,
};

/// `envoy.extensions.filters.network.set_filter_state.v3.Config`
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Config {
    /// Set when the connection is accepted.
    on_new_connection: Vec<Value>,
    /// Set when TLS is spoken, or where it is not, when the connection is accepted.
    on_downstream_tls_handshake: Vec<Value>,
    /// Set when the client has sent something.
    on_downstream_data: Vec<Value>,
}

impl Config {
    #[expect(clippy::unnecessary_wraps, reason = "what reads a message may refuse it")]
    fn from_proto(message: v3::Config, at: &mut Scope<'_>) -> Option<Self> {
        open! { at, v3::Config = message;
            implemented { on_new_connection, on_downstream_tls_handshake, on_downstream_data }
        }
        Some(Config {
            on_new_connection: at.list("on_new_connection", on_new_connection, Value::from_proto),
            on_downstream_tls_handshake: at.list(
                "on_downstream_tls_handshake",
                on_downstream_tls_handshake,
                Value::from_proto,
            ),
            on_downstream_data: at.list("on_downstream_data", on_downstream_data, Value::from_proto),
        })
    }
}

#[expect(clippy::unnecessary_wraps, reason = "other filters cannot always be made")]
pub(super) fn make(config: &Config, _: &filter::Context<'_>) -> Result<Made, String> {
    Ok(Made::Filter(Arc::new(config.clone())))
}

/// Sets the values, each of which sees those before it.
fn set(values: &[Value], guest: &Guest) {
    for value in values {
        let stream = StreamInfo::of_connection(Rc::clone(&guest.info));
        if let Some(object) = value.object(&format::Context::without_headers(&stream)) {
            guest.info.note(|notes| value.set(object, notes));
        }
    }
}

impl Filter for Config {
    fn accepted(&self, guest: &Rc<Guest>) -> Step {
        set(&self.on_new_connection, guest);
        if !guest.info.encrypted {
            set(&self.on_downstream_tls_handshake, guest);
        }
        Step::Pass
    }

    fn greeted(&self, guest: &Guest) {
        set(&self.on_downstream_tls_handshake, guest);
    }

    fn watches(&self) -> Watches {
        if self.on_downstream_data.is_empty() { Watches::Nothing } else { Watches::First }
    }

    fn data(&self, guest: &Rc<Guest>) -> Step {
        set(&self.on_downstream_data, guest);
        Step::Pass
    }
}
