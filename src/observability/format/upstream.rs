//! What is known of a request's host, and of the connection to it.

use crate::config::format::{AddressOf, UpstreamPart};
use crate::observability::stream_info::{StreamInfo, UpstreamInfo};

use super::command::{details, list, number, optional, text};
use super::{Given, address};

pub(super) fn write(part: UpstreamPart, info: &StreamInfo, out: &mut Vec<u8>) -> Given {
    let upstream = info.upstream.as_ref();
    match part {
        UpstreamPart::Cluster => {
            let name = upstream.map(|upstream| upstream.cluster.shown());
            optional(name.filter(|name| !name.is_empty()), out)
        }
        UpstreamPart::ClusterRaw => {
            optional(upstream.map(|upstream| &*upstream.cluster.name).filter(|name| !name.is_empty()), out)
        }
        UpstreamPart::HostName { port } => match upstream {
            Some(upstream) => host(upstream, true, port, out),
            None => Given::Nothing,
        },
        UpstreamPart::HostsAttempted { names, port } => list(connected(info), out, |upstream, out| {
            host(upstream, names, port, out);
        }),
        UpstreamPart::Attempts => number(info.upstream_attempts.into(), out),
        UpstreamPart::Protocol => {
            let protocol = upstream.and_then(|upstream| upstream.protocol);
            text(protocol.map(|protocol| protocol.as_str().as_bytes()), out)
        }
        UpstreamPart::PoolReadyDuration => match upstream.and_then(|upstream| upstream.pool_ready) {
            Some(duration) => number(duration.as_millis() as u64, out),
            None => Given::Nothing,
        },
        UpstreamPart::ConnectionId => {
            number(upstream.and_then(|upstream| upstream.connection_id).unwrap_or(0), out)
        }
        UpstreamPart::ConnectionIdsAttempted => {
            list(connected(info).filter_map(|upstream| upstream.connection_id), out, |id, out| {
                number(id, out);
            })
        }
        UpstreamPart::TransportFailureReason => {
            let reason = upstream.and_then(|upstream| upstream.transport_failure_reason.as_deref());
            details(reason.unwrap_or_default(), true, out)
        }
        UpstreamPart::LocalCloseReason => {
            optional(upstream.and_then(|upstream| upstream.local_close_reason.as_deref()), out)
        }
        // Of connections that carry requests it is known only once they have closed, after the line is written.
        UpstreamPart::DetectedCloseType => {
            let is_told = upstream.is_some() || info.ending.is_some();
            let ending = info.ending.as_deref().copied().unwrap_or_default();
            optional(is_told.then(|| ending.upstream_close.as_str()), out)
        }
    }
}

/// The host to which there was a connection, or datagrams went. As in Envoy those of attempts before are not told.
fn connected(info: &StreamInfo) -> impl Iterator<Item = &UpstreamInfo> {
    info.upstream.iter().filter(|upstream| upstream.is_connected())
}

fn host(upstream: &UpstreamInfo, name: bool, port: bool, out: &mut Vec<u8>) -> Given {
    if name && !upstream.hostname.is_empty() {
        let name = match upstream.hostname.rsplit_once(':') {
            Some((name, _)) if !port => name,
            _ => &upstream.hostname,
        };
        return optional(Some(name), out);
    }
    let of = if port { AddressOf::Whole } else { address::WITHOUT_PORT };
    match &upstream.host {
        Some(host) => address::write(of, host, out),
        None => Given::Nothing,
    }
}
