//! How some of a cluster's hosts are spoken to: `envoy.config.cluster.v3.Cluster.TransportSocketMatch`.

use envoy_types::pb::envoy::config::cluster::v3::cluster as v3;
use envoy_types::pb::google::protobuf as pb;

use crate::config::field::{Scope, open};
use crate::config::metadata::{self, Labels, Metadata};
use crate::config::transport_socket::UpstreamSocket;

/// Where hosts and localities say what they match.
const METADATA: &str = "envoy.transport_socket_match";

/// `Cluster.TransportSocketMatch`
#[derive(Clone, Debug, PartialEq)]
pub struct SocketMatch {
    /// Under which it is counted.
    pub name: String,
    /// What a host has to say of itself; all say nothing.
    pub labels: Labels,
    /// How hosts are spoken to that do.
    pub socket: UpstreamSocket,
}

impl SocketMatch {
    pub(super) fn from_proto(message: v3::TransportSocketMatch, at: &mut Scope<'_>) -> Option<Self> {
        use v3::TransportSocketMatch;
        open! { at, TransportSocketMatch = message; implemented { name, r#match, transport_socket } }
        let name = at.required_string("name", name);
        let labels = Labels::from_struct(r#match.unwrap_or_default());
        let socket = at.required("transport_socket", transport_socket)?;
        let socket = UpstreamSocket::from_proto(Some(socket), &mut at.field("transport_socket"))?;
        Some(SocketMatch { name, labels, socket })
    }

    /// Whether a host, or its locality, says what is asked for.
    pub fn is_met(&self, metadata: Option<&Metadata>) -> bool {
        let said = metadata.and_then(|metadata| metadata.filter_metadata.get(METADATA)?.as_object());
        self.labels.iter().all(|(name, value)| said.is_some_and(|said| said.get(name) == Some(value)))
    }
}

/// What a host says that is to match these.
pub(super) fn said(message: pb::Struct) -> Metadata {
    Metadata {
        filter_metadata: [(METADATA.to_owned(), metadata::to_object(message))].into(),
        ..Metadata::default()
    }
}

/// Which of them holds for a host that says this; the locality is asked where the host says nothing of use.
pub fn find<'m>(
    matches: &'m [SocketMatch],
    host: Option<&Metadata>,
    locality: Option<&Metadata>,
) -> Option<(usize, &'m SocketMatch)> {
    let of = |said| matches.iter().enumerate().find(|(_, one)| one.is_met(said));
    of(host).or_else(|| of(locality))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn saying(value: serde_json::Value) -> Metadata {
        Metadata { filter_metadata: [(METADATA.to_owned(), value)].into(), ..Metadata::default() }
    }

    fn named(name: &str, labels: &[(&str, &str)]) -> SocketMatch {
        use envoy_types::pb::google::protobuf::{Struct, Value, value::Kind};
        let text = |text: &str| Value { kind: Some(Kind::StringValue(text.to_owned())) };
        let fields = labels.iter().map(|(name, value)| ((*name).to_owned(), text(value))).collect();
        SocketMatch {
            name: name.to_owned(),
            labels: Labels::from_struct(Struct { fields }),
            socket: UpstreamSocket::default(),
        }
    }

    #[test]
    fn what_a_host_says_goes_before_what_its_locality_says() {
        let matches = [named("one", &[("mode", "one")]), named("two", &[("mode", "two"), ("more", "yes")])];
        let check = |host, locality, expected| {
            let (host, locality) = (saying(host), saying(locality));
            let found = find(&matches, Some(&host), Some(&locality));
            assert_eq!(found.map(|(_, one)| one.name.as_str()), expected);
        };
        check(json!({"mode": "two", "more": "yes"}), json!({"mode": "one"}), Some("two"));
        check(json!({"mode": "two"}), json!({"mode": "one"}), Some("one"));
        check(json!({}), json!({"mode": "one", "further": 1}), Some("one"));
        check(json!({"mode": 1}), json!({}), None);
        assert!(find(&matches, None, None).is_none());
    }

    #[test]
    fn who_asks_for_nothing_is_met_by_all() {
        assert!(find(&[named("any", &[])], None, None).is_some());
    }
}
