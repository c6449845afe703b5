//! How a cluster's hosts are spoken to: `transport_socket`, and what takes its place for some of them.

use envoy_types::pb::envoy::config::cluster::v3::cluster as v3;
use envoy_types::pb::envoy::config::core::v3 as core;
use envoy_types::pb::xds::r#type::matcher::v3::Matcher;

use super::{SocketMatch, SocketMatcher};
use crate::config::field::Scope;
use crate::config::transport_socket::UpstreamSocket;

/// How hosts are spoken to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TransportSockets {
    /// All but those below: `transport_socket`.
    pub default: UpstreamSocket,
    /// How those are that say so of themselves; the first that fits counts: `transport_socket_matches`.
    pub matches: Box<[SocketMatch]>,
    /// What chooses among those instead: `transport_socket_matcher`.
    pub matcher: Option<Box<SocketMatcher>>,
}

impl TransportSockets {
    /// Each of them.
    pub fn all(&self) -> impl Iterator<Item = &UpstreamSocket> {
        std::iter::once(&self.default).chain(self.matches.iter().map(|one| &one.socket))
    }

    /// Whether TLS is not spoken to all hosts.
    pub(super) fn has_plain(&self) -> bool {
        self.default.tls.is_none() || self.matches.iter().any(|one| one.socket.tls.is_none())
    }

    /// Notes hosts of the cluster of this name with which no protocol can be agreed on.
    pub(super) fn check_alpn(&self, name: &str, at: &mut Scope<'_>) {
        if self.default.tls.is_none() {
            at.error(format!("ALPN configured for cluster {name} which has a non-ALPN transport socket"));
        }
        if self.matches.iter().any(|one| one.socket.tls.is_none()) {
            at.error(format!(
                "ALPN configured for cluster {name} which has a non-ALPN transport socket matcher"
            ));
        }
    }
}

/// The fields as they came.
pub(super) struct Given {
    pub(super) transport_socket: Option<core::TransportSocket>,
    pub(super) transport_socket_matches: Vec<v3::TransportSocketMatch>,
    pub(super) transport_socket_matcher: Option<Matcher>,
}

impl Given {
    pub(super) fn read(self, at: &mut Scope<'_>) -> Option<TransportSockets> {
        let default = UpstreamSocket::from_proto(self.transport_socket, &mut at.field("transport_socket"));
        let matches =
            at.list("transport_socket_matches", self.transport_socket_matches, SocketMatch::from_proto);
        let matcher = at.message("transport_socket_matcher", self.transport_socket_matcher, |message, at| {
            SocketMatcher::from_proto(message, &matches, at).map(Box::new)
        });
        Some(TransportSockets { default: default?, matches: matches.into(), matcher })
    }
}
