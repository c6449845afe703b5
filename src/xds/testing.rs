//! Messages for tests. A resource is a cluster; its timeout tells its content.

use std::collections::BTreeSet;

use envoy_types::pb::envoy::config::cluster::v3::Cluster;
use envoy_types::pb::envoy::service::discovery::v3::{
    DeltaDiscoveryResponse, DiscoveryResponse, Resource as Wrapper,
};
use envoy_types::pb::google::protobuf::{Any, Duration};
use prost::Message;

use super::message::type_url::CLUSTER;
use super::message::{Interest, Response};

/// A cluster of this name, with something in it.
pub(super) fn any(name: &str, content: u32) -> Any {
    let cluster = Cluster {
        name: name.to_owned(),
        connect_timeout: Some(Duration { seconds: content.into(), nanos: 0 }),
        ..Cluster::default()
    };
    Any { type_url: CLUSTER.to_owned(), value: cluster.encode_to_vec() }
}

/// The same with a version of its own; its content is the version's number.
pub(super) fn wrapped(name: &str, version: &str) -> Wrapper {
    Wrapper {
        name: name.to_owned(),
        version: version.to_owned(),
        resource: Some(any(name, version.parse().unwrap_or(0))),
        ..Wrapper::default()
    }
}

/// A heartbeat: a name without a body.
pub(super) fn heartbeat(name: &str, seconds: i64) -> Wrapper {
    Wrapper { name: name.to_owned(), ttl: Some(Duration { seconds, nanos: 0 }), ..Wrapper::default() }
}

/// A wrapper where a state-of-the-world response carries it.
pub(super) fn in_any(wrapper: &Wrapper) -> Any {
    let type_url = "type.googleapis.com/envoy.service.discovery.v3.Resource".to_owned();
    Any { type_url, value: wrapper.encode_to_vec() }
}

/// A response with clusters.
pub(super) fn sotw(version: &str, nonce: &str, resources: Vec<Any>) -> DiscoveryResponse {
    DiscoveryResponse {
        version_info: version.to_owned(),
        nonce: nonce.to_owned(),
        type_url: CLUSTER.to_owned(),
        resources,
        ..DiscoveryResponse::default()
    }
}

/// An incremental response with clusters.
pub(super) fn delta(nonce: &str, resources: Vec<Wrapper>, removed: &[&str]) -> DeltaDiscoveryResponse {
    DeltaDiscoveryResponse {
        nonce: nonce.to_owned(),
        type_url: CLUSTER.to_owned(),
        resources,
        removed_resources: removed.iter().map(|name| (*name).to_owned()).collect(),
        ..DeltaDiscoveryResponse::default()
    }
}

/// A set of names.
pub(super) fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// An interest in names.
pub(super) fn names(names: &[&str]) -> Interest {
    Interest::Names(set(names))
}

/// The names of a response's resources.
pub(super) fn resource_names(response: &Response) -> Vec<&str> {
    response.resources.iter().map(|resource| &resource.name[..]).collect()
}
