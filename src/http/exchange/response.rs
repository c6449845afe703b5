//! The head of a response, and the formats that its headers are made from.

use crate::base::headers::{Headers, Known};
use crate::config::format::Format;
use crate::http::downstream::Downstream;
use crate::http::worker::HeaderPair;
use crate::http::{drain, egress};
use crate::observability::format;
use crate::observability::stream_info::{Protocol, StreamInfo};

use super::Exchange;

impl<D: Downstream> Exchange<'_, D> {
    /// What formats can tell of this exchange.
    pub(super) fn context<'a>(
        info: &'a StreamInfo,
        request: &'a Headers,
        response: &'a Headers,
    ) -> format::Context<'a> {
        format::Context {
            info,
            request,
            response,
            response_trailers: no_headers(),
            local_reply_body: &[],
            log_type: format::LogType::NotSet,
        }
    }

    /// Renders a format with what is known of this exchange.
    pub(in crate::http) fn render(
        info: &StreamInfo,
        request: &Headers,
        response: &Headers,
        format: &Format,
        out: &mut Vec<u8>,
    ) {
        let context = Self::context(info, request, response);
        format::render(format, &context, format::Absent::Omit, out);
    }

    /// Sends the head of a response and whatever was queued before it.
    pub(in crate::http) fn start_response(&mut self, status: u16, end: bool, upgraded: bool) {
        let options = &self.connection.manager.options;
        let HeaderPair { request, response } = &mut *self.headers;
        egress::finish(response, request, options, &self.connection.worker.date, upgraded);
        let draining = self.connection.drain.stage() != drain::Stage::Serving;
        if !D::MULTIPLEXED && !upgraded {
            if draining && !self.close {
                self.connection.manager.stats.downstream_cx_drain_close().inc();
            }
            // A client that is not done, or waits for another protocol, cannot send the next request.
            self.close |= draining || self.upgrade || !self.down.request_is_complete();
            let old = self.info.protocol == Some(Protocol::Http10);
            self.close |= old && !response.contains(Known::ContentLength);
            if self.close {
                response.set(Known::Connection, b"close");
            } else if old {
                response.set(Known::Connection, b"keep-alive");
            }
        }
        self.response_started = true;
        self.info.response_code = status;
        self.info.timing.downstream_tx_start = Some(self.started.elapsed());
        if upgraded {
            self.down.send_upgrade(response, status);
        } else {
            self.down.send_headers(response, status, end);
        }
    }
}

/// The headers of what is not there.
fn no_headers() -> &'static Headers {
    static NONE: std::sync::OnceLock<Headers> = std::sync::OnceLock::new();
    NONE.get_or_init(Headers::new)
}
