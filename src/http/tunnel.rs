//! A stream of HTTP to a host that carries the bytes of a connection, or datagrams: what proxies tunnel through.

use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use serde_json::json;

use crate::base::headers::{Headers, Known};
use crate::codec::h1::client::ResponseHead;
use crate::codec::{Frame, MessageStream, StreamError};
use crate::config::cluster::UpstreamProtocol;
use crate::observability::stream_info::WireBytes;
use crate::upstream::circuit_breaker::Guard;
use crate::upstream::pool::{AcquireError, Carries, Established, HostPool};

use super::router::{InProgress, acquire, idle};
use super::upstream::Carrier;

/// A frame that resets a stream (RFC 9113 §4.1, §6.4).
const RESET_BYTES: u64 = 9 + 4;

/// A request without end, and its response. Dropped, its stream is reset, and a connection of HTTP/1.1 closed.
#[derive(Debug)]
pub(crate) struct Tunnel {
    carrier: Carrier,
    pool: Rc<HostPool>,
    /// Its place among the requests that there may be, and that it counts among them; none before it begins.
    counted: Option<(Guard, InProgress)>,
}

impl Tunnel {
    /// A stream on which nothing was said, over the protocol that the cluster speaks.
    ///
    /// # Errors
    /// What kept a connection from being made.
    pub(crate) async fn open(pool: &Rc<HostPool>) -> Result<Self, AcquireError> {
        let carries = match pool.cluster.config.http.protocol {
            UpstreamProtocol::Http2(_) => Carries::Http2,
            UpstreamProtocol::Auto(..) => Carries::Either,
            UpstreamProtocol::Http1(_) | UpstreamProtocol::UseDownstream(..) => Carries::Http1,
        };
        let carrier = match idle(pool, carries) {
            Some(carrier) => carrier,
            None => acquire(pool, carries, false).await?,
        };
        Ok(Tunnel { carrier, pool: Rc::clone(pool), counted: None })
    }

    /// Whether there may be another request; it counts among them from then on.
    pub(crate) fn begin(&mut self) -> bool {
        let place = self.pool.cluster.circuit_breakers.of(false).try_request();
        if place.is_none() {
            self.pool.cluster.stats.upstream_rq_active_overflow().inc();
        }
        self.counted = place.map(|place| (place, InProgress::new(&self.pool)));
        self.counted.is_some()
    }

    /// What is known of its connection from its making.
    pub(crate) fn established(&self) -> Established {
        self.carrier.established()
    }

    /// Whether each side of it ends by itself. Over HTTP/1.1 the end of one is that of the connection.
    pub(crate) fn has_halves(&self) -> bool {
        !matches!(self.carrier, Carrier::Http1(_))
    }

    /// Queues the head of the request. `upgrade` says that it asks for another protocol; a CONNECT does so by itself.
    pub(crate) fn ask(&mut self, headers: &mut Headers, upgrade: bool) {
        if matches!(self.carrier, Carrier::Http1(_)) {
            headers.remove(Known::Scheme);
        }
        self.carrier.send_headers(headers, false, upgrade);
    }

    /// Sends the request, and reads the head of the response.
    pub(crate) fn poll_answer(
        &mut self,
        headers: &mut Headers,
        cx: &mut Context<'_>,
    ) -> Poll<Result<ResponseHead, StreamError>> {
        // What the host does not take it may have answered already.
        let _sent = self.carrier.poll_flush(cx);
        self.carrier.poll_head(cx, headers, false)
    }

    /// Whether the status of an answer lets bytes pass. Of HTTP/1.1 any does that tells success (RFC 9110 §9.3.6).
    pub(crate) fn is_granted_by(&self, status: u16) -> bool {
        match self.pool.cluster.config.http.protocol {
            UpstreamProtocol::Http1(_) | UpstreamProtocol::UseDownstream(..) => (200..300).contains(&status),
            UpstreamProtocol::Http2(_) | UpstreamProtocol::Auto(..) => status == 200,
        }
    }

    /// Ready when the request has gone to its end.
    pub(crate) fn poll_sent(&self, cx: &Context<'_>) -> Poll<()> {
        match &self.carrier {
            Carrier::Http2(stream) => stream.poll_sent(cx),
            Carrier::Http1(_) | Carrier::Tcp(_) => Poll::Ready(()),
        }
    }

    /// Bytes that may wait for the host; 0 means no limit.
    pub(crate) fn buffer_limit_bytes(&self) -> Option<u32> {
        self.pool.cluster.config.buffer.limit_bytes
    }

    /// Counts what it broke by.
    pub(crate) fn broke(&mut self, error: StreamError) {
        self.carrier.broke(error);
        if let StreamError::Protocol(_) = error {
            self.pool.cluster.stats.upstream_cx_protocol_error().inc();
        }
    }

    /// Notes that the host broke its connection, for the statistics.
    pub(crate) fn closed_by_host(&mut self) {
        self.carrier.closed_by_host();
    }

    /// Counts how often reading from the host stopped because nobody took what came, and went on.
    pub(crate) fn count_pauses(&self, pauses: u32, resumptions: u32) {
        let stats = &self.pool.cluster.stats;
        stats.upstream_flow_control_paused_reading_total().add(pauses.into());
        stats.upstream_flow_control_resumed_reading_total().add(resumptions.into());
    }

    /// What came and went so far.
    pub(crate) fn wire(&self) -> WireBytes {
        self.carrier.wire()
    }

    /// The same, with the reset that ends its stream when it is dropped.
    pub(crate) fn wire_when_given_up(&self) -> WireBytes {
        let mut wire = self.wire();
        if let Carrier::Http2(stream) = &self.carrier
            && stream.is_open()
        {
            wire.sent += RESET_BYTES;
        }
        wire
    }
}

impl MessageStream for Tunnel {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Frame>, StreamError>> {
        self.carrier.poll_frame(cx)
    }

    fn send_data(&mut self, data: Bytes) {
        self.carrier.send_data(data);
    }

    fn send_end(&mut self, trailers: Option<&Headers>) {
        self.carrier.send_end(trailers);
    }

    fn buffered(&self) -> usize {
        self.carrier.buffered()
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), StreamError>> {
        self.carrier.poll_flush(cx)
    }
}

/// Headers as Envoy shows them in the filter state.
pub(crate) fn shown(headers: &Headers) -> Vec<u8> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let shown =
        headers.iter().map(|(name, value)| json!({ "key": text(name.as_bytes()), "value": text(value) }));
    json!({ "headers": shown.collect::<Vec<_>>() }).to_string().into_bytes()
}
