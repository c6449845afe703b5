//! What is known of the connection that a request came over.

use crate::config::format::DownstreamPart;
use crate::observability::stream_info::{Fingerprints, StreamInfo};

use super::Given;
use super::command::{details, number, optional};

pub(super) fn write(part: DownstreamPart, info: &StreamInfo, out: &mut Vec<u8>) -> Given {
    let connection = &info.connection;
    let ending = || info.ending.as_deref().copied().unwrap_or_default();
    match part {
        DownstreamPart::ConnectionId => number(connection.id, out),
        DownstreamPart::TerminationDetails => optional(connection.termination_details(), out),
        DownstreamPart::TransportFailureReason => {
            details(connection.transport_failure_reason.get().map_or("", String::as_str), true, out)
        }
        DownstreamPart::DetectedCloseType => optional(Some(ending().downstream_close.as_str()), out),
        DownstreamPart::LocalCloseReason => optional(ending().downstream_local_close_reason, out),
        DownstreamPart::ListenerName => optional(connection.listener_name.as_deref(), out),
        DownstreamPart::FilterChainName => optional(connection.filter_chain_name.as_deref(), out),
        DownstreamPart::Ja3Fingerprint => {
            optional(fingerprints(info).and_then(|fingerprints| fingerprints.ja3.as_deref()), out)
        }
        DownstreamPart::Ja4Fingerprint => {
            optional(fingerprints(info).and_then(|fingerprints| fingerprints.ja4.as_deref()), out)
        }
    }
}

fn fingerprints(info: &StreamInfo) -> Option<&Fingerprints> {
    info.connection.fingerprints.as_deref()
}
