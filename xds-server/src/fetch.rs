//! The unary call of the services of one type: what a stream would answer to a first request.

use std::sync::Arc;
use std::time::{Duration, Instant};

use envoy_types::pb::envoy::service::discovery::v3::{DiscoveryRequest, DiscoveryResponse};

use crate::hub::Hub;
use crate::sequence::Sequence;
use crate::sotw;

/// Answers from the catalog in force. There is no stream, so nothing is remembered.
pub(crate) fn respond(hub: &Hub, type_url: &str, request: &DiscoveryRequest) -> DiscoveryResponse {
    let published = hub.published().borrow().clone();
    let (id, cluster) = request.node.as_ref().map_or(("", ""), |node| (&*node.id, &*node.cluster));
    let mut sequence = Sequence::new(false, Duration::ZERO);
    sequence.serve(Arc::new(published.catalog.for_node(id, cluster)), published.generation);
    let first = DiscoveryRequest {
        type_url: type_url.to_owned(),
        resource_names: request.resource_names.clone(),
        ..Default::default()
    };
    let now = Instant::now();
    sotw::receive(&mut sequence, &first, now);
    let nothing = || DiscoveryResponse { type_url: type_url.to_owned(), ..Default::default() };
    sotw::next(&mut sequence, now).unwrap_or_else(nothing)
}
