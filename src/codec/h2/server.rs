//! The server's end of a connection.

use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use h2::Reason;
use h2::server::{Connection, Handshake, SendResponse};

use crate::base::headers::Headers;
use crate::base::io::Io;
use crate::codec::h1::ParseError;
use crate::codec::{Frame, INTERNAL_ERROR, MessageStream, StreamError};
use crate::observability::stats::Http2Stats;
use crate::observability::stream_info::WireBytes;

use super::duplex::{Incoming, Outgoing};
use super::fields::{check_request, read_request, write_response};
use super::flood::{End, Flood};
use super::keepalive::Keepalive;
use super::metadata::Port;
use super::meter::{Meter, Refused};
use super::stream::StreamMeter;
use super::transport::Transport;
use super::watch::Watch;
use super::{MAX_FRAME_SIZE, Settings};

/// Streams that the peer reset before they were looked at; more end the connection (CVE-2023-44487).
const MAX_PENDING_RESETS: usize = 20;
/// Streams that were reset for the peer's faults; more end the connection.
const MAX_FAULTS: usize = 1024;

/// A connection from a downstream peer.
pub struct Server {
    connection: Connection<Transport, Bytes>,
    watch: Rc<Watch>,
    meter: Meter,
    keepalive: Option<Keepalive>,
    metadata: bool,
}

impl Server {
    /// Takes the connection's preface; `begun` is what was read of it already.
    ///
    /// # Errors
    /// A peer that does not speak HTTP/2.
    pub async fn accept(
        io: Io,
        begun: BytesMut,
        settings: &Settings,
        stats: &Http2Stats,
    ) -> Result<Self, StreamError> {
        let meter = Meter::new(End::Server, stats.clone());
        let mut builder = h2::server::Builder::new();
        builder
            .max_concurrent_streams(settings.max_concurrent_streams)
            .initial_window_size(settings.stream_window)
            .initial_connection_window_size(settings.connection_window)
            .max_header_list_size(settings.max_header_bytes)
            .header_table_size(settings.hpack_table_size)
            .max_frame_size(MAX_FRAME_SIZE)
            .max_send_buffer_size(settings.send_buffer)
            .max_pending_accept_reset_streams(MAX_PENDING_RESETS)
            .max_local_error_reset_streams(Some(MAX_FAULTS));
        if settings.allow_connect {
            builder.enable_connect_protocol();
        }
        let transport = Transport::new(io, begun, End::Server, settings, meter.clone());
        let watch = transport.watch();
        let handshake: Handshake<_, _> = builder.handshake(transport);
        let mut connection = handshake.await.map_err(|error| super::stream_error(&error))?;
        let keepalive = settings.keepalive(connection.ping_pong());
        Ok(Server { connection, watch, meter, keepalive, metadata: settings.metadata.is_some() })
    }

    /// The next stream, with its request's headers in `headers`; `None` when there will be none any more.
    /// Drives the connection: it must be polled for any stream to move.
    ///
    /// # Errors
    /// What ended the connection; a peer that does not answer a ping is [`StreamError::Closed`].
    pub fn poll_stream(
        &mut self,
        cx: &mut Context<'_>,
        headers: &mut Headers,
    ) -> Poll<Option<Result<ServerStream, StreamError>>> {
        if let Some(keepalive) = &mut self.keepalive
            && keepalive.poll(&self.meter, cx).is_ready()
        {
            return Poll::Ready(Some(Err(StreamError::Closed)));
        }
        loop {
            let (request, mut respond) = match ready!(self.connection.poll_accept(cx)) {
                Some(Ok(accepted)) => accepted,
                Some(Err(error)) => {
                    let error = super::stream_error(&error);
                    if matches!(error, StreamError::Protocol(_)) {
                        self.meter.broken();
                    }
                    return Poll::Ready(Some(Err(error)));
                }
                None => return Poll::Ready(None),
            };
            let (parts, body) = request.into_parts();
            if let Err(fault) = check_request(&parts) {
                self.meter.refuse(respond.stream_id().as_u32(), fault);
                respond.send_reset(Reason::PROTOCOL_ERROR);
                continue;
            }
            let (header_bytes, fields) = read_request(&parts, headers);
            let stream = ServerStream {
                meter: self.meter.attach(respond.stream_id().as_u32()),
                incoming: Incoming::new(body),
                respond,
                outgoing: Outgoing::closed(),
                header_bytes: (header_bytes, 0),
                fields,
                metadata: self.metadata,
            };
            return Poll::Ready(Some(Ok(stream)));
        }
    }

    /// A request that was refused here and now; each is told once.
    pub fn take_refused(&mut self) -> Option<Refused> {
        self.meter.take_refused()
    }

    /// What is seen of the connection from below.
    pub fn watch(&self) -> &Watch {
        &self.watch
    }

    /// Tells the peer that the connection is about to end. Streams that it begins meanwhile are served.
    pub fn announce_end(&self) {
        self.watch.announce_end();
    }

    /// Lets streams end and takes no new ones.
    pub fn shut_down(&mut self) {
        self.connection.graceful_shutdown();
    }

    /// Ends the connection at once.
    pub fn abort(&mut self) {
        self.connection.abrupt_shutdown(Reason::NO_ERROR);
    }
}

/// A stream that a request came on.
#[derive(Debug)]
pub struct ServerStream {
    incoming: Incoming,
    respond: SendResponse<Bytes>,
    outgoing: Outgoing,
    meter: StreamMeter,
    /// Of the heads that came and went, before HPACK packed them.
    header_bytes: (u64, u64),
    /// Of the head that came, pseudo-headers among them.
    fields: usize,
    /// Whether METADATA is allowed.
    metadata: bool,
}

impl ServerStream {
    /// Whether the whole request was read.
    pub fn request_is_complete(&self) -> bool {
        self.incoming.is_ended()
    }

    /// How many fields the request's head had as they came, cookies one by one.
    pub fn fields(&self) -> usize {
        self.fields
    }

    /// The METADATA of the stream, if that is allowed.
    pub fn metadata(&self) -> Option<Port> {
        self.metadata.then(|| self.meter.port())
    }

    /// Whether METADATA came that leads nowhere yet.
    pub fn holds_metadata(&self) -> bool {
        self.metadata && self.meter.holds_metadata()
    }

    /// Sends an informational response.
    pub fn send_interim(&mut self, headers: &Headers, status: u16) {
        let Some((response, bytes)) = write_response(headers, status) else { return };
        self.header_bytes.1 += bytes;
        if let Err(error) = self.respond.send_informational(response) {
            tracing::debug!(target: "http2", %error, status, "an informational response was not sent");
        }
    }

    /// Sends a response's head. A response that HTTP/2 cannot express resets the stream.
    pub fn send_headers(&mut self, headers: &Headers, status: u16, end: bool) {
        let Some((response, bytes)) = write_response(headers, status) else {
            return self.abort(INTERNAL_ERROR);
        };
        self.header_bytes.1 += bytes;
        match self.respond.send_response(response, end) {
            Ok(stream) => self.outgoing.open(stream, end),
            Err(error) => tracing::debug!(target: "http2", %error, "the stream is gone"),
        }
    }

    /// Ready when the stream has ended before its messages have: what it ended by.
    pub fn poll_closed(&mut self, cx: &mut Context<'_>) -> Poll<StreamError> {
        let reset = match self.outgoing.stream() {
            Some(stream) => stream.poll_reset(cx),
            None => self.respond.poll_reset(cx),
        };
        reset.map(|reset| match reset {
            Ok(reason) if self.meter.reset_by_peer() => StreamError::Reset(reason.into()),
            Ok(_) => StreamError::Protocol(ParseError::Frame),
            Err(_) => StreamError::Closed,
        })
    }

    /// The flood that its connection ended by.
    pub fn flood(&self) -> Option<Flood> {
        self.meter.flood()
    }

    /// Whether its connection ends because too much has waited for the client for too long.
    pub fn is_overfull(&self) -> bool {
        self.meter.is_overfull()
    }

    /// What came and went on the stream so far.
    pub fn wire(&self) -> WireBytes {
        WireBytes {
            decompressed_header_received: self.header_bytes.0 + self.incoming.trailer_bytes,
            decompressed_header_sent: self.header_bytes.1 + self.outgoing.trailer_bytes,
            ..self.meter.wire()
        }
    }

    /// Ready when all of the response has gone, or the stream is gone.
    pub fn poll_sent(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.meter.poll_sent(cx)
    }

    /// Ready when all that was queued so far has gone, whether or not that was all, or when the stream is gone.
    pub fn poll_framed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match ready!(self.outgoing.poll_flush(cx)) {
            Ok(()) => self.meter.poll_framed(cx),
            Err(_) => Poll::Ready(()),
        }
    }

    /// Resets the stream with this code.
    pub fn abort(&mut self, code: u32) {
        match self.outgoing.stream() {
            Some(stream) => stream.send_reset(code.into()),
            None => self.respond.send_reset(code.into()),
        }
    }
}

impl MessageStream for ServerStream {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Frame>, StreamError>> {
        self.incoming.poll_frame(cx).map_err(|error| self.meter.note(error))
    }

    fn send_data(&mut self, data: Bytes) {
        self.meter.queued(data.len());
        self.outgoing.send_data(data);
    }

    fn send_end(&mut self, trailers: Option<&Headers>) {
        self.outgoing.send_end(trailers);
    }

    fn buffered(&self) -> usize {
        self.outgoing.buffered()
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), StreamError>> {
        self.outgoing.poll_flush(cx)
    }
}
