//! HTTP/2 requests that never became one: what the statistics and the access log say of them.
//!
//! Their headers are not to be believed, so the log shows none.

use std::borrow::Cow;
use std::rc::Rc;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use crate::codec::h2::{Fault, Refused};
use crate::config::runtime::Draw;
use crate::observability::format;
use crate::observability::stream_info::{Protocol, ResponseFlags, StreamInfo, WireBytes};

use super::manager::Connection;

/// The answer that the codec gives to headers that are too large.
const TOO_LARGE: u16 = 431;

/// A request that the codec refused.
pub(super) fn log(connection: &Connection, refused: Refused) {
    match refused.fault {
        Fault::Field => malformed(connection, refused.wire, "http2.invalid.header.field"),
        Fault::Message => malformed(connection, refused.wire, "http2.violation.of.messaging.rule"),
        Fault::TooLarge => {
            let manager = &connection.manager;
            manager.stats.count_response(TOO_LARGE);
            manager.listener_stats.count_response(TOO_LARGE);
            note(connection, refused.wire, TOO_LARGE, ResponseFlags::DPE, "http2.headers_too_large");
        }
    }
}

fn malformed(connection: &Connection, wire: WireBytes, details: &'static str) {
    note(connection, wire, 0, ResponseFlags::DPE, details);
}

/// A request that was reset for what the configuration does not permit.
pub(super) fn log_reset(connection: &Connection, wire: WireBytes, details: &'static str) {
    note(connection, wire, 0, ResponseFlags::DR, details);
}

fn note(connection: &Connection, wire: WireBytes, status: u16, flags: ResponseFlags, details: &'static str) {
    let manager = &connection.manager;
    manager.stats.downstream_rq_total().inc();
    manager.stats.downstream_rq_http2_total().inc();
    if status == 0 {
        manager.stats.downstream_rq_rx_reset().inc();
    }
    let mut info = StreamInfo::new(Instant::now().into_std(), SystemTime::now(), Rc::clone(&connection.info));
    info.protocol = Some(Protocol::Http2);
    info.response_code = status;
    info.response_flags.insert(flags);
    info.response_code_details = Cow::Borrowed(details);
    info.downstream_wire = wire;
    info.timing.complete = Some(Duration::ZERO);
    let context = format::Context {
        log_type: format::LogType::DownstreamEnd,
        ..format::Context::without_headers(&info)
    };
    let snapshot = connection.worker.snapshot();
    let draw = Draw { random: connection.worker.random(), runtime: &snapshot.runtime };
    for log in &manager.access_log {
        log.write(&context, draw);
    }
}
