//! `envoy.filters.listener.original_dst`: where a connection went to before iptables sent it here.

use std::net::SocketAddr;

use envoy_types::pb::envoy::extensions::filters::listener::original_dst::v3;

use crate::base::io::Socket;
use crate::config::extension::Extension;
use crate::config::field::{Scope, open};
use crate::observability::stream_info::Address;

use super::seam::{Accepted, ListenerFilter, Verdict};
use super::{Context, read};

/// The listener filter.
pub(super) const EXTENSION: Extension = Extension {
    name: "envoy.filters.listener.original_dst",
    type_name: "envoy.extensions.filters.listener.original_dst.v3.OriginalDst",
    terminal: false,
    parse: |bytes, at| read(bytes, at, Config::from_proto),
    per_route: None,
};

/// `envoy.extensions.filters.listener.original_dst.v3.OriginalDst`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Config;

impl Config {
    #[expect(clippy::unnecessary_wraps, reason = "what reads a message may refuse it")]
    fn from_proto(message: v3::OriginalDst, at: &mut Scope<'_>) -> Option<Self> {
        open! { at, v3::OriginalDst = message; implemented {} }
        Some(Config)
    }
}

pub(super) fn make(_: &Config, _: &Context<'_>) -> Box<dyn ListenerFilter> {
    Box::new(Config)
}

impl ListenerFilter for Config {
    fn accepted(&self, connection: &mut Accepted<'_>) -> Verdict {
        if let Some(original) = original(connection.socket) {
            // As in Envoy it counts as restored also where it is the address that the socket has.
            connection.info.local = Address::Ip(original);
            connection.info.local_restored = true;
        }
        Verdict::Continue
    }
}

/// `SO_ORIGINAL_DST`; `None` where the connection was not redirected.
fn original(socket: &Socket) -> Option<SocketAddr> {
    let Socket::Tcp(stream) = socket else { return None };
    let socket = socket2::SockRef::from(stream);
    let original = match stream.local_addr().ok()? {
        SocketAddr::V4(_) => socket.original_dst_v4(),
        SocketAddr::V6(_) => socket.original_dst_v6(),
    };
    original.ok()?.as_socket()
}
