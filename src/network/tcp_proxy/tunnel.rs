//! A client whose bytes pass through a stream of HTTP.

use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::BytesMut;

use crate::base::headers::Headers;
use crate::base::io::Io;
use crate::base::uuid;
use crate::codec::{MessageStream, Plain, Pump, PumpError, StreamError};
use crate::http::{Tunnel, shown, stream_address};
use crate::observability::stats::network::TcpProxyStats;
use crate::observability::stream_info::{Notes, StateObject, StreamInfo};
use crate::upstream::pool::HostPool;

use super::connecting::NoLink;
use super::relay::{End, Progress, Sides, passed};
use super::session::Session;
use super::tunneling::Tunneling;

/// The object of the filter state that switches tunnels off for a connection.
const DISABLE: &str = "envoy.tcp_proxy.disable_tunneling";
/// The objects that tell headers and trailers of an answer.
const HEADERS: &str = "envoy.tcp_proxy.propagate_response_headers";
const TRAILERS: &str = "envoy.tcp_proxy.propagate_response_trailers";

impl<'c> Session<'c> {
    /// How the connection is tunnelled; `None` where it goes on as it is.
    pub(super) fn tunneling(&self) -> Option<&'c Tunneling> {
        let is_off = |notes: &Notes| notes.state(DISABLE).is_some_and(|object| object.text() == b"true");
        let off = self.info.notes().is_some_and(is_off);
        self.proxy.config.tunneling.as_ref().filter(|_| !off)
    }

    /// Asks a host for a tunnel.
    pub(super) async fn tunnel(
        &mut self,
        pool: &Rc<HostPool>,
        tunneling: &Tunneling,
    ) -> Result<Tunnel, NoLink> {
        self.is_tunnelled = true;
        let mut tunnel = Tunnel::open(pool).await?;
        if !tunnel.begin() {
            return Err(NoLink::Full);
        }
        let id = uuid::random(self.worker.random(), self.worker.random());
        tunneling.note_id(&id, self.info);
        self.info.follow_connection();
        let encrypted = tunnel.established().tls.is_some();
        let mut request = tunneling.request(&id, encrypted, self.info).ok_or(NoLink::Broken)?;
        tunnel.ask(&mut request, false);
        self.info.begin_upstream_wire();
        let mut answer = Headers::new();
        self.asked = Some(stream_address(&pool.host));
        let answered = poll_fn(|cx| {
            let polled = tunnel.poll_answer(&mut answer, cx);
            self.info.upstream_wire = tunnel.wire();
            polled
        });
        let answered = answered.await;
        self.asked = None;
        let head = answered.map_err(|error| {
            tunnel.broke(error);
            NoLink::Broken
        })?;
        if tunneling.propagates_headers {
            propagate(HEADERS, &answer, self.info);
        }
        if tunnel.is_granted_by(head.status) { Ok(tunnel) } else { Err(NoLink::Refused(head.status)) }
    }
}

/// Notes headers in the filter state.
fn propagate(name: &str, headers: &Headers, info: &StreamInfo) {
    let object = StateObject::Message { json: shown(headers).into(), text: Box::default() };
    info.connection.note(|notes| notes.set_state(name, object));
}

/// A client and its tunnel.
pub(super) struct Tunnelled {
    client: Plain,
    tunnel: Tunnel,
    up: Pump,
    down: Pump,
    up_done: bool,
    down_done: bool,
    /// Whether trailers are noted in the filter state, which they have not been yet.
    propagates_trailers: bool,
    /// Pauses of either way that were counted, and how often it went on.
    counted: [u32; 4],
}

impl Tunnelled {
    /// Between a client of whose listener `per_connection_buffer_limit_bytes` is known, and its tunnel.
    pub(super) fn new(
        client: Io,
        tunnel: Tunnel,
        buffer_limit_bytes: Option<u32>,
        propagates_trailers: bool,
    ) -> Self {
        let up = Pump::new(tunnel.buffer_limit_bytes());
        let down = Pump::new(buffer_limit_bytes);
        let client = Plain::new(client);
        Tunnelled {
            client,
            tunnel,
            up,
            down,
            up_done: false,
            down_done: false,
            propagates_trailers,
            counted: [0; 4],
        }
    }

    /// With these bytes of the client's before those that come.
    pub(super) fn after(mut self, early: BytesMut) -> Self {
        self.client.put_back(early);
        self
    }

    fn client_broke(&self) -> Poll<End> {
        if self.client.io().is_overfull() {
            return Poll::Ready(End::ClientFull);
        }
        Poll::Ready(End::Client { reset: self.client.was_reset() })
    }

    fn host_broke(&mut self, error: StreamError) -> Poll<End> {
        self.tunnel.broke(error);
        if error == StreamError::Closed {
            self.tunnel.closed_by_host();
        }
        Poll::Ready(End::Host { reset: matches!(error, StreamError::Reset(_) | StreamError::Refused) })
    }

    fn count_pauses(&mut self, stats: &TcpProxyStats) {
        let now = [self.up.pauses, self.up.resumptions, self.down.pauses, self.down.resumptions];
        let before = std::mem::replace(&mut self.counted, now);
        let [up, up_resumed, down, down_resumed] = std::array::from_fn(|index| now[index] - before[index]);
        stats.downstream_flow_control_paused_reading_total().add(up.into());
        stats.downstream_flow_control_resumed_reading_total().add(up_resumed.into());
        self.tunnel.count_pauses(down, down_resumed);
    }
}

impl Sides for Tunnelled {
    fn poll(&mut self, _: &mut BytesMut, cx: &mut Context<'_>) -> Poll<End> {
        if !self.down_done {
            match self.down.poll(&mut self.tunnel, &mut self.client, cx) {
                Poll::Ready(Ok(())) => self.down_done = true,
                Poll::Ready(Err(PumpError::Source(error))) => return self.host_broke(error),
                Poll::Ready(Err(PumpError::Sink(_))) => return self.client_broke(),
                Poll::Pending => {}
            }
        }
        if self.down_done && !self.tunnel.has_halves() {
            return Poll::Ready(End::Complete { by_host: false });
        }
        if !self.up_done {
            match self.up.poll(&mut self.client, &mut self.tunnel, cx) {
                Poll::Ready(Ok(())) => self.up_done = true,
                Poll::Ready(Err(PumpError::Source(_))) => return self.client_broke(),
                Poll::Ready(Err(PumpError::Sink(error))) => return self.host_broke(error),
                Poll::Pending => {}
            }
        }
        let ended = match (self.up_done, self.down_done) {
            (true, true) => self.tunnel.poll_sent(cx).is_ready(),
            // What came before goes out to the client.
            (true, false) => !self.tunnel.has_halves() && self.client.poll_flush(cx).is_ready(),
            (false, _) => false,
        };
        if ended { Poll::Ready(End::Complete { by_host: false }) } else { Poll::Pending }
    }

    fn progress(&self) -> Progress {
        [self.client.read(), self.up.bytes, self.down.bytes, self.client.written()]
    }

    fn count(&mut self, before: Progress, stats: &TcpProxyStats, info: &mut StreamInfo) {
        let [came_up, _, _, went_down] = passed(before, self.progress());
        stats.downstream_cx_rx_bytes_total().add(came_up);
        stats.downstream_cx_tx_bytes_total().add(went_down);
        self.count_pauses(stats);
        (info.bytes_received, info.bytes_sent) = (self.up.bytes, self.down.bytes);
        (info.downstream_wire.received, info.downstream_wire.sent) = (self.client.read(), self.client.written());
        // As in Envoy the bytes of the connection count beside those of the stream that carries them.
        let mut wire = self.tunnel.wire();
        wire.received += self.down.bytes;
        wire.sent += self.up.bytes;
        info.upstream_wire = wire;
        if self.propagates_trailers
            && let Some(trailers) = self.down.trailers.as_deref()
        {
            propagate(TRAILERS, trailers, info);
            self.propagates_trailers = false;
        }
    }

    fn end(self, end: End, _: Option<Duration>, _: &TcpProxyStats) {
        if let End::Host { reset: true } = end {
            self.client.io().reset();
        }
    }
}
