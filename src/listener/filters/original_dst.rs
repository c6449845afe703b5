//! `envoy.filters.listener.original_dst`: where a connection went to before iptables, or a cluster of the process, sent it
//! here.

use std::net::SocketAddr;

use envoy_types::pb::envoy::extensions::filters::listener::original_dst::v3;

use crate::base::io::Socket;
use crate::config::extension::Extension;
use crate::config::field::{Scope, open};
use crate::observability::stream_info::{Address, Notes, StateObject};

use super::seam::{Accepted, ListenerFilter, Verdict};
use super::{Context, read};

/// Its name, and that of the dynamic metadata by which connections within the process are told where they go to.
const NAME: &str = "envoy.filters.listener.original_dst";
/// Filter state that tells where a connection within the process goes to, and where it comes from.
const LOCAL: &str = "envoy.filters.listener.original_dst.local_ip";
const REMOTE: &str = "envoy.filters.listener.original_dst.remote_ip";

/// The listener filter.
pub(super) const EXTENSION: Extension = Extension {
    name: NAME,
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
        if let Socket::Loopback(_) = connection.socket {
            restore(connection);
        } else if let Some(original) = original(connection.socket) {
            // As in Envoy it counts as restored also where it is the address that the socket has.
            connection.info.local = Address::Ip(original);
            connection.info.local_restored = true;
        }
        Verdict::Continue
    }
}

/// Takes the ends of a connection within the process to be those that it was told of.
fn restore(connection: &mut Accepted<'_>) {
    let told = connection.info.notes.borrow().as_deref().map(told);
    let (local, remote) = told.unwrap_or_default();
    if let Some(local) = local {
        connection.info.local = Address::Ip(local);
        connection.info.local_restored = true;
    }
    if let Some(remote) = remote {
        connection.info.remote = Address::Ip(remote);
    }
}

/// Where a connection goes to and comes from, as it was told.
fn told(notes: &Notes) -> (Option<SocketAddr>, Option<SocketAddr>) {
    let state = |name| match notes.state(name) {
        Some(StateObject::Address(address, _)) => Some(*address),
        _ => None,
    };
    let local = || notes.metadata_of(NAME)?.get("local")?.as_str()?.parse().ok();
    (local().or_else(|| state(LOCAL)), state(REMOTE))
}

/// `SO_ORIGINAL_DST`, or the address of a socket that iptables gave all addresses (`IP_TRANSPARENT`); `None` where the
/// connection was not redirected.
fn original(socket: &Socket) -> Option<SocketAddr> {
    let Socket::Tcp(stream) = socket else { return None };
    let socket = socket2::SockRef::from(stream);
    let local = stream.local_addr().ok()?;
    let original = match local {
        SocketAddr::V4(_) => socket.original_dst_v4(),
        SocketAddr::V6(_) => socket.original_dst_v6(),
    };
    let is_transparent = || match local {
        SocketAddr::V4(_) => socket.ip_transparent_v4().is_ok_and(|is| is),
        SocketAddr::V6(_) => socket.ip_transparent_v6().is_ok_and(|is| is),
    };
    original.ok().and_then(|original| original.as_socket()).or_else(|| is_transparent().then_some(local))
}
