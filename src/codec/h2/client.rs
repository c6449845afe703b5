//! The client's end of a connection.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use h2::client::{Connection, ResponseFuture, SendRequest};

use crate::base::headers::Headers;
use crate::base::io::Io;
use crate::codec::h1::ParseError;
use crate::codec::h1::client::ResponseHead;
use crate::codec::{Frame, MessageStream, StreamError};

use super::duplex::{Incoming, Outgoing};
use super::fields::{length_is_ambiguous, read_response, write_request};
use super::flood::End;
use super::transport::Transport;
use super::{MAX_FRAME_SIZE, MAX_SEND_BUFFER, Settings};

/// The part of a connection that makes streams. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Client {
    requests: SendRequest<Bytes>,
}

/// The part of a connection that moves its frames: to be awaited for as long as there are streams.
pub struct Connecting {
    connection: Connection<Transport, Bytes>,
}

impl Connecting {
    /// Drives the connection to its end.
    ///
    /// # Errors
    /// What ended it, if not the last stream.
    pub async fn run(self) -> Result<(), StreamError> {
        self.connection.await.map_err(|error| super::stream_error(&error))
    }
}

/// Starts HTTP/2 with prior knowledge on a stream.
///
/// # Errors
/// A peer that ends the connection.
pub async fn connect(io: Io, settings: Settings) -> Result<(Client, Connecting), StreamError> {
    let mut builder = h2::client::Builder::new();
    builder
        .initial_window_size(settings.stream_window)
        .initial_connection_window_size(settings.connection_window)
        .max_header_list_size(settings.max_header_bytes)
        .header_table_size(settings.hpack_table_size)
        .max_frame_size(MAX_FRAME_SIZE)
        .max_send_buffer_size(MAX_SEND_BUFFER)
        .initial_max_send_streams(settings.max_concurrent_streams as usize)
        .enable_push(false);
    let transport = Transport::new(io, BytesMut::new(), End::Client, settings.floods);
    let handshake = builder.handshake(transport).await;
    let (requests, connection) = handshake.map_err(|error| super::stream_error(&error))?;
    Ok((Client { requests }, Connecting { connection }))
}

impl Client {
    /// Waits until a stream may be begun.
    ///
    /// # Errors
    /// A connection that has ended or takes no more streams.
    pub async fn ready(&mut self) -> Result<(), StreamError> {
        poll_fn(|cx| self.requests.poll_ready(cx)).await.map_err(|error| super::stream_error(&error))
    }

    /// Streams that the peer permits at once.
    pub fn max_streams(&self) -> usize {
        self.requests.current_max_send_streams()
    }

    /// A stream whose request is not sent yet.
    pub fn stream(&self) -> ClientStream {
        ClientStream {
            requests: self.requests.clone(),
            response: Response::Unsent,
            incoming: None,
            outgoing: Outgoing::closed(),
        }
    }
}

/// A stream that a request goes out on.
#[derive(Debug)]
pub struct ClientStream {
    requests: SendRequest<Bytes>,
    response: Response,
    incoming: Option<Incoming>,
    outgoing: Outgoing,
}

#[derive(Debug)]
enum Response {
    Unsent,
    Waiting(ResponseFuture),
    Failed(StreamError),
    Begun,
}

impl ClientStream {
    /// Sends a request's head. A failure is told by [`poll_head`](Self::poll_head).
    pub fn send_headers(&mut self, headers: &Headers, end: bool) {
        let Some(request) = write_request(headers) else {
            self.response = Response::Failed(StreamError::Protocol(ParseError::Target));
            return;
        };
        match self.requests.send_request(request, end) {
            Ok((response, stream)) => {
                self.outgoing.open(stream, end);
                self.response = Response::Waiting(response);
            }
            Err(error) => self.response = Response::Failed(super::stream_error(&error)),
        }
    }

    /// Reads the head of the response.
    pub fn poll_head(
        &mut self,
        cx: &mut Context<'_>,
        headers: &mut Headers,
    ) -> Poll<Result<ResponseHead, StreamError>> {
        let future = match &mut self.response {
            Response::Waiting(future) => future,
            Response::Failed(error) => return Poll::Ready(Err(*error)),
            Response::Unsent | Response::Begun => return Poll::Ready(Err(StreamError::Closed)),
        };
        let response = ready!(Pin::new(future).poll(cx)).map_err(|error| super::stream_error(&error))?;
        let (parts, body) = response.into_parts();
        if length_is_ambiguous(&parts.headers) {
            return Poll::Ready(Err(StreamError::Protocol(ParseError::ContentLength)));
        }
        read_response(&parts, headers);
        let incoming = Incoming::new(body);
        let head = ResponseHead { status: parts.status.as_u16(), end: incoming.is_ended() };
        self.incoming = Some(incoming);
        self.response = Response::Begun;
        Poll::Ready(Ok(head))
    }
}

impl MessageStream for ClientStream {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Frame>, StreamError>> {
        match &mut self.incoming {
            Some(incoming) => incoming.poll_frame(cx),
            None => Poll::Ready(Ok(None)),
        }
    }

    fn send_data(&mut self, data: Bytes) {
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
