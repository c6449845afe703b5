//! `HttpConnectionManager.HcmAccessLogOptions`, and the older fields that it replaces.

use std::time::Duration;

use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::http_connection_manager as v3;
use envoy_types::pb::google::protobuf as pb;

use crate::config::field::{Scope, open};

/// The shortest time between two lines of a request.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(1);

/// When requests are logged beside their end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AccessLogMoments {
    /// Each time that so long is over; `None` never.
    pub flush_interval: Option<Duration>,
    /// Once the head of a request has come and its route is known.
    pub on_new_request: bool,
    /// Once a tunnel has begun: an upgrade or a CONNECT.
    pub on_tunnel_established: bool,
}

impl AccessLogMoments {
    pub(super) fn from_proto(message: v3::HcmAccessLogOptions, at: &mut Scope<'_>) -> Option<Self> {
        open! { at, v3::HcmAccessLogOptions = message;
            implemented {
                access_log_flush_interval, flush_access_log_on_new_request,
                flush_log_on_tunnel_successfully_established,
            }
        }
        Some(AccessLogMoments {
            flush_interval: interval(access_log_flush_interval, at),
            on_new_request: flush_access_log_on_new_request,
            on_tunnel_established: flush_log_on_tunnel_successfully_established,
        })
    }
}

/// The fields of the connection manager as they came: the message, and older ones that it replaces.
pub(super) struct Given {
    pub(super) access_log_options: Option<v3::HcmAccessLogOptions>,
    pub(super) access_log_flush_interval: Option<pb::Duration>,
    pub(super) flush_access_log_on_new_request: bool,
}

impl Given {
    pub(super) fn read(self, at: &mut Scope<'_>) -> AccessLogMoments {
        let has_older = self.flush_access_log_on_new_request || self.access_log_flush_interval.is_some();
        if has_older && self.access_log_options.is_some() {
            at.error("Only one of access_log_options or the deprecated access log fields can be specified.");
        }
        let older = AccessLogMoments {
            flush_interval: interval(self.access_log_flush_interval, at),
            on_new_request: self.flush_access_log_on_new_request,
            on_tunnel_established: false,
        };
        at.message("access_log_options", self.access_log_options, AccessLogMoments::from_proto)
            .unwrap_or(older)
    }
}

fn interval(value: Option<pb::Duration>, at: &mut Scope<'_>) -> Option<Duration> {
    let interval = at.duration("access_log_flush_interval", value)?;
    if interval < SHORTEST_INTERVAL {
        at.field("access_log_flush_interval").violation("value must be greater than or equal to 1ms");
        return None;
    }
    Some(interval)
}
