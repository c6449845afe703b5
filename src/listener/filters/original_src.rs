//! `envoy.filters.listener.original_src`: hosts see the client's address, as if it had connected to them itself.
//!
//! Connections to hosts are bound to it, which takes `CAP_NET_ADMIN`, and routes by which what the hosts send comes back
//! here. Clients of other addresses share none of them.

use envoy_types::pb::envoy::extensions::filters::listener::original_src::v3;

use crate::config::extension::Extension;
use crate::config::field::{Scope, open};
use crate::observability::stream_info::UpstreamSource;

use super::seam::{Accepted, ListenerFilter, Verdict};
use super::{Context, read};

pub(super) use crate::config::original_src::OriginalSrc as Config;

/// The listener filter.
pub(super) const EXTENSION: Extension = Extension {
    name: "envoy.filters.listener.original_src",
    type_name: "envoy.extensions.filters.listener.original_src.v3.OriginalSrc",
    terminal: false,
    parse: |bytes, at| read(bytes, at, from_proto),
    per_route: None,
};

#[expect(clippy::unnecessary_wraps, reason = "what reads a message may refuse it")]
fn from_proto(message: v3::OriginalSrc, at: &mut Scope<'_>) -> Option<Config> {
    open! { at, v3::OriginalSrc = message;
        implemented { mark }
        ignored { bind_port: "the system chooses the port, whatever is said, as with Envoy" }
    }
    Some(Config::new(mark))
}

pub(super) fn make(config: &Config, _: &Context<'_>) -> Box<dyn ListenerFilter> {
    Box::new(*config)
}

impl ListenerFilter for Config {
    fn accepted(&self, connection: &mut Accepted<'_>) -> Verdict {
        // Who comes through a Unix socket has no address.
        if let Some(source) = UpstreamSource::of(&connection.info.remote, *self) {
            connection.info.notes_mut().set_upstream_source(source);
        }
        Verdict::Continue
    }
}
