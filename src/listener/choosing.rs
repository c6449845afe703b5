//! Which filter chain a connection takes: by the criteria of the chains, or by the listener's tree.

use std::sync::Arc;

use crate::base::headers::Headers;
use crate::config::listener::{ChainMatcher, Matched, Traits};
use crate::config::match_tree::{Noted, Peers, Subject};
use crate::http::Worker;
use crate::observability::stream_info::ConnectionInfo;

use super::connection::Found;
use super::ends::socket_address;
use super::filter_chain::FilterChain;
use super::manager::Listener;

/// The filter chain of a connection.
pub(super) fn choose<'l>(
    listener: &'l Listener,
    info: &ConnectionInfo,
    found: &Found,
    worker: &Worker,
) -> Option<&'l Arc<FilterChain>> {
    let traits = Traits {
        local: socket_address(&info.local),
        remote: socket_address(&info.remote),
        direct_remote: socket_address(&info.direct_remote),
        server_name: &info.requested_server_name,
        // What nobody has found to be anything else is this, as in Envoy.
        transport_protocol: match found.transport_protocol {
            "" => "raw_buffer",
            found => found,
        },
        application_protocols: &found.application_protocols,
    };
    match &listener.config.chain_matcher {
        None => listener.filter_chain(&traits),
        Some(matcher) => listener.matched(matched(matcher, &traits, info, worker)),
    }
}

/// Where the tree of a listener leads to.
fn matched(matcher: &ChainMatcher, traits: &Traits<'_>, info: &ConnectionInfo, worker: &Worker) -> Matched {
    let (headers, snapshot, notes) = (Headers::new(), worker.snapshot(), info.notes.borrow());
    let peers = Peers {
        source: traits.remote,
        connection_source: traits.remote,
        direct_source: traits.direct_remote,
        destination: traits.local,
        server_name: traits.server_name,
        transport_protocol: traits.transport_protocol,
        application_protocols: traits.application_protocols,
        is_tls: false,
        is_validated: false,
        certificate: None,
    };
    let notes = notes.as_deref().map(|notes| notes as &dyn Noted);
    matcher.find(&Subject { peers, notes, ..Subject::of_headers(&headers, &snapshot.runtime) })
}
