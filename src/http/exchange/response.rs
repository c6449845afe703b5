//! The head of a response.

use crate::base::headers::Known;
use crate::http::downstream::Downstream;
use crate::http::egress;
use crate::http::proxy_status;
use crate::http::tracing;
use crate::http::worker::HeaderPair;
use crate::observability::stream_info::Protocol;

use super::Exchange;

impl<D: Downstream> Exchange<'_, D> {
    /// Sends the head of a response that the filters have seen, and whatever was queued before it.
    pub(in crate::http) fn start_response(&mut self, status: u16, end: bool, upgraded: bool) {
        if !self.request_is_over() {
            self.connection.manager.stats.downstream_rq_response_before_rq_complete().inc();
        }
        let options = &self.connection.manager.options;
        let HeaderPair { request, response } = &mut *self.headers;
        egress::finish(response, request, options, &self.connection.worker.date, upgraded);
        let told = options.proxy_status.as_ref().and_then(|config| {
            proxy_status::tell(response, &self.info, config, &self.connection.manager.proxy_name)
        });
        let status = told.unwrap_or(status);
        let worker = &self.connection.worker;
        let draining = self.connection.drain.ends_connection(|| worker.random());
        if draining {
            self.connection.ending.set(true);
        }
        if !D::MULTIPLEXED && !upgraded {
            if draining && !self.close {
                self.connection.manager.stats.downstream_cx_drain_close().inc();
            }
            // A client that is not done, or waits for another protocol, cannot send the next request.
            self.close |= draining || self.upgrade || !self.down.request_is_complete();
            let old = self.info.protocol == Some(Protocol::Http10);
            self.close |= old && !response.contains(Known::ContentLength);
            // As in Envoy, which takes it for the answer to a tunnel.
            let tunnels = self.connect && status == 200;
            if self.close {
                if !tunnels {
                    response.set(Known::Connection, b"close");
                }
            } else if old {
                response.set(Known::Connection, b"keep-alive");
            }
        }
        // As in Envoy it stands behind what is said of the connection.
        tracing::decorate_response(self.trace.as_deref_mut(), self.connection, response);
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
