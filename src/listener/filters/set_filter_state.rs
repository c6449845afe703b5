//! `envoy.filters.listener.set_filter_state`: filter state of connections from format strings, before their filter chains
//! are chosen.

use std::rc::Rc;

use envoy_types::pb::envoy::extensions::filters::listener::set_filter_state::v3;

use crate::config::extension::Extension;
use crate::config::field::{Scope, open};
use crate::http::filter_state::Value;
use crate::observability::format;
use crate::observability::stream_info::{Address, ConnectionInfo, StreamInfo};

use super::seam::{Accepted, ListenerFilter, Verdict};
use super::{Context, read};

/// The listener filter.
pub(super) const EXTENSION: Extension = Extension {
    name: "envoy.filters.listener.set_filter_state",
    type_name: "envoy.extensions.filters.listener.set_filter_state.v3.Config",
    terminal: false,
    parse: |bytes, at| read(bytes, at, Config::from_proto),
    per_route: None,
};

/// `envoy.extensions.filters.listener.set_filter_state.v3.Config`
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Config {
    /// Set when a connection is accepted.
    on_accept: Vec<Value>,
}

impl Config {
    #[expect(clippy::unnecessary_wraps, reason = "what reads a message may refuse it")]
    fn from_proto(message: v3::Config, at: &mut Scope<'_>) -> Option<Self> {
        open! { at, v3::Config = message; implemented { on_accept } }
        Some(Config { on_accept: at.list("on_accept", on_accept, Value::from_proto) })
    }
}

pub(super) fn make(config: &Config, _: &Context<'_>) -> Box<dyn ListenerFilter> {
    Box::new(config.clone())
}

impl ListenerFilter for Config {
    fn accepted(&self, connection: &mut Accepted<'_>) -> Verdict {
        // Formats look at connections that are shared; this one is for as long as they do.
        let nobody = || ConnectionInfo::new(0, Address::internal_client(), Address::internal_client());
        let info = Rc::new(std::mem::replace(connection.info, nobody()));
        for value in &self.on_accept {
            let stream = StreamInfo::of_connection(Rc::clone(&info));
            if let Some(object) = value.object(&format::Context::without_headers(&stream)) {
                info.note(|notes| value.set(object, notes));
            }
        }
        if let Some(info) = Rc::into_inner(info) {
            *connection.info = info;
        }
        Verdict::Continue
    }
}
