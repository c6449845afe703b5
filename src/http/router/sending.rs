//! The request on its way to its host.

use std::task::{Context, Poll};

use tokio::time::Instant;

use crate::codec::h2::Sink;
use crate::codec::{MessageStream, Pump, PumpError};
use crate::config::route::RouteAction;
use crate::http::downstream::Downstream;
use crate::http::exchange::{Exchange, Failure};
use crate::http::local_reply::LocalReply;
use crate::http::upstream::{Carrier, Upstream};
use crate::route::mutation::Levels;
use crate::upstream::pool::HostPool;
use crate::upstream::proxy_protocol::{self, Proxied};

impl<D: Downstream> Exchange<'_, D> {
    /// Sends the head of the request, and begins with its body.
    pub(super) fn send_request(&mut self, pool: &HostPool, upstream: &mut Upstream<'_>) {
        let read = self.down.request_is_complete() && !self.asks_tunnel();
        let bodiless =
            read && self.request_is_bodiless() && !upstream.holds_request() && !self.down.holds_metadata();
        upstream.carrier.send_headers(&self.headers.request, bodiless, self.upgrade);
        self.join_metadata(pool, &upstream.carrier);
        let now = Instant::now();
        self.info.timing.upstream_tx_start = Some(now - self.started);
        self.deadlines.stream_begun(now, pool.cluster.config.http.max_stream_duration);
        if bodiless {
            self.request_pump = Pump::ended();
            self.info.timing.upstream_tx_end = self.info.timing.upstream_tx_start;
        } else {
            self.request_pump = Pump::new(pool.cluster.config.buffer.limit_bytes);
        }
        if read || self.upgrade {
            self.deadlines.attempt_begun(now, self.timeouts);
        }
    }

    /// Tells the host whose stream it is that becomes a connection, where the route says so.
    pub(super) fn tell_client(&self, action: &RouteAction, carrier: &mut Carrier) {
        let version = action.connect_config.and_then(|config| config.proxy_protocol);
        if let (Some(version), Carrier::Tcp(lease)) = (version, carrier) {
            let tells = self.connection.manager.options.tells_hosts_of_clients;
            let client = Proxied::of(&self.connection.info).filter(|_| tells);
            lease.send_data(proxy_protocol::of_stream(version, client.as_ref()).into());
        }
    }

    /// Lets METADATA pass between the client's stream and that of the host, each way where the end it comes from allows it.
    fn join_metadata(&self, pool: &HostPool, carrier: &Carrier) {
        let (down, up) = (self.down.metadata(), carrier.metadata());
        if let Some(down) = &down {
            down.lead_to(match (&up, carrier) {
                (Some(up), _) => Sink::Port(up.clone()),
                (None, Carrier::Http1(_)) => Sink::Http1(pool.cluster.codec_stats.http1().clone()),
                (None, Carrier::Http2(_) | Carrier::Tcp(_)) => Sink::Nowhere,
            });
        }
        if let Some(up) = up {
            up.lead_to(match down {
                Some(down) => Sink::Port(down),
                None if D::MULTIPLEXED => Sink::Nowhere,
                None => Sink::Http1(self.connection.manager.codec_stats.http1().clone()),
            });
        }
    }

    /// The request was read to its end: from here on the response's time runs.
    pub(in crate::http) fn request_read(&mut self) {
        let now = Instant::now();
        self.deadlines.request_complete(now, self.timeouts);
        self.info.timing.downstream_rx_end.get_or_insert(now - self.started);
    }

    /// The request was sent to its end.
    fn request_sent(&mut self, read_before: bool) {
        if !read_before {
            self.request_read();
            self.deadlines.attempt_begun(Instant::now(), self.timeouts);
        }
        self.info.timing.upstream_tx_end = Some(self.started.elapsed());
    }

    /// Whether a CONNECT is refused as its client sends what is to pass before the answer.
    pub(super) fn check_early(&mut self, cx: &mut Context<'_>) -> Result<(), Failure> {
        let wanted = self.connect && self.router.reject_connect_request_early_data;
        if wanted && let Poll::Ready(bytes) = self.down.poll_early(cx) {
            self.request_pump.bytes += bytes as u64;
            return Err(LocalReply::new(400, "", "early_connect_data").into());
        }
        Ok(())
    }

    /// Moves the request. An upstream that does not take it any more may have answered already, so that is no
    /// failure here.
    pub(super) fn poll_request(
        &mut self,
        pool: &HostPool,
        upstream: &mut Upstream<'_>,
        levels: Levels<'_>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Failure>> {
        if self.asks_tunnel() {
            self.check_early(cx)?;
            // Until the upgrade is answered, what the client sends waits: it may turn out to be a request.
            return match MessageStream::poll_flush(&mut upstream.carrier, cx) {
                Poll::Ready(_) => Poll::Ready(Ok(())),
                Poll::Pending => Poll::Pending,
            };
        }
        let before = (self.request_pump.bytes, self.request_pump.is_ended());
        let read_before = self.info.timing.downstream_rx_end.is_some();
        let polled = self.pump_request(upstream, levels, cx);
        if before != (self.request_pump.bytes, self.request_pump.is_ended()) {
            self.deadlines.touch(Instant::now());
            self.note_excess(pool);
            if self.request_pump.is_ended() {
                self.request_sent(read_before);
            }
        }
        match polled {
            Poll::Ready(Err(PumpError::Source(error))) => Poll::Ready(Err(self.bad_request(error))),
            Poll::Ready(Err(PumpError::Sink(_)) | Ok(())) => Poll::Ready(Ok(())),
            Poll::Pending => Poll::Pending,
        }
    }
}
