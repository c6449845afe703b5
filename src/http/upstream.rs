//! The upstream end of an exchange, whatever its protocol.

use std::task::{Context, Poll};

use bytes::Bytes;

use crate::base::headers::{Headers, Known};
use crate::codec::h1::client::ResponseHead;
use crate::codec::{Frame, MessageStream, StreamError};
use crate::observability::stream_info::WireBytes;
use crate::upstream::pool::{Lease, StreamLease, TcpLease};

/// A stream that a request goes out on and its response comes in on.
#[derive(Debug)]
pub(super) enum Upstream {
    /// A connection of its own.
    Http1(Lease),
    /// A stream of a shared connection.
    Http2(StreamLease),
    /// A connection that carries bytes: a CONNECT request ends here.
    Tcp(TcpLease),
}

impl Upstream {
    /// Queues the request's head. `upgrade` says that it asks for another protocol; a CONNECT does so by itself.
    pub(super) fn send_headers(&mut self, headers: &Headers, end: bool, upgrade: bool) {
        match self {
            Upstream::Http1(lease) => lease.send_headers(headers, end, upgrade),
            Upstream::Http2(lease) => lease.send_headers(headers, end, upgrade),
            // The request ends here.
            Upstream::Tcp(_) => {}
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
            Upstream::Http1(lease) => lease.poll_head(cx, headers, interim),
            Upstream::Http2(lease) => lease.poll_head(cx, headers, interim),
            Upstream::Tcp(_) => {
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
            Upstream::Http1(_) | Upstream::Tcp(_) => {}
            Upstream::Http2(lease) => lease.broke(error),
        }
    }

    /// What came and went of the request and its response so far.
    pub(super) fn wire(&self) -> WireBytes {
        match self {
            Upstream::Http1(lease) => lease.wire(),
            Upstream::Http2(lease) => lease.wire(),
            Upstream::Tcp(lease) => lease.wire(),
        }
    }

    /// Notes that the host ended the stream, for the statistics.
    pub(super) fn closed_by_host(&mut self) {
        match self {
            Upstream::Http1(lease) => lease.closed_by_host(),
            Upstream::Http2(_) => {}
            Upstream::Tcp(lease) => lease.closed_by_host(),
        }
    }
}

impl MessageStream for Upstream {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Frame>, StreamError>> {
        match self {
            Upstream::Http1(lease) => lease.poll_frame(cx),
            Upstream::Http2(lease) => lease.poll_frame(cx),
            Upstream::Tcp(lease) => lease.poll_frame(cx),
        }
    }

    fn send_data(&mut self, data: Bytes) {
        match self {
            Upstream::Http1(lease) => lease.send_data(data),
            Upstream::Http2(lease) => lease.send_data(data),
            Upstream::Tcp(lease) => lease.send_data(data),
        }
    }

    fn send_end(&mut self, trailers: Option<&Headers>) {
        match self {
            Upstream::Http1(lease) => lease.send_end(trailers),
            Upstream::Http2(lease) => lease.send_end(trailers),
            Upstream::Tcp(lease) => lease.send_end(trailers),
        }
    }

    fn buffered(&self) -> usize {
        match self {
            Upstream::Http1(lease) => lease.buffered(),
            Upstream::Http2(lease) => lease.buffered(),
            Upstream::Tcp(lease) => lease.buffered(),
        }
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), StreamError>> {
        match self {
            Upstream::Http1(lease) => lease.poll_flush(cx),
            Upstream::Http2(lease) => lease.poll_flush(cx),
            Upstream::Tcp(lease) => lease.poll_flush(cx),
        }
    }
}
