//! The client's end of a connection.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use h2::client::{Connection, ResponseFuture, SendRequest};

use crate::base::headers::{Headers, Known};
use crate::base::io::Io;
use crate::codec::h1::ParseError;
use crate::codec::h1::client::ResponseHead;
use crate::codec::{Frame, MessageStream, StreamError};
use crate::observability::stats::Http2Stats;
use crate::observability::stream_info::WireBytes;

use super::duplex::{Incoming, Outgoing};
use super::fields::{check, read_response, write_request};
use super::flood::End;
use super::keepalive::Keepalive;
use super::metadata::Port;
use super::meter::Meter;
use super::stream::StreamMeter;
use super::transport::Transport;
use super::watch::Watch;
use super::{MAX_FRAME_SIZE, Settings};

/// The part of a connection that makes streams. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Client {
    requests: SendRequest<Bytes>,
    max_headers_count: usize,
    watch: Rc<Watch>,
    meter: Meter,
    metadata: bool,
}

/// The part of a connection that moves its frames: to be awaited for as long as there are streams.
pub struct Connecting {
    connection: Connection<Transport, Bytes>,
    meter: Meter,
    watch: Rc<Watch>,
    keepalive: Option<Keepalive>,
}

impl Connecting {
    /// Drives the connection to its end.
    ///
    /// # Errors
    /// What ended it, if not the last stream; a peer that does not answer a ping is [`StreamError::Closed`].
    pub async fn run(mut self) -> Result<(), StreamError> {
        poll_fn(|cx| {
            if let Some(keepalive) = &mut self.keepalive
                && keepalive.poll(&self.meter, cx).is_ready()
            {
                self.watch.give_up();
                return Poll::Ready(Err(StreamError::Closed));
            }
            Pin::new(&mut self.connection).poll(cx).map_err(|error| super::stream_error(&error))
        })
        .await
    }
}

/// Starts HTTP/2 with prior knowledge on a stream.
///
/// # Errors
/// A peer that ends the connection.
pub async fn connect(
    io: Io,
    settings: &Settings,
    stats: &Http2Stats,
) -> Result<(Client, Connecting), StreamError> {
    let meter = Meter::new(End::Client, stats.clone());
    let mut builder = h2::client::Builder::new();
    builder
        // Of those that the host would begin, which it may not: Envoy tells it all the same.
        .max_concurrent_streams(settings.max_concurrent_streams)
        .initial_window_size(settings.stream_window)
        .initial_connection_window_size(settings.connection_window)
        .max_header_list_size(settings.max_header_bytes)
        .header_table_size(settings.hpack_table_size)
        .max_frame_size(MAX_FRAME_SIZE)
        .max_send_buffer_size(settings.send_buffer)
        .initial_max_send_streams(settings.max_concurrent_streams as usize)
        .enable_push(false);
    let transport = Transport::new(io, BytesMut::new(), End::Client, settings, meter.clone());
    let watch = transport.watch();
    let handshake = builder.handshake(transport).await;
    let (requests, mut connection) = handshake.map_err(|error| super::stream_error(&error))?;
    let keepalive = settings.keepalive(connection.ping_pong());
    let max_headers_count = settings.max_headers_count as usize;
    let metadata = settings.metadata.is_some();
    Ok((
        Client { requests, max_headers_count, meter: meter.clone(), watch: Rc::clone(&watch), metadata },
        Connecting { connection, meter, watch, keepalive },
    ))
}

impl Client {
    /// Waits until a stream may be begun.
    ///
    /// # Errors
    /// A connection that has ended or takes no more streams.
    pub async fn ready(&mut self) -> Result<(), StreamError> {
        poll_fn(|cx| self.requests.poll_ready(cx)).await.map_err(|error| super::stream_error(&error))
    }

    /// What is seen of the connection from below.
    pub fn watch(&self) -> Rc<Watch> {
        Rc::clone(&self.watch)
    }

    /// Streams that the peer permits at once.
    pub fn max_streams(&self) -> usize {
        self.requests.current_max_send_streams()
    }

    /// A stream whose request is not sent yet.
    pub fn stream(&self) -> ClientStream {
        ClientStream {
            requests: self.requests.clone(),
            connection: self.meter.clone(),
            max_headers_count: self.max_headers_count,
            meter: None,
            upgrade: None,
            response: Response::Unsent,
            incoming: None,
            outgoing: Outgoing::closed(),
            header_bytes: (0, 0),
            metadata: self.metadata,
        }
    }
}

/// A stream that a request goes out on.
#[derive(Debug)]
pub struct ClientStream {
    requests: SendRequest<Bytes>,
    connection: Meter,
    max_headers_count: usize,
    /// From the moment the request is sent.
    meter: Option<StreamMeter>,
    /// The protocol that the request asks to go over to.
    upgrade: Option<Box<[u8]>>,
    response: Response,
    incoming: Option<Incoming>,
    outgoing: Outgoing,
    /// Of the heads that came and went, before HPACK packed them.
    header_bytes: (u64, u64),
    /// Whether METADATA is allowed.
    metadata: bool,
}

#[derive(Debug)]
enum Response {
    Unsent,
    Waiting(ResponseFuture),
    Failed(StreamError),
    Begun,
}

impl ClientStream {
    /// Sends a request's head; with `upgrade`, what it asks for becomes an extended CONNECT. A failure is told by
    /// [`poll_head`](Self::poll_head).
    pub fn send_headers(&mut self, headers: &Headers, end: bool, upgrade: bool) {
        self.upgrade = headers.get(Known::Upgrade).filter(|_| upgrade).map(Box::from);
        let Some((request, bytes)) = write_request(headers, upgrade) else {
            self.response = Response::Failed(StreamError::Protocol(ParseError::Target));
            return;
        };
        self.header_bytes.1 = bytes;
        match self.requests.send_request(request, end) {
            Ok((response, stream)) => {
                self.meter = Some(self.connection.attach(response.stream_id().as_u32()));
                self.outgoing.open(stream, end);
                self.response = Response::Waiting(response);
            }
            Err(error) => self.response = Response::Failed(super::stream_error(&error)),
        }
    }

    /// Reads the head of the response. Informational ones are passed over unless `interim` asks for them.
    pub fn poll_head(
        &mut self,
        cx: &mut Context<'_>,
        headers: &mut Headers,
        interim: bool,
    ) -> Poll<Result<ResponseHead, StreamError>> {
        let future = match &mut self.response {
            Response::Waiting(future) => future,
            Response::Failed(error) => return Poll::Ready(Err(*error)),
            Response::Unsent | Response::Begun => return Poll::Ready(Err(StreamError::Closed)),
        };
        // A failure is told below, as that of the response.
        if interim && let Poll::Ready(Some(Ok(response))) = future.poll_informational(cx) {
            let (parts, ()) = response.into_parts();
            check(&parts.headers).map_err(|error| self.note(StreamError::Protocol(error)))?;
            let (status, bytes) = read_response(&parts, None, headers);
            self.header_bytes.0 += bytes;
            return Poll::Ready(Ok(ResponseHead { status, end: false }));
        }
        let response = ready!(Pin::new(future).poll(cx)).map_err(|error| super::stream_error(&error));
        let (parts, body) = response.map_err(|error| self.note(error))?.into_parts();
        check(&parts.headers).map_err(|error| self.note(StreamError::Protocol(error)))?;
        let (status, bytes) = read_response(&parts, self.upgrade.as_deref(), headers);
        self.header_bytes.0 += bytes;
        if headers.len() > self.max_headers_count {
            self.connection.header_overflow();
            return Poll::Ready(Err(StreamError::Reset(h2::Reason::INTERNAL_ERROR.into())));
        }
        let incoming = Incoming::new(body);
        let head = ResponseHead { status, end: incoming.is_ended() };
        self.incoming = Some(incoming);
        self.response = Response::Begun;
        Poll::Ready(Ok(head))
    }

    /// The METADATA of the stream, once its request is sent, if that is allowed.
    pub fn metadata(&self) -> Option<Port> {
        self.meter.as_ref().filter(|_| self.metadata).map(StreamMeter::port)
    }

    /// Whether either message has begun and not ended.
    pub fn is_open(&self) -> bool {
        self.meter.as_ref().is_some_and(StreamMeter::is_open)
    }

    /// Ready when the request has gone to its end, or the stream is gone.
    pub fn poll_sent(&self, cx: &Context<'_>) -> Poll<()> {
        self.meter.as_ref().map_or(Poll::Ready(()), |meter| meter.poll_sent(cx))
    }

    /// What came and went of the request and its response so far.
    pub fn wire(&self) -> WireBytes {
        let trailers = self.incoming.as_ref().map_or(0, |incoming| incoming.trailer_bytes);
        WireBytes {
            decompressed_header_received: self.header_bytes.0 + trailers,
            decompressed_header_sent: self.header_bytes.1 + self.outgoing.trailer_bytes,
            ..self.meter.as_ref().map(StreamMeter::wire).unwrap_or_default()
        }
    }

    fn note(&self, error: StreamError) -> StreamError {
        self.meter.as_ref().map_or(error, |meter| meter.note(error))
    }
}

/// Dropped before its end it is reset, with the code that Envoy uses; `h2` would say CANCEL.
impl Drop for ClientStream {
    fn drop(&mut self) {
        if self.is_open()
            && let Some(stream) = self.outgoing.stream()
        {
            stream.send_reset(h2::Reason::INTERNAL_ERROR);
        }
    }
}

impl MessageStream for ClientStream {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Frame>, StreamError>> {
        match &mut self.incoming {
            Some(incoming) => incoming.poll_frame(cx).map_err(|error| self.note(error)),
            None => Poll::Ready(Ok(None)),
        }
    }

    fn send_data(&mut self, data: Bytes) {
        if let Some(meter) = &self.meter {
            meter.queued(data.len());
        }
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
