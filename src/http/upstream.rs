//! The upstream end of an exchange, whatever its protocol.

use std::task::{Context, Poll};

use bytes::Bytes;

use crate::base::headers::{Headers, Known};
use crate::codec::h1::client::ResponseHead;
use crate::codec::{Frame, MessageStream, StreamError, h2};
use crate::observability::stream_info::{Protocol, WireBytes};
use crate::upstream::pool::{Either, Established, Lease, StreamLease, TcpLease};

use super::hosted::Hosted;

/// The upstream end of an exchange.
#[derive(Debug)]
pub(super) struct Upstream<'f> {
    /// What carries it.
    pub(super) carrier: Carrier,
    /// The filters before that, if there are any.
    pub(super) hosted: Option<Box<Hosted<'f>>>,
}

impl Upstream<'_> {
    /// One without filters.
    pub(super) fn plain(carrier: Carrier) -> Self {
        Upstream { carrier, hosted: None }
    }

    /// Whether filters hold some of the request.
    pub(super) fn holds_request(&self) -> bool {
        self.hosted.as_ref().is_some_and(|hosted| !hosted.request.is_empty())
    }
}

/// A stream that a request goes out on and its response comes in on.
#[derive(Debug)]
pub(super) enum Carrier {
    /// A connection of its own.
    Http1(Lease),
    /// A stream of a shared connection.
    Http2(StreamLease),
    /// A connection that carries bytes: a CONNECT request ends here.
    Tcp(TcpLease),
}

impl From<Either> for Carrier {
    fn from(either: Either) -> Self {
        match either {
            Either::Http1(lease) => Carrier::Http1(lease),
            Either::Http2(lease) => Carrier::Http2(lease),
        }
    }
}

impl Carrier {
    /// What is known of its connection from its making.
    pub(super) fn established(&self) -> Established {
        match self {
            Carrier::Http1(lease) => lease.established(),
            Carrier::Http2(lease) => lease.established(),
            Carrier::Tcp(lease) => lease.established(),
        }
    }

    /// What it speaks; `None` where that is not HTTP.
    pub(super) fn protocol(&self) -> Option<Protocol> {
        match self {
            Carrier::Http1(_) => Some(Protocol::Http11),
            Carrier::Http2(_) => Some(Protocol::Http2),
            Carrier::Tcp(_) => None,
        }
    }

    /// Queues the request's head. `upgrade` says that it asks for another protocol; a CONNECT does so by itself.
    pub(super) fn send_headers(&mut self, headers: &Headers, end: bool, upgrade: bool) {
        match self {
            Carrier::Http1(lease) => lease.send_headers(headers, end, upgrade),
            Carrier::Http2(lease) => lease.send_headers(headers, end, upgrade),
            // The request ends here.
            Carrier::Tcp(_) => {}
        }
    }

    /// Reads the head of the response, or an informational one if `interim` asks for it.
    pub(super) fn poll_head(
        &mut self,
        cx: &mut Context<'_>,
        headers: &mut Headers,
        interim: bool,
    ) -> Poll<Result<ResponseHead, StreamError>> {
        match self {
            Carrier::Http1(lease) => lease.poll_head(cx, headers, interim),
            Carrier::Http2(lease) => lease.poll_head(cx, headers, interim),
            Carrier::Tcp(_) => {
                headers.clear();
                headers.append(Known::Status, b"200");
                Poll::Ready(Ok(ResponseHead { status: 200, end: false }))
            }
        }
    }

    /// Notes what the stream broke by, for the statistics and for what becomes of the connection.
    pub(super) fn broke(&mut self, error: StreamError) {
        match self {
            // It is not clean, so it is closed anyway.
            Carrier::Http1(_) | Carrier::Tcp(_) => {}
            Carrier::Http2(lease) => lease.broke(error),
        }
    }

    /// What came and went of the request and its response so far.
    pub(super) fn wire(&self) -> WireBytes {
        match self {
            Carrier::Http1(lease) => lease.wire(),
            Carrier::Http2(lease) => lease.wire(),
            Carrier::Tcp(lease) => lease.wire(),
        }
    }

    /// The METADATA of its stream, if that is allowed, once the head was sent.
    pub(super) fn metadata(&self) -> Option<h2::Port> {
        match self {
            Carrier::Http2(lease) => lease.metadata(),
            Carrier::Http1(_) | Carrier::Tcp(_) => None,
        }
    }

    /// Notes that the host ended the stream, for the statistics.
    pub(super) fn closed_by_host(&mut self) {
        match self {
            Carrier::Http1(lease) => lease.closed_by_host(),
            Carrier::Http2(_) => {}
            Carrier::Tcp(lease) => lease.closed_by_host(),
        }
    }
}

impl MessageStream for Carrier {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Frame>, StreamError>> {
        match self {
            Carrier::Http1(lease) => lease.poll_frame(cx),
            Carrier::Http2(lease) => lease.poll_frame(cx),
            Carrier::Tcp(lease) => lease.poll_frame(cx),
        }
    }

    fn send_data(&mut self, data: Bytes) {
        match self {
            Carrier::Http1(lease) => lease.send_data(data),
            Carrier::Http2(lease) => lease.send_data(data),
            Carrier::Tcp(lease) => lease.send_data(data),
        }
    }

    fn send_end(&mut self, trailers: Option<&Headers>) {
        match self {
            Carrier::Http1(lease) => lease.send_end(trailers),
            Carrier::Http2(lease) => lease.send_end(trailers),
            Carrier::Tcp(lease) => lease.send_end(trailers),
        }
    }

    fn buffered(&self) -> usize {
        match self {
            Carrier::Http1(lease) => lease.buffered(),
            Carrier::Http2(lease) => lease.buffered(),
            Carrier::Tcp(lease) => lease.buffered(),
        }
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), StreamError>> {
        match self {
            Carrier::Http1(lease) => lease.poll_flush(cx),
            Carrier::Http2(lease) => lease.poll_flush(cx),
            Carrier::Tcp(lease) => lease.poll_flush(cx),
        }
    }
}
