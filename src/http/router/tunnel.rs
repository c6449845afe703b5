//! Bytes both ways, once an upgrade or a CONNECT was agreed to.

use std::task::{Context, Poll};

use tokio::time::Instant;

use crate::base::headers::Known;
use crate::codec::{Pump, PumpError, StreamError};
use crate::http::downstream::Downstream;
use crate::http::exchange::{Exchange, Failure, client_gone};
use crate::http::local_reply::{LocalReply, broken_response};
use crate::http::upstream::{Carrier, Upstream};
use crate::observability::format::LogType;
use crate::observability::stream_info::ResponseFlags;
use crate::upstream::outlier::Report;
use crate::upstream::pool::HostPool;

use super::passive;

/// A tunnel's two ways.
struct Ways {
    up: Pump,
    down: Pump,
}

impl<D: Downstream> Exchange<'_, D> {
    /// Passes bytes both ways, until one side ends. The stream of a CONNECT ends well when the host ends it; a client
    /// of HTTP/2 may end its own half before.
    pub(super) async fn tunnel(
        &mut self,
        pool: &HostPool,
        upstream: &mut Upstream<'_>,
    ) -> Result<(), Failure> {
        if self.connection.manager.options.access_log_moments.on_tunnel_established {
            self.log(LogType::DownstreamTunnelSuccessfullyEstablished);
        }
        self.deadlines.tunnel_begun();
        let mut ways = Ways {
            up: Pump::new(pool.cluster.config.buffer.limit_bytes),
            down: Pump::new(self.connection.manager.buffer_limit_bytes),
        };
        let passed = self
            .until(|this, cx| {
                let before = (ways.up.bytes, ways.down.bytes);
                let polled = this.poll_tunnel(&mut ways, pool, upstream, cx);
                if before != (ways.up.bytes, ways.down.bytes) {
                    this.deadlines.touch(Instant::now());
                }
                polled
            })
            .await;
        self.request_pump = ways.up;
        self.info.bytes_sent = ways.down.bytes;
        let passed = passed.unwrap_or_else(|interrupt| Err(self.interrupted(interrupt)));
        if let Err(Failure::Abort(flags, _)) = &passed
            && flags.intersects(ResponseFlags::UC | ResponseFlags::UR | ResponseFlags::UPE)
        {
            // What the host said goes out before the client is told that it is gone.
            let timeout = self.connection.manager.options.timeouts.stream_flush_timeout;
            self.deadlines.flush_begun(Instant::now(), timeout);
            self.until(|this, cx| this.down.poll_framed(cx)).await.unwrap_or_default();
        }
        passed
    }

    /// Whether the request asks for a WebSocket.
    pub(super) fn asks_websocket(&self) -> bool {
        self.headers.request.get(Known::Upgrade).is_some_and(|kind| kind.eq_ignore_ascii_case(b"websocket"))
    }

    /// The answer to a WebSocket handshake that the host neither accepted nor refused: its headers without a body.
    pub(super) fn handshake_failed(&mut self, status: u16) -> LocalReply {
        let mut headers = std::mem::take(&mut self.headers.response);
        headers.remove(Known::Status);
        LocalReply {
            headers: Some(Box::new(headers)),
            ..LocalReply::new(status, "", "websocket_handshake_unsuccessful")
        }
    }

    fn poll_tunnel(
        &mut self,
        ways: &mut Ways,
        pool: &HostPool,
        upstream: &mut Upstream<'_>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Failure>> {
        let sent = ways.up.poll(self.down, &mut upstream.carrier, cx);
        let received = ways.down.poll(&mut upstream.carrier, self.down, cx);
        match (sent, received) {
            (Poll::Ready(Err(PumpError::Source(error))), _) if self.connect || D::MULTIPLEXED => {
                Poll::Ready(Err(self.bad_request(error)))
            }
            // A connection of HTTP/1.1 has no other end than that it breaks.
            (_, Poll::Ready(Ok(()))) if !matches!(upstream.carrier, Carrier::Http1(_)) => Poll::Ready(Ok(())),
            (_, Poll::Ready(Err(error))) if self.connect || matches!(upstream.carrier, Carrier::Http2(_)) => {
                Poll::Ready(Err(self.response_failure(error, pool, upstream)))
            }
            (Poll::Ready(Ok(())), Poll::Pending) if D::MULTIPLEXED => Poll::Pending,
            (Poll::Ready(_), _) => Poll::Ready(Err(client_gone())),
            (_, Poll::Ready(_)) => {
                passive::report(&self.connection.worker, pool, || Report::Failed);
                Poll::Ready(Err(host_gone()))
            }
            (Poll::Pending, Poll::Pending) => Poll::Pending,
        }
    }
}

/// The host ended a tunnel.
fn host_gone() -> Failure {
    let (flags, details) = broken_response(StreamError::Closed);
    Failure::Abort(flags, details)
}
